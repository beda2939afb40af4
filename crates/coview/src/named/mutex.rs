//! The named mutex: one thread at a time has it, and the next is told when that thread died with it.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Common, Handle};
use crate::error::{ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::{Disposition, Share};
use crate::name::Name;
use crate::sys::namespace::Kind;
use crate::sys::object::Make;

/// A mutex that threads of all processes share by name (Win32: a *mutex object*).
///
/// The thread that has it can take it again; each guard gives it back once. If that thread or its process ends
/// without, by any death at any moment, the next to take it gets [`Lock::Abandoned`].
///
/// # Examples
///
/// ```
/// use coview::Mutex;
///
/// let mutex = Mutex::create(&format!("doc-mutex-{}", std::process::id()))?;
/// {
///     let _guard = mutex.lock()?.into_guard(); // what the mutex guards is ours until the end of the block
/// }
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "CreateMutex")]
pub struct Mutex {
    pub(crate) handle: Handle,
}

/// How a mutex is made.
#[derive(Debug, Clone, Default)]
pub struct MutexOptions {
    common: Common,
}

/// A mutex was taken.
#[derive(Debug)]
#[must_use = "the mutex is given back when this is dropped"]
pub enum Lock<'a> {
    /// As its last owner gave it back.
    Clean(MutexGuard<'a>),
    /// Its last owner died with it: it is yours, but what it guards may be half changed.
    Abandoned(MutexGuard<'a>),
}

impl<'a> Lock<'a> {
    /// The guard, whatever happened before.
    pub fn into_guard(self) -> MutexGuard<'a> {
        match self {
            Lock::Clean(guard) | Lock::Abandoned(guard) => guard,
        }
    }

    /// Whether the last owner died with it.
    pub fn is_abandoned(&self) -> bool {
        matches!(self, Lock::Abandoned(_))
    }

    pub(super) fn of(mutex: &'a Mutex, abandoned: bool) -> Lock<'a> {
        let guard = MutexGuard { mutex, _thread: PhantomData };
        if abandoned { Lock::Abandoned(guard) } else { Lock::Clean(guard) }
    }
}

/// The mutex is this thread's; dropped, it is given back once.
#[derive(Debug)]
#[must_use = "the mutex is given back when this is dropped"]
pub struct MutexGuard<'a> {
    mutex: &'a Mutex,
    /// Only the thread that took it can give it back.
    _thread: PhantomData<*const ()>,
}

impl Drop for MutexGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // It cannot fail: this thread has it, as a guard does not leave its thread. In a fork child it is the
        // parent's, and stays so.
        let _ = self.mutex.handle.object.unlock();
    }
}

impl MutexOptions {
    /// For its owner alone, not inheritable.
    pub fn new() -> MutexOptions {
        MutexOptions::default()
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

    /// Makes a mutex of that name, owned by nobody.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`WrongKind`](crate::ErrorKind::WrongKind) if an object of
    /// another kind has the name.
    pub fn create(&self, name: &str) -> Result<Mutex> {
        Ok(Mutex { handle: Handle::create(name, Make::Mutex, &self.common)? })
    }

    /// Makes a mutex without a name: for the threads of this process, and for children.
    ///
    /// # Errors
    /// The system's limit on descriptors or handles.
    pub fn create_unnamed(&self) -> Result<Mutex> {
        Ok(Mutex { handle: Handle::unnamed(Make::Mutex, &self.common)? })
    }

    /// Makes a mutex of that name or opens the live one; says which.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`.
    pub fn open_or_create(&self, name: &str) -> Result<(Mutex, Disposition)> {
        let (handle, disposition) = Handle::make("open or create", name, Make::Mutex, &self.common)?;
        Ok((Mutex { handle }, disposition))
    }
}

impl Mutex {
    /// Makes a mutex for this user alone.
    ///
    /// # Errors
    /// As [`MutexOptions::create`].
    pub fn create(name: &str) -> Result<Mutex> {
        MutexOptions::new().create(name)
    }

    /// Makes a mutex for this user alone, or opens the live one.
    ///
    /// # Errors
    /// As [`MutexOptions::open_or_create`].
    pub fn open_or_create(name: &str) -> Result<(Mutex, Disposition)> {
        MutexOptions::new().open_or_create(name)
    }

    /// Opens the live mutex of that name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongKind`](crate::ErrorKind::WrongKind),
    /// [`AccessDenied`](crate::ErrorKind::AccessDenied), [`Corrupt`](crate::ErrorKind::Corrupt).
    #[doc(alias = "OpenMutex")]
    pub fn open(name: &str) -> Result<Mutex> {
        Ok(Mutex { handle: Handle::open(name, Kind::Mutex)? })
    }

    /// The name it was made or opened by.
    pub fn name(&self) -> Option<&Name> {
        self.handle.name.as_ref()
    }

    /// Takes it, waiting for as long as it takes.
    ///
    /// # Errors
    /// The system's.
    #[inline]
    pub fn lock(&self) -> Result<Lock<'_>> {
        loop {
            if let Some(lock) = self.wait(None)? {
                return Ok(lock);
            }
        }
    }

    /// Takes it if it is free now.
    ///
    /// # Errors
    /// The system's.
    pub fn try_lock(&self) -> Result<Option<Lock<'_>>> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Takes it, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// The system's.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<Lock<'_>>> {
        self.wait(Some(timeout))
    }

    #[inline]
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Lock<'_>>> {
        Ok(self.handle.wait(timeout)?.map(|abandoned| Lock::of(self, abandoned)))
    }

    /// Gives it back once, without a guard: for who took it and let the guard go by [`std::mem::forget`].
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if this thread does not have it (Win32: `ERROR_NOT_OWNER`).
    #[doc(alias = "ReleaseMutex")]
    pub fn unlock(&self) -> Result<()> {
        match self.handle.object.unlock() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let why = "this thread does not have it; only the thread that took it can give it back";
                Err(self.handle.refuse("unlock", ErrorKind::InvalidInput, why))
            }
            Err(error) => Err(explain("unlock", &self.handle, error)),
        }
    }
}
