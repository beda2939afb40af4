//! Once: something is initialised by one, and the others wait for it.

use std::time::Duration;

use super::{Placed, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::{AtomicU32, Ordering};
use crate::step::is_broken;
use crate::sys::lock::Words;

/// Initialisation in shared memory that happens once, however many come at the same time and whoever dies.
///
/// If the one who initialises dies halfway or fails, the next takes over and begins again.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::{Once, Semaphore}};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let (once, slots) = (view.place::<Once>(0)?, view.place::<Semaphore>(64)?);
/// assert!(once.call(|| slots.init(3, 3))?); // we were the first
/// assert!(!once.call(|| unreachable!())?);
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C)]
#[doc(alias = "pthread_once")]
#[doc(alias = "InitOnceExecuteOnce")]
pub struct Once {
    words: Words,
    done: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: (1) to (4): atomics, of which any value is some state.
unsafe impl Placed for Once {}

impl Once {
    /// Whether it has happened: then what was initialised can be read.
    #[inline]
    pub fn is_done(&self) -> bool {
        // Acquire: pairs with the Release in `run`.
        self.done.load(Ordering::Acquire) != 0
    }

    /// Runs `init` if nobody has yet; waits while somebody does. `true`: it was us.
    ///
    /// # Errors
    /// Those of `init`, after which it still has not happened; [`ErrorKind::InvalidInput`] if `init` calls it again; the
    /// system's.
    pub fn call(&self, init: impl FnOnce() -> Result<()>) -> Result<bool> {
        self.run(None, init)
    }

    /// As [`call`](Self::call), waiting for somebody else's initialisation for at most `timeout`.
    ///
    /// # Errors
    /// As `call`, and [`ErrorKind::TimedOut`].
    pub fn call_timeout(&self, timeout: Duration, init: impl FnOnce() -> Result<()>) -> Result<bool> {
        self.run(Some(timeout), init)
    }

    /// Refuses who is in another PID namespace than those who called it.
    pub(crate) fn check_namespace(&self) -> Result<()> {
        self.words.check_namespace().map_err(|error| refused("open", "a region", error))
    }

    fn run(&self, timeout: Option<Duration>, init: impl FnOnce() -> Result<()>) -> Result<bool> {
        if self.is_done() {
            return Ok(false);
        }
        let explain = |error| refused("initialise", WHAT, error);
        while self.words.lock(timeout).map_err(explain)?.is_none() {
            if timeout.is_some() {
                let why =
                    "another process is initialising it and has not finished in time; try again, or see who that is";
                return Err(Error::new(ErrorKind::TimedOut, "initialise", why).on(WHAT));
            }
        }
        let locked = Locked(&self.words);
        if self.is_done() {
            return Ok(false);
        }
        if is_broken("once: done before it is") {
            self.done.store(1, Ordering::Release);
        }
        init()?;
        self.done.store(1, Ordering::Release); // pairs with the Acquire in `is_done`
        drop(locked);
        Ok(true)
    }
}

const WHAT: &str = "a placed once";

struct Locked<'a>(&'a Words);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // It fails only when a peer wrote over the words.
        let _ = self.0.unlock(false);
    }
}
