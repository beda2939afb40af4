//! Holds locks for the whole process: their owner is a thread that lives as long as the process.
//!
//! A kernel mutex tells of the death of its owner, a *thread*, and only that thread can take it. What a process holds must
//! not depend on which of its threads took it; so one takes and gives back for all.

use std::io;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::{Taken, Words};
use crate::sys::{Refusal, refusal};

struct Order {
    words: *const Words,
    take: bool,
    answer: SyncSender<io::Result<Option<Taken>>>,
}

// SAFETY: the words are shared memory, and whoever gives an order waits for its end.
unsafe impl Send for Order {}

static KEEPER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

fn serve(Order { words, take, answer }: Order) {
    // SAFETY: whoever gave the order has a reference to them, and waits.
    let words = unsafe { &*words };
    let done = match take {
        // Had by this thread means that this process has it.
        true => words.try_lock().or_else(|error| match refusal(&error) {
            Some(Refusal::Invalid(_)) => Ok(None),
            _ => Err(error),
        }),
        false => words.unlock(false).map(|_| None),
    };
    let _ = answer.send(done); // who asked waits
}

fn ask(words: &Words, take: bool) -> io::Result<Option<Taken>> {
    let (answer, done) = sync_channel(1);
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = match &*keeper {
        Some(sender) => sender,
        None => {
            let (sender, orders) = channel();
            std::thread::Builder::new()
                .name("coview-keeper".into())
                .spawn(move || orders.into_iter().for_each(serve))?;
            keeper.insert(sender)
        }
    };
    let _ = sender.send(Order { words, take, answer }); // the thread ends with the process
    drop(keeper);
    done.recv().unwrap_or_else(|_| Err(io::Error::other("the keeper thread has ended")))
}

/// Takes a lock for this process if it is free. `None`: some process has it, this one perhaps.
///
/// # Safety
/// 1. The words stay mapped until they are given back, or the process ends.
pub(crate) unsafe fn keep(words: &Words) -> io::Result<Option<Taken>> {
    ask(words, true)
}

/// Gives it back.
pub(crate) fn let_go(words: &Words) -> io::Result<()> {
    ask(words, false).map(drop)
}
