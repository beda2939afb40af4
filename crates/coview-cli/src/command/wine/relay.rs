//! `coview wine relay` and `coview wine lock`: events carried over, a mutex of the prefix held for a command.

use std::process::ExitCode;
use std::time::Duration;

use coview::bridge::{FarEvent, Prefix};
use coview::{Event, EventOptions, Name};

use super::{local, options, say};
use crate::cli::{RelayArgs, Side, WineLockArgs};
use crate::command::child;
use crate::command::stop::{Stop, Waited};
use crate::failure::Failure;

/// How soon is seen that a manual-reset event was reset.
const RESET: Duration = Duration::from_millis(2);

pub(super) fn run(args: &RelayArgs) -> Result<(), Failure> {
    let local = local(&args.name, args.local.as_deref())?;
    let prefix = options(&args.place)?.open()?;
    let stop = Stop::watch()?;
    match args.to {
        Side::Native => to_native(args, &prefix, &local, &stop),
        Side::Windows => to_windows(args, &prefix, &local, &stop),
    }
}

fn to_native(args: &RelayArgs, prefix: &Prefix, local: &str, stop: &Stop) -> Result<(), Failure> {
    let far = prefix.open_or_create_event(&args.name, args.manual)?;
    let manual = is_manual(prefix, &args.name)?.unwrap_or(args.manual);
    if !manual && !far.is_new() && !args.take {
        return Err(Failure::usage(format!(
            "{} resets automatically: each signal lets one waiter through, and this would take it from the programs in the prefix; \
             --take if none of them waits for it",
            args.name
        )));
    }
    let (near, _) = EventOptions::new().manual_reset(manual).open_or_create(local)?;
    say(&format!("ready: {} in {} sets {local}", args.name, prefix.path().display()))?;
    relay(stop, manual, (&|left| far.wait_timeout(left), &|| far.try_wait()), (&|| near.set(), &|| near.reset()))
}

fn to_windows(args: &RelayArgs, prefix: &Prefix, local: &str, stop: &Stop) -> Result<(), Failure> {
    let (near, _) = EventOptions::new().manual_reset(args.manual).open_or_create(local)?;
    let far: FarEvent = prefix.open_or_create_event(&args.name, args.manual)?;
    let manual = near_is_manual(&near)?;
    say(&format!("ready: {local} sets {} in {}", args.name, prefix.path().display()))?;
    relay(stop, manual, (&|left| near.wait_timeout(left), &|| near.try_wait()), (&|| far.set(), &|| far.reset()))
}

type Look<'a, T> = &'a dyn Fn(T) -> coview::Result<bool>;
type Do<'a> = &'a dyn Fn() -> coview::Result<()>;

/// Sets the one when the other is, and resets it when the other is reset.
fn relay(
    stop: &Stop,
    manual: bool,
    (wait, is_set): (Look<'_, Duration>, &dyn Fn() -> coview::Result<bool>),
    (set, reset): (Do<'_>, Do<'_>),
) -> Result<(), Failure> {
    loop {
        let Waited::Found(()) = stop.wait(None, |left| Ok::<_, Failure>(wait(left)?.then_some(())))? else {
            return Ok(());
        };
        set()?;
        while manual && is_set()? {
            if stop.is_asked() {
                return Ok(());
            }
            std::thread::sleep(RESET);
        }
        if manual {
            reset()?;
        }
    }
}

fn is_manual(prefix: &Prefix, name: &str) -> Result<Option<bool>, Failure> {
    let name = Name::parse(name)?.to_string();
    let found = prefix.objects()?.into_iter().find(|entry| entry.name == name);
    Ok(found.and_then(|entry| entry.sync).and_then(|state| state.manual))
}

fn near_is_manual(event: &Event) -> Result<bool, Failure> {
    let name = event.name().map(ToString::to_string).unwrap_or_default();
    let found = coview::inspect::find(&name)?;
    Ok(found.and_then(|entry| entry.sync).and_then(|state| state.manual).unwrap_or(false))
}

pub(super) fn lock(args: &WineLockArgs) -> Result<ExitCode, Failure> {
    let prefix = options(&args.place)?.open()?;
    let (events, inbox) = child::watch()?;
    let mutex = prefix.mutex(&args.name)?;
    let guard = match args.timeout {
        Some(timeout) => mutex.lock_timeout(timeout)?,
        None => Some(mutex.lock()?),
    };
    let Some(guard) = guard else {
        return Err(Failure::timed_out(format!(
            "{} is still held by another program after the time allowed",
            args.name
        )));
    };
    if guard.is_abandoned() {
        eprintln!("coview: the last owner of {} died with it; what it guards may be half changed", args.name);
    }
    child::run(&args.command, &args.name, None, events, &inbox)
}
