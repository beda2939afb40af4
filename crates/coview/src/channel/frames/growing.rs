//! Frames that are read while they are still filled.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use super::Payload;
use super::payload::sealed::Sealed;
use super::publisher::{Loan, Publishing};
use super::store::{Place, Slot, Store, refused};
use super::subscriber::{Found, Receiving, Subscriber};
use crate::error::Result;
use crate::primitive::Ordering;
use crate::step::is_broken;
use crate::sys::wait::{Deadline, spin};

/// So much of what is written is announced at once: readers have it while it is still in a near cache, and to say so costs nothing beside it.
const STEP: usize = 64 << 10;

/// A published frame that its publisher still fills, from the front.
///
/// Subscribers see what has been [announced](Filling::announce). [`finish`](Filling::finish)ed, the frame is what was announced by then;
/// dropped, or with the death of the publisher, it is aborted.
#[must_use = "dropped, the frame is aborted"]
pub struct Filling<'a, T> {
    publishing: &'a Publishing,
    place: Place,
    /// In bytes, both.
    ready: usize,
    len: usize,
    _payload: PhantomData<Box<[T]>>,
}

/// A frame as far as its publisher has filled it; dropped, its slot is free when the others have read it.
pub struct Growing<'a, T>
where
    [T]: Payload,
{
    receiving: &'a Receiving,
    found: Found,
    _payload: PhantomData<Box<[T]>>,
}

/// What became of a growing frame since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Growth {
    /// More of it is ready.
    More,
    /// It is whole: no more will come.
    Whole,
    /// Its publisher gave it up, or died: no more will come.
    Aborted,
}

impl<'a, T> Loan<'a, [T]>
where
    [T]: Payload,
{
    /// Publishes it before it is filled, waiting as [`publish`](Self::publish) does: subscribers can read the part that is ready while the
    /// rest is still written. (A frame of up to 112 bytes is published when it is finished.)
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::frames::{Frames, Growth, Policy};
    ///
    /// let frames = Frames::<[u8]>::create(&format!("doc-growing-{}", std::process::id()))?;
    /// let (publisher, subscriber) = (frames.publisher()?, frames.subscriber(Policy::EveryFrame)?);
    /// let mut filling = publisher.loan(6000)?.publish_growing()?;
    /// filling.write(&[1; 4000])?;
    ///
    /// let mut frame = subscriber.receive_growing()?; // in another process
    /// assert_eq!(frame.len(), 4000);
    ///
    /// filling.write(&[2; 2000])?;
    /// filling.finish()?;
    /// assert_eq!(frame.grow()?, Growth::Whole);
    /// assert_eq!((frame.len(), frame[5999]), (6000, 2));
    /// # Ok::<(), coview::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_growing(mut self) -> Result<Filling<'a, T>> {
        if let Place::Slot(_) = self.place {
            while !self.publishing.publish(&self.place, self.len, true, None)? {}
        }
        // The slot goes along.
        let place = std::mem::replace(&mut self.place, Place::Small(Default::default()));
        Ok(Filling { publishing: self.publishing, place, ready: 0, len: self.len, _payload: PhantomData })
    }
}

