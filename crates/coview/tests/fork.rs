//! After `fork` and `exec`: what a child has, and that it never frees or abandons what its parent holds.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use common::linux::{exit_now, fork};
use common::place::Place;
use common::{Child, hear, say};
use coview::frames::{Frames, Policy};
use coview::latest::Latest;
use coview::queue::Queue;
use coview::ring::Ring;
use coview::service::Service;
use coview::{Access, Event, Lock, Mapping, Mutex, Semaphore, sync};

const BRIEF: Duration = Duration::from_millis(50);
const AMPLE: Duration = Duration::from_secs(20);
/// So many bytes need a slot, and are not inline.
const LARGE: usize = 3000;

#[test]
fn child() {
    common::child(&[("family", family), ("lockers", lockers), ("ends", ends), ("user", user)]);
}

/// What a child does with what it has from its parent.
const WAYS: [&str; 4] = ["drops all", "exits", "is killed", "runs another program"];

/// Forks. `true`: this is the child, which is to drop all. In the parent it returns when the child has ended.
fn forked(how: &str) -> bool {
    let (hears, says) = rustix::pipe::pipe().expect("there are descriptors");
    let parent = std::process::id();
    if fork() {
        match how {
            "drops all" => return true,
            "exits" => exit_now(),
            "is killed" => {
                rustix::io::write(&says, &std::process::id().to_ne_bytes()).expect("the parent listens");
                loop {
                    std::thread::park();
                }
            }
            _ => panic!("{}", Command::new("true").exec()),
        }
    }
    if how == "is killed" {
        let mut pid = [0; 4];
        rustix::io::read(&hears, &mut pid).expect("the child says its number");
        assert_ne!(parent, u32::from_ne_bytes(pid));
        let pid = rustix::process::Pid::from_raw(i32::from_ne_bytes(pid)).expect("not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    }
    rustix::process::wait(rustix::process::WaitOptions::empty()).expect("there is a child");
    false
}

/// What stands for the content of each thing that is held.
const ALL: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];

/// Holds one of everything, and has a child that does as it is told. All of it is held afterwards as before.
fn family(args: &[String]) {
    let [tag, how] = args else { panic!("two arguments") };
    let name = |what: &str| format!("{tag}{what}");
    let mapping = Mapping::create(&name("mapping"), 4096).unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    view.write(3000, b"as it was").unwrap();
    let (mutex, placed) = (Mutex::create(&name("mutex")).unwrap(), view.place::<sync::Mutex<u64>>(0).unwrap());
    let (lock, placed_lock) = (mutex.lock().unwrap(), placed.lock().unwrap());
    let [one, two, three, four, five, six, seven] = ALL.map(|byte| vec![byte; LARGE]);
    let ring = Ring::create(&name("ring"), 1 << 14).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.send(&one).unwrap();
    let record = receiver.receive().unwrap();
    let mut writer = Latest::<u64>::create(&name("latest")).unwrap().writer().unwrap();
    let frames = Frames::<[u8]>::create(&name("frames")).unwrap();
    let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::DropOldest).unwrap());
    publisher.send(&two).unwrap();
    let frame = subscriber.receive().unwrap();
    let mut loan = publisher.loan(LARGE).unwrap();
    loan.copy_from_slice(&three);
    let mut growing = publisher.loan(LARGE).unwrap().publish_growing().unwrap();
    growing.write(&four[1..]).unwrap();
    let queue = Queue::<[u8]>::create(&name("queue")).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&five).unwrap();
    let task = consumer.receive().unwrap();
    let mut draft = producer.loan(LARGE).unwrap();
    draft.copy_from_slice(&six);
    let service = Service::<[u8], [u8]>::create(&name("service")).unwrap();
    let (client, server) = (service.client().unwrap(), service.server().unwrap());
    let pending = client.send(&seven).unwrap();
    let request = server.receive().unwrap();
    if forked(how) {
        drop((lock, placed_lock, record, frame, loan, growing, task, draft, pending, request));
        drop((sender, receiver, writer, publisher, subscriber, producer, consumer, client, server));
        drop((view, mapping, mutex, ring, frames, queue, service));
        exit_now();
    }
    say("forked");
    hear();
    // Whatever was free to be used again has been.
    for _ in 0..200 {
        publisher.send(&[9; LARGE]).unwrap();
        assert!(producer.send_timeout(&[9; LARGE], AMPLE).unwrap());
        consumer.receive().unwrap().done();
    }
    sender.send(&[9; LARGE]).unwrap();
    assert_eq!(
        (&*record, &*frame, &*loan, &*task, &*draft, &*request),
        (&*one, &*two, &*three, &*five, &*six, &*seven)
    );
    drop(record);
    assert_eq!(*receiver.receive().unwrap(), [9; LARGE]);
    let newest = frames.subscriber(Policy::EveryFrame).unwrap();
    growing.write(&four[..1]).unwrap();
    growing.finish().unwrap();
    loan.publish().unwrap();
    while *newest.receive().unwrap() != *three {}
    task.done();
    draft.send().unwrap();
    assert_eq!(*consumer.receive().unwrap(), *six);
    request.respond(&[8; LARGE]).unwrap();
    assert_eq!(*pending.receive().unwrap(), [8; LARGE]);
    writer.set(&8).unwrap();
    drop((lock, placed_lock));
    say("all as before");
    hear();
}

