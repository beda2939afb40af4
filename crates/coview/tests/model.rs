//! Every interleaving of the placed primitives, deaths and weak memory included: the real protocol files, compiled
//! against loom's atomics and a model of the kernel.
//!
//! loom runs a model again and again until it has seen every order of its atomic operations, and every value that a
//! load may see, with at most so many preemptions. Then the same with a victim that dies before its first step, its
//! second, and so on until it has no more. Whoever sleeps with nobody left to wake it is a deadlock; whoever
//! touches plain memory without an order between them is a race: loom reports both. Each model is then broken on purpose,
//! and must fail.
//!
//! `cargo test --release -p coview --test model -- --nocapture` prints a line for each; not optimised, they take minutes and are
//! left out.

#![cfg(all(target_os = "linux", not(debug_assertions)))]
#![allow(unsafe_code, unreachable_pub)]
#![allow(dead_code, unused_imports)] // the models use a part of the library

#[path = "../src/channel/frames/entry.rs"]
mod entry;
#[path = "../src/error.rs"]
mod error;
#[path = "model/explain.rs"]
mod explain;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/kernel.rs"]
mod kernel;
#[path = "model/primitive.rs"]
mod primitive;
#[path = "../src/shared.rs"]
mod shared;
#[path = "model/step.rs"]
mod step;
#[path = "../src/sync/mod.rs"]
mod sync;
#[path = "model/sys.rs"]
mod sys;
#[path = "../src/channel/board/word.rs"]
mod word;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use explore::{Fault, Loads, Model, Plain};
use kernel::{crew, died_idle, in_mourning, marked};
use primitive::{AtomicU32, AtomicU64, Ordering};
use sync::{Barrier, Condvar, Event, Mutex, Once, RwLock, Semaphore};
use sys::lock::{Taken, Words};
use word::Word;

/// Over at once, or after others had a chance.
const SHORT: Duration = Duration::from_millis(1);

/// What a lock guards: two halves that are equal except in the middle of a change.
#[derive(Default)]
struct Halves([Plain; 2]);

impl Halves {
    fn read(&self, abandoned: bool) -> u32 {
        let [left, right] = [self.0[0].read(), self.0[1].read()];
        assert!(left == right || abandoned, "half changed, and nobody told");
        left
    }

    fn change(&self, abandoned: bool) {
        let next = self.read(abandoned) + 1;
        self.0.iter().for_each(|half| half.write(next));
    }
}

/// The lock that the mutex and others stand on.
#[derive(Default)]
struct Locked {
    words: Words,
    value: Halves,
    told: AtomicUsize,
}

impl Locked {
    fn lock(&self, timeout: Option<Duration>) -> bool {
        let taken = self.words.lock(timeout).unwrap();
        if let Some(taken) = taken {
            let abandoned = taken == Taken::Abandoned;
            self.told.fetch_add(abandoned.into(), Relaxed);
            self.value.change(abandoned);
        }
        taken.is_some()
    }

    fn hold(&self) {
        assert!(self.lock(None));
    }

    fn unlock(&self) {
        assert!(self.words.unlock(false).unwrap());
    }

    fn work(&self) {
        self.hold();
        self.unlock();
    }

    fn hurry(&self) {
        if self.lock(Some(SHORT)) {
            self.unlock();
        }
    }

    /// The first has it when the others come.
    fn play(roles: &[fn(&Locked)]) {
        let it = crew(Locked::hold, roles, |_| ());
        it.work();
        assert_eq!(it.told.load(Relaxed), marked(), "told of a death inside, and of nothing else");
    }
}

#[test]
fn mutex() {
    fn unlock_and_work(it: &Locked) {
        it.unlock();
        it.work();
    }
    Model {
        name: "mutex",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::SeqCst, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link, Fault::OldKernel, Fault::Named("mutex: the death is not told")],
        body: || Locked::play(&[unlock_and_work, Locked::work]),
    }
    .check();
    Model {
        name: "mutex, two wait",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link, Fault::OldKernel],
        body: || Locked::play(&[Locked::unlock, Locked::work, Locked::work]),
    }
    .check();
    Model {
        name: "mutex, one waits for a time",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link, Fault::OldKernel],
        body: || Locked::play(&[Locked::unlock, Locked::hurry, Locked::work]),
    }
    .check();
}

