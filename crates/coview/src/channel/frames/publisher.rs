//! The publishing end of frames.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use zerocopy::IntoBytes;

use super::store::{EVERY, Place, Small, Store, refused};
use super::turn::Turn;
use super::{PUBLISHERS, Payload};
use crate::channel::end::{Attached, Peer};
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::Ordering;
use crate::shared::prefetch_write;
use crate::sys::wait::{Deadline, spin};

/// So many slots go round as long as readers keep up, if they fit what one processor has of cache: the next one is not the one whose lines
/// the last reader still has, and all of them stay near. Of larger ones a reader has only the end when it is done: there as few as possible do.
const ROTATION: usize = 4;
const NEAR: usize = 1 << 20;

/// The end that publishes. Dropped, the end is free for another.
pub struct Publisher<P: ?Sized> {
    pub(super) publishing: Publishing,
    _payload: PhantomData<fn(Box<P>)>,
}

pub(super) struct Publishing {
    pub(super) store: Store,
    end: Attached,
    index: usize,
    /// How many slots go round, and the last one taken.
    rotation: usize,
    last: Cell<usize>,
    /// All subscribers that are to get every frame have taken those before this one; and when that was asked.
    passed: Cell<u64>,
    joins: Cell<u32>,
}

/// Room for a frame, to be filled in place; what it holds at first is anything. [`publish`](Loan::publish) sends it; dropped, it
/// was never there.
///
/// Nobody else reads or writes it: a peer that breaks the protocol can change its bytes, no more.
#[must_use = "dropped, a loan is given back unpublished"]
pub struct Loan<'a, P: Payload + ?Sized> {
    pub(super) publishing: &'a Publishing,
    pub(super) place: Place,
    pub(super) len: usize,
    _payload: PhantomData<Box<P>>,
}

impl<P: Payload + ?Sized> Publisher<P> {
    pub(super) fn attach(store: Store) -> Result<Publisher<P>> {
        let side = store.publishers();
        let Some(end) = side.attach(store.view(), PUBLISHERS)? else {
            let why = format!("there are {PUBLISHERS} already, which is the most; end one");
            return Err(Error::new(ErrorKind::AlreadyExists, "attach a publisher to", why).on("the frames"));
        };
        let index = end.index(side.ends);
        // What one had that died here.
        store.disown(index);
        store.head().desks[index].leave();
        let near = (NEAR / store.frame_max().max(1)).clamp(1, ROTATION);
        let (rotation, joins) = (near.min(store.slots()), Cell::new(store.joins().wrapping_sub(1)));
        let (last, passed) = (Cell::new(0), Cell::new(0));
        let publishing = Publishing { store, end, index, rotation, last, passed, joins };
        Ok(Publisher { publishing, _payload: PhantomData })
    }

    /// The processes that subscribe.
    pub fn subscribers(&self) -> Vec<Peer> {
        self.publishing.store.subscribers().peers().collect()
    }

    fn lend(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Loan<'_, P>>> {
        let place = self.publishing.place(len, timeout)?;
        Ok(place.map(|place| Loan { publishing: &self.publishing, place, len, _payload: PhantomData }))
    }
}

impl<T> Publisher<T>
where
    T: Payload,
{
    /// A loan of a frame, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if another publisher stands still in the middle of publishing; the system's.
    pub fn loan(&self) -> Result<Loan<'_, T>> {
        loop {
            if let Some(loan) = self.lend(T::UNIT, None)? {
                return Ok(loan);
            }
        }
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, timeout: Duration) -> Result<Option<Loan<'_, T>>> {
        self.lend(T::UNIT, Some(timeout))
    }

    /// Publishes a copy of a value, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// As [`loan`](Self::loan) and [`Loan::publish`].
    pub fn send(&self, value: &T) -> Result<()>
    where
        T: Copy,
    {
        if self.publishing.store.is_inline(T::UNIT) {
            let place = small(value);
            while !self.publishing.publish(&place, T::UNIT, false, None)? {}
            return Ok(());
        }
        let mut loan = self.loan()?;
        *loan = *value;
        loan.publish()
    }

    /// Publishes a copy of a value if there is room now. `false`: there is not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send(&self, value: &T) -> Result<bool>
    where
        T: Copy,
    {
        let Some(mut loan) = self.loan_timeout(Duration::ZERO)? else { return Ok(false) };
        *loan = *value;
        Ok(loan.publish_timeout(Duration::ZERO)?.is_ok())
    }
}

