//! The end of a service that asks.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

use super::Payload;
use crate::channel::Listening;
use crate::channel::board::{Board, Draft, Found, Held, Posting};
use crate::channel::end::Peer;
use crate::error::Result;
use crate::sys::wait::Deadline;

/// The end that asks. Dropped, the end is free for another.
pub struct Client<Q: ?Sized, R: ?Sized> {
    posting: Posting,
    _payload: PhantomData<fn(Box<Q>) -> Box<R>>,
}

/// Room for a request, to be filled in place; what it holds at first is anything. [`send`](Loan::send) sends it; dropped, it was never
/// there.
///
/// Nobody else reads or writes it: a peer that breaks the protocol can change its bytes, no more.
#[must_use = "dropped, a loan is given back unsent"]
pub struct Loan<'a, Q: Payload + ?Sized, R: ?Sized> {
    posting: &'a Posting,
    draft: Draft<'a, Q>,
    _response: PhantomData<fn() -> Box<R>>,
}

/// A request that was sent. Dropped, it is cancelled: no server takes it, or the one that has [sees it](super::Request::is_cancelled).
#[must_use = "dropped, a request is cancelled"]
pub struct Pending<'a, R: ?Sized> {
    posting: &'a Posting,
    at: u64,
    _response: PhantomData<fn() -> Box<R>>,
}

/// A response, in place; dropped, its place is free.
///
/// Meanwhile nobody writes it: a peer that breaks the protocol can make its bytes change under the reader, no more.
pub struct Response<'a, R: Payload + ?Sized> {
    message: Held<'a, R>,
    /// Keeps the place, unless the message is a copy.
    _place: Option<Pending<'a, R>>,
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Client<Q, R> {
    pub(super) fn attach(board: Board) -> Result<Client<Q, R>> {
        Ok(Client { posting: Posting::attach(board)?, _payload: PhantomData })
    }

    /// The processes that serve.
    pub fn servers(&self) -> Vec<Peer> {
        self.posting.peers()
    }

    /// Asks, and waits for the response as long as it takes.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Pending::receive`].
    #[inline]
    pub fn call(&self, request: &Q) -> Result<Response<'_, R>> {
        self.send(request)?.receive()
    }

    /// As [`call`](Self::call), within `timeout`. `None`: the time is over, and the request is cancelled.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_timeout(&self, request: &Q, timeout: Duration) -> Result<Option<Response<'_, R>>> {
        let until = Deadline::after(Some(timeout));
        let Some(pending) = self.send_timeout(request, timeout)? else { return Ok(None) };
        Ok(pending.receive_timeout(until.left().unwrap_or_default())?.ok())
    }

    /// Sends a request, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no request is as large; the system's.
    #[inline]
    pub fn send(&self, request: &Q) -> Result<Pending<'_, R>> {
        loop {
            if let Some(pending) = self.copy(request, None)? {
                return Ok(pending);
            }
        }
    }

    /// Sends a request if there is room now.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn try_send(&self, request: &Q) -> Result<Option<Pending<'_, R>>> {
        self.copy(request, Some(Duration::ZERO))
    }

    /// Sends a request, waiting for room for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_timeout(&self, request: &Q, timeout: Duration) -> Result<Option<Pending<'_, R>>> {
        self.copy(request, Some(timeout))
    }

    #[inline]
    fn copy(&self, request: &Q, timeout: Option<Duration>) -> Result<Option<Pending<'_, R>>> {
        let Some((mut draft, left)) = self.posting.copy(request, timeout)? else { return Ok(None) };
        Pending::post(&self.posting, &mut draft, left)
    }

    fn lend(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Loan<'_, Q, R>>> {
        let draft = self.posting.loan(len, timeout)?;
        Ok(draft.map(|draft| Loan { posting: &self.posting, draft, _response: PhantomData }))
    }

    fn lend_at_last(&self, len: usize) -> Result<Loan<'_, Q, R>> {
        loop {
            if let Some(loan) = self.lend(len, None)? {
                return Ok(loan);
            }
        }
    }
}

impl<T, R: Payload + ?Sized> Client<T, R>
where
    T: Payload,
{
    /// A loan of a request, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// The system's.
    pub fn loan(&self) -> Result<Loan<'_, T, R>> {
        self.lend_at_last(1)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Option<Loan<'_, T, R>>> {
        self.lend(1, Some(timeout))
    }
}

