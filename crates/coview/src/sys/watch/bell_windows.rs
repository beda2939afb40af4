//! Listening for a bell on Windows: its event, and the kernel mutexes of those who may die before they ring.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;
use std::task::Waker;

use super::helper::Alarm;
use super::windows::Target;
use crate::sys::lock::{CommitWord, KernelObject, Words, kernel_object};

/// One who wants to know that a bell rang, or that one of those who might ring it has gone. Dropped, it listens no more.
#[derive(Debug)]
pub(crate) struct Listener {
    bell: Alarm,
    /// The locks whose owners are listened for.
    beside: Vec<(Arc<OwnedHandle>, Alarm)>,
}

impl Listener {
    pub(crate) fn new() -> Listener {
        Listener { bell: Alarm::new(), beside: Vec::new() }
    }

    /// Lets `waker` be woken, once or a few times, when the bell rings or a lock of `peers` has no owner any more. They are asked for
    /// behind the mark that somebody sleeps; `None`: there is something now, and the waker may not be woken. Returns whether one of
    /// them has no owner now.
    ///
    /// # Safety
    /// 1. The words of the bell stay mapped until the listener is dropped.
    pub(crate) unsafe fn listen<'w>(
        &mut self,
        bell: CommitWord<'_>,
        waker: &Waker,
        peers: impl FnOnce() -> Option<Vec<&'w Words>>,
    ) -> io::Result<Option<bool>> {
        // Before the mark: who rings finds the same event, and a ring between the two is seen as one.
        let (event, rings) = (kernel_object(KernelObject::Wake, bell.id)?, bell.state());
        if bell.expect(|_| None).is_none() {
            return Ok(None);
        }
        // SAFETY: (1), and dropping the listener disarms the alarm.
        unsafe { self.bell.arm(Target::Bell(event, bell.word, rings), waker) }?;
        let Some(peers) = peers() else {
            return Ok(None);
        };
        let locks: Vec<_> = peers.iter().map(|lock| lock.handle()).collect::<io::Result<_>>()?;
        self.beside.retain(|(handle, _)| locks.iter().any(|lock| Arc::ptr_eq(lock, handle)));
        let mut gone = false;
        for lock in peers {
            // SAFETY: (1).
            gone |= !unsafe { self.listen_beside(lock, waker) }?;
        }
        Ok(Some(gone))
    }

    /// Lets `waker` be woken when the lock has no owner any more. `false`: it has none now.
    ///
    /// # Safety
    /// None; it has conditions on Linux.
    pub(crate) unsafe fn listen_beside(&mut self, lock: &Words, waker: &Waker) -> io::Result<bool> {
        if lock.is_free()? {
            return Ok(false);
        }
        let handle = lock.handle()?;
        let at = match self.beside.iter().position(|(have, _)| Arc::ptr_eq(have, &handle)) {
            Some(at) => at,
            None => {
                self.beside.push((Arc::clone(&handle), Alarm::new()));
                self.beside.len() - 1
            }
        };
        // SAFETY: the target keeps its handle open.
        unsafe { self.beside[at].1.arm(Target::Lock(handle), waker) }?;
        Ok(true)
    }
}
