//! A sequence lock: readers copy a value without ever making the writer wait.

use std::cell::UnsafeCell;
use std::fmt;
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::latch::{fill, read};
use super::{Placed, refused};
use crate::error::Result;
use crate::primitive::{AtomicU32, Ordering};
use crate::shared::{copy_in, copy_value};
use crate::step::is_broken;
use crate::sys::lock::Words;
use crate::sys::wait::Deadline;

/// A value in shared memory that is read often and written now and then: reading takes no lock.
///
/// It keeps two copies, and the writer fills the one that is not the newest: a reader reads again only if a whole write
/// began and ended under it, and after a writer's death the value before is simply still there. Writers take turns by
/// a robust lock.
///
/// Layout: 40 bytes of lock, 8 with the sequence, then two copies, each rounded up to 8 bytes.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::SeqLock};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let pose = view.place::<SeqLock<[f64; 6]>>(0)?;
/// pose.write(&[1.0; 6])?;
/// assert_eq!(pose.read(), [1.0; 6]);
/// # Ok::<(), coview::Error>(())
/// ```
#[repr(C)]
#[doc(alias = "seqlock_t")]
pub struct SeqLock<T> {
    words: Words,
    sequence: AtomicU32,
    reserved: AtomicU32,
    copies: [Slot<T>; 2],
}

/// Room for a copy.
#[repr(C, align(8))]
struct Slot<T>(UnsafeCell<T>);

// SAFETY: the copies are only copied from and to, by a protocol that says whether a copy is whole.
unsafe impl<T: FromBytes + IntoBytes + Immutable + Send> Sync for SeqLock<T> {}
// SAFETY: (1) atomics, and T has no invalid bytes; (2) atomics, and the latch; (3) FromBytes types hold no addresses;
// (4) repr(C).
unsafe impl<T: FromBytes + IntoBytes + Immutable + Send> Placed for SeqLock<T> {}

impl<T: FromBytes + IntoBytes + Immutable> SeqLock<T> {
    /// A copy of the newest value, if no writer was too fast for one attempt.
    #[inline]
    pub fn try_read(&self) -> Option<T> {
        let newest = |order| self.sequence.load(order);
        // SAFETY: a copy lies in `self`, and stays there.
        let copy = |number| Some(unsafe { copy_value(self.copies[number as usize % 2].0.get()) });
        read(newest, 2, copy).map(|(value, _)| value)
    }

    /// A copy of the newest value. It never waits for anybody, but reads again for as long as writers without pause are
    /// faster than one copy; [`read_timeout`](Self::read_timeout) does not for ever.
    #[inline]
    pub fn read(&self) -> T {
        loop {
            if let Some(value) = self.try_read() {
                return value;
            }
            std::hint::spin_loop();
        }
    }

    /// As [`read`](Self::read), for at most `timeout`. `None`: the time is over.
    pub fn read_timeout(&self, timeout: Duration) -> Option<T> {
        let until = Deadline::after(Some(timeout));
        loop {
            if let Some(value) = self.try_read() {
                return Some(value);
            }
            until.left()?;
            std::hint::spin_loop();
        }
    }

    /// Makes `value` the newest.
    ///
    /// # Errors
    /// As [`Mutex::lock`](super::Mutex::lock).
    pub fn write(&self, value: &T) -> Result<()> {
        while !self.put(None, value)? {}
        Ok(())
    }

    /// As [`write`](Self::write), waiting for other writers for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_timeout(&self, value: &T, timeout: Duration) -> Result<bool> {
        self.put(Some(timeout), value)
    }

    fn put(&self, timeout: Option<Duration>, value: &T) -> Result<bool> {
        let explain = |error| refused("write", "a placed sequence lock", error);
        // Abandoned or not: the writer before died between two values, and the newest whole one stands.
        if self.words.lock(timeout).map_err(explain)?.is_none() {
            return Ok(false);
        }
        let next = self.sequence.load(Ordering::Relaxed).wrapping_add(1); // only the owner of the lock changes it
        if is_broken("sequence lock: the number before the value") {
            self.sequence.store(next, Ordering::Release);
        }
        let copy = self.copies[(next % 2) as usize].0.get();
        // SAFETY: it lies in `self`, and `value` is this process's own.
        fill(|| unsafe { copy_in(value.as_bytes(), copy.cast()) });
        self.sequence.store(next, Ordering::Release); // pairs with the Acquire in `read`
        self.words.unlock(false).map(|_| true).map_err(explain)
    }
}

impl<T> fmt::Debug for SeqLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqLock").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
