//! Processes on Windows: their programs, the sections they have open, and whether Windows is Wine.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;

use windows_sys::Wdk::Foundation::NtQueryObject;
use windows_sys::Wdk::System::SystemInformation::NtQuerySystemInformation;
use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, STATUS_INFO_LENGTH_MISMATCH};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::SECTION_MAP_WRITE;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, OpenProcess, PROCESS_DUP_HANDLE, PROCESS_NAME_WIN32,
    PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::Holder;
use crate::sys::namespace::{owned, wide};

/// `SystemExtendedHandleInformation`.
const EXTENDED_HANDLES: i32 = 64;
/// `ObjectNameInformation`.
const OBJECT_NAME: i32 = 1;
/// Words of a `SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX`: object, process, handle, and 16 bytes of which the first
/// four are the access, the next two unused, the next two the number of the type.
const ENTRY_WORDS: usize = 3 + 16 / size_of::<usize>();
/// The table of handles of a machine is a few megabytes.
const TABLE_MAX: usize = 1 << 28;

/// A handle to this process that needs no closing.
pub(crate) fn this_process() -> HANDLE {
    // SAFETY: takes nothing and returns a constant that stands for this process.
    unsafe { GetCurrentProcess() }
}

fn this_pid() -> u32 {
    // SAFETY: takes nothing and returns a number.
    unsafe { GetCurrentProcessId() }
}

/// A handle to another process that may do what `rights` say.
pub(crate) fn open(pid: u32, rights: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers only.
    let process = unsafe { OpenProcess(rights, 0, pid) };
    // SAFETY: the call has just returned it, to us alone.
    unsafe { owned(process) }
}

/// A copy of `handle`, which is one of `from`'s, for `to`, with these rights or the same: its number there.
pub(crate) fn duplicate(from: HANDLE, handle: HANDLE, to: HANDLE, rights: Option<u32>) -> io::Result<HANDLE> {
    let options = if rights.is_none() { DUPLICATE_SAME_ACCESS } else { 0 };
    let rights = rights.unwrap_or(0);
    let mut copy = std::ptr::null_mut();
    // SAFETY: numbers that are no handles are refused, nothing is closed, and the result goes to a variable
    // of ours.
    match unsafe { DuplicateHandle(from, handle, to, &mut copy, rights, 0, options) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(copy),
    }
}

/// The file name of a process's program.
pub(crate) fn program(pid: u32) -> String {
    let path = || -> io::Result<String> {
        let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION)?;
        let mut path = vec![0_u16; 32 << 10];
        let mut len = path.len() as u32;
        // SAFETY: the process is open, and `path` has room for `len` units.
        let done = unsafe {
            QueryFullProcessImageNameW(process.as_raw_handle(), PROCESS_NAME_WIN32, path.as_mut_ptr(), &mut len)
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(String::from_utf16_lossy(&path[..len as usize])) }
    };
    path().map_or_else(|_| "?".into(), |path| path.rsplit('\\').next().unwrap_or_default().to_owned())
}

/// The `UNICODE_STRING` at `word` of a buffer that the system filled, whose text lies in the same buffer.
pub(crate) fn unicode_string(buffer: &[usize], word: usize) -> Option<Vec<u16>> {
    let len = usize::from(*buffer.get(word)? as u16);
    let start = buffer.get(word + 1)?.checked_sub(buffer.as_ptr().addr())?;
    let (first, end) = (start / size_of::<usize>(), start.checked_add(len)?.div_ceil(size_of::<usize>()));
    let bytes: Vec<u8> = buffer.get(first..end)?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let text = bytes.get(start % size_of::<usize>()..)?.get(..len)?;
    Some(text.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect())
}

/// All handles of all processes, as words.
fn handle_table() -> io::Result<Vec<usize>> {
    let mut table = vec![0_usize; 16 << 10];
    loop {
        let (into, len, mut needed) = (table.as_mut_ptr().cast::<c_void>(), size_of_val(&table[..]), 0);
        // SAFETY: `into` is valid for `len` bytes and aligned for the table, which is of words.
        let status = unsafe { NtQuerySystemInformation(EXTENDED_HANDLES, into, len as u32, &mut needed) };
        match status {
            0.. => return Ok(table),
            STATUS_INFO_LENGTH_MISMATCH if len < TABLE_MAX => table.resize(table.len() * 2, 0),
            _ => return Err(io::Error::other("the system does not tell its handles")),
        }
    }
}

