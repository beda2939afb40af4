//! The named mutex, event and semaphore, killed at every instruction.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coview::{Event, EventOptions, Mutex, Semaphore};

use crate::harness::*;

/// The lock is had soon, whoever died wherever.
pub(crate) fn had_soon(mutex: &Mutex, at: u32) -> bool {
    let start = Instant::now();
    let lock = mutex.lock_timeout(patience()).unwrap();
    let lock =
        lock.unwrap_or_else(|| panic!("killed after {at} instructions: the lock is not had in {:?}", start.elapsed()));
    lock.is_abandoned()
}

pub(crate) fn mutex_lock_unlock() {
    let notes = Notes::new();
    let mutex = Mutex::create(&name("mutex")).unwrap();
    let inside = notes.word(0);
    let victim = |begin: &dyn Fn()| {
        begin();
        let guard = mutex.lock().unwrap().into_guard();
        inside.store(1, Ordering::SeqCst);
        some_work();
        inside.store(0, Ordering::SeqCst);
        drop(guard);
    };
    sweep("mutex: lock and unlock", &victim, |at, _| {
        let died_inside = inside.swap(0, Ordering::SeqCst) == 1;
        let abandoned = had_soon(&mutex, at);
        assert!(abandoned || !died_inside, "killed after {at} instructions, inside: it is not reported");
        assert!(!had_soon(&mutex, at), "abandonment is told once");
        abandoned
    });
}

/// A survivor that already waits while the victim dies.
pub(crate) fn mutex_unlock_with_waiter() {
    let notes = Notes::new();
    let mutex = Mutex::create(&name("waited")).unwrap();
    let (locked, go) = (notes.word(0), notes.word(1));
    let victim = |begin: &dyn Fn()| {
        let guard = mutex.lock_timeout(Duration::from_secs(5)).unwrap().expect("free").into_guard();
        locked.store(1, Ordering::SeqCst);
        while go.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
        begin();
        drop(guard);
    };
    // The waiter is a process of its own: it locks whenever it is asked to and says how that went.
    let (ask, answer) = (notes.word(2), notes.word(3));
    let waiter = helper(&|| {
        loop {
            while ask.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
            ask.store(0, Ordering::SeqCst);
            let lock = mutex.lock().unwrap();
            answer.store(1 + u32::from(lock.is_abandoned()), Ordering::SeqCst);
        }
    });
    let run = |steps: Option<u32>| -> (Reached, u32) {
        locked.store(0, Ordering::SeqCst);
        go.store(0, Ordering::SeqCst);
        answer.store(0, Ordering::SeqCst);
        let wrapped = |begin: &dyn Fn()| victim(begin);
        // The waiter goes to sleep on the lock while the victim has it; then the victim goes on.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until(|| locked.load(Ordering::SeqCst) == 1, "the victim has the lock");
                ask.store(1, Ordering::SeqCst);
                until(|| asleep(waiter), "the waiter sleeps");
                go.store(1, Ordering::SeqCst);
            });
            let reached = match steps {
                Some(steps) => (kill_after(steps, &wrapped), 0),
                None => (Reached::End, length(&wrapped)),
            };
            until(|| answer.load(Ordering::SeqCst) != 0, "the waiter gets the lock");
            reached
        })
    };
    let (_, length) = run(None);
    let stride = stride(length);
    let (mut kills, mut seen) = (0, 0);
    for steps in (0..=length + 1).step_by(stride) {
        run(Some(steps));
        kills += 1;
        seen += u32::from(answer.load(Ordering::SeqCst) == 2);
        // It gave the lock back at once: free for the next round.
        had_soon(&mutex, steps);
    }
    kill_helper(waiter);
    println!("mutex: unlock with a waiter: {length} instructions, {kills} kills, {seen} deaths noticed, 0 failures");
}

/// The setter dies anywhere: a waiter that slept before goes through, at the latest when the next one sets.
pub(crate) fn event_set_automatic() {
    event_set(false);
}

pub(crate) fn event_set_manual() {
    event_set(true);
}

