//! An event: set or not, and threads that wait for it to be set.

use std::time::Duration;

use super::{Commit, Placed, refused};
use crate::error::Result;
use crate::primitive::{AtomicU32, Ordering};

/// An event in shared memory. A fresh one is not set, and one wait resets it (automatic reset).
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::Event};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let ready = view.place::<Event>(0)?;
/// ready.set()?;
/// assert!(ready.try_wait()? && !ready.try_wait()?);
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C)]
pub struct Event {
    commit: Commit,
    manual: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: (1) to (4): atomics, of which any value is some state.
unsafe impl Placed for Event {}

impl Event {
    /// Says whether it stays set until it is reset (`manual_reset`) and whether it is set, before anybody else uses it
    /// ([`Once`](super::Once) sees to that).
    ///
    /// # Errors
    /// The system's.
    pub fn init(&self, manual_reset: bool, set: bool) -> Result<()> {
        self.manual.store(manual_reset.into(), Ordering::Relaxed);
        self.change("initialise", set)
    }

    /// Sets it.
    ///
    /// # Errors
    /// The system's.
    pub fn set(&self) -> Result<()> {
        self.change("set", true)
    }

    /// Resets it.
    ///
    /// # Errors
    /// The system's.
    pub fn reset(&self) -> Result<()> {
        self.change("reset", false)
    }

    fn change(&self, operation: &'static str, set: bool) -> Result<()> {
        let changed = self.commit.word().commit(|_| Some(set.into()));
        changed.map(drop).map_err(|error| refused(operation, "a placed event", error))
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self) -> Result<()> {
        while !self.take(None)? {}
        Ok(())
    }

    /// Whether it is set now; an automatic-reset event is reset by that.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&self) -> Result<bool> {
        self.take(Some(Duration::ZERO))
    }

    /// Waits until it is set, for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.take(Some(timeout))
    }

    fn take(&self, timeout: Option<Duration>) -> Result<bool> {
        let manual = self.manual.load(Ordering::Relaxed) != 0;
        let take = |set: u32| (set != 0).then_some(if manual { set } else { 0 });
        let taken = self.commit.word().wait(timeout, take);
        taken.map(|taken| taken.is_some()).map_err(|error| refused("wait for", "a placed event", error))
    }
}
