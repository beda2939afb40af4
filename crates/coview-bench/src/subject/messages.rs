//! What it costs to pass messages: there and back, polling or asleep, and one way as fast as they go.

use super::{Bar, Bound, By, Contender, Figure, Note, Pace, Subject, rate_of, sleeps, time};
use crate::bare::queue::Queue;
use crate::bare::ring::Ring;
use crate::bare::word::{Futex, Polled, ping_pong};
use crate::link::{one_way, round_trip};
use crate::ours::{self, Frames, Waiting};
use crate::rival::IpcChannel;
use crate::rival::iceoryx::{PubSub, Waking};
use crate::rival::kernel::Descriptors;
use crate::stats::Unit;

pub(super) fn subjects() -> Vec<Subject> {
    vec![polling(), blocking(), stream()]
}

fn polled() -> Frames {
    Frames::new(Waiting::Polling)
}

fn polling() -> Subject {
    let yardstick = "cache line, one a direction";
    let bar = |name, ours| Bar { name, figure: 0, ours, than: yardstick, by: By::Ratio, bound: Bound::AtMost(1.35) };
    let frames =
        |name, ours, than, most| Bar { name, figure: 0, ours, than, by: By::Ratio, bound: Bound::AtMost(most) };
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
            Contender::new("coview frames, 8 B", || Ok(round_trip::<1>(polled(), polled()))),
            Contender::new("coview frames, 64 B", || Ok(round_trip::<8>(polled(), polled()))),
            Contender::new("coview frames, 1 KiB", || Ok(round_trip::<128>(polled(), polled()))),
            Contender::new("cache line, the same for both", || ping_pong(true)),
            Contender::new(yardstick, || ping_pong(false)),
            Contender::new("word and 8 B beside it", || Ok(round_trip(Polled::<1>::new()?, Polled::new()?))),
            Contender::new("word and 64 B beside it", || Ok(round_trip(Polled::<8>::new()?, Polled::new()?))),
            Contender::new("iceoryx2, 8 B", || Ok(round_trip::<1>(PubSub::new(2)?, PubSub::new(2)?))),
            Contender::new("iceoryx2, 64 B", || Ok(round_trip::<8>(PubSub::new(2)?, PubSub::new(2)?))),
            Contender::new("iceoryx2, 1 KiB", || Ok(round_trip::<128>(PubSub::new(2)?, PubSub::new(2)?))),
        ],
        bars: vec![
            bar("ring_round_trip_8B", "coview ring, 8 B"),
            bar("ring_round_trip_64B", "coview ring, 64 B"),
            frames("frames_round_trip_8B", "coview frames, 8 B", "iceoryx2, 8 B", 0.45),
            frames("frames_round_trip_64B", "coview frames, 64 B", "iceoryx2, 64 B", 0.45),
            frames("frames_round_trip_1KiB", "coview frames, 1 KiB", "iceoryx2, 1 KiB", 0.8),
        ],
    }
}

fn blocking() -> Subject {
    let (yardstick, iceoryx) = ("bare futex and 64 B", "iceoryx2, publish + event");
    let (ring, frames) = ("coview ring", "coview frames");
    let bar = |name, ours, than, bound| Bar { name, figure: 0, ours, than, by: By::Ratio, bound };
    Subject {
        name: "blocking",
        title: "round trip of 64 B, both sides asleep",
        pace: Pace::Asleep,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: Some(Note { heading: "sleeps a round trip", of: sleeps }),
        yardstick,
        contenders: vec![
            Contender::new(ring, || Ok(round_trip::<8>(ours::Ring::new(false), ours::Ring::new(false)))),
            Contender::new(frames, || Ok(round_trip::<8>(Frames::new(Waiting::Asleep), Frames::new(Waiting::Asleep)))),
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
            bar("ring_blocking_to_futex", ring, yardstick, Bound::AtMost(1.15)),
            bar("ring_blocking_to_iceoryx2", ring, iceoryx, Bound::AtMost(0.65)),
            bar("frames_blocking_to_futex", frames, yardstick, Bound::AtMost(1.2)),
            bar("frames_blocking_to_iceoryx2", frames, iceoryx, Bound::AtMost(0.65)),
        ],
    }
}

fn stream() -> Subject {
    let yardstick = "ring by hand";
    let bar = |name, ours, bound| Bar { name, figure: 0, ours, than: yardstick, by: By::Ratio, bound };
    let frames = |name, ours| Bar { than: "iceoryx2", ..bar(name, ours, Bound::AtLeast(10.0)) };
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
            Contender::new("coview frames, polling", || Ok(one_way::<8>(polled()))),
            Contender::new("coview frames", || Ok(one_way::<8>(Frames::new(Waiting::Asleep)))),
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
            frames("frames_one_way_polling", "coview frames, polling"),
            frames("frames_one_way_sleepers", "coview frames"),
        ],
    }
}
