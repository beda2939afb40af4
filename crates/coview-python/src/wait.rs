//! Waiting without the GIL, in slices, so that Ctrl-C and other signal handlers are heard.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::OrRaise;

/// How long a signal may wait to be heard.
const SLICE: Duration = Duration::from_millis(50);

/// `timeout=` in seconds; `None` and infinity: for as long as it takes.
pub(crate) fn timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if seconds >= 0.0 => Ok(Duration::try_from_secs_f64(seconds).ok()),
        Some(seconds) => Err(PyValueError::new_err(format!("a timeout of {seconds} seconds"))),
    }
}

/// Attempts until one gives something, each for as long as it is told. `None`: the time is over.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut attempt: impl FnMut(Duration) -> coview::Result<Option<T>> + Send,
) -> PyResult<Option<T>> {
    // What is there needs no wait, and the GIL is not given away for it.
    if let Some(found) = attempt(Duration::ZERO).or_raise(py)? {
        return Ok(Some(found));
    }
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        if let Some(found) = py.detach(|| attempt(left.min(SLICE))).or_raise(py)? {
            return Ok(Some(found));
        }
        py.check_signals()?;
    }
}
