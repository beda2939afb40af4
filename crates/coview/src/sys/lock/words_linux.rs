//! A placed lock on Linux: the robust mutex, with its list node among the words.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::anchor_linux::enclosed_in;
use super::robust_linux::{Node, Robust};
use super::thread_linux::{Me, known, me};
use super::{Taken, Words};
use crate::primitive::{AtomicU32, Ordering, fence};
use crate::sys::Refusal;
use crate::sys::wait::{Deadline, Spot, sleep, wake};

impl Words {
    #[inline(always)]
    pub(crate) fn robust(&self) -> Robust<'_> {
        // A placed lock is taken once: the depth stays 0.
        Robust { word: &self.word, waiting: &self.waiting, depth: &self.reserved, node: Node::Placed }
    }

    /// Takes it if it is free.
    ///
    /// # Errors
    /// Invalid if this thread has it. Unsupported if it is used from another PID namespace.
    #[inline]
    pub(crate) fn try_lock(&self) -> io::Result<Option<Taken>> {
        self.lock(Some(Duration::ZERO))
    }

    /// Takes it for a thread that sleeps. `None` also if that one has it.
    ///
    /// # Safety
    /// 1. The words stay mapped until [`unlock_as`](Self::unlock_as), or the process ends.
    pub(super) unsafe fn try_lock_as(&self, thread: Me) -> io::Result<Option<Taken>> {
        match self.robust().owner().0 {
            Some(owner) if owner == thread.tid() => Ok(None),
            _ => self.attempt(thread, false),
        }
    }

    /// Gives back what a sleeping thread has.
    pub(super) fn unlock_as(&self, thread: Me) -> bool {
        self.robust().unlock(thread, false)
    }

    fn attempt(&self, me: Me, waited: bool) -> io::Result<Option<Taken>> {
        if self.id.load(Ordering::Relaxed) != me.namespace() {
            self.join(me)?;
        }
        // SAFETY: the node lies inside these words. Who holds the lock keeps them mapped: a guard borrows them, and a
        // view in which a forgotten guard's lock stands is not unmapped (`held_within`).
        unsafe { self.robust().try_lock(me, waited) }
    }

    /// Takes it, waiting for at most `timeout`.
    ///
    /// # Errors
    /// As [`Words::try_lock`].
    #[inline(always)]
    pub(crate) fn lock(&self, timeout: Option<Duration>) -> io::Result<Option<Taken>> {
        if let Some(me) = known()
            && self.id.load(Ordering::Relaxed) == me.namespace()
            // SAFETY: as in `attempt`.
            && unsafe { self.robust().take_free(me) }
        {
            return Ok(Some(Taken::Clean));
        }
        self.wait(timeout)
    }

    #[cold]
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Option<Taken>> {
        let me = me()?;
        let robust = self.robust();
        let taken = match self.attempt(me, false)? {
            None if timeout != Some(Duration::ZERO) && robust.spin() => self.attempt(me, false)?,
            taken => taken,
        };
        if taken.is_some() || timeout == Some(Duration::ZERO) {
            return Ok(taken);
        }
        let until = Deadline::after(timeout);
        // If this thread is killed with a wake-up in its hands, the kernel passes that on.
        let _pending = me.pending_on(&self.word);
        robust.enlist();
        let result = loop {
            match self.attempt(me, true) {
                Ok(None) => {}
                done => break done,
            }
            let Some(left) = until.left() else {
                break Ok(None);
            };
            if let Some(expected) = robust.expect()
                && let Err(error) = sleep(&[(&self.word, expected)], left)
            {
                break Err(error);
            }
        };
        robust.retire();
        result
    }

    /// Gives it back; `abandon`: as if its owner had died. `false`: this thread does not have it.
    #[inline(always)]
    pub(crate) fn unlock(&self, abandon: bool) -> io::Result<bool> {
        Ok(self.robust().unlock(me()?, abandon))
    }

    /// What a sleeper expects of the word for as long as it has its owner.
    pub(crate) fn owned(&self) -> Option<(&AtomicU32, u32)> {
        loop {
            match self.robust().expect() {
                Some(expected) => return Some((&self.word, expected)),
                None if self.robust().owner().0.is_none() => return None,
                None => {} // it changed under us
            }
        }
    }

    /// Refuses who is in another PID namespace than those who have used it.
    pub(crate) fn check_namespace(&self) -> io::Result<()> {
        match self.id.load(Ordering::Relaxed) {
            0 => Ok(()),
            known if known == me()?.namespace() => Ok(()),
            _ => Err(elsewhere()),
        }
    }

    /// Thread numbers mean something in one PID namespace alone: the first to come says in which.
    #[cold]
    fn join(&self, me: Me) -> io::Result<()> {
        match self.id.compare_exchange(0, me.namespace(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(known) if known == me.namespace() => Ok(()),
            Err(_) => Err(elsewhere()),
        }
    }
}

fn elsewhere() -> io::Error {
    let why = "it is used from another PID namespace, where thread numbers mean other threads; \
               share the PID namespace (--pid=container:… or hostPID) to use it";
    Refusal::Unsupported(why.into()).into()
}

/// Sleeps on both halves of a word, and on the locks of `peers`: whether one of these has no owner. `expected`: of the half that
/// is slept on and of the state.
pub(crate) fn park(spot: Spot<'_>, expected: [u32; 2], peers: &[&Words], left: Duration) -> io::Result<bool> {
    let state = spot.state().map(|state| (state, expected[1]));
    let mut watched: Vec<_> = std::iter::once((spot.word(), expected[0])).chain(state).collect();
    if peers.is_empty() {
        sleep(&watched, left)?;
        return Ok(false);
    }
    // Counted, so that one who gives a lock back in peace wakes us too.
    peers.iter().for_each(|peer| peer.robust().enlist());
    let words: Vec<_> = peers.iter().map_while(|peer| peer.owned()).collect();
    let all = words.len() == peers.len();
    watched.extend(words);
    let slept = if all { sleep(&watched, left) } else { Ok(()) };
    peers.iter().for_each(|peer| peer.robust().retire());
    slept?;
    let gone = peers.iter().find(|peer| peer.robust().owner().0.is_none());
    // Acquire: pairs with the Release in `unlock`, and with the kernel's own exchange when an owner died: who sees that it
    // is gone sees what it did last.
    fence(Ordering::Acquire);
    if let Some(peer) = gone {
        // A death wakes one, and so does a lock given back: the others sleep as we did.
        wake(&peer.word, u32::MAX >> 1);
    }
    Ok(gone.is_some())
}

/// Whether a thread of this process has a placed lock in these addresses, which are mapped.
pub(crate) fn held_within(range: Range<usize>) -> bool {
    enclosed_in(&range).into_iter().any(|node| {
        let Ok(me) = me() else { return false };
        let at = me.word_of(node);
        // A thread that died with a named lock has left its node behind, and this range may have come to its address since.
        if !range.contains(&at.addr()) {
            return false;
        }
        // SAFETY: before a node by a fixed distance there is a lock word, aligned; it lies inside the range, which is mapped.
        let word = unsafe { AtomicU32::from_ptr(at) };
        let owner = Robust { word, waiting: word, depth: word, node: Node::Placed }.owner().0;
        owner.is_some_and(|tid| std::path::Path::new(&format!("/proc/self/task/{tid}")).exists())
    })
}
