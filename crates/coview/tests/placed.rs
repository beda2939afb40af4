//! The primitives of `coview::sync` between real processes and threads, deaths and hostile bytes included.

#![allow(unsafe_code)]

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use common::{Child, PATIENCE, Role, hear, say, until};
use coview::sync::{Barrier, Condvar, Event, Lock, Mutex, Once, Placed, RwLock, Semaphore, SeqLock};
use coview::{Access, ErrorKind, Mapping, View};

const SHORT: Duration = Duration::from_millis(30);

/// One of each, as a program would lay them out.
#[repr(C)]
struct Shared {
    total: Mutex<[u64; 2]>,
    table: RwLock<[u64; 2], 4>,
    changed: Condvar,
    permits: Semaphore,
    ping: Event,
    pong: Event,
    barrier: Barrier,
    once: Once,
    pose: SeqLock<[u64; 9]>,
    runs: AtomicU32,
    rounds: [AtomicU64; 4],
}

// SAFETY: all of its parts are placed, and it is repr(C).
unsafe impl Placed for Shared {}

/// A mapping of this test's own, and its view. Children open it by name.
fn memory(text: &str) -> (String, View) {
    let name = format!("placed-{text}-{}", std::process::id());
    let view = Mapping::create(&name, 8192).unwrap().view(Access::ReadWrite).unwrap();
    (name, view)
}

fn opened(name: &str) -> View {
    Mapping::open(name, Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap()
}

/// What every child begins with.
fn shared(view: &View) -> &Shared {
    view.place(64).unwrap()
}

#[test]
fn child() {
    common::child(&[mutex_roles(), table_and_condition_roles(), other_roles()].concat());
}

fn mutex_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("add", |args| {
            let view = opened(&args[0]);
            for _ in 0..args[1].parse::<u32>().unwrap() {
                shared(&view).total.lock().unwrap().into_guard()[0] += 1;
            }
        }),
        ("lock and stay", |args| {
            let view = opened(&args[0]);
            let lock = shared(&view).total.lock().unwrap();
            say(if lock.is_abandoned() { "abandoned" } else { "clean" });
            hear();
        }),
        ("work for ever", |args| {
            let view = opened(&args[0]);
            say("working");
            loop {
                let mut guard = shared(&view).total.lock().unwrap().into_guard();
                guard[0] += 1;
                guard[1] = guard[0];
                guard.make_consistent();
            }
        }),
        ("forget and unmap", |args| {
            let (inside, leave) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let view = opened(&args[0]);
                    std::mem::forget(shared(&view).total.lock().unwrap());
                    drop(view);
                    inside.wait();
                    leave.wait();
                });
                inside.wait();
                say("locked");
                hear();
                leave.wait();
            });
            say("ended");
            hear();
        }),
    ]
}

fn table_and_condition_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("read and stay", |args| {
            let view = opened(&args[0]);
            let lock = shared(&view).table.read().unwrap();
            say(&format!("{:?} {}", lock.is_abandoned(), lock.into_guard()[0]));
            let _guard = shared(&view).table.try_read(); // a second one, if there is a seat
            hear();
        }),
        ("write and stay", |args| {
            let view = opened(&args[0]);
            let mut guard = shared(&view).table.write().unwrap().into_guard();
            guard[0] += 1;
            say("half written");
            hear();
        }),
        ("read pairs", read_pairs),
        ("wait for 7", |args| {
            let view = opened(&args[0]);
            let mut guard = shared(&view).total.lock().unwrap().into_guard();
            say("waiting");
            while guard[0] != 7 {
                match shared(&view).changed.wait(guard).unwrap() {
                    Lock::Clean(again) => guard = again,
                    Lock::Abandoned(_) => return say("the owner died"),
                }
            }
            say("seven");
        }),
        ("pong", |args| {
            let view = opened(&args[0]);
            for _ in 0..1000 {
                shared(&view).ping.wait().unwrap();
                shared(&view).pong.set().unwrap();
            }
        }),
        ("barrier", |args| {
            let view = opened(&args[0]);
            let me: usize = args[1].parse().unwrap();
            for round in 1..=200 {
                shared(&view).rounds[me].store(round, Ordering::Relaxed);
                shared(&view).barrier.wait(3).unwrap();
                let seen: Vec<u64> = (0..3).map(|i| shared(&view).rounds[i].load(Ordering::Relaxed)).collect();
                assert!(seen.iter().all(|r| *r == round || *r == round + 1), "round {round}: {seen:?}");
            }
        }),
    ]
}

