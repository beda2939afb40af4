//! The end of a service that answers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

use super::Payload;
use crate::channel::Listening;
use crate::channel::board::{Board, Draft, Got, Held, Taking};
use crate::channel::end::Peer;
use crate::error::Result;

/// The end that answers. Dropped, the end is free for another.
pub struct Server<Q: ?Sized, R: ?Sized> {
    taking: Taking,
    _payload: PhantomData<fn(Box<R>) -> Box<Q>>,
}

/// A request that is this server's alone, in place, until it is answered. Dropped without, its client is told that there is no answer.
///
/// Meanwhile nobody writes it: a peer that breaks the protocol can make its bytes change under the reader, no more.
#[must_use = "dropped, a request fails"]
pub struct Request<'a, Q: Payload + ?Sized, R: ?Sized> {
    taking: &'a Taking,
    got: Got,
    message: Held<'a, Q>,
    _response: PhantomData<fn(Box<R>)>,
}

/// Room for a response, to be filled in place; what it holds at first is anything. [`send`](Reply::send) sends it; dropped, the client is
/// told that there is no answer.
#[must_use = "dropped, a request fails"]
pub struct Reply<'a, Q: Payload + ?Sized, R: Payload + ?Sized> {
    draft: Draft<'a, R>,
    request: Request<'a, Q, R>,
}

/// A loan that may have failed for want of time.
type Lent<'a, Q, R> = std::result::Result<Reply<'a, Q, R>, Request<'a, Q, R>>;

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    pub(super) fn attach(board: Board) -> Result<Server<Q, R>> {
        Ok(Server { taking: Taking::attach(board)?, _payload: PhantomData })
    }

    /// The processes that ask.
    pub fn clients(&self) -> Vec<Peer> {
        self.taking.peers()
    }

    /// The next request, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a peer wrote over the request, which then fails; the system's.
    #[inline]
    pub fn receive(&self) -> Result<Request<'_, Q, R>> {
        loop {
            if let Some(got) = self.taking.get(None)? {
                return Ok(self.request(got));
            }
        }
    }

    /// The next request, if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn try_receive(&self) -> Result<Option<Request<'_, Q, R>>> {
        self.receive_timeout(Duration::ZERO)
    }

    /// The next request, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Request<'_, Q, R>>> {
        Ok(self.taking.get(Some(timeout))?.map(|got| self.request(got)))
    }

    #[inline]
    pub(in crate::channel) fn request(&self, got: Got) -> Request<'_, Q, R> {
        let message = Held::new(&self.taking.board, got.found);
        Request { taking: &self.taking, got, message, _response: PhantomData }
    }

    /// The next request; `None`: there is none, and `waker` is woken when there may be.
    pub(in crate::channel) fn poll(&self, listening: &mut Listening, waker: &Waker) -> Result<Option<Got>> {
        self.taking.poll(listening, waker)
    }

    pub(in crate::channel) fn listening(&self) -> Listening {
        self.taking.board.listening()
    }
}

impl<'a, Q: Payload + ?Sized, R: Payload + ?Sized> Request<'a, Q, R> {
    /// Whether nobody waits for the answer any more: the client gave up, or died.
    pub fn is_cancelled(&self) -> bool {
        self.taking.is_cancelled(&self.got)
    }

    /// Answers with a copy, waiting for room for as long as it takes. Whether the client still wants it makes no difference.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no response is as large; the system's. The request fails then.
    #[inline]
    pub fn respond(self, response: &R) -> Result<()> {
        let mut reply = self.lend_at_last(response.bytes().len() / R::UNIT)?;
        reply.draft.copy(response);
        reply.send();
        Ok(())
    }

    #[inline]
    fn lend(self, len: usize, timeout: Option<Duration>) -> Result<Lent<'a, Q, R>> {
        Ok(match self.taking.loan(len, timeout)? {
            Some(draft) => Ok(Reply { draft, request: self }),
            None => Err(self),
        })
    }

    #[inline]
    fn lend_at_last(mut self, len: usize) -> Result<Reply<'a, Q, R>> {
        loop {
            match self.lend(len, None)? {
                Ok(reply) => return Ok(reply),
                Err(request) => self = request,
            }
        }
    }
}

impl<'a, Q: Payload + ?Sized, T> Request<'a, Q, T>
where
    T: Payload,
{
    /// A loan of a response, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// The system's. The request fails then.
    pub fn loan(self) -> Result<Reply<'a, Q, T>> {
        self.lend_at_last(1)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `Err(request)`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(self, timeout: Duration) -> Result<Lent<'a, Q, T>> {
        self.lend(1, Some(timeout))
    }
}

impl<'a, Q: Payload + ?Sized, T> Request<'a, Q, [T]>
where
    [T]: Payload,
{
    /// A loan of a response of `len` elements, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no response is as large; the system's. The request fails then.
    pub fn loan(self, len: usize) -> Result<Reply<'a, Q, [T]>> {
        self.lend_at_last(len)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `Err(request)`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(self, len: usize, timeout: Duration) -> Result<Lent<'a, Q, [T]>> {
        self.lend(len, Some(timeout))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Reply<'_, Q, R> {
    /// The request, which stays until the reply is sent.
    pub fn request(&self) -> &Q {
        &self.request.message
    }

    /// Whether nobody waits for the answer any more: the client gave up, or died.
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled()
    }

    /// Sends it. Whether the client still wants it makes no difference.
    #[inline]
    pub fn send(self) {
        let Reply { mut draft, request } = self;
        request.taking.answer(request.got.at, &mut draft);
        std::mem::forget(request); // it did not fail
    }
}

impl<Q: Payload + ?Sized, T> Reply<'_, Q, [T]>
where
    [T]: Payload,
{
    /// Leaves all but the first `len` elements out.
    pub fn truncate(&mut self, len: usize) {
        self.draft.truncate(len.saturating_mul(size_of::<T>()));
    }
}

impl<Q: Payload + ?Sized, R: ?Sized> Deref for Request<'_, Q, R> {
    type Target = Q;

    #[inline]
    fn deref(&self) -> &Q {
        &self.message
    }
}

impl<Q: Payload + ?Sized, R: ?Sized> Drop for Request<'_, Q, R> {
    fn drop(&mut self) {
        self.taking.give_up(self.got.at);
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Deref for Reply<'_, Q, R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &self.draft
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> DerefMut for Reply<'_, Q, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut R {
        &mut self.draft
    }
}

impl<Q: ?Sized, R: ?Sized> fmt::Debug for Server<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("taking", &self.taking).finish()
    }
}

impl<Q: Payload + fmt::Debug + ?Sized, R: ?Sized> fmt::Debug for Request<'_, Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&&**self).finish()
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> fmt::Debug for Reply<'_, Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("server", &self.request.taking).finish_non_exhaustive()
    }
}
