//! Handles that Python can close, and ends of channels that its threads take turns with.

use std::sync::Arc;

use parking_lot::{ArcMutexGuard, Mutex, RawMutex, RwLock};
use pyo3::prelude::*;

use crate::error::closed;
use crate::wait::wait;

/// A thing, until it is closed.
pub(crate) struct Open<T> {
    thing: RwLock<Option<Arc<T>>>,
    what: &'static str,
}

impl<T> Open<T> {
    pub(crate) fn new(what: &'static str, thing: T) -> Open<T> {
        Open::of(what, Arc::new(thing))
    }

    pub(crate) fn of(what: &'static str, thing: Arc<T>) -> Open<T> {
        Open { thing: RwLock::new(Some(thing)), what }
    }

    pub(crate) fn get(&self) -> PyResult<Arc<T>> {
        self.thing.read().clone().ok_or_else(|| closed(self.what))
    }

    /// It goes when those who are using it are done.
    pub(crate) fn close(&self) {
        let thing = self.thing.write().take();
        drop(thing);
    }
}

/// An end of a channel, used by one thread at a time.
pub(crate) type End<E> = Open<Arc<Mutex<E>>>;

pub(crate) fn end<E>(what: &'static str, end: E) -> End<E> {
    Open::new(what, Arc::new(Mutex::new(end)))
}

impl<E: Send> End<E> {
    /// The end, for its turn at it; waiting for whoever has it, without the GIL.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<ArcMutexGuard<RawMutex, E>> {
        let end = self.get()?;
        if let Some(guard) = end.try_lock_arc() {
            return Ok(guard);
        }
        let guard = wait(py, None, |slice| Ok(end.try_lock_arc_for(slice)))?;
        guard.ok_or_else(|| closed(self.what))
    }

    /// The end, if nobody has it now: an event loop must not be held up.
    pub(crate) fn take_now(&self) -> PyResult<ArcMutexGuard<RawMutex, E>> {
        let why = "another thread or task is waiting with it; give each its own";
        let busy = || pyo3::exceptions::PyRuntimeError::new_err(format!("the {}: {why}", self.what));
        self.get()?.try_lock_arc().ok_or_else(busy)
    }
}
