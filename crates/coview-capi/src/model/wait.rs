//! Waiting for any or all of several objects.

use std::mem::MaybeUninit;

use coview::{Waitable, wait_all, wait_any};

use super::argument::{given, put};
use super::named::{coview_event, coview_mutex, coview_semaphore, keep};
use super::status::{COVIEW_ABANDONED, Failure, answer, coview_status, enter, misuse, not_yet, timeout};

/// Something to be waited for beside others: one of the three, and NULL for the other two.
#[repr(C)]
pub struct coview_waitable<'a> {
    /// Had when this thread has taken it.
    pub mutex: Option<&'a coview_mutex>,
    /// Had when it is set.
    pub event: Option<&'a coview_event>,
    /// Had when a permit was taken.
    pub semaphore: Option<&'a coview_semaphore>,
}

/// # Safety
/// `objects` is NULL or there are `count` of them.
unsafe fn read<'a>(objects: *const coview_waitable<'a>, count: usize) -> Result<Vec<Waitable<'a>>, Failure> {
    given((!objects.is_null()).then_some(()))?;
    if !(1..=64).contains(&count) {
        return Err(misuse(format!("{count} objects; 1 to 64 can be waited for")));
    }
    // SAFETY: as many, by the contract.
    let objects = unsafe { std::slice::from_raw_parts(objects, count) };
    let one = |object: &coview_waitable<'a>| match (object.mutex, object.event, object.semaphore) {
        (Some(mutex), None, None) => Ok(Waitable::Mutex(&mutex.0)),
        (None, Some(event), None) => Ok(Waitable::Event(&event.0)),
        (None, None, Some(semaphore)) => Ok(Waitable::Semaphore(&semaphore.0)),
        _ => Err(misuse("each coview_waitable has one handle, and NULL for the others")),
    };
    objects.iter().map(one).collect()
}

/// Waits until one of 1 to 64 objects can be had, and has it; the first of them, if it is several. `index` (may be NULL): which.
/// `COVIEW_ABANDONED` if it is a mutex whose last owner died with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_wait_any(
    objects: *const coview_waitable<'_>,
    count: usize,
    timeout_ms: u32,
    index: Option<&mut MaybeUninit<usize>>,
) -> coview_status {
    enter(|| {
        // SAFETY: (1), (2).
        let objects = unsafe { read(objects, count) }?;
        let fired = wait_any(&objects, timeout(timeout_ms))?.ok_or_else(|| not_yet(timeout_ms))?;
        put(index, fired.index);
        told(fired.lock.is_some_and(keep))
    })
}

/// Waits until all of 1 to 64 objects can be had at once, and has them; until then it has none. `COVIEW_ABANDONED` if the last
/// owner of a mutex died with it; `abandoned` (may be NULL, else `count` of them): of which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_wait_all(
    objects: *const coview_waitable<'_>,
    count: usize,
    timeout_ms: u32,
    abandoned: *mut bool,
) -> coview_status {
    enter(|| {
        // SAFETY: (1), (2).
        let objects = unsafe { read(objects, count) }?;
        let locks = wait_all(&objects, timeout(timeout_ms))?.ok_or_else(|| not_yet(timeout_ms))?;
        let mut any = false;
        for (at, lock) in locks.into_iter().enumerate() {
            let died = lock.is_some_and(keep);
            any |= died;
            if !abandoned.is_null() {
                let flag = abandoned.wrapping_add(at);
                // SAFETY: (2): there is room for one for each object.
                unsafe { flag.write(died) };
            }
        }
        told(any)
    })
}

fn told(abandoned: bool) -> Result<(), Failure> {
    match abandoned {
        true => {
            Err(answer(COVIEW_ABANDONED, "you have what you waited for; the last owner of a mutex in it died with it"))
        }
        false => Ok(()),
    }
}
