//! Named shared memory with the Windows object model, on Windows and on Linux.
//!
//! A [`Mapping`] has a name, a size, a protection and an access list; any process opens it by name and maps
//! [`View`]s of it; when the last handle and view are gone, also after a crash, the object is gone, and its
//! name is free.
//!
//! - [`Mapping`], [`MappingOptions`]: make, open, hand over.
//! - [`View`], [`Windows`]: read, write, atomics, a large mapping window by window.
//! - [`Region`]: a typed value that describes itself; [`frames`], [`service`], [`queue`], [`ring`], [`latest`]: channels.
//! - [`Mutex`], [`Event`], [`Semaphore`], [`wait_any`]: by name, robust against any death; [`sync`]: in a view.
//! - [`inspect`]: what there is, who holds it, what the dead left.
//! - [`bridge`]: memory shared with the programs in a Wine prefix.
//! - [`os`]: descriptors and handles.
//!
//! What each system does is in `docs/platforms.md`; every byte and lock we place is in `docs/format.md`.

#![warn(clippy::unwrap_used)]

pub mod bridge;
mod channel;
mod error;
mod explain;
pub mod inspect;
mod mapping;
mod name;
mod named;
pub mod os;
mod primitive;
pub mod region;
mod shared;
#[cfg(not(coview_step))]
mod step;
#[cfg(coview_step)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod step;
pub mod sync;
mod sys;
mod view;

pub use channel::{Peer, frames, latest, queue, ring, service};
pub use error::{Error, ErrorKind, Result};
pub use mapping::{Access, Disposition, Mapping, MappingOptions, Protection, Share};
pub use name::{Name, Namespace};
pub use named::{
    Event, EventOptions, Fired, Lock, Mutex, MutexGuard, MutexOptions, Semaphore, SemaphoreFull, SemaphoreOptions,
    Waitable, wait_all, wait_any,
};
pub use region::{Record, Region, RegionOptions};
pub use view::{Advice, Atomic, View, Windows};
/// The traits that say which types are plain data; re-exported so that everybody means the same version of them.
pub use zerocopy;

#[cfg(feature = "derive")]
pub use coview_derive::Record;

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The page on security, as far as it has examples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/security.md")]
struct Security;

/// Those of the page about the bridge, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/bridge.md")]
struct BridgePage;
