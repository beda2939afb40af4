//! Sleeping in the kernel until a word in shared memory changes.
//!
//! Contract of both systems: a [`Spot`] is where the sleepers of a commit word are. `sleep(expected, left)` returns when
//! the word may have changed, is not what was expected any more, or at the latest after [`BACK_STOP`]; callers look
//! again. `wake_all()` wakes at least one, and whoever is woken and finds no sleepers marked passes it on.
//! `light_fence()` and `heavy_fence()` order a store and a load of one process against those of another, at the cost of the
//! one who goes to sleep.
//! On Linux also `sleep(words, left)` and `wake(word, count)` for futexes as they are.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

use std::time::{Duration, Instant};

/// The most pauses between two looks, and in all: some microseconds, below what falling asleep and being woken cost.
const PAUSES: [u32; 2] = [64, 256];

/// Looks again and again whether something is `there`, with longer and longer pauses, so that whoever works on it has
/// its cache line for some time.
pub(crate) fn spin(there: impl Fn() -> bool) -> bool {
    let (mut pause, mut left) = (1, PAUSES[1]);
    while !there() {
        if left < pause {
            return false;
        }
        (0..pause).for_each(|_| std::hint::spin_loop());
        left -= pause;
        pause = (2 * pause).min(PAUSES[0]);
    }
    true
}

/// Until when somebody waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// `None` is for ever, and so is a time beyond what the clock can say.
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// What is left; `None` when it is over.
    pub(crate) fn left(self) -> Option<Duration> {
        match self.0 {
            None => Some(Duration::MAX),
            Some(end) => end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
        }
    }
}
