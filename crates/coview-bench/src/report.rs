//! What came out: tables of ratios, bars, and all of it as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Result;
use crate::machine::Machine;
use crate::measure::{Outcome, Plan};
use crate::pair::Reading;
use crate::stats::{Ratio, Unit, median, range};
use crate::subject::{self, Bound, By, Figure, Subject};

/// Everything of one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) method: Method,
    pub(crate) tables: Vec<Table>,
    pub(crate) bars: Vec<Bar>,
}

impl Report {
    /// On what, and how.
    pub(crate) fn conditions(&self) -> String {
        format!("{}\n{}", self.machine, self.method)
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Method {
    rounds: u32,
    turn_ms: u64,
}

impl Method {
    pub(crate) fn of(plan: &Plan) -> Method {
        Method { rounds: plan.rounds, turn_ms: plan.turn.as_millis() as u64 }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, turn) = (self.rounds, Duration::from_millis(self.turn_ms));
        write!(
            f,
            "method:  {rounds} rounds, in each a turn of {turn:?} for every contender, in two processes of its own;\n\
            \x20        the median of its rounds; a ratio is the median of the ratios of the rounds"
        )
    }
}

/// One figure of all contenders of a subject.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) yardstick: &'static str,
    note: Option<&'static str>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) contender: &'static str,
    pub(crate) median: f64,
    min: f64,
    max: f64,
    /// To the yardstick: the median of the rounds' ratios.
    pub(crate) ratio: f64,
    rounds: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Why there are no values.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// What ours must reach, and what it reached.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    name: &'static str,
    value: f64,
    sign: &'static str,
    bound: f64,
    pub(crate) ok: bool,
    details: String,
}

impl Bar {
    fn new(name: &'static str, value: f64, bound: Bound, details: String) -> Bar {
        let (sign, limit, ok) = match bound {
            Bound::AtMost(limit) => ("<=", limit, value <= limit),
            Bound::AtLeast(limit) => (">=", limit, value >= limit),
        };
        Bar { name, value, sign, bound: limit, ok, details }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, word) = (Ratio(self.value), if self.ok { "ok" } else { "short" });
        write!(f, "bar {} {value} {} {} {word}   ({})", self.name, self.sign, self.bound, self.details)
    }
}

/// The tables and bars of one subject.
pub(crate) fn of(subject: &Subject, outcome: &Outcome) -> (Vec<Table>, Vec<Bar>) {
    let tables: Vec<Table> = subject.figures.iter().map(|figure| table(subject, figure, outcome)).collect();
    let bars = subject.bars.iter().map(|b| bar(b, &tables[b.figure])).collect();
    (tables, bars)
}

fn table(subject: &Subject, figure: &Figure, outcome: &Outcome) -> Table {
    let row = |(contender, run): (&subject::Contender, &std::result::Result<Vec<Reading>, String>)| {
        let readings = run.as_deref().unwrap_or_default();
        let rounds: Vec<f64> = readings.iter().map(figure.of).collect();
        let (min, max) = range(&rounds);
        let note = subject.note.filter(|_| !readings.is_empty()).map(|note| (note.of)(readings));
        let (median, failed) = (median(&rounds), run.as_ref().err().cloned());
        Row { contender: contender.name, median, min, max, ratio: f64::NAN, rounds, note, failed }
    };
    let mut rows: Vec<Row> = subject.contenders.iter().zip(outcome).map(row).collect();
    let of = |row: &Row| row.rounds.clone();
    let unit = rows.iter().find(|row| row.contender == subject.yardstick).map(of).unwrap_or_default();
    rows.iter_mut().for_each(|row| row.ratio = median(&Ratio::by_round(&row.rounds, &unit)));
    let name = [subject.name, figure.name].join(" ").trim_end().to_owned();
    let title = subject.title.to_owned();
    let note = subject.note.map(|note| note.heading);
    Table { name, title, unit: figure.unit, yardstick: subject.yardstick, note, rows }
}

