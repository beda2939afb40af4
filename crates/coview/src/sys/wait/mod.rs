//! Sleeping in the kernel until a word in shared memory changes.
//!
//! Contract: `sleep(words, until)` returns when one of the words may have changed, is not what was expected any
//! more, or at the latest after [`BACK_STOP`]; callers look again. `wake(word, count)`.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

use std::time::{Duration, Instant};

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
