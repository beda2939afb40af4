//! The sending end of a ring.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

use super::{Data, READY, SENDERS, SKIP, SPINS, Shared, TRIES, UNIT, units_of};
use crate::channel::Listening;
use crate::channel::end::{Attached, Peer, died};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::Ordering;
use crate::shared::{copy_record_in, prefetch_write};
use crate::step::is_broken;
use crate::sys::guard;
use crate::sys::wait::Deadline;

/// Units ahead of its records for which a sender asks, as far as they are free: the lines come from the receiver.
const CLAIMED: u32 = 64;

/// The end that sends. Dropped, the end is free for another.
pub struct Sender {
    ring: Shared,
    _end: Attached,
    /// Where the next record goes; of several senders, only while it is our turn.
    tail: u32,
    /// How far the receiver had freed the bytes when we last looked.
    free: u32,
    /// Units from the tail for a record that needs nothing else: known to be free, with one for the header behind it, and before
    /// the end. None where senders take turns.
    room: u32,
    deaths: u32,
}

/// Room for one record, to be filled in place. [`commit`](Claim::commit) sends it; dropped, it was never there.
pub struct Claim<'a> {
    sender: &'a mut Sender,
    /// The record's own position, behind a skip or not.
    at: u32,
    len: usize,
    /// Of several senders, the turn belongs to this thread.
    _thread: PhantomData<*const ()>,
}

impl Sender {
    pub(super) fn attach(ring: Shared) -> Result<Sender> {
        let head = ring.head();
        let places = if ring.several { SENDERS } else { 1 };
        if let Some(end) = ring.senders().attach(&ring.view, places)? {
            let deaths = head.receiver_deaths.load(Ordering::Relaxed);
            let tail = ring.end_of_records(head.received.0.load(Ordering::Relaxed))?;
            let free = head.freed.0.load(Ordering::Acquire); // as in `fit`
            return Ok(Sender { ring, _end: end, tail, free, room: 0, deaths });
        }
        let who = ring.senders().peers().next().map_or(String::new(), |peer| format!(" process {}", peer.process));
        let why =
            format!("all {places} sending ends are taken, the first by{who}; a ring for several senders has {SENDERS}");
        Err(Error::new(ErrorKind::AlreadyExists, "attach a sender to", why).on("the ring"))
    }

    /// The most bytes a record can have.
    #[inline]
    pub fn record_max(&self) -> usize {
        // With what is skipped at the end, two such records always fit in an empty ring.
        self.ring.data.capacity() / 2 - 2 * UNIT as usize
    }

    /// The process that receives, if one is attached.
    pub fn receiver(&self) -> Option<Peer> {
        self.ring.receivers().peers().next()
    }

    /// Sends a record, waiting for room for as long as it takes.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    #[inline]
    pub fn send(&mut self, record: &[u8]) -> Result<()> {
        match self.at_once(record.len()) {
            true => self.put(self.tail, record),
            false => self.send_later(record),
        }
    }

    #[inline(never)]
    fn send_later(&mut self, record: &[u8]) -> Result<()> {
        self.claim(record.len())?.filled(record)
    }

    /// Sends a record if there is room now. `false`: there is not.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    #[inline]
    pub fn try_send(&mut self, record: &[u8]) -> Result<bool> {
        self.send_timeout(record, Duration::ZERO)
    }

    /// Sends a record, waiting for room for at most `timeout`. `false`: the time is over.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    #[inline]
    pub fn send_timeout(&mut self, record: &[u8], timeout: Duration) -> Result<bool> {
        match self.claim_timeout(record.len(), timeout)? {
            Some(claim) => claim.filled(record).map(|()| true),
            None => Ok(false),
        }
    }

