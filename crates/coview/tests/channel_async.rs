//! Channels awaited and in epoll loops, between real processes: news, room, deaths, dropped futures, many at once.
#![cfg(target_os = "linux")]

mod common;

use std::future::poll_fn;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::{Child, PATIENCE, hear, say, until};
use coview::latest::Latest;
use coview::ring::{Receiver, Ring, RingOptions, Sender};
use coview::{ErrorKind, Result};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

const ROUNDS: u64 = 300;
const READERS: usize = 20;
const MANY: usize = 200;

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

/// How many helper threads this process has. Other tests of this program have some, if they run beside this one.
fn helpers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| Some(task.ok()?.path().join("comm")));
    tasks.filter(|comm| std::fs::read_to_string(comm).is_ok_and(|name| name == "coview-watch\n")).count()
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
    let start = Instant::now();
    for round in 1..=ROUNDS {
        writer.set(&round).unwrap();
        children.iter_mut().for_each(|child| child.expect("all have it"));
    }
    // One that is lost comes with the back-stop of a second: none is.
    assert!(start.elapsed() < Duration::from_millis(ROUNDS * 100), "{:?}", start.elapsed());
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

/// In a process of its own (as nextest has it) all helpers are this test's; in any case they are not one for each receiver.
#[test]
fn two_hundred_receivers_and_a_handful_of_threads() {
    let name = name("many");
    let receiver = |i| Ring::create(&format!("{name}-{i}"), 4096).unwrap().receiver().unwrap();
    let mut receivers: Vec<_> = (0..MANY).map(receiver).collect();
    let mut other = Child::start("many senders", &[&name]);
    other.expect("attached");
    two_threads().block_on(async {
        for dies in [false, true] {
            let (started, mut all) = (Arc::new(tokio::sync::Semaphore::new(0)), JoinSet::new());
            for mut receiver in receivers.drain(..) {
                let started = Arc::clone(&started);
                all.spawn(async move {
                    let told = {
                        let mut waiting = pin!(bytes(&mut receiver));
                        assert!(poll_once(waiting.as_mut()).await.is_pending());
                        started.add_permits(1);
                        soon(waiting).await
                    };
                    (receiver, told)
                });
            }
            soon(started.acquire_many(MANY as u32)).await.unwrap().forget();
            // Three words each: the bell takes two, the sender one.
            let count = helpers();
            assert!((5..=12).contains(&count), "{count} helpers");
            match dies {
                false => other.send("send"),
                true => other.kill(),
            }
            for (receiver, told) in soon(all.join_all()).await {
                match dies {
                    false => assert_eq!(told.unwrap(), b"news"),
                    true => assert_eq!(told.unwrap_err().kind(), ErrorKind::PeerDied),
                }
                receivers.push(receiver);
            }
        }
    });
    until("the helpers have gone", || helpers() < 5);
}

/// An epoll instance.
struct Loop(OwnedFd);

impl Loop {
    fn of(fds: &[&dyn AsFd], how: EventFlags) -> Loop {
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        for (number, fd) in fds.iter().enumerate() {
            epoll::add(&epoll, fd.as_fd(), EventData::new_u64(number as u64), how).unwrap();
        }
        Loop(epoll)
    }

    fn wait(&self, time: Duration) -> Vec<u64> {
        let mut events = Vec::with_capacity(8);
        let time = time.try_into().unwrap();
        rustix::io::retry_on_intr(|| epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&time)))
            .unwrap();
        events.iter().map(|event: &epoll::Event| event.data.u64()).collect()
    }

    fn is_quiet(&self) -> bool {
        self.wait(Duration::ZERO).is_empty()
    }
}

#[test]
fn a_ring_and_a_value_in_an_epoll_loop() {
    for (label, how) in [("level", EventFlags::IN), ("edge", EventFlags::IN.union(EventFlags::ET))] {
        let (ring, value) = (name(&format!("{label}-ring")), name(&format!("{label}-value")));
        let mut records = Ring::create(&ring, 4096).unwrap().receiver().unwrap().watch().unwrap();
        let latest = Latest::<u64>::create(&value).unwrap();
        let mut values = latest.reader().watch().unwrap();
        let epoll = Loop::of(&[&records, &values], how);
        assert_eq!(epoll.wait(PATIENCE), [0, 1], "new ones are looked at first");
        let (mut sender, mut writer) = (Child::start("send", &[&ring]), Child::start("set", &[&value]));
        sender.expect("attached");
        writer.expect("attached");
        // Whether their arrival was before this or not.
        while records.try_receive().unwrap().is_some() || values.try_changed().unwrap().is_some() {}
        assert!(epoll.is_quiet());
        for round in 0..20u64 {
            sender.send("news");
            assert_eq!(epoll.wait(PATIENCE), [0]);
            assert_eq!(&*records.try_receive().unwrap().unwrap(), b"news");
            assert!(records.try_receive().unwrap().is_none() && epoll.is_quiet());
            writer.send(&(round + 1).to_string());
            assert_eq!(epoll.wait(PATIENCE), [1]);
            assert_eq!(values.try_changed().unwrap(), Some(round + 1));
            assert!(values.try_changed().unwrap().is_none() && epoll.is_quiet());
        }
        sender.kill();
        assert_eq!(epoll.wait(PATIENCE), [0]);
        assert_eq!(records.try_receive().map(drop).unwrap_err().kind(), ErrorKind::PeerDied);
        assert!(records.try_receive().unwrap().is_none() && epoll.is_quiet());
        writer.kill();
        assert_eq!(epoll.wait(PATIENCE), [1]);
        assert_eq!(values.try_changed().unwrap_err().kind(), ErrorKind::PeerDied);
        let mut receiver = records.into_inner();
        assert!(receiver.try_receive().unwrap().is_none());
    }
}
