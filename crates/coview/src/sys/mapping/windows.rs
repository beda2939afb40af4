//! Mappings on Windows: section objects, on the paging file or on a file.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::process::Command;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_COMMITMENT_LIMIT, ERROR_FILE_NOT_FOUND, ERROR_INVALID_HANDLE,
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, GetLastError, HANDLE, HANDLE_FLAG_INHERIT,
    INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError, SetHandleInformation,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_COPY, FILE_MAP_READ, FILE_MAP_WRITE, MapViewOfFile, OpenFileMappingW, PAGE_READONLY,
    PAGE_READWRITE, PAGE_WRITECOPY, SEC_COMMIT, SEC_FILE, SEC_RESERVE, SECTION_QUERY,
};

use super::backing_windows::{Backing, SHARE_ALL, open_elsewhere, path_of, reopen};
use super::security_windows::Security;
use super::{
    Access, Protection, RawView, Spec, available_memory, granularity, no_commit, no_memory, page_size, round_up,
};
use crate::sys::Refusal;
use crate::sys::namespace::{Slot, owned, wrong_kind};
use crate::sys::process::{duplicate, this_process, wine_version};

/// `SECTION_BASIC_INFORMATION`.
#[repr(C)]
struct BasicInformation {
    base: *mut c_void,
    attributes: u32,
    size: i64,
}

#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NtQuerySection(section: HANDLE, class: i32, into: *mut c_void, len: usize, returned: *mut usize) -> NTSTATUS;
}

/// A mapping object, or rather this process's handle on it.
#[derive(Debug)]
pub(crate) struct Section {
    handle: OwnedHandle,
    /// The file behind it, where this process could open it: makes flushes durable, keeps an exclusive file
    /// closed to others and a temporary one alive.
    file: Option<File>,
    size: u64,
    /// `None` of one that was opened for reading: found out when somebody asks.
    protection: Option<Protection>,
    /// `SEC_FILE`, `SEC_RESERVE` or `SEC_COMMIT`.
    attributes: u32,
    writable: bool,
}

impl Section {
    /// A new object, or the live one of that name; whether it is new.
    pub(crate) fn create(slot: Option<&Slot>, spec: &Spec) -> io::Result<(Section, bool)> {
        let (section, new) = Section::find_or_make(slot, spec)?;
        if spec.inheritable {
            section.make_inheritable()?;
        }
        Ok((section, new))
    }

    fn find_or_make(slot: Option<&Slot>, spec: &Spec) -> io::Result<(Section, bool)> {
        let writable = spec.protection == Protection::ReadWrite;
        let security = Security::of(&spec.share, writable)?;
        let size = memory_size(spec)?;
        // First a look: the live one must not cost memory, and a file stays as it is.
        if let Some(slot) = slot
            && let Some(found) = Section::open(slot, writable)?
        {
            return Ok((found, false));
        }
        let backing = match &spec.file {
            Some(file) => Some(Backing::on_file(file, spec)?),
            None if spec.exact => Some(Backing::temporary(size)?),
            None => None,
        };
        let size = backing.as_ref().map_or(size, |backing| backing.size);
        if backing.is_none() && !spec.reserve {
            check_room(size)?;
        }
        let attributes = match (&backing, spec.reserve) {
            (Some(_), _) => SEC_FILE,
            (None, true) => SEC_RESERVE,
            (None, false) => SEC_COMMIT,
        };
        let file = backing.as_ref().map(|backing| &backing.file);
        let made = make(slot, spec.protection, attributes, size, file, &security);
        if let Some(backing) = &backing
            && !matches!(made, Ok((_, true)))
        {
            backing.undo();
        }
        match made? {
            (handle, true) => {
                let file = backing.map(|backing| backing.file);
                let protection = Some(spec.protection);
                Ok((Section { handle, file, size, protection, attributes, writable }, true))
            }
            (handle, false) => Ok((Section::of_handle(handle, writable)?, false)),
        }
    }

