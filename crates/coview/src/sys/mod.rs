//! What the operating system can do, one folder a feature: `mod.rs` is the contract, `linux.rs` and
//! `windows.rs` are two honest implementations of it.
//!
//! Everything here speaks [`std::io::Result`]. A refusal that only this library knows (another kind of object
//! has the name, the file behind a mapping is gone) travels inside an [`std::io::Error`] as a [`Refusal`].

#![allow(unsafe_code)]

use std::fmt;
use std::io;

pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod namespace;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod wine;

/// A refusal that has no error code of its own in the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(windows, allow(dead_code))] // its kernel leaves no remains that could be broken or in transition
pub(crate) enum Refusal {
    /// A live object of this other kind has the name.
    WrongKind(namespace::Kind),
    /// The name's place is taken by something that is not ours; the text says by what and what to do.
    Squatted(String),
    /// The file behind the mapping is gone or shorter than the mapping.
    Vanished(String),
    /// The bytes that describe the object are not what the format promises.
    Corrupt(String),
    /// The memory cannot be had: how much was asked, how much there is, what to do.
    NoMemory(String),
    /// The protection or the access list forbids it.
    Denied(String),
    /// Not possible on this system or with this object.
    Unsupported(String),
    /// An argument makes no sense.
    Invalid(String),
    /// A name was in transition (its owner stopped in between) for longer than we wait.
    Busy(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::WrongKind(kind) => {
                write!(
                    f,
                    "the name belongs to {kind}; all kinds of objects share one name space, so choose another name"
                )
            }
            Refusal::Squatted(text)
            | Refusal::Vanished(text)
            | Refusal::Corrupt(text)
            | Refusal::NoMemory(text)
            | Refusal::Denied(text)
            | Refusal::Unsupported(text)
            | Refusal::Invalid(text)
            | Refusal::Busy(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::other(refusal)
    }
}

/// The refusal inside `error`, if it is one of ours.
pub(crate) fn refusal(error: &io::Error) -> Option<&Refusal> {
    error.get_ref()?.downcast_ref()
}
