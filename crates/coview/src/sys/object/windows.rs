//! Named objects on Windows: the kernel's own.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_INVALID_HANDLE, ERROR_NOT_OWNER,
    ERROR_TOO_MANY_POSTS, GetLastError, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation, WAIT_ABANDONED_0,
    WAIT_FAILED, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, CreateSemaphoreW, EVENT_MODIFY_STATE, INFINITE, MUTEX_MODIFY_STATE, OpenEventW,
    OpenMutexW, OpenSemaphoreW, ReleaseMutex, ReleaseSemaphore, ResetEvent, SEMAPHORE_MODIFY_STATE,
    SYNCHRONIZATION_SYNCHRONIZE, SetEvent, WaitForMultipleObjects,
};

use super::{Make, Timeout, WAIT_MAX, Waited};
use crate::sys::Refusal;
use crate::sys::lock::Taken;
use crate::sys::mapping::{Security, Share};
use crate::sys::namespace::{Kind, Slot, owned, wrong_kind};
use crate::sys::wait::Deadline;

/// A handle on a mutex, an event or a semaphore.
#[derive(Debug)]
pub(crate) struct Object {
    handle: OwnedHandle,
    kind: Kind,
}

fn last_error() -> u32 {
    // SAFETY: reads a value of this thread.
    unsafe { GetLastError() }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn denied(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) if code == ERROR_ACCESS_DENIED.cast_signed() => {
            Refusal::Denied("its access list does not let you use it; ask its owner for a wider --share".into()).into()
        }
        _ => error,
    }
}

