//! Waiting that Ctrl-C ends: who is attached to a channel detaches, so that nobody takes it for a death.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How soon Ctrl-C is noticed.
const TICK: Duration = Duration::from_millis(100);

/// Whether Ctrl-C or its like has come; the second one ends the program at once.
pub(crate) struct Stop(Arc<AtomicBool>);

/// How waiting ended.
pub(crate) enum Waited<T> {
    Found(T),
    TimedOut,
    Stopped,
}

impl Stop {
    /// From here on Ctrl-C is only noted.
    pub(crate) fn watch() -> Result<Stop, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&stop);
        let note = move || {
            if noted.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        };
        ctrlc::set_handler(note).map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))?;
        Ok(Stop(stop))
    }

    /// Whether it has come.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Tries, each time for at most the time that it is given, until it finds something.
    pub(crate) fn wait<T, E>(
        &self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(Duration) -> Result<Option<T>, E>,
    ) -> Result<Waited<T>, E> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map_or(TICK, |end| end.saturating_duration_since(Instant::now()).min(TICK));
            if self.is_asked() {
                return Ok(Waited::Stopped);
            }
            if let Some(found) = attempt(left)? {
                return Ok(Waited::Found(found));
            }
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
        }
    }
}
