//! `coview doctor`: limits, space and permissions, each with a verdict and what to do.

use std::process::ExitCode;

use coview::inspect::{self, Verdict};
use serde_json::json;

use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::output::{self, BOLD, DIM, GREEN, RED, YELLOW};

pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let checks = inspect::health();
    let bad = checks.iter().filter(|check| check.verdict == Verdict::Bad).count();
    let notes = checks.iter().filter(|check| check.verdict == Verdict::Note).count();
    let word = |verdict| match verdict {
        Verdict::Good => "good",
        Verdict::Note => "note",
        Verdict::Bad => "bad",
    };
    if args.json {
        let list: Vec<_> = checks
            .iter()
            .map(|c| json!({ "subject": c.subject, "verdict": word(c.verdict), "found": c.found, "advice": c.advice }))
            .collect();
        output::json(&list)?;
    } else {
        for check in &checks {
            let style = match check.verdict {
                Verdict::Good => GREEN,
                Verdict::Note => YELLOW,
                Verdict::Bad => RED,
            };
            anstream::println!(
                "{style}{:<5}{style:#}{BOLD}{:<18}{BOLD:#}{}",
                word(check.verdict),
                check.subject,
                check.found
            );
            if let Some(advice) = &check.advice {
                anstream::println!("{DIM}{:23}{advice}{DIM:#}", "");
            }
        }
        println!("{} checks: {bad} bad, {notes} to note", checks.len());
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
