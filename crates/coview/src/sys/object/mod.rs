//! Named mutexes, events and semaphores, and waiting for several of them.
//!
//! Contract of both systems:
//! - `Object::create(slot, make, share, inheritable)`: a new object, named or not, or the live one that has the name (then `false`);
//!   `Object::open(slot, kind)`: `Ok(None)` when there is none.
//! - `unlock`, `set`, `reset`, `give`; `wait(objects, all, deadline)`.

use std::time::Duration;

use crate::sys::namespace::Kind;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod state_windows;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use state_windows::{is_manual, peek};
#[cfg(windows)]
pub(crate) use windows::*;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Mutex,
    Event { manual: bool, set: bool },
    Semaphore { count: u32, maximum: u32 },
}

impl Make {
    fn kind(self) -> Kind {
        match self {
            Make::Mutex => Kind::Mutex,
            Make::Event { .. } => Kind::Event,
            Make::Semaphore { .. } => Kind::Semaphore,
        }
    }
}

/// What a mutex, an event or a semaphore looks like from outside, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncState {
    /// A mutex: the thread that has it, and its process, as this process numbers them.
    pub owner: Option<(u32, u32)>,
    /// A mutex: somebody has it, whoever that is (Wine does not tell).
    pub held: Option<bool>,
    /// A mutex: its last owner died with it, and nobody has taken it since.
    pub abandoned: bool,
    /// A mutex: how many wait for it (those killed while waiting stay counted).
    pub waiters: Option<u32>,
    /// An event: set; a semaphore: permits there are.
    pub count: Option<u32>,
    /// A semaphore: permits there can be.
    pub maximum: Option<u32>,
    /// An event: stays set until it is reset.
    pub manual: Option<bool>,
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The object of this index was had (for `all`: every one, and the index is 0); those abandoned by a dead owner.
    Had {
        index: usize,
        abandoned: Vec<usize>,
    },
    TimedOut,
}

/// The most objects that can be waited for at once.
pub(crate) const WAIT_MAX: usize = 64;

/// `None`: for ever.
pub(crate) type Timeout = Option<Duration>;
