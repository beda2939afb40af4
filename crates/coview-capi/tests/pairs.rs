//! Pairs of processes: a C program on one side, Rust or C on the other, and kills.

#![cfg(target_os = "linux")]

mod common;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::{Peer, Workshop, unique};
use coview::frames::{Frames, FramesOptions, Policy};
use coview::latest::Latest;
use coview::ring::{Ring, RingOptions};
use coview::zerocopy::{FromBytes, Immutable, IntoBytes};
use coview::{Access, Event, Mapping, Mutex, Record, Region, Semaphore};

#[derive(Debug, PartialEq, FromBytes, IntoBytes, Immutable, Record)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Student {
    id: i32,
    name: [u8; 20],
}

fn student() -> Student {
    Student { id: 99041232, name: *b"SecBug\0\0\0\0\0\0\0\0\0\0\0\0\0\0" }
}

static WORKSHOP: LazyLock<(Workshop, std::path::PathBuf)> = LazyLock::new(|| {
    let workshop = Workshop::new();
    let peer = workshop.compile("tests/c/peer.c", &[]);
    (workshop, peer)
});

fn peer(arguments: &[&str]) -> Peer {
    Peer::start(&WORKSHOP.1, arguments)
}

#[test]
fn a_mapping_that_c_made() {
    let name = unique("mapping");
    let mut writer = peer(&["mapping-write", &name]);
    writer.says("ready");
    let mapping = Mapping::open(&name, Access::Read).unwrap();
    let mut text = [0; 6];
    mapping.view(Access::Read).unwrap().read(100, &mut text).unwrap();
    assert_eq!(&text, b"from C");
    drop(mapping);
    writer.go_on();
    writer.ends();
    // A process that another test is starting has all that this one has, until it runs its program.
    let end = Instant::now() + Duration::from_secs(60);
    while Mapping::open(&name, Access::Read).is_ok() {
        assert!(Instant::now() < end, "the name stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_mapping_that_rust_made() {
    let name = unique("mapping");
    let mapping = Mapping::create(&name, 4096).unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"from Rust\0").unwrap();
    let reader = peer(&["mapping-read", &name]);
    reader.says("from Rust");
    reader.ends();
}

#[test]
fn a_region_that_c_made() {
    let name = unique("region");
    let mut writer = peer(&["region-create", &name]);
    writer.says("ready");
    let region = Region::<Student>::open(&name).unwrap();
    assert_eq!(region.read().unwrap(), student());
    assert!(Region::<[u32; 6]>::open(&name).unwrap_err().to_string().contains("found `Student`"));
    region.write(&Student { id: 7, ..student() }).unwrap();
    writer.go_on();
    writer.says("7 SecBug");
    writer.ends();
}

#[test]
fn a_region_that_rust_made() {
    let name = unique("region");
    let reader = peer(&["region-read", &name]); // it waits for the region
    let _region = Region::create(&name, &student()).unwrap();
    reader.says("99041232 SecBug");
    let refusal = reader.line();
    assert!(refusal.contains("expected `u64[3]`, found `Student`"), "{refusal}");
    reader.says("struct Student { i32 id; u8 name[20]; }");
    reader.ends();
}

#[test]
fn latest_values_of_c() {
    let name = unique("latest");
    let latest = Latest::<[u64; 3]>::create(&name).unwrap();
    let mut writer = peer(&["latest-write", &name, "10000"]);
    writer.says("ready");
    assert_eq!(latest.reader().read().unwrap(), Some([10000, 20000, 30000]));
    writer.go_on();
    writer.ends();
}

#[test]
fn latest_values_of_rust() {
    let name = unique("latest");
    let latest = Latest::<[u64; 3]>::create(&name).unwrap();
    let mut writer = latest.writer().unwrap();
    let reader = peer(&["latest-read", &name, "20000"]);
    reader.says("ready");
    for number in 1..=20000 {
        writer.set(&[number, 2 * number, 3 * number]).unwrap();
    }
    reader.says("whole");
    reader.ends();
}

#[test]
fn records_of_c() {
    let name = unique("ring");
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let mut sender = peer(&["ring-send", &name, "3000"]);
    for number in 1..=3000 {
        assert_eq!(&*receiver.receive().unwrap(), number.to_string().as_bytes());
    }
    sender.says("ready");
    sender.go_on();
    sender.ends();
}

#[test]
fn records_of_rust_and_the_death_of_their_sender() {
    let name = unique("ring");
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name).unwrap();
    let receiver = peer(&["ring-receive", &name, "3000"]);
    let mut sender = ring.sender().unwrap();
    for number in 1..=3000 {
        sender.send(number.to_string().as_bytes()).unwrap();
    }
    receiver.says("all");
    // Another that sends nothing, and dies.
    let second = peer(&["ring-send", &name, "0"]);
    second.says("ready");
    second.kill();
    receiver.says("died");
    receiver.ends();
}

