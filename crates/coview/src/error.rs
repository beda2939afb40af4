//! The one error of the library: what was refused, to whom, and what to do next.

use std::fmt;
use std::io;

/// What went wrong, in a form a program can act on.
///
/// Each kind has a fixed number ([`ErrorKind::code`]) that the C status, the Python class and the exit
/// codes of the program `coview` are derived from. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorKind {
    /// No live object has the name (Win32: `ERROR_FILE_NOT_FOUND`).
    NotFound = 1,
    /// A live object has the name already (Win32: `ERROR_ALREADY_EXISTS`).
    AlreadyExists = 2,
    /// The access list, the protection or the operating system forbids it (Win32: `ERROR_ACCESS_DENIED`).
    AccessDenied = 3,
    /// The name belongs to an object of another kind (Win32: `ERROR_INVALID_HANDLE`).
    WrongKind = 4,
    /// The time allowed is over (Win32: `WAIT_TIMEOUT`).
    TimedOut = 5,
    /// The name breaks a rule of [`Name`](crate::Name) (Win32: `ERROR_INVALID_NAME`).
    InvalidName = 6,
    /// An option or an argument makes no sense (Win32: `ERROR_INVALID_PARAMETER`).
    InvalidInput = 7,
    /// An offset or a length lies outside the object (Win32: `ERROR_INVALID_PARAMETER`).
    OutOfRange = 8,
    /// The memory, space or address range cannot be had (Win32: `ERROR_NOT_ENOUGH_MEMORY`).
    OutOfMemory = 9,
    /// The bytes behind the object were truncated, moved or removed (Win32: `EXCEPTION_IN_PAGE_ERROR`).
    Vanished = 10,
    /// What another process left in shared memory is not what its format promises.
    Corrupt = 11,
    /// This system or this kind of object cannot do it (Win32: `ERROR_NOT_SUPPORTED`).
    Unsupported = 12,
    /// Any other refusal by the operating system; see [`std::error::Error::source`].
    Os = 13,
    /// The process at the other end of a channel died (Win32: `ERROR_BROKEN_PIPE`).
    PeerDied = 14,
    /// The region holds a value of another type or layout than was asked for (Win32: `ERROR_DATATYPE_MISMATCH`).
    WrongLayout = 15,
}

impl ErrorKind {
    /// The fixed number of this kind.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// Why an operation failed: its [`kind`](Error::kind), the operation, the object, and what to do next.
///
/// One pointer wide. The operating system's own error, if there was one, is the
/// [`source`](std::error::Error::source).
///
/// # Examples
///
/// ```
/// use coview::{Access, ErrorKind, Mapping};
///
/// let error = Mapping::open("nobody made this", Access::Read).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert!(error.to_string().contains("nobody made this"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    object: Option<String>,
    detail: String,
    source: Option<io::Error>,
}

/// The library's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, detail: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, operation, object: None, detail: detail.into(), source: None }))
    }

    /// Why, without what was wanted of whom.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(crate) fn with_source(mut self, source: io::Error) -> Error {
        self.0.source = Some(source);
        self
    }

    pub(crate) fn on(mut self, object: impl fmt::Display) -> Error {
        self.0.object = Some(object.to_string());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, as a verb: `"open"`, `"map"`, `"read"`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The object it was about, as its user wrote or would write it.
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.0.operation)?;
        if let Some(object) = &self.0.object {
            write!(f, " {object}")?;
        }
        write!(f, ": {}", self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::AccessDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::InvalidName | ErrorKind::InvalidInput | ErrorKind::OutOfRange => io::ErrorKind::InvalidInput,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::Corrupt | ErrorKind::WrongLayout => io::ErrorKind::InvalidData,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_and_all_parts() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let e = Error::new(ErrorKind::OutOfRange, "read", "the end is at 4096").on(r"Local\x");
        assert_eq!(e.to_string(), r"cannot read Local\x: the end is at 4096");
        assert_eq!((e.operation(), e.object()), ("read", Some(r"Local\x")));
        assert_eq!(ErrorKind::Os.code(), 13);
    }
}
