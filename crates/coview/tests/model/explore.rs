//! Explores a model: without a death, with a death at every step of each victim, and broken.

use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use loom::cell::UnsafeCell;

use crate::kernel::{World, step, world};

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every Release is Relaxed.
    Release,
    /// Every Acquire is Relaxed.
    Acquire,
    ReleaseFence,
    AcquireFence,
    /// Every SeqCst load is an Acquire load.
    SeqCst,
    /// Nobody is woken, except by the kernel.
    Wake,
    /// Who was woken wakes nobody.
    Relay,
    /// The kernel is not told which word is about to be changed.
    Announce,
    /// The kernel is not told which locks are owned.
    Link,
    /// One that the source knows.
    Named(&'static str),
    /// The kernel is older than 6.2: a pending word without owner wakes somebody only if it is 0.
    OldKernel,
}

/// What a load sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Loads {
    /// Any value that the memory model allows. Costs ten times the interleavings.
    #[default]
    Old,
    Newest,
}

pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) loads: Loads,
    /// How many preemptions an interleaving has at most: without a death, and with one. `COVIEW_MODEL_DEEPER` adds to
    /// both.
    pub(crate) bounds: [usize; 2],
    /// Threads that die, each in its turn.
    pub(crate) victims: &'static [usize],
    /// Ways to break it that must show without a death,
    pub(crate) faults: &'static [Fault],
    /// and when a victim dies.
    pub(crate) deadly: &'static [Fault],
    pub(crate) body: fn(),
}

thread_local! { static EXPECTED: Cell<bool> = const { Cell::new(false) }; }

impl Model {
    /// Explores all that was asked for, and prints a line.
    pub(crate) fn check(&self) {
        static QUIET_HOOK: Once = Once::new();
        QUIET_HOOK.call_once(|| {
            let tell = take_hook();
            set_hook(Box::new(move |panic| {
                if !EXPECTED.get() {
                    tell(panic)
                }
            }));
        });
        let alive = self.explore(None, Fault::None).expect("failures go through");
        let [mut runs, mut deaths] = [alive.runs, 0];
        for world in self.deaths(Fault::None).flatten() {
            [runs, deaths] = [runs + world.runs, deaths + 1];
        }
        EXPECTED.set(true);
        let unseen = |fault: &&Fault| self.explore(None, **fault).is_some();
        let survived = |fault: &&Fault| self.deaths(**fault).all(|world| world.is_some());
        let missed: Vec<_> = self.faults.iter().filter(unseen).chain(self.deadly.iter().filter(survived)).collect();
        EXPECTED.set(false);
        assert!(missed.is_empty(), "{}: it does not show that it is broken: {missed:?}", self.name);
        let (name, threads, loads, [bound, dead]) = (self.name, alive.threads, self.loads, self.bounds());
        let caught = self.faults.len() + self.deadly.len();
        println!("| {name} | {threads} | {loads:?} | {bound}, {dead} | {deaths} | {runs} | {caught} |");
    }

    fn bounds(&self) -> [usize; 2] {
        let deeper = std::env::var("COVIEW_MODEL_DEEPER").map_or(0, |more| more.parse().expect("it is a number"));
        self.bounds.map(|bound| bound + deeper)
    }

    /// Explores it once for each step before which a victim can die.
    fn deaths(&self, fault: Fault) -> impl Iterator<Item = Option<World>> {
        self.victims.iter().flat_map(move |victim| {
            let explored = (1..).map(move |step| self.explore(Some((*victim, step)), fault));
            explored.take_while(|world| world.as_ref().is_none_or(|world| world.deaths > 0))
        })
    }

    /// Every interleaving with one fate. `None`: it is broken, and it showed.
    fn explore(&self, fate: Option<(usize, usize)>, fault: Fault) -> Option<World> {
        world(|world| *world = World::new(fate, fault, self.loads));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(self.bounds()[usize::from(fate.is_some())]);
        let body = self.body;
        match catch_unwind(|| builder.check(body)) {
            Ok(()) => Some(world(std::mem::take)),
            Err(_) if fault != Fault::None => None,
            Err(failure) => {
                println!("{}: failed when (thread, step) {fate:?} died", self.name);
                resume_unwind(failure)
            }
        }
    }
}

/// Memory that only one thread at a time may change: loom reports a race.
#[derive(Debug, Default)]
pub(crate) struct Plain(UnsafeCell<u32>);

// SAFETY: loom runs one thread at a time and stops at the first race.
unsafe impl Sync for Plain {}

impl Plain {
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: as above.
        step(|| self.0.with(|value| unsafe { *value }))
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: as above.
        step(|| self.0.with_mut(|old| unsafe { *old = value }));
    }
}
