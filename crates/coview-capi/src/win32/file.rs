//! Ordinary files: CreateFile and what is done with its handles.
//!
//! Windows' share modes, and its care for files that sections stand on, hold between the programs that use these calls: they
//! are told to one another by open-file-description locks far beyond any file's end.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coview::Mapping;
use coview::os::linux::fd;

use super::error::{Code, Outcome, set_last_error};
use super::object::{Entry, Object, rights};
use super::table::{Handle, table};

pub(super) const READ_DATA: u32 = 1;
pub(super) const WRITE_DATA: u32 = 2;
const APPEND_DATA: u32 = 4;
const DELETE: u32 = 0x0001_0000;

const FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
const FLAG_WRITE_THROUGH: u32 = 0x8000_0000;

/// Lock bytes: who reads, writes, deletes; eight further who denies that; then one for each byte of a section.
const ACCESS_AT: i64 = (1 << 61) - 64;
const DENY_AT: i64 = ACCESS_AT + 8;
const SECTION_AT: i64 = 1 << 61;
const SECTION_END: i64 = (1 << 61) + (1 << 60);

pub(super) struct File {
    file: fs::File,
    /// Removed when the last handle is closed.
    remove: Option<PathBuf>,
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(path) = &self.remove {
            let _ = fs::remove_file(path);
        }
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File { file: fd.into(), remove: None }
    }
}

impl File {
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn len(&self) -> Outcome<u64> {
        Ok(self.file.metadata()?.len())
    }
}

pub(super) fn rights_of(asked: u32) -> u32 {
    rights(asked, 0x0012_0089, 0x0012_0116, 0x001f_01ff)
}

fn lock_bytes(fd: BorrowedFd<'_>, command: i32, kind: i32, start: i64, len: i64) -> io::Result<i32> {
    let whence = libc::SEEK_SET as libc::c_short;
    let mut lock =
        libc::flock64 { l_type: kind as libc::c_short, l_whence: whence, l_start: start, l_len: len, l_pid: 0 };
    // SAFETY: the descriptor is open, and the OFD commands take a pointer to a flock that lives as long as the call.
    match unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(i32::from(lock.l_type)),
    }
}

/// Whether another description has a lock there. Files that know no locks have none.
fn is_held(fd: BorrowedFd<'_>, start: i64, len: i64) -> bool {
    lock_bytes(fd, libc::F_OFD_GETLK, libc::F_WRLCK, start, len).is_ok_and(|kind| kind != libc::F_UNLCK)
}

/// Tells others that a section of this size stands on the file.
pub(super) fn note_section(fd: BorrowedFd<'_>, size: u64) -> io::Result<()> {
    let len = i64::try_from(size).unwrap_or(i64::MAX).clamp(1, SECTION_END - SECTION_AT);
    lock_bytes(fd, libc::F_OFD_SETLK, libc::F_RDLCK, SECTION_AT, len).map(drop)
}

/// Whether a section would lose bytes if the file ended at `size`.
fn is_mapped_beyond(fd: BorrowedFd<'_>, size: u64) -> bool {
    let from = SECTION_AT.saturating_add(i64::try_from(size).unwrap_or(i64::MAX)).min(SECTION_END);
    is_held(fd, from, SECTION_END - from + 1)
}

/// Whether a file of the file system is behind the mapping, and not memory.
pub(super) fn is_behind(mapping: &Mapping) -> bool {
    /// Memory of the library's with a name is marked so (docs/format.md); without one it has no link.
    const MARK: u32 = 0o1000;
    fd(mapping).and_then(|fd| stat(fd).ok()).is_some_and(|stat| stat.st_mode & MARK == 0 && stat.st_nlink > 0)
}

