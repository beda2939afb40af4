//! The receiving end of frames.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::time::Duration;

use super::growing::Ready;
use super::store::{EVERY, Look, NEWEST, OLDEST, Small, Spare, Store, refused};
use super::{Payload, SUBSCRIBERS};
use crate::channel::end::{Attached, Peer, died};
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::Ordering;
use crate::sys::wait::Deadline;

/// Looks before a subscriber goes to sleep: about a microsecond, well below what waking up costs.
const SPINS: u32 = 100;
/// Attempts to get hold of a frame before it is gone, in one look.
const TRIES: u32 = 64;
/// Looks in vain before a subscriber that only polls asks whether somebody has died.
const GLANCES: u32 = 4096;

/// Small frames that a subscriber takes before it says so, while more are there: its line goes to publishers that much less often.
const UNSAID: u64 = 16;

/// What happens when a subscriber is slower than the publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// It gets every frame: publishers wait for it when there is no room.
    EveryFrame,
    /// The oldest frames are dropped; [`Frame::lost`] says how many.
    DropOldest,
    /// It gets the newest frame and never an older one.
    NewestOnly,
}

/// The end that receives. Dropped, the end is free for another.
pub struct Subscriber<P: ?Sized> {
    pub(super) receiving: Receiving,
    _payload: PhantomData<fn() -> Box<P>>,
}

pub(super) struct Receiving {
    pub(super) store: Store,
    end: Attached,
    seat: usize,
    policy: Policy,
    /// The next frame, and which one we said it was.
    next: Cell<u64>,
    said: Cell<u64>,
    /// Frames that were gone before we came to them, and have not been told of.
    lost: Cell<u64>,
    deaths: Cell<u32>,
    /// Looks in vain.
    misses: Cell<u32>,
    spare: Spare,
}

/// A received frame, in place; dropped, its slot is free when the others have read it.
///
/// While it is held nobody writes it: a peer that breaks the protocol can make its bytes change under the reader, no more.
pub struct Frame<'a, P: Payload + ?Sized> {
    receiving: &'a Receiving,
    found: Found,
    _payload: PhantomData<Box<P>>,
}

/// A received frame that any thread may hold and release: see [`Frame::keep`].
pub struct Kept<'a, P: Payload + ?Sized> {
    store: &'a Store,
    end: &'a Attached,
    seat: usize,
    found: Found,
    _payload: PhantomData<Box<P>>,
}

/// Which frame was found, and where.
pub(crate) struct Found {
    /// The bytes, if it is in no slot. In a box: moving them about would cost as much as the rest.
    small: Option<Box<Small>>,
    pub(super) slot: usize,
    pub(super) len: usize,
    pub(super) number: u64,
    pub(super) lost: u64,
    /// More may come.
    pub(super) growing: bool,
}

/// What a look shows that asks for the dead, too.
pub(super) enum Survey {
    Found(Found),
    /// There is no frame, and so many deaths are known.
    Nothing(u32),
}

impl<P: Payload + ?Sized> Subscriber<P> {
    pub(super) fn attach(store: Store, policy: Policy) -> Result<Subscriber<P>> {
        let side = store.subscribers();
        let Some(end) = side.attach(store.view(), SUBSCRIBERS)? else {
            let why = format!("there are {SUBSCRIBERS} already, which is the most; end one");
            return Err(Error::new(ErrorKind::AlreadyExists, "attach a subscriber to", why).on("the frames"));
        };
        let seat = end.index(side.ends);
        store.leave(seat); // what one had that died here
        let word = match policy {
            Policy::EveryFrame => EVERY,
            Policy::DropOldest => OLDEST,
            Policy::NewestOnly => NEWEST,
        };
        let deaths = Cell::new(store.head().publisher_deaths.load(Ordering::Relaxed));
        let turn = loop {
            if let Some(turn) = store.turn(None, Deadline::after(None))? {
                break turn;
            }
        };
        let next = Cell::new(store.join(&turn, seat, word));
        drop(turn);
        let (lost, misses, said) = (Cell::new(0), Cell::new(0), Cell::new(next.get()));
        let spare = Spare::default();
        let receiving = Receiving { store, end, seat, policy, next, said, lost, deaths, misses, spare };
        Ok(Subscriber { receiving, _payload: PhantomData })
    }

    /// The processes that publish.
    pub fn publishers(&self) -> Vec<Peer> {
        self.receiving.store.publishers().peers().collect()
    }

    /// The next frame, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`], once for each death, when a publisher died and all that was published has been received;
    /// [`ErrorKind::Corrupt`] if a peer wrote over the frame, which is passed over.
    pub fn receive(&self) -> Result<Frame<'_, P>> {
        loop {
            if let Some(frame) = self.get(None)? {
                return Ok(frame);
            }
        }
    }

    /// The next frame, if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn try_receive(&self) -> Result<Option<Frame<'_, P>>> {
        self.get(Some(Duration::ZERO))
    }

    /// The next frame, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Frame<'_, P>>> {
        self.get(Some(timeout))
    }

    #[inline]
    fn get(&self, timeout: Option<Duration>) -> Result<Option<Frame<'_, P>>> {
        Ok(self.receiving.find(timeout, false)?.map(|found| self.frame(found)))
    }

    /// The frame that a look has found.
    #[inline]
    pub(crate) fn frame(&self, found: Found) -> Frame<'_, P> {
        Frame { receiving: &self.receiving, found, _payload: PhantomData }
    }
}

