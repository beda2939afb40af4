//! What it costs to read the newest value of 64 bytes: the writer idle, and the writer flat out.

use super::{Bar, Bound, By, Contender, Figure, Pace, Subject, rate_of, time};
use crate::bare::seqlock::Seqlock;
use crate::link::{busy, idle};
use crate::ours::Newest;
use crate::rival::iceoryx::Blackboard;
use crate::stats::Unit;

pub(super) fn subjects() -> Vec<Subject> {
    let (ours, yardstick) = ("coview Latest", "iceoryx2 blackboard");
    let bar = |name, figure, bound| Bar { name, figure, ours, than: yardstick, by: By::Ratio, bound };
    vec![
        Subject {
            name: "latest",
            title: "read of the newest 64 B, the writer idle",
            pace: Pace::Calls,
            figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
            note: None,
            yardstick,
            contenders: vec![
                Contender::new(ours, || Ok(idle(Newest::new()))),
                Contender::new("seqlock by hand, 1 slot", || Ok(idle(Seqlock::<1>::new()?))),
                Contender::new("seqlock by hand, 4 slots", || Ok(idle(Seqlock::<4>::new()?))),
                Contender::new(yardstick, || Ok(idle(Blackboard::new()?))),
            ],
            bars: vec![bar("latest_read_idle", 0, Bound::AtMost(0.3))],
        },
        Subject {
            name: "latest_busy",
            title: "the newest 64 B, reader and writer flat out",
            pace: Pace::Time,
            figures: vec![
                Figure { name: "reads", unit: Unit::Rate, of: |reading| rate_of(reading.near) },
                Figure { name: "writes", unit: Unit::Rate, of: |reading| rate_of(reading.far) },
            ],
            note: None,
            yardstick,
            contenders: vec![
                Contender::new(ours, || Ok(busy(Newest::new()))),
                Contender::new("seqlock by hand, 1 slot", || Ok(busy(Seqlock::<1>::new()?))),
                Contender::new("seqlock by hand, 4 slots", || Ok(busy(Seqlock::<4>::new()?))),
                Contender::new(yardstick, || Ok(busy(Blackboard::new()?))),
            ],
            bars: vec![
                bar("latest_reads_busy", 0, Bound::AtLeast(1.5)),
                bar("latest_writes_busy", 1, Bound::AtLeast(1.5)),
            ],
        },
    ]
}
