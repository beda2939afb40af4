//! Frames awaited and in an event loop, between real processes: news, room, deaths, dropped futures.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::AsFd;
use std::time::Duration;

use common::{Child, PATIENCE, hear, say};
use coview::ErrorKind;
use coview::frames::{Frames, FramesOptions, Policy};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const LARGE: usize = 20_000;

#[test]
fn child() {
    common::child(&[
        ("publish", |args| {
            let publisher = Frames::<[u8]>::open(&args[0]).unwrap().publisher().unwrap();
            say("attached");
            while let Some(line) = hear() {
                publisher.send(&vec![line.len() as u8; line.len()]).unwrap();
            }
        }),
        ("lend", |args| {
            let publisher = Frames::<[u8]>::open(&args[0]).unwrap().publisher().unwrap();
            let loans = [(); 4].map(|()| publisher.loan(LARGE).unwrap());
            say("lent");
            hear();
            drop(loans);
        }),
        ("hold", |args| {
            let subscriber = Frames::<[u8]>::open(&args[0]).unwrap().subscriber(Policy::EveryFrame).unwrap();
            say("attached");
            hear();
            drop(subscriber);
        }),
    ]);
}

fn name(text: &str) -> String {
    format!("frames-async-{text}-{}", std::process::id())
}

fn frames(name: &str) -> Frames<[u8]> {
    FramesOptions::new().slot(LARGE).budget(4 * LARGE).create(name).unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes")
}

#[test]
fn frames_that_come_while_awaited_and_the_death_behind_them() {
    let name = name("come");
    let frames = frames(&name);
    let mut publisher = Child::start("publish", &[&name]);
    publisher.expect("attached");
    two_threads().block_on(async {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        let waiting = tokio::spawn(async move {
            loop {
                match subscriber.receive_async().await {
                    Ok(frame) => tell.send((frame.len(), frame[0])).unwrap(),
                    Err(error) => break error.kind(),
                }
            }
        });
        for len in [1, 100, 5000, 7, 200] {
            publisher.send(&"x".repeat(len));
            assert_eq!(soon(told.recv()).await, Some((len, len as u8)));
        }
        publisher.kill();
        assert_eq!(soon(waiting).await.unwrap(), ErrorKind::PeerDied);
    });
}

#[test]
fn room_is_awaited_and_a_dead_subscriber_makes_it() {
    for len in [8, LARGE] {
        let name = name(&format!("room {len}"));
        let frames = frames(&name);
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        let mut publisher = frames.publisher().unwrap();
        let mut sent = 0;
        while publisher.try_send(&vec![sent as u8; len]).unwrap() {
            sent += 1;
        }
        two_threads().block_on(async {
            assert!(timeout(Duration::from_millis(20), publisher.send_async(&vec![9; len])).await.is_err(), "full");
            let waiting = tokio::spawn(async move {
                publisher.send_async(&vec![sent as u8; len]).await.unwrap();
                publisher
            });
            tokio::task::yield_now().await;
            // The one that was given up was never there.
            for number in 0..sent {
                assert_eq!(subscriber.receive_timeout(PATIENCE).unwrap().unwrap()[len - 1], number as u8);
            }
            let mut publisher = soon(waiting).await.unwrap();
            assert_eq!(subscriber.receive_timeout(PATIENCE).unwrap().unwrap()[len - 1], sent as u8);
            drop(subscriber);
            let mut dead = Child::start("hold", &[&name]);
            dead.expect("attached");
            while publisher.try_send(&vec![1; len]).unwrap() {}
            let waiting = tokio::spawn(async move { publisher.send_async(&vec![2; len]).await });
            tokio::task::yield_now().await;
            dead.kill();
            soon(waiting).await.unwrap().unwrap();
        });
    }
}

#[test]
fn room_is_made_by_a_publisher_that_dies_with_its_loans() {
    let name = name("lent");
    let frames = frames(&name);
    let mut publisher = frames.publisher().unwrap();
    two_threads().block_on(async {
        for _ in 0..3 {
            let mut dead = Child::start("lend", &[&name]);
            dead.expect("lent");
            assert!(timeout(Duration::from_millis(20), publisher.writable(LARGE)).await.is_err(), "all are on loan");
            let waiting = tokio::spawn(async move {
                publisher.writable(LARGE).await.unwrap();
                publisher
            });
            tokio::task::yield_now().await;
            dead.kill();
            publisher = soon(waiting).await.unwrap();
            assert!(publisher.try_send(&[1; LARGE]).unwrap());
        }
    });
}

#[test]
fn dropped_in_flight_nothing_is_lost() {
    let frames = frames(&name("dropped"));
    let (publisher, mut subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
    two_threads().block_on(async {
        for number in 0..50 {
            assert!(timeout(Duration::from_micros(100), subscriber.receive_async()).await.is_err());
            publisher.send(&[number; 300]).unwrap();
            assert_eq!(soon(subscriber.receive_async()).await.unwrap()[299], number);
        }
    });
}

#[test]
fn a_subscriber_in_an_event_loop() {
    let name = name("loop");
    let frames = frames(&name);
    let mut watched = frames.subscriber(Policy::EveryFrame).unwrap().watch().unwrap();
    let mut publisher = Child::start("publish", &[&name]);
    publisher.expect("attached");
    let readable = |watched: &dyn AsFd, patience: Duration| {
        let mut fds = [PollFd::from_borrowed_fd(watched.as_fd(), PollFlags::IN)];
        let time = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        poll(&mut fds, Some(&time)).unwrap() == 1
    };
    assert!(readable(&watched, PATIENCE), "a new one is looked at first");
    for len in [1, 100, 5000, 7, 200] {
        assert!(watched.try_receive().unwrap().is_none());
        publisher.send(&"x".repeat(len));
        // Woken for nothing now and then, as when somebody attaches.
        let frame = loop {
            assert!(readable(&watched, PATIENCE), "there is news");
            if let Some(frame) = watched.try_receive().unwrap() {
                break frame.to_vec();
            }
        };
        assert_eq!(frame, vec![len as u8; len]);
    }
    while watched.try_receive().unwrap().is_some() {}
    publisher.kill();
    let error = loop {
        assert!(readable(&watched, PATIENCE), "there is a death");
        match watched.try_receive() {
            Ok(frame) => assert!(frame.is_none()),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(error, ErrorKind::PeerDied);
}

/// What the file behind a mapping takes of memory.
fn memory_of(name: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut files = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let file = files.find(|file| file.file_name().to_string_lossy().ends_with(name)).expect("its file");
    file.metadata().unwrap().blocks() * 512
}

#[test]
fn slots_have_memory_when_they_are_first_used() {
    const PICTURE: usize = 3 << 20;
    let name = name("sparse");
    let frames = FramesOptions::new().slot(PICTURE).budget(64 * PICTURE).create::<[u8]>(&name).unwrap();
    let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
    assert!(memory_of(&name) < 1 << 20, "{} bytes of none", memory_of(&name));
    for _ in 0..20 {
        publisher.loan(PICTURE).unwrap().publish().unwrap();
        assert_eq!(subscriber.receive().unwrap().len(), PICTURE);
    }
    let in_turn = memory_of(&name);
    println!("64 slots of 3 MiB: {} MiB when a reader keeps up", in_turn >> 20);
    assert!(in_turn < 8 * PICTURE as u64, "{in_turn} bytes");
    let loans: Vec<_> = (0..64).map(|_| publisher.loan(PICTURE).unwrap()).collect();
    assert!(memory_of(&name) >= 64 * PICTURE as u64);
    drop(loans);
}
