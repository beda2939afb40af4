//! Objects whose bytes a peer writes over while they are used, as a tape of bytes decides (Linux: it is about files and locks there).

#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod targets;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use common::{Child, Dice, linux, number, say};
use coview::{Access, ErrorKind, Event, EventOptions, Mapping, Mutex, Semaphore, View};

const BRIEF: Duration = Duration::from_micros(300);

fn name(text: &str) -> String {
    format!("hostile-{text}-{}", std::process::id())
}

/// The bytes of a named object, as any program of the same user can map them.
fn bytes_of(name: &str) -> View {
    let file = format!("posix:coview.{}.{name}", rustix::process::geteuid().as_raw());
    Mapping::open(&file, Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap()
}

/// Tapes of each target unless told otherwise.
const TAPES: u64 = 100;
/// Longer than any tape takes on a busy machine.
const HANG: Duration = Duration::from_secs(20);

#[test]
fn child() {
    common::child(&[("target", play)]);
}

/// Plays random tapes to one target, and ends the process if one takes too long.
fn play(args: &[String]) {
    let (_, target) = targets::TARGETS.iter().find(|(name, _)| *name == args[0]).expect("there is one");
    let (dice, tapes) = (Dice::new(args[1].parse().expect("a number")), args[2].parse::<u64>().expect("a number"));
    static DONE: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(HANG);
            if DONE.swap(0, Ordering::Relaxed) == 0 {
                eprintln!("a tape takes longer than {HANG:?}");
                std::process::abort();
            }
        }
    });
    for _ in 0..tapes {
        say("playing"); // the machine may be busy
        let tape: Vec<u8> = (0..dice.below(400)).map(|_| dice.below(256) as u8).collect();
        target(&tape);
        DONE.fetch_add(1, Ordering::Relaxed);
    }
    say("survived");
}

#[test]
fn fences_stand_around_the_memory() {
    let mapping = coview::MappingOptions::new().size(8192).create_unnamed().unwrap();
    let views: Vec<_> = (0..32).map(|_| targets::fenced(|| mapping.view(Access::Read).unwrap())).collect();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let fenced = views.iter().filter(|(view, _)| {
        let start = view.as_ptr().addr();
        let closed = |line: &&str| line.contains(" ---p ");
        maps.lines().filter(closed).any(|line| line.contains(&format!("-{start:x} ")))
            && maps.lines().filter(closed).any(|line| line.starts_with(&format!("{:x}-", start + 8192)))
    });
    // The first may stand in gaps between others, where there is no room.
    assert!(fenced.count() > 16, "{maps}");
}

/// The end of a queue that says that somebody is there, whom nobody finds.
#[test]
fn a_forged_peer_does_not_keep_anybody_beyond_the_time() {
    let name = name("forged");
    let queue = coview::queue::QueueOptions::new().slot(300).budget(1024).create::<[u8]>(&name).unwrap();
    let producer = queue.producer().unwrap();
    let loans: Vec<_> = std::iter::from_fn(|| producer.loan_timeout(300, Duration::ZERO).unwrap()).collect();
    let head = Mapping::open(&name, Access::ReadWrite).unwrap().view_range(Access::ReadWrite, 4096..8192).unwrap();
    head.atomic::<AtomicU32>(384 + 64 * 7 + 40).unwrap().store(1234, Ordering::Relaxed); // docs/format.md
    assert!(producer.loan_timeout(300, BRIEF).unwrap().is_none());
    drop(loans);
    assert!(producer.loan_timeout(300, BRIEF).unwrap().is_some());
}

#[test]
fn no_tape_crashes_or_hangs_anybody() {
    let tapes = number("COVIEW_TAPES").unwrap_or(TAPES);
    let seed = number("COVIEW_SEED").unwrap_or(u64::from(std::process::id()));
    for (target, _) in targets::TARGETS {
        let mut child = Child::start("target", &[target, &seed.to_string(), &tapes.to_string()]);
        let end = std::iter::from_fn(|| child.next_line()).find(|line| line != "playing");
        assert_eq!(end.as_deref(), Some("survived"), "{target}, COVIEW_SEED={seed}");
        child.wait();
        println!("count hostile tapes: {target} {tapes}");
    }
}

#[test]
fn a_damaged_page_is_refused() {
    let name = name("damaged");
    let _event = EventOptions::new().create(&name).unwrap();
    bytes_of(&name).write(8, &[9; 4]).unwrap(); // the revision
    let error = Event::open(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("offset 0"), "{error}");
}

#[test]
fn a_lock_word_of_nobody_times_out_and_one_of_the_dead_is_abandoned() {
    let name = name("word");
    let mutex = Mutex::create(&name).unwrap();
    let bytes = bytes_of(&name);
    let word = bytes.atomic::<AtomicU32>(bytes.len() - 20).unwrap();
    word.store(0x3fff_ffff, Ordering::Relaxed); // a thread number beyond any
    assert!(mutex.lock_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert_eq!(mutex.unlock().unwrap_err().kind(), ErrorKind::InvalidInput);
    word.store(0x4000_0000, Ordering::Relaxed); // "its owner died"
    assert!(mutex.lock_timeout(BRIEF).unwrap().unwrap().is_abandoned());
    assert!(!mutex.lock().unwrap().is_abandoned());
}

#[test]
fn counts_beyond_the_maximum_are_refused_and_never_overflow() {
    let name = name("count");
    let permits = Semaphore::create(&name, 1, 2).unwrap();
    assert!(permits.release(2).unwrap().is_err());
    let bytes = bytes_of(&name);
    bytes.atomic::<AtomicU32>(64).unwrap().store(u32::MAX, Ordering::Relaxed); // more than there can be
    assert!(permits.release(1).unwrap().is_err());
    assert!(permits.try_acquire().unwrap());
    bytes.atomic::<AtomicU32>(24).unwrap().store(0, Ordering::Relaxed); // a maximum of 0
    assert!(permits.release(1).unwrap().is_err());
}
