//! Named objects whose bytes a peer writes over while they are used (Linux: on Windows they are the kernel's).

#![cfg(target_os = "linux")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Child, hear, say};
use coview::{Access, ErrorKind, Event, EventOptions, Mapping, Mutex, Semaphore, View, wait_all, wait_any};

const BRIEF: Duration = Duration::from_micros(300);

fn name(text: &str) -> String {
    format!("hostile-{text}-{}", std::process::id())
}

/// The bytes of a named object, as any program of the same user can map them.
fn bytes_of(name: &str) -> View {
    let file = format!("posix:coview.{}.{name}", rustix::process::geteuid().as_raw());
    Mapping::open(&file, Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap()
}

#[test]
fn child() {
    common::child(&[
        ("scribble", |names| {
            let views: Vec<View> = names.iter().map(|name| bytes_of(name)).collect();
            say("scribbling");
            std::thread::spawn(|| {
                hear(); // nothing: the test has ended, however it did
                std::process::exit(0);
            });
            let mut random = 0x2545_f491_4f6c_dd1d_u64;
            loop {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let view = &views[random as usize % views.len()];
                // What is used lies at the front and at the end of the page.
                let at = (random >> 8) as usize % 32 * 4;
                let at = if random & 0x80 == 0 { at } else { view.len() - 4 - at };
                let value = if random >> 62 == 0 { 0 } else { (random >> 32) as u32 };
                view.atomic::<AtomicU32>(at).unwrap().store(value, Ordering::Relaxed);
            }
        }),
        ("use", |names| {
            let mutex = Mutex::open(&names[0]).unwrap();
            let event = Event::open(&names[1]).unwrap();
            let permits = Semaphore::open(&names[2]).unwrap();
            let all = [(&mutex).into(), (&event).into(), (&permits).into()];
            say("ready");
            hear();
            for _ in 0..500 {
                std::thread::scope(|scope| {
                    scope.spawn(|| std::mem::forget(mutex.lock_timeout(BRIEF)));
                });
                drop((mutex.lock_timeout(BRIEF), event.wait_timeout(BRIEF), permits.acquire_timeout(BRIEF)));
                drop((wait_any(&all, Some(BRIEF)), wait_all(&all, Some(BRIEF))));
                drop((event.set(), event.reset(), permits.release(1), permits.release(u32::MAX), mutex.unlock()));
            }
            say("survived");
        }),
    ]);
}

#[test]
fn scribbled_objects_crash_and_hang_nobody() {
    let names = [name("mutex"), name("event"), name("permits")];
    let _mutex = Mutex::create(&names[0]).unwrap();
    let _event = Event::create(&names[1]).unwrap();
    let _permits = Semaphore::create(&names[2], 1, 9).unwrap();
    let args = names.each_ref().map(String::as_str);
    let mut survivor = Child::start("use", &args);
    survivor.expect("ready");
    let mut scribbler = Child::start("scribble", &args);
    scribbler.expect("scribbling");
    survivor.send("go");
    survivor.expect("survived");
    survivor.wait();
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
