//! The program `coview`: shows and handles shared memory on Windows and Linux.

#![warn(clippy::unwrap_used)]

mod cli;
mod command;
mod demo;
mod failure;
mod layout;
mod output;
mod parse;
mod preset;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(args) => return command::create::run(&args),
        Command::Write(args) => command::write::run(&args)?,
        Command::Read(args) => command::read::run(&args)?,
        Command::Watch(args) => command::watch::run(&args)?,
        Command::Ls(args) => command::list::ls(&args)?,
        Command::Top(args) => command::top::run(&args)?,
        Command::Info(args) => command::list::info(&args)?,
        Command::Send(args) => command::send::run(&args)?,
        Command::Recv(args) => command::recv::run(&args)?,
        Command::Lock(args) => return command::sync::lock(&args),
        Command::Event(args) => command::sync::event(&args)?,
        Command::Semaphore(args) => return command::sync::semaphore(&args),
        Command::Wine(command) => return command::wine::run(&command),
        Command::WineHelper { cookie: _ } => command::wine::helper()?,
        Command::Gc(args) => command::gc::run(&args)?,
        Command::Doctor(args) => return command::doctor::run(&args),
        Command::Demo(args) => return demo::run(&args),
        Command::Part(args) => {
            return Ok(demo::part(&args).map_or_else(|f| f.report_in_line(), |()| ExitCode::SUCCESS));
        }
        Command::Completions { shell } => cli::completions(shell)?,
        Command::Man { dir } => cli::man(dir.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}
