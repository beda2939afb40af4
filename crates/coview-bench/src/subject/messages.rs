//! What it costs to pass messages: there and back, polling or asleep, and one way as fast as they go.

use super::{Bar, Bound, By, Contender, Figure, Note, Pace, Subject, rate_of, sleeps, time};
use crate::bare::queue::Queue;
use crate::bare::ring::Ring;
use crate::bare::word::{Futex, Polled, ping_pong};
use crate::link::{one_way, round_trip};
use crate::ours;
use crate::rival::IpcChannel;
use crate::rival::iceoryx::{PubSub, Waking};
use crate::rival::kernel::Descriptors;
use crate::stats::Unit;

pub(super) fn subjects() -> Vec<Subject> {
    vec![polling(), blocking(), stream()]
}

fn polling() -> Subject {
    let yardstick = "cache line, one a direction";
    let bar = |name, ours| Bar { name, figure: 0, ours, than: yardstick, by: By::Ratio, bound: Bound::AtMost(1.35) };
    Subject {
        name: "round_trip",
        title: "round trip of a message, both sides polling",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new("coview ring, 8 B", || Ok(round_trip::<1>(ours::Ring::new(true), ours::Ring::new(true)))),
            Contender::new("coview ring, 64 B", || Ok(round_trip::<8>(ours::Ring::new(true), ours::Ring::new(true)))),
            Contender::new("cache line, the same for both", || ping_pong(true)),
            Contender::new(yardstick, || ping_pong(false)),
            Contender::new("word and 8 B beside it", || Ok(round_trip(Polled::<1>::new()?, Polled::new()?))),
            Contender::new("word and 64 B beside it", || Ok(round_trip(Polled::<8>::new()?, Polled::new()?))),
            Contender::new("iceoryx2, 8 B", || Ok(round_trip::<1>(PubSub::new(2)?, PubSub::new(2)?))),
            Contender::new("iceoryx2, 64 B", || Ok(round_trip::<8>(PubSub::new(2)?, PubSub::new(2)?))),
        ],
        bars: vec![bar("ring_round_trip_8B", "coview ring, 8 B"), bar("ring_round_trip_64B", "coview ring, 64 B")],
    }
}

fn blocking() -> Subject {
    let (yardstick, iceoryx) = ("bare futex and 64 B", "iceoryx2, publish + event");
    let bar = |name, than, bound| Bar { name, figure: 0, ours: "coview ring", than, by: By::Ratio, bound };
    Subject {
        name: "blocking",
        title: "round trip of 64 B, both sides asleep",
        pace: Pace::Asleep,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: Some(Note { heading: "sleeps a round trip", of: sleeps }),
        yardstick,
        contenders: vec![
            Contender::new("coview ring", || Ok(round_trip::<8>(ours::Ring::new(false), ours::Ring::new(false)))),
            Contender::new(yardstick, || Ok(round_trip(Futex::<8>::new()?, Futex::new()?))),
            Contender::new("pipe", || Ok(round_trip::<8>(Descriptors::pipe()?, Descriptors::pipe()?))),
            Contender::new("Unix socket, stream", || {
                Ok(round_trip::<8>(Descriptors::stream()?, Descriptors::stream()?))
            }),
            Contender::new("Unix socket, seqpacket", || {
                Ok(round_trip::<8>(Descriptors::seqpacket()?, Descriptors::seqpacket()?))
            }),
            Contender::new("POSIX message queue", || Ok(round_trip(Queue::<8>::new()?, Queue::new()?))),
            Contender::new(iceoryx, || Ok(round_trip::<8>(Waking::new()?, Waking::new()?))),
            Contender::new("ipc-channel", || Ok(round_trip::<8>(IpcChannel::new()?, IpcChannel::new()?))),
        ],
        bars: vec![
            bar("ring_blocking_to_futex", yardstick, Bound::AtMost(1.15)),
            bar("ring_blocking_to_iceoryx2", iceoryx, Bound::AtMost(0.65)),
        ],
    }
}

fn stream() -> Subject {
    let yardstick = "ring by hand";
    let bar = |name, ours, bound| Bar { name, figure: 0, ours, than: yardstick, by: By::Ratio, bound };
    Subject {
        name: "one_way",
        title: "64 B messages, one way",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Rate, of: |reading| rate_of(reading.far) }],
        note: Some(Note { heading: "sleeps a message", of: sleeps }),
        yardstick,
        contenders: vec![
            Contender::new("coview ring, polling", || Ok(one_way::<8>(ours::Ring::new(true)))),
            Contender::new("coview ring", || Ok(one_way::<8>(ours::Ring::new(false)))),
            Contender::new(yardstick, || Ok(one_way(Ring::<8>::new(1)?))),
            Contender::new("ring by hand, 32 at once", || Ok(one_way(Ring::<8>::new(32)?))),
            Contender::new("iceoryx2", || Ok(one_way::<8>(PubSub::new(64)?))),
            Contender::new("pipe", || Ok(one_way::<8>(Descriptors::pipe()?))),
            Contender::new("Unix socket, stream", || Ok(one_way::<8>(Descriptors::stream()?))),
            Contender::new("Unix socket, seqpacket", || Ok(one_way::<8>(Descriptors::seqpacket()?))),
            Contender::new("POSIX message queue", || Ok(one_way(Queue::<8>::new()?))),
            Contender::new("ipc-channel", || Ok(one_way::<8>(IpcChannel::new()?))),
        ],
        bars: vec![
            bar("ring_one_way_polling", "coview ring, polling", Bound::AtLeast(0.8)),
            bar("ring_one_way_sleepers", "coview ring", Bound::AtLeast(0.4)),
        ],
    }
}
