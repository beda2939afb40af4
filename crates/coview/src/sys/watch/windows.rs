//! Watching on Windows: who waits for an automatic event or a semaphore takes it, so the helper takes it for the one
//! who watches, and gives it back if that one has gone meanwhile.
//!
//! The system's own thread pool has such waits too (`RegisterWaitForSingleObject`), but does not say what becomes of an
//! object that was taken while the wait was being cancelled.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_ABANDONED_0, WAIT_FAILED};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ReleaseMutex, ReleaseSemaphore, ResetEvent, SetEvent, WaitForMultipleObjects,
};

use super::helper::{Alarm, Helpers, Targets};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::sys::Refusal;
use crate::sys::lock::state_of;
use crate::sys::namespace::{Kind, owned};
use crate::sys::object::{Object, WAIT_MAX, is_manual};
use crate::sys::wait::{BACK_STOP, millis};

/// As many handles as one thread can wait for, less its bell.
pub(super) const PLACES: usize = WAIT_MAX - 1;
/// How long a helper without work stays, in milliseconds.
const IDLE: u32 = 1000;

/// How that which a wait took is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// A manual event: a wait takes nothing.
    Nothing,
    Set,
    Release,
}

impl Back {
    fn of(object: &Object) -> io::Result<Back> {
        if object.kind() == Kind::Semaphore {
            return Ok(Back::Release);
        }
        match is_manual(object.handle())? {
            Some(true) => Ok(Back::Nothing),
            Some(false) => Ok(Back::Set),
            None => {
                let why = "its access list does not let you see whether it resets automatically; ask its owner for a \
                           wider --share, or wait for it in a thread";
                Err(Refusal::Denied(why.into()).into())
            }
        }
    }

    /// As if it had not been taken: an event that was set again meanwhile was set twice, a semaphore that is full was
    /// filled by others.
    ///
    /// # Safety
    /// 1. The handle is open.
    unsafe fn give(self, handle: HANDLE) {
        match self {
            Back::Nothing => 1,
            // SAFETY: (1).
            Back::Set => unsafe { SetEvent(handle) },
            // SAFETY: (1), and the count before is not asked for.
            Back::Release => unsafe { ReleaseSemaphore(handle, 1, std::ptr::null_mut()) },
        };
    }
}

/// What a helper sleeps on.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// An object that is taken for the one who watches: how it is given back, and how often it was taken.
    Object(HANDLE, Back, Arc<AtomicU32>),
    /// The event of a bell; its word, which stays mapped while this is armed; and how often it had rung.
    Bell(Arc<OwnedHandle>, *const AtomicU64, u32),
    /// A peer's lock.
    Lock(Arc<OwnedHandle>),
}

// SAFETY: a handle is a number that means the same in every thread, and the word is touched atomically; that the one is
// open and the other mapped is in `Alarm::arm`.
unsafe impl Send for Target {}

impl PartialEq for Target {
    fn eq(&self, other: &Target) -> bool {
        let same = match (self, other) {
            (Target::Object(_, _, one), Target::Object(_, _, two)) => Arc::ptr_eq(one, two),
            (Target::Bell(_, one, rings), Target::Bell(_, two, then)) => (one, rings) == (two, then),
            (Target::Lock(_), Target::Lock(_)) => true,
            _ => false,
        };
        same && self.handle() == other.handle()
    }
}

impl Target {
    fn handle(&self) -> HANDLE {
        match self {
            Target::Object(handle, ..) => *handle,
            Target::Bell(handle, ..) | Target::Lock(handle) => handle.as_raw_handle(),
        }
    }

    /// How many handles it is.
    pub(super) fn places(&self) -> usize {
        1
    }

    /// Of a bell, whether it has rung since.
    ///
    /// # Safety
    /// 1. It is armed.
    unsafe fn has_rung(&self) -> bool {
        let Target::Bell(_, word, rings) = self else { return false };
        // SAFETY: (1), so the word is mapped.
        state_of(unsafe { &**word }.load(Ordering::Acquire)) != *rings // pairs with the exchange in `commit`
    }
}

/// What wakes a helper to look at its list again.
#[derive(Debug)]
pub(super) struct Bell(OwnedHandle);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        // SAFETY: no attributes and no name.
        let event = unsafe { CreateEventW(std::ptr::null(), 0, 0, std::ptr::null()) };
        // SAFETY: the call has just returned it, to us alone.
        unsafe { owned(event) }.map(Bell)
    }

    pub(super) fn ring(&self) {
        // SAFETY: the handle is open.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    pub(super) fn hush(&self) {
        // SAFETY: the handle is open.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }
}

/// A helper has slept; whose object it has taken.
pub(super) struct Slept {
    taken: Option<(u64, Target)>,
    failed: bool,
}

