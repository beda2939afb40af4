//! A mutex in shared memory that notices the death of its owner: the kernel marks the word of every lock on the
//! robust list of a thread that dies, and wakes one who waits.
//!
//! Its protocol, and why the ready-made one strands waiters, is in `docs/format.md`.

use std::io;
use std::ptr::null_mut;

use super::Taken;
use super::thread_linux::Me;
use crate::primitive::{AtomicU32, Ordering};
use crate::step::is_broken;
use crate::sys::Refusal;
use crate::sys::wait::{spin, wake};

const TID: u32 = 0x3fff_ffff;
const DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;

/// Where the list node behind a lock word lies; in which order the kernel comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// In memory of this process alone, which nobody else can bend.
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
    /// Takes it if it is free and nobody has marked it. `false`: ask [`try_lock`](Robust::try_lock).
    ///
    /// # Safety
    /// 1. The node of `word` (see [`Me::node_of`]) lies where `node` says, with 8 bytes for this lock alone, and stays mapped for
    ///    as long as the lock is held.
    #[inline(always)]
    pub(crate) unsafe fn take_free(self, me: Me) -> bool {
        let before = me.announce(me.node_of(self.word));
        // Acquire: pairs with the Release in `unlock`.
        let free = self.word.compare_exchange(0, me.tid(), Ordering::Acquire, Ordering::Relaxed).is_ok();
        if free {
            // SAFETY: (1).
            unsafe { self.link(me) };
        }
        me.settle(before);
        free
    }

    /// Takes it if it is free, or its owner died, or it is ours and may be taken again. `waited`: this thread is
    /// `enlist`ed; then WAITERS stays, since others may sleep too.
    ///
    /// # Errors
    /// Invalid if this thread has it and its node is placed: such a lock is taken once.
    ///
    /// # Safety
    /// As [`take_free`](Robust::take_free).
    pub(crate) unsafe fn try_lock(self, me: Me, waited: bool) -> io::Result<Option<Taken>> {
        let mut value = self.word.load(Ordering::Relaxed);
        if value & TID == me.tid() {
            if self.node == Node::Placed {
                let why = "this thread has it already, and it is not recursive";
                return Err(Refusal::Invalid(why.into()).into());
            }
            self.depth.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(Taken::Clean));
        }
        let before = me.announce(me.node_of(self.word));
        let mut taken = None;
        while value & TID == 0 {
            // Who waited, or finds a mark, leaves WAITERS set: others may sleep.
            let ours = if value == 0 && !waited { me.tid() } else { me.tid() | WAITERS };
            // Acquire: pairs with the Release in `unlock`, and with the kernel's own exchange when an owner died.
            match self.word.compare_exchange(value, ours, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    // Who died may have had it several times.
                    self.depth.store(0, Ordering::Relaxed);
                    // SAFETY: (1).
                    unsafe { self.link(me) };
                    let died = value & DIED != 0 && !is_broken("mutex: the death is not told");
                    taken = Some(if died { Taken::Abandoned } else { Taken::Clean });
                    break;
                }
                Err(now) => value = now,
            }
        }
        me.settle(before);
        Ok(taken)
    }

    /// # Safety
    /// As [`Robust::take_free`].
    #[inline(always)]
    unsafe fn link(self, me: Me) {
        if !is_broken("lock: not on the list") {
            // SAFETY: (1).
            unsafe { me.link(self.node, me.node_of(self.word)) };
        }
    }

    /// Looks for a while whether it is given back: most owners have a lock for less time than it takes to fall asleep.
    pub(crate) fn spin(&self) -> bool {
        spin(|| self.word.load(Ordering::Relaxed) & TID == 0)
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
    #[inline(always)]
    pub(crate) fn unlock(self, me: Me, abandon: bool) -> bool {
        let deeper = self.node == Node::Private && self.depth.load(Ordering::Relaxed) > 0;
        if self.word.load(Ordering::Relaxed) & TID != me.tid() || deeper {
            return unlock_within((self.word, self.depth), self.node, me);
        }
        let node = me.node_of(self.word);
        let before = me.announce(if is_broken("mutex: unlock is not announced") { null_mut() } else { node });
        me.unlink(self.node, node);
        let free = if abandon { DIED } else { 0 };
        // Release, which is in SeqCst: pairs with the Acquire in `try_lock` and `take_over`. Acquire on failure: pairs with the
        // Release in `expect`: who set WAITERS had counted itself before, and is seen to have. SeqCst: as in `enlist`.
        if self.word.compare_exchange(me.tid(), free, Ordering::SeqCst, Ordering::Acquire).is_err() {
            free_marked(self.word, self.waiting, free);
        }
        // Also without WAITERS: the owner before may have died between clearing it and waking.
        if self.waiting.load(Ordering::SeqCst) != 0 {
            wake(self.word, 1);
        }
        me.settle(before);
        true
    }

    /// Thread number of the owner, if it has one; whether the last owner died with it.
    pub(crate) fn owner(&self) -> (Option<u32>, bool) {
        let value = self.word.load(Ordering::Relaxed);
        (Some(value & TID).filter(|tid| *tid != 0), value & DIED != 0)
    }
}

/// Somebody waits. As long as anybody may, WAITERS stays, and the kernel knows whom to wake if we die here.
#[cold]
fn free_marked(word: &AtomicU32, waiting: &AtomicU32, free: u32) {
    let keep = if waiting.load(Ordering::SeqCst) == 0 { 0 } else { WAITERS };
    // An exchange, not a store: it takes the place of the newest mark, and none is set behind its back.
    word.swap(free | keep, Ordering::SeqCst);
}

/// Gives back what is not ours, or what we have several times.
#[cold]
fn unlock_within((word, depth): (&AtomicU32, &AtomicU32), node: Node, me: Me) -> bool {
    if word.load(Ordering::Relaxed) & TID != me.tid() {
        // A peer may have written over a word that we have: then its node is on our list all the same.
        me.unlink(node, me.node_of(word));
        return false;
    }
    let _ = depth.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |depth| depth.checked_sub(1));
    true
}
