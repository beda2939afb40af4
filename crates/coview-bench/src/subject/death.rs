//! How long others wait for one who has died in the middle.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coview::ErrorKind;
use coview::frames::{Frames, Policy};
use coview::service::Service;

use super::{Bar, Bound, By, Contender, Figure, Pace, Subject, time, unique};
use crate::Result;
use crate::bare::memory::shared;
use crate::pair::{Sides, Turn, doom, now};
use crate::stats::Unit;

/// Who has done nothing for so long is asleep.
const DOZE: Duration = Duration::from_micros(300);

pub(super) fn subject() -> Subject {
    let yardstick = "a process, until it has ended";
    let [publisher, client] = ["coview frames, a blocked publisher", "coview service, a client"];
    let bar = |name, ours| Bar { name, figure: 0, ours, than: yardstick, by: By::Millis, bound: Bound::AtMost(10.0) };
    Subject {
        name: "death",
        title: "from kill to when the one who sleeps for the killed goes on",
        pace: Pace::Calls,
        figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
        note: None,
        yardstick,
        contenders: vec![
            Contender::new(yardstick, alone),
            Contender::new(publisher, subscriber_dies),
            Contender::new(client, server_dies),
        ],
        bars: vec![bar("frames_subscriber_dies", publisher), bar("service_server_dies", client)],
    }
}

/// What both sides and those who are to die tell each other.
#[derive(Default)]
struct Scene {
    /// The so manieth who is to die is in its place; the other has gone on after the so manieth's death.
    ready: AtomicU64,
    gone_on: AtomicU64,
    /// How much has been published.
    moves: AtomicU64,
    /// When it was killed.
    died: AtomicU64,
}

impl Scene {
    fn say_ready(&self, number: u64) {
        self.moves.store(0, Ordering::Relaxed);
        self.died.store(0, Ordering::Relaxed);
        self.ready.store(number, Ordering::Release); // pairs with the Acquire in `until`
    }

    fn until(word: &AtomicU64, number: u64) {
        while word.load(Ordering::Acquire) != number {
            std::thread::yield_now();
        }
    }

    /// Until nothing more is published.
    fn await_sleep(&self) {
        let mut before = 0;
        while std::mem::replace(&mut before, self.moves.load(Ordering::Relaxed)) != before || before == 0 {
            std::thread::sleep(DOZE);
        }
    }

    /// How long that has been, for the so manieth time.
    fn go_on(&self, number: u64) -> Duration {
        let waited = now().saturating_sub(self.died.load(Ordering::Acquire));
        self.gone_on.store(number, Ordering::Release); // pairs with the Acquire in `until`
        Duration::from_nanos(waited)
    }
}

fn alone() -> Result<Sides> {
    let scene = shared(Scene::default())?;
    Ok(Sides::alone(|| {
        Ok(|turn: &Turn| {
            turn.repeat_timed(|| {
                doom(&scene.died, || std::thread::sleep(DOZE)).expect("it dies");
                scene.go_on(0)
            })
        })
    }))
}

/// A publisher is blocked by a subscriber that takes nothing, and is killed.
fn subscriber_dies() -> Result<Sides> {
    let (scene, name) = (shared(Scene::default())?, unique("death"));
    let far = name.clone();
    Ok(Sides::both(
        move || {
            let publisher = Frames::<u64>::create(&name)?.publisher()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat_timed(|| {
                    count += 1;
                    Scene::until(&scene.ready, count);
                    while scene.died.load(Ordering::Acquire) == 0 {
                        publisher.send(&count).expect("send");
                        scene.moves.fetch_add(1, Ordering::Relaxed);
                    }
                    scene.go_on(count)
                })
            })
        },
        move || {
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    let subscribe = || {
                        let frames = Frames::<u64>::open(&far).expect("open");
                        let subscriber = frames.subscriber(Policy::EveryFrame).expect("subscriber");
                        scene.say_ready(count);
                        scene.await_sleep();
                        subscriber
                    };
                    doom(&scene.died, subscribe).expect("the subscriber dies");
                    Scene::until(&scene.gone_on, count);
                })
            })
        },
    ))
}

/// A client waits for a server that has taken its request, and is killed.
fn server_dies() -> Result<Sides> {
    let (scene, name) = (shared(Scene::default())?, unique("death"));
    let far = name.clone();
    Ok(Sides::both(
        move || {
            let client = Service::<u64, u64>::create(&name)?.client()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat_timed(|| {
                    count += 1;
                    Scene::until(&scene.ready, count);
                    let told = client.call(&count).map(|response| *response).expect_err("nobody answers");
                    assert_eq!(told.kind(), ErrorKind::PeerDied);
                    scene.go_on(count)
                })
            })
        },
        move || {
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    let serve = || {
                        let server = Service::<u64, u64>::open(&far).expect("open").server().expect("server");
                        scene.say_ready(count);
                        std::mem::forget(server.receive().expect("receive"));
                        std::thread::sleep(DOZE);
                        server
                    };
                    doom(&scene.died, serve).expect("the server dies");
                    Scene::until(&scene.gone_on, count);
                })
            })
        },
    ))
}
