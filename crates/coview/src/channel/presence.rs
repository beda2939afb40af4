//! Being there: a lock that this process holds for as long as it is attached, whichever of its threads uses the end.

use std::sync::Arc;

use crate::error::Result;
use crate::explain::explain;
use crate::sys::lock::{Taken, Words, forks, keep, let_go};
use crate::view::View;

/// This process is at this end of the channel, until it is dropped or dies.
pub(super) struct Presence {
    view: Arc<View>,
    offset: usize,
    forks: u32,
}

impl Presence {
    /// Takes the lock at `offset`. `None`: somebody else is there. The flag: who was there before died.
    pub(super) fn take(view: &Arc<View>, offset: usize) -> Result<Option<(Presence, bool)>> {
        let words: &Words = view.place(offset)?;
        // SAFETY: (1) the presence has a part of the view; forgotten, the view is never unmapped.
        let taken = unsafe { keep(words) }.map_err(|error| explain("attach to", "a channel", error))?;
        let presence = || Presence { view: Arc::clone(view), offset, forks: forks() };
        Ok(taken.map(|how| (presence(), how == Taken::Abandoned)))
    }

    /// A fork child is not there; its parent is.
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        self.forks == forks()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // It fails only when a peer wrote over the words.
        let _ = self.view.placed::<Words>(self.offset).map(let_go);
    }
}