impl Receiving {
    /// The next frame, waiting for it. `early`: even if it still grows. `None`: the time is over.
    #[inline]
    pub(super) fn find(&self, timeout: Option<Duration>, early: bool) -> Result<Option<Found>> {
        match self.glance() {
            None => self.wait(timeout, early),
            found => Ok(found),
        }
    }

    /// The frame to take next, or a later one.
    #[inline]
    fn wanted(&self) -> u64 {
        let next = self.next.get();
        if self.policy == Policy::NewestOnly { next.max(self.store.newest()) } else { next }
    }

    /// Takes the frame to take next, if it is there and small, as most are.
    #[inline]
    fn glance(&self) -> Option<Found> {
        let number = self.wanted();
        let (small, len) = self.store.glance(number, &self.spare)?;
        let lost = number - self.next.get();
        let lost = if lost | self.lost.get() == 0 { 0 } else { self.tell_lost(lost) };
        let next = number.saturating_add(1);
        self.next.set(next);
        if next.wrapping_sub(self.said.get()) >= UNSAID {
            // Whoever could not be woken looks again by itself.
            let _ = self.advance(next);
        }
        Some(Found { small: Some(small), slot: 0, len, number, lost, growing: false })
    }

    /// Takes the next frame, if it is there.
    fn look(&self, early: bool) -> Result<Option<Found>> {
        for _ in 0..TRIES {
            let (next, number) = (self.next.get(), self.wanted());
            match self.store.look(number, self.seat, early) {
                Ok(Look::Nothing) => {
                    if self.said.get() != next {
                        self.advance(next)?;
                    }
                    return Ok(None);
                }
                Ok(Look::Small) => {
                    // Or it has gone just now.
                    if let Some(found) = self.glance() {
                        return Ok(Some(found));
                    }
                }
                Ok(Look::Slot(slot, len, growing)) => {
                    let lost = self.tell_lost(number - next);
                    let next = number.saturating_add(1);
                    self.next.set(next);
                    let mut found = Found { small: None, slot, len, number, lost, growing };
                    // The frame is ours before publishers are told that we have it.
                    if let Err(error) = self.advance(next) {
                        self.release(&mut found);
                        return Err(error);
                    }
                    return Ok(Some(found));
                }
                Ok(Look::Gone) => self.pass_over(number)?,
                Err(error) => {
                    self.pass_over(number)?;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// How many were lost before a frame that is so many after the next.
    #[cold]
    fn tell_lost(&self, skipped: u64) -> u64 {
        let lost = self.lost.take().saturating_add(skipped);
        if lost != 0 {
            self.store.lose(self.seat, lost);
        }
        lost
    }

    #[cold]
    fn pass_over(&self, number: u64) -> Result<()> {
        let to = self.store.first_from(number.saturating_add(1));
        self.lost.set(self.lost.get().saturating_add(to.saturating_sub(self.next.get())));
        self.next.set(to);
        self.advance(to)
    }

    fn advance(&self, to: u64) -> Result<()> {
        self.said.set(to);
        self.store.advance(self.seat, to)
    }

    #[inline]
    pub(super) fn release(&self, found: &mut Found) {
        match found.small.take() {
            Some(small) => self.spare.put(small),
            None => found.let_go(&self.store, &self.end, self.seat),
        }
    }

    /// Of one who only polls: now and then it asks whether somebody has died.
    pub(super) fn is_time_to_glance(&self) -> bool {
        self.misses.set(self.misses.get().wrapping_add(1));
        self.misses.get().is_multiple_of(GLANCES)
    }

    #[inline(never)]
    fn wait(&self, timeout: Option<Duration>, early: bool) -> Result<Option<Found>> {
        if timeout == Some(Duration::ZERO) {
            return match self.look(early)? {
                None if self.is_time_to_glance() => self.sleep(timeout, early),
                found => Ok(found),
            };
        }
        for _ in 0..SPINS {
            if let Some(found) = self.look(early)? {
                return Ok(Some(found));
            }
            std::hint::spin_loop();
        }
        self.sleep(timeout, early)
    }

    /// Sleeps until there is a frame. `None`: the time is over.
    #[cold]
    fn sleep(&self, timeout: Option<Duration>, early: bool) -> Result<Option<Found>> {
        let until = Deadline::after(timeout);
        loop {
            let deaths = match self.survey(early)? {
                Survey::Found(found) => return Ok(Some(found)),
                Survey::Nothing(deaths) => deaths,
            };
            let ready = || self.is_there(early);
            if !self.store.publishers().sleep(until, deaths, false, ready).map_err(refused)? {
                return self.look(early);
            }
        }
    }

    /// Looks, and whether somebody has died.
    pub(super) fn survey(&self, early: bool) -> Result<Survey> {
        loop {
            let deaths = self.known_deaths();
            if let Some(found) = self.look(early)? {
                return Ok(Survey::Found(found));
            }
            if self.awaited().is_some_and(|slot| self.store.bury_owner(slot)) {
                continue;
            }
            return match deaths == self.deaths.replace(deaths) {
                true => Ok(Survey::Nothing(deaths)),
                false => Err(died("receive from", "publisher")),
            };
        }
    }

    fn known_deaths(&self) -> u32 {
        // Acquire: pairs with the Release in `bury`: what the dead had published is there.
        self.store.head().publisher_deaths.load(Ordering::Acquire)
    }

    /// As `survey`, but nothing is taken, and nothing told: `None` if it would have found a frame, or a death to tell.
    pub(super) fn scan(&self) -> Option<u32> {
        loop {
            let deaths = self.known_deaths();
            if self.is_there(false) || deaths != self.deaths.get() {
                return None;
            }
            if !self.awaited().is_some_and(|slot| self.store.bury_owner(slot)) {
                return Some(deaths);
            }
        }
    }

    /// Whether a look would find a frame, or that it is gone.
    pub(super) fn is_there(&self, early: bool) -> bool {
        self.store.is_out(self.wanted()) && (early || self.awaited().is_none())
    }

    /// The slot in which the next frame still grows.
    fn awaited(&self) -> Option<usize> {
        self.store.growing(self.wanted()).filter(|slot| matches!(self.store.slot(*slot).ready(), Ready::Until(_)))
    }
}

impl Found {
    /// The bytes.
    #[inline]
    pub(super) fn bytes(&self, store: &Store) -> *const u8 {
        match &self.small {
            Some(small) => std::ptr::from_ref(&**small).cast(),
            None => store.bytes(self.slot).cast_const(),
        }
    }

    /// Gives its slot back, which a fork child does not hold.
    #[inline]
    fn let_go(&self, store: &Store, end: &Attached, seat: usize) {
        if end.is_ours() {
            store.let_go(self.slot, seat);
        }
    }
}

impl<'a, P: Payload + ?Sized> Frame<'a, P> {
    /// The frame for any thread to hold and to release, as a language without lifetimes needs it. It still borrows the subscriber.
    pub fn keep(self) -> Kept<'a, P> {
        let this = ManuallyDrop::new(self);
        let Receiving { store, end, seat, .. } = this.receiving;
        // SAFETY: moved out of a frame that nobody drops or uses again.
        let found = unsafe { std::ptr::read(&raw const this.found) };
        Kept { store, end, seat: *seat, found, _payload: PhantomData }
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

impl<P: Payload + ?Sized> Deref for Frame<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        // SAFETY: (1) a slot begins at a multiple of 128 and small bytes at one of 16; `look` checked index and length; (2) nobody
        // takes a slot that we hold; small bytes are a copy.
        unsafe { P::shared(self.found.bytes(&self.receiving.store), self.found.len) }
    }
}

impl<P: Payload + ?Sized> Drop for Frame<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.receiving.release(&mut self.found);
    }
}

impl<P: Payload + ?Sized> Kept<'_, P> {
    /// As [`Frame::number`].
    pub fn number(&self) -> u64 {
        self.found.number
    }