impl<T> Filling<'_, T>
where
    [T]: Payload,
{
    /// What has not been announced yet.
    pub fn rest(&mut self) -> &mut [T] {
        let at = match &mut self.place {
            Place::Small(words) => std::ptr::from_mut(words).cast::<u8>(),
            Place::Slot(slot) => self.publishing.store.bytes(*slot),
        };
        // SAFETY: (1) as of a loan, and whole elements behind its beginning; (2) ours until it is announced, and `self` is borrowed.
        unsafe { <[T]>::exclusive(at.wrapping_add(self.ready), self.len - self.ready) }
    }

    /// Announces the next `len` elements, which from now on nobody writes.
    ///
    /// # Errors
    /// The system's, when subscribers were to be woken; it is announced all the same.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn announce(&mut self, len: usize) -> Result<()> {
        let bytes = len.checked_mul(size_of::<T>()).filter(|bytes| *bytes <= self.len - self.ready);
        self.ready += bytes.expect("no more elements are announced than there are");
        match self.place {
            Place::Small(_) => Ok(()),
            Place::Slot(slot) => self.publishing.store.tell(slot, self.ready as u64),
        }
    }

    /// Copies the next elements in, and announces them, 64 KiB at a time.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    ///
    /// # Panics
    /// If there is no room for so many.
    pub fn write(&mut self, elements: &[T]) -> Result<()>
    where
        T: Copy,
    {
        assert!(elements.len() <= self.rest().len(), "no more elements are written than there is room for");
        for some in elements.chunks(STEP.div_ceil(size_of::<T>().max(1))) {
            self.rest()[..some.len()].copy_from_slice(some);
            self.announce(some.len())?;
        }
        Ok(())
    }

    /// Ends it: what has been announced is the whole frame.
    ///
    /// # Errors
    /// As [`announce`](Self::announce); of a small one as [`Loan::publish`].
    pub fn finish(mut self) -> Result<()> {
        match std::mem::replace(&mut self.place, Place::Small(Default::default())) {
            Place::Slot(slot) => self.publishing.store.finish(slot, self.ready),
            place => {
                while !self.publishing.publish(&place, self.ready, false, None)? {}
                Ok(())
            }
        }
    }
}

impl<T> Drop for Filling<'_, T> {
    fn drop(&mut self) {
        if let Place::Slot(slot) = self.place
            && self.publishing.me().is_some()
        {
            self.publishing.store.abort(slot);
        }
    }
}

impl<T> Subscriber<[T]>
where
    [T]: Payload,
{
    /// The next frame, even if its publisher still fills it, waiting for as long as it takes.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_growing(&self) -> Result<Growing<'_, T>> {
        loop {
            if let Some(frame) = self.get_growing(None)? {
                return Ok(frame);
            }
        }
    }

    /// The next frame, even if its publisher still fills it, if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn try_receive_growing(&self) -> Result<Option<Growing<'_, T>>> {
        self.get_growing(Some(Duration::ZERO))
    }

    /// The next frame, even if its publisher still fills it, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_growing_timeout(&self, timeout: Duration) -> Result<Option<Growing<'_, T>>> {
        self.get_growing(Some(timeout))
    }

    fn get_growing(&self, timeout: Option<Duration>) -> Result<Option<Growing<'_, T>>> {
        let found = self.receiving.find(timeout, true)?;
        Ok(found.map(|found| Growing { receiving: &self.receiving, found, _payload: PhantomData }))
    }
}

impl<T> Growing<'_, T>
where
    [T]: Payload,
{
    /// Waits until there is more of it, or will not be, for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a peer wrote over it; the system's.
    pub fn grow(&mut self) -> Result<Growth> {
        loop {
            if let Some(growth) = self.receiving.grow(&mut self.found, None)? {
                return Ok(growth);
            }
        }
    }

    /// Looks whether there is more of it. `None`: not now.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub fn try_grow(&mut self) -> Result<Option<Growth>> {
        self.receiving.grow(&mut self.found, Some(Duration::ZERO))
    }

    /// As [`grow`](Self::grow), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub fn grow_timeout(&mut self, timeout: Duration) -> Result<Option<Growth>> {
        self.receiving.grow(&mut self.found, Some(timeout))
    }

    /// Its number: frames are counted from 1, in the order that everybody receives them in.
    pub fn number(&self) -> u64 {
        self.found.number
    }

    /// How many frames before this one the subscriber did not get.
    pub fn lost(&self) -> u64 {
        self.found.lost
    }
}

impl<T> Deref for Growing<'_, T>
where
    [T]: Payload,
{
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: (1) and (2) as of a frame, for the part that was announced: its publisher does not write that any more.
        unsafe { <[T]>::shared(self.found.bytes(&self.receiving.store), self.found.len) }
    }
}

impl<T> Drop for Growing<'_, T>
where
    [T]: Payload,
{
    fn drop(&mut self) {
        self.receiving.release(&mut self.found);
    }
}

