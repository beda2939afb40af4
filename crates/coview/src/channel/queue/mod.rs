//! A work queue: each message goes to exactly one consumer, whoever dies.

mod consumer;
mod producer;

use std::fmt;
use std::marker::PhantomData;

pub use consumer::{Consumer, Task};
pub use producer::{Loan, Producer};

pub use super::frames::Payload;

use super::board::{Board, Kind, Mode, POSTERS, TAKERS, Wanted};
use crate::error::Result;
use crate::mapping::Share;

/// The most producers attached at once.
pub const PRODUCERS: usize = POSTERS;
/// The most consumers attached at once.
pub const CONSUMERS: usize = TAKERS;

/// What becomes of a message whose consumer died, or gave it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Delivery {
    /// Another consumer gets it; [`Task::attempt`] says that it is not the first.
    #[default]
    AtLeastOnce,
    /// It is lost, and one consumer is told: [`ErrorKind::PeerDied`](crate::ErrorKind::PeerDied).
    AtMostOnce,
}

/// How a queue is made.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use coview::queue::{Delivery, QueueOptions};
///
/// let name = format!("doc-jobs-{}", std::process::id());
/// let jobs = QueueOptions::new().slot(1 << 20).budget(4 << 20).delivery(Delivery::AtMostOnce).create::<[u8]>(&name)?;
/// let producer = jobs.producer()?;
/// for number in 0..4 {
///     let mut job = producer.loan(1 << 20)?;
///     job.fill(number); // in shared memory, where a consumer reads it
///     job.send()?;
/// }
/// assert!(producer.loan_timeout(1 << 20, Duration::from_millis(1))?.is_none()); // full
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct QueueOptions {
    wanted: Wanted,
}

/// A named work queue: many producers, many consumers, and each message goes to one of these.
///
/// `Queue<T>` has a value a message, `Queue<[T]>` a slice of any length, `Queue<[u8]>` bytes. Messages are handed out in the order they were
/// sent in. A consumer that dies with one, at any moment, blocks nobody: the message goes to another, or is reported
/// lost; [`Delivery`] is a choice.
///
/// # Examples
///
/// ```
/// use coview::queue::Queue;
///
/// let name = format!("doc-queue-{}", std::process::id());
/// let producer = Queue::<u64>::create(&name)?.producer()?;
/// producer.send(&42)?;
///
/// // In another process, or in several:
/// let consumer = Queue::<u64>::open(&name)?.consumer()?;
/// let task = consumer.receive()?;
/// assert_eq!(*task, 42);
/// task.done();
/// # Ok::<(), coview::Error>(())
/// ```
pub struct Queue<P: ?Sized> {
    board: Board,
    _payload: PhantomData<fn() -> Box<P>>,
}

impl Default for QueueOptions {
    fn default() -> QueueOptions {
        QueueOptions { wanted: Wanted::new(Mode::AtLeastOnce) }
    }
}

impl QueueOptions {
    /// Messages of at most 64 KiB, or as large as their type; 1 MiB for them, or 8 messages; each is given to another consumer if
    /// the first one dies; for its owner alone.
    pub fn new() -> QueueOptions {
        QueueOptions::default()
    }

    /// The bytes of the largest message. Messages of up to 112 bytes take no slot.
    pub fn slot(mut self, bytes: usize) -> Self {
        self.wanted.slot = Some(bytes);
        self
    }

    /// The bytes for all messages together: those that wait, those that are worked on and those that are filled. At least four
    /// large ones, at most 1024; and beside them a message for each KiB, of up to 112 bytes, from 256 to 65536.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.wanted.budget = Some(bytes);
        self
    }

    /// What becomes of a message whose consumer died.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.wanted.mode = match delivery {
            Delivery::AtLeastOnce => Mode::AtLeastOnce,
            Delivery::AtMostOnce => Mode::AtMostOnce,
        };
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.wanted.share = share;
        self
    }

    /// Makes a queue of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists), [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// sizes that cannot be, and those of [`MappingOptions::create`](crate::MappingOptions::create).
    pub fn create<P: Payload + ?Sized>(&self, name: &str) -> Result<Queue<P>> {
        self.wanted.create(name, [Kind::of::<P>(); 2], false).map(Queue::of)
    }

    /// Makes a queue of that name, or opens the live one, whose sizes and delivery stay as they are.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`Queue::open`].
    pub fn open_or_create<P: Payload + ?Sized>(&self, name: &str) -> Result<Queue<P>> {
        self.wanted.create(name, [Kind::of::<P>(); 2], true).map(Queue::of)
    }
}

impl<P: Payload + ?Sized> Queue<P> {
    /// Makes a queue for this user alone, as [`QueueOptions::new`] has it.
    ///
    /// # Errors
    /// As [`QueueOptions::create`].
    pub fn create(name: &str) -> Result<Queue<P>> {
        QueueOptions::new().create(name)
    }

    /// Opens the live one of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind);
    /// [`ErrorKind::WrongLayout`](crate::ErrorKind::WrongLayout) if its elements have another size;
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt); [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied): who takes a
    /// message needs write access too.
    pub fn open(name: &str) -> Result<Queue<P>> {
        Board::open(name, Mode::AtLeastOnce, [Kind::of::<P>(); 2]).map(Queue::of)
    }

    fn of(board: Board) -> Queue<P> {
        Queue { board, _payload: PhantomData }
    }

    /// The bytes of the largest message.
    pub fn slot(&self) -> usize {
        self.board.shape().message_max()
    }

    /// What becomes of a message whose consumer died.
    pub fn delivery(&self) -> Delivery {
        match self.board.shape().mode() {
            Mode::AtMostOnce => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce,
        }
    }

    /// Attaches a producer.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there are [`PRODUCERS`] already.
    pub fn producer(&self) -> Result<Producer<P>> {
        Producer::attach(self.board.clone())
    }

    /// Attaches a consumer.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there are [`CONSUMERS`] already.
    pub fn consumer(&self) -> Result<Consumer<P>> {
        Consumer::attach(self.board.clone())
    }
}

impl<P: ?Sized> fmt::Debug for Queue<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("board", &self.board).finish()
    }
}
