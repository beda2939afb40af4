//! Running COMMAND while something is held: until it ends, or Ctrl-C or the time ends it.

use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use shared_child::SharedChild;

use crate::failure::Failure;

/// How long a child may take to end by itself after Ctrl-C, which it got as well.
const GRACE: Duration = Duration::from_secs(2);

/// What happens to who holds something.
pub(crate) enum Event {
    Signal,
    Ended(std::io::Result<ExitStatus>),
}

/// From here on Ctrl-C and its like arrive as events.
pub(crate) fn watch() -> Result<(Sender<Event>, Receiver<Event>), Failure> {
    let (events, inbox) = mpsc::channel();
    let on_signal = events.clone();
    ctrlc::set_handler(move || drop(on_signal.send(Event::Signal)))
        .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))?;
    Ok((events, inbox))
}

/// Runs a command to its end; its exit code.
pub(crate) fn run(
    command: &[String],
    name: &str,
    time: Option<Duration>,
    events: Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<ExitCode, Failure> {
    let (program, args) = command.split_first().ok_or_else(|| Failure::usage("there is no COMMAND to run"))?;
    let mut child = Command::new(program);
    child.args(args).env("COVIEW_NAME", name);
    let started = SharedChild::spawn(&mut child);
    let child = Arc::new(started.map_err(|error| Failure::new(format!("cannot run {program:?}: {error}")))?);
    let waiter = Arc::clone(&child);
    std::thread::spawn(move || drop(events.send(Event::Ended(waiter.wait()))));
    let first = match time {
        Some(time) => inbox.recv_timeout(time),
        None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    let status = match first {
        Ok(Event::Ended(status)) => status?,
        _ => match inbox.recv_timeout(GRACE) {
            Ok(Event::Ended(status)) => status?,
            _ => {
                child.kill()?;
                child.wait()?
            }
        },
    };
    Ok(ExitCode::from(code_of(status)))
}

fn code_of(status: ExitStatus) -> u8 {
    match status.code() {
        Some(code) => u8::try_from(code & 0xff).unwrap_or(1),
        // As shells report an end by a signal, where there are signals.
        None => {
            let text = status.to_string();
            text.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u8>().ok()).map_or(1, |n| n | 128)
        }
    }
}
