//! The end of a queue that sends.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::Payload;
use crate::channel::board::{Board, Draft, Posting};
use crate::channel::end::Peer;
use crate::error::Result;

/// The end that sends. Dropped, the end is free for another; what it sent stays.
pub struct Producer<P: ?Sized> {
    posting: Posting,
    _payload: PhantomData<fn(Box<P>)>,
}

/// Room for a message, to be filled in place; what it holds at first is anything. [`send`](Loan::send) sends it; dropped, it was never
/// there.
///
/// Nobody else reads or writes it: a peer that breaks the protocol can change its bytes, no more.
#[must_use = "dropped, a loan is given back unsent"]
pub struct Loan<'a, P: Payload + ?Sized> {
    posting: &'a Posting,
    draft: Draft<'a, P>,
}

impl<P: Payload + ?Sized> Producer<P> {
    pub(super) fn attach(board: Board) -> Result<Producer<P>> {
        Ok(Producer { posting: Posting::attach(board)?, _payload: PhantomData })
    }

    /// The processes that consume.
    pub fn consumers(&self) -> Vec<Peer> {
        self.posting.peers()
    }

    /// Sends a copy, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no message is as large; the system's.
    #[inline]
    pub fn send(&self, message: &P) -> Result<()> {
        while !self.copy(message, None)? {}
        Ok(())
    }

    /// Sends a copy if there is room now. `false`: there is not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn try_send(&self, message: &P) -> Result<bool> {
        self.copy(message, Some(Duration::ZERO))
    }

    /// Sends a copy, waiting for room for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_timeout(&self, message: &P, timeout: Duration) -> Result<bool> {
        self.copy(message, Some(timeout))
    }

    #[inline]
    fn copy(&self, message: &P, timeout: Option<Duration>) -> Result<bool> {
        let Some((mut draft, left)) = self.posting.copy(message, timeout)? else { return Ok(false) };
        self.posting.post(&mut draft, left).map(|at| at.is_some())
    }

    #[inline]
    fn lend(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Loan<'_, P>>> {
        let draft = self.posting.loan(len, timeout)?;
        Ok(draft.map(|draft| Loan { posting: &self.posting, draft }))
    }

    fn lend_at_last(&self, len: usize) -> Result<Loan<'_, P>> {
        loop {
            if let Some(loan) = self.lend(len, None)? {
                return Ok(loan);
            }
        }
    }
}

impl<T> Producer<T>
where
    T: Payload,
{
    /// A loan of a message, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// The system's.
    pub fn loan(&self) -> Result<Loan<'_, T>> {
        self.lend_at_last(1)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Option<Loan<'_, T>>> {
        self.lend(1, Some(timeout))
    }
}

impl<T> Producer<[T]>
where
    [T]: Payload,
{
    /// A loan of a message of `len` elements, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`](crate::ErrorKind::OutOfRange) if no message is as large; the system's.
    pub fn loan(&self, len: usize) -> Result<Loan<'_, [T]>> {
        self.lend_at_last(len)
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, len: usize, timeout: Duration) -> Result<Option<Loan<'_, [T]>>> {
        self.lend(len, Some(timeout))
    }
}

impl<P: Payload + ?Sized> Loan<'_, P> {
    /// Sends it, waiting for as long as the queue is full.
    ///
    /// # Errors
    /// The system's.
    pub fn send(mut self) -> Result<()> {
        while !self.post(None)? {}
        Ok(())
    }

    /// As [`send`](Self::send), waiting for at most `timeout`. `Err(loan)`: the time is over.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_timeout(mut self, timeout: Duration) -> Result<std::result::Result<(), Self>> {
        Ok(if self.post(Some(timeout))? { Ok(()) } else { Err(self) })
    }

    #[inline]
    fn post(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.posting.post(&mut self.draft, timeout).map(|at| at.is_some())
    }
}

impl<T> Loan<'_, [T]>
where
    [T]: Payload,
{
    /// Leaves all but the first `len` elements out.
    pub fn truncate(&mut self, len: usize) {
        self.draft.truncate(len.saturating_mul(size_of::<T>()));
    }
}

impl<P: Payload + ?Sized> Deref for Loan<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        &self.draft
    }
}

impl<P: Payload + ?Sized> DerefMut for Loan<'_, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P {
        &mut self.draft
    }
}

impl<P: ?Sized> fmt::Debug for Producer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("posting", &self.posting).finish()
    }
}

impl<P: Payload + ?Sized> fmt::Debug for Loan<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("posting", &self.posting).finish_non_exhaustive()
    }
}
