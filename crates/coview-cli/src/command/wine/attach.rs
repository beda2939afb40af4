//! `coview wine attach`: what a program in the prefix has made, under a native name, for as long as it is there.

use coview::bridge::{Bridge, Prefix, PrefixOptions};
use coview::{Access, ErrorKind, Mapping};

use super::{local, options, ready, tick};
use crate::cli::AttachArgs;
use crate::command::stop::Stop;
use crate::failure::Failure;

pub(super) fn run(args: &AttachArgs) -> Result<(), Failure> {
    let (options, local) = (options(&args.place)?, local(&args.name, args.local.as_deref())?);
    let stop = Stop::watch()?;
    loop {
        let Some((bridge, named)) = come(args, &options, &local, &stop)? else { return Ok(()) };
        ready(&named, &format!("from {}", bridge.prefix().path().display()))?;
        if !stays(bridge, &options, &stop)? {
            return Ok(());
        }
        drop(named);
        let what = if args.follow { "waiting for it to come again" } else { "ending" };
        eprintln!("coview: the programs in the prefix have let go of {}; {what}", args.name);
        if !args.follow {
            return Ok(());
        }
    }
}

/// The memory and its native name; with `--follow`, when both can be had. `None`: Ctrl-C.
fn come(
    args: &AttachArgs,
    options: &PrefixOptions,
    local: &str,
    stop: &Stop,
) -> Result<Option<(Bridge, Mapping)>, Failure> {
    let mut prefix = None;
    let mut told = false;
    loop {
        if stop.is_asked() {
            return Ok(None);
        }
        match attempt(args, options, &mut prefix, local) {
            Ok((bridge, named)) => {
                check_size(args, &named)?;
                return Ok(Some((bridge, named)));
            }
            Err(error) if args.follow && comes_yet(error.kind()) => {
                if error.kind() == ErrorKind::PeerDied {
                    prefix = None;
                }
                if !std::mem::replace(&mut told, true) {
                    eprintln!("coview: {error}; waiting");
                }
            }
            Err(error) => return Err(error.into()),
        }
        tick(stop);
    }
}

fn attempt(
    args: &AttachArgs,
    options: &PrefixOptions,
    prefix: &mut Option<Prefix>,
    local: &str,
) -> coview::Result<(Bridge, Mapping)> {
    let access = if args.writable { Access::ReadWrite } else { Access::Read };
    let prefix = match prefix {
        Some(prefix) => prefix,
        None => prefix.insert(options.open()?),
    };
    let bridge = prefix.attach(&args.name, access)?;
    let named = bridge.publish(local)?;
    Ok((bridge, named))
}

/// Whether waiting helps: for the program, for the helper's prefix, or for whoever holds the old memory under its name here.
fn comes_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::PeerDied)
}

fn check_size(args: &AttachArgs, mapping: &Mapping) -> Result<(), Failure> {
    match args.size {
        Some(wanted) if mapping.size() < wanted => Err(Failure::new(format!(
            "cannot attach to {}: it is too small: it has {} bytes, {wanted} are wanted; the program in the prefix says how large it is",
            args.name,
            mapping.size()
        ))),
        _ => Ok(()),
    }
}

/// Until it is not there any more (`true`), or Ctrl-C (`false`).
fn stays(mut bridge: Bridge, options: &PrefixOptions, stop: &Stop) -> Result<bool, Failure> {
    while !stop.is_asked() {
        match bridge.is_there() {
            Ok(true) => tick(stop),
            Ok(false) => return Ok(true),
            // The memory is ours as well; whether the name is still there needs another helper.
            Err(error) if error.kind() == ErrorKind::PeerDied => match options.open() {
                Ok(prefix) => bridge = bridge.through(prefix),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
