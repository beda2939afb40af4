//! Frames: published once, read in place by every subscriber, from a byte to gigabytes.

mod entry;
mod future;
mod growing;
mod payload;
mod publisher;
mod status;
mod store;
mod subscriber;
mod turn;

use std::fmt;
use std::marker::PhantomData;

pub use growing::{Filling, Growing, Growth};
pub use payload::Payload;
pub use publisher::{Loan, Publisher};
pub use subscriber::{Frame, Kept, Policy, Subscriber};

use super::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Share;
use crate::primitive::Ordering;
use crate::region::{Plan, RegionKind};
use crate::view::View;
pub(super) use status::status;
use store::{Head, INLINE_MAX, Store};

/// The most publishers attached at once.
pub const PUBLISHERS: usize = 16;
/// The most subscribers attached at once.
pub const SUBSCRIBERS: usize = 64;

/// The bytes of shared memory that each subscriber has, attached or not.
pub const SUBSCRIBER_SIZE: usize = store::PER_SUBSCRIBER;

/// The most frames that the largest history has.
const HISTORY_MAX: u32 = 1 << 15;
const SLOTS_MAX: u64 = 1024;
/// Fewer, and publishers often wait for readers.
const SLOTS_MIN: u64 = 4;

/// How frames are made.
///
/// # Examples
///
/// ```
/// use coview::frames::{FramesOptions, Policy};
///
/// let name = format!("doc-camera-{}", std::process::id());
/// let camera = FramesOptions::new().slot(3 << 20).budget(24 << 20).history(2).create::<[u8]>(&name)?;
/// let publisher = camera.publisher()?;
/// for picture in 1..=3 {
///     let mut loan = publisher.loan(3 << 20)?;
///     loan.fill(picture); // in shared memory, where subscribers read it
///     loan.publish()?;
/// }
/// let late = camera.subscriber(Policy::EveryFrame)?;
/// assert_eq!((late.receive()?[0], late.receive()?[0]), (2, 3));
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FramesOptions {
    slot: Option<usize>,
    budget: Option<usize>,
    history: u32,
    share: Share,
}

/// Named frames: publish and subscribe without copies.
///
/// `Frames<T>` has a value a frame, `Frames<[T]>` a slice of any length, `Frames<[u8]>` bytes. Publishers and subscribers join
/// and leave at any time. Whoever dies, at any moment, blocks nobody: a frame is published by one step, so it is there whole
/// or not at all, and what the dead had on loan or were reading is taken back when somebody needs it.
///
/// # Examples
///
/// ```
/// use coview::frames::{Frames, Policy};
///
/// let name = format!("doc-frames-{}", std::process::id());
/// let publisher = Frames::<[f64; 3]>::create(&name)?.publisher()?;
/// publisher.send(&[1.0, 2.0, 3.0])?;
///
/// // In another process:
/// let subscriber = Frames::<[f64; 3]>::open(&name)?.subscriber(Policy::EveryFrame)?;
/// assert_eq!(*subscriber.receive()?, [1.0, 2.0, 3.0]);
/// # Ok::<(), coview::Error>(())
/// ```
pub struct Frames<P: ?Sized> {
    store: Store,
    _payload: PhantomData<fn() -> Box<P>>,
}

impl Default for FramesOptions {
    fn default() -> FramesOptions {
        FramesOptions { slot: None, budget: None, history: 1, share: Share::Owner }
    }
}

impl FramesOptions {
    /// Frames of at most 64 KiB, or as large as their type; 1 MiB for them, or 8 frames; a history of one; for its owner alone.
    pub fn new() -> FramesOptions {
        FramesOptions::default()
    }

    /// The bytes of the largest frame. Frames of up to 112 bytes take no slot.
    pub fn slot(mut self, bytes: usize) -> Self {
        self.slot = Some(bytes);
        self
    }

