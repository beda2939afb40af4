//! What a ring is doing, as far as the receiver's position and the records that wait tell.

use std::mem::offset_of;

use super::{End, Head, READY, SENDERS, SKIP, UNIT};
use crate::channel::frames::Policy;
use crate::channel::status::{Bytes, Channel, Look, Receiver, unnumbered};
use crate::error::Result;
use crate::primitive::{Ordering, fence};
use crate::region::RegionKind;

/// The most records that are counted.
const MOST: u64 = 1 << 20;
/// Looks, while receiver and senders go on.
const TRIES: u32 = 4;

pub(in crate::channel) fn status(look: &Look<'_>) -> Result<Channel> {
    let data = size_of::<Head>();
    let capacity = look.first(data as u64)?.u64(0)?;
    if !capacity.is_power_of_two() || !(4096..=1 << 30).contains(&capacity) {
        return Err(look.corrupt("its capacity cannot be"));
    }
    let bytes = look.first(data as u64 + capacity)?;
    let [free_at, received_at] = [offset_of!(Head, freed), offset_of!(Head, received)];
    let (mut position, mut waiting) = (0, (0, 0));
    for _ in 0..TRIES {
        position = bytes.u32(received_at)?;
        waiting = waiting_from(&bytes, position, (capacity / u64::from(UNIT)) as u32)?;
        fence(Ordering::Acquire);
        // Until these bytes are given free nobody writes over them: then all that was seen were records.
        if (bytes.u32(free_at)?.wrapping_sub(position) as i32) <= 0 {
            break;
        }
    }
    let (lag, used) = waiting;
    let receivers = bytes.peers(offset_of!(Head, receiver), 1)?;
    let receiver = |(_, peer)| Receiver { peer, policy: Policy::EveryFrame, lag, lost: 0 };
    Ok(Channel {
        kind: RegionKind::Ring,
        newest: None,
        message_size: used.checked_div(lag),
        capacity,
        used,
        senders: unnumbered(bytes.peers(offset_of!(Head, senders), SENDERS)?),
        receivers: receivers.into_iter().map(receiver).collect(),
        deaths: (bytes.u32(offset_of!(Head, sender_deaths))?, bytes.u32(offset_of!(Head, receiver_deaths))?),
        position: Some(position),
    })
}

/// Records behind a position, and the bytes that they take.
fn waiting_from(bytes: &Bytes, position: u32, units: u32) -> Result<(u64, u64)> {
    let (mut records, mut taken) = (0, 0);
    while records < MOST && taken < units {
        let at = position.wrapping_add(taken) & (units - 1);
        let header = bytes.u64(size_of::<Head>() + at as usize * UNIT as usize)?;
        if header & READY == 0 {
            break;
        }
        let before_end = units - at;
        let record = header & SKIP == 0;
        let takes = if record { (header as u32).div_ceil(UNIT) + 1 } else { before_end };
        if takes > before_end {
            break; // written over meanwhile, or by a peer that breaks the protocol
        }
        (records, taken) = (records + u64::from(record), taken + takes);
    }
    Ok((records, u64::from(taken.min(units)) * u64::from(UNIT)))
}

const _: () = assert!(size_of::<End>() == 64, "as `Bytes::peers` steps");
