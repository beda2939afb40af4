//! The table of docs/reliability.md: runs what tries to break the library, and counts what was tried.
//!
//! Whatever wants to be in the table prints lines `count AREA: WHAT N`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// The long forms: points of the sweeps, seconds of each fuzz target, and how long the soak lasts
    #[arg(long, num_args = 3, value_names = ["POINTS", "SECONDS", "DURATION"])]
    long: Option<Vec<String>>,
}

pub(crate) fn run(root: &Path, options: &Options) -> ExitCode {
    match table(root, options) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("reliability: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The tests that are attacks, as cargo is told.
const ATTACKS: &str = "attacks --test vanish --test fork --test namespaces --test users";

/// What is run, in words of a shell.
fn commands(options: &Options) -> Vec<String> {
    let test = |name: &str| format!("cargo test --locked -p coview --test {name} -- --nocapture");
    match options.long.as_deref() {
        Some([points, seconds, duration]) => vec![
            format!("just crash {points}"),
            format!("just fuzz '' {seconds}"),
            format!("just soak {duration}"),
            test(ATTACKS),
        ],
        _ => vec!["just crash 10".to_owned(), test("hostile"), test("soak"), test(ATTACKS)],
    }
}

fn table(root: &Path, options: &Options) -> io::Result<String> {
    let mut counts = BTreeMap::new();
    for command in commands(options) {
        eprintln!("reliability: {command}");
        let mut child = Command::new("sh").args(["-c", &command]).current_dir(root).stdout(Stdio::piped()).spawn()?;
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        for line in lines.into_iter().flatten() {
            note(&mut counts, &line?);
        }
        if !child.wait()?.success() {
            return Err(io::Error::other(format!("{command}: it failed, so there is no table")));
        }
    }
    let said = |program: &str, args: &[&str]| -> io::Result<String> {
        Ok(String::from_utf8_lossy(&Command::new(program).args(args).output()?.stdout).trim().to_owned())
    };
    let (day, release) = (said("date", &["-u", "+%F"])?, said("uname", &["-r"])?);
    let release = release.split('-').next().unwrap_or_default();
    let (os, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let processors = std::thread::available_parallelism()?;
    let ran: Vec<String> = commands(options).iter().map(|command| format!("`{command}`")).collect();
    Ok(format!(
        "{day}, {os} {release}, {machine}, {processors} processors, by {}. Each loss, hang, crash and leak is a failed test, and there is no \
         table then: all of them are 0.\n\n| what | of it | count |\n| --- | --- | --: |\n{}",
        ran.join(", "),
        rows(&counts)
    ))
}

/// Adds a line of a test to what is counted, if it is one.
fn note(counts: &mut BTreeMap<(String, String), u64>, line: &str) {
    // libtest may have begun the line.
    let Some((_, line)) = line.split_once("count ") else { return };
    let Some((what, number)) = line.rsplit_once(' ') else { return };
    let (Some((area, what)), Ok(number)) = (what.split_once(": "), number.parse::<u64>()) else { return };
    *counts.entry((area.to_owned(), what.to_owned())).or_default() += number;
}

fn rows(counts: &BTreeMap<(String, String), u64>) -> String {
    let mut out = String::new();
    let mut before = "";
    for ((area, what), number) in counts {
        let shown = if area == before { "" } else { area };
        out += &format!("| {shown} | {what} | {number} |\n");
        before = area;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_by_what_they_count() {
        let mut counts = BTreeMap::new();
        for line in
            ["test a ... count kills: ring: send 3", "count kills: ring: send 4", "count", "count: 3", "other 5"]
        {
            note(&mut counts, line);
        }
        assert_eq!(rows(&counts), "| kills | ring: send | 7 |\n");
    }
}
