//! A mutex in shared memory that notices the death of its owner: the kernel marks the word of every lock on the
//! robust list of a thread that dies, and wakes one who waits.
//!
//! Its protocol, and why the ready-made one strands waiters, is in `docs/format.md`.

use std::io;
use std::ptr::null_mut;

use super::Taken;
use super::thread_linux::{Me, me};
use crate::primitive::{AtomicU32, Ordering};
use crate::step::is_broken;
use crate::sys::wait::wake;

const TID: u32 = 0x3fff_ffff;
const DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;

/// Where the list node behind a lock word lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// In memory of this process alone.
    Private,
    /// In memory that other processes write.
    Placed,
}

/// The words of one lock, which others placed.
#[derive(Clone, Copy)]
pub(crate) struct Robust<'a> {
    /// Owner's thread number, DIED, WAITERS.
    pub(crate) word: &'a AtomicU32,
    /// How many wait, or more: one that is killed while waiting stays counted, which costs a needless wake-up.
    pub(crate) waiting: &'a AtomicU32,
    /// How often the owner has it beyond the first.
    pub(crate) depth: &'a AtomicU32,
    pub(crate) node: Node,
}

impl Robust<'_> {
    /// Takes it if it is free, ours, or its owner died. `waited`: this thread is `enlist`ed; then WAITERS stays,
    /// since others may sleep too.
    ///
    /// # Safety
    /// 1. The node of `word` (see [`Me::node_of`]) lies where `node` says: private from 8 bytes before it to 8 behind, placed
    ///    8 behind; it is for this lock alone and stays mapped for as long as the lock is held.
    pub(crate) unsafe fn try_lock(&self, waited: bool) -> io::Result<Option<Taken>> {
        let me = me()?;
        let node = me.node_of(self.word);
        let before = me.announce(node);
        // Acquire: pairs with the Release in `unlock`.
        let free = match waited {
            false => self.word.compare_exchange(0, me.tid(), Ordering::Acquire, Ordering::Relaxed),
            true => Err(self.word.load(Ordering::Relaxed)),
        };
        let taken = match free {
            Ok(_) => Some(Taken::Clean),
            Err(value) if value & TID == me.tid() => {
                me.settle(before);
                self.depth.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(Taken::Clean));
            }
            Err(value) => self.take_over(me, value),
        };
        if taken.is_some() {
            self.depth.store(0, Ordering::Relaxed);
            match self.node {
                // SAFETY: (1), and it is on no list, since we did not own the lock.
                Node::Private => unsafe { me.link(node) },
                // SAFETY: as above.
                Node::Placed if is_broken("placed lock: not on the list") => {}
                // SAFETY: as above.
                Node::Placed => unsafe { me.link_placed(node) },
            }
        }
        me.settle(before);
        Ok(taken)
    }

    /// Takes a word without owner. A taker on this path leaves WAITERS set: others may sleep.
    fn take_over(&self, me: Me, mut value: u32) -> Option<Taken> {
        while value & TID == 0 {
            // Acquire: pairs with the Release in `unlock`, and with the kernel's own exchange when an owner died.
            match self.word.compare_exchange(value, me.tid() | WAITERS, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if value & DIED != 0 && !is_broken("mutex: the death is not told") => {
                    return Some(Taken::Abandoned);
                }
                Ok(_) => return Some(Taken::Clean),
                Err(now) => value = now,
            }
        }
        None
    }

    /// Counts a waiter, so that the one who unlocks knows.
    pub(crate) fn enlist(&self) {
        // SeqCst: this, then the kernel's look at the word; in `unlock` the word, then the loads of this. One sees the other.
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn retire(&self) {
        // Saturating: memory that others can write may say anything.
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// Marks the word as waited for; what a sleeper expects. `None`: it is free, try again.
    pub(crate) fn expect(&self) -> Option<u32> {
        let value = self.word.load(Ordering::Relaxed);
        if value & TID == 0 {
            return None;
        }
        if value & WAITERS != 0 {
            return Some(value);
        }
        let marked = value | WAITERS;
        // Release: pairs with the Acquire on failure in `unlock`: who sees the mark sees the count.
        self.word.compare_exchange(value, marked, Ordering::Release, Ordering::Relaxed).ok().map(|_| marked)
    }

    /// Gives it back once. `false`: this thread does not own it. `abandon`: as if the owner had died.
    ///
    /// # Safety
    /// As [`Robust::try_lock`].
    pub(crate) unsafe fn unlock(&self, abandon: bool) -> io::Result<bool> {
        let me = me()?;
        if self.word.load(Ordering::Relaxed) & TID != me.tid() {
            // A peer may have written over a word that we have: then its node is on our list all the same.
            if self.node == Node::Placed {
                me.unlink_placed(me.node_of(self.word));
            }
            return Ok(false);
        }
        let depth = self.depth.load(Ordering::Relaxed);
        if depth > 0 {
            self.depth.store(depth - 1, Ordering::Relaxed);
            return Ok(true);
        }
        let node = me.node_of(self.word);
        let before = me.announce(if is_broken("mutex: unlock is not announced") { null_mut() } else { node });
        match self.node {
            // SAFETY: we own the lock at its first depth, so we have linked the node and not unlinked it since.
            Node::Private => unsafe { me.unlink(node) },
            Node::Placed => me.unlink_placed(node),
        }
        let free = if abandon { DIED } else { 0 };
        // Release, which is in SeqCst: pairs with the Acquire in `try_lock` and `take_over`. Acquire on failure: pairs with the
        // Release in `expect`: who set WAITERS had counted itself before, and is seen to have. SeqCst: as in `enlist`.
        if self.word.compare_exchange(me.tid(), free, Ordering::SeqCst, Ordering::Acquire).is_err() {
            // Somebody waits. As long as anybody may, WAITERS stays, and the kernel knows whom to wake if we die here.
            let keep = if self.waiting.load(Ordering::SeqCst) == 0 { 0 } else { WAITERS };
            // An exchange, not a store: it takes the place of the newest mark, and none is set behind its back.
            self.word.swap(free | keep, Ordering::SeqCst);
        }
        // Also without WAITERS: the owner before may have died between clearing it and waking.
        if self.waiting.load(Ordering::SeqCst) != 0 {
            wake(self.word, 1);
        }
        me.settle(before);
        Ok(true)
    }

    /// Thread number of the owner, if it has one; whether the last owner died with it.
    pub(crate) fn owner(&self) -> (Option<u32>, bool) {
        let value = self.word.load(Ordering::Relaxed);
        (Some(value & TID).filter(|tid| *tid != 0), value & DIED != 0)
    }
}
