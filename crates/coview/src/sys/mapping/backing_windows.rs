//! The file behind a section: one that the user names, or a temporary one that keeps a size exact.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_TEMPORARY, FILE_FLAG_DELETE_ON_CLOSE, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_SPARSE;

use super::{FileSpec, Protection, Spec};
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
    /// The file that `spec` names, opened and, if it is to be sparse, grown; otherwise Windows makes it grow with the
    /// section.
    pub(super) fn on_file(file: &FileSpec, spec: &Spec) -> io::Result<Backing> {
        let opened = open(file, spec.protection == Protection::ReadWrite)?;
        let there = opened.metadata()?.len();
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

    /// A temporary file that Windows deletes with its last handle: sections on the paging file have whole pages.
    pub(super) fn temporary(size: u64) -> io::Result<Backing> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).share_mode(SHARE_ALL);
        options.attributes(FILE_ATTRIBUTE_TEMPORARY).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
        loop {
            let tag = RandomState::new().hash_one(std::process::id());
            match options.open(std::env::temp_dir().join(format!("coview-{tag:016x}.tmp"))) {
                Ok(file) => return Ok(Backing { file, size, grown_from: None }),
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
    let opened = options.open(&file.path).map_err(|error| open_elsewhere(error, file.exclusive))?;
    if !opened.metadata()?.is_file() {
        return Err(Refusal::Invalid(format!("{} is not a regular file", file.path.display())).into());
    }
    Ok(opened)
}

/// Says what a sharing violation means.
pub(super) fn open_elsewhere(error: io::Error, exclusive: bool) -> io::Error {
    if error.raw_os_error() != Some(ERROR_SHARING_VIOLATION.cast_signed()) {
        return error;
    }
    let how = if exclusive { "already; close it there or open it shared" } else { "exclusively; close it there" };
    Refusal::Denied(format!("the file is open elsewhere {how}")).into()
}

/// Best effort: FAT has no sparse files, and the file then just takes its full room.
fn make_sparse(file: &File) {
    let (nothing, mut returned) = (std::ptr::null_mut(), 0);
    // SAFETY: the file is open, this request takes and gives no bytes, and without an OVERLAPPED the call is over when it
    // returns.
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
