//! A state and its sleepers in one atomic word, so that whoever dies between changing and waking loses nobody.
//!
//! The low half is the state, the high half the futex word, of which only the topmost bit (somebody sleeps) is
//! ever set: the Linux kernel takes a pending word whose owner bits are 0 for an unlock that its dead owner did not
//! finish, and wakes one sleeper, who wakes the rest. The argument is in `docs/format.md`.

use std::io;
use std::time::Duration;

use super::{Words, announce, park};
use crate::primitive::{AtomicU64, Ordering};
use crate::step::is_broken;
use crate::sys::wait::{Deadline, Spot, heavy_fence, light_fence};

/// The longest sleep where the kernel does not order the stores of others: they may not have seen that somebody sleeps.
const UNFENCED: Duration = Duration::from_millis(1);
const SLEEPERS: u64 = 1 << 63;
/// What a sleeper expects of the half that is slept on.
const SLEEPERS_WORD: u32 = 1 << 31;

/// The word; and the number of its kernel object, on systems that need one to sleep.
#[derive(Clone, Copy)]
pub(crate) struct CommitWord<'a> {
    pub(crate) word: &'a AtomicU64,
    pub(crate) id: &'a AtomicU64,
}

/// The state in a commit word's value.
pub(crate) fn state_of(value: u64) -> u32 {
    value as u32
}

