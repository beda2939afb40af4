//! Last-error codes: one a thread, what the library's errors become, and their texts.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use coview::ErrorKind;

/// A Win32 error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

pub(super) type Outcome<T> = Result<T, Code>;

macro_rules! codes {
    ($($name:ident = $number:literal $text:literal,)*) => {
        impl Code {
            $(
                #[allow(dead_code)] // some have a text alone
                pub(super) const $name: Code = Code($number);
            )*

            /// What FormatMessage says, without the end of the line.
            pub(super) fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    SUCCESS = 0 "The operation completed successfully.",
    FILE_NOT_FOUND = 2 "The system cannot find the file specified.",
    PATH_NOT_FOUND = 3 "The system cannot find the path specified.",
    TOO_MANY_OPEN_FILES = 4 "The system cannot open the file.",
    ACCESS_DENIED = 5 "Access is denied.",
    INVALID_HANDLE = 6 "The handle is invalid.",
    NOT_ENOUGH_MEMORY = 8 "Not enough memory resources are available to process this command.",
    INVALID_DATA = 13 "The data is invalid.",
    GEN_FAILURE = 31 "A device attached to the system is not functioning.",
    SHARING_VIOLATION = 32 "The process cannot access the file because it is being used by another process.",
    HANDLE_EOF = 38 "Reached the end of the file.",
    NOT_SUPPORTED = 50 "The request is not supported.",
    FILE_EXISTS = 80 "The file exists.",
    INVALID_PARAMETER = 87 "The parameter is incorrect.",
    BROKEN_PIPE = 109 "The pipe has been ended.",
    DISK_FULL = 112 "There is not enough space on the disk.",
    CALL_NOT_IMPLEMENTED = 120 "This function is not supported on this system.",
    INSUFFICIENT_BUFFER = 122 "The data area passed to a system call is too small.",
    INVALID_NAME = 123 "The filename, directory name, or volume label syntax is incorrect.",
    NEGATIVE_SEEK = 131 "An attempt was made to move the file pointer before the beginning of the file.",
    BAD_PATHNAME = 161 "The specified path is invalid.",
    ALREADY_EXISTS = 183 "Cannot create a file when that file already exists.",
    BAD_EXE_FORMAT = 193 "%1 is not a valid Win32 application.",
    ENVVAR_NOT_FOUND = 203 "The system could not find the environment option that was entered.",
    FILENAME_EXCED_RANGE = 206 "The filename or extension is too long.",
    DIRECTORY = 267 "The directory name is invalid.",
    NOT_OWNER = 288 "Attempt to release mutex not owned by caller.",
    TOO_MANY_POSTS = 298 "Too many posts were made to a semaphore.",
    MR_MID_NOT_FOUND = 317 "The system cannot find message text for message number 0x%1 in the message file for %2.",
    INVALID_ADDRESS = 487 "Attempt to access invalid address.",
    IO_DEVICE = 1117 "The request could not be performed because of an I/O device error.",
    FILE_INVALID = 1006 "The volume for a file has been externally altered so that the opened file is no longer valid.",
    MAPPED_ALIGNMENT = 1132 "The base address or the file offset specified does not have the proper alignment.",
    USER_MAPPED_FILE = 1224 "The requested operation cannot be performed on a file with a user-mapped section open.",
    PRIVILEGE_NOT_HELD = 1314 "A required privilege is not held by the client.",
    TIMEOUT = 1460 "This operation returned because the timeout period expired.",
}

thread_local! {
    static LAST: Cell<u32> = const { Cell::new(0) };
}

pub(super) fn last_error() -> u32 {
    LAST.get()
}

pub(super) fn set_last_error(code: Code) {
    LAST.set(code.0);
}

/// Runs one call: an error becomes the last error and `failed`. No panic crosses to C.
pub(super) fn call<T>(failed: T, body: impl FnOnce() -> Outcome<T>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(code)) => {
            set_last_error(code);
            failed
        }
        Err(_) => {
            set_last_error(Code::GEN_FAILURE);
            failed
        }
    }
}

/// As [`call`], for calls that answer TRUE or FALSE.
pub(super) fn done(body: impl FnOnce() -> Outcome<()>) -> i32 {
    call(0, || body().map(|()| 1))
}

impl From<coview::Error> for Code {
    fn from(error: coview::Error) -> Code {
        match error.kind() {
            ErrorKind::NotFound => Code::FILE_NOT_FOUND,
            ErrorKind::AlreadyExists => Code::ALREADY_EXISTS,
            ErrorKind::AccessDenied => Code::ACCESS_DENIED,
            ErrorKind::WrongKind => Code::INVALID_HANDLE,
            ErrorKind::TimedOut => Code::TIMEOUT,
            ErrorKind::InvalidName => Code::INVALID_NAME,
            ErrorKind::InvalidInput | ErrorKind::OutOfRange => Code::INVALID_PARAMETER,
            ErrorKind::OutOfMemory => Code::NOT_ENOUGH_MEMORY,
            ErrorKind::Vanished => Code::FILE_INVALID,
            ErrorKind::Corrupt | ErrorKind::WrongLayout => Code::INVALID_DATA,
            ErrorKind::Unsupported => Code::CALL_NOT_IMPLEMENTED,
            ErrorKind::PeerDied => Code::BROKEN_PIPE,
            _ => {
                let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
                source.map_or(Code::GEN_FAILURE, Code::of_io)
            }
        }
    }
}

impl From<io::Error> for Code {
    fn from(error: io::Error) -> Code {
        Code::of_io(&error)
    }
}

impl Code {
    pub(super) fn of_io(error: &io::Error) -> Code {
        match error.raw_os_error().unwrap_or(0) {
            libc::ENOENT => Code::FILE_NOT_FOUND,
            libc::ENOTDIR => Code::PATH_NOT_FOUND,
            libc::EACCES | libc::EPERM | libc::EROFS | libc::EISDIR | libc::ETXTBSY => Code::ACCESS_DENIED,
            libc::EBADF | libc::ENXIO => Code::INVALID_HANDLE,
            libc::ENOMEM => Code::NOT_ENOUGH_MEMORY,
            libc::EMFILE | libc::ENFILE => Code::TOO_MANY_OPEN_FILES,
            libc::EEXIST => Code::FILE_EXISTS,
            libc::EINVAL | libc::ESPIPE => Code::INVALID_PARAMETER,
            libc::ENOSPC | libc::EDQUOT | libc::EFBIG => Code::DISK_FULL,
            libc::EPIPE => Code::BROKEN_PIPE,
            libc::EIO => Code::IO_DEVICE,
            libc::ENAMETOOLONG => Code::FILENAME_EXCED_RANGE,
            libc::EAGAIN => Code::SHARING_VIOLATION,
            libc::ENOSYS | libc::EOPNOTSUPP => Code::CALL_NOT_IMPLEMENTED,
            _ => Code::GEN_FAILURE,
        }
    }

    /// The error of the C library's last call.
    pub(super) fn of_errno() -> Code {
        Code::of_io(&io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_leaves_its_code_and_a_panic_leaves_one_too() {
        assert_eq!(done(|| Err(Code::NOT_OWNER)), 0);
        assert_eq!(last_error(), 288);
        assert_eq!(done(|| Ok(())), 1);
        assert_eq!(last_error(), 288, "success leaves it");
        assert_eq!(call(7, || panic!("inside")), 7);
        assert_eq!(last_error(), Code::GEN_FAILURE.0);
        assert!(Code(5).text().is_some() && Code(99999).text().is_none());
    }
}
