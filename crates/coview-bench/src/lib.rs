//! Benchmarks between two pinned processes, ours beside the hardware's limits and other libraries.
//!
//! A *subject* is one question, such as what an uncontended lock costs; its *contenders* answer it in turns, once a
//! round, each in two processes of its own (`pair`), and the answers are medians of the rounds' ratios. A new subject is a file in
//! `subject/`; what passes messages is a [`Link`](link::Link), and every kind of measurement takes any link.

#![cfg(target_os = "linux")]

#[allow(unsafe_code)]
mod bare;
mod chart;
mod cli;
mod keeper;
mod link;
mod machine;
mod measure;
mod ours;
#[allow(unsafe_code)]
mod pair;
mod report;
mod rival;
mod stats;
mod subject;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use report::{Method, Report};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The whole program.
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("coview-bench: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let subjects = subject::chosen(&cli.subjects)?;
    if cli.list {
        subjects.iter().for_each(|subject| println!("{:<12} {}", subject.name, subject.title));
        return Ok(ExitCode::SUCCESS);
    }
    let plan = cli.plan()?;
    if let Some(code) = keeper::keep()? {
        return Ok(code);
    }
    let machine = machine::Machine::look(plan.cpus);
    let watch = machine::Watch::start();
    if cfg!(debug_assertions) {
        println!("A debug build: the figures say nothing. Use `cargo run --release -p coview-bench`.\n");
    }
    let mut report = Report { machine, method: Method::of(&plan), tables: Vec::new(), bars: Vec::new() };
    for subject in &subjects {
        let (tables, bars) = report::of(subject, &measure::run(subject, &plan));
        watch.tell(&mut report.machine);
        tables.iter().for_each(|table| println!("{table}"));
        if cli.save {
            save(&Report { tables: tables.clone(), bars: bars.clone(), ..report.clone() }, subject.name)?;
        }
        report.tables.extend(tables);
        report.bars.extend(bars);
    }
    if let Some(file) = &cli.json {
        write(file, &report.json()?)?;
    }
    if let Some(file) = &cli.svg {
        write(file, &chart::draw(&report))?;
    }
    println!("{}\n", report.conditions());
    report.bars.iter().for_each(|bar| println!("{bar}"));
    let short = report.bars.iter().any(|bar| !bar.ok);
    Ok(if cli.strict && short { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn save(report: &Report, name: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bench");
    std::fs::create_dir_all(&folder)?;
    write(&folder.join(format!("{name}.json")), &report.json()?)?;
    write(&folder.join(format!("{name}.svg")), &chart::draw(report))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|why| format!("{}: {why}", file.display()).into())
}