/// A small frame that holds a value, for which it has room: a loan would be moved about.
#[inline]
fn small<T: Payload>(value: &T) -> Place {
    let mut words = Small::default();
    words.0.as_mut_bytes()[..T::UNIT].copy_from_slice(value.bytes());
    Place::Small(words)
}

impl<T> Publisher<[T]>
where
    [T]: Payload,
{
    /// A loan of a frame of `len` elements, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] if no frame is as large; [`ErrorKind::TimedOut`] if another publisher stands still in the middle
    /// of publishing; the system's.
    pub fn loan(&self, len: usize) -> Result<Loan<'_, [T]>> {
        loop {
            if let Some(loan) = self.loan_for(len, None)? {
                return Ok(loan);
            }
        }
    }

    /// As [`loan`](Self::loan), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`loan`](Self::loan).
    pub fn loan_timeout(&self, len: usize, timeout: Duration) -> Result<Option<Loan<'_, [T]>>> {
        self.loan_for(len, Some(timeout))
    }

    /// Publishes a copy of some elements, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// As [`loan`](Self::loan) and [`Loan::publish`].
    pub fn send(&self, elements: &[T]) -> Result<()>
    where
        T: Copy,
    {
        let mut loan = self.loan(elements.len())?;
        loan.copy_from_slice(elements);
        loan.publish()
    }

    /// Publishes a copy of some elements if there is room now. `false`: there is not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send(&self, elements: &[T]) -> Result<bool>
    where
        T: Copy,
    {
        let Some(mut loan) = self.loan_timeout(elements.len(), Duration::ZERO)? else { return Ok(false) };
        loan.copy_from_slice(elements);
        Ok(loan.publish_timeout(Duration::ZERO)?.is_ok())
    }

    fn loan_for(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Loan<'_, [T]>>> {
        let max = self.publishing.store.frame_max();
        match len.checked_mul(size_of::<T>()).filter(|bytes| *bytes <= max) {
            Some(bytes) => self.lend(bytes, timeout),
            None => {
                let why = format!(
                    "{len} elements of {} bytes; the largest frame has {max}: give slot() more",
                    size_of::<T>()
                );
                Err(Error::new(ErrorKind::OutOfRange, "loan from", why).on("the frames"))
            }
        }
    }
}

impl Publishing {
    /// Which publisher: in a fork child, none.
    #[inline]
    pub(super) fn me(&self) -> Option<usize> {
        self.end.is_ours().then_some(self.index)
    }