#[test]
fn abandoned_by_hand() {
    fn abandon(it: &Locked) {
        it.value.change(false);
        assert!(it.words.unlock(true).unwrap());
    }
    Model {
        name: "mutex, given back as abandoned",
        loads: Loads::Old,
        bounds: [3, 3],
        victims: &[],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[],
        body: || {
            let it = crew(Locked::hold, &[abandon, Locked::work], |_| ());
            it.work();
            assert_eq!(it.told.load(Relaxed), 1);
        },
    }
    .check();
}

#[test]
fn semaphore() {
    #[derive(Default)]
    struct Shared {
        permits: Semaphore,
        value: Plain,
    }
    fn release(it: &Shared) {
        it.value.write(7);
        it.permits.release(1).unwrap();
        it.permits.release(1).unwrap();
    }
    fn replace(it: &Shared) {
        it.permits.release(2).unwrap();
    }
    fn acquire(it: &Shared) {
        it.permits.acquire().unwrap();
        assert!(in_mourning() || it.value.read() == 7);
    }
    fn hurry(it: &Shared) {
        if it.permits.acquire_timeout(SHORT).unwrap() {
            assert!(in_mourning() || it.value.read() == 7);
        }
    }
    Model {
        name: "semaphore",
        loads: Loads::Old,
        bounds: [3, 3],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce],
        body: || _ = crew(|_| (), &[release, acquire], replace),
    }
    .check();
    Model {
        name: "semaphore, two wait",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Relay],
        body: || _ = crew(|_| (), &[release, acquire, acquire], replace),
    }
    .check();
    Model {
        name: "semaphore, one waits for a time",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Wake],
        deadly: &[Fault::Announce],
        body: || _ = crew(|_| (), &[release, hurry, acquire], replace),
    }
    .check();
}

#[test]
fn event() {
    #[derive(Default)]
    struct Shared {
        event: Event,
        value: Plain,
    }
    fn set(it: &Shared) {
        it.value.write(7);
        it.event.set().unwrap();
    }
    fn replace(it: &Shared) {
        it.event.set().unwrap();
    }
    fn wait(it: &Shared) {
        it.event.wait().unwrap();
        assert!(in_mourning() || it.value.read() == 7);
    }
    fn pass_on(it: &Shared) {
        wait(it);
        it.event.set().unwrap();
    }
    fn manual(it: &Shared) {
        it.event.init(true, false).unwrap();
    }
    Model {
        name: "event",
        loads: Loads::Old,
        bounds: [3, 3],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce],
        body: || _ = crew(|_| (), &[set, wait], replace),
    }
    .check();
    Model {
        name: "event, automatic, passed on",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Named("commit: the last takes the mark along")],
        body: || _ = crew(|_| (), &[set, pass_on, pass_on], replace),
    }
    .check();
    Model {
        name: "event, manual",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Relay],
        body: || _ = crew(manual, &[set, wait, wait], replace),
    }
    .check();
}

#[test]
fn condvar() {
    #[derive(Default)]
    struct Shared {
        mutex: Mutex<()>,
        changed: Condvar,
        flag: Plain,
    }
    fn wait(it: &Shared) {
        let mut guard = it.mutex.lock().unwrap().into_guard();
        guard.make_consistent();
        while it.flag.read() == 0 {
            guard = it.changed.wait(guard).unwrap().into_guard();
            guard.make_consistent();
        }
    }
    fn notify(it: &Shared) {
        let mut guard = it.mutex.lock().unwrap().into_guard();
        guard.make_consistent();
        it.flag.write(1);
        drop(guard);
        it.changed.notify_all().unwrap();
    }
    Model {
        name: "condition variable",
        loads: Loads::Old,
        bounds: [3, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link],
        body: || _ = crew(|_| (), &[notify, wait], notify),
    }
    .check();
    Model {
        name: "condition variable, two wait",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link, Fault::Relay],
        body: || _ = crew(|_| (), &[notify, wait, wait], notify),
    }
    .check();
}

