//! Rings: records of any length from senders to a receiver.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use coview::ring::{Batch, Claim, Receiver, Record, Ring, RingOptions, Sender};

use super::argument::{Options, Source, Text, coview_share, flags, given, make, options, put};
use super::latest::COVIEW_SEVERAL;
use super::lent::Lent;
use super::status::{COVIEW_FULL, Failure, answer, coview_status, enter, misuse, quiet, wait};

/// A named ring: bytes that flow from senders to a receiver, in records of any length. May be used by several threads.
pub struct coview_ring(Ring);

/// The end that sends. Used by one thread at a time; of a ring for several senders, a claim or a batch is ended by the thread that
/// began it.
pub struct coview_sender {
    // Before the end: dropped first.
    open: Open,
    end: Lent<Sender>,
}

/// The end that receives. Used by one thread at a time.
pub struct coview_receiver {
    // Before the end: dropped first.
    record: Option<Record<'static>>,
    end: Lent<Receiver>,
}

/// What a sender is in the middle of.
enum Open {
    Nothing,
    Claim(Claim<'static>),
    Batch(Batch<'static>),
}

/// Of a ring: both sides only ever look and never sleep.
pub const COVIEW_POLLING: u32 = 128;

/// How a ring is made. Zeros: 64 KiB, for one sender, for its creator alone.
#[repr(C)]
pub struct coview_ring_options {
    /// `sizeof(coview_ring_options)`.
    pub struct_size: usize,
    /// Bytes for records, rounded up to a power of two from 4 KiB to 1 GiB. A record takes 8 bytes more than it has, in steps of
    /// 8.
    pub capacity: usize,
    /// Of `COVIEW_SEVERAL`, `COVIEW_POLLING`.
    pub flags: u32,
    /// Who may open it by name.
    pub share: coview_share,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_ring_options {}

impl coview_ring_options {
    fn get(&self) -> Result<RingOptions, Failure> {
        flags(self.flags, COVIEW_SEVERAL | COVIEW_POLLING)?;
        let options = RingOptions::new().share(self.share.get()?).polling(self.flags & COVIEW_POLLING != 0);
        let options = options.several_senders(self.flags & COVIEW_SEVERAL != 0);
        Ok(if self.capacity == 0 { options } else { options.capacity(self.capacity) })
    }
}

/// Makes a ring of that name. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_ring_create(
    name: Text,
    options: *const coview_ring_options,
    ring: Option<&mut MaybeUninit<Option<Box<coview_ring>>>>,
) -> coview_status {
    enter(|| {
        make(ring, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get()?;
            Ok(coview_ring(options.create(name.get("the name")?)?))
        })
    })
}

/// Makes a ring of that name or opens the live one, which keeps its capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_ring_open_or_create(
    name: Text,
    options: *const coview_ring_options,
    ring: Option<&mut MaybeUninit<Option<Box<coview_ring>>>>,
) -> coview_status {
    enter(|| {
        make(ring, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get()?;
            Ok(coview_ring(options.open_or_create(name.get("the name")?)?))
        })
    })
}

/// Opens the live ring of that name.
#[unsafe(no_mangle)]
pub extern "C" fn coview_ring_open(
    name: Text,
    ring: Option<&mut MaybeUninit<Option<Box<coview_ring>>>>,
) -> coview_status {
    enter(|| make(ring, || Ok(coview_ring(Ring::open(name.get("the name")?)?))))
}

/// Closes it; its ends stay. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_ring_close(ring: Option<Box<coview_ring>>) {
    quiet((), || drop(ring));
}

/// Bytes for records. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_ring_capacity(ring: Option<&coview_ring>) -> usize {
    quiet(0, || ring.map_or(0, |ring| ring.0.capacity()))
}

/// Attaches a sender. `COVIEW_ALREADY_EXISTS` if somebody sends already and the ring is for one.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_open(
    ring: Option<&coview_ring>,
    sender: Option<&mut MaybeUninit<Option<Box<coview_sender>>>>,
) -> coview_status {
    enter(|| make(sender, || Ok(coview_sender { open: Open::Nothing, end: Lent::new(given(ring)?.0.sender()?) })))
}

/// Ends it; what it claimed and did not commit was never there. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_close(sender: Option<Box<coview_sender>>) {
    quiet((), || drop(sender));
}

impl coview_sender {
    /// The end, of which nothing is borrowed.
    fn idle(&mut self) -> Result<&'static mut Sender, Failure> {
        match self.open {
            // SAFETY: nothing is borrowed; what the caller borrows goes to `open`, which is dropped before the end.
            Open::Nothing => Ok(unsafe { self.end.alone() }),
            _ => Err(misuse("a claim or a batch of this sender is open: commit or abort it first")),
        }
    }
}

/// The most bytes that a record can have. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_record_max(sender: Option<&mut coview_sender>) -> usize {
    quiet(0, || sender.and_then(|sender| sender.idle().ok()).map_or(0, |sender| sender.record_max()))
}

/// Sends a record, waiting for room. `COVIEW_PEER_DIED`, once, if the ring is full and its receiver died.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_send(
    sender: Option<&mut coview_sender>,
    record: Source,
    len: usize,
    timeout_ms: u32,
) -> coview_status {
    enter(|| {
        let (sender, record) = (given(sender)?.idle()?, record.get(len)?);
        wait(timeout_ms, |timeout| Ok(sender.send_timeout(record, timeout)?.then_some(())))
    })
}

