//! A reader-writer lock: several read at once, or one writes.

use std::cell::UnsafeCell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use zerocopy::FromBytes;

use super::{Lock, Placed, refused};
use crate::error::Result;
use crate::primitive::{AtomicU32, Ordering};
use crate::step::is_broken;
use crate::sys::lock::Words;
use crate::sys::wait::Deadline;

/// A reader-writer lock in shared memory, and the value that it guards. Not recursive.
///
/// `READERS` is how many read at once; more wait. A count of readers could not be put right after a death, so each
/// reader has a robust lock of its own in a cache line of its own, and a writer takes all of them: reading costs one
/// uncontended lock, writing `READERS + 1`.
///
/// A reader that dies is forgotten. After a writer that dies, or panics, everybody gets [`Lock::Abandoned`] until a
/// writer calls [`make_consistent`](WriteGuard::make_consistent).
///
/// Layout: 64 bytes of writer, 64 for each reader, then the value.
///
/// # Examples
///
/// ```
/// use coview::{Access, MappingOptions, sync::RwLock};
///
/// let mapping = MappingOptions::new().size(4096).create_unnamed()?;
/// let view = mapping.view(Access::ReadWrite)?;
/// let limits = view.place::<RwLock<[u32; 2]>>(0)?;
/// *limits.write()?.into_guard() = [3, 7];
/// assert_eq!(*limits.read()?.into_guard(), [3, 7]);
/// # Ok::<(), coview::Error>(())
/// ```
#[repr(C)]
#[doc(alias = "pthread_rwlock_t")]
#[doc(alias = "SRWLOCK")]
pub struct RwLock<T, const READERS: usize = 8> {
    writer: Seat,
    readers: [Seat; READERS],
    value: UnsafeCell<T>,
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Seat {
    words: Words,
    /// The writer's: the value is being changed.
    writing: AtomicU32,
}

// SAFETY: one writer or several readers at a time have the value; T may be read from several threads and change them.
unsafe impl<T: FromBytes + Send + Sync, const READERS: usize> Sync for RwLock<T, READERS> {}
// SAFETY: as for `Mutex`.
unsafe impl<T: FromBytes + Send + Sync, const READERS: usize> Placed for RwLock<T, READERS> {}

/// The value may be read; dropped, the lock is given back.
#[must_use = "the lock is given back when this is dropped"]
pub struct ReadGuard<'a, T> {
    seat: &'a Seat,
    value: &'a UnsafeCell<T>,
    /// Only the thread that took it can give it back.
    _thread: PhantomData<*const ()>,
}

/// The value is this thread's; dropped, the lock is given back.
#[must_use = "the lock is given back when this is dropped"]
pub struct WriteGuard<'a, T> {
    writer: &'a Seat,
    readers: &'a [Seat],
    value: &'a UnsafeCell<T>,
    torn: bool,
    panicking: bool,
    _thread: PhantomData<*const ()>,
}

thread_local! {
    /// The seat that this thread tries first.
    static FIRST: usize = RandomState::new().hash_one(0) as usize;
}

impl<T: Default, const READERS: usize> Default for RwLock<T, READERS> {
    fn default() -> Self {
        RwLock {
            writer: Seat::default(),
            readers: [(); READERS].map(|()| Seat::default()),
            value: UnsafeCell::default(),
        }
    }
}

