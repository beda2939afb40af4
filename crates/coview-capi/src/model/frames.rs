//! Frames: published once, read in place by every subscriber.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use coview::frames::{Frame, Frames, FramesOptions, Loan, Policy, Publisher, Subscriber};

use super::argument::{Options, Source, Text, coview_share, flags, given, make, options};
use super::lent::Lent;
use super::status::{Failure, coview_status, enter, misuse, not_yet, quiet, timeout, wait};

/// Named frames: publish and subscribe without copies. In Rust they are `Frames<[u8]>`. May be used by several threads.
pub struct coview_frames(Frames<[u8]>);

/// The end that publishes. It and its loans are used by one thread at a time.
pub struct coview_publisher {
    // Before the end: dropped first.
    loans: Shelf<coview_loan, Loan<'static, [u8]>>,
    end: Lent<Publisher<[u8]>>,
}

/// The end that receives. It and its frames are used by one thread at a time.
pub struct coview_subscriber {
    // Before the end: dropped first.
    frames: Shelf<coview_frame, Frame<'static, [u8]>>,
    end: Lent<Subscriber<[u8]>>,
}

/// Room for a frame, in shared memory.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct coview_loan {
    /// Where it is; what it holds at first is anything.
    pub data: *mut c_void,
    /// Its bytes. Made less, only so many are published.
    pub len: usize,
}

/// A received frame, in place.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct coview_frame {
    /// Where it is.
    pub data: *const c_void,
    /// Its bytes.
    pub len: usize,
    /// Its number: frames are counted from 1, in the order that everybody receives them in.
    pub number: u64,
    /// How many frames before this one the subscriber did not get.
    pub lost: u64,
}

/// What C sees of a loan or a frame, and the thing itself.
#[repr(C)]
struct Held<S, T> {
    seen: S,
    thing: Option<T>,
}

/// The loans or frames of one end. C has the addresses of what it sees, so they stay where they are until the end goes, and are
/// used again.
struct Shelf<S, T>(Vec<NonNull<Held<S, T>>>);

impl<S: Copy + Default, T> Shelf<S, T> {
    fn new() -> Shelf<S, T> {
        Shelf(Vec::new())
    }

    /// SAFETY of what is done with one: it came from a box, which is given back by `drop` alone. Only `self` has it, and C, which
    /// touches `seen`: to that there is never a reference.
    fn thing(&mut self, held: NonNull<Held<S, T>>) -> &mut Option<T> {
        // SAFETY: as said above; `self` is borrowed.
        unsafe { &mut (*held.as_ptr()).thing }
    }

    /// The first of which this is true: its address, and whether it is out.
    fn first(&self, is: impl Fn(*const S, bool) -> bool) -> Option<NonNull<Held<S, T>>> {
        // SAFETY: as said at `thing`; `self` is borrowed.
        let out = |held: NonNull<Held<S, T>>| unsafe { (*held.as_ptr()).thing.is_some() };
        self.0.iter().copied().find(|held| is(held.as_ptr().cast_const().cast(), out(*held)))
    }

    /// The one that C means, if it is out; and what C sees, which it may have changed.
    fn find(&mut self, seen: *const S) -> Result<(S, &mut Option<T>), Failure> {
        match self.first(|at, out| out && at == seen) {
            // SAFETY: as said at `thing`.
            Some(held) => Ok((unsafe { held.cast::<S>().read() }, self.thing(held))),
            None => Err(misuse("it is none that is out: NULL, of another end, or given back already")),
        }
    }

    /// Keeps a loan or a frame until it is given back; the address of what C sees.
    fn hold(&mut self, thing: T, show: impl FnOnce(&mut T) -> S) -> *mut S {
        let held = self.first(|_, out| !out).unwrap_or_else(|| {
            let new = NonNull::from(Box::leak(Box::new(Held { seen: S::default(), thing: None })));
            self.0.push(new);
            new
        });
        // Small frames stand in the thing itself, so it is shown where it stays.
        let seen = show(self.thing(held).insert(thing));
        // SAFETY: as said at `thing`.
        unsafe { held.cast::<S>().write(seen) };
        held.cast::<S>().as_ptr()
    }
}

impl<S, T> Drop for Shelf<S, T> {
    fn drop(&mut self) {
        for held in self.0.drain(..) {
            // SAFETY: as said at `thing`.
            drop(unsafe { Box::from_raw(held.as_ptr()) });
        }
    }
}

/// Every frame: publishers wait for this subscriber when there is no room.
pub const COVIEW_EVERY_FRAME: u32 = 0;
/// The oldest frames are dropped; `lost` says how many.
pub const COVIEW_DROP_OLDEST: u32 = 1;
/// The newest frame, and never an older one.
pub const COVIEW_NEWEST_ONLY: u32 = 2;

