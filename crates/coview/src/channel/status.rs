//! What a channel is doing, seen from outside: nobody joins, locks or writes, and no number is believed unchecked.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::end::{PROCESS_AT, Peer};
use super::{frames, latest, ring};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::{Access, Mapping};
use crate::region::{self, RegionKind};
use crate::view::View;

/// What a channel is doing at one moment. Everything in it was written by other programs, some of it while it was read: a count
/// may be one behind another, and who breaks the protocol can say anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// Frames, a latest value or a ring.
    pub kind: RegionKind,
    /// The number of the newest frame or value; a ring does not count its records.
    pub newest: Option<u64>,
    /// Bytes of a value, or of the newest frames on average.
    pub message_size: Option<u64>,
    /// Bytes for large frames, for values, for records.
    pub capacity: u64,
    /// How many of them are in use: by frames that wait, are kept as history, are read or filled; by records that wait.
    pub used: u64,
    /// The processes that publish, write or send, as far as anybody has noticed their death.
    pub senders: Vec<Peer>,
    /// The subscribers, or the receiver. Readers of a latest value are not known.
    pub receivers: Vec<Receiver>,
    /// How many senders and receivers have died in it.
    pub deaths: (u32, u32),
    /// Of a ring: where the receiver is, in units of 8 bytes.
    pub(super) position: Option<u32>,
}

/// An end that receives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receiver {
    /// Its process.
    pub peer: Peer,
    /// What happens when it is too slow; a ring's receiver gets everything.
    pub policy: frames::Policy,
    /// How many messages are there that it has not taken; of a ring no more than 2^20 are counted.
    pub lag: u64,
    /// How many it did not get.
    pub lost: u64,
}

/// What went through a channel between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Frames published or values set.
    pub messages: Option<u64>,
    /// Their bytes; of frames by the average of the newest. Of a ring, bytes received with the records' headers.
    pub bytes: Option<u64>,
}

impl Channel {
    /// What went through since an earlier look at the same channel.
    pub fn since(&self, earlier: &Channel) -> Traffic {
        let new = |now: u64, then: u64| match self.kind {
            // It counts in 32 bits.
            RegionKind::Latest => u64::from((now as u32).wrapping_sub(then as u32)),
            _ => now.saturating_sub(then),
        };
        let messages = self.newest.zip(earlier.newest).map(|(now, then)| new(now, then));
        let of_ring = self.position.zip(earlier.position).map(|(now, then)| u64::from(now.wrapping_sub(then)) * 8);
        let of_messages = messages.map(|count| count.saturating_mul(self.message_size.unwrap_or(0)));
        Traffic { messages, bytes: of_ring.or(of_messages) }
    }
}

/// What the channel in a mapping is doing; `None` if there is none in it.
pub(crate) fn status(mapping: &Mapping) -> Result<Option<Channel>> {
    let Some((kind, content)) = region::whole_content(mapping)? else { return Ok(None) };
    let look = Look { mapping, content };
    match kind {
        RegionKind::Frames => frames::status(&look).map(Some),
        RegionKind::Latest => latest::status(&look).map(Some),
        RegionKind::Ring => ring::status(&look).map(Some),
        _ => Ok(None),
    }
}

/// Where a channel stands, to be read.
pub(super) struct Look<'a> {
    mapping: &'a Mapping,
    content: Range<u64>,
}

impl Look<'_> {
    /// Bytes of the whole.
    pub(super) fn len(&self) -> u64 {
        self.content.end - self.content.start
    }

    /// Its first bytes.
    pub(super) fn first(&self, len: u64) -> Result<Bytes> {
        if len > self.len() {
            return Err(self.corrupt("it is too small for what it says that it is"));
        }
        let start = self.content.start;
        Ok(Bytes(self.mapping.view_range(Access::Read, start..start + len)?))
    }

    pub(super) fn corrupt(&self, why: &str) -> Error {
        let why = format!("{why}, at offset {}", self.content.start);
        Error::new(ErrorKind::Corrupt, "look at the channel", why).on(&self.mapping.object)
    }
}

/// Numbers out of shared memory. What lies outside is an error, and never read.
pub(super) struct Bytes(View);

impl Bytes {
    pub(super) fn u32(&self, at: usize) -> Result<u32> {
        self.0.load::<AtomicU32>(at, Ordering::Relaxed)
    }

    pub(super) fn u64(&self, at: usize) -> Result<u64> {
        self.0.load::<AtomicU64>(at, Ordering::Relaxed)
    }

    /// Who is at so many ends from here on, with their indices.
    pub(super) fn peers(&self, at: usize, ends: usize) -> Result<Vec<(usize, Peer)>> {
        let mut peers = Vec::new();
        for index in 0..ends {
            match self.u32(at + index * 64 + PROCESS_AT)? {
                0 => {}
                process => peers.push((index, Peer { process })),
            }
        }
        Ok(peers)
    }
}

/// Without their indices.
pub(super) fn unnumbered(peers: Vec<(usize, Peer)>) -> Vec<Peer> {
    peers.into_iter().map(|(_, peer)| peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(kind: RegionKind, newest: Option<u64>, position: Option<u32>) -> Channel {
        let (senders, receivers, message_size) = (Vec::new(), Vec::new(), Some(100));
        Channel { kind, newest, message_size, capacity: 0, used: 0, senders, receivers, deaths: (0, 0), position }
    }

    #[test]
    fn traffic_is_counted_round_the_end_of_the_counters() {
        let frames = |newest| channel(RegionKind::Frames, Some(newest), None);
        let traffic = frames(17).since(&frames(7));
        assert_eq!((traffic.messages, traffic.bytes), (Some(10), Some(1000)));
        assert_eq!(frames(3).since(&frames(7)).messages, Some(0)); // another channel of that name
        let empty = Channel { message_size: None, ..frames(0) };
        assert_eq!(empty.since(&empty).bytes, Some(0));
        let latest = |newest| channel(RegionKind::Latest, Some(newest), None);
        assert_eq!(latest(2).since(&latest(0xffff_fffe)).messages, Some(4));
        let ring = |position| channel(RegionKind::Ring, None, Some(position));
        let traffic = ring(1).since(&ring(u32::MAX));
        assert_eq!((traffic.messages, traffic.bytes), (None, Some(16)));
    }
}