impl<T, const READERS: usize> RwLock<T, READERS> {
    /// Locks it for reading, waiting for as long as it takes.
    ///
    /// # Errors
    /// As [`Mutex::lock`](super::Mutex::lock).
    pub fn read(&self) -> Result<Lock<ReadGuard<'_, T>>> {
        loop {
            if let Some(lock) = self.take_read(None)? {
                return Ok(lock);
            }
        }
    }

    /// Locks it for reading if that can be had now.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn try_read(&self) -> Result<Option<Lock<ReadGuard<'_, T>>>> {
        self.take_read(Some(Duration::ZERO))
    }

    /// Locks it for reading, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_timeout(&self, timeout: Duration) -> Result<Option<Lock<ReadGuard<'_, T>>>> {
        self.take_read(Some(timeout))
    }

    /// Locks it for writing, waiting for as long as it takes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self) -> Result<Lock<WriteGuard<'_, T>>> {
        loop {
            if let Some(lock) = self.take_write(None)? {
                return Ok(lock);
            }
        }
    }

    /// Locks it for writing if it is free now.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn try_write(&self) -> Result<Option<Lock<WriteGuard<'_, T>>>> {
        self.take_write(Some(Duration::ZERO))
    }

    /// Locks it for writing, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write_timeout(&self, timeout: Duration) -> Result<Option<Lock<WriteGuard<'_, T>>>> {
        self.take_write(Some(timeout))
    }

    fn take_read(&self, timeout: Option<Duration>) -> Result<Option<Lock<ReadGuard<'_, T>>>> {
        const { assert!(READERS > 0, "a lock without readers is a mutex") };
        let seat =
            self.sit(timeout).map_err(|error| refused("lock for reading", "a placed reader-writer lock", error))?;
        Ok(seat.map(|seat| {
            let guard = ReadGuard { seat, value: &self.value, _thread: PhantomData };
            // Whoever writes has every seat, and this one is ours: a writer that is still marked has died.
            match self.writer.writing.load(Ordering::Relaxed) {
                0 => Lock::Clean(guard),
                _ => Lock::Abandoned(guard),
            }
        }))
    }

    /// Any free seat; if there is none, the one this thread waits for.
    fn sit(&self, timeout: Option<Duration>) -> io::Result<Option<&Seat>> {
        let first = FIRST.with(|first| first % READERS);
        for seat in self.readers[first..].iter().chain(&self.readers[..first]) {
            if seat.words.try_lock()?.is_some() {
                return Ok(Some(seat));
            }
        }
        let seat = &self.readers[first];
        Ok(seat.words.lock(timeout)?.map(|_| seat))
    }

    fn take_write(&self, timeout: Option<Duration>) -> Result<Option<Lock<WriteGuard<'_, T>>>> {
        let all =
            self.clear(timeout).map_err(|error| refused("lock for writing", "a placed reader-writer lock", error))?;
        if !all {
            return Ok(None);
        }
        let mark = u32::from(!is_broken("reader-writer lock: writing is not marked"));
        let torn = self.writer.writing.swap(mark, Ordering::Relaxed) != 0;
        let guard = WriteGuard {
            writer: &self.writer,
            readers: &self.readers,
            value: &self.value,
            torn,
            panicking: std::thread::panicking(),
            _thread: PhantomData,
        };
        Ok(Some(if torn { Lock::Abandoned(guard) } else { Lock::Clean(guard) }))
    }

    /// Takes every seat, the writer's first: two writers never wait for each other's, and a reader has one at most.
    fn clear(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let until = Deadline::after(timeout);
        let seats = || std::iter::once(&self.writer).chain(&self.readers);
        for (taken, seat) in seats().enumerate() {
            let had = seat.words.lock(timeout.map(|_| until.left().unwrap_or(Duration::ZERO)));
            if !matches!(had, Ok(Some(_))) {
                for seat in seats().take(taken) {
                    seat.words.unlock(false)?;
                }
                return had.map(|_| false);
            }
        }
        Ok(true)
    }
}

impl<T> WriteGuard<'_, T> {
    /// The value is whole again: nobody else is told of the death.
    pub fn make_consistent(&mut self) {
        self.torn = false;
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread has a reader's seat, so nobody who keeps the protocol writes the value.
        unsafe { &*self.value.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // It fails only in a fork child, whose parent has the lock, and when a peer wrote over the words.
        let _ = self.seat.words.unlock(false);
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread has every seat, so nobody who keeps the protocol touches the value.
        unsafe { &*self.value.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is borrowed.
        unsafe { &mut *self.value.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if !self.torn && (self.panicking || !std::thread::panicking()) {
            // Ordered by the seats, which are given back after it.
            self.writer.writing.store(0, Ordering::Relaxed);
        }
        // As in `ReadGuard`. The writer's seat last: the next writer finds the readers' free.
        for seat in self.readers.iter().chain([self.writer]) {
            let _ = seat.words.unlock(false);
        }
    }
}

impl<T, const READERS: usize> fmt::Debug for RwLock<T, READERS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
