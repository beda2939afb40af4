//! The primitives in a view, killed at every instruction.

use std::sync::atomic::{AtomicU32, Ordering};

use coview::sync::{Barrier, Condvar, Lock, Mutex, Once, Placed, RwLock, Semaphore, SeqLock};
use coview::{Access, MappingOptions, View};

use crate::harness::*;

fn memory() -> View {
    MappingOptions::new().size(8192).create_unnamed().unwrap().view(Access::ReadWrite).unwrap()
}

/// A fresh primitive: its bytes are zeros again.
fn fresh<P: Placed>(view: &View) -> &P {
    view.write(0, &vec![0; size_of::<P>()]).unwrap();
    view.place(0).unwrap()
}

fn soon<G>(lock: Option<Lock<G>>, at: u32) -> Lock<G> {
    lock.unwrap_or_else(|| panic!("killed after {at} instructions: the lock is not had in {:?}", patience()))
}

pub(crate) fn mutex() {
    let (view, notes) = (memory(), Notes::new());
    let (mutex, inside): (&Mutex<[u64; 2]>, _) = (fresh(&view), notes.word(0));
    let victim = |begin: &dyn Fn()| {
        begin();
        let mut guard = mutex.lock().unwrap().into_guard();
        inside.store(1, Ordering::SeqCst);
        guard[0] += 1;
        some_work();
        guard[1] += 1;
        inside.store(0, Ordering::SeqCst);
    };
    sweep("placed mutex: lock, change, unlock", &victim, |at, _| {
        let died_inside = inside.swap(0, Ordering::SeqCst) == 1;
        match soon(mutex.lock_timeout(patience()).unwrap(), at) {
            Lock::Clean(guard) => {
                assert!(!died_inside, "killed after {at} instructions, inside: it is not reported");
                assert_eq!(guard[0], guard[1], "killed after {at} instructions: half a change, unreported");
                false
            }
            Lock::Abandoned(mut guard) => {
                guard[1] = guard[0];
                guard.make_consistent();
                true
            }
        }
    });
}

pub(crate) fn rwlock_write() {
    let view = memory();
    let lock: &RwLock<[u64; 2], 2> = fresh(&view);
    let victim = |begin: &dyn Fn()| {
        begin();
        let mut guard = lock.write().unwrap().into_guard();
        guard[0] += 1;
        some_work();
        guard[1] += 1;
    };
    sweep("placed reader-writer lock: write", &victim, |at, _| {
        let told = match soon(lock.read_timeout(patience()).unwrap(), at) {
            Lock::Clean(guard) => {
                assert_eq!(guard[0], guard[1], "killed after {at} instructions: half a change, unreported");
                false
            }
            Lock::Abandoned(_) => true,
        };
        let again = soon(lock.write_timeout(patience()).unwrap(), at);
        assert_eq!(again.is_abandoned(), told, "killed after {at} instructions: reader and writer are told the same");
        let mut guard = again.into_guard();
        guard[1] = guard[0];
        guard.make_consistent();
        told
    });
}

pub(crate) fn rwlock_read() {
    let view = memory();
    let lock: &RwLock<[u64; 2], 2> = fresh(&view);
    let victim = |begin: &dyn Fn()| {
        begin();
        drop(lock.read().unwrap());
    };
    sweep("placed reader-writer lock: read", &victim, |at, _| {
        assert!(!soon(lock.write_timeout(patience()).unwrap(), at).is_abandoned(), "a dead reader is forgotten");
        assert!(!soon(lock.read_timeout(patience()).unwrap(), at).is_abandoned());
        false
    });
}

pub(crate) fn once() {
    let (view, notes) = (memory(), Notes::new());
    let (once, made): (&Once, [&AtomicU32; 2]) = (fresh(&view), [notes.word(0), notes.word(1)]);
    let initialise = || {
        made[0].store(7, Ordering::Relaxed);
        some_work();
        made[1].store(7, Ordering::Relaxed);
        Ok(())
    };
    let victim = |begin: &dyn Fn()| {
        begin();
        once.call(initialise).unwrap();
    };
    sweep("once: call", &victim, |at, _| {
        let done = once.is_done();
        let whole = made.iter().all(|word| word.load(Ordering::Relaxed) == 7);
        assert!(!done || whole, "killed after {at} instructions: done, but it is not");
        assert_eq!(once.call_timeout(patience(), initialise).unwrap(), !done, "killed after {at} instructions");
        assert!(once.is_done());
        fresh::<Once>(&view);
        made.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        !done
    });
}

