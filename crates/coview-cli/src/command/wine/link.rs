//! `coview wine link`: one section in two prefixes.

use coview::bridge::{Bridge, Prefix};
use coview::{Access, ErrorKind, MappingOptions};

use super::{say, tick, with};
use crate::cli::LinkArgs;
use crate::command::stop::Stop;
use crate::failure::Failure;

pub(super) fn run(args: &LinkArgs) -> Result<(), Failure> {
    let [first, second] = &args.prefixes[..] else {
        return Err(Failure::usage("name two prefixes: --prefix A --prefix B"));
    };
    let open = |path| with(&args.with).path(path).start(true).open();
    let (first, second) = (open(first)?, open(second)?);
    let stop = Stop::watch()?;
    let bridges = link(args, &first, &second)?;
    let size = bridges[0].mapping().size();
    say(&format!("ready: {}, {size} bytes, in {} and {}", args.name, first.path().display(), second.path().display()))?;
    while !stop.is_asked() {
        for bridge in &bridges {
            if !bridge.is_there()? {
                eprintln!(
                    "coview: the programs in {} have let go of {}; ending",
                    bridge.prefix().path().display(),
                    args.name
                );
                return Ok(());
            }
        }
        tick(&stop);
    }
    Ok(())
}

/// Whoever has it gives it to the other; if nobody has, both get the same.
fn link(args: &LinkArgs, first: &Prefix, second: &Prefix) -> Result<[Bridge; 2], Failure> {
    for (giver, taker) in [(first, second), (second, first)] {
        match giver.attach(&args.name, Access::ReadWrite) {
            Ok(given) => {
                let taken = taker.export(&args.name, given.mapping())?;
                return Ok([given, taken]);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(size) = args.size else {
        let why = format!("no program in either prefix has made {}; start one first, or say its --size", args.name);
        return Err(Failure::not_found(why));
    };
    let mapping = MappingOptions::new().size(size).create_unnamed()?;
    Ok([first.export(&args.name, &mapping)?, second.export(&args.name, &mapping)?])
}
