//! Frames in async functions: waiting for one, and for room, in any runtime.

use std::task::Waker;

use super::Payload;
use super::publisher::{Publisher, Publishing};
use super::store::{EVERY, refused};
use super::subscriber::{Found, Frame, Subscriber, Survey};
use crate::channel::Listening;
use crate::channel::future::found;
use crate::error::Result;
use crate::primitive::Ordering;

/// Looks of one who does not sleep, before it lets others run.
const TRIES: u32 = 4;

impl<P: Payload + ?Sized> Subscriber<P> {
    /// The next frame, in any async runtime and without a thread of its own: while it waits a helper thread of this process sleeps for
    /// it and for others (Linux).
    ///
    /// Dropped before it is ready, it has taken nothing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use coview::frames::{Frames, Policy};
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let frames = Frames::<[f64; 3]>::create(&format!("doc-async-frames-{}", std::process::id()))?;
    /// let (mut publisher, mut subscriber) = (frames.publisher()?, frames.subscriber(Policy::EveryFrame)?);
    /// runtime.block_on(async {
    ///     let waiting = tokio::spawn(async move { Ok::<_, coview::Error>(*subscriber.receive_async().await?) });
    ///     publisher.send_async(&[1.0, 2.0, 3.0]).await?;
    ///     assert_eq!(waiting.await??, [1.0, 2.0, 3.0]);
    ///     Ok(())
    /// })
    /// # .map_err(|error: Box<dyn std::error::Error>| error)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_async(&mut self) -> Result<Frame<'_, P>> {
        let mut listening = self.listening();
        let there = found(|waker| self.poll(&mut listening, waker)).await?;
        Ok(self.frame(there))
    }

    /// Waits until there is a frame or a death to tell, in any async runtime; a look has it then. It takes nothing, so frames that were
    /// received before may be held meanwhile.
    ///
    /// # Errors
    /// The system's.
    pub async fn readable(&self) -> Result<()> {
        let mut listening = self.listening();
        found(|waker| {
            let receiving = &self.receiving;
            for _ in 0..TRIES {
                let Some(deaths) = receiving.scan() else { return Ok(Some(())) };
                let publishers = receiving.store.publishers();
                if publishers.listen(&mut listening, waker, deaths, || receiving.is_there(false)).map_err(refused)? {
                    return Ok(None);
                }
            }
            waker.wake_by_ref();
            Ok(None)
        })
        .await
    }

    pub(crate) fn listening(&self) -> Listening {
        Listening::new(self.receiving.store.view())
    }

    pub(crate) fn poll(&mut self, listening: &mut Listening, waker: &Waker) -> Result<Option<Found>> {
        let receiving = &self.receiving;
        for _ in 0..TRIES {
            let deaths = match receiving.survey(false)? {
                Survey::Found(found) => return Ok(Some(found)),
                Survey::Nothing(deaths) => deaths,
            };
            let publishers = receiving.store.publishers();
            if publishers.listen(listening, waker, deaths, || receiving.is_there(false)).map_err(refused)? {
                return Ok(None);
            }
        }
        waker.wake_by_ref();
        Ok(None)
    }
}

impl Publishing {
    /// Whether a frame of so many bytes has room; if not, `waker` is woken when it may have.
    fn poll(&mut self, len: usize, listening: &mut Listening, waker: &Waker) -> Result<bool> {
        let (store, everybody) = (&self.store, self.store.everybody());
        let publisher_deaths = store.publishers().deaths;
        let has_room = || {
            let before = store.displaced(store.newest().wrapping_add(1));
            (store.is_inline(len) || store.has_room())
                && before.is_none_or(|before| store.least(|policy| policy == EVERY) > before)
        };
        for _ in 0..TRIES {
            // Acquire, both: pair with the Release in `reclaim` of an end: what the dead had is free.
            let [deaths, others] = [everybody.deaths, publisher_deaths].map(|deaths| deaths.load(Ordering::Acquire));
            if has_room() || store.reclaim() && has_room() {
                return Ok(true);
            }
            let is_news = || has_room() || publisher_deaths.load(Ordering::Acquire) != others;
            let listens = everybody.listen_and(|end| store.bury(end), listening, waker, deaths, is_news);
            if listens.map_err(refused)? {
                return Ok(false);
            }
        }
        waker.wake_by_ref();
        Ok(false)
    }
}

impl<P: Payload + ?Sized> Publisher<P> {
    async fn room(&mut self, bytes: usize) -> Result<()> {
        let mut listening = Listening::new(self.publishing.store.view());
        let publishing = &mut self.publishing;
        found(|waker| Ok(publishing.poll(bytes, &mut listening, waker)?.then_some(()))).await
    }
}

impl<T> Publisher<T>
where
    T: Payload,
{
    /// Waits until a frame has room, in any async runtime; a loan and its publication with a timeout of zero succeed then, unless another
    /// publisher was faster.
    ///
    /// # Errors
    /// As [`loan`](Self::loan); [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) as [`Subscriber::receive_async`].
    pub async fn writable(&mut self) -> Result<()> {
        self.room(T::UNIT).await
    }

    /// Publishes a copy of a value, waiting for room, in any async runtime. Dropped before it is ready, it has published nothing.
    ///
    /// # Errors
    /// As [`writable`](Self::writable).
    pub async fn send_async(&mut self, value: &T) -> Result<()>
    where
        T: Copy,
    {
        while !self.try_send(value)? {
            self.writable().await?;
        }
        Ok(())
    }
}

impl<T> Publisher<[T]>
where
    [T]: Payload,
{
    /// Waits until a frame of `len` elements has room, in any async runtime; a loan and its publication with a timeout of zero succeed
    /// then, unless another publisher was faster.
    ///
    /// # Errors
    /// As [`loan`](Self::loan); [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) as [`Subscriber::receive_async`].
    pub async fn writable(&mut self, len: usize) -> Result<()> {
        self.room(len.saturating_mul(size_of::<T>())).await
    }

    /// Publishes a copy of some elements, waiting for room, in any async runtime. Dropped before it is ready, it has published nothing.
    ///
    /// # Errors
    /// As [`writable`](Self::writable).
    pub async fn send_async(&mut self, elements: &[T]) -> Result<()>
    where
        T: Copy,
    {
        while !self.try_send(elements)? {
            self.writable(elements.len()).await?;
        }
        Ok(())
    }
}
