//! What it costs to open what is there by name: a region, and a ring with its receiver, beside a mapping alone.

use coview::ring::{Ring, RingOptions};
use coview::{Access, Mapping, Region};

use super::{Bar, Bound, By, Contender, Figure, Pace, Subject, time, unique};
use crate::Result;
use crate::pair::{Sides, Turn};
use crate::stats::Unit;

const MAPPING: &str = "coview Mapping, open";
const REGION: &str = "coview Region, open";
const RING: &str = "coview Ring, open + receiver";

pub(super) fn subject() -> Subject {
    let bar = |name, ours| Bar { name, figure: 0, ours, than: MAPPING, by: By::Micros, bound: Bound::AtMost(20.0) };
    Subject {
        name: "attach",
        title: "open what another has made, and close it",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick: MAPPING,
        contenders: vec![
            Contender::new(MAPPING, || opened(|name| drop(Mapping::open(name, Access::ReadWrite).expect("open")))),
            Contender::new(REGION, region),
            Contender::new(RING, || {
                opened(|name| drop(Ring::open(name).and_then(|ring| ring.receiver()).expect("receiver")))
            }),
        ],
        bars: vec![bar("attach", RING), bar("attach_region", REGION)],
    }
}

/// Opens a ring that this process holds too.
fn opened(mut open: impl FnMut(&str) + 'static) -> Result<Sides> {
    let name = unique("attach");
    Ok(Sides::alone(move || {
        let held = RingOptions::new().create(&name)?;
        Ok(move |turn: &Turn| {
            let _ = &held;
            turn.repeat(|| open(&name))
        })
    }))
}

fn region() -> Result<Sides> {
    let name = unique("region");
    Ok(Sides::alone(move || {
        let held = Region::create(&name, &[0u64; 8])?;
        Ok(move |turn: &Turn| {
            let _ = &held;
            turn.repeat(|| drop(Region::<[u64; 8]>::open(&name).expect("open")))
        })
    }))
}