#[test]
fn barrier() {
    #[derive(Default)]
    struct Shared<const PARTIES: usize> {
        barrier: Barrier,
        brought: Plain,
        last: AtomicUsize,
        through: AtomicUsize,
    }
    impl<const PARTIES: usize> Shared<PARTIES> {
        fn bring(&self) {
            self.brought.write(7);
            self.arrive();
        }
        fn arrive(&self) {
            let last = self.barrier.wait(PARTIES as u16).unwrap();
            self.last.fetch_add(last.into(), Relaxed);
            assert_eq!(self.brought.read(), 7);
        }
        /// Who died before it arrived is not counted.
        fn replace(&self) {
            if died_idle(1) {
                self.bring();
            }
        }
        fn hurry(&self) {
            let last = self.barrier.wait_timeout(PARTIES as u16, SHORT).unwrap();
            self.last.fetch_add((last == Some(true)).into(), Relaxed);
            self.through.fetch_add(last.is_some().into(), Relaxed);
        }
    }
    Model {
        name: "barrier",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Relay, Fault::Named("commit: sleepers stay marked")],
        body: || _ = crew(|_| (), &[Shared::<3>::bring, Shared::arrive, Shared::arrive], Shared::replace),
    }
    .check();
    Model {
        name: "barrier, for a time",
        loads: Loads::Old,
        bounds: [3, 3],
        victims: &[],
        faults: &[],
        deadly: &[],
        body: || {
            let it = crew(|_| (), &[Shared::<2>::hurry, Shared::hurry], |_| ());
            let [last, through] = [&it.last, &it.through].map(|count| count.load(Relaxed));
            assert!(through == 2 * last, "{through} are through, {last} came last");
        },
    }
    .check();
}

#[test]
fn once() {
    #[derive(Default)]
    struct Shared {
        once: Once,
        value: Halves,
        first: AtomicUsize,
    }
    impl Shared {
        fn call(&self) {
            let first = self.once.call(|| {
                self.value.change(true);
                Ok(())
            });
            self.first.fetch_add(first.unwrap().into(), Relaxed);
            assert_ne!(self.value.read(false), 0);
        }
        fn play(roles: &[fn(&Shared)]) {
            let it = crew(|_| (), roles, |_| ());
            it.call();
            assert!(it.first.load(Relaxed) <= 1);
        }
    }
    Model {
        name: "once",
        loads: Loads::Old,
        bounds: [3, 3],
        victims: &[1],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake, Fault::Named("once: done before it is")],
        deadly: &[Fault::Announce, Fault::Link],
        body: || Shared::play(&[Shared::call, Shared::call]),
    }
    .check();
    Model {
        name: "once, three come",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link],
        body: || Shared::play(&[Shared::call, Shared::call, Shared::call]),
    }
    .check();
}

#[test]
fn rwlock() {
    #[derive(Default)]
    struct Shared {
        lock: RwLock<(), 2>,
        value: Halves,
    }
    impl Shared {
        fn read(&self) {
            let guard = self.lock.read().unwrap();
            self.value.read(guard.is_abandoned());
        }
        fn write(&self) {
            let guard = self.lock.write().unwrap();
            self.value.change(guard.is_abandoned());
            guard.into_guard().make_consistent();
        }
        fn play(roles: &[fn(&Shared)]) {
            let it = crew(|_| (), roles, |_| ());
            it.read();
            it.write();
            assert!(!it.lock.read().unwrap().is_abandoned());
        }
    }
    Model {
        name: "reader-writer lock",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link, Fault::Named("reader-writer lock: writing is not marked")],
        body: || Shared::play(&[Shared::write, Shared::read]),
    }
    .check();
    Model {
        name: "reader-writer lock, two read",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Announce, Fault::Link],
        body: || Shared::play(&[Shared::write, Shared::read, Shared::read]),
    }
    .check();
}

