//! What the hardware and the kernel give, written by hand as fast as we can: the limits that the rest is held against.
//!
//! Nothing here survives a death, checks what it reads, or would do as a library. Beside it what is called through C:
//! the C library's mutex, the kernel's queues and, with the feature `boost`, Boost.Interprocess.

#[cfg(feature = "boost")]
pub(crate) mod boost;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod queue;
pub(crate) mod ring;
pub(crate) mod seqlock;
pub(crate) mod unfilled;
pub(crate) mod word;
