//! A ring of records of any length: one process sends, or several do, and one receives.

mod receiver;
mod sender;
mod status;

use std::fmt;
use std::sync::Arc;

pub use receiver::{Receiver, Record};
pub use sender::{Batch, Claim, Sender};
pub(super) use status::status;

use super::content::Content;
use super::end::{Deaths, End, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Share;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::region::{Plan, RegionKind};
use crate::sync::{Commit, Placed};
use crate::sys::lock::Words;
use crate::view::View;

/// The most senders attached at once, of a ring that allows several.
pub const SENDERS: usize = 16;

/// In a record's header, beside its length: the record may be read. Storing it commits the record.
const READY: u64 = 1 << 63;
/// In a header: there is no record here, the next is at the front.
const SKIP: u64 = 1 << 62;
/// Positions are counted in these many bytes.
const UNIT: u32 = 8;
/// Looks before a receiver or a sender goes to sleep: about a microsecond, well below what waking up costs.
const SPINS: u32 = 100;
/// Looks of one who does not sleep, before it lets others run.
const TRIES: u32 = 4;
const SEVERAL: u32 = 1;
const POLLING: u32 = 2;

/// What a ring consists of, before its bytes; `docs/format.md` draws it. What one side writes all the time stands two
/// cache lines from what the other does.
#[derive(Debug)]
#[repr(C)]
struct Head {
    capacity: AtomicU64,
    flags: AtomicU32,
    sender_deaths: Deaths,
    receiver_deaths: Deaths,
    /// Of several senders: where the last of them ended, or a record before.
    tail: AtomicU32,
    /// Of several senders, the one who is adding a record.
    turn: Words,
    bells: Bells,
    freed: Freed,
    received: Received,
    receiver: End,
    senders: [End; SENDERS],
}

/// Written when somebody sleeps, and read by the other side for each record.
#[derive(Debug)]
#[repr(C, align(128))]
struct Bells {
    sent: Commit,
    freed: Commit,
}

/// How far the bytes may be used again: told now and then, and looked at by a sender that is out of room.
#[derive(Debug)]
#[repr(C, align(128))]
struct Freed(AtomicU32);

/// How far records were received, which is at least as far: stored with each, for whoever receives after this one, and so
/// not in a line that a sender looks at.
#[derive(Debug)]
#[repr(C, align(128))]
struct Received(AtomicU32);

// SAFETY: (1) to (4): atomics and placed parts, of which any value is some state.
unsafe impl Placed for Head {}

/// A ring, as this process knows it: what was checked once is not asked of shared memory again.
#[derive(Clone)]
struct Shared {
    view: Arc<View>,
    data: Data,
    several: bool,
    polling: bool,
}

// SAFETY: `data` points into the view, which it owns a part of; bytes there are touched by the protocol.
unsafe impl Send for Shared {}
// SAFETY: as above: through `&Shared` nothing but atomics is touched.
unsafe impl Sync for Shared {}

/// The records, right behind the head. A copy of it in a call's own variables is not read again after each store.
#[derive(Clone, Copy)]
struct Data {
    first: *mut u8,
    /// A power of two, of bytes too.
    units: u32,
}

/// How a ring is made.
///
/// # Examples
///
/// ```
/// use coview::ring::RingOptions;
///
/// let name = format!("doc-log-{}", std::process::id());
/// let log = RingOptions::new().capacity(1 << 20).several_senders(true).create(&name)?;
/// let (mut first, mut second) = (log.sender()?, log.sender()?);
/// first.send(b"one")?;
/// second.send(b"two")?;
/// assert_eq!(&*log.receiver()?.receive()?, b"one");
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RingOptions {
    capacity: usize,
    several: bool,
    polling: bool,
    share: Share,
}

/// A named ring: bytes that flow from senders to a receiver, in records of any length.
///
/// What is sent waits in the ring, whether a receiver is attached or not. Nobody who dies stops the others: a record is
/// committed by one step, so it is there whole or not at all; and the other side is told.
///
/// # Examples
///
/// ```
/// use coview::ring::Ring;
///
/// let name = format!("doc-ring-{}", std::process::id());
/// let ring = Ring::create(&name, 64 << 10)?;
/// let mut sender = ring.sender()?;
/// sender.send(b"23.5 C")?;
///
/// // In another process:
/// let mut receiver = Ring::open(&name)?.receiver()?;
/// assert_eq!(&*receiver.receive()?, b"23.5 C");
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    ring: Shared,
}

