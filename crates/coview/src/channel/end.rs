//! The ends of a channel: who is there, and who has died.

use std::sync::Arc;

use super::keeper::Presence;
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::{AtomicU32, Ordering};
use crate::sync::Placed;
use crate::sys::lock::{Taken, Words};
use crate::view::View;

/// A process at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its number, in its PID namespace.
    pub process: u32,
}

/// A place where one process may be attached; zeroed, nobody is.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct End {
    presence: Words,
    /// Who is there, or was when it died.
    process: AtomicU32,
    reserved: [AtomicU32; 5],
}

/// How many have died at ends of one kind, since the channel was made.
pub(super) type Deaths = AtomicU32;

/// This process, attached.
pub(super) struct Attached {
    // Before the presence: who sees that nobody is there finds no number either.
    _process: Signature,
    _presence: Presence,
}

struct Signature {
    view: Arc<View>,
    offset: usize,
}

impl Drop for Signature {
    fn drop(&mut self) {
        if let Ok(end) = self.view.place::<End>(self.offset) {
            let _ = end.process.compare_exchange(std::process::id(), 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

// SAFETY: (1) to (4): atomics, of which any value is some state; zero is "nobody".
unsafe impl Placed for End {}

impl End {
    /// Attaches this process at the end that stands at `offset`, if nobody alive is there.
    pub(super) fn attach(view: &Arc<View>, offset: usize, deaths: &Deaths) -> Result<Option<Attached>> {
        let end: &End = view.place(offset)?;
        let Some((presence, died)) = Presence::take(view, offset)? else {
            return Ok(None);
        };
        if died {
            deaths.fetch_add(1, Ordering::Relaxed);
        }
        end.process.store(std::process::id(), Ordering::Relaxed);
        let process = Signature { view: Arc::clone(view), offset };
        Ok(Some(Attached { _process: process, _presence: presence }))
    }

    /// Who is there, as far as anybody has noticed.
    pub(super) fn peer(&self) -> Option<Peer> {
        Some(self.process.load(Ordering::Relaxed)).filter(|process| *process != 0).map(|process| Peer { process })
    }

    pub(super) fn words(&self) -> &Words {
        &self.presence
    }

    /// Nobody holds this end: counts a death if that is why.
    pub(super) fn bury(&self, deaths: &Deaths) {
        // Otherwise somebody new is there, who has counted it.
        if let Ok(Some(taken)) = self.presence.try_lock() {
            if taken == Taken::Abandoned {
                self.process.store(0, Ordering::Relaxed);
                deaths.fetch_add(1, Ordering::Relaxed);
            }
            let _ = self.presence.unlock(false);
        }
    }
}

/// The error for a death that has not been told yet.
pub(super) fn died(operation: &'static str, who: &'static str) -> Error {
    let why = format!(
        "its {who} died; what it had committed was handed over, and a new {who} may attach: call again to wait for it"
    );
    Error::new(ErrorKind::PeerDied, operation, why)
}