    /// The live mapping of this name. `Ok(None)`: there is none.
    pub(crate) fn open(slot: &Slot, writable: bool) -> io::Result<Option<Section>> {
        let rights = SECTION_QUERY | FILE_MAP_READ | if writable { FILE_MAP_WRITE } else { 0 };
        // SAFETY: the name is NUL-terminated and alive.
        let handle = unsafe { OpenFileMappingW(rights, 0, slot.as_ptr()) };
        // SAFETY: the call has just returned it, to us alone.
        let error = match unsafe { owned(handle) } {
            Ok(handle) => return Section::of_handle(handle, writable).map(Some),
            Err(error) => error,
        };
        match code(&error) {
            ERROR_FILE_NOT_FOUND => Ok(None),
            ERROR_INVALID_HANDLE => Err(wrong_kind(slot, error)),
            ERROR_ACCESS_DENIED => Err(denied(writable)),
            _ => Err(error),
        }
    }

    /// A section that arrived as a handle, which says its size and kind itself. For writing, that is tried: a
    /// handle may allow what the section's own protection does not.
    fn of_handle(handle: OwnedHandle, writable: bool) -> io::Result<Section> {
        let (attributes, size) = query(handle.as_handle())?;
        if writable && !can_write(handle.as_handle())? {
            return Err(denied(true));
        }
        let size = if attributes & SEC_FILE == 0 { round_up(size, page_size()).unwrap_or(size) } else { size };
        let protection = writable.then_some(Protection::ReadWrite);
        let mut section = Section { handle, file: None, size, protection, attributes, writable };
        if section.is_on_file() {
            let path = section.map(Access::Read, 0, 1).ok().and_then(|view| view.file_path());
            section.file = path.and_then(|path| reopen(&path, writable));
        }
        Ok(section)
    }

    /// A mapping of the section that a handle stands for; read-write if it lets us.
    pub(crate) fn from_handle(handle: OwnedHandle) -> io::Result<Section> {
        query(handle.as_handle())?;
        let writable = can_write(handle.as_handle())?;
        Section::of_handle(handle, writable)
    }

