//! Holds locks for the whole process: their owner is a thread that sleeps as long as the process lives.
//!
//! A robust lock tells of the death of its owner, a *thread*. What a process holds must not depend on which of its threads
//! took it; and asking another thread to take it would cost two changes of threads. So others write the sleeping thread's
//! list of locks, one at a time: the kernel only looks at it when the process dies. (Then all its threads are told to stop
//! before the keeper has woken to end; one that ran on for longer could leave a lock that nobody marks.)

use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use super::thread_linux::{Me, me};
use super::{Taken, Words};

/// The keeper of this process, and the process it is in: a fork child has none of its parent's threads.
static KEEPER: Mutex<Option<(u32, Keeper)>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Keeper(Me);

// SAFETY: the thread never looks at itself again, and lives as long as the process; others use it one at a time.
unsafe impl Send for Keeper {}

fn start() -> io::Result<Keeper> {
    let (tell, told) = sync_channel(1);
    let body = move || {
        let _ = tell.send(me().map(Keeper)); // who started it waits
        loop {
            std::thread::park();
        }
    };
    std::thread::Builder::new().name("coview-keeper".into()).spawn(body)?;
    told.recv().unwrap_or_else(|_| Err(io::Error::other("the keeper thread has ended")))
}

fn with<T>(work: impl FnOnce(Me) -> io::Result<T>) -> io::Result<T> {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    let (_, Keeper(me)) = match &*keeper {
        Some(known) if known.0 == process => *known,
        _ => *keeper.insert((process, start()?)),
    };
    work(me)
}

/// Takes a lock for this process if it is free. `None`: some process has it, this one perhaps.
///
/// # Safety
/// 1. The words stay mapped until they are given back, or the process ends.
pub(crate) unsafe fn keep(words: &Words) -> io::Result<Option<Taken>> {
    // SAFETY: (1).
    with(|me| unsafe { words.try_lock_as(me) })
}

/// Gives it back.
pub(crate) fn let_go(words: &Words) -> io::Result<()> {
    with(|me| {
        words.unlock_as(me);
        Ok(())
    })
}
