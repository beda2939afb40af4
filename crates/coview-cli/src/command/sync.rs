//! `coview lock`, `event` and `semaphore`: scripts that wait for each other and for programs.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use coview::{Event, EventOptions, Mutex, Semaphore, SemaphoreOptions};

use super::child;
use crate::cli::{Action, EventArgs, LockArgs, OnAbandoned, SemaphoreArgs};
use crate::failure::Failure;

/// Runs COMMAND while this process has the mutex.
pub(crate) fn lock(args: &LockArgs) -> Result<ExitCode, Failure> {
    let (mutex, _) = Mutex::open_or_create(&args.name)?;
    let had = match args.timeout {
        Some(timeout) => mutex.lock_timeout(timeout)?,
        None => Some(mutex.lock()?),
    };
    let Some(lock) = had else {
        return Err(timed_out(&args.name, args.timeout));
    };
    if lock.is_abandoned() {
        let what = format!("the last owner of {} died with it; what it guards may be half changed", args.name);
        match args.on_abandoned {
            OnAbandoned::Run => eprintln!("coview: warning: {what}"),
            OnAbandoned::Fail => return Err(Failure::new(what)),
        }
    }
    // Only now: until here Ctrl-C just ends us, and gives back what we have.
    let (events, inbox) = child::watch()?;
    let code = child::run(&args.command, &args.name, None, events, &inbox);
    drop(lock);
    code
}

/// Sets, resets or waits for an event.
pub(crate) fn event(args: &EventArgs) -> Result<(), Failure> {
    match args.action {
        Action::Set => Event::open(&args.name)?.set()?,
        Action::Reset => Event::open(&args.name)?.reset()?,
        Action::Wait => {
            let (event, _) = EventOptions::new().manual_reset(args.manual).open_or_create(&args.name)?;
            if std::io::stderr().is_terminal() {
                eprintln!("waiting for {}", args.name);
            }
            match args.timeout {
                Some(timeout) if !event.wait_timeout(timeout)? => {
                    return Err(timed_out(&args.name, args.timeout));
                }
                Some(_) => {}
                None => event.wait()?,
            }
        }
    }
    Ok(())
}

/// Runs COMMAND while this process has one of so many permits.
pub(crate) fn semaphore(args: &SemaphoreArgs) -> Result<ExitCode, Failure> {
    let (permits, _) = SemaphoreOptions::new(args.count, args.count).open_or_create(&args.name)?;
    match args.timeout {
        Some(timeout) if !permits.acquire_timeout(timeout)? => {
            return Err(timed_out(&args.name, args.timeout));
        }
        Some(_) => {}
        None => permits.acquire()?,
    }
    let permit = Permit(&permits);
    let (events, inbox) = child::watch()?;
    let code = child::run(&args.command, &args.name, None, events, &inbox);
    drop(permit);
    code
}

/// Given back when dropped.
struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.release(1) {
            eprintln!("coview: {error}");
        }
    }
}

fn timed_out(name: &str, timeout: Option<Duration>) -> Failure {
    let time = humantime::format_duration(timeout.unwrap_or_default());
    Failure::timed_out(format!("{name} could not be had within {time}; `coview info {name}` shows who has it"))
}
