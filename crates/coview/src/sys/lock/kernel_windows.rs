//! The kernel objects behind words in shared memory: a mutex that dies with its owner, an event to sleep on.
//!
//! Their name is a random number that stands beside the words, written by the first who needs it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::windows::io::OwnedHandle;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::System::Threading::{CreateEventW, CreateMutexW};

use crate::primitive::{AtomicU64, Ordering};
use crate::sys::namespace::owned;

/// What stands behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KernelObject {
    Lock,
    Wake,
}

/// Handles that nobody uses are kept up to this many.
const KEPT: usize = 1024;

static HANDLES: Mutex<BTreeMap<(KernelObject, u64), Arc<OwnedHandle>>> = Mutex::new(BTreeMap::new());

/// The number beside the word, made now if there is none.
pub(crate) fn number(id: &AtomicU64) -> u64 {
    let known = id.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // Seeded by the system's random numbers.
    let new = RandomState::new().hash_one(std::process::id()) | 1;
    id.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|known| known, |_| new)
}

/// The object of that number, opened or made.
pub(crate) fn kernel_object(kind: KernelObject, id: &AtomicU64) -> io::Result<Arc<OwnedHandle>> {
    let number = number(id);
    let mut handles = HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = handles.get(&(kind, number)) {
        return Ok(Arc::clone(handle));
    }
    if handles.len() >= KEPT {
        handles.retain(|_, handle| Arc::strong_count(handle) > 1);
    }
    // Global: the words may be used from several sessions.
    let word = if kind == KernelObject::Lock { "lock" } else { "wake" };
    let name: Vec<u16> = format!("Global\\coview.{word}.{number:016x}\0").encode_utf16().collect();
    let handle = match kind {
        // SAFETY: default security, not owned, and a NUL-terminated name that is alive.
        KernelObject::Lock => unsafe { CreateMutexW(ptr::null(), 0, name.as_ptr()) },
        // SAFETY: default security, automatic reset, not set, and such a name.
        KernelObject::Wake => unsafe { CreateEventW(ptr::null(), 0, 0, name.as_ptr()) },
    };
    // SAFETY: the call has just returned it, to us alone.
    let handle = Arc::new(unsafe { owned(handle) }?);
    handles.insert((kind, number), Arc::clone(&handle));
    Ok(handle)
}
