//! The end of a channel as a descriptor, for event loops.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::Waker;

use crate::channel::Listening;
use crate::channel::frames::{Frame, Payload, Subscriber};
use crate::channel::latest::{Reader, Value};
use crate::channel::ring::{Receiver, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::sys::watch::Ready;

/// The receiver of a ring, the reader of a latest value, or a subscriber to frames, with a descriptor for `epoll`, `poll` and the like;
/// made by [`Receiver::watch`], [`Reader::watch`] and [`Subscriber::watch`].
///
/// It is used as [`Watch`](super::linux::Watch) is: readable says that there may be news, or a death to tell, and a look that finds
/// nothing makes it unreadable until there is some. So, level-triggered, look as often as you like; edge-triggered, look until there is
/// nothing. A new one is readable, so that the first look is made. Nobody else may read from the descriptor.
///
/// While it is unreadable, helper threads of this process sleep for it and for others: 127 words each, of which it takes two and
/// one for each peer that is attached.
///
/// After `fork` the child cannot use it (`Unsupported`).
///
/// # Examples
///
/// ```
/// use coview::ring::Ring;
///
/// let ring = Ring::create(&format!("doc-watched-{}", std::process::id()), 4096)?;
/// ring.sender()?.send(b"23.5 C")?;
/// let mut watched = ring.receiver()?.watch()?; // and its descriptor into epoll
/// while let Some(record) = watched.try_receive()? {
///     assert_eq!(&*record, b"23.5 C");
/// }
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug)]
pub struct Watched<E> {
    /// Before the others: nobody is told any more when they go.
    listening: Listening,
    ready: Arc<Ready>,
    end: E,
}

impl<E> Watched<E> {
    fn new(listening: Listening, end: E) -> Result<Watched<E>> {
        let ready = Ready::new().map_err(|error| explain("watch", "a channel", error))?;
        Ok(Watched { listening, ready: Arc::new(ready), end })
    }

    /// The end itself, for its other calls.
    pub fn get_mut(&mut self) -> &mut E {
        &mut self.end
    }

    /// The end, unwatched.
    pub fn into_inner(self) -> E {
        self.end
    }

    /// What `look` finds, which has the descriptor made readable for what comes later.
    fn look<F>(&mut self, look: impl FnOnce(&mut E, &mut Listening, &Waker) -> Result<Option<F>>) -> Result<Option<F>> {
        if self.ready.is_inherited() {
            let why = "it was made before a fork and is the parent's; attach and call watch() in the child";
            return Err(Error::new(ErrorKind::Unsupported, "look at a watched channel", why));
        }
        // In this order: whoever makes it readable from here on does so because of something that came later.
        self.ready.hush();
        let waker = Waker::from(Arc::clone(&self.ready));
        let found = look(&mut self.end, &mut self.listening, &waker);
        if !matches!(found, Ok(None)) {
            waker.wake(); // nobody listens for it, so look again
        }
        found
    }
}

impl Watched<Receiver> {
    /// The next record if there is one now; `None`: there is not, and the descriptor is readable when there may be.
    ///
    /// # Errors
    /// As [`Receiver::receive`]; [`ErrorKind::Unsupported`] for a ring that is made for polling, and after a fork.
    pub fn try_receive(&mut self) -> Result<Option<Record<'_>>> {
        let found = self.look(Receiver::poll)?;
        Ok(found.map(|found| self.end.record(found)))
    }
}

impl<T: Value + ?Sized> Watched<Reader<T>> {
    /// The newest value if it is another than the last this reader got; `None`: it is not, and the descriptor is readable when it may
    /// be.
    ///
    /// # Errors
    /// As [`Reader::changed`]; [`ErrorKind::Unsupported`] after a fork.
    pub fn try_changed(&mut self) -> Result<Option<T::Owned>> {
        self.look(Reader::poll)
    }
}

impl<P: Payload + ?Sized> Watched<Subscriber<P>> {
    /// The next frame if there is one now; `None`: there is not, and the descriptor is readable when there may be.
    ///
    /// # Errors
    /// As [`Subscriber::receive`]; [`ErrorKind::Unsupported`] after a fork.
    pub fn try_receive(&mut self) -> Result<Option<Frame<'_, P>>> {
        let found = self.look(Subscriber::poll)?;
        Ok(found.map(|found| self.end.frame(found)))
    }
}

impl<E> AsFd for Watched<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl<E> AsRawFd for Watched<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Receiver {
    /// Has a descriptor that is readable when there may be a record, or a death to tell (Linux).
    ///
    /// # Errors
    /// The system's: no more descriptors.
    pub fn watch(self) -> Result<Watched<Receiver>> {
        Watched::new(self.listening(), self)
    }
}

impl<T: Value + ?Sized> Reader<T> {
    /// Has a descriptor that is readable when there may be another value, or a death to tell (Linux).
    ///
    /// # Errors
    /// The system's: no more descriptors.
    pub fn watch(self) -> Result<Watched<Reader<T>>> {
        Watched::new(self.listening(), self)
    }
}

impl<P: Payload + ?Sized> Subscriber<P> {
    /// Has a descriptor that is readable when there may be a frame, or a death to tell (Linux).
    ///
    /// # Errors
    /// The system's: no more descriptors.
    pub fn watch(self) -> Result<Watched<Subscriber<P>>> {
        Watched::new(self.listening(), self)
    }
}
