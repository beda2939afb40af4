//! A state and its sleepers in one atomic word, so that whoever dies between changing and waking loses nobody.
//!
//! The low half is the state, the high half the futex word, of which only the topmost bit (somebody sleeps) is
//! ever set: the kernel takes a pending word whose owner bits are 0 for an unlock that its dead owner did not
//! finish, and wakes one sleeper, who wakes the rest. The argument is in `docs/format.md`.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::thread_linux::me;
use crate::sys::wait::wake;

const SLEEPERS: u64 = 1 << 63;
const SLEEPERS_WORD: u32 = 1 << 31;

/// The word; little-endian, so the futex half is the later four bytes.
#[derive(Clone, Copy)]
pub(crate) struct CommitWord<'a>(pub(crate) &'a AtomicU64);

fn state_of(value: u64) -> u32 {
    value as u32
}

impl<'a> CommitWord<'a> {
    /// The half that is slept on.
    pub(crate) fn futex(self) -> &'a AtomicU32 {
        let half = if cfg!(target_endian = "little") { 1 } else { 0 };
        let at = self.0.as_ptr().cast::<u32>().wrapping_add(half);
        // SAFETY: it lies inside the atomic, which lives for 'a, is aligned for it, and is only touched atomically.
        unsafe { AtomicU32::from_ptr(at) }
    }

    /// Changes the state, if `change` says so, and wakes who sleeps. Returns the state before; `Err` with it if
    /// `change` refused.
    pub(crate) fn commit(self, change: impl Fn(u32) -> Option<u32>) -> io::Result<Result<u32, u32>> {
        let me = me()?;
        let before = me.announce(me.node_of(self.futex()));
        let mut value = self.0.load(Ordering::Relaxed);
        let done = loop {
            let Some(state) = change(state_of(value)) else {
                break Err(state_of(value));
            };
            // SeqCst, sleepers cleared in the same step: pairs with the exchange in `take` and `expect`.
            match self.0.compare_exchange_weak(value, u64::from(state), Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    if value & SLEEPERS != 0 {
                        wake(self.futex(), u32::MAX >> 1);
                    }
                    break Ok(state_of(value));
                }
                Err(now) => value = now,
            }
        };
        me.settle(before);
        Ok(done)
    }

    /// Takes what `take` allows: `Some(new state)`. Sleepers stay marked.
    pub(crate) fn take(self, take: impl Fn(u32) -> Option<u32>) -> bool {
        let mut value = self.0.load(Ordering::SeqCst);
        while let Some(state) = take(state_of(value)) {
            let next = u64::from(state) | value & SLEEPERS;
            match self.0.compare_exchange_weak(value, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => value = now,
            }
        }
        false
    }

    /// Marks that somebody sleeps, in the same step that saw nothing to take; what the sleeper expects. `None`: there
    /// is something now.
    pub(crate) fn expect(self, take: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut value = self.0.load(Ordering::SeqCst);
        while take(state_of(value)).is_none() {
            if value & SLEEPERS != 0 {
                return Some(SLEEPERS_WORD);
            }
            match self.0.compare_exchange_weak(value, value | SLEEPERS, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(SLEEPERS_WORD),
                Err(now) => value = now,
            }
        }
        None
    }

    /// A sleeper who was woken passes it on: the one who should have woken all may have died after the first.
    pub(crate) fn relay(self) {
        if self.0.load(Ordering::SeqCst) & SLEEPERS == 0 {
            wake(self.futex(), u32::MAX >> 1);
        }
    }
}