#[test]
fn a_child_frees_nothing_that_its_parent_holds() {
    for how in WAYS {
        let here = Place::new(&how.replace(' ', "-"));
        let mut parent = Child::start("family", &[here.tag(), how]);
        parent.expect("forked");
        let mutex = Mutex::open(&here.name("mutex")).unwrap();
        assert!(mutex.lock_timeout(BRIEF).unwrap().is_none(), "{how}: the mutex was given back");
        let mapping = Mapping::open(&here.name("mapping"), Access::ReadWrite).unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        let placed: &sync::Mutex<u64> = view.place(0).unwrap();
        assert!(placed.lock_timeout(BRIEF).unwrap().is_none(), "{how}: the placed mutex was given back");
        let ring = Ring::open(&here.name("ring")).unwrap();
        assert!(ring.sender().is_err() && ring.receiver().is_err(), "{how}: an end of the ring is free");
        assert!(Latest::<u64>::open(&here.name("latest")).unwrap().writer().is_err(), "{how}: the writer has gone");
        let consumer = Queue::<[u8]>::open(&here.name("queue")).unwrap().consumer().unwrap();
        assert!(consumer.try_receive().unwrap().is_none(), "{how}: the task was given back");
        let server = Service::<[u8], [u8]>::open(&here.name("service")).unwrap().server().unwrap();
        assert!(server.try_receive().unwrap().is_none(), "{how}: the request was given back");
        drop((consumer, server));
        parent.send("go on");
        parent.expect("all as before");
        assert!(matches!(mutex.lock_timeout(AMPLE), Ok(Some(Lock::Clean(_)))), "{how}: it counts as abandoned");
        assert!(matches!(placed.lock_timeout(AMPLE), Ok(Some(sync::Lock::Clean(_)))), "{how}: it counts as abandoned");
        let mut text = [0; 9];
        view.read(3000, &mut text).unwrap();
        assert_eq!(&text, b"as it was");
        parent.wait();
    }
    println!(
        "count attacks survived: forks that drop, exit, die or run another program with 10 things held {}",
        WAYS.len()
    );
}

