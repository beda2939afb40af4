//! Named mutexes, events and semaphores between real processes and threads: semantics.md 2.7 row by row, deaths included.

mod common;

use std::time::{Duration, Instant};

use common::{Child, again, hear, say, until};
use coview::{
    Access, Disposition, ErrorKind, Event, EventOptions, Lock, Mapping, Mutex, Semaphore, Waitable, wait_all, wait_any,
};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn child() {
    common::child(&[
        ("lock and stay", |args| {
            let mutex = Mutex::open(&args[0]).unwrap();
            let lock = mutex.lock().unwrap();
            say(if lock.is_abandoned() { "abandoned" } else { "locked" });
            hear();
        }),
        ("try", |args| {
            let got = Mutex::open(&args[0]).unwrap().try_lock().unwrap().map(|lock| lock.is_abandoned());
            say(&format!("{got:?}"));
        }),
        ("wait event", |args| {
            let event = Event::open(&args[0]).unwrap();
            say("waiting");
            event.wait().unwrap();
            say("through");
        }),
        ("acquire", |args| {
            let permits = Semaphore::open(&args[0]).unwrap();
            permits.acquire().unwrap();
            say("acquired");
            hear();
        }),
        ("count", count),
        ("pong", |args| {
            let (ping, pong) = (Event::open(&args[0]).unwrap(), Event::open(&args[1]).unwrap());
            for _ in 0..1000 {
                ping.wait().unwrap();
                pong.set().unwrap();
            }
        }),
    ]);
}

/// Adds to a counter in shared memory under the mutex, not atomically, until told to stop.
fn count(args: &[String]) {
    let mutex = Mutex::open(&args[0]).unwrap();
    let mapping = Mapping::open(&args[1], Access::ReadWrite).unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    say("counting");
    for _ in 0..args[2].parse::<u32>().unwrap() {
        let _guard = mutex.lock().unwrap().into_guard();
        let mut bytes = [0; 8];
        view.read(0, &mut bytes).unwrap();
        view.write(0, &(u64::from_le_bytes(bytes) + 1).to_le_bytes()).unwrap();
    }
}

fn name(text: &str) -> String {
    format!("sync-{text}-{}", std::process::id())
}

#[test]
fn a_mutex_is_had_by_one_and_again_by_the_same() {
    let name = name("recursive");
    let mutex = Mutex::create(&name).unwrap();
    let first = mutex.lock().unwrap();
    let other_handle = Mutex::open(&name).unwrap();
    let second = other_handle.try_lock().unwrap().expect("the owner takes it again, through any handle");
    assert!(!second.is_abandoned());
    let tries = |expected: &str| {
        let mut child = Child::start("try", &[&name]);
        child.expect(expected);
        child.wait();
    };
    tries("None");
    drop(first);
    tries("None"); // one of two is given back
    drop(second);
    tries("Some(false)");
    assert_eq!(mutex.unlock().unwrap_err().kind(), ErrorKind::InvalidInput, "it is not ours any more");
}

#[test]
fn only_its_owner_gives_it_back() {
    let mutex = Mutex::create(&name("owner")).unwrap();
    let lock = mutex.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(mutex.unlock().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(mutex.try_lock().unwrap().is_none());
        });
    });
    drop(lock);
    assert!(mutex.try_lock().unwrap().is_some());
}

#[test]
fn a_killed_process_abandons_its_mutex_once() {
    let name = name("killed");
    let mutex = Mutex::create(&name).unwrap();
    let mut child = Child::start("lock and stay", &[&name]);
    child.expect("locked");
    assert!(mutex.try_lock().unwrap().is_none());
    child.kill();
    let lock = mutex.lock_timeout(LONG).unwrap().expect("a dead owner blocks nobody");
    assert!(lock.is_abandoned());
    drop(lock);
    assert!(!mutex.lock().unwrap().is_abandoned(), "after release it is normal again");
}

