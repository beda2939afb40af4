//! What there is: objects and who has them.

use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;

use coview::inspect::{self, Entry, Kind, Origin};

use super::argument::put;
use super::status::{coview_status, enter, misuse};

/// A mapping: shared memory; regions and channels stand in one.
pub const COVIEW_KIND_MAPPING: u32 = 1;
/// A mutex.
pub const COVIEW_KIND_MUTEX: u32 = 2;
/// An event.
pub const COVIEW_KIND_EVENT: u32 = 3;
/// A semaphore.
pub const COVIEW_KIND_SEMAPHORE: u32 = 4;
/// Shared memory of another program.
pub const COVIEW_KIND_FOREIGN: u32 = 5;

/// An object, as it is listed.
#[repr(C)]
pub struct coview_object {
    /// `sizeof(coview_object)` of the library.
    pub struct_size: usize,
    /// The name, as it is written to open it.
    pub name: *const c_char,
    /// Its size in bytes; 0 where it cannot be seen.
    pub size: u64,
    /// Bytes of memory that it occupies now; 0 where it cannot be seen.
    pub resident: u64,
    /// One of `COVIEW_KIND_...`.
    pub kind: u32,
    /// How many processes have it open, as far as this user may see them.
    pub holders: u32,
    /// Nobody has it: its bytes wait for the next sweep, its name is free.
    pub stale: bool,
}

/// What is called for each object, with what the caller gave; the object is good until it returns. `false` ends the listing.
pub type coview_object_callback = Option<unsafe extern "C" fn(user: *mut c_void, object: *const coview_object) -> bool>;

/// Calls back for each named object that this user sees; with `everything` also for the shared memory of other programs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_list(
    everything: bool,
    callback: coview_object_callback,
    user: *mut c_void,
) -> coview_status {
    enter(|| {
        let callback = callback.ok_or_else(|| misuse("the callback is NULL"))?;
        for entry in inspect::objects(everything)? {
            let name = CString::new(entry.name.replace('\0', " ")).unwrap_or_default();
            let object = describe(&entry, &name);
            // SAFETY: a function of the C program, called as it was declared.
            if !unsafe { callback(user, &raw const object) } {
                break;
            }
        }
        Ok(())
    })
}

fn describe(entry: &Entry, name: &CString) -> coview_object {
    coview_object {
        struct_size: size_of::<coview_object>(),
        name: name.as_ptr(),
        size: entry.size.unwrap_or(0),
        resident: entry.resident.unwrap_or(0),
        kind: match entry.origin {
            Origin::Named(Kind::Mapping) => COVIEW_KIND_MAPPING,
            Origin::Named(Kind::Mutex) => COVIEW_KIND_MUTEX,
            Origin::Named(Kind::Event) => COVIEW_KIND_EVENT,
            Origin::Named(Kind::Semaphore) => COVIEW_KIND_SEMAPHORE,
            _ => COVIEW_KIND_FOREIGN,
        },
        holders: u32::try_from(entry.holders.len()).unwrap_or(u32::MAX),
        stale: entry.stale,
    }
}

/// Gives back what dead processes left, as the next operation of anybody would. `objects`, `bytes` (may be NULL): how much it was.
#[unsafe(no_mangle)]
pub extern "C" fn coview_sweep(
    objects: Option<&mut MaybeUninit<usize>>,
    bytes: Option<&mut MaybeUninit<u64>>,
) -> coview_status {
    enter(|| {
        let reclaimed = inspect::sweep(false)?;
        put(objects, reclaimed.objects.len());
        put(bytes, reclaimed.bytes());
        Ok(())
    })
}