    /// An ordinary file as it is.
    pub(crate) fn open_file(path: &Path, writable: bool) -> io::Result<Section> {
        let mut options = OpenOptions::new();
        options.read(true).write(writable).share_mode(SHARE_ALL);
        let file = options.open(path).map_err(|error| open_elsewhere(error, path, false))?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Refusal::Invalid("it is not a regular file, so it cannot be mapped".into()).into());
        }
        if meta.len() == 0 {
            return Err(Refusal::Invalid("the file is empty, so there is nothing to map".into()).into());
        }
        let protection = if writable { Protection::ReadWrite } else { Protection::ReadOnly };
        let security = Security::of(&super::Share::Owner, writable)?;
        let (handle, _) = make(None, protection, SEC_FILE, meta.len(), Some(&file), &security)?;
        let (file, protection) = (Some(file), Some(protection));
        Ok(Section { handle, file, size: meta.len(), protection, attributes: SEC_FILE, writable })
    }

    /// A POSIX shared-memory object: there are none here.
    pub(crate) fn open_posix(_name: &str, _writable: bool) -> io::Result<Section> {
        Err(Refusal::Unsupported("POSIX shared-memory objects only exist on Linux".into()).into())
    }

    /// A System V segment: there are none here.
    pub(crate) fn open_sysv(_number: i32, _by_id: bool, _writable: bool) -> io::Result<Section> {
        Err(Refusal::Unsupported("System V segments only exist on Linux".into()).into())
    }

    /// Sections get their name when they are made.
    pub(crate) fn give_name(&self, _slot: &Slot) -> io::Result<Option<Section>> {
        Err(Refusal::Unsupported("a section gets its name when it is made".into()).into())
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Of a section that was opened for reading, whether it can be written is tried with a handle for
    /// writing; if this user may not have one, it is read-only for him.
    pub(crate) fn protection(&self) -> Protection {
        self.protection.unwrap_or_else(|| {
            let rights = SECTION_QUERY | FILE_MAP_READ | FILE_MAP_WRITE;
            let writer = duplicate(this_process(), self.handle.as_raw_handle(), this_process(), Some(rights));
            // SAFETY: the call has just returned it, to us alone.
            let writer = writer.and_then(|writer| unsafe { owned(writer) });
            match writer.and_then(|writer| can_write(writer.as_handle())) {
                Ok(true) => Protection::ReadWrite,
                _ => Protection::ReadOnly,
            }
        })
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.attributes & SEC_RESERVE != 0
    }

    /// Whether a file, not the paging file, is behind it.
    pub(super) fn is_on_file(&self) -> bool {
        self.attributes & SEC_FILE != 0
    }

    /// The file behind it, if it was opened here and for writing.
    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| self.writable)
    }

    /// Whether views may write through this handle.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// The path of the file behind it, where this user may open it.
    pub(crate) fn file_path(&self) -> Option<String> {
        path_of(self.file.as_ref()?)
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }

    pub(crate) fn try_clone(&self) -> io::Result<Section> {
        let file = self.file.as_ref().map(File::try_clone).transpose()?;
        Ok(Section { handle: self.handle.try_clone()?, file, ..*self })
    }

    /// Commits a range of a reserved object: afterwards it can be used in every view of every process.
    pub(crate) fn commit(&self, offset: u64, len: u64) -> io::Result<()> {
        if !self.is_reserved() {
            return Ok(());
        }
        // Wine 8 forgets a commit that ends where its view ends. So each view is a page longer, and the last
        // page, behind which there is none, comes by itself.
        let last_page = self.size - page_size();
        let split = last_page.clamp(offset, offset + len);
        self.commit_part(offset, split)?;
        self.commit_part(split, offset + len)
    }

    fn commit_part(&self, from: u64, to: u64) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        let start = from & !(granularity() - 1);
        let end = round_up(to, page_size()).map_or(self.size, |end| (end + page_size()).min(self.size));
        let view = self.map(Access::ReadWrite, start, end - start)?;
        let committed = view.commit((from - start) as usize, (to - from) as usize);
        committed.map_err(|error| if is_memory(code(&error)) { no_commit(to - from) } else { error })
    }

    /// Whether all of a range of the section, which lies in `view`, can be used.
    pub(crate) fn is_committed(&self, view: &RawView, offset: u64, len: u64) -> io::Result<bool> {
        let last_page = self.size - page_size();
        if offset + len > last_page && wine_version().is_some() {
            // Of the last page, Wine does not remember it, and lets it be used in any case.
            return view.is_committed(offset, last_page.saturating_sub(offset));
        }
        view.is_committed(offset, len)
    }

    /// Maps `[offset, offset + len)`.
    pub(crate) fn map(&self, access: Access, offset: u64, len: u64) -> io::Result<RawView> {
        let no_room = "this process has no room for the view; map less at a time: Mapping::windows";
        let size = usize::try_from(len).map_err(|_| no_memory(len, no_room))?;
        let rights = match access {
            Access::Read => FILE_MAP_READ,
            Access::ReadWrite => FILE_MAP_READ | FILE_MAP_WRITE,
            Access::CopyOnWrite => FILE_MAP_COPY,
        };
        // SAFETY: a fresh view at an address of the system's choice touches no existing memory.
        let base = unsafe { map(self.handle(), rights, offset, size) };
        match base {
            Ok(base) => {
                // SAFETY: (1) it has just been mapped for `size` bytes, to us alone.
                let view = unsafe { RawView::new(base, size, offset) };
                if self.is_on_file() { view.guarded(access != Access::Read) } else { Ok(view) }
            }
            Err(error) if is_memory(code(&error)) => Err(no_memory(len, no_room)),
            Err(error) => Err(error),
        }
    }

    fn make_inheritable(&self) -> io::Result<()> {
        for handle in [Some(self.handle.as_raw_handle()), self.file.as_ref().map(AsRawHandle::as_raw_handle)] {
            let Some(handle) = handle else { continue };
            // SAFETY: the handle is open while `self` lives; the call only changes one of its flags.
            if unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) } == 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Lets `command`'s process inherit the handle. Returns the ticket that [`Section::adopt`] takes there.
    pub(crate) fn hand_to(&self, _command: &mut Command) -> io::Result<String> {
        self.hand_over()
    }

    /// As [`hand_to`](Section::hand_to), for every child.
    pub(crate) fn hand_over(&self) -> io::Result<String> {
        self.make_inheritable()?;
        let number = |handle: HANDLE| format!("{:x}", handle.addr());
        let file = self.file.as_ref().map_or_else(|| "-".to_owned(), |file| number(file.as_raw_handle()));
        let access = if self.writable { "rw" } else { "ro" };
        Ok(format!("{};{file};{access};{}", number(self.handle.as_raw_handle()), self.protection().word()))
    }

    /// Takes over inherited handles by the ticket that came with them. The name needs no keeping: the handle
    /// does.
    pub(crate) fn adopt(ticket: &str, _slot: Option<Slot>) -> io::Result<Section> {
        let fields: Vec<&str> = ticket.split(';').collect();
        let [handle, file, access, protection] = fields[..] else {
            return Err(bad_ticket(ticket));
        };
        let writable = match access {
            "rw" => true,
            "ro" => false,
            _ => return Err(bad_ticket(ticket)),
        };
        let handle = copy(handle).ok_or_else(|| bad_ticket(ticket))?;
        let mut section = Section::of_handle(handle, writable)?;
        if !writable && protection == Protection::WriteCopy.word() {
            section.protection = Some(Protection::WriteCopy); // which nothing else tells from read-only
        }
        if file != "-" {
            let file = File::from(copy(file).ok_or_else(|| bad_ticket(ticket))?);
            section.file = section.is_on_file().then_some(file);
        }
        Ok(section)
    }
}

