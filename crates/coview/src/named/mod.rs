//! Named mutexes, events and semaphores, beside the mappings in their one name space, and waiting for several.

mod event;
mod future;
mod mutex;
mod semaphore;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use event::{Event, EventOptions};
pub use mutex::{Lock, Mutex, MutexGuard, MutexOptions};
pub use semaphore::{Semaphore, SemaphoreFull, SemaphoreOptions};
pub use wait::{Fired, Waitable, wait_all, wait_any};

use crate::error::{Error, ErrorKind, Result};
use crate::explain::{absent, exists, explain};
use crate::mapping::{Disposition, Share};
use crate::name::Name;
use crate::sys::lock::Taken;
use crate::sys::namespace::Kind;
use crate::sys::object::{Make, Object};

/// A handle and the name it goes by in messages.
pub(crate) struct Handle {
    /// Shared with those who watch it: the name lives until they are gone too.
    pub(crate) object: Arc<Object>,
    pub(crate) name: Option<Name>,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => name.fmt(f),
            None => f.write_str("an unnamed object"),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What all options have in common.
#[derive(Debug, Clone, Default)]
struct Common {
    share: Share,
    inheritable: bool,
}

impl Handle {
    fn make(operation: &'static str, name: &str, make: Make, common: &Common) -> Result<(Handle, Disposition)> {
        let name = Name::parse(name)?;
        match Object::create(Some(&name.slot(operation)?), make, &common.share, common.inheritable) {
            Ok((object, true)) => Ok((Handle::of(object, Some(name)), Disposition::Created)),
            Ok((object, false)) => Ok((Handle::of(object, Some(name)), Disposition::Opened)),
            Err(error) => Err(explain(operation, &name, error)),
        }
    }

    pub(crate) fn of(object: Object, name: Option<Name>) -> Handle {
        Handle { object: Arc::new(object), name }
    }

    fn unnamed(make: Make, common: &Common) -> Result<Handle> {
        let (object, _) = Object::create(None, make, &common.share, common.inheritable)
            .map_err(|error| explain("create", "an unnamed object", error))?;
        Ok(Handle::of(object, None))
    }

    fn create(name: &str, make: Make, common: &Common) -> Result<Handle> {
        match Handle::make("create", name, make, common)? {
            (handle, Disposition::Created) => Ok(handle),
            (handle, Disposition::Opened) => Err(exists("create", handle)),
        }
    }

    fn open(name: &str, kind: Kind) -> Result<Handle> {
        let name = Name::parse(name)?;
        match Object::open(&name.slot("open")?, kind) {
            Ok(Some(object)) => Ok(Handle::of(object, Some(name))),
            Ok(None) => Err(absent("open", &name)),
            Err(error) => Err(explain("open", &name, error)),
        }
    }

    /// Waits for this one object: `Some(abandoned)` when it was had.
    #[inline]
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<bool>> {
        match self.object.take(timeout) {
            Ok(taken) => Ok(taken.map(|taken| taken == Taken::Abandoned)),
            Err(error) => Err(explain("wait for", self, error)),
        }
    }

    fn refuse(&self, operation: &'static str, kind: ErrorKind, why: &str) -> Error {
        Error::new(kind, operation, why).on(self)
    }
}