fn other_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("initialise halfway", |args| {
            let view = opened(&args[0]);
            let _ = shared(&view).once.call(|| {
                shared(&view).runs.fetch_add(1, Ordering::Relaxed);
                say("halfway");
                hear();
                Ok(())
            });
        }),
        ("initialise", |args| {
            let view = opened(&args[0]);
            let first = shared(&view).once.call(|| {
                shared(&view).runs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            say(&format!("{}", first.unwrap()));
        }),
        ("write poses", |args| {
            let view = opened(&args[0]);
            say("writing");
            for n in 1.. {
                shared(&view).pose.write(&[n; 9]).unwrap();
            }
        }),
        ("scribble", |args| {
            let view = opened(&args[0]);
            say("scribbling");
            let mut random = 0x9e37_79b9_7f4a_7c15_u64;
            loop {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = random as usize % (view.len() / 4) * 4;
                let value = if random >> 63 == 0 { 0 } else { (random >> 32) as u32 };
                view.atomic::<AtomicU32>(at).unwrap().store(value, Ordering::Relaxed);
            }
        }),
        ("survive", survive),
    ]
}

fn read_pairs(args: &[String]) {
    let view = opened(&args[0]);
    for _ in 0..2000 {
        let pair = *shared(&view).table.read().unwrap().into_guard();
        assert_eq!(pair[0], pair[1], "half of a write was seen");
    }
}

#[test]
fn a_mutex_lets_one_at_a_time_in() {
    let (name, view) = memory("count");
    let children: Vec<Child> = (0..3).map(|_| Child::start("add", &[&name, "3000"])).collect();
    for _ in 0..3000 {
        shared(&view).total.lock().unwrap().into_guard()[0] += 1;
    }
    children.into_iter().for_each(Child::wait);
    assert_eq!(shared(&view).total.lock().unwrap().into_guard()[0], 12_000);
}

#[test]
fn a_mutex_is_not_recursive_and_waits_no_longer_than_said() {
    let (name, view) = memory("timeout");
    let total = &shared(&view).total;
    let guard = total.lock().unwrap().into_guard();
    assert_eq!(total.lock().unwrap_err().kind(), ErrorKind::InvalidInput);
    let twice = opened(&name);
    assert_eq!(
        shared(&twice).total.try_lock().unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "another view is the same"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = std::time::Instant::now();
            assert!(total.try_lock().unwrap().is_none());
            assert!(total.lock_timeout(SHORT).unwrap().is_none());
            assert!(start.elapsed() >= SHORT, "it gave up too early");
        });
    });
    drop(guard);
    assert!(total.try_lock().unwrap().is_some());
}

#[test]
fn a_dead_owner_is_told_until_somebody_repairs() {
    let (name, view) = memory("dead");
    let total = &shared(&view).total;
    let mut owner = Child::start("lock and stay", &[&name]);
    owner.expect("clean");
    let mut waiter = Child::start("lock and stay", &[&name]);
    owner.kill();
    waiter.expect("abandoned");
    waiter.kill();
    let lock = total.lock_timeout(PATIENCE).unwrap().expect("the dead block nobody");
    assert!(lock.is_abandoned());
    drop(lock); // not repaired
    let Lock::Abandoned(mut guard) = total.lock().unwrap() else { panic!("nobody has repaired it") };
    guard.make_consistent();
    drop(guard);
    assert!(!total.lock().unwrap().is_abandoned());
}

