//! The questions, one file a subject, and who answers them.

mod attach;
#[cfg(feature = "boost")]
mod boost;
mod copy;
mod death;
mod event;
mod frames;
mod latest;
mod lock;
mod messages;
mod service;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;
use crate::pair::{Reading, Share, Sides};
use crate::stats::Unit;

/// One question.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) pace: Pace,
    /// What is read off a turn; mostly one thing.
    pub(crate) figures: Vec<Figure>,
    /// Something more to say of each contender.
    pub(crate) note: Option<Note>,
    /// The contender that the others are shown as multiples of.
    pub(crate) yardstick: &'static str,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) bars: Vec<Bar>,
}

/// How a turn ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// After a number of calls that fills it.
    Calls,
    /// As `Calls`, of sides that sleep while they wait for each other.
    Asleep,
    /// When the time is over: for processes that work at their own speed.
    Time,
}

/// A number that is read off a turn.
pub(crate) struct Figure {
    /// To tell it from the others of its subject.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) of: fn(&Reading) -> f64,
}

/// What the readings of a contender say beside the figures.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    pub(crate) heading: &'static str,
    pub(crate) of: fn(&[Reading]) -> String,
}

/// One way to do it.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) sides: Box<dyn Fn() -> Result<Sides>>,
}

/// What ours must reach, beside another contender of its subject.
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    /// By its place among the figures.
    pub(crate) figure: usize,
    pub(crate) ours: &'static str,
    pub(crate) than: &'static str,
    pub(crate) by: By,
    pub(crate) bound: Bound,
}

/// How the two are compared, in each round.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Ratio,
    /// How many microseconds more.
    Micros,
    /// Not at all: ours in milliseconds.
    Millis,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Contender {
    fn new(name: &'static str, sides: impl Fn() -> Result<Sides> + 'static) -> Contender {
        Contender { name, sides: Box::new(sides) }
    }
}

fn all() -> Vec<Subject> {
    let mut all = lock::subjects();
    all.push(event::subject());
    all.extend(messages::subjects());
    all.extend(frames::subjects());
    all.extend(latest::subjects());
    all.push(service::subject());
    all.push(death::subject());
    all.push(attach::subject());
    all.push(copy::subject());
    #[cfg(feature = "boost")]
    all.iter_mut().for_each(boost::join);
    all
}

/// The subjects whose names begin with one of these; all, if there is none.
pub(crate) fn chosen(words: &[String]) -> Result<Vec<Subject>> {
    let mut subjects = all();
    if let Some(word) = words.iter().find(|word| !subjects.iter().any(|s| s.name.starts_with(*word))) {
        let names: Vec<_> = subjects.iter().map(|subject| subject.name).collect();
        return Err(format!("no subject begins with {word:?}; there are: {}", names.join(", ")).into());
    }
    subjects.retain(|subject| words.is_empty() || words.iter().any(|word| subject.name.starts_with(word)));
    Ok(subjects)
}

/// A name that nobody else has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("bench-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A primitive of ours in a mapping without a name, which ends with the processes.
fn placed<P: coview::sync::Placed>() -> Result<&'static P> {
    let view = coview::MappingOptions::new().size(4096).create_unnamed()?.view(coview::Access::ReadWrite)?;
    Ok(Box::leak(Box::new(view)).place(0)?)
}

/// Nanoseconds a call of the near side.
fn time(reading: &Reading) -> f64 {
    reading.near.ns as f64 / reading.near.done as f64
}

fn rate_of(share: Share) -> f64 {
    share.done as f64 / share.ns.max(1) as f64
}

/// How often each side slept, for each call.
fn sleeps(readings: &[Reading]) -> String {
    let of = |share: fn(&Reading) -> Share| {
        let (sleeps, done) = readings.iter().map(share).fold((0, 0), |sum, s| (sum.0 + s.sleeps, sum.1 + s.done));
        sleeps as f64 / done as f64
    };
    format!("{:.2} {:.2}", of(|reading| reading.near), of(|reading| reading.far))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_yardsticks_name_contenders() {
        for subject in all() {
            let has = |name: &str| subject.contenders.iter().any(|contender| contender.name == name);
            assert!(has(subject.yardstick), "{}: {}", subject.name, subject.yardstick);
            for bar in &subject.bars {
                assert!(has(bar.ours) && has(bar.than) && bar.figure < subject.figures.len(), "{}", bar.name);
            }
        }
    }

    #[test]
    fn subjects_are_chosen_by_how_their_names_begin() {
        let names = |words: &[&str]| -> Vec<&str> {
            let words: Vec<String> = words.iter().map(|&word| word.into()).collect();
            chosen(&words).unwrap().iter().map(|subject| subject.name).collect()
        };
        assert_eq!(names(&["lock"]), ["lock", "lock_two"]);
        assert_eq!(names(&["event", "lock_t"]), ["lock_two", "event"]);
        assert_eq!(names(&[]).len(), all().len());
        assert!(chosen(&["lock".into(), "nonsense".into()]).is_err());
    }
}
