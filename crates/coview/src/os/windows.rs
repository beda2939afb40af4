//! Handles: a section that arrived as one, passing a mapping to a running process, and those of mutex, event, semaphore.

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::System::Threading::PROCESS_DUP_HANDLE;

use crate::error::Result;
use crate::explain::explain;
use crate::mapping::Mapping;
use crate::named::{Event, Mutex, Semaphore};
use crate::sys::mapping::Section;
use crate::sys::process;

/// The handle of the section (Win32: file mapping object) behind a mapping. A copy of it keeps the object
/// alive, and every Windows call that takes one takes it.
pub fn handle(mapping: &Mapping) -> BorrowedHandle<'_> {
    mapping.object.section.handle()
}

/// A mapping of the section a handle stands for; read-write if the handle and the section's protection allow it.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if it is the handle of something else,
/// [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied) if it does not allow queries (`SECTION_QUERY`).
pub fn from_handle(handle: OwnedHandle) -> Result<Mapping> {
    Section::from_handle(handle).map(Mapping::of_section).map_err(|error| explain("open", "a handle", error))
}

/// Puts a copy of the handle into a running process and returns its value there, which is sent by some other way. The
/// process makes an [`OwnedHandle`] of it and calls [`from_handle`]; until it does, or if it never does, the copy keeps
/// the object alive.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if there is no such process,
/// [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied) if it is not one this user may put handles into.
#[doc(alias = "DuplicateHandle")]
pub fn duplicate_to(mapping: &Mapping, pid: u32) -> Result<u64> {
    let copy = || {
        let target = process::open(pid, PROCESS_DUP_HANDLE)?;
        process::duplicate(process::this_process(), handle(mapping).as_raw_handle(), target.as_raw_handle(), None)
    };
    copy().map(|copy| copy.addr() as u64).map_err(|error| explain("duplicate", &mapping.object, error))
}

/// For every Windows call that waits. A wait that succeeds *has* it: the thread that waited owns the mutex.
impl AsHandle for Mutex {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.object.handle()
    }
}

/// For every Windows call that waits. A wait that succeeds *has* it: an automatic-reset event is reset.
impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.object.handle()
    }
}

/// For every Windows call that waits. A wait that succeeds *has* it: a permit is taken.
impl AsHandle for Semaphore {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.object.handle()
    }
}
