//! Channels awaited, between real processes: news, room, deaths, dropped futures, many at once; on Linux in epoll loops, too.

#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod linux;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::{Child, PATIENCE, hear, say};
use coview::latest::Latest;
use coview::ring::{Receiver, Ring, RingOptions, Sender};
use coview::{ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const ROUNDS: u64 = 300;
const READERS: usize = 20;
const MANY: usize = 200;
/// Less than the back-stop of a second.
const LATE: Duration = Duration::from_millis(900);

#[test]
fn child() {
    common::child(&[
        ("send", |args| {
            let mut sender = Ring::open(&args[0]).unwrap().sender().unwrap();
            say("attached");
            while let Some(line) = hear() {
                sender.send(line.as_bytes()).unwrap();
            }
        }),
        ("receive", |args| {
            let mut receiver = Ring::open(&args[0]).unwrap().receiver().unwrap();
            say("attached");
            while hear().is_some() {
                say(&receiver.drain(|_| ()).unwrap().to_string());
            }
        }),
        ("claim", |args| {
            let mut sender = Ring::open(&args[0]).unwrap().sender().unwrap();
            let claim = sender.claim(8).unwrap();
            say("claimed");
            hear();
            drop(claim);
            say("given back");
            hear();
        }),
        ("await", |args| {
            let mut receiver = Ring::open(&args[0]).unwrap().receiver().unwrap();
            one_thread().block_on(async {
                let mut waiting = pin!(bytes(&mut receiver));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                say("waiting");
                waiting.await.unwrap();
            });
        }),
        ("readers", |args| two_threads().block_on(readers(&args[0]))),
        ("set", |args| {
            let mut writer = Latest::<u64>::open(&args[0]).unwrap().writer().unwrap();
            say("attached");
            while let Some(line) = hear() {
                writer.set(&line.parse().unwrap()).unwrap();
            }
        }),
        ("many senders", |args| {
            let sender = |i| Ring::open(&format!("{}-{i}", args[0])).unwrap().sender().unwrap();
            let mut senders: Vec<_> = (0..MANY).map(sender).collect();
            say("attached");
            while hear().is_some() {
                senders.iter_mut().for_each(|sender| sender.send(b"news").unwrap());
            }
        }),
    ]);
}

fn name(text: &str) -> String {
    format!("async-{text}-{}", std::process::id())
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

async fn bytes(receiver: &mut Receiver) -> Result<Vec<u8>> {
    receiver.receive_async().await.map(|record| record.to_vec())
}

async fn poll_once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes")
}

/// Whether the future is ready, for somebody who does not care when it will be.
fn is_ready<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn fill(sender: &mut Sender, len: usize) -> usize {
    let record = vec![1; len];
    (0..).take_while(|_| sender.try_send(&record).unwrap()).count()
}

#[test]
fn records_that_come_while_awaited() {
    let name = name("records");
    let mut receiver = Ring::create(&name, 4096).unwrap().receiver().unwrap();
    for runtime in [one_thread(), two_threads()] {
        let mut other = Child::start("send", &[&name]);
        other.expect("attached");
        runtime.block_on(async {
            for round in 0..20 {
                let mut waiting = pin!(bytes(&mut receiver));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                other.send(&format!("record {round}"));
                assert_eq!(soon(waiting).await.unwrap(), format!("record {round}").into_bytes());
            }
        });
        other.wait();
    }
}

#[test]
fn a_death_ends_the_wait_also_of_one_who_came_meanwhile() {
    let name = name("death");
    let mut receiver = Ring::create(&name, 4096).unwrap().receiver().unwrap();
    one_thread().block_on(async {
        for here_before in [true, false, true] {
            let mut other = here_before.then(|| Child::start("send", &[&name]));
            other.iter_mut().for_each(|other| other.expect("attached"));
            {
                let mut waiting = pin!(bytes(&mut receiver));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                let mut other = other.unwrap_or_else(|| Child::start("send", &[&name]));
                if !here_before {
                    other.expect("attached");
                    // Woken by the arrival, it listens beside the newcomer.
                    let _ = timeout(Duration::from_millis(20), waiting.as_mut()).await;
                }
                other.kill();
                assert_eq!(soon(waiting).await.unwrap_err().kind(), ErrorKind::PeerDied);
            }
            let mut waiting = pin!(bytes(&mut receiver));
            assert!(poll_once(waiting.as_mut()).await.is_pending(), "a death is told once");
        }
    });
}

#[test]
fn a_full_ring_becomes_writable_and_a_dead_receiver_is_told() {
    let name = name("room");
    let mut sender = Ring::create(&name, 4096).unwrap().sender().unwrap();
    let mut other = Child::start("receive", &[&name]);
    other.expect("attached");
    one_thread().block_on(async {
        assert_eq!(sender.writable(1 << 20).await.unwrap_err().kind(), ErrorKind::OutOfRange);
        for _ in 0..10 {
            let count = fill(&mut sender, 500);
            let mut waiting = pin!(sender.send_async(&[2; 500]));
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            other.send("receive");
            soon(waiting).await.unwrap();
            assert!(count <= other.line().parse().unwrap());
        }
        fill(&mut sender, 500);
        {
            let mut waiting = pin!(sender.writable(500));
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            other.send("receive");
            soon(waiting).await.unwrap();
        }
        assert!(sender.try_send(&[3; 500]).unwrap());
        other.line();
        fill(&mut sender, 500);
        let mut waiting = pin!(sender.writable(500));
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        other.kill();
        assert_eq!(soon(waiting).await.unwrap_err().kind(), ErrorKind::PeerDied);
    });
}

#[test]
fn a_turn_that_another_has_is_waited_for() {
    let name = name("turn");
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name).unwrap();
    let mut sender = ring.sender().unwrap();
    one_thread().block_on(async {
        for dies in [false, true] {
            let mut other = Child::start("claim", &[&name]);
            other.expect("claimed");
            let mut waiting = pin!(sender.send_async(b"mine"));
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            if dies {
                other.kill();
            } else {
                other.send("give back");
                other.expect("given back");
            }
            soon(waiting).await.unwrap();
        }
    });
    assert_eq!(ring.receiver().unwrap().drain(|record| assert_eq!(record, b"mine")).unwrap(), 2);
}