impl Default for RingOptions {
    fn default() -> RingOptions {
        RingOptions { capacity: 64 << 10, several: false, polling: false, share: Share::Owner }
    }
}

impl RingOptions {
    /// 64 KiB, for one sender, which may sleep and be woken; for its owner alone.
    pub fn new() -> RingOptions {
        RingOptions::default()
    }

    /// Bytes for records, rounded up to a power of two from 4 KiB to 1 GiB. A record takes 8 bytes more than it has, in steps of 8.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// Up to [`SENDERS`] at once; they take turns by a robust lock.
    pub fn several_senders(mut self, several: bool) -> Self {
        self.several = several;
        self
    }

    /// Both sides only ever look and never sleep: who sends need not ask whether somebody sleeps, and a blocking call keeps a
    /// processor busy.
    pub fn polling(mut self, polling: bool) -> Self {
        self.polling = polling;
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// Makes a ring of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidInput`] for a capacity beyond 1 GiB, and those of
    /// [`MappingOptions::create`](crate::MappingOptions::create).
    pub fn create(&self, name: &str) -> Result<Ring> {
        let (capacity, flags) = self.shape()?;
        let found = Content::create(name, &plan(capacity), &self.share, |view, at| init(view, at, capacity, flags))?;
        Ring::of(found)
    }

    /// Makes a ring of that name, or opens the live one, whose capacity and kind stay as they are.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`Ring::open`].
    pub fn open_or_create(&self, name: &str) -> Result<Ring> {
        let (capacity, flags) = self.shape()?;
        let init = |view: &View, at| init(view, at, capacity, flags);
        Ring::of(Content::open_or_create(name, &plan(capacity), &self.share, init)?)
    }

    fn shape(&self) -> Result<(u32, u32)> {
        let capacity = self.capacity.max(4096).checked_next_power_of_two().filter(|bytes| *bytes <= 1 << 30);
        let Some(capacity) = capacity else {
            let why = format!("a capacity of {} bytes; a ring has at most 1 GiB", self.capacity);
            return Err(Error::new(ErrorKind::InvalidInput, "create a ring with", why));
        };
        let flags = if self.several { SEVERAL } else { 0 } | if self.polling { POLLING } else { 0 };
        Ok((capacity as u32, flags))
    }
}

/// What a new one takes; what is there says its capacity itself.
fn plan(capacity: u32) -> Plan {
    Plan::new(RegionKind::Ring, None, size_of::<Head>() as u64 + u64::from(capacity), align_of::<Head>())
}

fn init(view: &View, at: usize, capacity: u32, flags: u32) -> Result<()> {
    let head: &Head = view.place(at)?;
    head.capacity.store(capacity.into(), Ordering::Relaxed);
    head.flags.store(flags, Ordering::Relaxed);
    Ok(())
}

impl Ring {
    /// Makes a ring for this user alone, with at least `capacity` bytes for records.
    ///
    /// # Errors
    /// As [`RingOptions::create`].
    pub fn create(name: &str, capacity: usize) -> Result<Ring> {
        RingOptions::new().capacity(capacity).create(name)
    }

    /// Opens the live ring of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`], [`ErrorKind::Corrupt`],
    /// [`ErrorKind::AccessDenied`]: sending and receiving both need write access.
    pub fn open(name: &str) -> Result<Ring> {
        Ring::of(Content::open(name, &plan(0))?)
    }

    fn of(Content { view, offset }: Content) -> Result<Ring> {
        let head: &Head = view.place(offset)?;
        let capacity = head.capacity.load(Ordering::Relaxed);
        let flags = head.flags.load(Ordering::Relaxed);
        let room = view.len().saturating_sub(offset + size_of::<Head>()) as u64;
        if !capacity.is_power_of_two() || !(4096..=1 << 30).contains(&capacity) || capacity > room {
            let why = format!("it says that it has {capacity} bytes, which cannot be, at offset {offset}");
            return Err(Error::new(ErrorKind::Corrupt, "open the ring", why));
        }
        let first = view.as_ptr().wrapping_add(offset + size_of::<Head>());
        let data = Data { first, units: capacity as u32 / UNIT };
        Ok(Ring { ring: Shared { view, data, several: flags & SEVERAL != 0, polling: flags & POLLING != 0 } })
    }

    /// Bytes for records.
    pub fn capacity(&self) -> usize {
        self.ring.data.capacity()
    }

    /// Attaches a sender.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if somebody sends already and the ring is for one.
    pub fn sender(&self) -> Result<Sender> {
        Sender::attach(self.ring.clone())
    }

