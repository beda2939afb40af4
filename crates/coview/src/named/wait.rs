//! Waiting for any or all of several objects.

use std::time::Duration;

use super::{Event, Handle, Lock, Mutex, Semaphore};
use crate::error::Result;
use crate::explain::explain;
use crate::sys::object::{Object, Waited};

/// Something that can be waited for beside others.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Waitable<'a> {
    /// Had when this thread has taken it.
    Mutex(&'a Mutex),
    /// Had when it is set.
    Event(&'a Event),
    /// Had when a permit was taken.
    Semaphore(&'a Semaphore),
}

impl<'a> From<&'a Mutex> for Waitable<'a> {
    fn from(mutex: &'a Mutex) -> Waitable<'a> {
        Waitable::Mutex(mutex)
    }
}

impl<'a> From<&'a Event> for Waitable<'a> {
    fn from(event: &'a Event) -> Waitable<'a> {
        Waitable::Event(event)
    }
}

impl<'a> From<&'a Semaphore> for Waitable<'a> {
    fn from(semaphore: &'a Semaphore) -> Waitable<'a> {
        Waitable::Semaphore(semaphore)
    }
}

impl<'a> Waitable<'a> {
    pub(crate) fn handle(self) -> &'a Handle {
        match self {
            Waitable::Mutex(mutex) => &mutex.handle,
            Waitable::Event(event) => &event.handle,
            Waitable::Semaphore(semaphore) => &semaphore.handle,
        }
    }

    fn lock(self, abandoned: bool) -> Option<Lock<'a>> {
        match self {
            Waitable::Mutex(mutex) => Some(Lock::of(mutex, abandoned)),
            _ => None,
        }
    }
}

/// The object that was had.
#[derive(Debug)]
pub struct Fired<'a> {
    /// Its place among those waited for.
    pub index: usize,
    /// If it is a mutex: it is taken, and whether its last owner died with it.
    pub lock: Option<Lock<'a>>,
}

/// Waits until one of 1 to 64 objects can be had, and has it. If several can, it is the first of them. `None`:
/// `timeout` is over (`None` waits for ever).
///
/// # Examples
///
/// ```
/// use coview::{Event, Semaphore, wait_any};
///
/// let id = std::process::id();
/// let stop = Event::create(&format!("doc-stop-{id}"))?;
/// let work = Semaphore::create(&format!("doc-work-{id}"), 1, 10)?;
/// let fired = wait_any(&[(&stop).into(), (&work).into()], None)?;
/// assert_eq!(fired.map(|fired| fired.index), Some(1));
/// # Ok::<(), coview::Error>(())
/// ```
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for no or more than 64 objects, and the system's.
#[doc(alias = "WaitForMultipleObjects")]
pub fn wait_any<'a>(objects: &[Waitable<'a>], timeout: Option<Duration>) -> Result<Option<Fired<'a>>> {
    match wait(objects, false, timeout)? {
        Waited::Had { index, abandoned } => Ok(Some(Fired { index, lock: objects[index].lock(!abandoned.is_empty()) })),
        Waited::TimedOut => Ok(None),
    }
}

/// Waits until all of 1 to 64 objects can be had at once, and has them; until then none is taken. The locks of those
/// that are mutexes stand at their places. `None`: `timeout` is over (`None` waits for ever).
///
/// # Errors
/// As [`wait_any`].
pub fn wait_all<'a>(objects: &[Waitable<'a>], timeout: Option<Duration>) -> Result<Option<Vec<Option<Lock<'a>>>>> {
    match wait(objects, true, timeout)? {
        Waited::Had { abandoned, .. } => {
            Ok(Some(objects.iter().enumerate().map(|(i, object)| object.lock(abandoned.contains(&i))).collect()))
        }
        Waited::TimedOut => Ok(None),
    }
}

fn wait(objects: &[Waitable<'_>], all: bool, timeout: Option<Duration>) -> Result<Waited> {
    let raw: Vec<&Object> = objects.iter().map(|object| &*object.handle().object).collect();
    crate::sys::object::wait(&raw, all, timeout)
        .map_err(|error| explain("wait for", format_args!("{} objects", objects.len()), error))
}