#[test]
fn dropped_in_flight() {
    let ring = Ring::create(&name("flight"), 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    std::thread::scope(|scope| {
        // Without room: who sends meets who receives, and a test that fails hangs up.
        let ((go, going), (done, come)) = (sync_channel(0), sync_channel(0));
        scope.spawn(move || {
            while let Ok(round) = going.recv() {
                sender.send(&u32::to_le_bytes(round)).unwrap();
                done.send(()).unwrap();
            }
        });
        for round in 0..1000 {
            let mut waiting = Box::pin(receiver.receive_async());
            assert!(!is_ready(waiting.as_mut()));
            go.send(round).unwrap();
            (0..round % 500).for_each(|_| std::hint::spin_loop());
            drop(waiting);
            come.recv().unwrap();
            assert_eq!(&*receiver.try_receive().unwrap().unwrap(), round.to_le_bytes());
            assert!(receiver.try_receive().unwrap().is_none());
        }
        drop(go);
    });
    // One that is forgotten keeps what it listens to.
    let mut waiting = Box::pin(receiver.receive_async());
    assert!(!is_ready(waiting.as_mut()));
    std::mem::forget(waiting);
    drop((receiver, ring));
}

#[test]
fn time_runs_out_and_nothing_is_lost() {
    let ring = Ring::create(&name("time"), 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    one_thread().block_on(async {
        for round in 0..3u32 {
            assert!(timeout(Duration::from_millis(20), receiver.receive_async()).await.is_err());
            sender.send_async(&round.to_le_bytes()).await.unwrap();
            assert_eq!(&*soon(receiver.receive_async()).await.unwrap(), round.to_le_bytes());
        }
        let polling = RingOptions::new().polling(true).create(&name("polling")).unwrap();
        let error = polling.receiver().unwrap().receive_async().await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn a_killed_process_that_awaits_costs_the_next_nothing() {
    let name = name("killed");
    let ring = Ring::create(&name, 4096).unwrap();
    let mut sender = ring.sender().unwrap();
    for _ in 0..5 {
        let mut doomed = Child::start("await", &[&name]);
        doomed.expect("waiting");
        doomed.kill();
        let mut next = Child::start("await", &[&name]);
        next.expect("waiting");
        sender.send(b"news").unwrap();
        next.wait();
    }
}

/// Receives every value, says so when all have, and does not miss one: the next is only set then.
async fn readers(name: &str) {
    let latest = Arc::new(Latest::<u64>::open(name).unwrap());
    let count = Arc::new(tokio::sync::Semaphore::new(0));
    for _ in 0..READERS {
        let (mut reader, count) = (latest.reader(), Arc::clone(&count));
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                assert_eq!(soon(reader.changed_async()).await.unwrap(), round);
                count.add_permits(1);
            }
        });
    }
    say("reading");
    for _ in 0..ROUNDS {
        soon(count.acquire_many(READERS as u32)).await.unwrap().forget();
        say("all have it");
    }
}

#[test]
fn every_reader_of_every_process_hears_of_every_value() {
    let name = name("values");
    let mut writer = Latest::<u64>::create(&name).unwrap().writer().unwrap();
    let mut children = [Child::start("readers", &[&name]), Child::start("readers", &[&name])];
    children.iter_mut().for_each(|child| child.expect("reading"));
    let mut late = 0;
    for round in 1..=ROUNDS {
        let start = Instant::now();
        writer.set(&round).unwrap();
        children.iter_mut().for_each(|child| child.expect("all have it"));
        late += u64::from(start.elapsed() > LATE);
    }
    // One that is lost comes with the back-stop. A busy machine may make a few late, and does not so to one in ten.
    assert!(late < ROUNDS / 10, "{late} of {ROUNDS} came late");
    children.into_iter().for_each(Child::wait);
}

#[test]
fn a_writers_death_is_awaited_too() {
    let name = name("writer");
    let latest = Latest::<u64>::create(&name).unwrap();
    let mut reader = latest.reader();
    one_thread().block_on(async {
        for value in 1..4 {
            let mut writer = Child::start("set", &[&name]);
            writer.expect("attached");
            writer.send(&value.to_string());
            assert_eq!(soon(reader.changed_async()).await.unwrap(), value);
            let mut waiting = pin!(reader.changed_async());
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            writer.kill();
            assert_eq!(soon(waiting).await.unwrap_err().kind(), ErrorKind::PeerDied);
        }
    });
}
