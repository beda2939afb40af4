//! What the hardware and the kernel give, written by hand as fast as we can: the limits that the rest is held against.
//!
//! Nothing here survives a death, checks what it reads, or would do as a library.

pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod ring;
pub(crate) mod seqlock;
pub(crate) mod word;
