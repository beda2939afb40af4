//! `coview wine`: memory, events and mutexes shared with the programs in a Wine or Proton prefix.

mod attach;
mod debug;
mod export;
mod link;
mod list;
mod presets;
mod relay;

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use coview::bridge::{Prefix, PrefixOptions};
use coview::{Mapping, Name};

use crate::cli::{PlaceArgs, WineCommand, WithArgs};
use crate::command::stop::Stop;
use crate::failure::Failure;
use crate::output;

/// How often is looked whether what was attached is still there.
const TICK: Duration = Duration::from_millis(200);

pub(crate) fn run(command: &WineCommand) -> Result<ExitCode, Failure> {
    match command {
        WineCommand::Ls(args) => list::run(args)?,
        WineCommand::Attach(args) => attach::run(args)?,
        WineCommand::Export(args) => export::run(args)?,
        WineCommand::Link(args) => link::run(args)?,
        WineCommand::Relay(args) => relay::run(args)?,
        WineCommand::Lock(args) => return relay::lock(args),
        WineCommand::Debug(args) => debug::run(args)?,
        WineCommand::Presets(args) => presets::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The process in the prefix.
pub(crate) fn helper() -> Result<(), Failure> {
    Ok(coview::bridge::serve(io::stdin().lock(), io::stdout())?)
}

fn options(place: &PlaceArgs) -> Result<PrefixOptions, Failure> {
    let mut options = with(&place.with);
    if let Some(prefix) = &place.prefix {
        options = options.path(prefix);
    }
    Ok(match place.pid {
        Some(pid) => options.process(pid)?,
        None => options,
    })
}

fn with(with: &WithArgs) -> PrefixOptions {
    let mut options = Prefix::options();
    if let Some(command) = &with.wine {
        options = options.wine(command.split_whitespace());
    }
    match &with.helper {
        Some(path) => options.helper(path),
        None => options,
    }
}

/// What a name in the prefix is called here, unless `other` is.
fn local(name: &str, other: Option<&str>) -> Result<String, Failure> {
    Ok(match other {
        Some(other) => other.to_owned(),
        None => Name::parse(name)?.to_string(),
    })
}

/// Says that it is there, where a script reads it.
fn ready(mapping: &Mapping, of: &str) -> Result<(), Failure> {
    let name = mapping.name().map(ToString::to_string).unwrap_or_default();
    let (size, word) = (mapping.size(), mapping.protection().word());
    say(&format!("ready: {name}, {} ({size} bytes), {word}, {of}", output::bytes(size)))
}

/// Waits for the next look, or until Ctrl-C.
fn tick(stop: &Stop) {
    let nothing = |left| {
        std::thread::sleep(left);
        Ok::<Option<()>, Infallible>(None)
    };
    let Ok(_) = stop.wait(Some(TICK), nothing);
}

/// A line on standard output, at once.
fn say(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
