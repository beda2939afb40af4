//! The named semaphore: a count of permits that processes take and give back.

use std::fmt;
use std::time::Duration;

use super::{Common, Handle, future};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::{Disposition, Share};
use crate::name::Name;
use crate::sys::namespace::Kind;
use crate::sys::object::Make;

/// A count of permits that processes share by name (Win32: a *semaphore object*).
///
/// Permits belong to nobody: those a process took when it died are not given back, on Windows as on Linux.
///
/// # Examples
///
/// ```
/// use coview::Semaphore;
///
/// let permits = Semaphore::create(&format!("doc-semaphore-{}", std::process::id()), 2, 2)?;
/// permits.acquire()?;
/// permits.acquire()?;
/// assert!(!permits.try_acquire()?);
/// assert_eq!(permits.release(1)?, Ok(0)); // there were none
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "CreateSemaphore")]
pub struct Semaphore {
    pub(crate) handle: Handle,
}

/// Giving back so many would exceed the maximum; nothing was changed. Inside: the count as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SemaphoreFull(pub u32);

impl fmt::Display for SemaphoreFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the semaphore has {} permits and so many more would exceed its maximum", self.0)
    }
}

impl std::error::Error for SemaphoreFull {}

/// How a semaphore is made.
#[derive(Debug, Clone)]
pub struct SemaphoreOptions {
    common: Common,
    count: u32,
    maximum: u32,
}

impl SemaphoreOptions {
    /// `count` permits to begin with, `maximum` at most; for its owner alone.
    pub fn new(count: u32, maximum: u32) -> SemaphoreOptions {
        SemaphoreOptions { common: Common::default(), count, maximum }
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

    fn make(&self) -> Result<Make> {
        let (count, maximum) = (self.count, self.maximum);
        if maximum == 0 || count > maximum || maximum > i32::MAX as u32 {
            let why = format!(
                "{count} of at most {maximum} permits: the maximum must be 1 to {}, and the count no more",
                i32::MAX
            );
            return Err(Error::new(ErrorKind::InvalidInput, "create a semaphore with", why));
        }
        Ok(Make::Semaphore { count, maximum })
    }

    /// Makes a semaphore of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::WrongKind`], [`ErrorKind::InvalidInput`] for a count above the maximum.
    pub fn create(&self, name: &str) -> Result<Semaphore> {
        Ok(Semaphore { handle: Handle::create(name, self.make()?, &self.common)? })
    }

    /// Makes a semaphore without a name: for the threads of this process, and for children.
    ///
    /// # Errors
    /// The system's limit on descriptors or handles, and `InvalidInput` as for [`create`](Self::create).
    pub fn create_unnamed(&self) -> Result<Semaphore> {
        Ok(Semaphore { handle: Handle::unnamed(self.make()?, &self.common)? })
    }

    /// Makes a semaphore of that name or opens the live one, whose count and maximum stay as they are; says which.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`.
    pub fn open_or_create(&self, name: &str) -> Result<(Semaphore, Disposition)> {
        let (handle, disposition) = Handle::make("open or create", name, self.make()?, &self.common)?;
        Ok((Semaphore { handle }, disposition))
    }
}

impl Semaphore {
    /// Makes a semaphore for this user alone.
    ///
    /// # Errors
    /// As [`SemaphoreOptions::create`].
    pub fn create(name: &str, count: u32, maximum: u32) -> Result<Semaphore> {
        SemaphoreOptions::new(count, maximum).create(name)
    }

    /// Opens the live semaphore of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`], [`ErrorKind::AccessDenied`], [`ErrorKind::Corrupt`].
    #[doc(alias = "OpenSemaphore")]
    pub fn open(name: &str) -> Result<Semaphore> {
        Ok(Semaphore { handle: Handle::open(name, Kind::Semaphore)? })
    }

    /// The name it was made or opened by.
    pub fn name(&self) -> Option<&Name> {
        self.handle.name.as_ref()
    }

    /// Takes a permit, waiting for as long as it takes.
    ///
    /// # Errors
    /// The system's.
    pub fn acquire(&self) -> Result<()> {
        while self.handle.wait(None)?.is_none() {}
        Ok(())
    }

    /// Takes a permit if there is one now.
    ///
    /// # Errors
    /// The system's.
    pub fn try_acquire(&self) -> Result<bool> {
        self.acquire_timeout(Duration::ZERO)
    }

    /// Takes a permit, waiting for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// The system's.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<bool> {
        Ok(self.handle.wait(Some(timeout))?.is_some())
    }

    /// Takes a permit, waiting for it in any async runtime and without a thread of its own; see
    /// [`Event::wait_async`](crate::Event::wait_async).
    ///
    /// Nothing is lost if the future is dropped before it is ready: a permit that was taken for it is given back.
    ///
    /// # Errors
    /// The system's.
    pub fn acquire_async(&self) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
        future::take(&self.handle)
    }

    /// Gives `count` permits back; the count before, or [`SemaphoreFull`] if that would exceed the maximum.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a count of 0, and the system's.
    #[doc(alias = "ReleaseSemaphore")]
    pub fn release(&self, count: u32) -> Result<std::result::Result<u32, SemaphoreFull>> {
        if count == 0 {
            return Err(self.handle.refuse("release", ErrorKind::InvalidInput, "a count of 0 gives nothing back"));
        }
        match self.handle.object.give(count) {
            Ok(done) => Ok(done.map_err(SemaphoreFull)),
            Err(error) => Err(explain("release", &self.handle, error)),
        }
    }
}
