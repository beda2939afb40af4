//! What frames are doing, read by the offsets that `docs/format.md` draws.

use super::store::{EVERY, NEWEST, OLDEST, RING_AT};
use super::{PUBLISHERS, Policy, SUBSCRIBERS, Shape};
use crate::channel::status::{Bytes, Channel, Look, Receiver, unnumbered};
use crate::error::Result;
use crate::region::RegionKind;

const DEATHS_AT: usize = 40;
const JOINED_AT: usize = 56;
const NEWEST_AT: usize = 320;
const PUBLISHERS_AT: usize = 1408;
const SUBSCRIBERS_AT: usize = 2432;
const SEATS_AT: usize = 6528;
const SEAT: usize = 256;
const HOLDS_AT: usize = 16;
const LOST_AT: usize = 144;
const ENTRY: usize = 128;
const LEN_BITS: u32 = 48;
const INLINE: u64 = 1 << 63;
const GROWS: u64 = 1 << 62;
/// The newest frames, whose sizes make the average.
const SAMPLE: u64 = 256;

pub(in crate::channel) fn status(look: &Look<'_>) -> Result<Channel> {
    let head = look.first(RING_AT as u64)?;
    let shape = shape(&head)?;
    if !shape.possible(look.len()) {
        return Err(look.corrupt("their sizes cannot be"));
    }
    let bytes = look.first(shape.data())?;
    // Who is where before what is newest: nobody is ahead of it.
    let receivers = receivers(&bytes)?;
    let newest = bytes.u64(NEWEST_AT)?;
    let seen = |(cursor, receiver): (u64, Receiver)| Receiver {
        lag: newest.saturating_add(1).saturating_sub(cursor),
        ..receiver
    };
    Ok(Channel {
        kind: RegionKind::Frames,
        newest: Some(newest),
        message_size: average(&bytes, shape, newest)?,
        capacity: shape.slots * shape.stride,
        used: slots_in_use(&bytes, shape)? * shape.stride,
        senders: unnumbered(bytes.peers(PUBLISHERS_AT, PUBLISHERS)?),
        receivers: receivers.into_iter().map(seen).collect(),
        deaths: (bytes.u32(DEATHS_AT)?, bytes.u32(DEATHS_AT + 4)?),
        position: None,
    })
}

fn shape(head: &Bytes) -> Result<Shape> {
    let number = |at| head.u32(at).map(u64::from);
    Ok(Shape {
        slot: head.u64(0)?,
        stride: head.u64(8)?,
        unit: head.u64(16)?,
        slots: number(24)?,
        entries: number(28)?,
        history: number(32)?,
        one: number(36)? != 0,
    })
}

/// Who sits where, and the next frame that each takes.
fn receivers(bytes: &Bytes) -> Result<Vec<(u64, Receiver)>> {
    let joined = bytes.u64(JOINED_AT)?;
    let mut receivers = Vec::new();
    for (seat, peer) in bytes.peers(SUBSCRIBERS_AT, SUBSCRIBERS)? {
        let at = SEATS_AT + seat * SEAT;
        let policy = match bytes.u32(at + 8)? {
            EVERY => Policy::EveryFrame,
            OLDEST => Policy::DropOldest,
            NEWEST => Policy::NewestOnly,
            _ => continue,
        };
        if joined & 1 << seat != 0 {
            receivers.push((bytes.u64(at)?, Receiver { peer, policy, lag: 0, lost: bytes.u64(at + LOST_AT)? }));
        }
    }
    Ok(receivers)
}

/// What an entry says of frame `number`, if it is still that frame's: its length, and its place in high bits.
fn told(bytes: &Bytes, shape: Shape, number: u64) -> Result<Option<(u64, u64)>> {
    let at = RING_AT + (number & (shape.entries - 1)) as usize * ENTRY;
    let before = bytes.u64(at)?;
    let what = bytes.u64(at + 8)?;
    let same = before >> 1 == number && bytes.u64(at)? >> 1 == number;
    Ok(same.then_some((what, before & 1)))
}

/// The size of the newest frames, on average. That of a frame that is no longer there still stands in its entry.
fn average(bytes: &Bytes, shape: Shape, newest: u64) -> Result<Option<u64>> {
    let (mut frames, mut total) = (0, 0);
    for number in newest.saturating_sub(SAMPLE.min(shape.entries) - 1).max(1)..=newest {
        if let Some((what, _)) = told(bytes, shape, number)? {
            let len = what & ((1 << LEN_BITS) - 1);
            (frames, total) = (frames + 1, total + len.min(shape.slot));
        }
    }
    Ok((frames != 0).then(|| total / frames))
}

/// Slots that a publisher fills, a subscriber reads or an entry tells of.
fn slots_in_use(bytes: &Bytes, shape: Shape) -> Result<u64> {
    let first = RING_AT + shape.entries as usize * ENTRY;
    let joined = bytes.u64(JOINED_AT)?;
    let mut used = 0;
    for slot in 0..shape.slots {
        let at = first + slot as usize * 64;
        let frame = bytes.u64(at)?;
        let tells = |(what, gone): (u64, u64)| gone == 0 && what & INLINE == 0 && (what & !GROWS) >> LEN_BITS == slot;
        let waits = frame != 0 && told(bytes, shape, frame)?.is_some_and(tells);
        let held = HOLDS_AT + slot as usize / 64 * 8;
        let mut read = false;
        for seat in (0..SUBSCRIBERS).filter(|seat| joined & 1 << seat != 0) {
            read |= bytes.u64(SEATS_AT + seat * SEAT + held)? & 1 << (slot % 64) != 0;
        }
        used += u64::from(waits || read || bytes.u32(at + 8)? != 0);
    }
    Ok(used)
}
