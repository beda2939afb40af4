//! What frames cost beyond a message: large ones, many subscribers, and setting them up.

use coview::frames::{FramesOptions, Policy, SUBSCRIBER_SIZE};

use super::{Bar, Bound, By, Contender, Figure, Pace, Subject, time, unique};
use crate::Result;
use crate::bare::memory::Shelf;
use crate::link::pictures;
use crate::ours::{Growing, Pictures};
use crate::pair::{Sides, Turn};
use crate::rival::iceoryx::{self, Slices};
use crate::stats::Unit;

pub(super) fn subjects() -> Vec<Subject> {
    vec![large(), fan(), set_up()]
}

fn large() -> Subject {
    let yardstick = "memcpy here, read there";
    let [untouched, whole, growing] = ["coview frames, untouched", "coview frames", "coview frames, read while filled"];
    let [their_untouched, theirs] = ["iceoryx2, untouched", "iceoryx2"];
    let bar = |name, ours, than, most| Bar { name, figure: 0, ours, than, by: By::Ratio, bound: Bound::AtMost(most) };
    Subject {
        name: "frames_large",
        title: "round trip of 3 MiB, filled and read, both sides polling",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new(untouched, || Ok(pictures(Pictures::new(0), Pictures::new(0), false))),
            Contender::new(their_untouched, || Ok(pictures(Slices::new()?, Slices::new()?, false))),
            Contender::new(whole, || Ok(pictures(Pictures::new(0), Pictures::new(0), true))),
            // As they are if nobody says otherwise: the newest frame stays for who comes late.
            Contender::new("coview frames, history of 1", || Ok(pictures(Pictures::new(1), Pictures::new(1), true))),
            Contender::new(growing, || Ok(pictures(Growing::new(), Growing::new(), true))),
            Contender::new(theirs, || Ok(pictures(Slices::new()?, Slices::new()?, true))),
            Contender::new(yardstick, || Ok(pictures(Shelf::new()?, Shelf::new()?, true))),
        ],
        bars: vec![
            bar("frames_3MiB_untouched", untouched, their_untouched, 0.6),
            bar("frames_3MiB", whole, theirs, 1.0),
            // As much as 0.9 of what the hand-over allows.
            bar("frames_3MiB_to_limit", whole, yardstick, 1.0 / 0.9),
            bar("frames_3MiB_growing", growing, theirs, 0.7),
        ],
    }
}

/// How the time to publish to so many subscribers grows, all of which take it.
fn fan() -> Subject {
    let yardstick = "coview frames, 1 subscriber";
    let title = format!(
        "publish 64 B to so many subscribers, and all take it, in one process; each has {SUBSCRIBER_SIZE} B of shared memory"
    );
    Subject {
        name: "frames_fan",
        title: Box::leak(title.into_boxed_str()),
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new(yardstick, || Ok(fan_of(1))),
            Contender::new("coview frames, 2", || Ok(fan_of(2))),
            Contender::new("coview frames, 8", || Ok(fan_of(8))),
            Contender::new("coview frames, 64", || Ok(fan_of(64))),
            Contender::new("iceoryx2, 1 subscriber", || iceoryx::fan_of(1)),
            Contender::new("iceoryx2, 2", || iceoryx::fan_of(2)),
            Contender::new("iceoryx2, 8", || iceoryx::fan_of(8)),
            Contender::new("iceoryx2, 64", || iceoryx::fan_of(64)),
        ],
        bars: vec![],
    }
}

/// One process publishes, and its subscribers take it: the work alone, without the way between two processors.
fn fan_of(subscribers: usize) -> Sides {
    let name = unique("fan");
    Sides::alone(move || {
        let frames = FramesOptions::new().create::<[u64; 8]>(&name)?;
        let publisher = frames.publisher()?;
        let ends =
            (0..subscribers).map(|_| frames.subscriber(Policy::EveryFrame)).collect::<coview::Result<Vec<_>>>()?;
        let mut count = 0;
        Ok(move |turn: &Turn| {
            turn.repeat(|| {
                count += 1;
                publisher.send(&[count; 8]).expect("send");
                for end in &ends {
                    assert_eq!(end.try_receive().expect("receive").map(|frame| frame[7]), Some(count));
                }
            })
        })
    })
}

fn set_up() -> Subject {
    let (ours, yardstick) = ("coview frames, publisher, subscriber", "iceoryx2 node, service, ports");
    Subject {
        name: "frames_setup",
        title: "make a channel of 64 B frames with a publisher and a subscriber, and take it down",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new(ours, || alone(|| Ok(make))),
            Contender::new(yardstick, || alone(iceoryx::set_up)),
        ],
        bars: vec![Bar {
            name: "frames_setup",
            figure: 0,
            ours,
            than: yardstick,
            by: By::Ratio,
            bound: Bound::AtMost(0.1),
        }],
    }
}

fn alone<W: FnMut() + 'static>(open: impl FnOnce() -> Result<W> + 'static) -> Result<Sides> {
    Ok(Sides::alone(|| {
        let mut work = open()?;
        Ok(move |turn: &Turn| turn.repeat(&mut work))
    }))
}

fn make() {
    let frames = FramesOptions::new().create::<[u64; 8]>(&unique("setup")).expect("create");
    let subscriber = frames.subscriber(Policy::EveryFrame).expect("subscriber");
    drop((frames.publisher().expect("publisher"), subscriber));
}