#[test]
fn an_ended_thread_abandons_its_mutex() {
    let mutex = Mutex::create(&name("thread")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(mutex.lock().unwrap()));
    });
    assert!(mutex.lock_timeout(LONG).unwrap().unwrap().is_abandoned());
}

#[test]
fn who_waits_is_told_of_the_death() {
    let name = name("waiting");
    let mutex = Mutex::create(&name).unwrap();
    let mut owner = Child::start("lock and stay", &[&name]);
    owner.expect("locked");
    let mut waiter = Child::start("lock and stay", &[&name]);
    let mut second = Child::start("lock and stay", &[&name]);
    owner.kill();
    // One of the two is told; the other gets it when that one has given it back.
    let (first, told) = (waiter.id(), second.id());
    assert_ne!(first, told);
    let mut lines = vec![];
    std::thread::scope(|scope| {
        let a = scope.spawn(|| {
            let line = waiter.line();
            waiter.send("done");
            line
        });
        let b = scope.spawn(|| {
            let line = second.line();
            second.send("done");
            line
        });
        lines.extend([a.join().unwrap(), b.join().unwrap()]);
    });
    lines.sort();
    assert_eq!(lines, ["abandoned", "locked"]);
    drop(mutex);
}

#[test]
fn time_runs_out() {
    let name = name("time");
    let mutex = Mutex::create(&name).unwrap();
    let mut owner = Child::start("lock and stay", &[&name]);
    owner.expect("locked");
    let start = Instant::now();
    assert!(mutex.lock_timeout(Duration::from_millis(200)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(199));
    let event = Event::create(&format!("{name}-event")).unwrap();
    assert!(!event.wait_timeout(Duration::from_millis(20)).unwrap());
    assert!(wait_any(&[(&mutex).into(), (&event).into()], Some(Duration::from_millis(20))).unwrap().is_none());
}

#[test]
fn events_reset_as_they_are_made() {
    let (auto, manual) = (Event::create(&name("auto")).unwrap(), name("manual"));
    auto.set().unwrap();
    auto.set().unwrap();
    assert!(auto.try_wait().unwrap() && !auto.try_wait().unwrap(), "twice set before a wait is once");
    let manual = EventOptions::new().manual_reset(true).initially_set(true).create(&manual).unwrap();
    assert!(manual.try_wait().unwrap() && manual.try_wait().unwrap());
    manual.reset().unwrap();
    assert!(!manual.try_wait().unwrap());
    let (again, disposition) = EventOptions::new().open_or_create(&manual.name().unwrap().to_string()).unwrap();
    manual.set().unwrap();
    assert_eq!(disposition, Disposition::Opened);
    assert!(again.try_wait().unwrap() && again.try_wait().unwrap(), "an existing event keeps its kind");
}

#[test]
fn a_manual_event_lets_all_through_and_an_automatic_one_each() {
    for manual in [true, false] {
        let name = name(if manual { "all" } else { "each" });
        let event = EventOptions::new().manual_reset(manual).create(&name).unwrap();
        let mut waiters: Vec<Child> = (0..3).map(|_| Child::start("wait event", &[&name])).collect();
        waiters.iter_mut().for_each(|waiter| waiter.expect("waiting"));
        if manual {
            event.set().unwrap();
            waiters.iter_mut().for_each(|waiter| waiter.expect("through"));
        } else {
            for left in (0..3).rev() {
                event.set().unwrap();
                // Whoever it is: the state says when somebody has gone through.
                let deadline = Instant::now() + LONG;
                while event_is_set(&event, left) && Instant::now() < deadline {
                    std::thread::yield_now();
                }
            }
            waiters.iter_mut().for_each(|waiter| waiter.expect("through"));
        }
        waiters.into_iter().for_each(Child::wait);
    }
}

/// Looks without taking for long: takes and, if it had it, gives it back.
fn event_is_set(event: &Event, _left: u32) -> bool {
    let set = event.try_wait().unwrap();
    if set {
        event.set().unwrap();
    }
    set
}

#[test]
fn a_killed_waiter_takes_no_wake_up_with_it() {
    let name = name("waiters");
    let event = Event::create(&name).unwrap();
    for _ in 0..20 {
        let mut doomed = Child::start("wait event", &[&name]);
        let mut other = Child::start("wait event", &[&name]);
        doomed.expect("waiting");
        other.expect("waiting");
        doomed.kill();
        event.set().unwrap();
        other.expect("through");
        other.wait();
    }
}

#[test]
fn permits_are_counted_and_the_dead_keep_theirs() {
    let name = name("permits");
    let permits = Semaphore::create(&name, 2, 3).unwrap();
    let mut child = Child::start("acquire", &[&name]);
    child.expect("acquired");
    child.kill();
    assert!(permits.try_acquire().unwrap());
    assert!(!permits.try_acquire().unwrap(), "the dead one's permit is not given back");
    assert_eq!(permits.release(2).unwrap(), Ok(0));
    assert_eq!(permits.release(2).unwrap().unwrap_err().0, 2, "above the maximum nothing changes");
    assert_eq!(permits.release(1).unwrap(), Ok(2));
    assert_eq!(permits.release(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    for (count, maximum) in [(2, 1), (0, 0), (1, u32::MAX)] {
        assert_eq!(Semaphore::create("x", count, maximum).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn any_of_several() {
    let id = name("any");
    let mutex = Mutex::create(&format!("{id}-m")).unwrap();
    let event = Event::create(&format!("{id}-e")).unwrap();
    let permits = Semaphore::create(&format!("{id}-s"), 0, 1).unwrap();
    let objects: [Waitable<'_>; 3] = [(&event).into(), (&permits).into(), (&mutex).into()];
    let fired = wait_any(&objects, None).unwrap().unwrap();
    assert_eq!(fired.index, 2);
    assert!(matches!(fired.lock, Some(Lock::Clean(_))));
    drop(fired);
    let mut owner = Child::start("lock and stay", &[&format!("{id}-m")]);
    owner.expect("locked");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&objects, Some(LONG)).unwrap().unwrap().index);
        permits.release(1).unwrap().unwrap();
        assert_eq!(waiter.join().unwrap(), 1);
        let waiter = scope.spawn(|| {
            let fired = wait_any(&objects, Some(LONG)).unwrap().unwrap();
            (fired.index, fired.lock.unwrap().is_abandoned())
        });
        owner.kill();
        assert_eq!(waiter.join().unwrap(), (2, true), "abandonment comes with the index");
    });
    let many: Vec<Waitable<'_>> = (0..65).map(|_| (&event).into()).collect();
    assert_eq!(wait_any(&many, None).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(wait_any(&[], None).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn sixty_four_at_once() {
    let id = name("many");
    let events: Vec<Event> = (0..64).map(|i| Event::create(&format!("{id}-{i}")).unwrap()).collect();
    let objects: Vec<Waitable<'_>> = events.iter().map(Waitable::from).collect();
    for i in [63, 0, 31] {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_any(&objects, Some(LONG)).unwrap().unwrap().index);
            events[i].set().unwrap();
            assert_eq!(waiter.join().unwrap(), i);
        });
    }
}

#[test]
fn all_or_none() {
    let id = name("all-of");
    let mutex = Mutex::create(&format!("{id}-m")).unwrap();
    let event = Event::create(&format!("{id}-e")).unwrap();
    let permits = Semaphore::create(&format!("{id}-s"), 1, 1).unwrap();
    let objects: [Waitable<'_>; 3] = [(&mutex).into(), (&permits).into(), (&event).into()];
    assert!(wait_all(&objects, Some(Duration::from_millis(20))).unwrap().is_none());
    assert!(permits.try_acquire().unwrap(), "what could be had was not kept");
    permits.release(1).unwrap().unwrap();
    let mut tried = Child::start("try", &[&format!("{id}-m")]);
    tried.expect("Some(false)");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_all(&objects, Some(LONG)).unwrap().map(|locks| locks[0].is_some()));
        event.set().unwrap();
        assert_eq!(waiter.join().unwrap(), Some(true));
    });
    assert!(!event.try_wait().unwrap() && !permits.try_acquire().unwrap());
    let mut owner = Child::start("lock and stay", &[&format!("{id}-m")]);
    owner.expect("locked");
    owner.kill();
    event.set().unwrap();
    permits.release(1).unwrap().unwrap();
    let locks = wait_all(&objects, Some(LONG)).unwrap().unwrap();
    assert!(locks[0].as_ref().unwrap().is_abandoned());
}

#[test]
fn one_name_space_for_all_kinds() {
    let name = name("kinds");
    let mutex = Mutex::create(&name).unwrap();
    let kinds = [
        Mapping::create(&name, 1).unwrap_err(),
        Mapping::open(&name, Access::Read).unwrap_err(),
        Event::create(&name).unwrap_err(),
        Event::open(&name).unwrap_err(),
        Semaphore::create(&name, 1, 1).unwrap_err(),
    ];
    for error in kinds {
        assert_eq!(error.kind(), ErrorKind::WrongKind);
        assert!(error.to_string().contains("a mutex"), "{error}");
    }
    drop(mutex);
    let mapping = again(|| Mapping::create(&name, 1));
    let error = Mutex::create(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKind);
    assert!(error.to_string().contains("a mapping"), "{error}");
    drop(mapping);
    until("it is gone", || Mutex::open(&name).unwrap_err().kind() == ErrorKind::NotFound);
}

#[test]
fn processes_exclude_each_other() {
    let (lock, memory) = (name("exclude"), name("counter"));
    let mutex = Mutex::create(&lock).unwrap();
    let mapping = Mapping::create(&memory, 8).unwrap();
    let mut children: Vec<Child> = (0..4).map(|_| Child::start("count", &[&lock, &memory, "5000"])).collect();
    children.iter_mut().for_each(|child| child.expect("counting"));
    children.into_iter().for_each(Child::wait);
    let _guard = mutex.lock().unwrap().into_guard();
    let mut bytes = [0; 8];
    mapping.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(u64::from_le_bytes(bytes), 20_000);
}

#[test]
fn killing_at_random_blocks_nobody() {
    let (lock, memory) = (name("storm"), name("storm-counter"));
    let mutex = Mutex::create(&lock).unwrap();
    let mapping = Mapping::create(&memory, 8).unwrap();
    let mut abandoned = 0;
    let mut survivors: Vec<Child> = (0..2).map(|_| Child::start("count", &[&lock, &memory, "20000"])).collect();
    for round in 0..40_u64 {
        let mut doomed = Child::start("count", &[&lock, &memory, "1000000"]);
        doomed.expect("counting");
        // Some way into its work, a different one each time: as many locks of ours.
        for _ in 0..round * 7 % 50 {
            abandoned += u32::from(mutex.lock_timeout(LONG).unwrap().expect("nobody hangs").is_abandoned());
        }
        doomed.kill();
    }
    survivors.iter_mut().for_each(|child| child.expect("counting"));
    survivors.into_iter().for_each(Child::wait);
    let lock = mutex.lock_timeout(LONG).unwrap().expect("nobody hangs");
    abandoned += u32::from(lock.is_abandoned());
    println!("40 kills, {abandoned} seen as abandoned by this process");
    drop(mapping);
}

#[test]
fn ping_and_pong() {
    let (ping, pong) = (name("ping"), name("pong"));
    let (a, b) = (Event::create(&ping).unwrap(), Event::create(&pong).unwrap());
    let child = Child::start("pong", &[&ping, &pong]);
    for _ in 0..1000 {
        a.set().unwrap();
        assert!(b.wait_timeout(LONG).unwrap());
    }
    child.wait();
}
