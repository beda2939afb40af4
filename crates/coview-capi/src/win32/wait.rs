//! Waiting for one handle or several.

use std::sync::Arc;
use std::time::Duration;

use coview::{Lock, Waitable, wait_all, wait_any};

use super::error::{Code, Outcome};
use super::object::{Entry, Object, THIS_PROCESS, THIS_THREAD};
use super::sync::WAIT;
use super::table::{Handle, table};

const WAIT_ABANDONED: u32 = 0x80;
const WAIT_TIMEOUT: u32 = 258;
const MAXIMUM_WAIT_OBJECTS: usize = 64;

fn limit(milliseconds: u32) -> Option<Duration> {
    (milliseconds != u32::MAX).then(|| Duration::from_millis(milliseconds.into()))
}

fn entry_of(handle: Handle) -> Outcome<Arc<Entry>> {
    let entry = table().get(handle)?;
    match &*entry.object {
        Object::Mutex(_) | Object::Event(_) | Object::Semaphore(_) => entry.allow(WAIT)?,
        Object::Thread(_) | Object::Process(_) => {}
        _ => return Err(Code::ACCESS_DENIED),
    }
    Ok(entry)
}

impl Object {
    fn waitable(&self) -> Option<Waitable<'_>> {
        match self {
            Object::Mutex(mutex) => Some(mutex.into()),
            Object::Event(event) => Some(event.into()),
            Object::Semaphore(semaphore) => Some(semaphore.into()),
            Object::Thread(thread) => Some(thread.ended().into()),
            Object::Process(process) => Some(process.ended().into()),
            _ => None,
        }
    }

    /// Has what the object's end brings with it happen before the wait returns.
    fn settle(&self) {
        if let Object::Thread(thread) = self {
            thread.settle();
        }
    }
}

/// The mutex stays taken: who waits for it gives it back by ReleaseMutex.
fn keep(lock: Option<Lock<'_>>) -> bool {
    lock.is_some_and(|lock| {
        let abandoned = lock.is_abandoned();
        std::mem::forget(lock);
        abandoned
    })
}

pub(super) fn single(handle: Handle, milliseconds: u32) -> Outcome<u32> {
    if matches!(handle.addr(), THIS_PROCESS | THIS_THREAD) {
        return never(milliseconds);
    }
    several(&[handle], false, milliseconds)
}

/// This process, or this thread, does not end while it waits for itself.
fn never(milliseconds: u32) -> Outcome<u32> {
    loop {
        std::thread::sleep(limit(milliseconds).unwrap_or(Duration::MAX));
        if milliseconds != u32::MAX {
            return Ok(WAIT_TIMEOUT);
        }
    }
}

pub(super) fn several(handles: &[Handle], all: bool, milliseconds: u32) -> Outcome<u32> {
    if handles.is_empty() || handles.len() > MAXIMUM_WAIT_OBJECTS {
        return Err(Code::INVALID_PARAMETER);
    }
    let entries = handles.iter().map(|handle| entry_of(*handle)).collect::<Outcome<Vec<_>>>()?;
    if all && (1..handles.len()).any(|at| handles[..at].contains(&handles[at])) {
        return Err(Code::INVALID_PARAMETER);
    }
    let objects: Vec<Waitable<'_>> = entries.iter().filter_map(|entry| entry.object.waitable()).collect();
    if objects.len() != entries.len() {
        return Err(Code::ACCESS_DENIED);
    }
    if all {
        let Some(locks) = wait_all(&objects, limit(milliseconds))? else { return Ok(WAIT_TIMEOUT) };
        entries.iter().for_each(|entry| entry.object.settle());
        // Every lock is kept, whatever the others were.
        let abandoned = locks.into_iter().map(keep).filter(|abandoned| *abandoned).count();
        return Ok(if abandoned > 0 { WAIT_ABANDONED } else { 0 });
    }
    let Some(fired) = wait_any(&objects, limit(milliseconds))? else { return Ok(WAIT_TIMEOUT) };
    entries[fired.index].object.settle();
    let base = if keep(fired.lock) { WAIT_ABANDONED } else { 0 };
    Ok(base + fired.index as u32)
}