#[test]
fn frames_of_c_to_c_and_rust() {
    let name = unique("frames");
    let frames: Frames<[u8]> = FramesOptions::new().slot(10_000).create(&name).unwrap();
    let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
    let other = peer(&["frames-receive", &name, "100"]);
    other.says("ready");
    let mut publisher = peer(&["frames-publish", &name, "100"]);
    for number in 1..=100_u8 {
        let frame = subscriber.receive().unwrap();
        assert_eq!(frame.len(), usize::from(number) * 100);
        assert!(frame.iter().all(|byte| *byte == number));
    }
    publisher.says("ready");
    publisher.go_on();
    publisher.ends();
    other.says("all");
    other.ends();
}

#[test]
fn frames_of_rust() {
    let name = unique("frames");
    let frames: Frames<[u8]> = FramesOptions::new().slot(10_000).create(&name).unwrap();
    let subscriber = peer(&["frames-receive", &name, "100"]);
    subscriber.says("ready");
    let publisher = frames.publisher().unwrap();
    for number in 1..=100_u8 {
        publisher.send(&vec![number; usize::from(number) * 100]).unwrap();
    }
    subscriber.says("all");
    subscriber.ends();
}

#[test]
fn a_killed_owner_is_told_to_c() {
    let name = unique("mutex");
    let owner = peer(&["mutex-hold", &name]);
    owner.says("ready");
    let waiter = peer(&["mutex-take", &name]);
    waiter.says("waits");
    owner.kill();
    waiter.says("abandoned");
    waiter.ends();
}

#[test]
fn a_killed_owner_in_c_is_told_to_rust() {
    let name = unique("mutex");
    let mutex = Mutex::create(&name).unwrap();
    let owner = peer(&["mutex-hold", &name]);
    owner.says("ready");
    assert!(mutex.try_lock().unwrap().is_none());
    owner.kill();
    assert!(mutex.lock().unwrap().is_abandoned());
    let mut good = peer(&["mutex-hold", &name]);
    good.says("ready");
    good.go_on();
    good.ends();
    assert!(!mutex.lock().unwrap().is_abandoned());
}

#[test]
fn c_waits_for_any_and_for_all() {
    let name = unique("wait");
    let event = Event::create(&name).unwrap();
    let semaphore = Semaphore::create(&format!("{name}-s"), 0, 5).unwrap();
    let waiter = peer(&["wait-any", &name]);
    waiter.says("waits");
    semaphore.release(1).unwrap().unwrap();
    waiter.says("1");
    waiter.says("waits");
    event.set().unwrap();
    semaphore.release(1).unwrap().unwrap();
    waiter.says("both");
    assert!(!event.wait_timeout(Duration::ZERO).unwrap()); // it was taken
    waiter.ends();
}

#[test]
fn c_hands_over_to_its_child() {
    let peer = peer(&["hand-over", "picture"]);
    peer.says("for the child");
    peer.ends();
}

#[test]
fn rust_hands_over_to_c() {
    let mapping = coview::MappingOptions::new().size(4096).create_unnamed().unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"for the child\0").unwrap();
    let mut command = std::process::Command::new(&WORKSHOP.1);
    mapping.hand_to(&mut command, "picture").unwrap();
    assert_eq!(common::run(command.args(["inherited", "picture"])), "for the child\n");
}

#[test]
fn rings_of_rust_and_their_senders_close() {
    let name = unique("ring");
    let ring = Ring::create(&name, 4096).unwrap();
    let sender = peer(&["ring-send", &name, "5"]);
    sender.says("ready");
    assert!(ring.sender().is_err()); // it is for one
    sender.ends();
    ring.sender().unwrap();
    assert_eq!(ring.receiver().unwrap().drain(|_| ()).unwrap(), 5);
}
