//! Descriptors: memory that arrived as one, passing a mapping over a Unix socket, events and semaphores in an event loop.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Waker;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketType,
};

pub use super::passed_linux::{Passable, Passed, Ticket, adopt, nameless, ticket};
pub use super::watched_linux::Watched;
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::Mapping;
use crate::named::{Event, Handle, Semaphore};
use crate::sys::guard;
use crate::sys::mapping::Section;
use crate::sys::watch;

/// The longest message of [`send`]: the ticket and a name, of which `file:` and a path is the longest.
const MESSAGE_MAX: usize = 2 * 4096;

/// A mapping of the memory a descriptor stands for: a memfd, a POSIX object, a file; read-write if the descriptor is.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is not a regular file or shared memory.
pub fn from_fd(fd: OwnedFd) -> Result<Mapping> {
    Section::from_fd(fd).map(Mapping::of_section).map_err(|error| explain("open", "a descriptor", error))
}

/// The descriptor behind a mapping; a System V segment has none. It carries the lock that keeps the name, so
/// a copy of it keeps the object alive.
pub fn fd(mapping: &Mapping) -> Option<BorrowedFd<'_>> {
    mapping.object.section.data_fd()
}

/// For a program whose own handler of `SIGBUS`, installed after the first view was mapped, does not call the one before it: whether
/// the address (`si_addr`, of `BUS_ADRERR`) lies in a view whose file somebody truncated. Then it has been dealt with, and the
/// handler returns. Async-signal-safe.
pub fn absorb_bus_error(address: *const u8) -> bool {
    guard::absorb(address.addr())
}

/// Takes the name away from a mapping that others may have open: who has it keeps it, nobody else finds it, and the name is free for
/// another. For programs that were written for `shm_open`; Windows cannot do it.
///
/// # Examples
///
/// ```
/// use coview::{Access, Mapping, os::linux::unlink};
///
/// let name = format!("doc-unlink-{}", std::process::id());
/// let mapping = Mapping::create(&name, 4096)?;
/// unlink(&mapping)?;
/// assert!(Mapping::open(&name, Access::Read).is_err());
/// let another = Mapping::create(&name, 4096)?;
/// # drop((mapping, another));
/// # Ok::<(), coview::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::NotFound`] if it has no name (any more), or a foreign one.
#[doc(alias = "shm_unlink")]
pub fn unlink(mapping: &Mapping) -> Result<()> {
    let object = &mapping.object;
    object.section.unlink().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "unlink", "it has no name, or none any more").on(object)
        }
        _ => explain("unlink", object, error),
    })
}

/// Passes a mapping to the process at the other end of a Unix socket, which calls [`receive`]. It is in safe hands
/// as soon as this returns: the kernel holds it while it is under way.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for System V segments and sockets that are no streams, and the socket's.
#[doc(alias = "SCM_RIGHTS")]
pub fn send(socket: impl AsFd, mapping: &Mapping) -> Result<()> {
    check_stream(&socket, "send", &mapping.object)?;
    let section = &mapping.object.section;
    let fds = section.fds();
    if fds.is_empty() {
        let why = "a System V segment is passed on by its id: send its name";
        return Err(Error::new(ErrorKind::Unsupported, "send", why).on(&mapping.object));
    }
    let text = mapping.with_name(&section.ticket());
    let mut message = (text.len() as u32).to_le_bytes().to_vec();
    message.extend_from_slice(text.as_bytes());
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(&message)], &mut ancillary, SendFlags::NOSIGNAL)
    });
    match sent {
        Ok(len) if len == message.len() => Ok(()),
        Ok(_) => Err(explain("send", &mapping.object, io::ErrorKind::WriteZero.into())),
        Err(error) => Err(explain("send", &mapping.object, error.into())),
    }
}

