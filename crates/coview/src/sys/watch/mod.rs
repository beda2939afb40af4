//! Being told when something may be had, without a thread for each who wants to know.
//!
//! Contract of both systems:
//! - `Watch::new(object)`: nobody sleeps yet. It keeps the object open.
//! - `Watch::poll_take(waker)`: takes the event or the semaphore if it can be had now; if not, `waker` is woken when
//!   it may be. Once: who is told, asks again.
//! - A watch that is dropped takes nothing with it: the object is as if it had never asked, and nothing of it is
//!   touched any more when the drop returns.
//!
//! Below that lies what knows no objects: an [`Alarm`] is armed on a `Target`, which is a futex word and what is
//! expected there on Linux, a handle on Windows. A helper thread sleeps on as many targets as the system lets one
//! thread sleep on, starts when it is needed and ends when it has not been for a while.
//!
//! A `Listener` is what a `Watch` is, for the bell of a channel: `listen` marks that somebody sleeps, and has `waker` woken when the
//! bell rings, or when one of the locks beside it, by which the peers tell that they live, loses its owner.

mod helper;

#[cfg(target_os = "linux")]
mod bell_linux;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use bell_linux::*;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod bell_windows;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use bell_windows::*;
#[cfg(windows)]
pub(crate) use windows::*;