/// Sleeps until the bell rings or an object was taken.
pub(super) fn sleep(bell: &Bell, targets: &Targets) -> Slept {
    let mut handles = vec![bell.0.as_raw_handle()];
    let mut whose = Vec::new();
    for each in targets {
        // The system wants no handle twice: who shares one has his turn when the first has gone.
        if !handles.contains(&each.1.handle()) {
            handles.push(each.1.handle());
            whose.push(each);
        }
    }
    // Who should have set the event of a bell may have been terminated before.
    let time = match targets.iter().any(|(_, target)| matches!(target, Target::Bell(..))) {
        true => millis(BACK_STOP),
        false if targets.is_empty() => IDLE,
        false => INFINITE,
    };
    // SAFETY: the handles are open, since who disarms an alarm that we sleep on waits for the end of this sleep; and
    // there are as many as said.
    let result = unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, time) };
    if result == WAIT_FAILED {
        // Somebody closed a handle that was not his. All look for themselves, at their leisure.
        std::thread::sleep(Duration::from_millis(1));
    }
    let index = match result {
        WAIT_FAILED => 0,
        _ if result < handles.len() as u32 => result,
        _ => result.wrapping_sub(WAIT_ABANDONED_0),
    };
    let taken = (index as usize).checked_sub(1).and_then(|index| whose.get(index).copied().cloned());
    if let Some((_, Target::Lock(lock))) = &taken {
        // Who waits for a kernel mutex takes it. The word beside it still tells what its owner did.
        // SAFETY: the target keeps it open.
        unsafe { ReleaseMutex(lock.as_raw_handle()) };
    }
    Slept { taken, failed: result == WAIT_FAILED }
}

impl Slept {
    /// Whether the one of this number should look.
    pub(super) fn tells(&mut self, id: u64, target: &Target) -> bool {
        let taken = self.taken.take_if(|(whose, _)| *whose == id);
        match &taken {
            Some((_, Target::Object(_, _, had))) => _ = had.fetch_add(1, Ordering::Relaxed), // the lock of the list orders it
            // A ring is for all; the event wakes one, who wakes the next.
            // SAFETY: it stands on the list of the armed, whose lock we have.
            Some((_, bell)) if unsafe { bell.has_rung() } => {
                // SAFETY: the target keeps it open.
                unsafe { SetEvent(bell.handle()) };
            }
            _ => {}
        }
        // SAFETY: as above.
        taken.is_some() || self.failed || unsafe { target.has_rung() }
    }

    pub(super) fn settle(self) {
        match self.taken {
            // SAFETY: who disarmed it waits until we have settled, under the lock, and keeps it open.
            Some((_, Target::Object(handle, back, _))) => unsafe { back.give(handle) },
            // Whoever else sleeps there looks once for nothing, perhaps.
            // SAFETY: the target keeps it open.
            Some((_, Target::Bell(event, ..))) => _ = unsafe { SetEvent(event.as_raw_handle()) },
            _ => {}
        }
    }
}

/// Starts a thread; there are no signals here.
pub(super) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    start()
}

pub(super) fn helpers() -> &'static Helpers {
    static HELPERS: Helpers = Helpers::new();
    &HELPERS
}

/// An event or a semaphore that somebody wants to have without sleeping.
#[derive(Debug)]
pub(crate) struct Watch {
    alarm: Alarm,
    object: Arc<Object>,
    back: Back,
    /// How often a helper has taken it for us.
    had: Arc<AtomicU32>,
}

impl Watch {
    pub(crate) fn new(object: Arc<Object>) -> io::Result<Watch> {
        let back = Back::of(&object)?;
        Ok(Watch { alarm: Alarm::new(), object, back, had: Arc::default() })
    }

    /// Takes it if it can be had now; if not, `waker` is woken once when it was taken for us.
    pub(crate) fn poll_take(&self, waker: &Waker) -> io::Result<bool> {
        // What was taken for us is ours before anything else. Relaxed: the waker, or the lock in `arm`, orders it.
        let ours = self.had.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |had| had.checked_sub(1));
        if ours.is_ok() || self.object.take(Some(Duration::ZERO))?.is_some() {
            return Ok(true);
        }
        let target = Target::Object(self.object.handle().as_raw_handle(), self.back, Arc::clone(&self.had));
        // SAFETY: the handle is open while the object lives, which the alarm does not outlive.
        unsafe { self.alarm.arm(target, waker) }?;
        Ok(false)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.alarm.disarm();
        for _ in 0..self.had.load(Ordering::Relaxed) {
            // SAFETY: the object is dropped after this, so its handle is open.
            unsafe { self.back.give(self.object.handle().as_raw_handle()) };
        }
    }
}
