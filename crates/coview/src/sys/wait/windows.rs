//! Sleeping on a word that processes share, by an event of the kernel's: its own word waits know one process only.

use std::io;
use std::os::windows::io::AsRawHandle;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use windows_sys::Win32::System::Threading::{INFINITE, SetEvent, WaitForSingleObject};

use crate::primitive::AtomicU64;
use crate::step::back_stop;
use crate::sys::lock::{KernelObject, kernel_object};

/// The longest sleep. A process that is terminated between changing a word and setting its event, or between being
/// woken and waking the next, leaves others asleep for this long; the kernel passes nothing on.
pub(crate) const BACK_STOP: Duration = back_stop(Duration::from_millis(100));

/// A time in milliseconds, rounded up: a wait never ends before its time. Longer than 49 days is waited for in pieces.
pub(crate) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}

/// Nothing to join: no call of the system makes the fences of another process whole.
pub(crate) fn join_fences() {}

/// Stands between a store and a load of what another process stores before its [`heavy_fence`] and loads behind it: at least
/// one of the two sees the other's store.
#[inline]
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

/// As [`light_fence`].
pub(crate) fn heavy_fence() -> bool {
    fence(Ordering::SeqCst);
    true
}

/// Where the sleepers of a commit word are: an automatic-reset event.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    id: &'a AtomicU64,
}

impl<'a> Spot<'a> {
    /// Whether `wake_all` wakes all by itself.
    pub(crate) const WAKES_ALL: bool = false;

    pub(crate) fn of(_word: &'a AtomicU64, id: &'a AtomicU64) -> Spot<'a> {
        Spot { id }
    }

    /// The number of the event.
    pub(crate) fn id(self) -> &'a AtomicU64 {
        self.id
    }

    /// Opens the event, before the word says that somebody sleeps: who wakes finds the same one.
    pub(crate) fn prepare(self) -> io::Result<()> {
        kernel_object(KernelObject::Wake, self.id).map(drop)
    }

    pub(crate) fn sleep(self, _expected: u32, left: Duration) -> io::Result<()> {
        let event = kernel_object(KernelObject::Wake, self.id)?;
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(event.as_raw_handle(), millis(left.min(BACK_STOP))) };
        Ok(())
    }

    /// Wakes one, who wakes the next. Set while nobody sleeps it wakes the next to sleep, once, for nothing.
    pub(crate) fn wake_all(self) {
        // It cannot be opened only if it is another user's; then the sleepers look by themselves before long.
        if let Ok(event) = kernel_object(KernelObject::Wake, self.id) {
            // SAFETY: the handle is open.
            unsafe { SetEvent(event.as_raw_handle()) };
        }
    }
}
