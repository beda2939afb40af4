//! The named event: set by one, waited for by others.

use std::time::Duration;

use super::{Common, Handle, future};
use crate::error::Result;
use crate::explain::explain;
use crate::mapping::{Disposition, Share};
use crate::name::Name;
use crate::sys::namespace::Kind;
use crate::sys::object::Make;

/// A signal that processes share by name (Win32: an *event object*).
///
/// A *manual-reset* event lets everybody through while it is set; an *automatic-reset* event lets one waiter through
/// for each time it is set, and setting it twice before anybody waits is setting it once.
///
/// # Examples
///
/// ```
/// use coview::Event;
///
/// let ready = Event::create(&format!("doc-event-{}", std::process::id()))?;
/// assert!(!ready.try_wait()?);
/// ready.set()?;
/// ready.wait()?; // lets one through …
/// assert!(!ready.try_wait()?); // … and is reset
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "CreateEvent")]
pub struct Event {
    pub(crate) handle: Handle,
}

/// How an event is made.
#[derive(Debug, Clone, Default)]
pub struct EventOptions {
    common: Common,
    manual: bool,
    set: bool,
}

impl EventOptions {
    /// Automatic reset, not set, for its owner alone.
    pub fn new() -> EventOptions {
        EventOptions::default()
    }

    /// Stays set until it is reset.
    pub fn manual_reset(mut self, manual: bool) -> Self {
        self.manual = manual;
        self
    }

    /// Begins set.
    pub fn initially_set(mut self, set: bool) -> Self {
        self.set = set;
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.common.share = share;
        self
    }

    /// Lets every child process inherit the handle.
    pub fn inheritable(mut self, inheritable: bool) -> Self {
        self.common.inheritable = inheritable;
        self
    }

    fn make(&self) -> Make {
        Make::Event { manual: self.manual, set: self.set }
    }

    /// Makes an event of that name.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`WrongKind`](crate::ErrorKind::WrongKind).
    pub fn create(&self, name: &str) -> Result<Event> {
        Ok(Event { handle: Handle::create(name, self.make(), &self.common)? })
    }

    /// Makes an event without a name: for the threads of this process, and for children.
    ///
    /// # Errors
    /// The system's limit on descriptors or handles.
    pub fn create_unnamed(&self) -> Result<Event> {
        Ok(Event { handle: Handle::unnamed(self.make(), &self.common)? })
    }

    /// Makes an event of that name or opens the live one, whose kind and state stay as they are; says which.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`.
    pub fn open_or_create(&self, name: &str) -> Result<(Event, Disposition)> {
        let (handle, disposition) = Handle::make("open or create", name, self.make(), &self.common)?;
        Ok((Event { handle }, disposition))
    }
}

impl Event {
    /// Makes an automatic-reset event for this user alone.
    ///
    /// # Errors
    /// As [`EventOptions::create`].
    pub fn create(name: &str) -> Result<Event> {
        EventOptions::new().create(name)
    }

    /// Opens the live event of that name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongKind`](crate::ErrorKind::WrongKind),
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied), [`Corrupt`](crate::ErrorKind::Corrupt).
    #[doc(alias = "OpenEvent")]
    pub fn open(name: &str) -> Result<Event> {
        Ok(Event { handle: Handle::open(name, Kind::Event)? })
    }

    /// The name it was made or opened by.
    pub fn name(&self) -> Option<&Name> {
        self.handle.name.as_ref()
    }

    /// Sets it.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "SetEvent")]
    pub fn set(&self) -> Result<()> {
        self.handle.object.set().map_err(|error| explain("set", &self.handle, error))
    }

    /// Resets it.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "ResetEvent")]
    pub fn reset(&self) -> Result<()> {
        self.handle.object.reset().map_err(|error| explain("reset", &self.handle, error))
    }

    /// Waits until it is set.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self) -> Result<()> {
        while self.handle.wait(None)?.is_none() {}
        Ok(())
    }

    /// Whether it is set now; an automatic-reset event is reset by that.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&self) -> Result<bool> {
        self.wait_timeout(Duration::ZERO)
    }

    /// Waits until it is set, for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        Ok(self.handle.wait(Some(timeout))?.is_some())
    }

    /// Waits until it is set, in any async runtime and without a thread of its own. The future has its own hold on the
    /// event, so it can be spawned; while it waits one helper thread of this process sleeps for it and up to 126 others
    /// (62 on Windows).
    ///
    /// Nothing is lost if it is dropped before it is ready: an event that was set meanwhile is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::Event;
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let ready = Event::create(&format!("doc-async-{}", std::process::id()))?;
    /// runtime.block_on(async {
    ///     let waiter = tokio::spawn(ready.wait_async());
    ///     ready.set()?;
    ///     waiter.await.unwrap()
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system's. On Windows [`AccessDenied`](crate::ErrorKind::AccessDenied), if the event's access list does not let
    /// us see whether it resets automatically.
    pub fn wait_async(&self) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
        future::take(&self.handle)
    }
}