    /// Claims room for a record of `len` bytes, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] beyond [`record_max`](Self::record_max); [`ErrorKind::PeerDied`], once, if the ring is full
    /// and its receiver died; [`ErrorKind::Corrupt`] if a peer wrote over the ring.
    #[inline]
    pub fn claim(&mut self, len: usize) -> Result<Claim<'_>> {
        let at = match self.at_once(len) {
            true => self.tail,
            false => loop {
                if let Some(at) = self.room(len, None)? {
                    break at;
                }
            },
        };
        Ok(Claim { sender: self, at, len, _thread: PhantomData })
    }

    /// Claims room for a record if there is room now.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    #[inline]
    pub fn try_claim(&mut self, len: usize) -> Result<Option<Claim<'_>>> {
        self.claim_timeout(len, Duration::ZERO)
    }

    /// Claims room for a record, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    #[inline]
    pub fn claim_timeout(&mut self, len: usize, timeout: Duration) -> Result<Option<Claim<'_>>> {
        let at = match self.at_once(len) {
            true => Some(self.tail),
            false => self.room(len, Some(timeout))?,
        };
        Ok(at.map(|at| Claim { sender: self, at, len, _thread: PhantomData }))
    }

    /// Begins a batch: records that are sent together, by one step. Of several senders one sends at a time: it waits for its turn.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn batch(&mut self) -> Result<Batch<'_>> {
        while !self.turn(None)? {}
        Ok(self.begin())
    }

    /// As [`batch`](Self::batch), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn batch_timeout(&mut self, timeout: Duration) -> Result<Option<Batch<'_>>> {
        Ok(self.turn(Some(timeout))?.then(|| self.begin()))
    }

    /// In turn.
    fn begin(&mut self) -> Batch<'_> {
        Batch { next: self.tail, first: 0, sender: self, _thread: PhantomData }
    }

    /// Of several senders: takes the turn. One who died in it has left nothing behind: what it had not committed is not there.
    fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        if !self.ring.several {
            return Ok(true);
        }
        let head = self.ring.head();
        let taken = head.turn.lock(timeout).map_err(|error| explain("take a turn at", "a ring", error))?;
        if taken.is_none() {
            return Ok(false);
        }
        // One who died in its turn may have added a record and not said so here.
        match self.ring.end_of_records(head.tail.load(Ordering::Relaxed)) {
            Ok(tail) => self.tail = tail,
            Err(error) => {
                self.end_turn();
                return Err(error);
            }
        }
        Ok(true)
    }

    #[inline]
    fn end_turn(&self) {
        if self.ring.several {
            self.pass_turn();
        }
    }

    #[inline(never)]
    fn pass_turn(&self) {
        // It fails only when a peer wrote over the words.
        let _ = self.ring.head().turn.unlock(false);
    }

    /// Whether a record of `len` bytes goes at the tail, as far as is known already.
    #[inline]
    fn at_once(&self, len: usize) -> bool {
        len.div_ceil(UNIT as usize) < self.room as usize
    }

    /// Where a record goes that begins at `tail` or, if it does not fit before the end, at the front; if that is free.
    fn place(&self, tail: u32, len: usize) -> Option<u32> {
        let need = units_of(len);
        let before_end = self.ring.data.before_end(tail);
        let skipped = if need > before_end { before_end } else { 0 };
        // And behind it a header that says "nothing yet".
        let room = self.ring.data.units - (skipped + need + 1);
        (tail.wrapping_sub(self.free) <= room).then(|| tail.wrapping_add(skipped))
    }

    /// As [`place`](Self::place), and asks how far the bytes are free by now.
    fn fit(&mut self, tail: u32, len: usize) -> Result<Option<u32>> {
        if let Some(at) = self.place(tail, len) {
            return Ok(Some(at));
        }
        // Acquire: pairs with the Release in `free`.
        self.free = self.ring.head().freed.0.load(Ordering::Acquire);
        if tail.wrapping_sub(self.free) > self.ring.data.units {
            return Err(self.ring.corrupt("the receiver is ahead of the sender", self.free));
        }
        Ok(self.place(tail, len))
    }

    /// Where a record of `len` bytes goes, when there is room for it. `None`: the time is over.
    #[inline(never)]
    fn room(&mut self, len: usize, timeout: Option<Duration>) -> Result<Option<u32>> {
        self.check(len)?;
        if !self.turn(timeout)? {
            return Ok(None);
        }
        let at = match self.fit(self.tail, len) {
            Ok(None) if timeout != Some(Duration::ZERO) => self.wait(len, timeout),
            at => at,
        };
        match at {
            Ok(Some(_)) if !self.ring.several => {
                let free = self.ring.data.units - self.tail.wrapping_sub(self.free);
                // No more than the longest record takes.
                self.room = (free - 1).min(self.ring.data.before_end(self.tail)).min(units_of(self.record_max()));
            }
            Ok(Some(_)) => (),
            _ => self.end_turn(),
        }
        at
    }

    /// Whether a record of `len` bytes has room; if not, `waker` is woken when it may have.
    pub(crate) fn poll(&mut self, len: usize, listening: &mut Listening, waker: &Waker) -> Result<bool> {
        self.check(len)?;
        let failed = |error| explain("send to", "a ring", error);
        let ring = self.ring.clone();
        let head = ring.head();
        for _ in 0..TRIES {
            if !self.turn(Some(Duration::ZERO))? {
                self.ring.may_listen("send to")?;
                if listening.listen_beside(&head.turn, waker).map_err(failed)? {
                    return Ok(false);
                }
                continue;
            }
            let at = self.fit(self.tail, len);
            self.end_turn();
            if at?.is_some() {
                return Ok(true);
            }
            self.ring.may_listen("send to")?;
            let deaths = head.receiver_deaths.load(Ordering::Acquire); // pairs with the Release in `bury`
            if deaths != std::mem::replace(&mut self.deaths, deaths) {
                return Err(died("send to", "receiver"));
            }
            let ready = || head.freed.0.load(Ordering::Relaxed) != self.free;
            if ring.receivers().listen(listening, waker, deaths, ready).map_err(failed)? {
                return Ok(false);
            }
        }
        waker.wake_by_ref();
        Ok(false)
    }

    pub(crate) fn listening(&self) -> Listening {
        Listening::new(&self.ring.view)
    }

    fn check(&self, len: usize) -> Result<()> {
        if len <= self.record_max() {
            return Ok(());
        }
        let why = format!("a record of {len} bytes; this ring takes up to {} (half its capacity)", self.record_max());
        Err(Error::new(ErrorKind::OutOfRange, "send", why))
    }

    #[cold]
    fn wait(&mut self, len: usize, timeout: Option<Duration>) -> Result<Option<u32>> {
        let until = Deadline::after(timeout);
        let ring = self.ring.clone();
        let head = ring.head();
        loop {
            for _ in 0..SPINS {
                if let Some(at) = self.fit(self.tail, len)? {
                    return Ok(Some(at));
                }
                std::hint::spin_loop();
            }
            let deaths = head.receiver_deaths.load(Ordering::Acquire); // pairs with the Release in `bury`
            if deaths != std::mem::replace(&mut self.deaths, deaths) {
                return Err(died("send to", "receiver"));
            }
            let ready = || head.freed.0.load(Ordering::Relaxed) != self.free;
            let slept = ring.receivers().sleep(until, deaths, ring.polling, ready);
            if !slept.map_err(|error| explain("send to", "a ring", error))? {
                return Ok(None);
            }
        }
    }
}

