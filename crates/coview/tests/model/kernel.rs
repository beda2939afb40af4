//! The kernel, as far as the protocols know it: futexes, the robust list of each thread, and death.
//!
//! loom runs the threads of a model as coroutines and switches before an atomic operation, never elsewhere. So what
//! follows an operation here is one step with it, as what the kernel does under the lock of a futex's queue.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::sync::Arc;

use loom::sync::atomic::Ordering;
use loom::thread::{self, Thread};

use crate::explore::{Fault, Loads};
use crate::primitive::{AtomicU32, Word};

// linux/futex.h
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;

#[derive(Default)]
pub(crate) struct World {
    /// Who dies, before which of its steps. Killed in its sleep is as killed before it, or after a wake-up that nobody
    /// else got.
    fate: Option<(usize, usize)>,
    pub(crate) fault: Fault,
    pub(crate) loads: Loads,
    /// How many interleavings there were, and in how many of them somebody died.
    pub(crate) runs: usize,
    pub(crate) deaths: usize,
    pub(crate) threads: usize,
    /// Who is running; by thread number, from 1.
    pub(crate) current: usize,
    people: Vec<Person>,
    beds: Vec<Bed>,
    /// How many locks the dead left.
    marked: usize,
}

impl World {
    pub(crate) fn new(fate: Option<(usize, usize)>, fault: Fault, loads: Loads) -> World {
        World { fate, fault, loads, ..World::default() }
    }
}

/// A thread.
pub(crate) struct Person {
    steps: usize,
    changes: usize,
    woken: bool,
    dead: bool,
    /// How many sleeps for a time were over: no other time passes.
    pub(crate) ticks: u32,
    /// The robust list: the word that is about to be changed, and what is owned, the newest last.
    pub(crate) pending: *mut u8,
    pub(crate) owned: Vec<*mut u8>,
}

impl Default for Person {
    fn default() -> Person {
        Person { steps: 0, changes: 0, woken: false, dead: false, ticks: 0, pending: null_mut(), owned: Vec::new() }
    }
}

/// Somebody who sleeps.
struct Bed {
    tid: usize,
    futexes: Vec<Futex>,
    /// Whom to wake; who sleeps for a time gets up without.
    thread: Option<Thread>,
}

/// Unwinds the thread that dies.
struct Died;

thread_local! { static WORLD: RefCell<World> = RefCell::default(); }

/// Never kept over an operation of loom's, which may switch.
pub(crate) fn world<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(look)
}

/// The running thread.
pub(crate) fn person<R>(look: impl FnOnce(&mut Person) -> R) -> R {
    world(|world| look(&mut world.people[world.current]))
}

pub(crate) fn is_broken(fault: Fault) -> bool {
    world(|world| world.fault == fault)
}

/// How many locks the dead left.
pub(crate) fn marked() -> usize {
    world(|world| world.marked)
}

/// Whether somebody has died.
pub(crate) fn in_mourning() -> bool {
    world(|world| world.people.iter().any(|person| person.dead))
}

/// Whether a thread has died before it changed anything by an exchange.
pub(crate) fn died_idle(tid: usize) -> bool {
    world(|world| world.people[tid].dead && world.people[tid].changes == 0)
}

pub(crate) fn changed() {
    person(|me| me.changes += 1);
}

/// Does what may switch to other threads, and is back as the same.
fn switching<R>(act: impl FnOnce() -> R) -> R {
    let me = world(|world| world.current);
    let done = act();
    world(|world| world.current = me);
    done
}

/// One operation of a thread; before it it dies, if that is its fate.
pub(crate) fn step<R>(act: impl FnOnce() -> R) -> R {
    assert!(!thread::panicking(), "the dead do nothing");
    let fated = world(|world| {
        let me = &mut world.people[world.current];
        me.steps += 1;
        world.fate == Some((world.current, me.steps))
    });
    if fated {
        resume_unwind(Box::new(Died));
    }
    switching(act)
}

/// Plays roles on what they share, each on a thread of its own, numbered from 1; the first has set it up before the
/// others came. If one dies, `mourn` is called by somebody who knows, while the others may be at work.
pub(crate) fn crew<S: Default + 'static>(set_up: fn(&S), roles: &[fn(&S)], mourn: fn(&S)) -> Arc<S> {
    let fate = world(|world| {
        (world.runs, world.threads) = (world.runs + 1, roles.len());
        (world.beds, world.marked) = (Vec::new(), 0);
        (world.people, world.current) = ((0..roles.len() + 2).map(|_| Person::default()).collect(), 1);
        world.fate.take()
    });
    // loom counts its first switch as a preemption: let that be one that changes nothing.
    loom::sync::atomic::AtomicBool::new(false).load(Ordering::Relaxed);
    let shared = Arc::new(S::default());
    set_up(&shared);
    world(|world| {
        (world.fate, world.current) = (fate, roles.len() + 1);
        (world.people[1].steps, world.people[1].changes) = (0, 0);
    });
    let start = |(index, role): (usize, &fn(&S))| {
        let (role, shared) = (*role, Arc::clone(&shared));
        Some(thread::spawn(move || live(index + 1, || role(&shared))))
    };
    let mut threads: Vec<_> = roles.iter().enumerate().map(start).collect();
    for tid in fate.map(|(victim, _)| victim).into_iter().chain(1..=roles.len()) {
        let Some(thread) = threads[tid - 1].take() else { continue };
        let alive = switching(|| thread.join()).expect("it catches what it throws");
        if !alive {
            world(|world| world.deaths += 1);
            mourn(&shared);
        }
    }
    shared
}

