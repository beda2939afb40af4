//! Memory that somebody else can take away under us: an access finds zeros and leaves a mark, and nobody dies.
//!
//! Contract of both systems, `Guard`, which each mapped range has one of:
//! - `over(range, writable)`: guards a mapped range until `end`, which comes before the range is unmapped. `none()`: of
//!   memory that nobody can take away; it costs nothing.
//! - `copy_out`, `copy_in`: as the copies of `shared`; `false`: the bytes, or some of them, were not there.
//! - `lost()`: the address from which on bytes have vanished; `usize::MAX`: none have.
//! - `check(address)`: whether what stands there is still there, for whoever is about to wait for it to change.
//! - `has_lost()`: whether it is worth to check.
//!
//! Linux: a handler of `SIGBUS`, which lays zeros over what has vanished. Windows, where a file that is mapped cannot be
//! shortened, but a disk or a network can fail: a handler of in-page errors, for the copies alone.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod slots_linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

use super::Refusal;

/// The refusal of memory that is not there any more.
pub(crate) fn vanished() -> Refusal {
    Refusal::Vanished(
        "the bytes behind it are gone: somebody truncated the file, or its device failed or is full; open or create it anew"
            .into(),
    )
}
