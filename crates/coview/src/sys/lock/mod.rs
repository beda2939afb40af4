//! Words in shared memory that survive the death of whoever uses them.
//!
//! Linux: a robust mutex on the list the C library has registered with the kernel, and the commit word for
//! everything that is counted or signalled. Windows needs neither: its named objects are the kernel's own.

#[cfg(target_os = "linux")]
mod commit_linux;
#[cfg(target_os = "linux")]
mod robust_linux;
#[cfg(target_os = "linux")]
mod thread_linux;
#[cfg(target_os = "linux")]
pub(crate) use commit_linux::CommitWord;
#[cfg(target_os = "linux")]
pub(crate) use robust_linux::{Robust, Taken};
#[cfg(target_os = "linux")]
pub(crate) use thread_linux::{Me, me, pid_namespace};