    /// Attaches the receiver. It goes on where the one before was.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if somebody receives already.
    pub fn receiver(&self) -> Result<Receiver> {
        Receiver::attach(self.ring.clone())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("capacity", &self.data.capacity()).field("in", &self.view).finish_non_exhaustive()
    }
}

impl Data {
    #[inline]
    fn capacity(self) -> usize {
        self.units as usize * UNIT as usize
    }

    /// The header at a position.
    #[inline]
    fn header(&self, position: u32) -> &AtomicU64 {
        let at = self.first.wrapping_add((position & (self.units - 1)) as usize * UNIT as usize);
        // SAFETY: inside the data, aligned to 8, mapped as long as the view of the end that asks, and only touched as an
        // atomic: headers lie where a sender says, and payloads are given out only between them.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    #[inline]
    fn payload(&self, position: u32) -> *mut u8 {
        self.header(position).as_ptr().wrapping_add(1).cast()
    }

    /// Units from a position to the end of the ring.
    #[inline]
    fn before_end(self, position: u32) -> u32 {
        self.units - (position & (self.units - 1))
    }

    /// The length that a header at a position says, if there is a record and that is possible: a peer may have written
    /// anything there. One comparison: with `READY` taken away, what is not a record's is too long.
    #[inline]
    fn record(self, at: u32, header: u64) -> Option<usize> {
        let len = header ^ READY;
        let most = u64::from(UNIT) * u64::from(self.before_end(at) - 1);
        (len <= most).then_some(len as usize)
    }
}

impl Shared {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: `attach` placed it there, and the view lives as long as `self`.
        unsafe { &*self.data.first.wrapping_sub(size_of::<Head>()).cast() }
    }

    fn corrupt(&self, what: &str, position: u32) -> Error {
        let at = u64::from(position & (self.data.units - 1)) * u64::from(UNIT);
        Error::new(ErrorKind::Corrupt, "use the ring", format!("{what}, at byte {at} of its data"))
    }

    /// From a record or the end of them, the end of them: where the next one goes. A sender that died may have added some.
    fn end_of_records(&self, from: u32) -> Result<u32> {
        let mut at = from;
        loop {
            // Acquire: pairs with the Release in `publish`.
            let header = self.data.header(at).load(Ordering::Acquire);
            if header & READY == 0 {
                return Ok(at);
            }
            let next = match self.data.record(at, header) {
                Some(len) => at.wrapping_add(units_of(len)),
                None if header & SKIP != 0 => at.wrapping_add(self.data.before_end(at)),
                None => return Err(self.corrupt("a record has no possible length", at)),
            };
            if next.wrapping_sub(from) > self.data.units {
                return Err(self.corrupt("the records have no end", from));
            }
            at = next;
        }
    }

    /// Nobody is woken in a ring where both sides only ever look.
    fn may_listen(&self, operation: &'static str) -> Result<()> {
        if !self.polling {
            return Ok(());
        }
        let why =
            "it was made for polling, so nobody is woken; look again (try_receive, try_send) as often as you like";
        Err(Error::new(ErrorKind::Unsupported, operation, why).on("the ring"))
    }

    fn senders(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.senders, deaths: &head.sender_deaths, bell: &head.bells.sent }
    }

    fn receivers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: std::slice::from_ref(&head.receiver), deaths: &head.receiver_deaths, bell: &head.bells.freed }
    }
}

/// Units that a record of `len` bytes takes.
#[inline]
fn units_of(len: usize) -> u32 {
    1 + (len as u32).div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// As `docs/format.md` draws it.
    #[test]
    fn the_layout_is_the_promised_one() {
        let offsets =
            [offset_of!(Head, tail), offset_of!(Head, turn), offset_of!(Head, bells), offset_of!(Head, freed)];
        assert_eq!(offsets, [20, 24, 128, 256]);
        assert_eq!((offset_of!(Bells, freed), offset_of!(Head, received)), (16, 384));
        let ends = [offset_of!(Head, receiver), offset_of!(Head, senders), size_of::<Head>()];
        assert_eq!(ends, [512, 576, 1664]);
    }

    #[test]
    fn a_longest_record_always_fits_twice() {
        for capacity in [4096, 1 << 16, 1 << 30] {
            let need = units_of((capacity / 2 - 2 * UNIT) as usize);
            assert!(2 * need <= capacity / UNIT, "{capacity}");
        }
    }
}
