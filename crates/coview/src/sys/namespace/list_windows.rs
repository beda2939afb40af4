//! What named objects there are, as the session's and the machine's directories show them.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{NtOpenDirectoryObject, NtQueryDirectoryObject};
use windows_sys::Win32::Foundation::{RtlNtStatusToDosError, UNICODE_STRING};
use windows_sys::Win32::Storage::FileSystem::READ_CONTROL;
use windows_sys::Win32::System::Memory::OpenFileMappingW;
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;

use super::windows::exists;
use super::{Entry, Kind, Origin, Slot};
use crate::sys::mapping::{Protection, Section, Share, Spec, owner};
use crate::sys::object::{Make, Object, peek};
use crate::sys::process::{Holder, named_holders, unicode_string};

/// `DIRECTORY_QUERY`.
const QUERY: u32 = 1;
/// How often a directory is looked at at most, where objects come and go all the time.
const LOOKS: u32 = 16;
/// Beginnings of names that the system makes for itself, and we for placed primitives.
const NOISE: [&str; 8] = [
    "__wine",
    "__WINE",
    "windows_shell_global_counters",
    "windows_webcache",
    "CicCache",
    "{",
    "coview.lock.",
    "coview.wake.",
];

/// The number of this process's session.
pub(crate) fn session() -> Option<u32> {
    let mut session = 0;
    // SAFETY: the result goes to a variable of ours.
    let told = unsafe { ProcessIdToSessionId(std::process::id(), &mut session) };
    (told != 0).then_some(session)
}

/// All named objects this user sees; with `everything` also those that the system makes for itself.
pub(crate) fn list(everything: bool) -> io::Result<Vec<Entry>> {
    let global = (r"\BaseNamedObjects".to_owned(), true);
    let directories = match session() {
        // Services share the machine's directory; both spellings name its objects.
        None | Some(0) => vec![(global.0, false)],
        Some(session) => vec![(format!(r"\Sessions\{session}\BaseNamedObjects"), false), global],
    };
    let (section, _) = Section::create(None, &Spec { protection: Protection::ReadOnly, ..Spec::new(1) })?;
    let sample = |make| Object::create(None, make, &Share::Owner, false);
    let (mutex, _) = sample(Make::Mutex)?;
    let (event, _) = sample(Make::Event { manual: false, set: false })?;
    let (semaphore, _) = sample(Make::Semaphore { count: 0, maximum: 1 })?;
    let holders = named_holders(&[section.handle(), mutex.handle(), event.handle(), semaphore.handle()]);
    let mut entries = Vec::new();
    for (path, global) in directories {
        for (name, kind) in objects(&path)? {
            let text = String::from_utf16_lossy(&name);
            if !everything && NOISE.iter().any(|noise| text.starts_with(noise)) {
                continue;
            }
            let held = holders.get(&format!(r"{path}\{text}")).cloned().unwrap_or_default();
            let slot = Slot::found(global, &name);
            if exists(kind, &slot) {
                entries.push(entry(&slot, &text, kind, held));
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry(slot: &Slot, text: &str, kind: Kind, holders: Vec<Holder>) -> Entry {
    let directory = if slot.is_global() { "Global" } else { "Local" };
    let mut entry = Entry::bare(format!(r"{directory}\{text}"), Origin::Named(kind));
    entry.sync = peek(kind, slot);
    // The table was read before we opened it for the look.
    entry.holders = holders;
    if kind == Kind::Mapping {
        let open = |writable| Section::open(slot, writable).ok().flatten();
        if let Some(section) = open(true).or_else(|| open(false)) {
            entry.size = Some(section.size());
            entry.protection = Some(section.protection().word());
            entry.reserved = section.is_reserved();
            entry.file = section.file_path();
        }
        entry.owner = owner_of(slot);
    }
    entry
}

fn owner_of(slot: &Slot) -> Option<String> {
    // SAFETY: the name is NUL-terminated and alive.
    let handle = unsafe { OpenFileMappingW(READ_CONTROL, 0, slot.as_ptr()) };
    // SAFETY: the call has just returned it, to us alone.
    let handle = unsafe { super::owned(handle) }.ok()?;
    owner(handle.as_handle())
}

fn check(status: i32) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: turns one number into another.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

fn open_directory(path: &str) -> io::Result<OwnedHandle> {
    let mut text: Vec<u16> = path.encode_utf16().collect();
    let bytes = size_of_val(&text[..]) as u16; // of a short constant and a number
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: text.as_mut_ptr() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        ObjectName: &name,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut directory = std::ptr::null_mut();
    // SAFETY: the attributes and the name in them live during the call; the result goes to a variable of ours.
    check(unsafe { NtOpenDirectoryObject(&mut directory, QUERY, &attributes) })?;
    // SAFETY: the call has succeeded, so the handle is open and ours alone.
    unsafe { super::owned(directory) }
}

/// Names and kinds of the objects in a directory of the system.
///
/// The system tells the first, the second, the third of them, so when one goes meanwhile, the next is passed over. We look
/// again until nothing new has come twice; what is gone by now does not matter.
fn objects(path: &str) -> io::Result<BTreeMap<Vec<u16>, Kind>> {
    let directory = open_directory(path)?;
    let mut found = BTreeMap::new();
    let (mut looks, mut quiet) = (0, 0);
    while quiet < 2 && looks < LOOKS {
        let before = found.len();
        look(&directory, &mut found);
        looks += 1;
        quiet = if found.len() > before { 0 } else { quiet + 1 };
    }
    Ok(found)
}

fn look(directory: &OwnedHandle, found: &mut BTreeMap<Vec<u16>, Kind>) {
    // Room for a longest name and a type's: two UNICODE_STRINGs of at most 64 KiB.
    let mut buffer = vec![0_usize; (132 << 10) / size_of::<usize>()];
    let (mut context, mut first) = (0, true);
    loop {
        let (into, len) = (buffer.as_mut_ptr().cast::<c_void>(), size_of_val(&buffer[..]) as u32);
        let handle = directory.as_raw_handle();
        // SAFETY: the directory is open, `into` is valid for `len` bytes and aligned for pointers, `context`
        // is a variable of ours, and the length that was used is not asked for.
        let status =
            unsafe { NtQueryDirectoryObject(handle, into, len, true, first, &mut context, std::ptr::null_mut()) };
        if status != 0 {
            return; // STATUS_NO_MORE_ENTRIES
        }
        first = false;
        let (Some(name), Some(kind)) = (unicode_string(&buffer, 0), unicode_string(&buffer, 2)) else { continue };
        let kind = match String::from_utf16_lossy(&kind).as_str() {
            "Section" => Kind::Mapping,
            "Mutant" => Kind::Mutex,
            "Event" => Kind::Event,
            "Semaphore" => Kind::Semaphore,
            _ => continue,
        };
        found.insert(name, kind);
    }
}
