//! Named mutexes, events and semaphores.

use std::mem::MaybeUninit;

use coview::{
    Disposition, Event, EventOptions, Lock, Mutex, MutexOptions, Semaphore, SemaphoreFull, SemaphoreOptions, Share,
};

use super::argument::{Options, Text, coview_share, flags, given, make, options, put};
use super::mapping::COVIEW_INHERITABLE;
use super::status::{COVIEW_ABANDONED, COVIEW_FULL, Failure, answer, coview_status, enter, quiet, wait};

/// A mutex that threads of all processes share by name. The thread that has it can take it again, and gives it back as often.
/// May be used by several threads.
pub struct coview_mutex(pub(super) Mutex);

/// An event: set or not, and waited for. May be used by several threads.
pub struct coview_event(pub(super) Event);

/// A count of permits. May be used by several threads.
pub struct coview_semaphore(pub(super) Semaphore);

/// Of an event: it stays set until it is reset. Otherwise the first who waits for it resets it.
pub const COVIEW_MANUAL_RESET: u32 = 16;
/// Of an event: it begins set.
pub const COVIEW_INITIALLY_SET: u32 = 32;

/// How a mutex, an event or a semaphore is made. Zeros: for its creator alone.
#[repr(C)]
pub struct coview_sync_options {
    /// `sizeof(coview_sync_options)`.
    pub struct_size: usize,
    /// Of `COVIEW_INHERITABLE`, and for an event `COVIEW_MANUAL_RESET`, `COVIEW_INITIALLY_SET`.
    pub flags: u32,
    /// Who may open it by name.
    pub share: coview_share,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_sync_options {}

/// The flags that are known, whether it is inherited, and who may open it.
///
/// # Safety
/// As [`options`].
unsafe fn read(from: *const coview_sync_options, known: u32) -> Result<(u32, bool, Share), Failure> {
    // SAFETY: as here.
    let options = unsafe { options(from) }?;
    flags(options.flags, COVIEW_INHERITABLE | known)?;
    Ok((options.flags, options.flags & COVIEW_INHERITABLE != 0, options.share.get()?))
}

/// # Safety
/// As [`options`].
unsafe fn mutex_options(from: *const coview_sync_options) -> Result<MutexOptions, Failure> {
    // SAFETY: as here.
    let (_, inheritable, share) = unsafe { read(from, 0) }?;
    Ok(MutexOptions::new().share(share).inheritable(inheritable))
}

/// # Safety
/// As [`options`].
unsafe fn event_options(from: *const coview_sync_options) -> Result<EventOptions, Failure> {
    // SAFETY: as here.
    let (flags, inheritable, share) = unsafe { read(from, COVIEW_MANUAL_RESET | COVIEW_INITIALLY_SET) }?;
    let options = EventOptions::new().manual_reset(flags & COVIEW_MANUAL_RESET != 0);
    Ok(options.initially_set(flags & COVIEW_INITIALLY_SET != 0).share(share).inheritable(inheritable))
}

/// # Safety
/// As [`options`].
unsafe fn semaphore_options(
    from: *const coview_sync_options,
    count: u32,
    maximum: u32,
) -> Result<SemaphoreOptions, Failure> {
    // SAFETY: as here.
    let (_, inheritable, share) = unsafe { read(from, 0) }?;
    Ok(SemaphoreOptions::new(count, maximum).share(share).inheritable(inheritable))
}

/// The thread has it until it says otherwise: C has no guards.
pub(super) fn keep(lock: Lock<'_>) -> bool {
    let abandoned = lock.is_abandoned();
    std::mem::forget(lock);
    abandoned
}

/// Makes a mutex that nobody has. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_mutex_create(
    name: Text,
    options: *const coview_sync_options,
    mutex: Option<&mut MaybeUninit<Option<Box<coview_mutex>>>>,
) -> coview_status {
    // SAFETY: (1).
    enter(|| make(mutex, || Ok(coview_mutex(unsafe { mutex_options(options) }?.create(name.get("the name")?)?))))
}

/// Makes a mutex or opens the live one. `created` (may be NULL): which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_mutex_open_or_create(
    name: Text,
    options: *const coview_sync_options,
    mutex: Option<&mut MaybeUninit<Option<Box<coview_mutex>>>>,
    created: Option<&mut MaybeUninit<bool>>,
) -> coview_status {
    enter(|| {
        make(mutex, || {
            // SAFETY: (1).
            let options = unsafe { mutex_options(options) }?;
            let (made, disposition) = options.open_or_create(name.get("the name")?)?;
            put(created, disposition == Disposition::Created);
            Ok(coview_mutex(made))
        })
    })
}

/// Opens the live mutex of that name.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mutex_open(
    name: Text,
    mutex: Option<&mut MaybeUninit<Option<Box<coview_mutex>>>>,
) -> coview_status {
    enter(|| make(mutex, || Ok(coview_mutex(Mutex::open(name.get("the name")?)?))))
}

/// Closes the handle. A thread that has the mutex gives it back first. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mutex_close(mutex: Option<Box<coview_mutex>>) {
    quiet((), || drop(mutex));
}

/// Takes it. `COVIEW_OK`: it is this thread's. `COVIEW_ABANDONED`: so it is, and its last owner died with it. Otherwise it is
/// not: `COVIEW_WOULD_BLOCK`, `COVIEW_TIMED_OUT`, an error.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mutex_lock(mutex: Option<&coview_mutex>, timeout_ms: u32) -> coview_status {
    enter(|| {
        let mutex = &given(mutex)?.0;
        match wait(timeout_ms, |timeout| Ok(mutex.lock_timeout(timeout)?.map(keep)))? {
            true => Err(answer(COVIEW_ABANDONED, "the mutex is yours; its last owner died with it")),
            false => Ok(()),
        }
    })
}

