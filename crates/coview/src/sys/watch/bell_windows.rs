//! Listening for a bell on Windows: not there yet.

use std::io;
use std::task::Waker;

use crate::sys::Refusal;
use crate::sys::lock::{CommitWord, Words};

/// One who wants to know that a bell rang, or that one of those who might ring it has gone.
#[derive(Debug)]
pub(crate) struct Listener;

fn refuse<T>() -> io::Result<T> {
    let why = "channels cannot be awaited on Windows yet; call receive, send or changed, or their _timeout forms, in a thread \
               of their own (tokio: spawn_blocking)";
    Err(Refusal::Unsupported(why.into()).into())
}

impl Listener {
    pub(crate) fn new() -> Listener {
        Listener
    }

    /// # Errors
    /// Unsupported, always.
    ///
    /// # Safety
    /// None; it has conditions on Linux.
    pub(crate) unsafe fn listen<'w>(
        &mut self,
        _bell: CommitWord<'_>,
        _waker: &Waker,
        _peers: impl FnOnce() -> Option<Vec<&'w Words>>,
    ) -> io::Result<Option<bool>> {
        refuse()
    }

    /// # Errors
    /// Unsupported, always.
    ///
    /// # Safety
    /// None; it has conditions on Linux.
    pub(crate) unsafe fn listen_beside(&mut self, _lock: &Words, _waker: &Waker) -> io::Result<bool> {
        refuse()
    }
}
