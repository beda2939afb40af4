//! A semaphore: permits that are taken and given back.

use std::time::Duration;

use super::{Commit, Placed, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::{AtomicU32, Ordering};

/// A semaphore in shared memory: at most `maximum` permits, any thread may give any number.
///
/// A fresh one has no permits and no maximum but `u32::MAX`. Permits of a process that dies are not given back, as in Win32.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::Semaphore};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let free = view.place::<Semaphore>(0)?;
/// free.release(2)?;
/// assert!(free.try_acquire()? && free.try_acquire()? && !free.try_acquire()?);
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C)]
#[doc(alias = "sem_t")]
pub struct Semaphore {
    commit: Commit,
    /// 0: none.
    maximum: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: (1) to (4): atomics, of which any value is some state.
unsafe impl Placed for Semaphore {}

impl Semaphore {
    /// Sets count and maximum, before anybody else uses it ([`Once`](super::Once) sees to that).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a maximum of 0 or a count above it.
    pub fn init(&self, count: u32, maximum: u32) -> Result<()> {
        if maximum == 0 || count > maximum {
            let why = format!(
                "a count of {count} and a maximum of {maximum}: 0 ≤ count ≤ maximum, and the maximum at least 1"
            );
            return Err(Error::new(ErrorKind::InvalidInput, "initialise", why).on(WHAT));
        }
        self.maximum.store(maximum, Ordering::Relaxed);
        self.commit.word().commit(|_| Some(count)).map(drop).map_err(|error| refused("initialise", WHAT, error))
    }

    /// Permits there are now.
    pub fn count(&self) -> u32 {
        self.commit.word().state()
    }

    /// Takes a permit, waiting for as long as it takes.
    ///
    /// # Errors
    /// The system's.
    pub fn acquire(&self) -> Result<()> {
        while !self.take(None)? {}
        Ok(())
    }

    /// Takes a permit if there is one now.
    ///
    /// # Errors
    /// The system's.
    pub fn try_acquire(&self) -> Result<bool> {
        self.take(Some(Duration::ZERO))
    }

    /// Takes a permit, waiting for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// The system's.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<bool> {
        self.take(Some(timeout))
    }

    fn take(&self, timeout: Option<Duration>) -> Result<bool> {
        let taken = self.commit.word().wait(timeout, |count| count.checked_sub(1));
        taken.map(|taken| taken.is_some()).map_err(|error| refused("acquire", WHAT, error))
    }

    /// Gives `count` permits; the count before.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] if that would exceed the maximum: then nothing is given.
    pub fn release(&self, count: u32) -> Result<u32> {
        let maximum = match self.maximum.load(Ordering::Relaxed) {
            0 => u32::MAX,
            maximum => maximum,
        };
        let add = |have: u32| have.checked_add(count).filter(|sum| *sum <= maximum);
        match self.commit.word().commit(add).map_err(|error| refused("release", WHAT, error))? {
            Ok(before) => Ok(before),
            Err(have) => {
                let why = format!("{count} permits on top of {have} would exceed its maximum of {maximum}");
                Err(Error::new(ErrorKind::OutOfRange, "release", why).on(WHAT))
            }
        }
    }
}

const WHAT: &str = "a placed semaphore";