impl Object {
    /// A new object, or the live one of that name; whether it is new.
    pub(crate) fn create(
        slot: Option<&Slot>,
        make: Make,
        share: &Share,
        inheritable: bool,
    ) -> io::Result<(Object, bool)> {
        let security = Security::of_object(share)?;
        let attributes = security.attributes();
        let name = slot.map_or(std::ptr::null(), Slot::as_ptr);
        // SAFETY: attributes and name are alive during the call, and the name is NUL-terminated or null.
        let handle: HANDLE = match make {
            // SAFETY: as above.
            Make::Mutex => unsafe { CreateMutexW(&attributes, 0, name) },
            // SAFETY: as above.
            Make::Event { manual, set } => unsafe { CreateEventW(&attributes, manual.into(), set.into(), name) },
            Make::Semaphore { count, maximum } => {
                // SAFETY: as above; both fit in 31 bits.
                unsafe { CreateSemaphoreW(&attributes, count.cast_signed(), maximum.cast_signed(), name) }
            }
        };
        let existed = last_error() == ERROR_ALREADY_EXISTS;
        // SAFETY: the call has just returned it, to us alone.
        let object = match unsafe { owned(handle) } {
            Ok(handle) => Object { handle, kind: make.kind() },
            Err(error) => {
                return Err(match (slot, error.raw_os_error().map(i32::cast_unsigned)) {
                    (Some(slot), Some(ERROR_INVALID_HANDLE)) => wrong_kind(slot, error),
                    _ => denied(error),
                });
            }
        };
        if inheritable {
            // SAFETY: the handle is open.
            done(unsafe { SetHandleInformation(object.raw(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
        }
        Ok((object, !existed))
    }

    /// The live object of this name and kind. `Ok(None)`: there is none.
    pub(crate) fn open(slot: &Slot, kind: Kind) -> io::Result<Option<Object>> {
        let (open, rights): (unsafe extern "system" fn(u32, i32, *const u16) -> HANDLE, u32) = match kind {
            Kind::Mutex => (OpenMutexW, MUTEX_MODIFY_STATE),
            Kind::Event => (OpenEventW, EVENT_MODIFY_STATE),
            _ => (OpenSemaphoreW, SEMAPHORE_MODIFY_STATE),
        };
        // SAFETY: each of the three only reads the name, which is NUL-terminated and alive.
        let handle = unsafe { open(rights | SYNCHRONIZATION_SYNCHRONIZE, 0, slot.as_ptr()) };
        // SAFETY: the call has just returned it, to us alone.
        let error = match unsafe { owned(handle) } {
            Ok(handle) => return Ok(Some(Object { handle, kind })),
            Err(error) => error,
        };
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_FILE_NOT_FOUND) => Ok(None),
            Some(ERROR_INVALID_HANDLE) => Err(wrong_kind(slot, error)),
            _ => Err(denied(error)),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }

    fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Takes it, waiting for at most `timeout`.
    pub(crate) fn take(&self, timeout: Timeout) -> io::Result<Option<Taken>> {
        Ok(match wait(&[self], false, timeout)? {
            Waited::Had { abandoned, .. } if abandoned.is_empty() => Some(Taken::Clean),
            Waited::Had { .. } => Some(Taken::Abandoned),
            Waited::TimedOut => None,
        })
    }

    /// Gives the mutex back once. `false`: this thread does not own it.
    pub(crate) fn unlock(&self) -> io::Result<bool> {
        // SAFETY: the handle is open.
        match done(unsafe { ReleaseMutex(self.raw()) }) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(ERROR_NOT_OWNER.cast_signed()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets the event.
    pub(crate) fn set(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        done(unsafe { SetEvent(self.raw()) })
    }

    /// Resets the event.
    pub(crate) fn reset(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        done(unsafe { ResetEvent(self.raw()) })
    }

    /// Gives `count` back to the semaphore: the count before, or `Err` with it if the maximum would be exceeded.
    pub(crate) fn give(&self, count: u32) -> io::Result<Result<u32, u32>> {
        let mut before = 0;
        let more = i32::try_from(count).unwrap_or(i32::MAX);
        // SAFETY: the handle is open, and the count goes to a variable of ours.
        match done(unsafe { ReleaseSemaphore(self.raw(), more, &mut before) }) {
            Ok(()) => Ok(Ok(before.cast_unsigned())),
            Err(error) if error.raw_os_error() == Some(ERROR_TOO_MANY_POSTS.cast_signed()) => Ok(Err(self.count()?)),
            Err(error) => Err(error),
        }
    }

    /// The semaphore's count: by taking one, if there is one, and giving it back.
    fn count(&self) -> io::Result<u32> {
        match wait(&[self], false, Some(Duration::ZERO))? {
            Waited::TimedOut => Ok(0),
            Waited::Had { .. } => Ok(self.give(1)?.map_or_else(|n| n, |n| n + 1)),
        }
    }
}

/// Waits until one of the objects, or all at once, can be had.
pub(crate) fn wait(objects: &[&Object], all: bool, timeout: Timeout) -> io::Result<Waited> {
    if objects.is_empty() || objects.len() > WAIT_MAX {
        return Err(Refusal::Invalid(format!(
            "{} objects were given; 1 to {WAIT_MAX} can be waited for",
            objects.len()
        ))
        .into());
    }
    let handles: Vec<HANDLE> = objects.iter().map(|object| object.raw()).collect();
    let until = Deadline::after(timeout);
    loop {
        let left = until.left().unwrap_or(Duration::ZERO);
        // Rounded up: a wait never ends before its time. Longer than 49 days is waited for in pieces.
        let millis = u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1);
        // SAFETY: the handles are open, and there are as many as said.
        let result = unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), all.into(), millis) };
        let count = handles.len() as u32;
        return match result {
            WAIT_FAILED => Err(io::Error::last_os_error()),
            WAIT_TIMEOUT if until.left().is_some() => continue,
            WAIT_TIMEOUT => Ok(Waited::TimedOut),
            // For all, Windows does not say which of them were abandoned: each mutex may have been.
            abandoned if (WAIT_ABANDONED_0..WAIT_ABANDONED_0 + count).contains(&abandoned) => {
                let index = (abandoned - WAIT_ABANDONED_0) as usize;
                let each = if all { (0..objects.len()).collect() } else { vec![index] };
                Ok(Waited::Had { index: if all { 0 } else { index }, abandoned: each })
            }
            had => Ok(Waited::Had { index: if all { 0 } else { had as usize }, abandoned: Vec::new() }),
        };
    }
}
