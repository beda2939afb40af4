//! Primitives that stand in shared memory: placed in a view, used by threads of any process at once.
//!
//! [`View::place`](crate::View::place) gives a reference to one at an offset. All-zero bytes, which is what a new
//! mapping holds, are a fresh one: nobody has to come first. What the bytes are is in `docs/format.md`.
//!
//! | primitive | when a participant dies |
//! | --- | --- |
//! | [`Mutex`] | the next to lock it gets [`Lock::Abandoned`] |
//! | [`RwLock`] | a dead reader is forgotten; after a dead writer everybody gets [`Lock::Abandoned`] until one repairs |
//! | [`Once`] | the next caller runs the initialiser again |
//! | [`SeqLock`] | readers keep the value before; the next writer goes on |
//! | [`Semaphore`] | its permits are not given back (as in Win32) |
//! | [`Event`], [`Condvar`] | a dead sleeper costs the others no wake-up |
//! | [`Barrier`] | who had arrived stays counted; who had not is waited for until the timeout |
//!
//! Linux: futexes on the robust list, without a system call when nobody waits; used within one PID namespace.
//! Windows: a kernel object behind each, found by a number beside the words; processes of one user. There a process that
//! is terminated between two instructions of a wake-up delays the others by up to 100 ms.
//!
//! A peer that can write the memory can break every protocol on it: it can let two threads in, or none. What it cannot do
//! is crash this process or make a call with a timeout last longer.
//!
//! # Examples
//!
//! ```
//! use coview::{Access, MappingOptions, sync::Mutex};
//!
//! let mapping = MappingOptions::new().size(4096).create_unnamed()?;
//! let view = mapping.view(Access::ReadWrite)?;
//! let total = view.place::<Mutex<u64>>(0)?; // any process, any thread, the same offset
//! *total.lock()?.into_guard() += 1;
//! assert_eq!(*total.lock()?.into_guard(), 1);
//! # Ok::<(), coview::Error>(())
//! ```

#![allow(unsafe_code)]

mod barrier;
mod condvar;
mod event;
mod latch;
mod mutex;
mod once;
mod rwlock;
mod semaphore;
mod seqlock;

use std::io;

pub use barrier::Barrier;
pub use condvar::Condvar;
pub use event::Event;
pub(crate) use latch::{fill, read};
pub use mutex::{Mutex, MutexGuard};
pub use once::Once;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::Semaphore;
pub use seqlock::SeqLock;

use crate::error::Error;
use crate::explain::explain;
use crate::primitive::AtomicU64;
use crate::sys::lock::{CommitWord, Words};

/// What may stand in shared memory and be used through `&self` by everybody at once.
///
/// # Safety
///
/// 1. Every pattern of bytes is a value of it, and all zero is a fresh one.
/// 2. What others may write is touched through atomics alone, or by a protocol of its own that gives it to one at a time.
/// 3. It holds no address of this process, and dropping it does nothing.
/// 4. Its layout is fixed: `repr(C)`.
pub unsafe trait Placed: Sync {}

// SAFETY: (1) to (4) hold for each element.
unsafe impl<P: Placed, const N: usize> Placed for [P; N] {}

// SAFETY: (1) to (4): atomics, of which any value is some state; zero is a free lock.
unsafe impl Placed for Words {}

macro_rules! placed {
    ($($atomic:ident),*) => {$(
        // SAFETY: (1) to (4): an integer that is only touched atomically.
        unsafe impl Placed for std::sync::atomic::$atomic {}
    )*};
}

placed!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicI8, AtomicI16, AtomicI32, AtomicI64);

/// A lock was taken.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub enum Lock<G> {
    /// As its last owner gave it back.
    Clean(G),
    /// An owner died with it: it is yours, but what it guards may be half changed. Repair it and say so by the guard's
    /// `make_consistent`; else the next owner is told the same.
    Abandoned(G),
}

impl<G> Lock<G> {
    /// The guard, whatever happened before.
    pub fn into_guard(self) -> G {
        match self {
            Lock::Clean(guard) | Lock::Abandoned(guard) => guard,
        }
    }

    /// Whether an owner died with it.
    pub fn is_abandoned(&self) -> bool {
        matches!(self, Lock::Abandoned(_))
    }
}

/// A commit word as it stands in memory: 16 bytes, zero is a fresh one.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Commit {
    pub(crate) word: AtomicU64,
    id: AtomicU64,
}

impl Commit {
    pub(crate) fn word(&self) -> CommitWord<'_> {
        CommitWord { word: &self.word, id: &self.id }
    }
}

/// The error of a primitive, which has no name.
#[cold]
fn refused(operation: &'static str, what: &'static str, error: io::Error) -> Error {
    explain(operation, what, error)
}
