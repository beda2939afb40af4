//! File mappings: making and opening them as Win32 does.

use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};

use coview::os::linux::{fd, nameless};
use coview::{Access, Disposition, ErrorKind, Mapping, MappingOptions, Protection};

use super::error::{Code, Outcome, set_last_error};
use super::file;
use super::object::{Entry, Object, STANDARD_RIGHTS, THIS_PROCESS, rights};
use super::security::Security;
use super::table::{Handle, table};

pub(super) const SECTION_QUERY: u32 = 1;
pub(super) const MAP_WRITE: u32 = 2;
pub(super) const MAP_READ: u32 = 4;

pub(super) const PAGE_NOACCESS: u32 = 1;
pub(super) const PAGE_READONLY: u32 = 2;
pub(super) const PAGE_READWRITE: u32 = 4;
pub(super) const PAGE_WRITECOPY: u32 = 8;

const SEC_IMAGE: u32 = 0x0100_0000;
const SEC_RESERVE: u32 = 0x0400_0000;
const SEC_COMMIT: u32 = 0x0800_0000;
const SEC_LARGE_PAGES: u32 = 0x8000_0000;

/// One section object, as this process has it.
pub(super) struct Section {
    /// Carries the name: closed with the last handle.
    pub(super) mapping: Mapping,
    /// The memory without the name, for views; made by the first of them.
    memory: OnceLock<Arc<Mapping>>,
    pub(super) on_file: bool,
}

impl Section {
    pub(super) fn of(mapping: Mapping) -> Section {
        let on_file = file::is_behind(&mapping);
        if let (true, Some(fd)) = (on_file, fd(&mapping)) {
            // Only a notice to SetEndOfFile and CREATE_ALWAYS: the section is as good without.
            let _ = file::note_section(fd, mapping.size());
        }
        Section { mapping, memory: OnceLock::new(), on_file }
    }

    /// The memory that a view keeps, whatever becomes of the handles.
    pub(super) fn memory(&self) -> Outcome<Arc<Mapping>> {
        if let Some(memory) = self.memory.get() {
            return Ok(Arc::clone(memory));
        }
        let made = Arc::new(nameless(&self.mapping)?);
        Ok(Arc::clone(self.memory.get_or_init(|| made)))
    }
}

/// FILE_MAP_… as rights: COPY alone means READ, as it does in OpenFileMapping.
pub(super) fn rights_of(asked: u32) -> u32 {
    match asked {
        SECTION_QUERY => SECTION_QUERY | MAP_READ,
        _ => rights(asked, SECTION_QUERY | MAP_READ, MAP_WRITE, 0x1f),
    }
}

/// What flProtect asks for.
struct Wanted {
    protection: Protection,
    reserve: bool,
}

impl Wanted {
    fn of(protect: u32, anonymous: bool) -> Outcome<Wanted> {
        let protection = match protect & 0xffff {
            // The executable ones are as the others: no view can be executed.
            PAGE_READONLY | 0x20 => Protection::ReadOnly,
            PAGE_READWRITE | 0x40 => Protection::ReadWrite,
            PAGE_WRITECOPY | 0x80 => Protection::WriteCopy,
            _ => return Err(Code::INVALID_PARAMETER),
        };
        // Caching hints (SEC_NOCACHE, SEC_WRITECOMBINE) say nothing here, but need SEC_COMMIT or SEC_RESERVE beside them.
        match (protect & !0xffff & !0x5000_0000, protect & 0x5000_0000) {
            (0, 0) | (SEC_COMMIT, _) => Ok(Wanted { protection, reserve: false }),
            (SEC_RESERVE, _) => Ok(Wanted { protection, reserve: true }),
            (SEC_IMAGE, 0) => Err(if anonymous { Code::BAD_EXE_FORMAT } else { Code::CALL_NOT_IMPLEMENTED }),
            (flags, _) if flags == SEC_LARGE_PAGES | SEC_COMMIT => Err(Code::PRIVILEGE_NOT_HELD),
            _ => Err(Code::INVALID_PARAMETER),
        }
    }