/// Parent and child take the same locks by the same handles.
fn lockers(args: &[String]) {
    let [tag, who] = args else { panic!("two arguments") };
    let mutex = Mutex::create(&format!("{tag}mutex")).unwrap();
    let mapping = Mapping::create(&format!("{tag}mapping"), 4096).unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    let placed: &sync::Mutex<u64> = view.place(0).unwrap();
    let event = Event::create(&format!("{tag}event")).unwrap();
    let permits = Semaphore::create(&format!("{tag}permits"), 0, 9).unwrap();
    let held = (who == "parent dies").then(|| (mutex.lock().unwrap(), placed.lock().unwrap()));
    if fork() {
        if who == "parent dies" {
            // Though the handle is the same, the owner is the parent.
            assert!(mutex.try_lock().unwrap().is_none() && placed.lock_timeout(BRIEF).unwrap().is_none());
            permits.release(1).unwrap().unwrap();
            assert!(matches!(mutex.lock_timeout(AMPLE), Ok(Some(Lock::Abandoned(_)))));
            assert!(matches!(placed.lock_timeout(AMPLE), Ok(Some(sync::Lock::Abandoned(_)))));
            say("told of the death");
            exit_now();
        }
        std::mem::forget((mutex.lock().unwrap(), placed.lock().unwrap()));
        permits.release(1).unwrap().unwrap();
        assert!(event.wait_timeout(AMPLE).unwrap());
        exit_now(); // with both
    }
    assert!(permits.acquire_timeout(AMPLE).unwrap());
    if who == "parent dies" {
        std::mem::forget(held);
        exit_now();
    }
    assert!(mutex.lock_timeout(BRIEF).unwrap().is_none() && placed.lock_timeout(BRIEF).unwrap().is_none());
    event.set().unwrap();
    assert!(matches!(mutex.lock_timeout(AMPLE), Ok(Some(Lock::Abandoned(_)))));
    assert!(matches!(placed.lock_timeout(AMPLE), Ok(Some(sync::Lock::Abandoned(_)))));
    say("told of the death");
}

#[test]
fn locks_belong_to_who_took_them() {
    for who in ["parent dies", "child dies"] {
        let here = Place::new(&who.replace(' ', "-"));
        let mut parent = Child::start("lockers", &[here.tag(), who]);
        parent.expect("told of the death");
        parent.ended();
    }
}

/// Has ends of channels and a child that outlives it.
fn ends(args: &[String]) {
    let ring = Ring::open(&format!("{}ring", args[0])).unwrap();
    let mut sender = ring.sender().unwrap();
    sender.send(b"from the parent").unwrap();
    if fork() {
        say("child");
        hear();
        drop(sender); // nobody's business any more: somebody else has the end
        say("dropped");
        exit_now();
    }
    exit_now();
}

#[test]
fn the_end_of_a_channel_goes_with_the_one_who_attached() {
    let here = Place::new("ends");
    let ring = Ring::create(&here.name("ring"), 4096).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let mut parent = Child::start("ends", &[here.tag()]);
    parent.expect("child");
    assert_eq!(*receiver.receive_timeout(AMPLE).unwrap().unwrap(), *b"from the parent");
    parent.ended();
    let error = receiver.receive_timeout(AMPLE).map(drop).unwrap_err();
    assert_eq!(error.kind(), coview::ErrorKind::PeerDied, "{error}");
    let mut heir = ring.sender().unwrap();
    parent.send("drop it");
    parent.expect("dropped");
    assert!(ring.sender().is_err(), "the child of the one before freed the end");
    heir.send(b"of the heir").unwrap();
    assert_eq!(*receiver.receive().unwrap(), *b"of the heir");
}

/// A child makes and opens its own, while other threads of its parent do so, too.
fn user(args: &[String]) {
    let tag = &args[0];
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let done = &done;
            scope.spawn(move || {
                for turn in 0.. {
                    if done.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let mapping = Mapping::create(&format!("{tag}{thread}-{turn}"), 4096).unwrap();
                    mapping.view(Access::ReadWrite).unwrap().write(0, b"x").unwrap();
                }
            });
        }
        for turn in 0..20 {
            // As a program with threads may: the child's use of the C library's memory is safe with glibc.
            if fork() {
                let mapping = Mapping::create(&format!("{tag}child-{turn}"), 4096).unwrap();
                mapping.view(Access::ReadWrite).unwrap().write(0, b"y").unwrap();
                exit_now();
            }
            let (_, status) = rustix::process::wait(rustix::process::WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(0));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    say("done");
}

#[test]
fn children_of_a_busy_process_map_views() {
    let here = Place::new("busy");
    let mut parent = Child::start("user", &[here.tag()]);
    parent.expect("done");
    parent.wait();
}
