//! Request and response: clients ask, one of the servers answers, and nobody waits for the dead.

mod client;
mod server;

use std::fmt;
use std::marker::PhantomData;

pub use client::{Client, Loan, Pending, Response};
pub use server::{Reply, Request, Server};

pub use super::frames::Payload;

use super::board::{Board, Kind, Mode, POSTERS, TAKERS, Wanted};
use crate::error::Result;
use crate::mapping::Share;

/// The most clients attached at once.
pub const CLIENTS: usize = POSTERS;
/// The most servers attached at once.
pub const SERVERS: usize = TAKERS;

/// How a service is made.
///
/// # Examples
///
/// ```
/// use coview::service::ServiceOptions;
///
/// let name = format!("doc-blur-{}", std::process::id());
/// let blur = ServiceOptions::new().slot(3 << 20).budget(24 << 20).create::<[u8], [u8]>(&name)?;
/// let (client, server) = (blur.client()?, blur.server()?);
/// let mut picture = client.loan(3 << 20)?; // in shared memory, where the server reads it
/// picture.fill(128);
/// let pending = picture.send()?;
///
/// let request = server.receive()?;
/// let len = request.len();
/// let mut reply = request.loan(len)?;
/// let light = reply.request()[0]; // the request stays until the reply is sent
/// reply.fill(light / 2);
/// reply.send();
/// assert_eq!(pending.receive()?[len - 1], 64);
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    wanted: Wanted,
}

/// A named service: many clients, many servers; each request is answered by one of these.
///
/// `Service<Q, R>` has requests `Q` and responses `R`, each a value or a slice of values. Requests are taken in the order they were
/// sent in. A client whose server dies is told; a server sees that its client is gone. A request that no server has taken waits for
/// one.
///
/// # Examples
///
/// ```
/// use coview::service::Service;
///
/// let name = format!("doc-service-{}", std::process::id());
/// let server = Service::<u64, u64>::create(&name)?.server()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || -> coview::Result<()> {
///         let request = server.receive()?;
///         let square = *request * *request;
///         request.respond(&square)
///     });
///     // In another process:
///     let client = Service::<u64, u64>::open(&name)?.client()?;
///     assert_eq!(*client.call(&12)?, 144);
///     Ok::<(), coview::Error>(())
/// })?;
/// # Ok::<(), coview::Error>(())
/// ```
pub struct Service<Q: ?Sized, R: ?Sized> {
    board: Board,
    _payload: PhantomData<fn(Box<Q>) -> Box<R>>,
}

impl Default for ServiceOptions {
    fn default() -> ServiceOptions {
        ServiceOptions { wanted: Wanted::new(Mode::Service) }
    }
}

impl ServiceOptions {
    /// Requests and responses of at most 64 KiB, or as large as their type; 1 MiB for them, or 8; for its owner alone.
    pub fn new() -> ServiceOptions {
        ServiceOptions::default()
    }

    /// The bytes of the largest request or response. Those of up to 112 bytes take no slot.
    pub fn slot(mut self, bytes: usize) -> Self {
        self.wanted.slot = Some(bytes);
        self
    }

    /// The bytes for all of them together, half for requests and half for responses: at least four large ones, at most 1024; and
    /// beside them one for each KiB of up to 112 bytes, from 256 to 65536.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.wanted.budget = Some(bytes);
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.wanted.share = share;
        self
    }

    /// Makes a service of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists), [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// sizes that cannot be, and those of [`MappingOptions::create`](crate::MappingOptions::create).
    pub fn create<Q: Payload + ?Sized, R: Payload + ?Sized>(&self, name: &str) -> Result<Service<Q, R>> {
        self.wanted.create(name, kinds::<Q, R>(), false).map(Service::of)
    }

    /// Makes a service of that name, or opens the live one, whose sizes stay as they are.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`Service::open`].
    pub fn open_or_create<Q: Payload + ?Sized, R: Payload + ?Sized>(&self, name: &str) -> Result<Service<Q, R>> {
        self.wanted.create(name, kinds::<Q, R>(), true).map(Service::of)
    }
}

fn kinds<Q: Payload + ?Sized, R: Payload + ?Sized>() -> [Kind; 2] {
    [Kind::of::<Q>(), Kind::of::<R>()]
}

impl<Q: Payload + ?Sized, R: Payload + ?Sized> Service<Q, R> {
    /// Makes a service for this user alone, as [`ServiceOptions::new`] has it.
    ///
    /// # Errors
    /// As [`ServiceOptions::create`].
    pub fn create(name: &str) -> Result<Service<Q, R>> {
        ServiceOptions::new().create(name)
    }

    /// Opens the live one of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind);
    /// [`ErrorKind::WrongLayout`](crate::ErrorKind::WrongLayout) if requests or responses have elements of another size;
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt); [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied): everybody needs
    /// write access.
    pub fn open(name: &str) -> Result<Service<Q, R>> {
        Board::open(name, Mode::Service, kinds::<Q, R>()).map(Service::of)
    }

    fn of(board: Board) -> Service<Q, R> {
        Service { board, _payload: PhantomData }
    }

    /// The bytes of the largest request or response.
    pub fn slot(&self) -> usize {
        self.board.shape().message_max()
    }

    /// Attaches a client.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there are [`CLIENTS`] already.
    pub fn client(&self) -> Result<Client<Q, R>> {
        Client::attach(self.board.clone())
    }

    /// Attaches a server.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there are [`SERVERS`] already.
    pub fn server(&self) -> Result<Server<Q, R>> {
        Server::attach(self.board.clone())
    }
}

impl<Q: ?Sized, R: ?Sized> fmt::Debug for Service<Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("board", &self.board).finish()
    }
}