#[test]
fn an_ended_thread_and_a_panic_abandon() {
    let (_, view) = memory("thread");
    let total = &shared(&view).total;
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(total.lock().unwrap()));
    });
    let Lock::Abandoned(mut guard) = total.lock_timeout(PATIENCE).unwrap().unwrap() else { panic!("its thread ended") };
    guard.make_consistent();
    drop(guard);
    std::thread::scope(|scope| {
        let panicking = scope.spawn(|| {
            let _guard = total.lock().unwrap().into_guard();
            panic!("on purpose");
        });
        assert!(panicking.join().is_err());
    });
    assert!(total.lock().unwrap().is_abandoned());
}

#[test]
fn a_view_with_a_forgotten_lock_stays_until_its_thread_ends() {
    let (name, view) = memory("forget");
    let mut child = Child::start("forget and unmap", &[&name]);
    child.expect("locked");
    assert!(shared(&view).total.try_lock().unwrap().is_none());
    child.send("end the thread");
    child.expect("ended");
    assert!(shared(&view).total.lock_timeout(PATIENCE).unwrap().unwrap().is_abandoned());
    child.wait();
}

#[test]
fn killing_at_random_stops_nobody() {
    let (name, view) = memory("random");
    let total = &shared(&view).total;
    let mut steady = Child::start("work for ever", &[&name]);
    steady.expect("working");
    for round in 0..25 {
        let mut victim = Child::start("work for ever", &[&name]);
        victim.expect("working");
        let before = total.lock_timeout(PATIENCE).unwrap().expect("nobody hangs").into_guard()[0];
        until("they work", || {
            std::thread::sleep(Duration::from_micros(37 * round));
            total.lock_timeout(PATIENCE).unwrap().expect("nobody hangs").into_guard()[0] > before
        });
        victim.kill();
    }
    steady.kill();
    match total.lock_timeout(PATIENCE).unwrap().expect("nobody hangs") {
        Lock::Clean(guard) => assert_eq!(guard[0], guard[1], "a death inside was not reported"),
        Lock::Abandoned(_) => {}
    }
}

#[test]
fn readers_share_and_a_writer_waits_for_them() {
    let (name, view) = memory("readers");
    let table = &shared(&view).table;
    *table.write().unwrap().into_guard() = [5, 5];
    let mut readers = [Child::start("read and stay", &[&name]), Child::start("read and stay", &[&name])];
    readers.iter_mut().for_each(|reader| reader.expect("false 5"));
    assert!(table.write_timeout(SHORT).unwrap().is_none());
    readers.iter_mut().for_each(Child::kill);
    let guard = table.write_timeout(PATIENCE).unwrap().expect("dead readers are forgotten");
    assert!(!guard.is_abandoned());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(table.try_read().unwrap().is_none());
            assert!(table.read_timeout(SHORT).unwrap().is_none());
        });
    });
    drop(guard);
    assert_eq!(table.read().unwrap().into_guard()[0], 5);
}

#[test]
fn a_dead_writer_is_told_to_all_until_one_repairs() {
    let (name, view) = memory("writer");
    let table = &shared(&view).table;
    let mut writer = Child::start("write and stay", &[&name]);
    writer.expect("half written");
    writer.kill();
    assert!(table.read_timeout(PATIENCE).unwrap().unwrap().is_abandoned());
    assert!(table.read().unwrap().is_abandoned());
    drop(table.write().unwrap()); // not repaired
    let Lock::Abandoned(mut guard) = table.write_timeout(PATIENCE).unwrap().unwrap() else { panic!("a writer died") };
    *guard = [1, 1];
    guard.make_consistent();
    drop(guard);
    assert!(!table.read().unwrap().is_abandoned());
}