fn bar(bar: &subject::Bar, table: &Table) -> Bar {
    let of = |name: &str| table.rows.iter().find(|row| row.contender == name);
    let (Some(ours), Some(than)) = (of(bar.ours), of(bar.than)) else {
        return Bar::new(bar.name, f64::NAN, bar.bound, "it was not measured".into());
    };
    let (by_round, unit) = match bar.by {
        By::Ratio => (Ratio::by_round(&ours.rounds, &than.rounds), ""),
        By::Micros => {
            (ours.rounds.iter().zip(&than.rounds).map(|(ours, than)| (ours - than) / 1e3).collect(), "µs more: ")
        }
        By::Millis => (ours.rounds.iter().map(|ours| ours / 1e6).collect::<Vec<_>>(), "ms: "),
    };
    let (least, most) = range(&by_round);
    let said = |row: &Row| match &row.failed {
        Some(why) => format!("{}: {why}", row.contender),
        None => format!("{} {}", row.contender, table.unit.show(row.median)),
    };
    let details = format!("{unit}{}, {}; by round {} to {}", said(ours), said(than), Ratio(least), Ratio(most));
    Bar::new(bar.name, median(&by_round), bar.bound, details)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({})", self.name, self.title, self.unit.better())?;
        let width = self.rows.iter().map(|row| row.contender.chars().count()).max().unwrap_or(0);
        let heading = format!("× {}", self.yardstick);
        let wide = heading.chars().count();
        write!(f, "  {:width$}  {heading}  {:>9}  {:>21}", "", "median", "range")?;
        writeln!(f, "{}", self.note.map(|note| format!("  {note}")).unwrap_or_default())?;
        for row in &self.rows {
            if let Some(why) = &row.failed {
                writeln!(f, "  {:width$}  failed: {why}", row.contender)?;
                continue;
            }
            let [median, min, max] = [row.median, row.min, row.max].map(|value| self.unit.show(value));
            let (range, wide_note) = (format!("{min} … {max}"), self.note.map_or(0, |note| note.chars().count()));
            write!(f, "  {:width$}  {:>wide$}  {median:>9}  {range:>21}", row.contender, Ratio(row.ratio))?;
            writeln!(f, "{}", row.note.as_ref().map(|n| format!("  {n:>wide_note$}")).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Share;
    use crate::subject::{Contender, Pace};

    fn subject() -> Subject {
        let contender = |name| Contender { name, sides: Box::new(|| Err("not started".into())) };
        Subject {
            name: "lock",
            title: "a lock",
            pace: Pace::Calls,
            figures: vec![Figure { name: "", unit: Unit::Time, of: |r| r.near.ns as f64 / r.near.done as f64 }],
            note: None,
            yardstick: "theirs",
            contenders: vec![contender("ours"), contender("theirs")],
            bars: vec![subject::Bar {
                name: "lock_cost",
                figure: 0,
                ours: "ours",
                than: "theirs",
                by: By::Ratio,
                bound: Bound::AtMost(1.15),
            }],
        }
    }

    fn readings(ns: &[u64]) -> Vec<Reading> {
        let near = |ns| Reading { near: Share { done: 10, ns, ..Share::default() }, ..Reading::default() };
        ns.iter().map(|ns| near(*ns)).collect()
    }

    #[test]
    fn a_bar_is_the_median_of_the_rounds_ratios() {
        let outcome = vec![Ok(readings(&[300, 250, 260])), Ok(readings(&[200, 100, 260]))];
        let (tables, bars) = of(&subject(), &outcome);
        let line = "bar lock_cost 1.50 <= 1.15 short   (ours 26.0 ns, theirs 20.0 ns; by round 1.00 to 2.50)";
        assert_eq!(bars[0].to_string(), line);
        assert_eq!(tables[0].rows[1].ratio, 1.0);
        let shown = tables[0].to_string();
        assert!(shown.starts_with("lock: a lock (less is better)\n"), "{shown}");
        assert!(shown.contains("  ours        1.50    26.0 ns      25.0 ns … 30.0 ns\n"), "{shown}");
    }

    #[test]
    fn a_difference_is_in_microseconds() {
        let outcome = vec![Ok(readings(&[300_000, 250_000])), Ok(readings(&[200_000, 100_000]))];
        let mut subject = subject();
        subject.bars[0].by = By::Micros;
        let line =
            "bar lock_cost 12.50 <= 1.15 short   (µs more: ours 27.5 µs, theirs 15.0 µs; by round 10.00 to 15.00)";
        assert_eq!(of(&subject, &outcome).1[0].to_string(), line);
    }

    #[test]
    fn a_bound_counts_as_reached() {
        let line = |value, bound| Bar::new("b", value, bound, "d".into()).to_string();
        assert_eq!(line(1.0, Bound::AtMost(1.0)), "bar b 1.00 <= 1 ok   (d)");
        assert_eq!(line(1.2, Bound::AtLeast(1.0)), "bar b 1.20 >= 1 ok   (d)");
        assert_eq!(line(0.02, Bound::AtLeast(0.8)), "bar b 0.0200 >= 0.8 short   (d)");
        assert_eq!(line(f64::NAN, Bound::AtMost(1.0)), "bar b nan <= 1 short   (d)");
    }

    #[test]
    fn who_fails_is_short_and_says_why() {
        let outcome = vec![Err("no such luck".to_owned()), Ok(readings(&[200]))];
        let (tables, bars) = of(&subject(), &outcome);
        assert!(bars[0].to_string().starts_with("bar lock_cost nan <= 1.15 short   (ours: no such luck, "));
        assert!(tables[0].to_string().contains("failed: no such luck"));
        let json = serde_json::to_value(&tables[0]).unwrap();
        assert_eq!(json["rows"][0]["median"], serde_json::Value::Null);
        assert_eq!(json["rows"][1]["rounds"][0], 20.0);
    }
}