fn event_set(manual: bool) {
    let notes = Notes::new();
    let label = if manual { "manual" } else { "automatic" };
    let event = EventOptions::new().manual_reset(manual).create(&name(label)).unwrap();
    let (ask, answer) = (notes.word(0), notes.word(1));
    let waiters: Vec<i32> = (0..2)
        .map(|_| {
            helper(&|| {
                loop {
                    while ask.load(Ordering::SeqCst) == 0 {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    event.wait().unwrap();
                    answer.fetch_add(1, Ordering::SeqCst);
                    while ask.load(Ordering::SeqCst) != 0 {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    answer.fetch_sub(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let arm = || {
        event.reset().unwrap();
        until(|| answer.load(Ordering::SeqCst) == 0, "the waiters are back");
        ask.store(1, Ordering::SeqCst);
        until(|| waiters.iter().all(|pid| asleep(*pid)), "the waiters sleep");
    };
    let victim = |begin: &dyn Fn()| {
        begin();
        event.set().unwrap();
    };
    arm();
    sweep(&format!("event ({label}): set with two waiters"), &victim, |_, _| {
        let by_the_dead = answer.load(Ordering::SeqCst) > 0;
        if manual && event.try_wait().unwrap() {
            // What the dead one set, both hear of, though it may not have woken them.
            until(|| answer.load(Ordering::SeqCst) == 2, "both go through, with nobody to set it again");
        }
        event.set().unwrap();
        until(|| answer.load(Ordering::SeqCst) >= 1, "one waiter goes through");
        until(
            || {
                if !manual && answer.load(Ordering::SeqCst) < 2 {
                    event.set().unwrap();
                }
                answer.load(Ordering::SeqCst) == 2
            },
            "the other goes through",
        );
        ask.store(0, Ordering::SeqCst);
        arm();
        by_the_dead
    });
    waiters.into_iter().for_each(kill_helper);
}

/// A waiter dies anywhere, also asleep or with a wake-up in its hands: the other one gets what is set.
pub(crate) fn event_wait() {
    let notes = Notes::new();
    let event = Event::create(&name("wait")).unwrap();
    let (ask, answer) = (notes.word(0), notes.word(1));
    let other = waiter(&event, ask, answer);
    let arm = || {
        answer.store(0, Ordering::SeqCst);
        ask.store(1, Ordering::SeqCst);
        until(|| ask.load(Ordering::SeqCst) == 0 && asleep(other), "the other waiter sleeps");
    };
    let victim = |begin: &dyn Fn()| {
        begin();
        event.wait().unwrap();
    };
    arm();
    sweep("event: wait, killed, beside another waiter", &victim, |_, _| {
        event.set().unwrap();
        until(|| answer.load(Ordering::SeqCst) == 1, "the other waiter goes through");
        arm();
        false
    });
    kill_helper(other);
}

pub(crate) fn semaphore() {
    let permits = Semaphore::create(&name("permits"), 1, 1).unwrap();
    let victim = |begin: &dyn Fn()| {
        begin();
        permits.acquire().unwrap();
        permits.release(1).unwrap().unwrap();
    };
    sweep("semaphore: acquire and release", &victim, |at, _| {
        // A permit taken by the dead is gone; anything but 0 or 1 would be wrong.
        let had = permits.try_acquire().unwrap();
        assert!(!permits.try_acquire().unwrap(), "killed after {at} instructions: a permit too many");
        assert_eq!(permits.release(1).unwrap(), Ok(0));
        !had
    });
}

/// One more waiter than victims; the setter and a waiter die at once. If the event is set then, the survivor hears of it.
pub(crate) fn event_set_and_wait_both_die() {
    let notes = Notes::new();
    let event = EventOptions::new().manual_reset(true).create(&name("both")).unwrap();
    let (ask, answer) = (notes.word(0), notes.word(1));
    let other = waiter(&event, ask, answer);
    let arm = || {
        event.reset().unwrap();
        answer.store(0, Ordering::SeqCst);
        ask.store(1, Ordering::SeqCst);
        until(|| ask.load(Ordering::SeqCst) == 0 && asleep(other), "the other waiter sleeps");
    };
    let setter = |begin: &dyn Fn()| {
        begin();
        event.set().unwrap();
    };
    let dying = |begin: &dyn Fn()| {
        begin();
        event.wait().unwrap();
    };
    arm();
    duel("event: setter and one of two waiters die", &setter, &dying, |_, _| {
        if !event.try_wait().unwrap() {
            event.set().unwrap();
        }
        until(|| answer.load(Ordering::SeqCst) == 1, "the other waiter goes through");
        arm();
    });
    kill_helper(other);
}

/// Two of three waiters die anywhere; the third gets what is set.
pub(crate) fn two_waiters_die() {
    let notes = Notes::new();
    let event = Event::create(&name("three")).unwrap();
    let (ask, answer) = (notes.word(0), notes.word(1));
    let other = waiter(&event, ask, answer);
    let arm = || {
        answer.store(0, Ordering::SeqCst);
        ask.store(1, Ordering::SeqCst);
        until(|| ask.load(Ordering::SeqCst) == 0 && asleep(other), "the other waiter sleeps");
    };
    let dying = |begin: &dyn Fn()| {
        begin();
        event.wait().unwrap();
    };
    arm();
    duel("event: two of three waiters die", &dying, &dying, |_, _| {
        event.set().unwrap();
        until(|| answer.load(Ordering::SeqCst) == 1, "the other waiter goes through");
        arm();
    });
    kill_helper(other);
}

/// Waits for the event whenever it is asked to, and says when it has gone through.
fn waiter(event: &Event, ask: &AtomicU32, answer: &AtomicU32) -> i32 {
    helper(&|| {
        loop {
            while ask.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
            ask.store(0, Ordering::SeqCst);
            event.wait().unwrap();
            answer.store(1, Ordering::SeqCst);
        }
    })
}