/// Gives it back once. Refused if this thread does not have it.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mutex_unlock(mutex: Option<&coview_mutex>) -> coview_status {
    enter(|| Ok(given(mutex)?.0.unlock()?))
}

/// Makes an event. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_event_create(
    name: Text,
    options: *const coview_sync_options,
    event: Option<&mut MaybeUninit<Option<Box<coview_event>>>>,
) -> coview_status {
    // SAFETY: (1).
    enter(|| make(event, || Ok(coview_event(unsafe { event_options(options) }?.create(name.get("the name")?)?))))
}

/// Makes an event or opens the live one, which stays as it is. `created` (may be NULL): which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_event_open_or_create(
    name: Text,
    options: *const coview_sync_options,
    event: Option<&mut MaybeUninit<Option<Box<coview_event>>>>,
    created: Option<&mut MaybeUninit<bool>>,
) -> coview_status {
    enter(|| {
        make(event, || {
            // SAFETY: (1).
            let options = unsafe { event_options(options) }?;
            let (made, disposition) = options.open_or_create(name.get("the name")?)?;
            put(created, disposition == Disposition::Created);
            Ok(coview_event(made))
        })
    })
}

/// Opens the live event of that name.
#[unsafe(no_mangle)]
pub extern "C" fn coview_event_open(
    name: Text,
    event: Option<&mut MaybeUninit<Option<Box<coview_event>>>>,
) -> coview_status {
    enter(|| make(event, || Ok(coview_event(Event::open(name.get("the name")?)?))))
}

/// Closes the handle. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_event_close(event: Option<Box<coview_event>>) {
    quiet((), || drop(event));
}

/// Sets it.
#[unsafe(no_mangle)]
pub extern "C" fn coview_event_set(event: Option<&coview_event>) -> coview_status {
    enter(|| Ok(given(event)?.0.set()?))
}

/// Resets it.
#[unsafe(no_mangle)]
pub extern "C" fn coview_event_reset(event: Option<&coview_event>) -> coview_status {
    enter(|| Ok(given(event)?.0.reset()?))
}

/// Waits until it is set; resets it unless it was made with `COVIEW_MANUAL_RESET`.
#[unsafe(no_mangle)]
pub extern "C" fn coview_event_wait(event: Option<&coview_event>, timeout_ms: u32) -> coview_status {
    enter(|| {
        let event = &given(event)?.0;
        wait(timeout_ms, |timeout| Ok(event.wait_timeout(timeout)?.then_some(())))
    })
}

/// Makes a semaphore with `count` permits to begin with and `maximum` at most. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_semaphore_create(
    name: Text,
    count: u32,
    maximum: u32,
    options: *const coview_sync_options,
    semaphore: Option<&mut MaybeUninit<Option<Box<coview_semaphore>>>>,
) -> coview_status {
    enter(|| {
        make(semaphore, || {
            // SAFETY: (1).
            let options = unsafe { semaphore_options(options, count, maximum) }?;
            Ok(coview_semaphore(options.create(name.get("the name")?)?))
        })
    })
}

/// Makes a semaphore or opens the live one, which keeps its count and maximum. `created` (may be NULL): which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_semaphore_open_or_create(
    name: Text,
    count: u32,
    maximum: u32,
    options: *const coview_sync_options,
    semaphore: Option<&mut MaybeUninit<Option<Box<coview_semaphore>>>>,
    created: Option<&mut MaybeUninit<bool>>,
) -> coview_status {
    enter(|| {
        make(semaphore, || {
            // SAFETY: (1).
            let options = unsafe { semaphore_options(options, count, maximum) }?;
            let (made, disposition) = options.open_or_create(name.get("the name")?)?;
            put(created, disposition == Disposition::Created);
            Ok(coview_semaphore(made))
        })
    })
}

/// Opens the live semaphore of that name.
#[unsafe(no_mangle)]
pub extern "C" fn coview_semaphore_open(
    name: Text,
    semaphore: Option<&mut MaybeUninit<Option<Box<coview_semaphore>>>>,
) -> coview_status {
    enter(|| make(semaphore, || Ok(coview_semaphore(Semaphore::open(name.get("the name")?)?))))
}

/// Closes the handle; permits that were taken stay taken. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_semaphore_close(semaphore: Option<Box<coview_semaphore>>) {
    quiet((), || drop(semaphore));
}

/// Takes a permit.
#[unsafe(no_mangle)]
pub extern "C" fn coview_semaphore_acquire(semaphore: Option<&coview_semaphore>, timeout_ms: u32) -> coview_status {
    enter(|| {
        let semaphore = &given(semaphore)?.0;
        wait(timeout_ms, |timeout| Ok(semaphore.acquire_timeout(timeout)?.then_some(())))
    })
}

/// Gives `count` permits back, or none and `COVIEW_FULL` if that would exceed the maximum. `before` (may be NULL): how many there
/// were.
#[unsafe(no_mangle)]
pub extern "C" fn coview_semaphore_release(
    semaphore: Option<&coview_semaphore>,
    count: u32,
    before: Option<&mut MaybeUninit<u32>>,
) -> coview_status {
    enter(|| match given(semaphore)?.0.release(count)? {
        Ok(permits) => {
            put(before, permits);
            Ok(())
        }
        Err(SemaphoreFull(permits)) => {
            put(before, permits);
            Err(answer(COVIEW_FULL, "so many more permits would exceed the semaphore's maximum"))
        }
    })
}