pub(crate) fn sequence_lock() {
    let view = memory();
    let pose: &SeqLock<[u64; 9]> = fresh(&view);
    let victim = |begin: &dyn Fn()| {
        let next = pose.read()[0] + 1;
        begin();
        pose.write(&[next; 9]).unwrap();
    };
    let mut last = 0;
    sweep("placed sequence lock: write", &victim, |at, _| {
        let value = pose.read_timeout(patience()).expect("nobody waits");
        assert_eq!(value, [value[0]; 9], "killed after {at} instructions: torn");
        assert!(value[0] == last || value[0] == last + 1, "killed after {at} instructions: {} after {last}", value[0]);
        let noticed = value[0] == last;
        last = value[0] + 1;
        assert!(pose.write_timeout(&[last; 9], patience()).unwrap(), "the next writer goes on");
        assert_eq!(pose.read(), [last; 9]);
        noticed
    });
}

pub(crate) fn semaphore_and_barrier() {
    let view = memory();
    let permits: &Semaphore = fresh(&view);
    permits.init(1, 1).unwrap();
    let victim = |begin: &dyn Fn()| {
        begin();
        permits.acquire().unwrap();
        permits.release(1).unwrap();
    };
    sweep("placed semaphore: acquire and release", &victim, |at, _| {
        let had = permits.try_acquire().unwrap();
        assert!(!permits.try_acquire().unwrap(), "killed after {at} instructions: a permit too many");
        assert_eq!(permits.release(1).unwrap(), 0);
        !had
    });
    let barrier: &Barrier = fresh(&view);
    let victim = |begin: &dyn Fn()| {
        begin();
        // Alone: it arrives, waits, and takes that back.
        assert_eq!(barrier.wait_timeout(2, std::time::Duration::from_micros(100)).unwrap(), None);
    };
    sweep("placed barrier: arrive and leave", &victim, |_, _| {
        // Who died there stays counted; then this is the second.
        let opened = barrier.wait_timeout(2, std::time::Duration::ZERO).unwrap() == Some(true);
        fresh::<Barrier>(&view);
        opened
    });
}

/// The notifier dies anywhere: if the change is there and notified, the waiter hears of it; the next notifier is heard.
pub(crate) fn condition() {
    let (view, notes) = (memory(), Notes::new());
    fresh::<[Mutex<u64>; 4]>(&view);
    let (mutex, changed): (&Mutex<u64>, &Condvar) = (view.place(0).unwrap(), view.place(512).unwrap());
    let (ask, answer) = (notes.word(0), notes.word(1));
    let waiter = helper(&|| {
        loop {
            while ask.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            ask.store(0, Ordering::SeqCst);
            let mut guard = mutex.lock().unwrap().into_guard();
            guard.make_consistent();
            while *guard == 0 {
                guard = changed.wait(guard).unwrap().into_guard();
                guard.make_consistent();
            }
            *guard = 0;
            drop(guard);
            answer.store(1, Ordering::SeqCst);
        }
    });
    let arm = || {
        answer.store(0, Ordering::SeqCst);
        ask.store(1, Ordering::SeqCst);
        until(|| ask.load(Ordering::SeqCst) == 0 && asleep(waiter), "the waiter sleeps");
    };
    let victim = |begin: &dyn Fn()| {
        begin();
        *mutex.lock().unwrap().into_guard() = 1;
        changed.notify_all().unwrap();
    };
    arm();
    sweep("placed condition: change and notify", &victim, |at, _| {
        let noticed = soon(mutex.lock_timeout(patience()).unwrap(), at).is_abandoned();
        let mut guard = mutex.lock_timeout(patience()).unwrap().expect("free").into_guard();
        guard.make_consistent();
        if answer.load(Ordering::SeqCst) == 0 {
            *guard = 1;
        }
        drop(guard);
        changed.notify_all().unwrap();
        until(|| answer.load(Ordering::SeqCst) == 1, "the waiter goes through");
        arm();
        noticed
    });
    kill_helper(waiter);
}