#[test]
fn nobody_reads_half_of_a_write() {
    let (name, view) = memory("pairs");
    let children: Vec<Child> = (0..2).map(|_| Child::start("read pairs", &[&name])).collect();
    for n in 0..500 {
        let mut guard = shared(&view).table.write().unwrap().into_guard();
        guard[0] = n;
        std::thread::yield_now();
        guard[1] = n;
    }
    children.into_iter().for_each(Child::wait);
}

#[test]
fn a_condition_wakes_all_who_wait() {
    let (name, view) = memory("condition");
    let mut waiters = [Child::start("wait for 7", &[&name]), Child::start("wait for 7", &[&name])];
    waiters.iter_mut().for_each(|waiter| waiter.expect("waiting"));
    for n in [6, 7] {
        shared(&view).total.lock().unwrap().into_guard()[0] = n;
        shared(&view).changed.notify_all().unwrap();
    }
    waiters.iter_mut().for_each(|waiter| waiter.expect("seven"));
    let guard = shared(&view).total.lock().unwrap().into_guard();
    let (lock, notified) = shared(&view).changed.wait_timeout(guard, SHORT).unwrap();
    assert!(!lock.is_abandoned() && !notified);
}

#[test]
fn a_waiter_hears_that_the_owner_died_without_a_word() {
    let (name, view) = memory("silent");
    let mut waiter = Child::start("wait for 7", &[&name]);
    waiter.expect("waiting");
    let mut owner = Child::start("lock and stay", &[&name]);
    owner.expect("clean");
    owner.kill();
    waiter.expect("the owner died");
    drop(view);
}

