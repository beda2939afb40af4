//! How much memory Windows has to commit, and the units it is given in.

use std::io;
use std::sync::OnceLock;

use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, GlobalMemoryStatusEx, MEMORYSTATUSEX, SYSTEM_INFO};

use crate::sys::Refusal;

fn units() -> (u64, u64) {
    static UNITS: OnceLock<(u64, u64)> = OnceLock::new();
    *UNITS.get_or_init(|| {
        let mut info = SYSTEM_INFO::default();
        // SAFETY: the pointer is to a structure of the right type, which the call fills.
        unsafe { GetSystemInfo(&mut info) };
        (info.dwAllocationGranularity.into(), info.dwPageSize.into())
    })
}

/// Step of a view's offset in bytes.
pub(crate) fn granularity() -> u64 {
    units().0
}

/// Unit in which memory is committed and sizes are rounded, in bytes.
pub(crate) fn page_size() -> u64 {
    units().1
}

/// Bytes that can still be committed, and the limit they count against.
pub(crate) fn available_memory() -> Option<(u64, u64)> {
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..Default::default() };
    // SAFETY: the pointer is to a structure of the right type that says its own length.
    let filled = unsafe { GlobalMemoryStatusEx(&mut status) };
    // Wine 8 gives zeros to a thread that asks while another one asks for the first time.
    (filled != 0 && status.ullTotalPageFile != 0).then_some((status.ullAvailPageFile, status.ullTotalPageFile))
}

pub(super) fn no_memory(len: u64, why: &str) -> io::Error {
    Refusal::NoMemory(format!("{len} bytes were asked for, but {why}")).into()
}

/// The refusal for memory that could not be committed.
pub(super) fn no_commit(len: u64) -> io::Error {
    match available_memory() {
        Some((room, _)) => no_memory(
            len,
            &format!(
                "the machine can commit {room} bytes more; close programs, make the paging file larger, reserve and \
                 commit piece by piece, or back the mapping by a file"
            ),
        ),
        None => no_memory(len, "the machine cannot commit so much"),
    }
}
