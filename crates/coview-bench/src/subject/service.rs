//! What it costs to ask and be answered.

use coview::service::Service;

use super::{Bar, Bound, By, Contender, Figure, Pace, Subject, time, unique};
use crate::Result;
use crate::bare::word::ping_pong;
use crate::pair::{Sides, Turn};
use crate::rival::request;
use crate::stats::Unit;

pub(super) fn subject() -> Subject {
    let (yardstick, ours) = ("iceoryx2, 8 B", "coview service, 8 B");
    Subject {
        name: "request",
        title: "a request and its response, both sides polling",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new(ours, || Ok(calls::<1>())),
            Contender::new("coview service, 64 B", || Ok(calls::<8>())),
            Contender::new("coview service, 1 KiB", || Ok(calls::<128>())),
            Contender::new(yardstick, request::calls),
            Contender::new("cache line, one a direction", || ping_pong(false)),
        ],
        bars: vec![Bar {
            name: "request_8B",
            figure: 0,
            ours,
            than: yardstick,
            by: By::Ratio,
            bound: Bound::AtMost(0.5),
        }],
    }
}

type Echo<const N: usize> = Service<[u64; N], [u64; N]>;

fn open<const N: usize>(name: &str) -> Result<Echo<N>> {
    Ok(coview::service::ServiceOptions::new().open_or_create(name)?)
}

/// A client that asks, and a server that answers with what it was asked; both poll.
fn calls<const N: usize>() -> Sides {
    let name = unique("service");
    let far = name.clone();
    Sides::both(
        move || {
            let client = open::<N>(&name)?.client()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    let mut pending = client.send(&[count; N]).expect("send");
                    let response = loop {
                        match pending.try_receive().expect("receive") {
                            Ok(response) => break response,
                            Err(still) => pending = still,
                        }
                    };
                    assert_eq!(response[N - 1], count, "another answer came back");
                })
            })
        },
        move || {
            let server = open::<N>(&far)?.server()?;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    let request = loop {
                        if let Some(request) = server.try_receive().expect("receive") {
                            break request;
                        }
                    };
                    let answer = *request;
                    request.respond(&answer).expect("respond");
                })
            })
        },
    )
}
