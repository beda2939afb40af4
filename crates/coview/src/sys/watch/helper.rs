//! The helper threads: each sleeps for as many alarms as the system lets one thread sleep on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

use super::{Bell, PLACES, Slept, Target, helpers, sleep, without_signals};

/// One who wants to be told. Disarmed when dropped.
#[derive(Debug)]
pub(super) struct Alarm {
    id: u64,
    /// Has ever been armed.
    armed: AtomicBool,
}

impl Alarm {
    pub(super) fn new() -> Alarm {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Alarm { id: NEXT.fetch_add(1, Ordering::Relaxed), armed: AtomicBool::new(false) }
    }

    /// Lets `waker` be woken, once, when the target is not what it was. If it is armed already, this waker and this
    /// target take the place of the old.
    ///
    /// # Safety
    /// 1. What the target names stays mapped, or open, until the alarm is disarmed, or for ever.
    pub(super) unsafe fn arm(&self, target: Target, waker: &Waker) -> io::Result<()> {
        self.armed.store(true, Ordering::Relaxed);
        helpers().arm(self.id, target, waker)
    }

    /// Nobody is told any more, and no thread sleeps on the target when this returns.
    pub(super) fn disarm(&self) {
        if self.armed.load(Ordering::Relaxed) {
            helpers().disarm(self.id);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// All helpers of this process.
#[derive(Debug)]
pub(super) struct Helpers {
    state: Mutex<State>,
    /// A helper woke up while somebody waited for that.
    awake: Condvar,
}

#[derive(Debug)]
struct State {
    helpers: Vec<Helper>,
    next: u64,
    /// How many wait for a helper to wake up.
    leaving: usize,
}

#[derive(Debug)]
struct Helper {
    number: u64,
    bell: Arc<Bell>,
    entries: Vec<Entry>,
    asleep: bool,
    /// The bell was rung since it lay down.
    rung: bool,
    /// It had nothing to do the last time.
    idle: bool,
    /// How often it has woken up.
    round: u64,
}

/// What a helper sleeps on, and by which alarm.
pub(super) type Targets = Vec<(u64, Target)>;

/// An alarm that is armed.
#[derive(Debug)]
struct Entry {
    id: u64,
    target: Target,
    waker: Waker,
    /// Was there when the helper lay down.
    slept_on: bool,
}

impl Helper {
    fn has_room(&self, target: &Target) -> bool {
        self.entries.iter().map(|entry| entry.target.places()).sum::<usize>() + target.places() <= PLACES
    }

    fn ring(&mut self) {
        if self.asleep && !self.rung {
            self.rung = true;
            self.bell.ring();
        }
    }
}

impl State {
    fn find(&self, id: u64) -> Option<(usize, usize)> {
        let place = |helper: &Helper| helper.entries.iter().position(|entry| entry.id == id);
        self.helpers.iter().enumerate().find_map(|(at, helper)| Some((at, place(helper)?)))
    }

    /// The helper of that number, which is there until it takes itself off.
    fn helper(&mut self, number: u64) -> Option<&mut Helper> {
        self.helpers.iter_mut().find(|helper| helper.number == number)
    }
}

impl Helpers {
    pub(super) const fn new() -> Helpers {
        Helpers { state: Mutex::new(State { helpers: Vec::new(), next: 0, leaving: 0 }), awake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakers are somebody else's code, so they are cloned, dropped and woken without the lock.
    fn arm(&'static self, id: u64, target: Target, waker: &Waker) -> io::Result<()> {
        let waker = waker.clone();
        let mut state = self.lock();
        let old = match state.find(id) {
            Some((at, entry)) => {
                let helper = &mut state.helpers[at];
                let entry = &mut helper.entries[entry];
                let same = entry.target == target;
                entry.target = target;
                let old = std::mem::replace(&mut entry.waker, waker);
                if !same {
                    helper.ring();
                }
                Some(old)
            }
            None => {
                let at = match state.helpers.iter().position(|helper| helper.has_room(&target)) {
                    Some(at) => at,
                    None => self.start(&mut state)?,
                };
                state.helpers[at].entries.push(Entry { id, target, waker, slept_on: false });
                state.helpers[at].ring();
                None
            }
        };
        drop(state);
        drop(old);
        Ok(())
    }

    fn disarm(&self, id: u64) {
        let mut state = self.lock();
        let Some((at, entry)) = state.find(id) else { return };
        let helper = &mut state.helpers[at];
        let entry = helper.entries.swap_remove(entry);
        if helper.asleep && entry.slept_on {
            helper.ring();
            let (number, round) = (helper.number, helper.round);
            state.leaving += 1;
            let asleep = |state: &mut State| state.helpers.iter().any(|h| h.number == number && h.round == round);
            state = self.awake.wait_while(state, asleep).unwrap_or_else(PoisonError::into_inner);
            state.leaving -= 1;
        }
        drop(state);
        drop(entry);
    }

    /// Starts a helper, which waits for the lock; its place.
    fn start(&'static self, state: &mut State) -> io::Result<usize> {
        let (bell, number) = (Arc::new(Bell::new()?), state.next);
        let thread = thread::Builder::new().name("coview-watch".into());
        without_signals(|| thread.spawn(move || self.run(number)))?;
        state.next += 1;
        let (entries, asleep, rung, idle) = (Vec::new(), false, false, false);
        state.helpers.push(Helper { number, bell, entries, asleep, rung, idle, round: 0 });
        Ok(state.helpers.len() - 1)
    }

    fn run(&self, number: u64) {
        while let Some((bell, targets)) = self.lie_down(number) {
            let slept = sleep(&bell, &targets);
            for waker in self.wake_up(number, slept) {
                // One that panics keeps nobody else from being told.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
        }
    }

    /// What to sleep on. `None`: it is not needed any more.
    fn lie_down(&self, number: u64) -> Option<(Arc<Bell>, Targets)> {
        let mut state = self.lock();
        let helper = state.helper(number)?;
        if helper.idle && helper.entries.is_empty() {
            state.helpers.retain(|helper| helper.number != number);
            return None;
        }
        helper.bell.hush();
        (helper.asleep, helper.rung) = (true, false);
        helper.entries.iter_mut().for_each(|entry| entry.slept_on = true);
        let targets = helper.entries.iter().map(|entry| (entry.id, entry.target.clone())).collect();
        Some((Arc::clone(&helper.bell), targets))
    }

    /// Takes those off who are to be told.
    fn wake_up(&self, number: u64, mut slept: Slept) -> Vec<Waker> {
        let mut state = self.lock();
        let Some(helper) = state.helper(number) else { return Vec::new() };
        helper.idle = helper.entries.is_empty() && !helper.rung;
        let told = helper.entries.extract_if(.., |entry| slept.tells(entry.id, &entry.target));
        let told = told.map(|entry| entry.waker).collect();
        slept.settle();
        helper.asleep = false;
        helper.round += 1;
        if state.leaving > 0 {
            self.awake.notify_all();
        }
        told
    }
}