/// A copy of our own of the inherited handle with this number, so that the ticket can be used again.
fn copy(number: &str) -> Option<OwnedHandle> {
    let number = usize::from_str_radix(number, 16).ok()?;
    // Handles are multiples of 4 and fit into 31 bits; the negative numbers stand for this process and the
    // like.
    if number == 0 || !number.is_multiple_of(4) || number > i32::MAX as usize {
        return None;
    }
    // SAFETY: the number is only borrowed for one call, which fails cleanly if nothing is open there.
    let theirs = unsafe { BorrowedHandle::borrow_raw(std::ptr::without_provenance_mut(number)) };
    theirs.try_clone_to_owned().ok()
}

fn bad_ticket(ticket: &str) -> io::Error {
    Refusal::Invalid(format!("{ticket:?} is not what Mapping::hand_to writes, or its handle was not inherited")).into()
}

fn code(error: &io::Error) -> u32 {
    error.raw_os_error().map_or(0, i32::cast_unsigned)
}

fn is_memory(code: u32) -> bool {
    [ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_COMMITMENT_LIMIT, ERROR_NO_SYSTEM_RESOURCES].contains(&code)
}

fn denied(writable: bool) -> io::Error {
    let why = match writable {
        true => {
            "it was created read-only, or its access list does not let this user write, so no view may write to it; open \
             it for reading or copy-on-write, or ask its owner for a wider --share"
        }
        false => "its access list does not let this user open it; ask its owner for a wider --share",
    };
    Refusal::Denied(why.into()).into()
}

/// What memory of the size that was asked for comes to; of a file, the size is looked at when it is opened.
fn memory_size(spec: &Spec) -> io::Result<u64> {
    let whole = spec.exact || spec.file.is_some();
    let size = if whole { Some(spec.size) } else { round_up(spec.size, page_size()) };
    size.filter(|size| *size < 1 << 47).ok_or_else(|| no_memory(spec.size, "no process has so large an address space"))
}

/// Windows refuses by itself what it cannot commit; Wine would only notice when it is touched.
fn check_room(size: u64) -> io::Result<()> {
    match available_memory() {
        Some((room, _)) if room < size && wine_version().is_some() => Err(no_commit(size)),
        _ => Ok(()),
    }
}