#[test]
fn a_semaphore_counts() {
    let (_, view) = memory("permits");
    let permits = &shared(&view).permits;
    assert_eq!(permits.init(0, 0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(permits.init(3, 2).unwrap_err().kind(), ErrorKind::InvalidInput);
    permits.init(1, 2).unwrap();
    assert!(permits.try_acquire().unwrap());
    assert!(!permits.acquire_timeout(SHORT).unwrap());
    assert_eq!(permits.release(2).unwrap(), 0);
    assert_eq!(permits.release(1).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(permits.release(u32::MAX).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(permits.count(), 2);
    std::thread::scope(|scope| {
        permits.acquire().unwrap();
        permits.acquire().unwrap();
        let waiters = [scope.spawn(|| permits.acquire()), scope.spawn(|| permits.acquire())];
        permits.release(2).unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
    });
}

#[test]
fn events_carry_a_thousand_rounds() {
    let (name, view) = memory("events");
    let child = Child::start("pong", &[&name]);
    for _ in 0..1000 {
        shared(&view).ping.set().unwrap();
        assert!(shared(&view).pong.wait_timeout(PATIENCE).unwrap());
    }
    child.wait();
    let ping = &shared(&view).ping;
    ping.set().unwrap();
    ping.set().unwrap();
    assert!(ping.try_wait().unwrap() && !ping.try_wait().unwrap(), "automatic reset: one set, one wait");
    ping.init(true, true).unwrap();
    assert!(ping.try_wait().unwrap() && ping.try_wait().unwrap(), "manual reset: it stays");
    ping.reset().unwrap();
    assert!(!ping.wait_timeout(SHORT).unwrap());
}

#[test]
fn nobody_passes_a_barrier_early() {
    let (name, view) = memory("barrier");
    let barrier = &shared(&view).barrier;
    assert_eq!(barrier.wait_timeout(2, SHORT).unwrap(), None, "alone");
    let children = ["0", "1", "2"].map(|me| Child::start("barrier", &[&name, me]));
    children.into_iter().for_each(Child::wait);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait(2).unwrap());
        let last = barrier.wait(2).unwrap();
        assert!(last != other.join().unwrap(), "one of them came last");
    });
}

#[test]
fn once_is_once_whoever_dies() {
    let (name, view) = memory("once");
    let (once, runs) = (&shared(&view).once, &shared(&view).runs);
    let mut dying = Child::start("initialise halfway", &[&name]);
    dying.expect("halfway");
    assert_eq!(once.call_timeout(SHORT, || Ok(())).unwrap_err().kind(), ErrorKind::TimedOut);
    let mut two = [Child::start("initialise", &[&name]), Child::start("initialise", &[&name])];
    assert!(!once.is_done());
    dying.kill();
    let mut firsts: Vec<String> = two.iter_mut().map(Child::line).collect();
    firsts.sort();
    assert_eq!(firsts, ["false", "true"]);
    assert_eq!(runs.load(Ordering::Relaxed), 2, "the dead one and one more");
    assert!(once.is_done() && !once.call(|| unreachable!()).unwrap());
}

#[test]
fn once_that_fails_has_not_happened() {
    let (_, view) = memory("fails");
    let once = &shared(&view).once;
    let nested = once.call(|| once.call(|| Ok(())).map(drop));
    assert_eq!(nested.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(!once.is_done() && once.call(|| Ok(())).unwrap());
}

#[test]
fn a_sequence_lock_shows_whole_values_only() {
    let (name, view) = memory("poses");
    let pose = &shared(&view).pose;
    for _ in 0..8 {
        let mut writer = Child::start("write poses", &[&name]);
        writer.expect("writing");
        let before = pose.read()[0];
        until("it writes", || pose.read()[0] != before);
        for _ in 0..20_000 {
            let value = pose.read_timeout(PATIENCE).expect("no reader starves");
            assert_eq!(value, [value[0]; 9], "a torn value");
        }
        writer.kill();
        let left = pose.read();
        assert_eq!(left, [left[0]; 9], "a torn value after a death");
    }
    pose.write(&[3; 9]).unwrap();
    assert_eq!(pose.try_read(), Some([3; 9]));
}

#[test]
fn places_are_checked() {
    let (name, view) = memory("places");
    assert_eq!(view.place::<Mutex<u64>>(4).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(view.place::<Mutex<u64>>(view.len() - 8).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(view.place::<Mutex<u64>>(usize::MAX - 7).unwrap_err().kind(), ErrorKind::OutOfRange);
    let reading = Mapping::open(&name, Access::Read).unwrap().view(Access::Read).unwrap();
    assert_eq!(reading.place::<Event>(0).unwrap_err().kind(), ErrorKind::AccessDenied);
}

/// Uses everything while a peer writes random words over it: any result will do, but there is one, in time.
fn survive(args: &[String]) {
    let view = opened(&args[0]);
    for _ in 0..args[1].parse::<u32>().unwrap() {
        let all = shared(&view);
        let brief = Duration::from_micros(200);
        std::thread::scope(|scope| {
            // Dies with a lock whose list node is written over.
            scope.spawn(|| std::mem::forget(all.total.lock_timeout(brief)));
        });
        drop(all.total.lock_timeout(brief));
        drop((all.table.read_timeout(brief), all.table.write_timeout(brief)));
        if let Ok(Some(lock)) = all.total.lock_timeout(brief) {
            drop(all.changed.wait_timeout(lock.into_guard(), brief));
        }
        drop((all.changed.notify_all(), all.permits.acquire_timeout(brief), all.permits.release(1)));
        drop((all.ping.set(), all.ping.wait_timeout(brief), all.ping.reset()));
        drop((all.barrier.wait_timeout(3, brief), all.once.call_timeout(brief, || Ok(()))));
        let _ = (all.pose.read_timeout(brief), all.pose.write_timeout(&[1; 9], brief), all.permits.count());
    }
    say("survived");
}

#[test]
fn hostile_words_crash_and_hang_nobody() {
    let (name, _view) = memory("hostile");
    let mut scribbler = Child::start("scribble", &[&name]);
    scribbler.expect("scribbling");
    let mut survivor = Child::start("survive", &[&name, "300"]);
    survivor.expect("survived");
    survivor.wait();
}