    fn rights(&self) -> u32 {
        let write = if self.protection == Protection::ReadWrite { MAP_WRITE } else { 0 };
        STANDARD_RIGHTS | SECTION_QUERY | MAP_READ | write
    }
}

/// INVALID_HANDLE_VALUE, also in its 32-bit spelling, which old sources cast to HANDLE.
fn is_invalid_handle_value(handle: Handle) -> bool {
    matches!(handle.addr(), THIS_PROCESS | 0xffff_ffff)
}

pub(super) fn create(
    file: Handle,
    security: &Security,
    protect: u32,
    size: u64,
    name: Option<&str>,
) -> Outcome<Handle> {
    let anonymous = is_invalid_handle_value(file);
    let wanted = Wanted::of(protect, anonymous || file.is_null())?;
    let mut options = MappingOptions::new().protection(wanted.protection).share(security.share.clone());
    options = options.size(size).reserve(wanted.reserve);
    // A handle of 0 is taken as none, if there is a size.
    if !anonymous && !file.is_null() {
        options = options.file(backing(file, &wanted, size)?);
    } else if size == 0 {
        return Err(Code::INVALID_PARAMETER);
    } else if size >= 1 << 47 {
        return Err(Code::NOT_ENOUGH_MEMORY);
    }
    let (mapping, disposition) = match name {
        Some(name) => join(&options, &wanted, name)?,
        None => (options.create_unnamed()?, Disposition::Created),
    };
    let handle = table().add(Entry::new(Object::Section(Section::of(mapping)), wanted.rights(), security.inherit))?;
    let existed = disposition == Disposition::Opened;
    set_last_error(if existed { Code::ALREADY_EXISTS } else { Code::SUCCESS });
    Ok(handle)
}

/// The path to the file behind a handle, if the section can stand on it.
fn backing(handle: Handle, wanted: &Wanted, size: u64) -> Outcome<String> {
    let entry = table().get(handle)?;
    let Object::File(file) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    let writes = wanted.protection == Protection::ReadWrite;
    entry.allow(file::READ_DATA | if writes { file::WRITE_DATA } else { 0 })?;
    let there = file.len()?;
    match (size, there) {
        (0, 0) => Err(Code::FILE_INVALID),
        (size, there) if size > there && !writes => Err(Code::NOT_ENOUGH_MEMORY),
        _ => Ok(format!("/proc/self/fd/{}", file.descriptor().as_raw_fd())),
    }
}

/// Makes the mapping of that name, or joins the live one with whatever access it allows.
fn join(options: &MappingOptions, wanted: &Wanted, name: &str) -> Outcome<(Mapping, Disposition)> {
    loop {
        match options.open_or_create(name) {
            Err(error) if error.kind() == ErrorKind::AccessDenied => {}
            done => return Ok(done?),
        }
        match open_as_allowed(name, wanted.protection == Protection::ReadWrite) {
            Err(Code::FILE_NOT_FOUND) => {} // it went meanwhile
            joined => return Ok((joined?, Disposition::Opened)),
        }
    }
}

/// A section that its maker protected from writing opens for whoever may read it: its views say no.
fn open_as_allowed(name: &str, write: bool) -> Outcome<Mapping> {
    match Mapping::open(name, Access::ReadWrite) {
        Err(error) if error.kind() == ErrorKind::AccessDenied => {
            let mapping = Mapping::open(name, Access::Read)?;
            match mapping.protection() {
                Protection::ReadWrite if write => Err(Code::ACCESS_DENIED),
                _ => Ok(mapping),
            }
        }
        done => Ok(done?),
    }
}

pub(super) fn open(access: u32, inherit: bool, name: &str) -> Outcome<Handle> {
    let rights = rights_of(access);
    let mapping = open_as_allowed(name, rights & MAP_WRITE != 0)?;
    table().add(Entry::new(Object::Section(Section::of(mapping)), rights, inherit))
}