impl Claim<'_> {
    /// Sends this record, for which it was claimed.
    #[inline]
    fn filled(self, record: &[u8]) -> Result<()> {
        self.sender.put(self.at, record)
    }

    /// Leaves all but the first `len` bytes out.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Sends the record.
    ///
    /// # Errors
    /// The system's, when the receiver was to be woken; the record is sent all the same.
    #[inline]
    pub fn commit(self) -> Result<()> {
        let (data, tail) = (self.sender.ring.data, self.sender.tail);
        self.sender.seal(data, tail, self.at, self.len)
    }
}

// What these know of the sender they are given: behind a store to the ring it would be read again.
impl Sender {
    /// Copies a record to where there is room for it, and sends it.
    #[inline]
    fn put(&mut self, at: u32, record: &[u8]) -> Result<()> {
        let (data, tail) = (self.ring.data, self.tail);
        // SAFETY: (1), (3): `room` found these bytes free, and records begin with a unit; (2): nobody has a `&[u8]` of
        // shared memory but of what was received, which is not free.
        unsafe { copy_record_in(record, data.payload(at)) };
        self.seal(data, tail, at, record.len())
    }

    /// Sends the record that lies at a position: the tail, or the front if there was no room for it before the end.
    #[inline]
    fn seal(&mut self, data: Data, tail: u32, at: u32, len: usize) -> Result<()> {
        let next = at.wrapping_add(units_of(len));
        let header = READY | len as u64;
        if is_broken("ring: the header before the record") {
            data.header(at).store(header, Ordering::Release);
            (0..100).for_each(|_| std::hint::spin_loop());
        }
        data.header(next).store(0, Ordering::Relaxed);
        if at == tail {
            return self.publish(data, tail, header, next);
        }
        data.header(at).store(header, Ordering::Relaxed);
        self.publish(data, tail, READY | SKIP, next)
    }