/// Receives a mapping that the other end [`send`]s. What arrives is checked, not trusted.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if something else arrives, [`ErrorKind::NotFound`] if the other end has closed,
/// [`ErrorKind::Unsupported`] for a socket that is no stream.
pub fn receive(socket: impl AsFd) -> Result<Mapping> {
    check_stream(&socket, "receive", "a mapping")?;
    let refuse = |kind, why: &str| Error::new(kind, "receive", why).on("a mapping");
    let mut length = [0; 4];
    let mut fds = Vec::new();
    let mut got = receive_part(&socket, &mut length, &mut fds)?;
    while got > 0 && got < 4 {
        match receive_part(&socket, &mut length[got..], &mut fds)? {
            0 => break,
            more => got += more,
        }
    }
    if got < 4 {
        return Err(refuse(ErrorKind::NotFound, "the other end has closed the socket"));
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_MAX {
        return Err(refuse(ErrorKind::Corrupt, "what arrived at offset 0 is not a message of coview's send"));
    }
    let mut text = vec![0; length];
    let mut done = 0;
    while done < length {
        match receive_part(&socket, &mut text[done..], &mut fds)? {
            0 => return Err(refuse(ErrorKind::Corrupt, "the message ends before its length")),
            more => done += more,
        }
    }
    let text = String::from_utf8(text).map_err(|_| refuse(ErrorKind::Corrupt, "the message is not text"))?;
    Mapping::from_ticket(&text, |ticket, slot| Section::adopt_fds(ticket, fds, slot))
}

/// Only a stream gives the rest of a message that was read in part.
fn check_stream(socket: &impl AsFd, operation: &'static str, object: impl std::fmt::Display) -> Result<()> {
    match rustix::net::sockopt::socket_type(socket) {
        Ok(SocketType::STREAM) => Ok(()),
        Ok(_) => {
            Err(Error::new(ErrorKind::Unsupported, operation, "the socket is no stream; use a UnixStream").on(object))
        }
        Err(error) => Err(explain(operation, object, error.into())),
    }
}

fn receive_part(socket: &impl AsFd, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<usize> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(into)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    });
    let received = received.map_err(|error| explain("receive", "a mapping", error.into()))?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(arrived) = message {
            fds.extend(arrived);
        }
    }
    Ok(received.bytes)
}

/// An event or a semaphore as a descriptor for `epoll`, `poll` and the like; made by [`Event::watch`] and
/// [`Semaphore::watch`].
///
/// It is used as a non-blocking socket is: *readable* says that [`try_take`](Watch::try_take) may have success, and one
/// that says `false` makes it unreadable until there is something again. So
///
/// - level-triggered, take as often as you like, and come back while it is readable;
/// - edge-triggered (also in tokio's `AsyncFd`), take until it says `false`: then, and not before, the next edge comes.
///
/// Nobody but `try_take` may read from the descriptor. A new watch is readable, so that the first look is made. Readable is no
/// promise: somebody else may take the object first. A manual-reset event can be taken as long as it is set, and
/// stays readable that long.
///
/// A watch holds the object open. Dropped, it takes nothing with it: it has taken only what `try_take` has given out.
/// While it is unreadable one helper thread of this process, `coview-watch`, sleeps for it and up to 126 others.
///
/// After `fork` the child cannot use it (`Unsupported`), since the descriptor is the parent's as well, and makes its own.
///
/// # Examples
///
/// `examples/epoll.rs` is a whole loop.
///
/// ```
/// use coview::Semaphore;
///
/// let permits = Semaphore::create(&format!("doc-watch-{}", std::process::id()), 2, 2)?;
/// let watch = permits.watch()?; // and its descriptor into epoll
/// while watch.try_take()? {
///     // one permit is ours; there may be more
/// }
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    /// Before the descriptor: nobody is told any more when that is closed.
    watch: watch::Watch,
    ready: Arc<watch::Ready>,
    name: String,
}

impl Watch {
    fn new(handle: &Handle) -> Result<Watch> {
        let make = || Ok((watch::Watch::new(Arc::clone(&handle.object))?, Arc::new(watch::Ready::new()?)));
        let (watch, ready) = make().map_err(|error| explain("watch", handle, error))?;
        Ok(Watch { watch, ready, name: handle.to_string() })
    }

    /// Takes the object once, if it can be had now: waits for the event, or acquires a permit. `false`: it cannot, and
    /// the descriptor is readable when it may be.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a watch from before a fork, and the system's.
    pub fn try_take(&self) -> Result<bool> {
        if self.ready.is_inherited() {
            let why = "it was made before a fork and is the parent's; call watch() in the child";
            return Err(Error::new(ErrorKind::Unsupported, "take by a watch", why).on(&self.name));
        }
        self.take().map_err(|error| explain("take by a watch", &self.name, error))
    }

    fn take(&self) -> io::Result<bool> {
        if self.watch.take()? {
            return Ok(true); // and readable as before: there may be more
        }
        // In this order: whoever makes it readable from here on does so because of something that came later.
        self.ready.hush();
        let had = self.watch.poll_take(&Waker::from(Arc::clone(&self.ready)));
        if !matches!(had, Ok(false)) {
            Waker::from(Arc::clone(&self.ready)).wake(); // it is not armed, so look again
        }
        had
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_fd().as_raw_fd()
    }
}

impl Event {
    /// A descriptor that is readable when the event may be set (Linux).
    ///
    /// # Errors
    /// The system's: no more descriptors.
    pub fn watch(&self) -> Result<Watch> {
        Watch::new(&self.handle)
    }
}

impl Semaphore {
    /// A descriptor that is readable when there may be a permit (Linux).
    ///
    /// # Errors
    /// The system's: no more descriptors.
    pub fn watch(&self) -> Result<Watch> {
        Watch::new(&self.handle)
    }
}
