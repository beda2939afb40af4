//! What a named object looks like from outside, asked of the kernel by the calls that its own tools use.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, HANDLE};
use windows_sys::Win32::System::Threading::{OpenEventW, OpenMutexW, OpenSemaphoreW};

use super::SyncState;
use crate::sys::namespace::{Kind, Slot, owned};
use crate::sys::process::{duplicate, this_process};

/// `MUTANT_QUERY_STATE`, `EVENT_QUERY_STATE` and `SEMAPHORE_QUERY_STATE`.
const QUERY: u32 = 1;

type Query = unsafe extern "system" fn(HANDLE, u32, *mut c_void, u32, *mut u32) -> i32;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQueryMutant(object: HANDLE, class: u32, into: *mut c_void, len: u32, used: *mut u32) -> i32;
    fn NtQueryEvent(object: HANDLE, class: u32, into: *mut c_void, len: u32, used: *mut u32) -> i32;
    fn NtQuerySemaphore(object: HANDLE, class: u32, into: *mut c_void, len: u32, used: *mut u32) -> i32;
}

/// The answer, as 32-bit numbers.
fn ask<const N: usize>(query: Query, object: &OwnedHandle, class: u32) -> Option<[u32; N]> {
    let mut answer = [0; N];
    let len = size_of_val(&answer) as u32;
    // SAFETY: the object is open, the answer goes to `len` bytes of ours, and its length is not asked for.
    let status = unsafe { query(object.as_raw_handle(), class, answer.as_mut_ptr().cast(), len, std::ptr::null_mut()) };
    (status >= 0).then_some(answer)
}

/// Whether an event stays set until it is reset. `None`: we may not ask.
pub(crate) fn is_manual(event: BorrowedHandle<'_>) -> io::Result<Option<bool>> {
    // The handle may not have that right, but we may have the right to it.
    let copy = match duplicate(this_process(), event.as_raw_handle(), this_process(), Some(QUERY)) {
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => return Ok(None),
        copy => copy?,
    };
    // SAFETY: the call has just returned it, to us alone.
    let copy = unsafe { owned(copy) }?;
    Ok(ask(NtQueryEvent, &copy, 0).map(|[automatic, _set]: [u32; 2]| automatic == 0))
}

/// The state of the object, if we may ask.
pub(crate) fn peek(kind: Kind, slot: &Slot) -> Option<SyncState> {
    let name = slot.as_ptr();
    let handle = match kind {
        // SAFETY: only reads the name, which is NUL-terminated and alive.
        Kind::Mutex => unsafe { OpenMutexW(QUERY, 0, name) },
        // SAFETY: as above.
        Kind::Event => unsafe { OpenEventW(QUERY, 0, name) },
        // SAFETY: as above.
        Kind::Semaphore => unsafe { OpenSemaphoreW(QUERY, 0, name) },
        Kind::Mapping => return None,
    };
    // SAFETY: the call has just returned it, to us alone.
    let object = unsafe { owned(handle) }.ok()?;
    let mut state = SyncState::default();
    match kind {
        Kind::Mutex => {
            // Basic information: 1 less each time it is taken; two flags, of which the second is "abandoned".
            let [count, flags] = ask(NtQueryMutant, &object, 0)?;
            state.held = Some(count.cast_signed() <= 0);
            state.abandoned = flags.to_le_bytes()[1] != 0;
            state.owner = state.held.filter(|held| *held).and_then(|_| owner(&object));
        }
        Kind::Event => {
            // Basic information: 0 for manual reset; set or not.
            let [automatic, set] = ask(NtQueryEvent, &object, 0)?;
            (state.manual, state.count) = (Some(automatic == 0), Some(set));
        }
        _ => {
            let [count, maximum] = ask(NtQuerySemaphore, &object, 0)?;
            (state.count, state.maximum) = (Some(count), Some(maximum));
        }
    }
    Some(state)
}

/// The thread that has a mutex, and its process. Wine does not tell.
fn owner(mutex: &OwnedHandle) -> Option<(u32, u32)> {
    // Owner information: process and thread, each as wide as a pointer.
    let answer: [u32; 2 * size_of::<usize>() / 4] = ask(NtQueryMutant, mutex, 1)?;
    let (process, thread) = (answer[0], answer[answer.len() / 2]);
    (process != 0).then_some((thread, process))
}
