//! Stands in for `sys/wait`: the same contract, in the modelled kernel.

use std::io;
use std::time::Duration;

use crate::kernel::{Futex, person, sleep_on};
use crate::primitive::{AtomicU32, AtomicU64};

/// What takes so long never ends: the back-stops of the protocols do not come, and a sleeper whom nobody wakes is a
/// deadlock, which loom reports.
const NEVER: Duration = Duration::from_secs(1);

fn now() -> u32 {
    person(|me| me.ticks)
}

#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<u32>);

impl Deadline {
    /// Zero is over at once, any other time after one sleep.
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        let mortal = timeout.filter(|timeout| *timeout < NEVER);
        Deadline(mortal.map(|timeout| now() + u32::from(!timeout.is_zero())))
    }

    pub(crate) fn left(self) -> Option<Duration> {
        match self.0 {
            None => Some(Duration::MAX),
            Some(end) => (now() < end).then_some(NEVER / 2),
        }
    }
}

/// The kernel's part is to make the two sides' stores and loads one order; so what stands on it is modelled with the newest
/// loads alone, where they are in one in any case.
pub(crate) fn light_fence() {}

pub(crate) fn heavy_fence() -> bool {
    true
}

/// Looking without sleeping is no protocol: whoever finds nothing goes on to the part that is.
pub(crate) fn spin(_there: impl Fn() -> bool) -> bool {
    false
}

pub(crate) fn sleep(words: &[(&AtomicU32, u32)], left: Duration) -> io::Result<()> {
    let words: Vec<_> = words.iter().map(|(word, expected)| (Futex::of(word), *expected)).collect();
    sleep_on(&words, left >= NEVER);
    Ok(())
}

pub(crate) fn wake(word: &AtomicU32, count: u32) {
    Futex::of(word).wake(count);
}

#[derive(Clone, Copy)]
pub(crate) struct Spot<'a>(&'a AtomicU32);

impl<'a> Spot<'a> {
    pub(crate) const WAKES_ALL: bool = true;

    pub(crate) fn of(word: &'a AtomicU64, _id: &'a AtomicU64) -> Spot<'a> {
        Spot(AtomicU32::half_of(word))
    }

    pub(crate) fn word(self) -> &'a AtomicU32 {
        self.0
    }

    /// The model has one word for both halves, so what this prevents is not modelled.
    pub(crate) fn state(self) -> Option<&'a AtomicU32> {
        None
    }

    pub(crate) fn prepare(self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn sleep(self, expected: u32, left: Duration) -> io::Result<()> {
        sleep(&[(self.0, expected)], left)
    }

    pub(crate) fn wake_all(self) {
        wake(self.0, u32::MAX);
    }
}