fn stat(fd: BorrowedFd<'_>) -> io::Result<libc::stat64> {
    let mut stat = std::mem::MaybeUninit::uninit();
    // SAFETY: it writes one stat64 to where there is room for one.
    match unsafe { libc::fstat64(fd.as_raw_fd(), stat.as_mut_ptr()) } {
        // SAFETY: it succeeded.
        0 => Ok(unsafe { stat.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(super) fn len_of(fd: BorrowedFd<'_>) -> Outcome<u64> {
    Ok(u64::try_from(stat(fd)?.st_size).unwrap_or(0))
}

/// What a Windows program calls a file, as Linux does: drives go, backslashes turn.
pub(super) fn path_of(text: &str) -> Outcome<PathBuf> {
    let text = text.strip_prefix(r"\\?\").or(text.strip_prefix(r"\\.\")).unwrap_or(text);
    let rest = match text.as_bytes() {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => &text[2..],
        _ => text,
    };
    match text.to_ascii_uppercase().as_str() {
        "NUL" => Ok("/dev/null".into()),
        "CONIN$" | "CONOUT$" | "CON" => Ok("/dev/tty".into()),
        _ if rest.is_empty() => Err(Code::PATH_NOT_FOUND),
        _ => Ok(rest.replace('\\', "/").into()),
    }
}

/// What CreateFile asks for.
pub(super) struct Request {
    pub(super) access: u32,
    pub(super) share: u32,
    pub(super) inherit: bool,
    pub(super) disposition: u32,
    pub(super) flags: u32,
}

const CREATE_NEW: u32 = 1;
const CREATE_ALWAYS: u32 = 2;
const OPEN_EXISTING: u32 = 3;
const OPEN_ALWAYS: u32 = 4;
const TRUNCATE_EXISTING: u32 = 5;

pub(super) fn create(path: &str, request: &Request) -> Outcome<Handle> {
    let path = path_of(path)?;
    let access = rights_of(request.access);
    let cut = matches!(request.disposition, CREATE_ALWAYS | TRUNCATE_EXISTING);
    match request.disposition {
        TRUNCATE_EXISTING if access & WRITE_DATA == 0 => return Err(Code::INVALID_PARAMETER),
        CREATE_NEW..=TRUNCATE_EXISTING => {}
        _ => return Err(Code::INVALID_PARAMETER),
    }
    let (file, existed) = open(&path, request, access, cut)?;
    let deletes = request.flags & FLAG_DELETE_ON_CLOSE != 0;
    if file.metadata()?.is_file() {
        agree(file.as_fd(), access | if deletes { DELETE } else { 0 }, request.share)?;
        if cut && existed {
            if is_mapped_beyond(file.as_fd(), 0) {
                return Err(Code::USER_MAPPED_FILE);
            }
            file.set_len(0)?;
        }
    }
    let file = File { file, remove: deletes.then_some(path) };
    let handle = table().add(Entry::new(Object::File(file), access, request.inherit))?;
    let told = existed && matches!(request.disposition, CREATE_ALWAYS | OPEN_ALWAYS);
    set_last_error(if told { Code::ALREADY_EXISTS } else { Code::SUCCESS });
    Ok(handle)
}

/// The file, and whether it was there.
fn open(path: &Path, request: &Request, access: u32, cut: bool) -> Outcome<(fs::File, bool)> {
    let writes = access & (WRITE_DATA | APPEND_DATA) != 0;
    let custom = libc::O_NONBLOCK | if request.flags & FLAG_WRITE_THROUGH != 0 { libc::O_DSYNC } else { 0 };
    let with = |read: bool, write: bool, new: bool| {
        OpenOptions::new().read(read).write(write).create_new(new).custom_flags(custom).open(path)
    };
    loop {
        if matches!(request.disposition, CREATE_NEW | CREATE_ALWAYS | OPEN_ALWAYS) {
            match with(true, true, true) {
                Ok(file) => return Ok((file, false)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(absent(path, &error)),
                Err(_) if request.disposition == CREATE_NEW => return Err(Code::FILE_EXISTS),
                Err(_) => {}
            }
        }
        // Reading is needed for the lock bytes; who may only write goes without them.
        match with(true, writes || cut, false) {
            Ok(file) if file.metadata()?.is_dir() => return Err(Code::ACCESS_DENIED),
            Ok(file) => return Ok((file, true)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && access & READ_DATA == 0 && writes => {
                return with(false, true, false).map(|file| (file, true)).map_err(|error| absent(path, &error));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && request.disposition != OPEN_EXISTING => {
                if request.disposition == TRUNCATE_EXISTING {
                    return Err(absent(path, &error));
                }
            }
            Err(error) => return Err(absent(path, &error)),
        }
    }
}

fn absent(path: &Path, error: &io::Error) -> Code {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match Code::of_io(error) {
        Code::FILE_NOT_FOUND if folder.is_some_and(|folder| !folder.is_dir()) => Code::PATH_NOT_FOUND,
        code => code,
    }
}

/// Share modes: what we do and what we deny is told first and asked then, so that of two at least one sees the other.
fn agree(fd: BorrowedFd<'_>, access: u32, share: u32) -> Outcome<()> {
    let uses = [READ_DATA, WRITE_DATA | APPEND_DATA, DELETE];
    let tell = |at: i64| {
        // What cannot be told (a file system without locks) is not asked either.
        let _ = lock_bytes(fd, libc::F_OFD_SETLK, libc::F_RDLCK, at, 1);
    };
    let rounds = (0_i64..).zip(uses);
    for (at, right) in rounds.clone() {
        if access & right != 0 {
            tell(ACCESS_AT + at);
        }
        if access != 0 && share & (1 << at) == 0 {
            tell(DENY_AT + at);
        }
    }
    for (at, right) in rounds {
        let denied = access & right != 0 && is_held(fd, DENY_AT + at, 1);
        let in_use = access != 0 && share & (1 << at) == 0 && is_held(fd, ACCESS_AT + at, 1);
        if denied || in_use {
            return Err(Code::SHARING_VIOLATION);
        }
    }
    Ok(())
}

/// The file behind a handle that has these rights.
fn with<T>(handle: Handle, rights: u32, body: impl FnOnce(&File) -> Outcome<T>) -> Outcome<T> {
    let entry = table().get(handle)?;
    let Object::File(file) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    if rights != 0 && entry.access & rights == 0 {
        return Err(Code::ACCESS_DENIED);
    }
    body(file)
}

/// Reads at an offset, or where the file's position is.
pub(super) fn read(handle: Handle, into: &mut [u8], at: Option<u64>) -> Outcome<usize> {
    with(handle, READ_DATA, |file| {
        loop {
            let done = match at {
                Some(at) => file.file.read_at(into, at),
                None => (&file.file).read(into),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) if at.is_some() && !into.is_empty() => return Err(Code::HANDLE_EOF),
                done => return Ok(done?),
            }
        }
    })
}

pub(super) fn write(handle: Handle, from: &[u8], at: Option<u64>) -> Outcome<usize> {
    with(handle, WRITE_DATA | APPEND_DATA, |file| {
        match at {
            Some(at) => file.file.write_all_at(from, at)?,
            None => (&file.file).write_all(from)?,
        }
        Ok(from.len())
    })
}

pub(super) fn seek(handle: Handle, distance: i64, method: u32) -> Outcome<u64> {
    with(handle, 0, |file| {
        let to = match method {
            0 if distance < 0 => return Err(Code::NEGATIVE_SEEK),
            0 => SeekFrom::Start(distance.cast_unsigned()),
            1 => SeekFrom::Current(distance),
            2 => SeekFrom::End(distance),
            _ => return Err(Code::INVALID_PARAMETER),
        };
        (&file.file).seek(to).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Code::NEGATIVE_SEEK,
            _ => Code::of_io(&error),
        })
    })
}

pub(super) fn size(handle: Handle) -> Outcome<u64> {
    with(handle, 0, File::len)
}

pub(super) fn set_end(handle: Handle) -> Outcome<()> {
    with(handle, WRITE_DATA, |file| {
        let end = (&file.file).stream_position()?;
        if is_mapped_beyond(file.descriptor(), end) {
            return Err(Code::USER_MAPPED_FILE);
        }
        Ok(file.file.set_len(end)?)
    })
}

pub(super) fn flush(handle: Handle) -> Outcome<()> {
    with(handle, WRITE_DATA | APPEND_DATA, |file| Ok(file.file.sync_all()?))
}

/// FILE_TYPE_DISK, _CHAR or _PIPE.
pub(super) fn kind(handle: Handle) -> Outcome<u32> {
    with(handle, 0, |file| {
        let kind = file.file.metadata()?.file_type();
        Ok(match kind {
            kind if kind.is_char_device() => 2,
            kind if kind.is_fifo() || kind.is_socket() => 3,
            _ => 1,
        })
    })
}

pub(super) fn delete(path: &str) -> Outcome<()> {
    let path = path_of(path)?;
    if let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path) {
        if file.metadata()?.is_dir() {
            return Err(Code::ACCESS_DENIED);
        }
        if is_held(file.as_fd(), DENY_AT + 2, 1) {
            return Err(Code::SHARING_VIOLATION);
        }
    }
    fs::remove_file(&path).map_err(|error| absent(&path, &error))
}

/// FILE_ATTRIBUTE_… of a path.
pub(super) fn attributes(path: &str) -> Outcome<u32> {
    let path = path_of(path)?;
    let found = fs::metadata(&path).map_err(|error| absent(&path, &error))?;
    let read_only = if found.permissions().readonly() { 1 } else { 0 };
    Ok(read_only | if found.is_dir() { 0x10 } else { 0x80 })
}

/// A handle on one of the three standard descriptors; the same one each time.
pub(super) fn standard(number: i32) -> Outcome<Handle> {
    use std::sync::Mutex;
    static GIVEN: Mutex<[usize; 3]> = Mutex::new([0; 3]);
    let at = usize::try_from(-10 - i64::from(number)).ok().filter(|at| *at < 3).ok_or(Code::INVALID_HANDLE)?;
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let handle: Handle = std::ptr::without_provenance_mut(given[at]);
    if given[at] != 0 && table().get(handle).is_ok() {
        return Ok(handle);
    }
    // SAFETY: it is only borrowed for one call, which fails cleanly if it is not open.
    let ours = unsafe { BorrowedFd::borrow_raw(at as i32) }.try_clone_to_owned()?;
    let access = if at == 0 { 0x0012_0089 } else { 0x0012_0116 };
    let made = table().add(Entry::new(Object::File(File::from(ours)), access, true))?;
    given[at] = made.addr();
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_windows() {
        for (theirs, ours) in [
            (r"C:\a\b.txt", "/a/b.txt"),
            (r"a\b", "a/b"),
            ("plain", "plain"),
            (r"\\?\D:\x", "/x"),
            ("nul", "/dev/null"),
            ("/tmp/x", "/tmp/x"),
        ] {
            assert_eq!(path_of(theirs).unwrap(), Path::new(ours), "{theirs}");
        }
        assert_eq!(path_of(""), Err(Code::PATH_NOT_FOUND));
    }
}
