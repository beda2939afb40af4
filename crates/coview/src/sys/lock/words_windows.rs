//! A placed lock on Windows: a kernel mutex, and a word that says whether its last owner gave it back.

// It is const; this target's macro hides that.
#![allow(clippy::missing_const_for_thread_local)]

use std::cell::RefCell;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Duration;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    GetCurrentThreadId, ReleaseMutex, WaitForMultipleObjects, WaitForSingleObject,
};

use super::kernel_windows::{KernelObject, kernel_object, number};
use super::{Taken, Words};
use crate::primitive::Ordering;
use crate::sys::Refusal;
use crate::sys::wait::{BACK_STOP, Deadline, Spot, millis};

/// In the word: given back by somebody who had not repaired what the owner before left.
const ABANDONED: u32 = u32::MAX;

/// There is nothing to tell the kernel before a word is changed: its mutexes and events are its own.
pub(crate) struct Pending;

/// Processes are not forked here.
pub(crate) fn forks() -> u32 {
    0
}

pub(crate) fn announce(_spot: Spot<'_>) -> io::Result<Pending> {
    Ok(Pending)
}

thread_local! {
    /// The locks this thread has.
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// A lock that was taken: where its words are, its number then, and the handle. Not asked of the words again, which a
/// peer may write over.
struct Held {
    address: usize,
    number: u64,
    handle: Arc<OwnedHandle>,
}

impl Words {
    /// Kernel objects mean the same to all.
    pub(crate) fn check_namespace(&self) -> io::Result<()> {
        Ok(())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The kernel mutex, which its owner's death leaves to others.
    pub(crate) fn handle(&self) -> io::Result<Arc<OwnedHandle>> {
        kernel_object(KernelObject::Lock, &self.id)
    }

    /// Whether nobody has it, or this thread.
    pub(crate) fn is_free(&self) -> io::Result<bool> {
        let handle = self.handle()?;
        // SAFETY: the handle is open.
        match unsafe { WaitForSingleObject(handle.as_raw_handle(), 0) } {
            WAIT_FAILED => Err(io::Error::last_os_error()),
            WAIT_OBJECT_0 | WAIT_ABANDONED_0 => {
                // Waiting for it has taken it. The word still tells what its owner did.
                // SAFETY: the handle is open.
                unsafe { ReleaseMutex(handle.as_raw_handle()) };
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Takes it if it is free.
    ///
    /// # Errors
    /// Invalid if this thread has it. AccessDenied if another user's process was the first to use it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<Taken>> {
        self.lock(Some(Duration::ZERO))
    }

    /// Takes it, waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Words::try_lock`].
    pub(crate) fn lock(&self, timeout: Option<Duration>) -> io::Result<Option<Taken>> {
        let number = number(&self.id);
        if HELD.with_borrow(|held| held.iter().any(|lock| lock.number == number)) {
            return Err(Refusal::Invalid("this thread has it already, and it is not recursive".into()).into());
        }
        let handle = kernel_object(KernelObject::Lock, &self.id)?;
        let until = Deadline::after(timeout);
        loop {
            let left = until.left();
            // SAFETY: the handle is open.
            match unsafe { WaitForSingleObject(handle.as_raw_handle(), millis(left.unwrap_or(Duration::ZERO))) } {
                // Abandoned or not: if all who knew the kernel's mutex had died, it is a new one. The word tells.
                WAIT_OBJECT_0 | WAIT_ABANDONED_0 => break,
                WAIT_FAILED => return Err(io::Error::last_os_error()),
                _ if until.left().is_none() => return Ok(None),
                _ => {}
            }
        }
        HELD.with_borrow_mut(|held| held.push(Held { address: self.address(), number, handle }));
        // SAFETY: it has no conditions.
        let me = unsafe { GetCurrentThreadId() };
        // Acquire: pairs with the Release in `unlock`.
        Ok(Some(match self.word.swap(me, Ordering::Acquire) {
            0 => Taken::Clean,
            _ => Taken::Abandoned,
        }))
    }

    /// Gives it back; `abandon`: as if its owner had died. `false`: this thread does not have it.
    pub(crate) fn unlock(&self, abandon: bool) -> io::Result<bool> {
        let take = |held: &mut Vec<Held>| {
            held.iter().rposition(|lock| lock.address == self.address()).map(|at| held.swap_remove(at))
        };
        let Some(Held { handle, .. }) = HELD.with_borrow_mut(take) else {
            return Ok(false);
        };
        // Release: pairs with the Acquire in `lock`.
        self.word.store(if abandon { ABANDONED } else { 0 }, Ordering::Release);
        // SAFETY: the handle is open.
        match unsafe { ReleaseMutex(handle.as_raw_handle()) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(true),
        }
    }
}

/// Sleeps on a word, and on the locks of `peers`: whether one of these has no owner.
pub(crate) fn park(spot: Spot<'_>, expected: [u32; 2], peers: &[&Words], left: Duration) -> io::Result<bool> {
    if peers.is_empty() {
        spot.sleep(expected[0], left)?;
        return Ok(false);
    }
    let wake = kernel_object(KernelObject::Wake, spot.id())?;
    let locks: Vec<_> = peers.iter().map(|peer| peer.handle()).collect::<io::Result<_>>()?;
    let handles: Vec<_> = std::iter::once(&wake).chain(&locks).map(|handle| handle.as_raw_handle()).collect();
    let count = handles.len() as u32; // at most 63: who sleeps beside more looks after the rest himself
    // SAFETY: the handles are open, and there are as many as said.
    let result = unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, millis(left.min(BACK_STOP))) };
    let index = match result {
        WAIT_FAILED => return Err(io::Error::last_os_error()),
        _ if result < count => result,
        _ if (WAIT_ABANDONED_0..WAIT_ABANDONED_0 + count).contains(&result) => result - WAIT_ABANDONED_0,
        _ => return Ok(false),
    };
    if index == 0 {
        return Ok(false);
    }
    // Waiting for a kernel mutex takes it. The word still tells what its owner did.
    // SAFETY: the handle is open.
    unsafe { ReleaseMutex(handles[index as usize]) };
    Ok(true)
}