impl<T, R: Payload + ?Sized> Client<[T], R>
where
    [T]: Payload,
{
    /// A loan of a request of `len` elements, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no request is as large; the system's.
    pub fn loan(&self, len: usize) -> Result<Loan<'_, [T], R>> {
        self.lend_at_last(len)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, len: usize, timeout: Duration) -> Result<Option<Loan<'_, [T], R>>> {
        self.lend(len, Some(timeout))
    }
}

impl<'a, Q: Payload + ?Sized, R: Payload + ?Sized> Loan<'a, Q, R> {
    /// Sends it, waiting for as long as there are too many requests.
    ///
    /// # Errors
    /// The system's.
    pub fn send(mut self) -> Result<Pending<'a, R>> {
        loop {
            if let Some(pending) = Pending::post(self.posting, &mut self.draft, None)? {
                return Ok(pending);
            }
        }
    }

    /// As [`send`](Self::send), waiting for at most `timeout`. `Err(loan)`: the time is over.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_timeout(mut self, timeout: Duration) -> Result<std::result::Result<Pending<'a, R>, Self>> {
        Ok(Pending::post(self.posting, &mut self.draft, Some(timeout))?.ok_or(self))
    }
}

impl<T, R: ?Sized> Loan<'_, [T], R>
where
    [T]: Payload,
{
    /// Leaves all but the first `len` elements out.
    pub fn truncate(&mut self, len: usize) {
        self.draft.truncate(len.saturating_mul(size_of::<T>()));
    }
}

impl<'a, R: Payload + ?Sized> Pending<'a, R> {
    #[inline]
    fn post<Q: Payload + ?Sized>(
        posting: &'a Posting,
        draft: &mut Draft<'a, Q>,
        timeout: Option<Duration>,
    ) -> Result<Option<Pending<'a, R>>> {
        let at = posting.post(draft, timeout)?;
        Ok(at.map(|at| Pending { posting, at, _response: PhantomData }))
    }

    /// Waits for the response, for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`](crate::ErrorKind::PeerDied) if the server that had taken the request died or dropped it, or if the last
    /// server died before it took it; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a peer wrote over it; the system's. The
    /// request is over then.
    #[inline]
    pub fn receive(self) -> Result<Response<'a, R>> {
        loop {
            if let Some(found) = self.posting.answer(self.at, None)? {
                return Ok(self.response(found));
            }
        }
    }

    /// The response, if it is there now. `Err(pending)`: it is not.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn try_receive(self) -> Result<std::result::Result<Response<'a, R>, Self>> {
        self.receive_timeout(Duration::ZERO)
    }

    /// Waits for the response for at most `timeout`. `Err(pending)`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn receive_timeout(self, timeout: Duration) -> Result<std::result::Result<Response<'a, R>, Self>> {
        Ok(match self.posting.answer(self.at, Some(timeout))? {
            Some(found) => Ok(self.response(found)),
            None => Err(self),
        })
    }

    #[inline]
    pub(in crate::channel) fn response(self, found: Found) -> Response<'a, R> {
        let message = Held::<R>::new(&self.posting.board, found);
        let _place = (!message.is_copy()).then_some(self);
        Response { message, _place }
    }

    /// The response; `None`: it is not there yet, and `waker` is woken when it may be.
    pub(in crate::channel) fn poll(&self, listening: &mut Listening, waker: &Waker) -> Result<Option<Found>> {
        self.posting.poll(self.at, listening, waker)
    }

    pub(in crate::channel) fn listening(&self) -> Listening {
        self.posting.board.listening()
    }
}

impl<R: ?Sized> Drop for Pending<'_, R> {
    #[inline]
    fn drop(&mut self) {
        self.posting.release(self.at);
    }
}

impl<Q: Payload + ?Sized, R: ?Sized> Deref for Loan<'_, Q, R> {
    type Target = Q;

    #[inline]
    fn deref(&self) -> &Q {
        &self.draft
    }
}

impl<Q: Payload + ?Sized, R: ?Sized> DerefMut for Loan<'_, Q, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Q {
        &mut self.draft
    }
}

impl<R: Payload + ?Sized> Deref for Response<'_, R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &self.message
    }
}

impl<Q: ?Sized, R: ?Sized> fmt::Debug for Client<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("posting", &self.posting).finish()
    }
}

impl<Q: Payload + ?Sized, R: ?Sized> fmt::Debug for Loan<'_, Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("posting", &self.posting).finish_non_exhaustive()
    }
}

impl<R: ?Sized> fmt::Debug for Pending<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("at", &self.at).finish_non_exhaustive()
    }
}

impl<R: Payload + fmt::Debug + ?Sized> fmt::Debug for Response<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Response").field(&&**self).finish()
    }
}