struct Handle {
    pid: u32,
    number: usize,
    access: u32,
    kind: u16,
}

fn handles() -> io::Result<Vec<Handle>> {
    let table = handle_table()?;
    let read = |entry: &[usize]| {
        // Little-endian, as every Windows is.
        let bytes: Vec<u8> = entry[3..].iter().flat_map(|word| word.to_le_bytes()).collect();
        Handle {
            pid: entry[1] as u32,
            number: entry[2],
            access: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            kind: u16::from_le_bytes([bytes[6], bytes[7]]),
        }
    };
    Ok(table[2..].chunks_exact(ENTRY_WORDS).take(table[0]).map(read).collect())
}

/// Who has which named object open: rows under the full name in the system's directories. Processes of other users and
/// services are left out, since Windows does not let us look at what their handles stand for.
///
/// `samples` are objects of ours, one of each type that is looked for: their rows in the table tell the types' numbers.
pub(crate) fn named_holders(samples: &[BorrowedHandle<'_>]) -> HashMap<String, Vec<Holder>> {
    let mut found: HashMap<String, Vec<Holder>> = HashMap::new();
    let Ok(all) = handles() else { return found };
    let is_sample = |number: usize| samples.iter().any(|sample| sample.as_raw_handle().addr() == number);
    let ours = all.iter().filter(|handle| handle.pid == this_pid() && is_sample(handle.number));
    let kinds: Vec<u16> = ours.map(|handle| handle.kind).collect();
    let mut processes: HashMap<u32, Option<OwnedHandle>> = HashMap::new();
    for handle in all.iter().filter(|handle| kinds.contains(&handle.kind)) {
        let process = processes.entry(handle.pid).or_insert_with(|| open(handle.pid, PROCESS_DUP_HANDLE).ok());
        let Some(process) = process else { continue };
        let Some(name) = name_of(process, handle.number) else {
            continue;
        };
        let holders = found.entry(name).or_default();
        let at = holders.iter().position(|holder| holder.pid == handle.pid).unwrap_or_else(|| {
            let program = program(handle.pid);
            holders.push(Holder { pid: handle.pid, program, handles: 0, writable: false, views: None });
            holders.len() - 1
        });
        holders[at].handles += 1;
        holders[at].writable |= handle.access & SECTION_MAP_WRITE != 0;
    }
    found
}

/// The full name of the object that a handle of some process stands for.
fn name_of(process: &OwnedHandle, number: usize) -> Option<String> {
    let theirs = std::ptr::without_provenance_mut(number);
    let copy = duplicate(process.as_raw_handle(), theirs, this_process(), None).ok()?;
    // SAFETY: the call has just returned it, to us alone.
    let copy = unsafe { owned(copy) }.ok()?;
    let mut buffer = vec![0_usize; 1 << 10];
    let (into, len) = (buffer.as_mut_ptr().cast::<c_void>(), size_of_val(&buffer[..]) as u32);
    // SAFETY: the handle is open, and `into` is valid for `len` bytes. (That a name is asked of these types only
    // keeps us from pipes, where the question can hang.)
    let status = unsafe { NtQueryObject(copy.as_raw_handle(), OBJECT_NAME, into, len, std::ptr::null_mut()) };
    let name = if status < 0 { None } else { unicode_string(&buffer, 0) };
    name.filter(|name| !name.is_empty()).map(|name| String::from_utf16_lossy(&name))
}

/// The version of Wine, if that is what stands in for Windows here.
pub(crate) fn wine_version() -> Option<&'static str> {
    static VERSION: OnceLock<Option<String>> = OnceLock::new();
    VERSION.get_or_init(ask_wine).as_deref()
}

fn ask_wine() -> Option<String> {
    type Version = unsafe extern "C" fn() -> *const c_char;
    let library = wide("ntdll.dll");
    // SAFETY: the name is NUL-terminated and alive; the library stays loaded as long as the process.
    let library = unsafe { GetModuleHandleW(library.as_ptr()) };
    // SAFETY: the library is loaded in every process, and the name is NUL-terminated.
    let function = unsafe { GetProcAddress(library, c"wine_get_version".as_ptr().cast()) }?;
    // SAFETY: ntdll has a function of this name under Wine only, which documents this signature.
    let version = unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, Version>(function) };
    // SAFETY: takes nothing and returns a string that lives as long as the process.
    let text = unsafe { version() };
    // SAFETY: as said, it is a NUL-terminated string.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
