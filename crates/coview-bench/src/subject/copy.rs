//! What the memory gives: copying into a warm shared mapping.

use super::{Contender, Figure, Pace, Subject, rate_of};
use crate::Result;
use crate::bare::memory::Copier;
use crate::pair::{Sides, Turn};
use crate::stats::Unit;

pub(super) fn subject() -> Subject {
    let yardstick = "memcpy, 1 MiB";
    Subject {
        name: "copy",
        title: "copying into shared memory",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Bytes, of: |reading| rate_of(reading.near) }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new("memcpy, 4 KiB", || memcpy(4 << 10)),
            Contender::new("memcpy, 64 KiB", || memcpy(64 << 10)),
            Contender::new(yardstick, || memcpy(1 << 20)),
            Contender::new("memcpy, 3 MiB", || memcpy(3 << 20)),
        ],
        bars: vec![],
    }
}

fn memcpy(size: usize) -> Result<Sides> {
    let mut copier = Copier::new(size)?;
    Ok(Sides::alone(move || Ok(move |turn: &Turn| turn.repeat(|| copier.copy()) * size as u64)))
}
