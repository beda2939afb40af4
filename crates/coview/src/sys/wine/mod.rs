//! Both ends of a bridge between Wine and the system it runs on: the programs in a Wine prefix are ordinary processes there,
//! and their sections ordinary files.
//!
//! Contract, the end outside (Linux):
//! - `check_prefix(path)`: whether it is a prefix of this user. `environment(pid)`: what a process was started with.
//! - `locate(pid, cookie, address)`: which file a process has mapped there. `open(found, size, writable)`: that file's memory.
//! - `holders(places)`: which processes have these files, one list a place.
//! - `detach(command)`: what the terminal sends to us shall not reach it.
//! - `Complaints::of(command)`, `last()`: what a process that is about to start says of its troubles.
//! - `path_of(section)`: where the memory of a handle of ours is reached from other processes.
//!
//! The end inside (Windows): `inward(path)`: the same file, as a program in the prefix names it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

/// A file: device and inode. Never its name, which says nothing: most of these files have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

/// A file that a process has open.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(windows, allow(dead_code))] // nothing is found from inside
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) pid: u32,
    /// The number of its descriptor there.
    pub(crate) fd: i32,
}
