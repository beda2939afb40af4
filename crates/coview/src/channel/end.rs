//! The ends of a channel: who is there, and who has died.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::future::Listening;
use super::presence::Presence;
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::{AtomicU32, Ordering};
use crate::sync::{Commit, Placed};
use crate::sys::guard;
use crate::sys::lock::{Taken, Words};
use crate::sys::wait::{Deadline, join_fences};
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

/// Where in an end the number of its process stands.
pub(super) const PROCESS_AT: usize = std::mem::offset_of!(End, process);

/// How many have died at ends of one kind, since the channel was made.
pub(super) type Deaths = AtomicU32;

/// The most ends that one sleeps beside: Windows waits for 64 objects at once. Who has more others looks after all of them, so often.
const BESIDE: usize = 62;
const NAP: Duration = Duration::from_millis(100);

/// Looks at ends that nobody has and nobody has given up, before they are left alone.
const LOOKS: u32 = 4;

/// This process, attached.
pub(super) struct Attached {
    // Before the presence: who sees that nobody is there finds no number either.
    process: Signature,
    presence: Presence,
    heir: bool,
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

/// One side of a channel, as the other sees it.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) ends: &'a [End],
    pub(super) deaths: &'a Deaths,
    /// What this side rings when there is news, and the other sleeps on.
    pub(super) bell: &'a Commit,
}

impl Side<'_> {
    /// Attaches this process at the first of so many ends where nobody alive is.
    pub(super) fn attach(self, view: &Arc<View>, ends: usize) -> Result<Option<Attached>> {
        join_fences();
        for end in &self.ends[..ends] {
            let offset = std::ptr::from_ref(end).addr() - view.as_ptr().addr();
            let Some((presence, died)) = Presence::take(view, offset)? else {
                continue;
            };
            if died && end.peer().is_some() {
                self.deaths.fetch_add(1, Ordering::AcqRel);
            }
            end.process.store(std::process::id(), Ordering::Release);
            // Whoever sleeps wakes and sleeps beside us, too.
            self.ring().map_err(|error| explain("attach to", "a channel", error))?;
            let process = Signature { view: Arc::clone(view), offset };
            return Ok(Some(Attached { process, presence, heir: died }));
        }
        Ok(None)
    }

    /// Who is there, as far as anybody has noticed.
    pub(super) fn peers(self) -> impl Iterator<Item = Peer> {
        self.ends.iter().filter_map(End::peer)
    }

    /// Wakes the other side for what was stored just before, if it sleeps.
    #[inline]
    pub(super) fn ring(self) -> io::Result<()> {
        guard::check(self.bell)?;
        self.bell.word().ring()
    }

    /// Sleeps until this side rings, unless there is something now, or somebody has died here beyond the deaths that are `known`;
    /// the caller looks, and calls again. `polling`: never sleeps. `false`: the time is over.
    pub(super) fn sleep(
        self,
        until: Deadline,
        known: u32,
        polling: bool,
        ready: impl Fn() -> bool,
    ) -> io::Result<bool> {
        self.sleep_and(|end| end.bury(self.deaths), until, known, polling, ready)
    }

    /// As [`sleep`](Self::sleep); `bury` looks whether somebody is at this end, and counts a death if not.
    pub(super) fn sleep_and(
        self,
        bury: impl Fn(&End) -> bool,
        until: Deadline,
        known: u32,
        polling: bool,
        ready: impl Fn() -> bool,
    ) -> io::Result<bool> {
        guard::check(self.bell)?;
        let there = || self.ends.iter().filter(|end| end.process.load(Ordering::Acquire) != 0);
        let bury = || there().map(&bury).for_each(|_| ());
        let Some(left) = until.left() else {
            bury();
            return Ok(false);
        };
        if polling {
            bury();
            return Ok(true);
        }
        let peers = || {
            // First who is there, then who has died: nobody is missing in both.
            let locks = there().map(|end| &end.presence).take(BESIDE).collect();
            (!ready() && self.deaths.load(Ordering::Acquire) == known).then_some(locks)
        };
        let crowded = there().count() > BESIDE;
        let left = if crowded { left.min(NAP) } else { left };
        if self.bell.word().sleep_beside(left, peers)? || crowded {
            bury();
        }
        Ok(true)
    }

    /// As [`sleep`](Self::sleep), without sleeping: `waker` is woken when the caller should look again. `false`: now.
    pub(super) fn listen(
        self,
        listening: &mut Listening,
        waker: &Waker,
        known: u32,
        ready: impl Fn() -> bool,
    ) -> io::Result<bool> {
        self.listen_and(|end| end.bury(self.deaths), listening, waker, known, ready)
    }

    /// As [`listen`](Self::listen), with `bury` as in [`sleep_and`](Self::sleep_and).
    pub(super) fn listen_and(
        self,
        bury: impl Fn(&End) -> bool,
        listening: &mut Listening,
        waker: &Waker,
        known: u32,
        ready: impl Fn() -> bool,
    ) -> io::Result<bool> {
        guard::check(self.bell)?;
        let there = || self.ends.iter().filter(|end| end.process.load(Ordering::Acquire) != 0);
        let is_news = || ready() || self.deaths.load(Ordering::Acquire) != known;
        for _ in 0..LOOKS {
            let peers = || {
                // First who is there, then who has died, as in `sleep`.
                let locks = there().map(|end| &end.presence).collect();
                (!is_news()).then_some(locks)
            };
            match listening.listen(self.bell.word(), waker, peers)? {
                Some(false) => return Ok(true),
                Some(true) => there().map(&bury).for_each(|_| ()),
                None => return Ok(false),
            }
            if is_news() {
                return Ok(false);
            }
        }
        // An end that says who is there, and nobody has it: a peer wrote over it. All others are listened to.
        Ok(true)
    }
}