    fn place(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Place>> {
        if self.store.is_inline(len) {
            return Ok(Some(Place::Small(Small::default())));
        }
        let until = Deadline::after(timeout);
        loop {
            let Some(turn) = self.store.turn(self.me(), until)? else { return Ok(None) };
            let slot = self.slot(&turn);
            drop(turn);
            if let Some(slot) = slot {
                if let Err(error) = self.store.commit(slot) {
                    self.store.give_back(slot);
                    return Err(error);
                }
                return Ok(Some(Place::Slot(slot)));
            }
            if !self.wait(until, || self.store.has_room())? {
                return Ok(None);
            }
        }
    }

    /// A slot: one that goes round, or else the first of all; then what the dead had; then that of the oldest frame.
    fn slot(&self, turn: &Turn<'_>) -> Option<usize> {
        let (store, all, rotation) = (&self.store, self.store.slots(), self.rotation);
        // Its first line and those of the subscribers come from them at the same time.
        prefetch_write(store.bytes((self.last.get() + 1) % rotation.max(1)));
        let going_round =
            || store.take(turn, self.index, (1..=rotation).map(|step| (self.last.get() + step) % rotation.max(1)));
        let any = || store.take(turn, self.index, 0..all);
        let found = going_round().or_else(|| {
            store.retire(turn);
            going_round().or_else(any)
        });
        let found = found.or_else(|| {
            store.reclaim();
            store.retire(turn);
            any()
        });
        // Each time one frame less: not for ever.
        let found = found.or_else(|| (0..all).take_while(|_| store.evict(turn)).find_map(|_| any()));
        found.inspect(|slot| self.last.set(*slot))
    }

    /// Sleeps until there may be room. `false`: the time is over, and nobody is dead.
    #[cold]
    fn wait(&self, until: Deadline, ready: impl Fn() -> bool) -> Result<bool> {
        let (store, everybody) = (&self.store, self.store.everybody());
        if until.left().is_none() {
            return Ok(store.reclaim());
        }
        if spin(&ready) {
            return Ok(true);
        }
        let publisher_deaths = store.publishers().deaths;
        // Acquire, both: pair with the Release in `reclaim` of an end: what the dead had is free.
        let [known, others] = [everybody.deaths, publisher_deaths].map(|deaths| deaths.load(Ordering::Acquire));
        if !store.reclaim() {
            let is_news = || ready() || publisher_deaths.load(Ordering::Acquire) != others;
            everybody.sleep_and(|end| store.bury(end), until, known, false, is_news).map_err(refused)?;
        }
        Ok(true)
    }

    /// Whether every subscriber that is to get it has taken this frame.
    #[inline]
    fn is_passed(&self, number: u64) -> bool {
        let joins = self.store.joins();
        if self.passed.get() <= number || self.joins.get() != joins {
            self.passed.set(self.store.least(|policy| policy == EVERY));
            self.joins.set(joins);
        }
        self.passed.get() > number
    }

    /// `false`: the time is over.
    pub(super) fn publish(&self, place: &Place, len: usize, growing: bool, timeout: Option<Duration>) -> Result<bool> {
        let until = Deadline::after(timeout);
        loop {
            let Some(turn) = self.store.turn(self.me(), until)? else { return Ok(false) };
            let number = self.store.settle(&turn).wrapping_add(1);
            let Some(waits_for) = self.store.displaced(number).filter(|before| !self.is_passed(*before)) else {
                self.store.publish(&turn, number, place, len, growing);
                drop(turn);
                self.store.publishers().ring().map_err(refused)?;
                if let Place::Slot(_) = place {
                    // Who waits for a slot may take that of this frame.
                    self.store.subscribers().ring().map_err(refused)?;
                }
                return Ok(true);
            };
            drop(turn);
            if !self.wait(until, || self.store.least(|policy| policy == EVERY) > waits_for)? {
                return Ok(false);
            }
        }
    }
}

impl<P: Payload + ?Sized> Loan<'_, P> {
    /// Publishes it, waiting for as long as a subscriber that is to get every frame has not taken the one that makes room.
    ///
    /// # Errors
    /// As of the loan; it is published all the same if subscribers could not be woken.
    pub fn publish(mut self) -> Result<()> {
        while !self.try_publish(None)? {}
        Ok(())
    }

    /// As [`publish`](Self::publish), waiting for at most `timeout`. `Err(loan)`: the time is over.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_timeout(mut self, timeout: Duration) -> Result<std::result::Result<(), Self>> {
        Ok(if self.try_publish(Some(timeout))? { Ok(()) } else { Err(self) })
    }

    fn try_publish(&mut self, timeout: Option<Duration>) -> Result<bool> {
        let done = self.publishing.publish(&self.place, self.len, false, timeout)?;
        if done {
            // The slot is the frame's now.
            self.place = Place::Small(Small::default());
        }
        Ok(done)
    }
}

impl<T> Loan<'_, [T]>
where
    [T]: Payload,
{
    /// Leaves all but the first `len` elements out.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len.saturating_mul(size_of::<T>()));
    }
}

impl<P: Payload + ?Sized> Deref for Loan<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        let at = match &self.place {
            Place::Small(words) => std::ptr::from_ref(words).cast(),
            Place::Slot(slot) => self.publishing.store.bytes(*slot).cast_const(),
        };
        // SAFETY: (1) a slot begins at a multiple of 128 and small bytes at one of 16; `loan` checked the length; (2) they are
        // ours: a slot by its owner, the small ones because they are in this process.
        unsafe { P::shared(at, self.len) }
    }
}

impl<P: Payload + ?Sized> DerefMut for Loan<'_, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P {
        let at = match &mut self.place {
            Place::Small(words) => std::ptr::from_mut(words).cast(),
            Place::Slot(slot) => self.publishing.store.bytes(*slot),
        };
        // SAFETY: (1) as in `deref`; (2) as there, and `self` is borrowed.
        unsafe { P::exclusive(at, self.len) }
    }
}

impl<P: Payload + ?Sized> Drop for Loan<'_, P> {
    fn drop(&mut self) {
        if let Place::Slot(slot) = self.place
            && self.publishing.me().is_some()
        {
            self.publishing.store.give_back(slot);
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        if self.end.is_ours() {
            self.store.disown(self.index); // loans that were forgotten
            let _ = self.store.subscribers().ring(); // else they look again by themselves
        }
    }
}

impl<P: ?Sized> fmt::Debug for Publisher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("store", &self.publishing.store).finish_non_exhaustive()
    }
}

impl<P: Payload + ?Sized> fmt::Debug for Loan<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}
