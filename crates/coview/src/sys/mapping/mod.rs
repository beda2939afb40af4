//! The memory itself: making it, opening it, mapping ranges of it, handing it to other processes.
//!
//! Contract of both systems, `Section`:
//! - `create(slot, spec)`: a new object, or the live one that has the name (then `false` is returned beside it);
//!   the memory is committed before anybody can see the name, unless `spec.reserve`.
//! - `open(slot, writable)`; `Ok(None)` when there is none. `open_posix`, `open_sysv`, `open_file`: foreign memory.
//! - `map(access, offset, len)`: `offset` a multiple of [`granularity`], `len` not zero, both inside the size.
//! - `commit`, `is_committed`: ranges of a reserved object.
//! - `give_name(slot)`: what arrived as a descriptor, under a name of ours; `Ok(None)` if that is taken. `limited(size)`: no more
//!   of it (Linux).
//! - `try_clone`, `hand_to(command)`, `adopt(ticket)`: more handles, also in other processes.

use std::path::PathBuf;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod memory_linux;
#[cfg(target_os = "linux")]
mod mode_linux;
#[cfg(target_os = "linux")]
pub(crate) use mode_linux::mode_of;
#[cfg(target_os = "linux")]
mod record_linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "linux")]
pub(crate) use memory_linux::*;

#[cfg(windows)]
mod backing_windows;
#[cfg(windows)]
mod memory_windows;
#[cfg(windows)]
mod security_windows;
#[cfg(windows)]
mod view_windows;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use memory_windows::*;
#[cfg(windows)]
pub(crate) use security_windows::{Security, owner};
#[cfg(windows)]
pub(crate) use view_windows::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// The most that any view of a mapping may do; fixed when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Views may read, or write to private copies (Win32: `PAGE_READONLY`).
    ReadOnly,
    /// Views may read and write (Win32: `PAGE_READWRITE`).
    ReadWrite,
    /// Views may read, or write to private copies; the file behind it need not be writable
    /// (Win32: `PAGE_WRITECOPY`).
    WriteCopy,
}

impl Protection {
    /// The short word for it: `"ro"`, `"rw"`, `"wc"`.
    pub fn word(self) -> &'static str {
        match self {
            Protection::ReadOnly => "ro",
            Protection::ReadWrite => "rw",
            Protection::WriteCopy => "wc",
        }
    }
}

/// What a handle or a view does with the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "FILE_MAP_READ")]
#[doc(alias = "FILE_MAP_WRITE")]
#[doc(alias = "FILE_MAP_COPY")]
pub enum Access {
    /// Reads it.
    Read,
    /// Reads and writes it.
    ReadWrite,
    /// Reads it, and writes to a private copy of each page it touches: neither the file nor anybody else sees that.
    CopyOnWrite,
}

/// Who may open a named object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Share {
    /// Its creator.
    #[default]
    Owner,
    /// Also the creator's (primary) group.
    Group,
    /// All users.
    Everyone,
    /// Read and write bits of owner, group and others, as `chmod` has them: `0o640`.
    Mode(u32),
    /// A security descriptor in Windows' text form. Linux takes those that say no more than a mode can.
    Sddl(String),
}

/// What to make.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Bytes; 0: as many as the file has.
    pub(crate) size: u64,
    pub(crate) protection: Protection,
    pub(crate) reserve: bool,
    pub(crate) exact: bool,
    pub(crate) share: Share,
    pub(crate) inheritable: bool,
    pub(crate) file: Option<FileSpec>,
}

impl Spec {
    /// Read-write, committed memory for its owner alone.
    pub(crate) fn new(size: u64) -> Spec {
        Spec {
            size,
            protection: Protection::ReadWrite,
            reserve: false,
            exact: false,
            share: Share::Owner,
            inheritable: false,
            file: None,
        }
    }
}

/// The file behind a mapping.
#[derive(Debug, Clone)]
pub(crate) struct FileSpec {
    pub(crate) path: PathBuf,
    pub(crate) exclusive: bool,
}

/// How a range will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(alias = "madvise")]
pub enum Advice {
    /// No particular order.
    Normal,
    /// From front to back: read ahead, forget behind.
    Sequential,
    /// Here and there: do not read ahead.
    Random,
    /// Soon: start reading it in.
    WillNeed,
    /// With large pages, where the system has them for this memory.
    HugePages,
}

/// Rounds up to a multiple of `unit`, a power of two.
pub(crate) fn round_up(value: u64, unit: u64) -> Option<u64> {
    Some(value.checked_add(unit - 1)? & !(unit - 1))
}
