//! The words of a lock that stands in memory of somebody's choice.

use crate::primitive::{AtomicU32, AtomicU64};

/// 40 bytes; all zero is a free lock. `docs/format.md` draws it.
#[derive(Debug, Default)]
#[repr(C, align(8))]
pub(crate) struct Words {
    /// The owner's thread number; Linux: DIED, WAITERS.
    pub(super) word: AtomicU32,
    /// Linux: how many wait, or more.
    pub(super) waiting: AtomicU32,
    /// Linux: the PID namespace of those who use it. Windows: the number of its kernel mutex.
    pub(super) id: AtomicU64,
    pub(super) reserved: AtomicU32,
    /// Linux: the kernel's way from this lock to the next that the owner has. Only its owner writes it, nobody here
    /// reads it.
    pub(super) node: [AtomicU32; 5],
}
