//! Turns a refusal of the operating system into the library's error: its kind, and what to do next.

use std::fmt::Display;
use std::io;

use crate::error::{Error, ErrorKind};
use crate::sys::{self, Refusal};

/// The error for `operation` on `object` that `source` refused.
pub(crate) fn explain(operation: &'static str, object: impl Display, source: io::Error) -> Error {
    let (kind, detail) = match sys::refusal(&source) {
        Some(refusal) => (kind_of(refusal), refusal.to_string()),
        None => of_code(&source),
    };
    Error::new(kind, operation, detail).on(object).with_source(source)
}

fn kind_of(refusal: &Refusal) -> ErrorKind {
    match refusal {
        Refusal::WrongKind(_) => ErrorKind::WrongKind,
        Refusal::Squatted(_) | Refusal::Denied(_) => ErrorKind::AccessDenied,
        Refusal::Vanished(_) => ErrorKind::Vanished,
        Refusal::Corrupt(_) => ErrorKind::Corrupt,
        Refusal::NoMemory(_) => ErrorKind::OutOfMemory,
        Refusal::Unsupported(_) => ErrorKind::Unsupported,
        Refusal::Invalid(_) => ErrorKind::InvalidInput,
        Refusal::Busy(_) => ErrorKind::TimedOut,
    }
}

fn of_code(error: &io::Error) -> (ErrorKind, String) {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, ""),
        io::ErrorKind::AlreadyExists => (ErrorKind::AlreadyExists, ""),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::AccessDenied, "; its owner must allow it, or ask for less access")
        }
        io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::OutOfMemory, "; ask for less or make room (`coview doctor` shows the limits)")
        }
        io::ErrorKind::Unsupported => (ErrorKind::Unsupported, ""),
        io::ErrorKind::TimedOut => (ErrorKind::TimedOut, ""),
        io::ErrorKind::InvalidInput => (ErrorKind::InvalidInput, ""),
        _ => (ErrorKind::Os, "; `coview doctor` shows limits that may be in the way"),
    };
    match sys::health::limit(error) {
        Some(limit) => (kind, format!("{error}: {limit}")),
        None => (kind, format!("{error}{hint}")),
    }
}

/// The error for a name that no live object has.
pub(crate) fn absent(operation: &'static str, object: impl Display) -> Error {
    let advice = "no live object has this name; start the program that creates it, or see `coview ls`";
    Error::new(ErrorKind::NotFound, operation, advice).on(object)
}

/// The error for a name that a live object has.
pub(crate) fn exists(operation: &'static str, object: impl Display) -> Error {
    let advice =
        "a live object has this name already; open it, use open_or_create, or see its holders with `coview info`";
    Error::new(ErrorKind::AlreadyExists, operation, advice).on(object)
}
