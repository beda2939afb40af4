//! Words in shared memory that survive the death of whoever uses them.
//!
//! Contract of both systems:
//! - [`Words`]: a lock that notices the death of its owner; zeroed bytes are a free one. `try_lock`, `lock`, `unlock`.
//! - [`CommitWord`]: a state and its sleepers, for everything that is counted or signalled.
//! - `keep(words)`, `let_go(words)`: the same for the whole process, whichever of its threads asks.
//! - `announce(spot)`: this thread is about to change or sleep on a word; until the result is dropped.
//! - `forks()`: another number in each process that is forked.
//!
//! Linux: a robust mutex on the list that the C library has registered with the kernel. Windows: a kernel mutex for each
//! lock, and an event for each word that is slept on, found by a number that stands beside the word.

mod commit;
mod words;
pub(crate) use commit::CommitWord;
#[cfg(windows)]
pub(crate) use commit::state_of;
pub(crate) use words::Words;

#[cfg(target_os = "linux")]
mod anchor_linux;
#[cfg(target_os = "linux")]
mod keeper_linux;
#[cfg(target_os = "linux")]
mod robust_linux;
#[cfg(target_os = "linux")]
mod thread_linux;
#[cfg(target_os = "linux")]
mod words_linux;
#[cfg(target_os = "linux")]
pub(crate) use keeper_linux::{keep, let_go};
#[cfg(target_os = "linux")]
pub(crate) use robust_linux::{Node, Robust};
#[cfg(target_os = "linux")]
pub(crate) use thread_linux::{Pending, announce, forks, known, me};
#[cfg(target_os = "linux")]
pub(crate) use words_linux::{held_within, park};

#[cfg(windows)]
mod keeper_windows;
#[cfg(windows)]
mod kernel_windows;
#[cfg(windows)]
mod words_windows;
#[cfg(windows)]
pub(crate) use keeper_windows::{keep, let_go};
#[cfg(windows)]
pub(crate) use kernel_windows::{KernelObject, kernel_object};
#[cfg(windows)]
pub(crate) use words_windows::{announce, forks, park};

/// How a lock was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Clean,
    /// Its last owner died with it.
    Abandoned,
}
