//! Mutexes, events and semaphores: making, opening and changing them.

use std::thread;
use std::time::Duration;

use coview::{Disposition, Event, EventOptions, Mutex, MutexOptions, Semaphore, SemaphoreOptions};

use super::error::{Code, Outcome, set_last_error};
use super::object::{Entry, Object, STANDARD_RIGHTS, SYNCHRONIZE, rights};
use super::security::Security;
use super::table::{Handle, table};

const QUERY: u32 = 1;
/// EVENT_MODIFY_STATE and SEMAPHORE_MODIFY_STATE.
const MODIFY: u32 = 2;
const MUTEX_ALL: u32 = STANDARD_RIGHTS | 1;
const ALL: u32 = STANDARD_RIGHTS | 3;
/// How long a pulse lasts, for the sleepers that it wakes to take it.
const PULSE: Duration = Duration::from_millis(2);

/// A handle on what was made or found.
fn made(object: Object, found: Disposition, access: u32, inherit: bool) -> Outcome<Handle> {
    let handle = table().add(Entry::new(object, access, inherit))?;
    let existed = found == Disposition::Opened;
    set_last_error(if existed { Code::ALREADY_EXISTS } else { Code::SUCCESS });
    Ok(handle)
}

fn rights_or(access: Option<u32>, all: u32) -> u32 {
    access.map_or(all, |access| rights(access, QUERY, MODIFY, all))
}

pub(super) fn create_mutex(
    security: Security,
    owned: bool,
    name: Option<&str>,
    access: Option<u32>,
) -> Outcome<Handle> {
    let options = MutexOptions::new().share(security.share);
    let (mutex, found) = match name {
        Some(name) => options.open_or_create(name)?,
        None => (options.create_unnamed()?, Disposition::Created),
    };
    if owned && found == Disposition::Created {
        std::mem::forget(mutex.lock()?);
    }
    made(Object::Mutex(mutex), found, rights_or(access, MUTEX_ALL), security.inherit)
}

/// How an event is made.
pub(super) struct Making {
    pub(super) manual: bool,
    pub(super) set: bool,
}

pub(super) fn create_event(
    security: Security,
    how: &Making,
    name: Option<&str>,
    access: Option<u32>,
) -> Outcome<Handle> {
    let options = EventOptions::new().share(security.share).manual_reset(how.manual).initially_set(how.set);
    let (event, found) = match name {
        Some(name) => options.open_or_create(name)?,
        None => (options.create_unnamed()?, Disposition::Created),
    };
    made(Object::Event(event), found, rights_or(access, ALL), security.inherit)
}

pub(super) fn create_semaphore(
    security: Security,
    count: i32,
    maximum: i32,
    name: Option<&str>,
    access: Option<u32>,
) -> Outcome<Handle> {
    if count < 0 || maximum <= 0 || count > maximum {
        return Err(Code::INVALID_PARAMETER);
    }
    let options = SemaphoreOptions::new(count.cast_unsigned(), maximum.cast_unsigned()).share(security.share);
    let (semaphore, found) = match name {
        Some(name) => options.open_or_create(name)?,
        None => (options.create_unnamed()?, Disposition::Created),
    };
    made(Object::Semaphore(semaphore), found, rights_or(access, ALL), security.inherit)
}

/// Opens by a name, as Windows does: asking for no right at all is refused.
fn opened(object: Object, access: u32, all: u32, inherit: bool) -> Outcome<Handle> {
    match rights(access, QUERY, MODIFY, all) {
        0 => Err(Code::ACCESS_DENIED),
        access => table().add(Entry::new(object, access, inherit)),
    }
}

pub(super) fn open_mutex(access: u32, inherit: bool, name: &str) -> Outcome<Handle> {
    opened(Object::Mutex(Mutex::open(name)?), access, MUTEX_ALL, inherit)
}

pub(super) fn open_event(access: u32, inherit: bool, name: &str) -> Outcome<Handle> {
    opened(Object::Event(Event::open(name)?), access, ALL, inherit)
}

pub(super) fn open_semaphore(access: u32, inherit: bool, name: &str) -> Outcome<Handle> {
    opened(Object::Semaphore(Semaphore::open(name)?), access, ALL, inherit)
}

pub(super) fn release_mutex(handle: Handle) -> Outcome<()> {
    let entry = table().get(handle)?;
    let Object::Mutex(mutex) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    // Any handle on it will do, whatever its rights: owning it is what counts.
    mutex.unlock().map_err(|_| Code::NOT_OWNER)
}

/// What is done to an event.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Set,
    Reset,
    Pulse,
}

pub(super) fn change_event(handle: Handle, change: Change) -> Outcome<()> {
    let entry = table().get(handle)?;
    let Object::Event(event) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    entry.allow(MODIFY)?;
    match change {
        Change::Set => event.set()?,
        Change::Reset => event.reset()?,
        Change::Pulse => {
            event.set()?;
            thread::sleep(PULSE);
            event.reset()?;
        }
    }
    Ok(())
}

/// Gives permits back; how many there were.
pub(super) fn release_semaphore(handle: Handle, count: i32) -> Outcome<i32> {
    let entry = table().get(handle)?;
    let Object::Semaphore(semaphore) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    entry.allow(MODIFY)?;
    let count = u32::try_from(count).ok().filter(|count| *count > 0).ok_or(Code::INVALID_PARAMETER)?;
    let before = semaphore.release(count)?.map_err(|_| Code::TOO_MANY_POSTS)?;
    Ok(before.cast_signed())
}

/// What a wait needs a handle to be allowed.
pub(super) const WAIT: u32 = SYNCHRONIZE;
