//! Processes: who they are and what of ours they have open.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

/// A process that has an object open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its number, as this process sees it.
    pub pid: u32,
    /// The program's name.
    pub program: String,
    /// How many handles (descriptors) it has.
    pub handles: u32,
    /// Whether one of the handles may write.
    pub writable: bool,
    /// How many views it has mapped, where that can be seen.
    pub views: Option<u32>,
}