    /// Hands over what was written from the tail to `next`, which begins with this header: the step before which nothing was
    /// sent, and after which all is.
    #[inline]
    fn publish(&mut self, data: Data, tail: u32, first: u64, next: u32) -> Result<()> {
        let room = self.room.saturating_sub(next.wrapping_sub(tail));
        (self.tail, self.room) = (next, room);
        // Release: pairs with the Acquire in `look` and in `end_of_records`.
        data.header(tail).store(first, Ordering::Release);
        if room > CLAIMED {
            prefetch_write(data.payload(next.wrapping_add(CLAIMED)));
        }
        if self.ring.several {
            self.ring.head().tail.store(next, Ordering::Relaxed);
        }
        match guard::has_lost() || !self.ring.polling && self.ring.senders().bell.word().is_heard() {
            false => Ok(()),
            true => self.wake(),
        }
    }

    #[cold]
    fn wake(&self) -> Result<()> {
        self.ring.senders().ring().map_err(|error| explain("wake the receiver of", "a ring", error))
    }
}

impl Deref for Claim<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `room` found these bytes free: inside the data, read by nobody who keeps the protocol; any bytes are u8.
        unsafe { std::slice::from_raw_parts(self.sender.ring.data.payload(self.at), self.len) }
    }
}

impl DerefMut for Claim<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; and `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.sender.ring.data.payload(self.at), self.len) }
    }
}

impl Drop for Claim<'_> {
    #[inline]
    fn drop(&mut self) {
        self.sender.end_turn();
    }
}

/// Records that are sent together; dropped without [`commit`](Batch::commit), none of them is.
pub struct Batch<'a> {
    sender: &'a mut Sender,
    /// Header of the first, which is made ready last.
    first: u64,
    next: u32,
    _thread: PhantomData<*const ()>,
}

impl Batch<'_> {
    /// Adds a record if there is room now. `false`: there is not; commit what there is.
    ///
    /// # Errors
    /// As [`Sender::claim`].
    pub fn push(&mut self, record: &[u8]) -> Result<bool> {
        self.sender.check(record.len())?;
        let here = self.next;
        let Some(at) = self.sender.fit(here, record.len())? else {
            return Ok(false);
        };
        let data = self.sender.ring.data;
        // SAFETY: as in `put`.
        unsafe { copy_record_in(record, data.payload(at)) };
        let header = READY | record.len() as u64;
        self.next = at.wrapping_add(units_of(record.len()));
        data.header(self.next).store(0, Ordering::Relaxed);
        if at != here {
            data.header(at).store(header, Ordering::Relaxed);
        }
        let begin = if at == here { header } else { READY | SKIP };
        if here == self.sender.tail {
            // Stored last: so nobody gets to the others before the whole batch is committed.
            self.first = begin;
        } else {
            data.header(here).store(begin, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Sends them.
    ///
    /// # Errors
    /// As [`Claim::commit`].
    pub fn commit(self) -> Result<()> {
        match self.next == self.sender.tail {
            true => Ok(()),
            false => self.sender.publish(self.sender.ring.data, self.sender.tail, self.first, self.next),
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.sender.end_turn();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("ring", &self.ring).field("tail", &self.tail).finish_non_exhaustive()
    }
}
