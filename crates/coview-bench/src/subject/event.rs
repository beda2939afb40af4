//! What it costs to wake somebody: a round trip of signals between two processes that sleep.

use super::{Bar, Bound, By, Contender, Figure, Note, Pace, Subject, placed, sleeps, time, unique};
use crate::Result;
use crate::bare::word::Futex;
use crate::link::{Link, round_trip};
use crate::rival::iceoryx;
use crate::rival::kernel::Descriptors;
use crate::stats::Unit;

const NAMED: &str = "coview named Event";
const PLACED: &str = "coview placed Event";
const FUTEX: &str = "bare futex";
const ICEORYX: &str = "iceoryx2 event";

pub(super) fn subject() -> Subject {
    let bar = |name, ours, than, bound| Bar { name, figure: 0, ours, than, by: By::Ratio, bound };
    Subject {
        name: "event",
        title: "round trip of signals, both sides asleep",
        pace: Pace::Asleep,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: Some(Note { heading: "sleeps a round trip", of: sleeps }),
        yardstick: FUTEX,
        contenders: vec![
            Contender::new(NAMED, || Ok(round_trip(Named::new(), Named::new()))),
            Contender::new(PLACED, || Ok(round_trip(Placed(placed()?), Placed(placed()?)))),
            Contender::new(FUTEX, || Ok(round_trip(Futex::<0>::new()?, Futex::new()?))),
            Contender::new("eventfd", || Ok(round_trip::<1>(Descriptors::eventfd()?, Descriptors::eventfd()?))),
            Contender::new("pipe", || Ok(round_trip::<1>(Descriptors::pipe()?, Descriptors::pipe()?))),
            Contender::new(ICEORYX, || Ok(round_trip(iceoryx::Event::new()?, iceoryx::Event::new()?))),
        ],
        bars: vec![
            bar("event_to_futex", NAMED, FUTEX, Bound::AtMost(1.15)),
            bar("event_to_iceoryx2", NAMED, ICEORYX, Bound::AtMost(0.65)),
            bar("event_to_futex_placed", PLACED, FUTEX, Bound::AtMost(1.15)),
            bar("event_to_iceoryx2_placed", PLACED, ICEORYX, Bound::AtMost(0.65)),
        ],
    }
}

#[derive(Clone)]
struct Named(String);

impl Named {
    fn new() -> Named {
        Named(unique("event"))
    }

    fn open(&self) -> Result<coview::Event> {
        Ok(coview::EventOptions::new().open_or_create(&self.0)?.0)
    }
}

impl Link<0> for Named {
    fn sender(self) -> Result<impl FnMut(&[u64; 0]) + 'static> {
        let event = self.open()?;
        Ok(move |_: &[u64; 0]| event.set().expect("set"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; 0] + 'static> {
        let event = self.open()?;
        Ok(move || {
            event.wait().expect("wait");
            []
        })
    }
}

#[derive(Clone)]
struct Placed(&'static coview::sync::Event);

impl Link<0> for Placed {
    fn sender(self) -> Result<impl FnMut(&[u64; 0]) + 'static> {
        Ok(move |_: &[u64; 0]| self.0.set().expect("set"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; 0] + 'static> {
        Ok(move || {
            self.0.wait().expect("wait");
            []
        })
    }
}