impl End {
    pub(super) fn peer(&self) -> Option<Peer> {
        Some(self.process.load(Ordering::Relaxed)).filter(|process| *process != 0).map(|process| Peer { process })
    }

    /// Whether nobody is here, as far as anybody has noticed.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.process.load(Ordering::Relaxed) == 0
    }

    /// If nobody holds this end, counts a death if that is why.
    fn bury(&self, deaths: &Deaths) -> bool {
        self.reclaim(deaths, || ())
    }

    /// As [`bury`](Self::bury), and takes back what the dead had: nobody attaches here meanwhile. Whether nobody is there.
    pub(super) fn reclaim(&self, deaths: &Deaths, take_back: impl FnOnce()) -> bool {
        // Otherwise somebody new is there, who has counted it.
        let Ok(Some(taken)) = self.presence.try_lock() else { return false };
        take_back();
        // Without a number it was whoever buried the one before that died.
        if taken == Taken::Abandoned && self.peer().is_some() {
            // Release, both: pairs with the Acquires in `sleep` and of the receivers: who finds nobody here finds the death,
            // and who finds the death finds what was done before it.
            deaths.fetch_add(1, Ordering::AcqRel);
            self.process.store(0, Ordering::Release);
        }
        let _ = self.presence.unlock(false);
        true
    }
}

impl Attached {
    /// At which of these ends.
    pub(super) fn index(&self, ends: &[End]) -> usize {
        let at = self.process.view.as_ptr().wrapping_add(self.process.offset);
        (at.addr() - ends.as_ptr().addr()) / size_of::<End>()
    }

    /// Whether the one before died here, so that what it had is still to be taken back.
    pub(super) fn is_heir(&self) -> bool {
        self.heir
    }

    /// Whether this is still the process that attached, and not a fork of it, which frees nothing of what its parent holds.
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        self.presence.is_ours()
    }
}

/// The error for a death that has not been told yet.
pub(super) fn died(operation: &'static str, who: &'static str) -> Error {
    let why = format!(
        "its {who} died; what it had committed was handed over, and a new {who} may attach: call again to wait for it"
    );
    Error::new(ErrorKind::PeerDied, operation, why)
}