/// Makes a section, or opens the live one of that name: whether it is new.
fn make(
    slot: Option<&Slot>,
    protection: Protection,
    attributes: u32,
    size: u64,
    file: Option<&File>,
    security: &Security,
) -> io::Result<(OwnedHandle, bool)> {
    let page = match protection {
        Protection::ReadOnly => PAGE_READONLY,
        Protection::ReadWrite => PAGE_READWRITE,
        Protection::WriteCopy => PAGE_WRITECOPY,
    };
    let page = if attributes == SEC_RESERVE { page | SEC_RESERVE } else { page };
    let file = file.map_or(INVALID_HANDLE_VALUE, AsRawHandle::as_raw_handle);
    let name = slot.map_or(std::ptr::null(), Slot::as_ptr);
    let security = security.attributes();
    // SAFETY: the file is open or "none", the attributes and their descriptor live during the call, the name
    // is null or NUL-terminated and alive.
    let handle = unsafe { CreateFileMappingW(file, &security, page, (size >> 32) as u32, size as u32, name) };
    // SAFETY: only reads a number of this thread, which the call above has set also when it succeeded.
    let last = unsafe { GetLastError() };
    // SAFETY: the call has just returned it, to us alone.
    let error = match unsafe { owned(handle) } {
        Ok(handle) => return Ok((handle, last != ERROR_ALREADY_EXISTS)),
        Err(error) => error,
    };
    Err(match (last, slot) {
        (ERROR_INVALID_HANDLE, Some(slot)) => wrong_kind(slot, error),
        (ERROR_ACCESS_DENIED, Some(slot)) if slot.is_global() => Refusal::Denied(
            "creating in Global\\ needs the privilege SeCreateGlobalPrivilege, which services and administrators have; run \
             as one of them, or use Local\\"
                .into(),
        )
        .into(),
        (code, _) if is_memory(code) => no_commit(size),
        _ => error,
    })
}

/// Maps a range of a section.
///
/// # Safety
/// 1. The result is unmapped by the caller, once.
unsafe fn map(section: BorrowedHandle<'_>, rights: u32, offset: u64, len: usize) -> io::Result<*mut u8> {
    // SAFETY: the handle is open, and the system chooses an address where nothing is.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), rights, (offset >> 32) as u32, offset as u32, len) };
    if view.Value.is_null() { Err(io::Error::last_os_error()) } else { Ok(view.Value.cast()) }
}

/// Whether a view of the section may write: only mapping one tells, since a handle may promise what the
/// section's protection forbids.
fn can_write(section: BorrowedHandle<'_>) -> io::Result<bool> {
    // SAFETY: (1) the view is handed to a `RawView` at once, which unmaps it.
    match unsafe { map(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 1) } {
        Ok(base) => {
            // SAFETY: (1) it has just been mapped, to us alone.
            drop(unsafe { RawView::new(base, 1, 0) });
            Ok(true)
        }
        Err(error) if is_memory(code(&error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The attributes and the size in bytes of a section.
fn query(section: BorrowedHandle<'_>) -> io::Result<(u32, u64)> {
    let mut info = BasicInformation { base: std::ptr::null_mut(), attributes: 0, size: 0 };
    let (into, len) = ((&raw mut info).cast(), size_of::<BasicInformation>());
    // SAFETY: `into` is valid for `len` bytes and is what class 0, SectionBasicInformation, is made of. A
    // handle that is not a section's is refused.
    let status = unsafe { NtQuerySection(section.as_raw_handle(), 0, into, len, std::ptr::null_mut()) };
    if status < 0 {
        // SAFETY: turns one number into another.
        let code = unsafe { RtlNtStatusToDosError(status) };
        return Err(match code {
            ERROR_INVALID_HANDLE => {
                Refusal::Invalid("the handle is not that of a section (file mapping object)".into()).into()
            }
            code => io::Error::from_raw_os_error(code.cast_signed()),
        });
    }
    Ok((info.attributes, info.size.cast_unsigned()))
}