impl<'a> CommitWord<'a> {
    /// Where its sleepers are.
    pub(crate) fn spot(self) -> Spot<'a> {
        Spot::of(self.word, self.id)
    }

    /// The state now.
    pub(crate) fn state(self) -> u32 {
        // Acquire: pairs with the exchange in `commit`.
        state_of(self.word.load(Ordering::Acquire))
    }

    /// Changes the state, if `change` says so, and wakes who sleeps. Returns the state before; `Err` with it if
    /// `change` refused.
    pub(crate) fn commit(self, change: impl Fn(u32) -> Option<u32>) -> io::Result<Result<u32, u32>> {
        let _pending = (!is_broken("commit: not announced")).then(|| announce(self.spot())).transpose()?;
        let mut value = self.word.load(Ordering::Relaxed);
        loop {
            let Some(state) = change(state_of(value)) else {
                return Ok(Err(state_of(value)));
            };
            // Release: pairs with the Acquire in `take` and `state`. Acquire: pairs with the Release of those who changed it
            // before; who opens a barrier has seen all who came. Sleepers cleared in the same step: pairs with the exchange
            // in `expect`; both change this one word, so one of them comes first for everybody.
            let left = if is_broken("commit: sleepers stay marked") { value & SLEEPERS } else { 0 };
            match self.word.compare_exchange_weak(value, left | u64::from(state), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    if value & SLEEPERS != 0 {
                        self.spot().wake_all();
                    }
                    return Ok(Ok(state_of(value)));
                }
                Err(now) => value = now,
            }
        }
    }

    /// Takes what `take` allows: `Some(new state)`. Sleepers stay marked. Returns the state before.
    #[inline]
    pub(crate) fn take(self, take: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        self.exchange(take, |_, mark| mark)
    }

    /// As [`take`](Self::take), by one who slept. Whoever woke it took the mark of all sleepers away: if it leaves something, it
    /// passes the wake-up on, and else it puts the mark back.
    pub(crate) fn take_woken(self, take: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mark = |state, mark| match take(state) {
            None if !is_broken("commit: the last takes the mark along") => SLEEPERS,
            _ => mark,
        };
        let before = self.exchange(&take, mark)?;
        if take(self.state()).is_some() {
            self.relay();
        }
        Some(before)
    }

    /// `mark`: what stands beside the new state, given the mark there is.
    #[inline]
    fn exchange(self, take: impl Fn(u32) -> Option<u32>, mark: impl Fn(u32, u64) -> u64) -> Option<u32> {
        let mut value = self.word.load(Ordering::Acquire); // pairs with the Release in `commit`
        while let Some(state) = take(state_of(value)) {
            let next = u64::from(state) | mark(state, value & SLEEPERS);
            if next == value {
                return Some(state_of(value));
            }
            // Acquire: pairs with the Release in `commit`.
            match self.word.compare_exchange_weak(value, next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(state_of(value)),
                Err(now) => value = now,
            }
        }
        None
    }

    /// Marks that somebody sleeps, in the same step that saw nothing to take; what the sleeper expects. `None`: there
    /// is something now.
    pub(crate) fn expect(self, take: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut value = self.word.load(Ordering::Acquire); // pairs with the Release in `commit`
        while take(state_of(value)).is_none() {
            if value & SLEEPERS != 0 {
                return Some(SLEEPERS_WORD);
            }
            // AcqRel: pairs with the exchange in `commit`.
            match self.word.compare_exchange_weak(value, value | SLEEPERS, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(SLEEPERS_WORD),
                Err(now) => value = now,
            }
        }
        None
    }

    /// A sleeper who was woken passes it on: the one who should have woken all may have died after the first.
    pub(crate) fn relay(self) {
        // Acquire: pairs with the exchange in `commit`, which was before the wake-up.
        if self.word.load(Ordering::Acquire) & SLEEPERS == 0 && !is_broken("commit: no relay") {
            self.spot().wake_all();
        }
    }

    /// Takes what `take` allows, sleeping until there is something. Returns the state before; `None`: the time is over.
    #[inline]
    pub(crate) fn wait(self, timeout: Option<Duration>, take: impl Fn(u32) -> Option<u32>) -> io::Result<Option<u32>> {
        match self.take(&take) {
            None if timeout != Some(Duration::ZERO) => self.sleep(timeout, take),
            taken => Ok(taken),
        }
    }

    #[cold]
    fn sleep(self, timeout: Option<Duration>, take: impl Fn(u32) -> Option<u32>) -> io::Result<Option<u32>> {
        let until = Deadline::after(timeout);
        self.spot().prepare()?;
        // If this thread is killed with a wake-up in its hands, the kernel passes that on.
        let _pending = announce(self.spot())?;
        let mut woken = false;
        loop {
            let taken = if woken { self.take_woken(&take) } else { self.take(&take) };
            if taken.is_some() {
                return Ok(taken);
            }
            let Some(left) = until.left() else { break };
            if let Some(expected) = self.expect(&take) {
                self.spot().sleep(expected, left)?;
                woken = true;
            }
        }
        if woken {
            self.relay();
        }
        Ok(None)
    }

    /// Sleeps once, for something that does not stand in the state: who brings it about [`ring`](Self::ring)s. `peers`, whose
    /// deaths end the sleep, are asked for behind the mark that somebody sleeps; `None`: there is something now. Returns
    /// whether one of them has gone.
    pub(crate) fn sleep_beside<'p>(
        self,
        left: Duration,
        peers: impl FnOnce() -> Option<Vec<&'p Words>>,
    ) -> io::Result<bool> {
        self.spot().prepare()?;
        let rings = self.state();
        let expected = self.expect(|_| None).unwrap_or(SLEEPERS_WORD);
        let left = if heavy_fence() { left } else { left.min(UNFENCED) };
        let Some(peers) = peers() else {
            return Ok(false);
        };
        let gone = park(self.spot(), [expected, rings], &peers, left)?;
        // Not by the mark, which the first who was woken and sleeps again has set anew.
        if !Spot::WAKES_ALL && self.state() != rings {
            self.spot().wake_all();
        }
        Ok(gone)
    }

    /// Wakes who sleeps for what this thread has stored just before. If it dies in the middle, those it is a peer of wake by that.
    #[inline]
    pub(crate) fn ring(self) -> io::Result<()> {
        match self.is_heard() {
            true => self.wake(),
            false => Ok(()),
        }
    }

    /// Whether somebody sleeps for what this thread has stored just before, who must be woken then.
    #[inline]
    pub(crate) fn is_heard(self) -> bool {
        light_fence(); // pairs with the heavy one in `sleep_beside`
        self.word.load(Ordering::Relaxed) & SLEEPERS != 0
    }

    #[cold]
    fn wake(self) -> io::Result<()> {
        self.commit(|rings| Some(rings.wrapping_add(1))).map(drop)
    }
}