/// How much of a growing frame is ready, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Until(usize),
    Whole(usize),
    Aborted(usize),
}

const WHOLE: u64 = 1 << 63;
const ABORTED: u64 = 1 << 62;

impl Slot {
    pub(super) fn ready(&self) -> Ready {
        let word = self.ready.load(Ordering::Acquire); // pairs with the Releases below: the bytes are there
        let bytes = (word & !(WHOLE | ABORTED)) as usize;
        match word {
            _ if word & WHOLE != 0 => Ready::Whole(bytes),
            _ if word & ABORTED != 0 => Ready::Aborted(bytes),
            _ => Ready::Until(bytes),
        }
    }

    /// Whoever filled it does not any more.
    pub(super) fn abort(&self) {
        if !is_broken("frames: what the dead filled is not aborted") {
            self.ready.fetch_or(ABORTED, Ordering::Release);
        }
    }
}

impl Store {
    fn tell(&self, slot: usize, ready: u64) -> Result<()> {
        self.slot(slot).ready.store(ready, Ordering::Release); // pairs with the Acquire in `ready`
        self.publishers().ring().map_err(refused)
    }

    fn finish(&self, slot: usize, bytes: usize) -> Result<()> {
        self.tell(slot, bytes as u64 | WHOLE)?;
        self.slot(slot).owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
        self.subscribers().ring().map_err(refused)
    }

    fn abort(&self, slot: usize) {
        self.slot(slot).abort();
        let _ = self.publishers().ring(); // else they look again by themselves
        self.give_back(slot);
    }

    /// Aborts what grows in this slot if its publisher is dead. Whether it was.
    pub(super) fn bury_owner(&self, slot: usize) -> bool {
        let owner = (self.slot(slot).owner.load(Ordering::Relaxed) as usize).wrapping_sub(1);
        self.publishers().ends.get(owner).is_some_and(|end| self.bury(end))
    }
}

impl Receiving {
    /// Waits for more of a frame. `None`: the time is over.
    fn grow(&self, found: &mut Found, timeout: Option<Duration>) -> Result<Option<Growth>> {
        let (slot, true) = (found.slot, found.growing) else { return Ok(Some(Growth::Whole)) };
        let store = &self.store;
        let until = Deadline::after(timeout);
        let is_new = || store.slot(slot).ready() != Ready::Until(found.len);
        let mut over = false;
        loop {
            // Acquire: pairs with the Release in `bury`.
            let deaths = store.head().publisher_deaths.load(Ordering::Acquire);
            let there = is_new() || timeout != Some(Duration::ZERO) && spin(is_new);
            let glance = !there && (timeout != Some(Duration::ZERO) || self.is_time_to_glance());
            if glance && store.bury_owner(slot) {
                continue;
            }
            if there {
                let ready = store.ready(slot, found.number, store.frame_max())?;
                let growth = ready.growth(found.len);
                found.len = ready.bytes();
                return Ok(growth);
            }
            if over || timeout == Some(Duration::ZERO) {
                return Ok(None);
            }
            over = !store.publishers().sleep(until, deaths, false, is_new).map_err(refused)?;
        }
    }
}

impl Ready {
    pub(super) fn bytes(self) -> usize {
        let (Ready::Until(bytes) | Ready::Whole(bytes) | Ready::Aborted(bytes)) = self;
        bytes
    }

    /// What this says to one who knew of so many bytes. `None`: nothing new.
    fn growth(self, known: usize) -> Option<Growth> {
        match self {
            Ready::Whole(_) => Some(Growth::Whole),
            Ready::Aborted(_) => Some(Growth::Aborted),
            Ready::Until(bytes) => (bytes != known).then_some(Growth::More),
        }
    }
}

impl<T> fmt::Debug for Filling<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filling").field("ready", &self.ready).field("len", &self.len).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Growing<'_, T>
where
    [T]: Payload,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Growing")
            .field("number", &self.found.number)
            .field("bytes", &self.found.len)
            .finish_non_exhaustive()
    }
}
