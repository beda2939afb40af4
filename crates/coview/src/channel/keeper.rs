//! A thread that holds the locks by which the ends of channels tell that they live.
//!
//! A robust lock tells of its owner's death, and its owner is a *thread*. The end of a channel may go from thread to
//! thread, and outlive the one that made it; so one thread for each process, which lives as long as the process, has them all.

use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::explain::explain;
use crate::sys::lock::{Taken, Words};
use crate::sys::{Refusal, refusal};
use crate::view::View;

/// A lock in a view, which stays mapped for as long as the keeper may touch it.
#[derive(Clone)]
struct Place {
    view: Arc<View>,
    offset: usize,
}

enum Order {
    Take(Place, SyncSender<std::io::Result<Option<Taken>>>),
    GiveBack(Place, SyncSender<()>),
}

/// The keeper of this process, and the process it is in: a fork child has none of its parent's threads.
static KEEPER: Mutex<Option<(u32, Sender<Order>)>> = Mutex::new(None);

/// This process is at this end of the channel, until it is dropped or dies.
pub(super) struct Presence {
    place: Place,
    process: u32,
}

impl Place {
    fn words(&self) -> Result<&Words> {
        self.view.place(self.offset)
    }
}

fn serve(order: Order) {
    match order {
        Order::Take(place, answer) => {
            let taken = match place.words() {
                // Had by this thread means that this process is there already.
                Ok(words) => words.try_lock().or_else(|error| match refusal(&error) {
                    Some(Refusal::Invalid(_)) => Ok(None),
                    _ => Err(error),
                }),
                Err(error) => Err(error.into()),
            };
            let _ = answer.send(taken); // who asked waits
        }
        Order::GiveBack(place, answer) => {
            // It fails only when a peer wrote over the words.
            let _ = place.words().map(|words| words.unlock(false));
            drop(place);
            let _ = answer.send(());
        }
    }
}

fn give(order: Order) -> std::io::Result<()> {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if keeper.as_ref().is_none_or(|(of, _)| *of != process) {
        let (sender, orders) = channel();
        std::thread::Builder::new().name("coview-keeper".into()).spawn(move || orders.into_iter().for_each(serve))?;
        *keeper = Some((process, sender));
    }
    if let Some((_, sender)) = keeper.as_ref() {
        let _ = sender.send(order); // the thread ends with the process
    }
    Ok(())
}

impl Presence {
    /// Takes the lock at `offset`. `None`: somebody else is there. The flag: who was there before died.
    pub(super) fn take(view: &Arc<View>, offset: usize) -> Result<Option<(Presence, bool)>> {
        let place = Place { view: Arc::clone(view), offset };
        let (answer, taken) = sync_channel(1);
        let explain = |error| explain("attach to", "a channel", error);
        give(Order::Take(place.clone(), answer)).map_err(explain)?;
        let taken = taken.recv().unwrap_or_else(|_| Err(std::io::Error::other("the keeper thread has ended")));
        let taken = taken.map_err(explain)?;
        Ok(taken.map(|how| (Presence { place, process: std::process::id() }, how == Taken::Abandoned)))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            return; // a fork child: the parent is still there
        }
        let (answer, done) = sync_channel(1);
        if give(Order::GiveBack(self.place.clone(), answer)).is_ok() {
            let _ = done.recv(); // then the end is free, for whoever tries next
        }
    }
}
