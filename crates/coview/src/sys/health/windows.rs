//! The checks on Windows.

use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Security::{
    LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, PRIVILEGE_SET, PrivilegeCheck, SE_CREATE_GLOBAL_NAME, TOKEN_QUERY,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

use super::{Check, Verdict};
use crate::sys::mapping::available_memory;
use crate::sys::namespace::{owned, session};
use crate::sys::process::{this_process, wine_version};

/// Below this part of the limit, programs begin to fail.
const SCARCE: u64 = 16;

/// All checks.
pub(crate) fn checks() -> Vec<Check> {
    [memory(), system(), Some(global())].into_iter().flatten().collect()
}

/// The limit that an error of the system speaks of: its own text says so.
pub(crate) fn limit(_error: &std::io::Error) -> Option<&'static str> {
    None
}

fn memory() -> Option<Check> {
    let (room, limit) = available_memory()?;
    let found = format!("{room} of {limit} bytes can still be committed");
    Some(if room >= limit / SCARCE {
        Check::good("memory", found)
    } else {
        Check::poor("memory", Verdict::Note, found, "close programs or make the paging file larger")
    })
}

fn system() -> Option<Check> {
    let advice =
        "sizes are not held against the memory there is, and read-only sections of other programs can be written";
    wine_version().map(|version| {
        Check::poor("system", Verdict::Note, format!("Wine {version}, which is not real Windows"), advice)
    })
}

/// Whether objects can be created in `Global\`: in session 0 always, elsewhere with the privilege.
fn global() -> Check {
    let subject = r"Global\";
    let session = session().map_or_else(|| "an unknown session".to_owned(), |session| format!("session {session}"));
    match has_create_global() {
        Some(true) => {
            Check::good(subject, format!("objects can be created there (from {session}, with SeCreateGlobalPrivilege)"))
        }
        _ if session == "session 0" => Check::good(subject, "objects can be created there (from session 0)"),
        _ => Check::poor(
            subject,
            Verdict::Note,
            format!("objects can be opened there but not created (from {session}, without SeCreateGlobalPrivilege)"),
            r"use Local\ names, or create them in a service or as an administrator",
        ),
    }
}

fn has_create_global() -> Option<bool> {
    let mut token = std::ptr::null_mut();
    // SAFETY: the process is this one and the result goes to a variable of ours.
    if unsafe { OpenProcessToken(this_process(), TOKEN_QUERY, &mut token) } == 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so the handle is open and ours alone.
    let token = unsafe { owned(token) }.ok()?;
    let mut privilege = LUID_AND_ATTRIBUTES::default();
    // SAFETY: the name is a NUL-terminated constant, the result goes to a variable of ours.
    if unsafe { LookupPrivilegeValueW(std::ptr::null(), SE_CREATE_GLOBAL_NAME, &mut privilege.Luid) } == 0 {
        return None;
    }
    let mut set = PRIVILEGE_SET { PrivilegeCount: 1, Control: 1, Privilege: [privilege] };
    let mut held = 0;
    // SAFETY: the token is open for queries; the set says its one element; the result goes to a variable of
    // ours.
    let told = unsafe { PrivilegeCheck(token.as_raw_handle(), &mut set, &mut held) };
    (told != 0).then_some(held != 0)
}