/// Whether it lives to the end of its role.
fn live(tid: usize, role: impl FnOnce()) -> bool {
    world(|world| world.current = tid);
    match catch_unwind(AssertUnwindSafe(role)) {
        Ok(()) => true,
        Err(death) if death.is::<Died>() => {
            let (pending, owned) = person(|me| {
                me.dead = true;
                (me.pending, me.owned.clone())
            });
            for node in owned.into_iter().rev().filter(|node| *node != pending) {
                Futex(node).owner_died(tid, false);
            }
            if !pending.is_null() {
                Futex(pending).owner_died(tid, true);
            }
            false
        }
        Err(failure) => resume_unwind(failure),
    }
}

/// A word that can be slept on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Futex(*mut u8);

impl Futex {
    pub(crate) fn of(word: &AtomicU32) -> Futex {
        Futex(std::ptr::from_ref(word).cast_mut().cast())
    }

    fn word<'a>(self) -> &'a Word {
        // SAFETY: it was made from a reference to a word that `crew` keeps until all threads have ended.
        unsafe { &*self.0.cast() }
    }

    /// The newest value, as it is seen under the lock of the queue.
    fn newest(self, order: Ordering) -> u32 {
        (switching(|| self.word().newest(order)) >> self.word().futex) as u32
    }

    /// futex(2), FUTEX_WAKE.
    pub(crate) fn wake(self, count: u32) {
        step(|| ());
        let idle = is_broken(Fault::Wake) || is_broken(Fault::Relay) && person(|me| me.woken);
        if !idle {
            self.wake_up(count);
        }
    }

    /// Those who came first. As in the kernel, what was done before is done before they wake; who wakes nobody has
    /// ordered nothing.
    fn wake_up(self, count: u32) {
        self.newest(Ordering::Relaxed);
        let here = |bed: &mut Bed| bed.futexes.contains(&self);
        let woken: Vec<Bed> = world(|world| world.beds.extract_if(.., here).take(count as usize).collect());
        woken.iter().filter_map(|bed| bed.thread.as_ref()).for_each(Thread::unpark);
    }

    /// kernel/futex/core.c, `handle_futex_death`.
    fn owner_died(self, tid: usize, pending: bool) {
        let mut value = self.newest(Ordering::Acquire);
        let owner = if is_broken(Fault::OldKernel) { u32::MAX } else { TID_MASK };
        if pending && value & owner == 0 {
            return self.wake_up(1);
        }
        while value & TID_MASK == tid as u32 {
            let marked = u64::from(value & WAITERS | OWNER_DIED);
            let cell = &self.word().cell;
            match switching(|| cell.compare_exchange(value.into(), marked, Ordering::AcqRel, Ordering::Relaxed)) {
                Ok(_) => {
                    world(|world| world.marked += 1);
                    if value & WAITERS != 0 {
                        self.wake_up(1);
                    }
                    return;
                }
                Err(now) => value = now as u32,
            }
        }
    }
}

/// futex(2), FUTEX_WAIT and FUTEX_WAITV. A sleep for a time ends as soon as others had a chance.
pub(crate) fn sleep_on(words: &[(Futex, u32)], forever: bool) {
    step(|| ());
    let tid = world(|world| world.current);
    let up = move || world(|world| world.beds.retain(|bed| bed.tid != tid));
    let thread = forever.then(thread::current);
    world(|world| world.beds.push(Bed { tid, futexes: Vec::new(), thread }));
    for (futex, expected) in words {
        if futex.newest(Ordering::Relaxed) != *expected {
            return up();
        }
        world(|world| world.beds.iter_mut().filter(|bed| bed.tid == tid).for_each(|bed| bed.futexes.push(*futex)));
    }
    if forever {
        while world(|world| world.beds.iter().any(|bed| bed.tid == tid)) {
            switching(thread::park);
        }
    } else {
        words[0].0.newest(Ordering::Relaxed);
    }
    up();
    person(|me| (me.woken, me.ticks) = (true, me.ticks + u32::from(!forever)));
}