    /// The bytes for all frames together: those that wait, those that are read and those that are filled. At least four
    /// frames, at most 1024.
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// How many frames from before it came a new subscriber gets, as far as there is room: up to 32768.
    pub fn history(mut self, frames: u32) -> Self {
        self.history = frames;
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// Makes frames of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidInput`] for sizes that cannot be, and those of
    /// [`MappingOptions::create`](crate::MappingOptions::create).
    pub fn create<P: Payload + ?Sized>(&self, name: &str) -> Result<Frames<P>> {
        let (shape, len) = self.shape::<P>()?;
        let init = |view: &View, at| shape.write(view, at);
        Frames::of(Content::create(name, &plan::<P>(len, shape.data()), &self.share, init)?)
    }

    /// Makes frames of that name, or opens the live ones, whose sizes stay as they are.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`Frames::open`].
    pub fn open_or_create<P: Payload + ?Sized>(&self, name: &str) -> Result<Frames<P>> {
        let (shape, len) = self.shape::<P>()?;
        let init = |view: &View, at| shape.write(view, at);
        Frames::of(Content::open_or_create(name, &plan::<P>(len, shape.data()), &self.share, init)?)
    }

    fn shape<P: Payload + ?Sized>(&self) -> Result<(Shape, usize)> {
        let refuse = |why: String| Err(Error::new(ErrorKind::InvalidInput, "create", why).on("the frames"));
        if P::ALIGNMENT > 64 || P::UNIT == 0 {
            return refuse("their type has no bytes, or is aligned to more than 64; take another".to_owned());
        }
        if self.history > HISTORY_MAX {
            return refuse(format!("a history of {}; {HISTORY_MAX} is the most", self.history));
        }
        let slot = if P::ONE { P::UNIT } else { self.slot.unwrap_or(64 << 10).max(P::UNIT) } as u64;
        let page = if slot < 4096 { 128 } else { 4096 };
        let budget = |stride: u64| self.budget.map_or((8 * stride).max(1 << 20), |bytes| bytes as u64);
        let inline = slot <= INLINE_MAX as u64 && P::ALIGNMENT <= 16;
        let stride = slot.checked_next_multiple_of(page).filter(|stride| *stride < 1 << 40);
        let Some(stride) = stride else {
            return refuse(format!("a frame of {slot} bytes; give slot() less than 1 TiB"));
        };
        let slots = if inline { 0 } else { (budget(stride) / stride).clamp(SLOTS_MIN, SLOTS_MAX) };
        let entries = (2 * u64::from(self.history)).next_power_of_two().max(256);
        let shape =
            Shape { slot, stride, unit: P::UNIT as u64, slots, entries, history: self.history.into(), one: P::ONE };
        match shape.len().and_then(|len| usize::try_from(len).ok()).filter(|len| *len < isize::MAX as usize / 2) {
            Some(len) => Ok((shape, len)),
            None => refuse(format!("{slots} frames of {slot} bytes; give budget() less than the address space has")),
        }
    }
}

/// What new ones take, and what of it has memory at once; those that are there say their sizes themselves. At a page, so that slots are.
fn plan<P: Payload + ?Sized>(len: usize, fixed: u64) -> Plan {
    Plan::new(RegionKind::Frames, Some(P::SCHEMA), len as u64, 4096).sparse(fixed)
}

/// The numbers that say where everything is; `docs/format.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// Bytes of the largest frame, and from slot to slot.
    slot: u64,
    stride: u64,
    /// Of an element, of which a frame has `one` or any number.
    unit: u64,
    slots: u64,
    /// Of the ring: a power of two.
    entries: u64,
    history: u64,
    one: bool,
}

impl Shape {
    fn write(self, view: &View, at: usize) -> Result<()> {
        let head: &Head = view.place(at)?;
        let numbers = [self.slot, self.stride, self.unit];
        for (word, number) in [&head.slot, &head.stride, &head.unit].into_iter().zip(numbers) {
            word.store(number, Ordering::Relaxed);
        }
        let numbers = [self.slots, self.entries, self.history, self.one.into()];
        for (word, number) in [&head.slots, &head.entries, &head.history, &head.one].into_iter().zip(numbers) {
            word.store(number as u32, Ordering::Relaxed);
        }
        Ok(())
    }