#[test]
fn latch() {
    #[derive(Default)]
    struct Shared<const COUNT: usize> {
        sequence: AtomicU32,
        buffers: [[AtomicU64; 2]; 4],
    }
    impl<const COUNT: usize> Shared<COUNT> {
        fn write(&self) {
            let next = self.sequence.load(Ordering::Relaxed) + 1;
            let buffer = &self.buffers[next as usize % COUNT];
            sync::fill(|| buffer.iter().for_each(|word| word.store(next.into(), Ordering::Relaxed)));
            self.sequence.store(next, Ordering::Release);
        }
        fn write_round(&self) {
            (0..COUNT).for_each(|_| self.write());
        }
        fn read(&self) -> u32 {
            let newest = |order| self.sequence.load(order);
            let copy = |number| {
                let buffer = &self.buffers[number as usize % COUNT];
                Some(buffer.each_ref().map(|word| word.load(Ordering::Relaxed)))
            };
            let Some((copy, number)) = sync::read(newest, COUNT as u32, copy) else { return 0 };
            assert!(copy == [number.into(); 2], "{copy:?} is torn or not number {number}");
            number
        }
        fn read_twice(&self) {
            let before = self.read();
            let now = self.read();
            assert!(now >= before || now == 0);
        }
    }
    const FAULTS: &[Fault] = &[Fault::Release, Fault::Acquire, Fault::ReleaseFence, Fault::AcquireFence];
    Model {
        name: "latch, 2 buffers",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1],
        faults: FAULTS,
        deadly: &[],
        body: || _ = crew(|_| (), &[Shared::<2>::write_round, Shared::read_twice], Shared::write),
    }
    .check();
    Model {
        name: "latch, 4 buffers",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1],
        faults: FAULTS,
        deadly: &[],
        body: || _ = crew(|_| (), &[Shared::<4>::write_round, Shared::read_twice], Shared::write),
    }
    .check();
}

/// Small frames in a ring of one entry: each is written over the one before, which a subscriber copies.
#[derive(Default)]
struct Ring {
    newest: AtomicU64,
    entry: AtomicU64,
    bytes: [AtomicU64; 2],
}

impl Ring {
    fn publish(&self) {
        let number = 1 + entry::settle(&self.newest, |_| &self.entry);
        let write = || self.bytes.iter().for_each(|word| word.store(number, Ordering::Relaxed));
        entry::tell(&self.entry, number.wrapping_sub(1), number, true, write);
        self.newest.store(number, Ordering::Release);
    }

    fn publish_two(&self) {
        (0..2).for_each(|_| self.publish());
    }

    fn copy(&self, number: u64) -> bool {
        let bytes = || Some(self.bytes.each_ref().map(|word| word.load(Ordering::Relaxed)));
        let copied = entry::copy(&self.entry, number, bytes);
        copied.inspect(|copied| assert_eq!(*copied, [number; 2], "another frame's bytes")).is_some()
    }

    fn copy_all(&self) {
        (1..=2).for_each(|number| _ = self.copy(number));
    }
}

/// A large frame in a slot, which the publisher wants for the next one.
#[derive(Default)]
struct Kept {
    entry: AtomicU64,
    holds: AtomicU64,
    slot: Plain,
}

impl Kept {
    fn publish(&self) {
        self.slot.write(1);
        entry::tell(&self.entry, 0, 1, false, || ());
    }

    fn take_back(&self) {
        entry::take_out(&self.entry, 1);
        if !entry::is_held(&self.holds, 1) {
            self.slot.write(2);
        }
    }

    fn read(&self) {
        let is_here = self.entry.load(Ordering::Acquire) == entry::here(1);
        if is_here && entry::hold(&self.entry, 1, &self.holds, 1) {
            assert_eq!(self.slot.read(), 1, "another frame's bytes");
            entry::let_go(&self.holds, 1);
        }
    }
}

