//! Rounds: in each, every contender of a subject has one turn, so that what the machine does meanwhile meets all.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use crate::pair::{Length, Pair, Reading, STEP, Share};
use crate::subject::{Contender, Pace, Subject};

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) turn: Duration,
    pub(crate) cpus: [usize; 2],
}

/// What each contender did in each round, in the subject's order; or why it did not.
pub(crate) type Outcome = Vec<std::result::Result<Vec<Reading>, String>>;

/// Measures one subject.
pub(crate) fn run(subject: &Subject, plan: &Plan) -> Outcome {
    // Hidden where standard error is no terminal. It moves between turns only: a thread that drew would disturb them.
    let style = ProgressStyle::with_template("{msg:12} {bar:40} {pos}/{len} turns").expect("the template is right");
    let turns = subject.contenders.len() as u64 * u64::from(plan.rounds);
    let progress = ProgressBar::new(turns).with_style(style).with_message(subject.name);
    let mut runs: Vec<_> = subject.contenders.iter().map(|c| Run::start(c, subject.pace, plan).map_err(text)).collect();
    for round in 0..plan.rounds as usize {
        for place in 0..runs.len() {
            let index = next(round, place, runs.len());
            let failed = runs[index].as_mut().ok().and_then(|run| run.turn().err());
            if let Some(why) = failed {
                runs[index] = Err(text(why));
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    runs.into_iter().map(|run| run.map(|run| run.readings)).collect()
}

/// Whose turn it is: each begins a round in its turn, and every second round goes backwards, so that nobody always
/// comes after the same other.
fn next(round: usize, place: usize, count: usize) -> usize {
    let forwards = (round + place) % count;
    if round.is_multiple_of(2) { forwards } else { count - 1 - forwards }
}

fn text(why: Box<dyn std::error::Error>) -> String {
    why.to_string()
}

/// One contender on its way through the rounds.
struct Run {
    pair: Pair,
    length: Length,
    readings: Vec<Reading>,
}

impl Run {
    fn start(contender: &Contender, pace: Pace, plan: &Plan) -> Result<Run> {
        let mut pair = Pair::start((contender.sides)()?, plan.cpus)?;
        let length = match pace {
            Pace::Time => Length::Time(plan.turn),
            Pace::Calls => Length::Calls(calls(&mut pair, plan.turn, Length::Calls)?),
            Pace::Asleep => Length::Asleep(calls(&mut pair, plan.turn, Length::Asleep)?),
        };
        Ok(Run { pair, length, readings: Vec::new() })
    }

    fn turn(&mut self) -> Result<()> {
        self.readings.push(self.pair.turn(self.length)?);
        Ok(())
    }
}

/// How many calls fill a turn; found by doubling, which warms up too.
fn calls(pair: &mut Pair, turn: Duration, length: fn(u64) -> Length) -> Result<u64> {
    let enough = turn.as_nanos() as u64 / 16;
    let mut calls = STEP;
    loop {
        let reading = pair.turn(length(calls))?;
        let whole = |share: Share| share.ns + share.paused;
        let ns = whole(reading.near).max(whole(reading.far)).max(1);
        if ns >= enough || calls >= 1 << 40 {
            let fill = u128::from(calls) * turn.as_nanos() / u128::from(ns);
            return Ok(u64::try_from(fill)?.max(STEP));
        }
        calls *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_turn_a_round_and_neighbours_change() {
        let order = |round| (0..3).map(|place| next(round, place, 3)).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(order), [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0]]);
    }
}
