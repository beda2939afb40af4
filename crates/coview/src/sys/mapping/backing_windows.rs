//! The file behind a section: one that the user names, or a temporary one that keeps a size exact.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, SeekFrom};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_TEMPORARY, FILE_FLAG_DELETE_ON_CLOSE, FILE_NAME_NORMALIZED, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_TYPE_DISK, GetDiskFreeSpaceExW, GetFileType, GetFinalPathNameByHandleW,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_SPARSE;

use super::{FileSpec, Protection, Spec, no_memory};
use crate::sys::Refusal;

pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// A file that a section is to stand on.
pub(super) struct Backing {
    pub(super) file: File,
    /// Bytes the section is to have.
    pub(super) size: u64,
    /// What the file had, if the section makes it grow.
    grown_from: Option<u64>,
}

impl Backing {
    /// The file that `spec` names, opened and, if it is to be sparse, grown; otherwise Windows makes it grow
    /// with the section.
    pub(super) fn on_file(file: &FileSpec, spec: &Spec) -> io::Result<Backing> {
        let opened = open(file, spec.protection == Protection::ReadWrite)?;
        let there = len_of(&opened)?;
        let size = match spec.size {
            0 if there == 0 => {
                return Err(Refusal::Invalid("the file is empty; say how large the mapping shall be".into()).into());
            }
            0 => there,
            size if size > there && spec.protection != Protection::ReadWrite => {
                return Err(Refusal::Denied(format!(
                    "the file has {there} bytes and only a read-write mapping can make it larger ({size} were asked for)"
                ))
                .into());
            }
            size => size,
        };
        if size > there && !spec.reserve {
            check_space(file.path.parent(), size - there)?;
        }
        let backing = Backing { file: opened, size, grown_from: (size > there).then_some(there) };
        if spec.reserve && backing.grown_from.is_some() {
            make_sparse(&backing.file);
            if let Err(error) = backing.file.set_len(size) {
                backing.undo();
                return Err(error);
            }
        }
        Ok(backing)
    }

    /// A temporary file that Windows deletes with its last handle: sections on the paging file have whole
    /// pages.
    pub(super) fn temporary(size: u64) -> io::Result<Backing> {
        let directory = std::env::temp_dir();
        check_space(Some(&directory), size)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).share_mode(SHARE_ALL);
        options.attributes(FILE_ATTRIBUTE_TEMPORARY).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
        loop {
            let tag = RandomState::new().hash_one(std::process::id());
            match options.open(directory.join(format!("coview-{tag:016x}.tmp"))) {
                Ok(file) => {
                    return Ok(Backing { file, size, grown_from: None });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives back what the file has grown by, after there was no section to make of it.
    pub(super) fn undo(&self) {
        if let Some(len) = self.grown_from {
            let _ = self.file.set_len(len); // refused if somebody else has mapped it meanwhile: then it is theirs
        }
    }
}

/// Opens the file a mapping is to stand on; makes it if it may grow.
fn open(file: &FileSpec, writable: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(writable).create(writable).share_mode(if file.exclusive { 0 } else { SHARE_ALL });
    let opened = options.open(&file.path).map_err(|error| open_elsewhere(error, &file.path, file.exclusive))?;
    if !is_on_disk(&opened) {
        return Err(Refusal::Invalid(format!("{} is not a regular file", file.path.display())).into());
    }
    Ok(opened)
}

/// Whether it is a file, and no pipe or device; a folder cannot be opened so. (That, and the length, as ways that Wine also has for a
/// file without a name, whose metadata it refuses.)
fn is_on_disk(file: &File) -> bool {
    // SAFETY: the handle is open for the call, which only asks.
    unsafe { GetFileType(file.as_raw_handle()) == FILE_TYPE_DISK }
}

fn len_of(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// Says what a sharing violation means.
pub(super) fn open_elsewhere(error: io::Error, path: &Path, exclusive: bool) -> io::Error {
    if error.raw_os_error() != Some(ERROR_SHARING_VIOLATION.cast_signed()) {
        return error;
    }
    let how = if exclusive { "already; close it there or open it shared" } else { "exclusively; close it there" };
    Refusal::Denied(format!("{} is open elsewhere {how}", path.display())).into()
}

/// Refuses what the disk has no room for: before a file of that size is made, and under Wine, which would not
/// notice.
fn check_space(directory: Option<&Path>, len: u64) -> io::Result<()> {
    let directory = directory.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path: Vec<u16> = directory.as_os_str().encode_wide().chain([0]).collect();
    let (mut free, unasked) = (0, std::ptr::null_mut());
    // SAFETY: the path is NUL-terminated and alive, the one number that is asked for goes to a variable of
    // ours.
    let told = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &mut free, unasked, unasked) };
    if told == 0 || len <= free {
        return Ok(()); // making the file will tell
    }
    Err(no_memory(
        len,
        &format!("the disk of {} has {free} bytes free; make room or use another one", directory.display()),
    ))
}

/// Opens the file that some section is known to stand on, by the system's own name for it: so flushes are
/// durable in this process too, and a temporary file stays while anybody uses it. `None` where that is not
/// allowed.
pub(super) fn reopen(path: &str, writable: bool) -> Option<File> {
    let path = match path.strip_prefix(r"\??\") {
        Some(path) => format!(r"\\?\{path}"), // what Wine says
        None => format!(r"\\?\GLOBALROOT{path}"),
    };
    OpenOptions::new().read(true).write(writable).share_mode(SHARE_ALL).open(path).ok()
}

/// The path of an open file, with its drive.
pub(super) fn path_of(file: &File) -> Option<String> {
    let mut path = vec![0_u16; 32 << 10];
    let room = path.len() as u32;
    // SAFETY: the file is open, and `path` has as much room as is said.
    let len = unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), room, FILE_NAME_NORMALIZED) };
    let path = String::from_utf16_lossy(path.get(..len as usize).filter(|path| !path.is_empty())?);
    Some(path.strip_prefix(r"\\?\").map(str::to_owned).unwrap_or(path))
}

/// Best effort: FAT has no sparse files, and the file then just takes its full room.
fn make_sparse(file: &File) {
    let (nothing, mut returned) = (std::ptr::null_mut(), 0);
    // SAFETY: the file is open, this request takes and gives no bytes, and without an OVERLAPPED the call is
    // over when it returns.
    unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_SET_SPARSE,
            nothing,
            0,
            nothing,
            0,
            &mut returned,
            std::ptr::null_mut(),
        )
    };
}
