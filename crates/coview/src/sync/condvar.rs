//! A condition variable: sleep until somebody who had the mutex says that something has changed.

use std::time::Duration;

use super::{Commit, Lock, MutexGuard, Placed, refused};
use crate::error::Result;
use crate::step::back_stop;
use crate::sys::wait::Deadline;

/// A condition variable in shared memory, for use with one [`Mutex`](super::Mutex).
///
/// It wakes all who wait, never one: the one that is chosen may die with the news. A wait may end without one, so ask for
/// the condition again.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::{Condvar, Mutex}};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let (ready, changed) = (view.place::<Mutex<u32>>(0)?, view.place::<Condvar>(64)?);
/// std::thread::scope(|scope| {
///     scope.spawn(|| -> coview::Result<()> {
///         *ready.lock()?.into_guard() = 1;
///         changed.notify_all()
///     });
///     let mut guard = ready.lock()?.into_guard();
///     while *guard == 0 {
///         guard = changed.wait(guard)?.into_guard();
///     }
///     Ok::<(), coview::Error>(())
/// })?;
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C)]
#[doc(alias = "pthread_cond_t")]
#[doc(alias = "CONDITION_VARIABLE")]
pub struct Condvar {
    /// The state counts the notifications.
    commit: Commit,
}

// SAFETY: (1) to (4): atomics, of which any value is some state.
unsafe impl Placed for Condvar {}

/// How often a sleeper looks whether the mutex's owner has died without a word.
const LOOK: Duration = back_stop(Duration::from_secs(1));

impl Condvar {
    /// Gives the mutex back, sleeps until it is notified, and locks the mutex again.
    ///
    /// If the mutex's owner dies before it could notify, the wait ends within a second with [`Lock::Abandoned`].
    ///
    /// # Errors
    /// As [`Mutex::lock`](super::Mutex::lock).
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Result<Lock<MutexGuard<'a, T>>> {
        Ok(self.sleep(guard, None)?.0)
    }

    /// As [`wait`](Self::wait), for at most `timeout`; the flag says whether it was notified in time.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(Lock<MutexGuard<'a, T>>, bool)> {
        self.sleep(guard, Some(timeout))
    }

    fn sleep<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
    ) -> Result<(Lock<MutexGuard<'a, T>>, bool)> {
        let until = Deadline::after(timeout);
        let mutex = guard.mutex();
        let word = self.commit.word();
        // Read while the mutex is ours: who notifies after this changes it.
        let seen = word.state();
        drop(guard);
        while let Some(left) = until.left() {
            let notified = word
                .wait(Some(left.min(LOOK)), |count| (count != seen).then_some(count))
                .map_err(|error| refused("wait for", "a placed condition variable", error))?;
            if notified.is_some() {
                return Ok((mutex.lock()?, true));
            }
            if let Some(lock @ Lock::Abandoned(_)) = mutex.try_lock()? {
                return Ok((lock, false));
            }
        }
        Ok((mutex.lock()?, false))
    }

    /// Wakes all who wait. Notify while you have the mutex, or after you gave it back.
    ///
    /// # Errors
    /// The system's.
    pub fn notify_all(&self) -> Result<()> {
        let count = self.commit.word().commit(|count| Some(count.wrapping_add(1)));
        count.map(drop).map_err(|error| refused("notify", "a placed condition variable", error))
    }
}
