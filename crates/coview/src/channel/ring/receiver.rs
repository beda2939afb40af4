//! The receiving end of a ring.

use std::fmt;
use std::ops::Deref;
use std::task::Waker;
use std::time::Duration;

use super::{READY, SKIP, SPINS, Shared, TRIES, UNIT, units_of};
use crate::channel::Listening;
use crate::channel::end::{Attached, Peer, died};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::Ordering;
use crate::shared::prefetch;
use crate::sys::wait::Deadline;

/// So many units of records without a look in vain between them, or so many waits in a row that ended at once, and it is taken that the
/// sender writes without a pause.
const STREAM: u32 = 64;
const AT_ONCE: u32 = 4;
/// Pauses, each some tens of cycles, for such a sender to get ahead: who looks at the very line that is being written takes
/// it away each time.
const LAG: u32 = 64;
/// Looks in which nobody answers what was just sent: a cache line there and back takes longer.
const SOON: u32 = 2;
/// Looks in vain before a receiver that only polls asks whether something is wrong.
const GLANCES: u32 = 4096;

/// The end that receives. Dropped, the end is free for another, who goes on where this one was.
pub struct Receiver {
    ring: Shared,
    end: Attached,
    /// The next record.
    at: u32,
    /// How far we have told that the bytes are free.
    freed: u32,
    /// Where the last look in vain was.
    missed: u32,
    /// Waits in a row that ended at once.
    close: u32,
    /// Looks in vain.
    misses: u32,
    deaths: u32,
}

/// A received record, in place; dropped, its bytes are free again.
///
/// They are the sender's until it commits and ours from then on: a peer that writes them all the same makes them change
/// under the reader, no more.
pub struct Record<'a> {
    receiver: &'a mut Receiver,
    at: u32,
    len: usize,
}

impl Receiver {
    pub(super) fn attach(ring: Shared) -> Result<Receiver> {
        let head = ring.head();
        let Some(end) = ring.receivers().attach(&ring.view, 1)? else {
            let who = ring.receivers().peers().next();
            let who = who.map_or(String::new(), |peer| format!(" by process {}", peer.process));
            let why = format!("its receiving end is taken{who}; a ring has one");
            return Err(Error::new(ErrorKind::AlreadyExists, "attach a receiver to", why).on("the ring"));
        };
        let deaths = head.sender_deaths.load(Ordering::Relaxed);
        let (at, freed) = (head.received.0.load(Ordering::Relaxed), head.freed.0.load(Ordering::Relaxed));
        if at.wrapping_sub(freed) > ring.data.units {
            return Err(ring.corrupt("less was received than is free", at));
        }
        Ok(Receiver { ring, end, at, freed, missed: at, close: 0, misses: 0, deaths })
    }

    /// The processes that send.
    pub fn senders(&self) -> Vec<Peer> {
        self.ring.senders().peers().collect()
    }

