//! What there is: list objects and their holders, give back what the dead left. Read-only and distrustful.

use crate::channel;
use crate::error::Result;
use crate::explain::explain;
use crate::mapping::{Access, Mapping};
use crate::name::Name;
use crate::region::{self, RegionInfo};
use crate::sys;

pub use crate::channel::{Channel, Receiver, Traffic};
pub use crate::sys::health::{Check, Verdict};
pub use crate::sys::namespace::{Entry, Kind, Origin, Reclaimed};
pub use crate::sys::object::SyncState;
pub use crate::sys::process::Holder;

/// The named objects this user sees; with `everything` also the shared memory of other programs: POSIX objects, System V
/// segments, and what has no name.
///
/// On Windows a look at an object takes a handle on it for a moment: one whose last holder goes just then lives as long.
///
/// # Errors
/// The system's.
pub fn objects(everything: bool) -> Result<Vec<Entry>> {
    sys::namespace::list(everything).map_err(|error| explain("list", "the objects", error))
}

/// The one object that has this name now, dead or alive.
///
/// # Errors
/// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName), and the system's.
pub fn find(name: &str) -> Result<Option<Entry>> {
    let name = Name::parse(name)?;
    let written = name.to_string();
    let everything = name.namespace().is_foreign();
    let cut = |entry: &Entry| entry.name_is_cut && written.starts_with(&entry.name);
    Ok(objects(everything)?.into_iter().find(|entry| entry.name == written || cut(entry)))
}

/// What the region of that name says about itself: its type, its fields, who made it; `None` if the name is not a region's. The
/// object is open as long as the look takes.
///
/// # Errors
/// Those of [`Mapping::open`] for reading; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if its head cannot be right.
pub fn region(name: &str) -> Result<Option<RegionInfo>> {
    region::describe(&Mapping::open(name, Access::Read)?)
}

/// What the channel of that name is doing now; `None` if the name is not a channel's. Nobody joins, locks or writes anything; the object
/// is open as long as the look takes.
///
/// # Examples
///
/// ```
/// use coview::{frames::Frames, inspect};
///
/// let name = format!("doc-channel-{}", std::process::id());
/// let publisher = Frames::<u64>::create(&name)?.publisher()?;
/// let before = inspect::channel(&name)?.expect("it is a channel");
/// publisher.send(&7)?;
/// let after = inspect::channel(&name)?.expect("it is a channel");
/// let traffic = after.since(&before);
/// assert_eq!((traffic.messages, traffic.bytes), (Some(1), Some(8)));
/// # Ok::<(), coview::Error>(())
/// ```
///
/// # Errors
/// Those of [`Mapping::open`] for reading; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if its sizes cannot be right.
pub fn channel(name: &str) -> Result<Option<Channel>> {
    channel::status(&Mapping::open(name, Access::Read)?)
}

/// Gives back what dead processes left, or with `dry_run` only says what that is. On Windows nothing ever is left: the
/// kernel has freed it.
///
/// # Errors
/// The system's.
pub fn sweep(dry_run: bool) -> Result<Reclaimed> {
    sys::namespace::sweep(dry_run).map_err(|error| explain("sweep", "the name space", error))
}

/// Limits and settings of this machine that shared memory depends on, each with a verdict and what to do.
pub fn health() -> Vec<Check> {
    sys::health::checks()
}