    fn read(head: &Head) -> Shape {
        let [slot, stride, unit] = [&head.slot, &head.stride, &head.unit].map(|word| word.load(Ordering::Relaxed));
        let numbers = [&head.slots, &head.entries, &head.history, &head.one];
        let [slots, entries, history, one] = numbers.map(|word| u64::from(word.load(Ordering::Relaxed)));
        Shape { slot, stride, unit, slots, entries, history, one: one != 0 }
    }

    fn possible(self, room: u64) -> bool {
        let counts =
            self.slots <= SLOTS_MAX && self.entries.is_power_of_two() && (256..=1 << 16).contains(&self.entries);
        let sizes = self.slot <= self.stride && self.stride.is_multiple_of(128) && self.stride < 1 << 41;
        let room_for_one = self.unit != 0 && (self.slots != 0 || self.slot <= INLINE_MAX as u64);
        counts && sizes && room_for_one && 2 * self.history <= self.entries && self.len().is_some_and(|len| len <= room)
    }

    /// Where the bytes of the slots begin, in the content: at a page.
    fn data(self) -> u64 {
        (store::RING_AT as u64 + self.entries * 128 + self.slots * 64).next_multiple_of(4096)
    }

    fn len(self) -> Option<u64> {
        self.stride.checked_mul(self.slots)?.checked_add(self.data())
    }
}

impl<P: Payload + ?Sized> Frames<P> {
    /// Makes frames for this user alone, as [`FramesOptions::new`] has them.
    ///
    /// # Errors
    /// As [`FramesOptions::create`].
    pub fn create(name: &str) -> Result<Frames<P>> {
        FramesOptions::new().create(name)
    }

    /// Opens the live ones of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`]; [`ErrorKind::WrongLayout`] if their elements have another layout;
    /// [`ErrorKind::Corrupt`]; [`ErrorKind::AccessDenied`]: who reads a frame needs write access too, to keep it.
    pub fn open(name: &str) -> Result<Frames<P>> {
        Frames::of(Content::open(name, &plan::<P>(0, 0))?)
    }

    fn of(Content { view, offset }: Content) -> Result<Frames<P>> {
        let shape = Shape::read(view.place(offset)?);
        let refuse = |kind, why| Err(Error::new(kind, "open", why).on("the frames"));
        if !shape.possible(view.len().saturating_sub(offset) as u64) {
            return refuse(ErrorKind::Corrupt, format!("their sizes cannot be, at offset {offset}"));
        }
        let aligned = P::ALIGNMENT <= if shape.slots == 0 { 16 } else { 64 };
        if (shape.unit, shape.one) != (P::UNIT as u64, P::ONE) || !aligned {
            let word = |one| if one { "one value" } else { "slices of values" };
            let (is, asked) = (word(shape.one), word(P::ONE));
            let why = format!("they hold {is} of {} bytes, and {asked} of {} was asked for", shape.unit, P::UNIT);
            return refuse(ErrorKind::WrongLayout, why);
        }
        Ok(Frames { store: Store::new(view, offset, shape, P::ALIGNMENT <= 16), _payload: PhantomData })
    }

    /// The bytes of the largest frame.
    pub fn slot(&self) -> usize {
        self.store.frame_max()
    }

    /// Attaches a publisher.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there are [`PUBLISHERS`] already.
    pub fn publisher(&self) -> Result<Publisher<P>> {
        Publisher::attach(self.store.clone())
    }

    /// Attaches a subscriber, which begins with the history.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there are [`SUBSCRIBERS`] already.
    pub fn subscriber(&self, policy: Policy) -> Result<Subscriber<P>> {
        Subscriber::attach(self.store.clone(), policy)
    }
}

impl<P: ?Sized> fmt::Debug for Frames<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("store", &self.store).finish()
    }
}
