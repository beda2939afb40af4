//! Events and mutexes of a prefix, used from outside: the helper waits there and says so here.

use std::sync::Arc;
use std::time::Duration;

use super::link::{Answer, Link};
use crate::error::Result;
use crate::name::Name;

/// What the helper holds for us, by its number there; dropped, it lets go.
#[derive(Debug)]
struct Far {
    link: Arc<Link>,
    held: String,
    name: Name,
}

impl Far {
    fn of(link: &Arc<Link>, name: Name, held: String) -> Far {
        Far { link: Arc::clone(link), held, name }
    }

    fn ask(&self, operation: &'static str, verb: &str) -> Result<Answer> {
        self.link.ask(&[verb, &self.held]).map_err(|refused| refused.to(operation, &self.name))
    }

    fn take(&self, operation: &'static str, timeout: Option<Duration>) -> Result<Answer> {
        let millis = timeout.map_or_else(|| "-".to_owned(), |timeout| timeout.as_millis().to_string());
        self.link.ask_and_wait(&["take", &self.held, &millis]).map_err(|refused| refused.to(operation, &self.name))
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // If the helper is gone, so is what it held.
        let _ = self.link.ask(&["drop", &self.held]);
    }
}

/// An event in a Wine prefix.
///
/// Waiting takes a wake-up on each side: some tens of microseconds. Waiting for an *automatic-reset* event takes it, as it does for
/// any waiter: the programs in the prefix that wait for the same event miss what is taken here.
#[derive(Debug)]
pub struct FarEvent {
    far: Far,
    created: bool,
}

impl FarEvent {
    pub(super) fn of(link: &Arc<Link>, name: Name, how: &str) -> Result<FarEvent> {
        let answer = link.ask(&["event", &name.to_string(), how]);
        let mut words = answer.map_err(|refused| refused.to("open", &name))?.words;
        let (held, created) = (words.text(), words.number() == Some(1));
        Ok(FarEvent { far: Far::of(link, name, held), created })
    }

    /// Whether it was made by this, or a program in the prefix had it.
    pub fn is_new(&self) -> bool {
        self.created
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`PeerDied`](crate::ErrorKind::PeerDied) if the helper has ended.
    pub fn set(&self) -> Result<()> {
        self.far.ask("set", "set").map(drop)
    }

    /// Resets it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn reset(&self) -> Result<()> {
        self.far.ask("reset", "reset").map(drop)
    }

    /// Whether it is set now; an automatic-reset event is reset by that.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn try_wait(&self) -> Result<bool> {
        Ok(self.far.ask("wait for", "is-set")?.words.number() == Some(1))
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn wait(&self) -> Result<()> {
        self.far.take("wait for", None).map(drop)
    }

    /// Waits until it is set, for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        Ok(self.far.take("wait for", Some(timeout))?.words.number() == Some(1))
    }
}

/// A mutex in a Wine prefix. The helper's thread is its owner; should the helper or this process die, the next owner there is told.
#[derive(Debug)]
pub struct FarMutex {
    far: Far,
}

/// The mutex in the prefix is ours; dropped, it is given back.
#[derive(Debug)]
#[must_use = "the mutex is given back when this is dropped"]
pub struct FarGuard<'a> {
    mutex: &'a FarMutex,
    abandoned: bool,
}

impl FarMutex {
    pub(super) fn of(link: &Arc<Link>, name: Name, how: &str) -> Result<FarMutex> {
        let answer = link.ask(&["mutex", &name.to_string(), how]);
        let held = answer.map_err(|refused| refused.to("open", &name))?.words.text();
        Ok(FarMutex { far: Far::of(link, name, held) })
    }

    /// Takes it, waiting for as long as it takes. There is one owner on this side, the helper: a second lock through the same
    /// handle has it, too.
    ///
    /// # Errors
    /// [`PeerDied`](crate::ErrorKind::PeerDied) if the helper has ended.
    pub fn lock(&self) -> Result<FarGuard<'_>> {
        let abandoned = self.far.take("lock", None)?.words.text() == "abandoned";
        Ok(FarGuard { mutex: self, abandoned })
    }

    /// Takes it, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<FarGuard<'_>>> {
        let word = self.far.take("lock", Some(timeout))?.words.text();
        Ok((word != "timeout").then(|| FarGuard { mutex: self, abandoned: word == "abandoned" }))
    }
}

impl FarGuard<'_> {
    /// Whether the last owner died with it: what it guards may be half changed.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned
    }
}

impl Drop for FarGuard<'_> {
    fn drop(&mut self) {
        // It fails only if the helper is gone, whose death gives the mutex to the next.
        let _ = self.mutex.far.ask("unlock", "give");
    }
}
