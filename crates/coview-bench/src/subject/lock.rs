//! What a mutex costs: nobody else wanting it, and two processes wanting nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Bar, Bound, By, Contender, Figure, Note, Pace, Subject, placed, rate_of, time, unique};
use crate::Result;
use crate::bare::lock::{Futex, Lock, Pthread, Spin};
use crate::bare::memory::{Line, shared};
use crate::pair::{Reading, Sides, Turn};
use crate::stats::Unit;

const NAMED: &str = "coview named Mutex";
const PLACED: &str = "coview placed Mutex";
const ROBUST: &str = "robust pthread";

/// How a contender's lock is measured.
#[derive(Clone, Copy)]
pub(super) enum How {
    Alone,
    Two,
}

pub(super) fn subjects() -> Vec<Subject> {
    let bar = |name, ours, bound| Bar { name, figure: 0, ours, than: ROBUST, by: By::Ratio, bound };
    vec![
        Subject {
            name: "lock",
            title: "lock + unlock of a mutex that nobody else wants",
            pace: Pace::Calls,
            figures: vec![Figure { name: "", unit: Unit::Time, of: time }],
            note: None,
            yardstick: ROBUST,
            contenders: contenders(How::Alone),
            bars: vec![
                bar("lock_uncontended", NAMED, Bound::AtMost(1.0)),
                bar("lock_uncontended_placed", PLACED, Bound::AtMost(1.0)),
            ],
        },
        Subject {
            name: "lock_two",
            title: "locks of one mutex by two processes that do nothing else, in all",
            pace: Pace::Time,
            figures: vec![Figure { name: "", unit: Unit::Rate, of: |r| rate_of(r.near) + rate_of(r.far) }],
            note: Some(Note { heading: "shares in %", of: shares }),
            yardstick: ROBUST,
            contenders: contenders(How::Two),
            bars: vec![
                bar("lock_two_processes", NAMED, Bound::AtLeast(1.0)),
                bar("lock_two_processes_placed", PLACED, Bound::AtLeast(1.0)),
            ],
        },
    ]
}

fn contenders(how: How) -> Vec<Contender> {
    vec![
        Contender::new(NAMED, move || {
            let name = unique("mutex");
            measured(how, move || Ok(coview::Mutex::open_or_create(&name)?.0))
        }),
        Contender::new(PLACED, move || bare(how, placed::<coview::sync::Mutex<u64>>()?)),
        Contender::new(ROBUST, move || bare(how, Pthread::new(true)?)),
        Contender::new("plain pthread", move || bare(how, Pthread::new(false)?)),
        Contender::new("futex by hand", move || bare(how, shared(Futex::default())?)),
        Contender::new("spin by hand", move || bare(how, shared(Spin::default())?)),
    ]
}

impl Lock for coview::Mutex {
    fn hold(&self, inside: impl FnOnce()) {
        let _guard = self.lock().expect("lock").into_guard();
        inside();
    }
}

impl Lock for &'static coview::sync::Mutex<u64> {
    fn hold(&self, inside: impl FnOnce()) {
        let _guard = self.lock().expect("lock").into_guard();
        inside();
    }
}

/// A lock that was made before the processes part.
pub(super) fn bare(how: How, lock: impl Lock + Copy) -> Result<Sides> {
    measured(how, move || Ok(lock))
}

/// `open`: each process opens the lock for itself. Inside, a word is read and written.
fn measured<L: Lock>(how: How, open: impl Fn() -> Result<L> + Clone + 'static) -> Result<Sides> {
    let count: &Line<AtomicU64> = shared(Line::default())?;
    let inside = || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    if let How::Alone = how {
        return Ok(Sides::alone(move || {
            let lock = open()?;
            Ok(move |turn: &Turn| turn.repeat(|| lock.hold(inside)))
        }));
    }
    let side = move || {
        let lock = open()?;
        Ok(move |turn: &Turn| turn.until_over(|| lock.hold(inside)))
    };
    Ok(Sides::both(side.clone(), side))
}

/// Who had it how often.
fn shares(readings: &[Reading]) -> String {
    let (near, far) = readings.iter().fold((0, 0), |sum, r| (sum.0 + r.near.done, sum.1 + r.far.done));
    let percent = 100.0 * near as f64 / (near + far) as f64;
    format!("{:.0} {:.0}", percent, 100.0 - percent)
}
