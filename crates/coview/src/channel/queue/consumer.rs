//! The end of a queue that works.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::task::Waker;
use std::time::Duration;

use super::Payload;
use crate::channel::Listening;
use crate::channel::board::{Board, Got, Held, Taking};
use crate::channel::end::Peer;
use crate::error::Result;

/// The end that receives. Dropped, the end is free for another; what it had not done goes to others.
pub struct Consumer<P: ?Sized> {
    taking: Taking,
    _payload: PhantomData<fn() -> Box<P>>,
}

/// A message that is this consumer's alone, in place, until it is [`done`](Task::done). Dropped without, it is handled as if
/// the consumer had died with it: it goes to another, or is reported lost.
///
/// Meanwhile nobody writes it: a peer that breaks the protocol can make its bytes change under the reader, no more.
#[must_use = "dropped, a task was not done"]
pub struct Task<'a, P: Payload + ?Sized> {
    taking: &'a Taking,
    got: Got,
    message: Held<'a, P>,
}

impl<P: Payload + ?Sized> Consumer<P> {
    pub(super) fn attach(board: Board) -> Result<Consumer<P>> {
        Ok(Consumer { taking: Taking::attach(board)?, _payload: PhantomData })
    }

    /// The processes that produce.
    pub fn producers(&self) -> Vec<Peer> {
        self.taking.peers()
    }

    /// The next message, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`](crate::ErrorKind::PeerDied), once and to one consumer for each message that was lost, if the queue is
    /// [`AtMostOnce`](super::Delivery::AtMostOnce); [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a peer wrote over the
    /// message, which is passed over; the system's.
    #[inline]
    pub fn receive(&self) -> Result<Task<'_, P>> {
        loop {
            if let Some(got) = self.taking.get(None)? {
                return Ok(self.task(got));
            }
        }
    }

    /// The next message, if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn try_receive(&self) -> Result<Option<Task<'_, P>>> {
        self.receive_timeout(Duration::ZERO)
    }

    /// The next message, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Task<'_, P>>> {
        Ok(self.taking.get(Some(timeout))?.map(|got| self.task(got)))
    }

    #[inline]
    pub(in crate::channel) fn task(&self, got: Got) -> Task<'_, P> {
        Task { taking: &self.taking, got, message: Held::new(&self.taking.board, got.found) }
    }

    /// The next message; `None`: there is none, and `waker` is woken when there may be.
    pub(in crate::channel) fn poll(&self, listening: &mut Listening, waker: &Waker) -> Result<Option<Got>> {
        self.taking.poll(listening, waker)
    }

    pub(in crate::channel) fn listening(&self) -> Listening {
        self.taking.board.listening()
    }
}

impl<P: Payload + ?Sized> Task<'_, P> {
    /// The message has been dealt with, and its place is free.
    #[inline]
    #[doc(alias = "ack")]
    pub fn done(self) {
        self.taking.finish(self.got.at);
        std::mem::forget(self); // it was not given up
    }

    /// The how manieth attempt this is: 1 is the first, 256 stands for more.
    pub fn attempt(&self) -> u32 {
        self.got.from as u32 + 1
    }
}

impl<P: Payload + ?Sized> Deref for Task<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        &self.message
    }
}

impl<P: Payload + ?Sized> Drop for Task<'_, P> {
    fn drop(&mut self) {
        self.taking.give_up(self.got.at);
    }
}

impl<P: ?Sized> fmt::Debug for Consumer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("taking", &self.taking).finish()
    }
}

impl<P: Payload + fmt::Debug + ?Sized> fmt::Debug for Task<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("attempt", &self.attempt()).field("message", &&**self).finish_non_exhaustive()
    }
}