/// As `history`: none.
pub const COVIEW_NO_HISTORY: u32 = u32::MAX;

/// How frames are made. Zeros: frames of at most 64 KiB, 1 MiB for them or 8 frames, a history of one, for their creator alone.
#[repr(C)]
pub struct coview_frames_options {
    /// `sizeof(coview_frames_options)`.
    pub struct_size: usize,
    /// The bytes of the largest frame.
    pub slot: usize,
    /// The bytes for all frames together: at least four frames, at most 1024.
    pub budget: usize,
    /// How many frames from before it came a new subscriber gets; 0: one; or `COVIEW_NO_HISTORY`.
    pub history: u32,
    /// None yet.
    pub flags: u32,
    /// Who may open them by name.
    pub share: coview_share,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_frames_options {}

impl coview_frames_options {
    fn get(&self) -> Result<FramesOptions, Failure> {
        flags(self.flags, 0)?;
        let options = FramesOptions::new().share(self.share.get()?);
        let options = if self.slot == 0 { options } else { options.slot(self.slot) };
        let options = if self.budget == 0 { options } else { options.budget(self.budget) };
        Ok(match self.history {
            0 => options,
            COVIEW_NO_HISTORY => options.history(0),
            frames => options.history(frames),
        })
    }
}

/// Makes frames of that name. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_frames_create(
    name: Text,
    options: *const coview_frames_options,
    frames: Option<&mut MaybeUninit<Option<Box<coview_frames>>>>,
) -> coview_status {
    enter(|| {
        make(frames, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get()?;
            Ok(coview_frames(options.create(name.get("the name")?)?))
        })
    })
}

/// Makes frames of that name or opens the live ones, which keep their sizes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_frames_open_or_create(
    name: Text,
    options: *const coview_frames_options,
    frames: Option<&mut MaybeUninit<Option<Box<coview_frames>>>>,
) -> coview_status {
    enter(|| {
        make(frames, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get()?;
            Ok(coview_frames(options.open_or_create(name.get("the name")?)?))
        })
    })
}

/// Opens the live ones of that name.
#[unsafe(no_mangle)]
pub extern "C" fn coview_frames_open(
    name: Text,
    frames: Option<&mut MaybeUninit<Option<Box<coview_frames>>>>,
) -> coview_status {
    enter(|| make(frames, || Ok(coview_frames(Frames::open(name.get("the name")?)?))))
}

/// Closes them; their ends stay. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_frames_close(frames: Option<Box<coview_frames>>) {
    quiet((), || drop(frames));
}

/// The bytes of the largest frame. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_frames_slot(frames: Option<&coview_frames>) -> usize {
    quiet(0, || frames.map_or(0, |frames| frames.0.slot()))
}

/// Attaches a publisher.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_open(
    frames: Option<&coview_frames>,
    publisher: Option<&mut MaybeUninit<Option<Box<coview_publisher>>>>,
) -> coview_status {
    enter(|| {
        make(publisher, || Ok(coview_publisher { loans: Shelf::new(), end: Lent::new(given(frames)?.0.publisher()?) }))
    })
}

/// Ends it, and gives its loans back unpublished. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_close(publisher: Option<Box<coview_publisher>>) {
    quiet((), || drop(publisher));
}

/// Room for a frame of `len` bytes, waiting for it. It is given back by `coview_publisher_publish`, `coview_publisher_abort` or the end
/// of the publisher.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_loan(
    publisher: Option<&mut coview_publisher>,
    len: usize,
    timeout_ms: u32,
    loan: Option<&mut MaybeUninit<*mut coview_loan>>,
) -> coview_status {
    enter(|| {
        let (publisher, out) = (given(publisher)?, given(loan)?);
        out.write(std::ptr::null_mut());
        // SAFETY: nobody has it for himself; what is borrowed goes to `loans`, which are dropped before the end.
        let end = unsafe { publisher.end.shared() };
        let loan = wait(timeout_ms, |timeout| end.loan_timeout(len, timeout))?;
        let show = |loan: &mut Loan<'static, [u8]>| coview_loan { data: loan.as_mut_ptr().cast(), len: loan.len() };
        out.write(publisher.loans.hold(loan, show));
        Ok(())
    })
}