    /// The next record, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`], once for each death, when a sender died and all that was committed has been received;
    /// [`ErrorKind::Corrupt`] if a peer wrote over the ring.
    #[inline]
    pub fn receive(&mut self) -> Result<Record<'_>> {
        let (at, len) = match self.look() {
            Some(len) => (self.at, len),
            None => self.receive_later()?,
        };
        Ok(Record { receiver: self, at, len })
    }

    #[inline(never)]
    fn receive_later(&mut self) -> Result<(u32, usize)> {
        loop {
            if let Some(found) = self.wait(None)? {
                return Ok(found);
            }
        }
    }

    /// The next record, if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn try_receive(&mut self) -> Result<Option<Record<'_>>> {
        self.receive_timeout(Duration::ZERO)
    }

    /// The next record, waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    #[inline]
    pub fn receive_timeout(&mut self, timeout: Duration) -> Result<Option<Record<'_>>> {
        let found = match self.look() {
            Some(len) => Some((self.at, len)),
            None => self.wait(Some(timeout))?,
        };
        Ok(found.map(|(at, len)| Record { receiver: self, at, len }))
    }

    /// Gives every record that is there now to `each`, in place; how many there were.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> Result<usize> {
        let (from, mut count) = (self.at, 0);
        // A sender that goes on adding does not keep us here.
        while self.at.wrapping_sub(from) < self.ring.data.units
            && let Some((at, len)) = self.found()?
        {
            each(&Record { receiver: self, at, len });
            count += 1;
        }
        self.free()?;
        Ok(count)
    }

    /// The length of the record at our position, if one is committed there. Its header comes in the same cache line as its
    /// first bytes.
    #[inline]
    fn look(&self) -> Option<usize> {
        // Acquire: pairs with the Release in `publish`.
        self.ring.data.record(self.at, self.ring.data.header(self.at).load(Ordering::Acquire))
    }

    /// Where the next record is, behind a skip or not, and its length.
    #[inline]
    fn found(&self) -> Result<Option<(u32, usize)>> {
        // Acquire: as in `look`.
        let header = self.ring.data.header(self.at).load(Ordering::Acquire);
        match self.ring.data.record(self.at, header) {
            Some(len) => Ok(Some((self.at, len))),
            None if header & READY == 0 => Ok(None),
            None => self.skipped(header).map(Some),
        }
    }

    /// The record behind a skip, which this header must be.
    #[cold]
    fn skipped(&self, header: u64) -> Result<(u32, usize)> {
        let data = self.ring.data;
        let skip = if header & SKIP == 0 { 0 } else { data.before_end(self.at) };
        let at = self.at.wrapping_add(skip);
        let found = data.record(at, data.header(at).load(Ordering::Acquire)); // as in `look`
        found.map(|len| (at, len)).ok_or_else(|| self.ring.corrupt("a record has no possible length", at))
    }

    /// The next record; if there is none, the death of a sender that was not yet told of.
    fn found_or_death(&mut self) -> Result<Option<(u32, usize)>> {
        // Acquire: pairs with the Release in `bury`: what the dead had sent is there.
        let deaths = self.ring.head().sender_deaths.load(Ordering::Acquire);
        match self.found()? {
            None if deaths != std::mem::replace(&mut self.deaths, deaths) => Err(died("receive from", "sender")),
            found => Ok(found),
        }
    }

    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<(u32, usize)>> {
        let run = self.at.wrapping_sub(std::mem::replace(&mut self.missed, self.at));
        if run >= STREAM || self.close >= AT_ONCE {
            (0..LAG).for_each(|_| std::hint::spin_loop());
        }
        if timeout == Some(Duration::ZERO) {
            self.misses = self.misses.wrapping_add(1);
            let found = self.found()?;
            return if found.is_none() && self.misses.is_multiple_of(GLANCES) {
                self.sleep(timeout)
            } else {
                Ok(found)
            };
        }
        for look in 0..SPINS {
            if let Some(found) = self.found()? {
                self.close = if look <= SOON { self.close.saturating_add(1) } else { 0 };
                return Ok(Some(found));
            }
            // Its other line comes along.
            prefetch(self.ring.data.payload(self.at).wrapping_add(64 - UNIT as usize));
            std::hint::spin_loop();
        }
        self.sleep(timeout)
    }

    /// Sleeps until there is a record. `None`: the time is over.
    #[cold]
    fn sleep(&mut self, timeout: Option<Duration>) -> Result<Option<(u32, usize)>> {
        self.free()?;
        let ring = self.ring.clone();
        let until = Deadline::after(timeout);
        loop {
            if let Some(found) = self.found_or_death()? {
                return Ok(Some(found));
            }
            let ready = || ring.data.header(self.at).load(Ordering::Relaxed) & READY != 0;
            let slept = ring.senders().sleep(until, self.deaths, ring.polling, ready);
            if !slept.map_err(|error| explain("receive from", "a ring", error))? {
                return self.found();
            }
            for _ in 0..if ring.polling { GLANCES } else { 0 } {
                if ready() {
                    break;
                }
                std::hint::spin_loop();
            }
        }
    }

    /// The next record; `None`: there is none, and `waker` is woken when there may be.
    pub(crate) fn poll(&mut self, listening: &mut Listening, waker: &Waker) -> Result<Option<(u32, usize)>> {
        if let Some(found) = self.found()? {
            return Ok(Some(found));
        }
        self.ring.may_listen("receive from")?;
        self.free()?;
        let ring = self.ring.clone();
        for _ in 0..TRIES {
            if let Some(found) = self.found_or_death()? {
                return Ok(Some(found));
            }
            let ready = || ring.data.header(self.at).load(Ordering::Relaxed) & READY != 0;
            let listens = ring.senders().listen(listening, waker, self.deaths, ready);
            if listens.map_err(|error| explain("receive from", "a ring", error))? {
                return Ok(None);
            }
        }
        waker.wake_by_ref();
        Ok(None)
    }

    pub(crate) fn listening(&self) -> Listening {
        Listening::new(&self.ring.view)
    }

    /// The record that a look has found.
    pub(crate) fn record(&mut self, (at, len): (u32, usize)) -> Record<'_> {
        Record { receiver: self, at, len }
    }

    /// As [`free`](Self::free), now and then; what fails now is tried with the next.
    #[inline(never)]
    fn free_part(&mut self) {
        let _ = self.free();
    }

    /// Tells how far the bytes are free.
    fn free(&mut self) -> Result<()> {
        if self.freed != self.at {
            // Release: pairs with the Acquire in `fit`: we have read what will be overwritten.
            self.ring.head().freed.0.store(self.at, Ordering::Release);
            self.freed = self.at;
            if !self.ring.polling {
                self.ring.receivers().ring().map_err(|error| explain("wake the sender of", "a ring", error))?;
            }
        }
        Ok(())
    }
}

impl Record<'_> {
    /// Leaves it there: the next call gives it again.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Deref for Record<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `look` checked that they lie inside the data; committed, they are ours until we free them; any bytes
        // are u8.
        unsafe { std::slice::from_raw_parts(self.receiver.ring.data.payload(self.at), self.len) }
    }
}

impl Drop for Record<'_> {
    #[inline]
    fn drop(&mut self) {
        let next = self.at.wrapping_add(units_of(self.len));
        let receiver = &mut *self.receiver;
        if !receiver.end.is_ours() {
            return;
        }
        let data = receiver.ring.data;
        receiver.at = next;
        let told = next.wrapping_sub(receiver.freed) <= data.units / 8;
        receiver.ring.head().received.0.store(next, Ordering::Relaxed);
        if !told {
            receiver.free_part();
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("ring", &self.ring).field("at", &self.at).finish_non_exhaustive()
    }
}
