//! Channels in async functions: waiting for a record, for room, for another value, in any runtime.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::frames::Payload;
use super::latest::{Reader, Value};
use super::queue::{Consumer, Task};
use super::ring::{Receiver, Record, Sender};
use super::service::{Pending, Request, Response, Server};
use crate::error::Result;
use crate::sys::lock::{CommitWord, Words};
use crate::sys::watch::Listener;
use crate::view::View;

/// A listener for the bell of a channel, and the channel's memory for as long as that may be touched.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Before the view, so that nobody listens any more when that goes.
    listener: Listener,
    view: Arc<View>,
}

impl Listening {
    /// It listens to nobody yet.
    pub(super) fn new(view: &Arc<View>) -> Listening {
        Listening { listener: Listener::new(), view: Arc::clone(view) }
    }

    /// Listens for the bell and beside the locks, which all stand in its view.
    pub(super) fn listen<'w>(
        &mut self,
        bell: CommitWord<'_>,
        waker: &Waker,
        peers: impl FnOnce() -> Option<Vec<&'w Words>>,
    ) -> io::Result<Option<bool>> {
        debug_assert!(self.holds(bell.word));
        // SAFETY: (1) they stand in the view, which is there until the listener has been dropped.
        unsafe { self.listener.listen(bell, waker, peers) }
    }

    /// Listens beside a lock, which stands in its view. `false`: it has no owner now.
    pub(super) fn listen_beside(&mut self, lock: &Words, waker: &Waker) -> io::Result<bool> {
        debug_assert!(self.holds(lock));
        // SAFETY: (1) as above.
        unsafe { self.listener.listen_beside(lock, waker) }
    }

    fn holds<T>(&self, one: &T) -> bool {
        let from = self.view.as_ptr().addr();
        (from..from + self.view.len()).contains(&std::ptr::from_ref(one).addr())
    }
}

/// Waits until a look finds something. The look arms a listener that goes with the future.
pub(super) async fn found<T>(mut look: impl FnMut(&Waker) -> Result<Option<T>>) -> Result<T> {
    poll_fn(|context| match look(context.waker()) {
        Ok(Some(found)) => Poll::Ready(Ok(found)),
        Ok(None) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}

impl Receiver {
    /// The next record, in any async runtime and without a thread of its own: while it waits a helper thread of this process sleeps for
    /// it and for others.
    ///
    /// Dropped before it is ready, it has taken nothing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use coview::ring::Ring;
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let ring = Ring::create(&format!("doc-async-ring-{}", std::process::id()), 4096)?;
    /// let (mut sender, mut receiver) = (ring.sender()?, ring.receiver()?);
    /// runtime.block_on(async {
    ///     let waiting = tokio::spawn(async move { Ok::<_, coview::Error>(receiver.receive_async().await?.to_vec()) });
    ///     sender.send_async(b"23.5 C").await?;
    ///     assert_eq!(waiting.await??, b"23.5 C");
    ///     Ok(())
    /// })
    /// # .map_err(|error: Box<dyn std::error::Error>| error)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if it would have to wait
    /// for a ring that is made for polling.
    pub async fn receive_async(&mut self) -> Result<Record<'_>> {
        let mut listening = self.listening();
        let there = found(|waker| self.poll(&mut listening, waker)).await?;
        Ok(self.record(there))
    }
}

impl Sender {
    /// Waits until a record of `len` bytes has room, in any async runtime; [`try_claim`](Self::try_claim) gives it, unless another sender
    /// was faster.
    ///
    /// # Errors
    /// As [`claim`](Self::claim); [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) as [`Receiver::receive_async`].
    pub async fn writable(&mut self, len: usize) -> Result<()> {
        let mut listening = self.listening();
        found(|waker| Ok(self.poll(len, &mut listening, waker)?.then_some(()))).await
    }

    /// Sends a record, waiting for room, in any async runtime. Dropped before it is ready, it has sent nothing.
    ///
    /// # Errors
    /// As [`writable`](Self::writable).
    pub async fn send_async(&mut self, record: &[u8]) -> Result<()> {
        while !self.try_send(record)? {
            self.writable(record.len()).await?;
        }
        Ok(())
    }
}

impl<T: Value + ?Sized> Reader<T> {
    /// As [`changed`](Self::changed), in any async runtime and without a thread of its own.
    ///
    /// # Errors
    /// As [`changed`](Self::changed).
    pub async fn changed_async(&mut self) -> Result<T::Owned> {
        let mut listening = self.listening();
        found(|waker| self.poll(&mut listening, waker)).await
    }
}

impl<P: Payload + ?Sized> Consumer<P> {
    /// As [`receive`](Self::receive), in any async runtime and without a thread of its own. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_async(&self) -> Result<Task<'_, P>> {
        let mut listening = self.listening();
        Ok(self.task(found(|waker| self.poll(&mut listening, waker)).await?))
    }
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Server<Q, R> {
    /// As [`receive`](Self::receive), in any async runtime and without a thread of its own. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_async(&self) -> Result<Request<'_, Q, R>> {
        let mut listening = self.listening();
        Ok(self.request(found(|waker| self.poll(&mut listening, waker)).await?))
    }
}

impl<'a, R: Payload + ?Sized> Pending<'a, R> {
    /// As [`receive`](Self::receive), in any async runtime and without a thread of its own. Dropped before it is ready, the request is
    /// cancelled.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_async(self) -> Result<Response<'a, R>> {
        let mut listening = self.listening();
        let there = found(|waker| self.poll(&mut listening, waker)).await?;
        Ok(self.response(there))
    }
}
