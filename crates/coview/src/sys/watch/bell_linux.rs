//! Listening for a bell on Linux: its futex word, and the locks of those who may die before they ring.

use std::io;
use std::task::Waker;

use super::helper::{Alarm, Helpers};
use super::linux::{Target, helpers};
use crate::sys::lock::{CommitWord, Words};
use crate::sys::wait::heavy_fence;

/// One who wants to know that a bell rang, or that one of those who might ring it has gone. Dropped, it listens no more.
#[derive(Debug)]
pub(crate) struct Listener {
    bell: Alarm,
    beside: Vec<Beside>,
    /// Where its alarms are armed: not here, if this is a fork child of the process that armed them.
    home: &'static Helpers,
}

/// A lock whose owner is listened for.
#[derive(Debug)]
struct Beside {
    alarm: Alarm,
    lock: *const Words,
    home: &'static Helpers,
}

// SAFETY: the lock is shared between processes and touched atomically alone; that it is mapped is in `Listener::listen`.
unsafe impl Send for Beside {}
// SAFETY: as above.
unsafe impl Sync for Beside {}

impl Drop for Beside {
    fn drop(&mut self) {
        self.alarm.disarm();
        // In a fork child the count is the parent's.
        if std::ptr::eq(self.home, helpers()) {
            // SAFETY: by the contract of `listen` it is mapped.
            unsafe { &*self.lock }.robust().retire();
        }
    }
}

impl Listener {
    pub(crate) fn new() -> Listener {
        Listener { bell: Alarm::new(), beside: Vec::new(), home: helpers() }
    }

    /// Lets `waker` be woken, once or a few times, when the bell rings or a lock of `peers` has no owner any more. They are asked for
    /// behind the mark that somebody sleeps; `None`: there is something now, and the waker may not be woken. Returns whether one of
    /// them has no owner now.
    ///
    /// # Safety
    /// 1. The words of the bell and of the locks stay mapped until the listener is dropped.
    pub(crate) unsafe fn listen<'w>(
        &mut self,
        bell: CommitWord<'_>,
        waker: &Waker,
        peers: impl FnOnce() -> Option<Vec<&'w Words>>,
    ) -> io::Result<Option<bool>> {
        self.come_home();
        // Before the mark: a ring between the two is seen as a ring.
        let rings = bell.state();
        let Some(expected) = bell.expect(|_| None) else {
            return Ok(None);
        };
        let target = Target::new(bell.spot().word(), expected).counted(bell.spot().state(), rings);
        let target = target.unfenced(!heavy_fence());
        // SAFETY: (1), and dropping the listener disarms the alarm.
        unsafe { self.bell.arm(target, waker) }?;
        let Some(peers) = peers() else {
            return Ok(None);
        };
        self.beside.retain(|one| peers.iter().any(|lock| std::ptr::eq(*lock, one.lock)));
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
    /// As [`listen`](Self::listen).
    pub(crate) unsafe fn listen_beside(&mut self, lock: &Words, waker: &Waker) -> io::Result<bool> {
        self.come_home();
        let at = match self.beside.iter().position(|one| std::ptr::eq(one.lock, lock)) {
            Some(at) => at,
            None => {
                // Counted, so that one who gives the lock back in peace wakes us too.
                lock.robust().enlist();
                self.beside.push(Beside { alarm: Alarm::new(), lock, home: self.home });
                self.beside.len() - 1
            }
        };
        match lock.owned() {
            // SAFETY: (1), and dropping the listener disarms the alarm.
            Some((word, expected)) => unsafe { self.beside[at].alarm.arm(Target::new(word, expected), waker) }?,
            None => return Ok(false),
        }
        Ok(true)
    }

    fn come_home(&mut self) {
        if !std::ptr::eq(self.home, helpers()) {
            self.beside.clear();
            self.home = helpers();
        }
    }
}