/// Claims room for a record of `len` bytes, to be filled in place and sent by `coview_sender_commit`. `data`: where; good until
/// then.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_claim(
    sender: Option<&mut coview_sender>,
    len: usize,
    timeout_ms: u32,
    data: Option<&mut MaybeUninit<*mut c_void>>,
) -> coview_status {
    enter(|| {
        let (sender, data) = (given(sender)?, given(data)?);
        data.write(std::ptr::null_mut());
        sender.idle()?;
        let mut claim = wait(timeout_ms, |timeout| {
            // SAFETY: nothing is borrowed: `open` is nothing, and so was what was asked before; what is borrowed goes there.
            unsafe { sender.end.alone() }.claim_timeout(len, timeout)
        })?;
        data.write(claim.as_mut_ptr().cast());
        sender.open = Open::Claim(claim);
        Ok(())
    })
}

/// Begins a batch: records that are sent together, by `coview_sender_commit`.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_batch(sender: Option<&mut coview_sender>) -> coview_status {
    enter(|| {
        let sender = given(sender)?;
        sender.open = Open::Batch(sender.idle()?.batch()?);
        Ok(())
    })
}

/// Adds a record to the batch; `COVIEW_FULL` if there is no room now: commit what there is.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_push(sender: Option<&mut coview_sender>, record: Source, len: usize) -> coview_status {
    enter(|| {
        let Open::Batch(batch) = &mut given(sender)?.open else { return Err(misuse("no batch was begun")) };
        match batch.push(record.get(len)?)? {
            true => Ok(()),
            false => Err(answer(COVIEW_FULL, "the ring has no room for it now")),
        }
    })
}

/// Sends the first `len` bytes of what was claimed as one record; or all of the batch, with any `len`.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_commit(sender: Option<&mut coview_sender>, len: usize) -> coview_status {
    enter(|| {
        let sender = given(sender)?;
        match std::mem::replace(&mut sender.open, Open::Nothing) {
            Open::Nothing => Err(misuse("nothing was claimed")),
            Open::Claim(claim) if len > claim.len() => {
                let why = format!("{len} bytes, and {} were claimed", claim.len());
                sender.open = Open::Claim(claim);
                Err(misuse(why))
            }
            Open::Claim(mut claim) => {
                claim.truncate(len);
                Ok(claim.commit()?)
            }
            Open::Batch(batch) => Ok(batch.commit()?),
        }
    })
}

/// Gives up what was claimed, or the batch: it was never there. Without either, or for NULL, it does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sender_abort(sender: Option<&mut coview_sender>) {
    quiet((), || {
        if let Some(sender) = sender {
            sender.open = Open::Nothing;
        }
    });
}

/// Attaches the receiver, which goes on where the one before was. `COVIEW_ALREADY_EXISTS` if somebody receives already.
#[unsafe(no_mangle)]
pub extern "C" fn coview_receiver_open(
    ring: Option<&coview_ring>,
    receiver: Option<&mut MaybeUninit<Option<Box<coview_receiver>>>>,
) -> coview_status {
    enter(|| make(receiver, || Ok(coview_receiver { record: None, end: Lent::new(given(ring)?.0.receiver()?) })))
}

/// Ends it; what it has not received waits for another. A record that it had is received. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_receiver_close(receiver: Option<Box<coview_receiver>>) {
    quiet((), || drop(receiver));
}

/// The next record, in place: `data` and `len`, good until the next call with this receiver, which gives its room back.
/// `COVIEW_PEER_DIED`, once for each death, when a sender died and all that it had committed has been received.
#[unsafe(no_mangle)]
pub extern "C" fn coview_receiver_receive(
    receiver: Option<&mut coview_receiver>,
    timeout_ms: u32,
    data: Option<&mut MaybeUninit<*const c_void>>,
    len: Option<&mut MaybeUninit<usize>>,
) -> coview_status {
    enter(|| {
        let (receiver, data, len) = (given(receiver)?, given(data)?, given(len)?);
        data.write(std::ptr::null());
        len.write(0);
        receiver.record = None;
        let record = wait(timeout_ms, |timeout| {
            // SAFETY: nothing is borrowed: `record` is none, and so was what was asked before; what is borrowed goes there.
            unsafe { receiver.end.alone() }.receive_timeout(timeout)
        })?;
        data.write(record.as_ptr().cast());
        len.write(record.len());
        receiver.record = Some(record);
        Ok(())
    })
}

/// Gives the room of the received record back, as the next call would. Without one, or for NULL, it does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_receiver_release(receiver: Option<&mut coview_receiver>) {
    quiet((), || {
        if let Some(receiver) = receiver {
            receiver.record = None;
        }
    });
}

/// Leaves the received record there: the next call gives it again, here or in another process. Without one, or for NULL, it does
/// nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_receiver_leave(receiver: Option<&mut coview_receiver>) {
    quiet((), || {
        if let Some(record) = receiver.and_then(|receiver| receiver.record.take()) {
            record.leave();
        }
    });
}

/// What is called for each record: with what the caller gave, and the record, in place. It must return, and must not use the
/// receiver.
pub type coview_record_callback = Option<unsafe extern "C" fn(user: *mut c_void, data: *const c_void, len: usize)>;

/// Calls back for every record that is there now. `count` (may be NULL): how many there were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_receiver_drain(
    receiver: Option<&mut coview_receiver>,
    callback: coview_record_callback,
    user: *mut c_void,
    count: Option<&mut MaybeUninit<usize>>,
) -> coview_status {
    enter(|| {
        let receiver = given(receiver)?;
        let callback = callback.ok_or_else(|| misuse("the callback is NULL"))?;
        receiver.record = None;
        // SAFETY: nothing is borrowed, and what is borrowed now is gone when this returns.
        let end = unsafe { receiver.end.alone() };
        // SAFETY: a function of the C program, called as it was declared.
        let drained = end.drain(|record| unsafe { callback(user, record.as_ptr().cast(), record.len()) })?;
        put(count, drained);
        Ok(())
    })
}