/// Publishes the first `loan->len` bytes of it. It waits for subscribers with `COVIEW_EVERY_FRAME` that have not taken what makes room;
/// when the time is over the loan stays. After any other answer it is gone.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_publish(
    publisher: Option<&mut coview_publisher>,
    loan: *mut coview_loan,
    timeout_ms: u32,
) -> coview_status {
    enter(|| {
        let (seen, held) = given(publisher)?.loans.find(loan)?;
        let lent = held.as_ref().map_or(0, |loan| loan.len());
        if seen.len > lent {
            return Err(misuse(format!("{} bytes, and {lent} were lent", seen.len)));
        }
        let mut loan = given(held.take())?;
        loan.truncate(seen.len);
        let Some(timeout) = timeout(timeout_ms) else { return Ok(loan.publish()?) };
        match loan.publish_timeout(timeout)? {
            Ok(()) => Ok(()),
            Err(loan) => {
                *held = Some(loan);
                Err(not_yet(timeout_ms))
            }
        }
    })
}

/// Gives a loan back unpublished.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_abort(
    publisher: Option<&mut coview_publisher>,
    loan: *mut coview_loan,
) -> coview_status {
    enter(|| {
        *given(publisher)?.loans.find(loan)?.1 = None;
        Ok(())
    })
}

/// Publishes a copy of these bytes, waiting for room.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_send(
    publisher: Option<&mut coview_publisher>,
    frame: Source,
    len: usize,
    timeout_ms: u32,
) -> coview_status {
    enter(|| {
        // SAFETY: nobody has it for himself; what is borrowed is gone when this returns.
        let (end, frame) = (unsafe { given(publisher)?.end.shared() }, frame.get(len)?);
        let mut loan = wait(timeout_ms, |timeout| end.loan_timeout(len, timeout))?;
        loan.copy_from_slice(frame);
        match timeout(timeout_ms) {
            None => Ok(loan.publish()?),
            Some(timeout) => loan.publish_timeout(timeout)?.map_err(|_| not_yet(timeout_ms)),
        }
    })
}

/// How many processes subscribe now, as far as anybody has noticed. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_publisher_subscribers(publisher: Option<&coview_publisher>) -> usize {
    // SAFETY: nobody has it for himself; what is borrowed is gone when this returns.
    quiet(0, || publisher.map_or(0, |publisher| unsafe { publisher.end.shared() }.subscribers().len()))
}

/// Attaches a subscriber, which begins with the history. `policy`: what happens when it is slower than the publishers; one of
/// `COVIEW_EVERY_FRAME`, `COVIEW_DROP_OLDEST`, `COVIEW_NEWEST_ONLY`.
#[unsafe(no_mangle)]
pub extern "C" fn coview_subscriber_open(
    frames: Option<&coview_frames>,
    policy: u32,
    subscriber: Option<&mut MaybeUninit<Option<Box<coview_subscriber>>>>,
) -> coview_status {
    enter(|| {
        make(subscriber, || {
            let policy = match policy {
                COVIEW_EVERY_FRAME => Policy::EveryFrame,
                COVIEW_DROP_OLDEST => Policy::DropOldest,
                COVIEW_NEWEST_ONLY => Policy::NewestOnly,
                other => return Err(misuse(format!("{other} is no policy"))),
            };
            let end = given(frames)?.0.subscriber(policy)?;
            Ok(coview_subscriber { frames: Shelf::new(), end: Lent::new(end) })
        })
    })
}

/// Ends it, and gives its frames back. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_subscriber_close(subscriber: Option<Box<coview_subscriber>>) {
    quiet((), || drop(subscriber));
}

/// The next frame, in place, waiting for it; good until `coview_subscriber_release` or the end of the subscriber.
/// `COVIEW_PEER_DIED`, once for each death, when a publisher died and all that it published has been received.
#[unsafe(no_mangle)]
pub extern "C" fn coview_subscriber_receive(
    subscriber: Option<&mut coview_subscriber>,
    timeout_ms: u32,
    frame: Option<&mut MaybeUninit<*const coview_frame>>,
) -> coview_status {
    enter(|| {
        let (subscriber, out) = (given(subscriber)?, given(frame)?);
        out.write(std::ptr::null());
        // SAFETY: nobody has it for himself; what is borrowed goes to `frames`, which are dropped before the end.
        let end = unsafe { subscriber.end.shared() };
        let frame = wait(timeout_ms, |timeout| end.receive_timeout(timeout))?;
        let show = |frame: &mut Frame<'static, [u8]>| coview_frame {
            data: frame.as_ptr().cast(),
            len: frame.len(),
            number: frame.number(),
            lost: frame.lost(),
        };
        out.write(subscriber.frames.hold(frame, show));
        Ok(())
    })
}

/// Gives a frame back: its room is free when the others have read it.
#[unsafe(no_mangle)]
pub extern "C" fn coview_subscriber_release(
    subscriber: Option<&mut coview_subscriber>,
    frame: *const coview_frame,
) -> coview_status {
    enter(|| {
        *given(subscriber)?.frames.find(frame)?.1 = None;
        Ok(())
    })
}
