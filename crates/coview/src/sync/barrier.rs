//! A barrier: several wait until all of them have come.

use std::time::Duration;

use super::{Commit, Placed, refused};
use crate::error::Result;

/// A barrier in shared memory; it can be used again and again.
///
/// How many parties there are is said by each who comes, and all say the same. Who has arrived and then dies stays counted;
/// who dies before is waited for: use [`wait_timeout`](Self::wait_timeout), which takes the arrival back.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::Barrier};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let start = view.place::<Barrier>(0)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| start.wait(2));
///     start.wait(2)
/// })?;
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C)]
#[doc(alias = "pthread_barrier_t")]
#[doc(alias = "SYNCHRONIZATION_BARRIER")]
pub struct Barrier {
    /// Low 16 bits of the state: how many have arrived; high 16: how often it has opened.
    commit: Commit,
}

// SAFETY: (1) to (4): atomics, of which any value is some state.
unsafe impl Placed for Barrier {}

fn opened(state: u32) -> u32 {
    state >> 16
}

impl Barrier {
    /// Waits until `parties` have come. `true` for the one who came last.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, parties: u16) -> Result<bool> {
        loop {
            if let Some(last) = self.arrive(parties, None)? {
                return Ok(last);
            }
        }
    }

    /// As [`wait`](Self::wait), for at most `timeout`. `None`: the time is over, and this arrival does not count.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_timeout(&self, parties: u16, timeout: Duration) -> Result<Option<bool>> {
        self.arrive(parties, Some(timeout))
    }

    fn arrive(&self, parties: u16, timeout: Option<Duration>) -> Result<Option<bool>> {
        let explain = |error| refused("wait at", "a placed barrier", error);
        let word = self.commit.word();
        let is_last = |state: u32| (state & 0xffff) + 1 >= u32::from(parties);
        let open = |state: u32| opened(state).wrapping_add(1) << 16;
        let arrive = |state: u32| Some(if is_last(state) { open(state) } else { state + 1 });
        let (Ok(before) | Err(before)) = word.commit(arrive).map_err(explain)?;
        if is_last(before) {
            return Ok(Some(true));
        }
        let here = opened(before);
        if word.wait(timeout, |state| (opened(state) != here).then_some(state)).map_err(explain)?.is_some() {
            return Ok(Some(false));
        }
        // Not counted any more, unless it has opened just now.
        let leave = |state: u32| (opened(state) == here && state & 0xffff > 0).then(|| state - 1);
        let left = word.commit(leave).map_err(explain)?;
        Ok(left.err().filter(|state| opened(*state) != here).map(|_| false))
    }
}