#[test]
fn frames() {
    Model {
        name: "frames, small",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1],
        faults: &[
            Fault::Release,
            Fault::Acquire,
            Fault::ReleaseFence,
            Fault::AcquireFence,
            Fault::Named("frames: the number before the bytes"),
        ],
        deadly: &[],
        body: || {
            let it = crew(|_| (), &[Ring::publish_two, Ring::copy_all], Ring::publish);
            it.publish();
            assert!(it.copy(it.newest.load(Ordering::Acquire)), "the newest is there, whole");
        },
    }
    .check();
    Model {
        name: "frames, in a slot",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::SeqCst, Fault::Named("frames: held without a second look")],
        deadly: &[],
        body: || _ = crew(Kept::publish, &[Kept::take_back, Kept::read], |_| ()),
    }
    .check();
}

/// A board of one cell, in which two messages stand one after the other; each is taken once unless who has it dies.
#[derive(Default)]
struct Cell {
    word: AtomicU64,
    message: Plain,
    /// How often each was done.
    done: [AtomicUsize; 3],
}

impl Cell {
    fn post(&self) {
        for lap in 1..=2 {
            let word = Word(self.word.load(Ordering::Acquire));
            let filling = Word::new(lap, word::FILLING).held_by(1);
            if word.state() == word::FREE && word::claim(&self.word, word, filling) {
                word::post(&self.word, Word::new(lap, word::READY), || self.message.write(lap as u32));
            }
        }
    }

    fn take(&self, by: usize) {
        for lap in 1..=2 {
            if word::take(&self.word, lap, by).is_some() {
                assert_eq!(self.message.read(), lap as u32, "another message");
                self.done[lap as usize].fetch_add(1, Relaxed);
                word::finish(&self.word, by);
            }
        }
    }

    fn mourn(&self) {
        word::forget(&self.word, 1, |_| false);
        for by in [2, 3] {
            let _ = word::give_up(&self.word, by, true);
        }
    }
}

#[test]
fn board() {
    Model {
        name: "board",
        loads: Loads::Old,
        bounds: [3, 2],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire, Fault::Named("board: ready before the bytes")],
        deadly: &[
            Fault::Named("board: what the dead had taken stays"),
            Fault::Named("board: what the dead were posting stays"),
        ],
        body: || {
            let it = crew(|_| (), &[Cell::post, |it| it.take(2)], Cell::mourn);
            it.take(3);
            assert_eq!(Word(it.word.load(Ordering::Acquire)).state(), word::FREE, "it stays with the dead");
            assert!(it.done.iter().all(|done| done.load(Relaxed) <= 1 || in_mourning()), "done twice");
        },
    }
    .check();
}

#[test]
fn peer() {
    #[derive(Default)]
    struct Shared {
        alive: Words,
        bell: sync::Commit,
        news: AtomicU32,
        value: Plain,
    }
    impl Shared {
        fn live(&self) {
            self.alive.lock(None).unwrap();
        }
        fn tell(&self) {
            self.value.write(7);
            self.news.store(1, Ordering::Release);
            self.bell.word().ring().unwrap();
            assert!(self.alive.unlock(false).unwrap());
        }
        fn hear(&self) {
            let said = || self.news.load(Ordering::Acquire) != 0;
            loop {
                let gone = self.bell.word().sleep_beside(Duration::MAX, || (!said()).then(|| vec![&self.alive]));
                match (said(), gone.unwrap()) {
                    (true, _) => return assert_eq!(self.value.read(), 7),
                    (false, true) => return assert!(died_idle(1), "it said something before it went"),
                    _ => {}
                }
            }
        }
    }
    Model {
        name: "wait beside a peer",
        loads: Loads::Newest,
        bounds: [3, 3],
        victims: &[1],
        faults: &[Fault::Release, Fault::Acquire, Fault::Wake],
        deadly: &[Fault::Link],
        body: || _ = crew(Shared::live, &[Shared::tell, Shared::hear], |_| ()),
    }
    .check();
    Model {
        name: "two wait beside a peer",
        loads: Loads::Newest,
        bounds: [2, 1],
        victims: &[1, 2],
        faults: &[Fault::Release, Fault::Acquire],
        deadly: &[Fault::Link],
        body: || _ = crew(Shared::live, &[Shared::tell, Shared::hear, Shared::hear], |_| ()),
    }
    .check();
}
