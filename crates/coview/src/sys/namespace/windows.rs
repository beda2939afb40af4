//! Names on Windows: the kernel's own, `Local\x` in the session's directory and `Global\x` in the machine's.

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, HANDLE};
use windows_sys::Win32::System::JobObjects::OpenJobObjectW;
use windows_sys::Win32::System::Memory::{OpenFileMappingW, SECTION_QUERY};
use windows_sys::Win32::System::Threading::{
    OpenEventW, OpenMutexW, OpenSemaphoreW, OpenWaitableTimerW, SYNCHRONIZATION_SYNCHRONIZE,
};
use windows_sys::core::{BOOL, PCWSTR};

use super::{Kind, Reclaimed};
use crate::sys::Refusal;

/// Where an object of some name stands: what the calls of Windows take for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// UTF-16, ended by NUL.
    wide: Vec<u16>,
    global: bool,
}

impl Slot {
    pub(crate) fn local(text: &str) -> Slot {
        Slot { wide: wide(&format!(r"Local\{text}")), global: false }
    }

    pub(crate) fn global(text: &str) -> Slot {
        Slot { wide: wide(&format!(r"Global\{text}")), global: true }
    }

    /// The slot of a name that was found in a directory and need not be text.
    pub(super) fn found(global: bool, name: &[u16]) -> Slot {
        let directory = if global { r"Global\" } else { r"Local\" };
        let wide = directory.encode_utf16().chain(name.iter().copied()).chain([0]).collect();
        Slot { wide, global }
    }

    /// The name as a NUL-terminated UTF-16 string, valid while the slot lives.
    pub(crate) fn as_ptr(&self) -> *const u16 {
        self.wide.as_ptr()
    }

    pub(crate) fn is_global(&self) -> bool {
        self.global
    }
}

/// UTF-16, ended by NUL.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Takes over a handle that a call has just returned; null means that it failed.
///
/// # Safety
/// 1. `handle` is null or open, and nobody else will close it.
pub(crate) unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: not null, so (1) says that it is open and ours to close.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A call that opens a named object of one kind: rights, inheritance, name.
type Opener = unsafe extern "system" fn(u32, BOOL, PCWSTR) -> HANDLE;

/// Whether the name belongs to an object of this opener's kind, even if we may not have it.
fn is_there(open: Opener, rights: u32, slot: &Slot) -> bool {
    // SAFETY: every `Opener` only reads the name, which is NUL-terminated and alive.
    let handle = unsafe { open(rights, 0, slot.as_ptr()) };
    // SAFETY: the call has just returned it, to us alone.
    match unsafe { owned(handle) } {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()),
    }
}

/// Whether the name belongs to a live object of this kind.
pub(super) fn exists(kind: Kind, slot: &Slot) -> bool {
    match kind {
        Kind::Mapping => is_there(OpenFileMappingW, SECTION_QUERY, slot),
        Kind::Mutex => is_there(OpenMutexW, SYNCHRONIZATION_SYNCHRONIZE, slot),
        Kind::Event => is_there(OpenEventW, SYNCHRONIZATION_SYNCHRONIZE, slot),
        Kind::Semaphore => is_there(OpenSemaphoreW, SYNCHRONIZATION_SYNCHRONIZE, slot),
    }
}

/// The refusal for a name that Windows says belongs to an object of another kind (`ERROR_INVALID_HANDLE`,
/// kept in `error`).
pub(crate) fn wrong_kind(slot: &Slot, error: io::Error) -> io::Error {
    let others: [(&str, Opener); 2] = [("a waitable timer", OpenWaitableTimerW), ("a job", OpenJobObjectW)];
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| exists(*kind, slot)) {
        return Refusal::WrongKind(kind).into();
    }
    match others.into_iter().find(|(_, open)| is_there(*open, SYNCHRONIZATION_SYNCHRONIZE, slot)) {
        Some((what, _)) => Refusal::Squatted(format!(
            "the name belongs to {what}; all kinds of objects share one name space, so choose another name"
        ))
        .into(),
        None => error,
    }
}

/// Nothing: the kernel has freed it with the last handle.
pub(crate) fn sweep(_dry_run: bool) -> io::Result<Reclaimed> {
    Ok(Reclaimed::default())
}
