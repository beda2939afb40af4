//! Named objects: the one name space all kinds share, who holds an object, and what the dead left.
//!
//! Contract of both systems:
//! - `Slot::local(text)`, `Slot::global(text)`: what a checked name becomes.
//! - `list(everything)`: what there is, read-only and distrustful.
//! - `sweep(dry_run)`: gives back what the dead left; says what. On Windows the kernel has done it already.

use std::fmt;
use std::time::SystemTime;

use crate::sys::object::SyncState;
use crate::sys::process::Holder;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod list_linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "linux")]
pub(crate) use list_linux::list;

#[cfg(windows)]
mod list_windows;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use list_windows::{list, session};
#[cfg(windows)]
pub(crate) use windows::*;

/// The kinds of objects that share the name space. The numbers are part of the format (`docs/format.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// A mapping: shared memory.
    Mapping = 1,
    /// A mutex.
    Mutex = 2,
    /// An event.
    Event = 3,
    /// A semaphore.
    Semaphore = 4,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 4] = [Kind::Mapping, Kind::Mutex, Kind::Event, Kind::Semaphore];

    /// The word for it: `"mapping"`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Mapping => "mapping",
            Kind::Mutex => "mutex",
            Kind::Event => "event",
            Kind::Semaphore => "semaphore",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if *self == Kind::Event { "an" } else { "a" }, self.word())
    }
}

/// What a listed object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A named object of ours.
    Named(Kind),
    /// A POSIX shared-memory object of another program.
    Posix,
    /// A System V segment.
    SysV,
    /// Shared memory without a name that some process has mapped.
    Anonymous,
}

/// One object as [`inspect::objects`](crate::inspect::objects) sees it. Sizes in bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The name, as it is written to open the object (anonymous memory: a description).
    pub name: String,
    /// Whether `name` is only the beginning of the name, since the rest cannot be recovered.
    pub name_is_cut: bool,
    /// What it is.
    pub origin: Origin,
    /// The size, where it can be seen.
    pub size: Option<u64>,
    /// Bytes of memory it occupies now, where it can be seen.
    pub resident: Option<u64>,
    /// `"rw"`, `"ro"`, `"wc"`, where it can be seen.
    pub protection: Option<&'static str>,
    /// Only address space was reserved; ranges are committed as needed.
    pub reserved: bool,
    /// The file behind it.
    pub file: Option<String>,
    /// The user who owns it.
    pub owner: Option<String>,
    /// The access bits of the owner, the group and all others (Linux).
    pub mode: Option<u32>,
    /// When it was made or last renamed.
    pub changed: Option<SystemTime>,
    /// State of a mutex, an event or a semaphore, where it can be seen.
    pub sync: Option<SyncState>,
    /// Nobody holds it: its bytes wait for the next sweep. Its name is free.
    pub stale: bool,
    /// Processes that have it open, as far as this user may see them.
    pub holders: Vec<Holder>,
}

impl Entry {
    /// What nothing more is known of.
    pub(crate) fn bare(name: String, origin: Origin) -> Entry {
        Entry {
            name,
            name_is_cut: false,
            origin,
            size: None,
            resident: None,
            protection: None,
            reserved: false,
            file: None,
            owner: None,
            mode: None,
            changed: None,
            sync: None,
            stale: false,
            holders: Vec::new(),
        }
    }
}

/// What [`inspect::sweep`](crate::inspect::sweep) gave back or, in a dry run, would give back.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reclaimed {
    /// Name and bytes of each object.
    pub objects: Vec<(String, u64)>,
    /// Names that are stale but belong to another user, who alone may remove them.
    pub refused: Vec<String>,
}

impl Reclaimed {
    /// Bytes of memory in total.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|(_, bytes)| bytes).sum()
    }
}
