//! The receiving end of a ring.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::{READY, SKIP, SPINS, Shared, UNIT, units_of};
use crate::channel::end::{Attached, Peer, died};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::Ordering;
use crate::shared::prefetch;
use crate::sys::wait::Deadline;

/// Pauses, each some tens of cycles, for a sender that writes without a pause.
const LAG: u32 = 16;
/// Units that a sender writes in that time if it does.
const STREAM: u32 = 32;
/// Records that come one by one, before the next try whether they come without a pause.
const ALONE: u32 = 256;
/// Units that are asked for ahead.
const AHEAD: u32 = 128;
/// Looks in vain before a receiver that only polls asks whether something is wrong.
const GLANCES: u32 = 4096;

/// The end that receives. Dropped, the end is free for another, who goes on where this one was.
pub struct Receiver {
    ring: Shared,
    _end: Attached,
    /// The next record.
    at: u32,
    /// How far we have told that the bytes are free.
    freed: u32,
    /// How far records are known to be committed, or our position.
    tail: u32,
    /// Looks in vain since the last record.
    misses: u32,
    /// The sender writes without a pause.
    streaming: bool,
    /// Records for which we take it that it does not.
    alone: u32,
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

/// What a look at the next record shows.
enum Look {
    Record(u32, usize),
    Nothing,
    /// What only the longer way tells.
    Ask,
}

/// The length that a header at a position says, if that is possible: a peer may have written anything there.
#[inline]
fn possible(ring: &Shared, at: u32, header: u64) -> Option<usize> {
    let len = header as u32 as usize;
    let fits = len <= ring.capacity as usize / 2 && units_of(len) <= ring.before_end(at);
    (fits && header & SKIP == 0).then_some(len)
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
        let (at, freed) = (head.front.received.load(Ordering::Relaxed), head.front.free.word().state());
        if at.wrapping_sub(freed) > ring.units() {
            return Err(ring.corrupt("less was received than is free", at));
        }
        Ok(Receiver { ring, _end: end, at, freed, tail: at, misses: 0, streaming: false, alone: 0, deaths })
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
            Look::Record(at, len) => (at, len),
            _ => loop {
                if let Some(found) = self.wait(None)? {
                    break found;
                }
            },
        };
        Ok(Record { receiver: self, at, len })
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
            Look::Record(at, len) => Some((at, len)),
            Look::Nothing if timeout == Duration::ZERO && !self.misses.is_multiple_of(GLANCES) => None,
            _ => self.wait(Some(timeout))?,
        };
        Ok(found.map(|(at, len)| Record { receiver: self, at, len }))
    }

    /// Gives every record that is there now to `each`, in place; how many there were.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> Result<usize> {
        let mut count = 0;
        self.ask_tail()?;
        while self.at != self.tail {
            let (at, len) = self.committed()?;
            each(&Record { receiver: self, at, len });
            count += 1;
        }
        self.free()?;
        Ok(count)
    }

    /// The record at our position, if it is committed.
    ///
    /// Alone it is told by its header, which comes in the same cache line as its bytes; the tail is left alone, so that
    /// the sender keeps its line. When records come so fast that the header's line is torn to and fro, the tail tells of
    /// many at once.
    #[inline]
    fn look(&mut self) -> Look {
        let ring = &self.ring;
        let header = if self.at != self.tail {
            if self.tail.wrapping_sub(self.at) > AHEAD {
                // The length says where the next record is: without this, each would be waited for in turn.
                prefetch(ring.payload(self.at.wrapping_add(AHEAD)));
            }
            ring.header(self.at).load(Ordering::Relaxed)
        } else if self.streaming {
            return Look::Ask;
        } else {
            let header = ring.header(self.at).load(Ordering::Acquire); // pairs with the Release in `publish`
            if header & READY == 0 {
                self.misses = self.misses.wrapping_add(1);
                return Look::Nothing;
            }
            self.streaming = self.alone == 0;
            self.alone = self.alone.saturating_sub(1);
            self.misses = 0;
            header
        };
        match possible(ring, self.at, header) {
            Some(len) => Look::Record(self.at, len),
            None => Look::Ask,
        }
    }

    /// Where the committed record at our position is, and its length.
    fn committed(&self) -> Result<(u32, usize)> {
        let ring = &self.ring;
        let mut at = self.at;
        let mut header = ring.header(at).load(Ordering::Relaxed);
        if header & SKIP != 0 {
            at = at.wrapping_add(ring.before_end(at));
            header = ring.header(at).load(Ordering::Relaxed);
        }
        match possible(ring, at, header) {
            Some(len) => Ok((at, len)),
            None => Err(ring.corrupt("a record has no possible length", at)),
        }
    }

    /// Lets the sender get ahead, and sees how far it has got. If that is not far, it is not tried again for some time.
    fn lag(&mut self) -> Result<()> {
        for _ in 0..LAG {
            std::hint::spin_loop();
        }
        self.ask_tail()?;
        let come = self.tail.wrapping_sub(self.at);
        for ahead in (0..come.min(AHEAD)).step_by(64 / UNIT as usize) {
            prefetch(self.ring.payload(self.at.wrapping_add(ahead)));
        }
        self.streaming = come >= STREAM;
        self.alone = if self.streaming { 0 } else { ALONE };
        Ok(())
    }

    /// How far records are committed. Where a sender died before it could say so in the header, only this tells.
    fn ask_tail(&mut self) -> Result<()> {
        // Acquire: pairs with the Release in `announce`.
        let tail = self.ring.head().tail.0.word().state();
        if tail.wrapping_sub(self.at) > self.ring.units() {
            return Err(self.ring.corrupt("the receiver is ahead of the sender", self.at));
        }
        self.tail = tail;
        Ok(())
    }

    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<(u32, usize)>> {
        if self.streaming {
            self.lag()?;
        }
        if self.at == self.tail && self.ring.header(self.at).load(Ordering::Acquire) & READY == 0 {
            self.sleep(timeout)?;
            if self.at == self.tail {
                return Ok(None);
            }
        }
        self.committed().map(Some)
    }

    /// Waits until the tail is ahead of us: looks for a while, then sleeps. Else the time is over.
    #[cold]
    fn sleep(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.free()?;
        let ring = self.ring.clone();
        let head = ring.head();
        let until = Deadline::after(timeout);
        loop {
            self.ask_tail()?;
            if self.at != self.tail {
                return Ok(());
            }
            let deaths = head.sender_deaths.load(Ordering::Relaxed);
            if deaths != std::mem::replace(&mut self.deaths, deaths) {
                return Err(died("receive from", "sender"));
            }
            for _ in 0..if timeout == Some(Duration::ZERO) { 0 } else { SPINS } {
                if ring.header(self.at).load(Ordering::Relaxed) & READY != 0 {
                    break;
                }
                std::hint::spin_loop();
            }
            let here = self.at;
            let slept = ring.senders().sleep(until, deaths, ring.polling, |tail| tail != here);
            if !slept.map_err(|error| explain("receive from", "a ring", error))? {
                return Ok(());
            }
        }
    }

    /// Tells how far the bytes are free.
    fn free(&mut self) -> Result<()> {
        if self.freed != self.at {
            self.ring.announce(&self.ring.head().front.free, self.at)?;
            self.freed = self.at;
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
        unsafe { std::slice::from_raw_parts(self.receiver.ring.payload(self.at), self.len) }
    }
}

impl Drop for Record<'_> {
    #[inline]
    fn drop(&mut self) {
        let receiver = &mut *self.receiver;
        let known = receiver.at != receiver.tail;
        receiver.at = self.at.wrapping_add(units_of(self.len));
        if !known {
            receiver.tail = receiver.at;
        }
        receiver.ring.head().front.received.store(receiver.at, Ordering::Relaxed);
        if receiver.at.wrapping_sub(receiver.freed) > receiver.ring.units() / 8 {
            let _ = receiver.free(); // else with the next
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("ring", &self.ring).field("at", &self.at).finish_non_exhaustive()
    }
}