    /// Whether its bytes stand in a slot, which others may write once it is released; else they are its own.
    pub fn is_in_slot(&self) -> bool {
        self.found.small.is_none()
    }

    /// As [`Frame::lost`].
    pub fn lost(&self) -> u64 {
        self.found.lost
    }
}

impl<P: Payload + ?Sized> Deref for Kept<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        // SAFETY: as of `Frame`.
        unsafe { P::shared(self.found.bytes(self.store), self.found.len) }
    }
}

impl<P: Payload + ?Sized> Drop for Kept<'_, P> {
    fn drop(&mut self) {
        if self.is_in_slot() {
            self.found.let_go(self.store, self.end, self.seat);
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if self.end.is_ours() {
            self.store.leave(self.seat);
            let _ = self.store.subscribers().ring(); // else they look again by themselves
        }
    }
}

impl<P: ?Sized> fmt::Debug for Subscriber<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receiving = &self.receiving;
        f.debug_struct("Subscriber")
            .field("store", &receiving.store)
            .field("next", &receiving.next)
            .finish_non_exhaustive()
    }
}

impl<P: Payload + fmt::Debug + ?Sized> fmt::Debug for Frame<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("number", &self.found.number).field("payload", &&**self).finish_non_exhaustive()
    }
}

impl<P: Payload + fmt::Debug + ?Sized> fmt::Debug for Kept<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("number", &self.found.number).field("payload", &&**self).finish_non_exhaustive()
    }
}
