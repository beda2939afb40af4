//! `coview wine export`: a native object, under a name in the prefix, before a program there asks for it.

use coview::bridge::{Bridge, Prefix};
use coview::{Access, ErrorKind, Mapping, MappingOptions};

use super::{local, options, ready, tick};
use crate::cli::ExportArgs;
use crate::command::stop::Stop;
use crate::failure::Failure;
use crate::preset::{self, What};

pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let wanted = wanted(args)?;
    // Wine is started if it does not run yet: that is the right time.
    let prefix = options(&args.place)?.start(true).open()?;
    let stop = Stop::watch()?;
    let mut bridges = Vec::new();
    for (name, local, size) in wanted {
        bridges.push(export(&prefix, &name, &local, size)?);
    }
    for bridge in &bridges {
        ready(bridge.mapping(), &format!("as {} in {}", bridge.name(), prefix.path().display()))?;
    }
    hold(&bridges, &stop)
}

/// Name there, name here, and size of each.
fn wanted(args: &ExportArgs) -> Result<Vec<(String, String, Option<u64>)>, Failure> {
    if let Some(name) = &args.name {
        let known = || preset::object(name).ok().and_then(|(preset, at)| preset.objects[at].size);
        return Ok(vec![(name.clone(), local(name, args.local.as_deref())?, args.size.or_else(known))]);
    }
    let preset = preset::find(args.preset.as_deref().unwrap_or_default())?;
    let sections = preset.objects.iter().filter(|object| object.kind == What::Mapping && object.size.is_some());
    let sections = sections.map(|object| Ok((object.name.clone(), local(&object.name, None)?, object.size)));
    let sections: Vec<_> = sections.collect::<Result<_, Failure>>()?;
    match sections.is_empty() {
        true => Err(Failure::usage(format!(
            "the preset {} knows no sizes; export its sections by name and --size",
            preset.name
        ))),
        false => Ok(sections),
    }
}

fn export(prefix: &Prefix, name: &str, local: &str, size: Option<u64>) -> Result<Bridge, Failure> {
    let mapping = match (Mapping::open(local, Access::ReadWrite), size) {
        (Ok(there), size) if size.is_none_or(|size| size <= there.size()) => there,
        (Ok(there), size) => {
            return Err(Failure::new(format!(
                "cannot export {local}: it is there already and too small: it has {} bytes, {} are wanted",
                there.size(),
                size.unwrap_or(0)
            )));
        }
        (Err(error), Some(size)) if error.kind() == ErrorKind::NotFound => {
            MappingOptions::new().size(size).create(local)?
        }
        (Err(error), None) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::usage(format!(
                "say how large {name} is to be: --size, as much as any program asks for"
            )));
        }
        (Err(error), _) => return Err(error.into()),
    };
    Ok(prefix.export(name, &mapping)?)
}

/// Until Ctrl-C; the helper holds the names.
pub(super) fn hold(bridges: &[Bridge], stop: &Stop) -> Result<(), Failure> {
    while !stop.is_asked() {
        for bridge in bridges {
            if let Err(error) = bridge.is_there() {
                let kept = "programs there that have it keep it, and new ones do not find it any more";
                return Err(Failure::from(error).while_doing(&format!("holding {}", bridge.name())).and(kept));
            }
        }
        tick(stop);
    }
    Ok(())
}
