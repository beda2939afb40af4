//! A mutex that guards the value behind it.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use zerocopy::FromBytes;

use super::{Lock, Placed, refused};
use crate::error::Result;
use crate::sys::lock::{Taken, Words};

/// A mutex in shared memory, and the value that it guards. Not recursive.
///
/// If its owner dies, by any death at any moment, the next to lock it gets [`Lock::Abandoned`]; so it does if the owner's
/// code panicked. The value has any bytes that its last owner left: so its type has no invalid ones.
///
/// Layout: 40 bytes of lock, then the value at the next multiple of its alignment.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::{Lock, Mutex}};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let position = view.place::<Mutex<[f64; 3]>>(0)?;
/// match position.lock()? {
///     Lock::Clean(mut guard) => guard[2] += 1.0,
///     Lock::Abandoned(mut guard) => {
///         *guard = [0.0; 3]; // somebody died in the middle of it
///         guard.make_consistent();
///     }
/// }
/// # Ok::<(), coview::Error>(())
/// ```
#[repr(C)]
#[doc(alias = "pthread_mutex_t")]
pub struct Mutex<T> {
    words: Words,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time has the value, and T may go from thread to thread.
unsafe impl<T: FromBytes + Send> Sync for Mutex<T> {}
// SAFETY: (1) zeroed words are a free lock, any words are some state of it, and T has no invalid bytes; (2) the words are
// atomics and the value is the owner's; (3) FromBytes types hold no addresses; (4) repr(C).
unsafe impl<T: FromBytes + Send> Placed for Mutex<T> {}

/// The value is this thread's; dropped, the mutex is given back.
///
/// A peer that writes the value without locking can make it change under the guard; the type has no bytes that are
/// invalid, so that is wrong data and no more.
#[must_use = "the mutex is given back when this is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Goes back as abandoned.
    torn: bool,
    panicking: bool,
    /// Only the thread that took it can give it back.
    _thread: PhantomData<*const ()>,
}

impl<T> Default for Mutex<T>
where
    T: Default,
{
    fn default() -> Mutex<T> {
        Mutex { words: Words::default(), value: UnsafeCell::default() }
    }
}

impl<T> Mutex<T> {
    /// Locks it, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if this thread has it already,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from another PID namespace, and the system's.
    #[inline]
    pub fn lock(&self) -> Result<Lock<MutexGuard<'_, T>>> {
        loop {
            if let Some(lock) = self.take(None)? {
                return Ok(lock);
            }
        }
    }

    /// Locks it if it is free now.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<Lock<MutexGuard<'_, T>>>> {
        self.take(Some(Duration::ZERO))
    }

    /// Locks it, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<Lock<MutexGuard<'_, T>>>> {
        self.take(Some(timeout))
    }

    #[inline]
    fn take(&self, timeout: Option<Duration>) -> Result<Option<Lock<MutexGuard<'_, T>>>> {
        let taken = self.words.lock(timeout).map_err(|error| refused("lock", "a placed mutex", error))?;
        let guard = |torn| MutexGuard { mutex: self, torn, panicking: std::thread::panicking(), _thread: PhantomData };
        Ok(taken.map(|taken| match taken {
            Taken::Clean => Lock::Clean(guard(false)),
            Taken::Abandoned => Lock::Abandoned(guard(true)),
        }))
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// The value is whole again: the next owner is not told of the death.
    #[doc(alias = "pthread_mutex_consistent")]
    pub fn make_consistent(&mut self) {
        self.torn = false;
    }

    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread has the lock, so nobody who keeps the protocol writes the value.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread has the lock, so nobody who keeps the protocol touches the value, and `self` is borrowed.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let torn = self.torn || !self.panicking && std::thread::panicking();
        // It fails only in a fork child, whose parent has the lock, and when a peer wrote over the words.
        let _ = self.mutex.words.unlock(torn);
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("words", &self.words).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
