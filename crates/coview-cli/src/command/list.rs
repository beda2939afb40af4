//! `coview ls` and `coview info`: what objects there are and who has them.

use std::time::SystemTime;

use coview::inspect::{self, Entry, Origin, SyncState};
use coview::region::RegionInfo;
use coview::{Access, Mapping, Name};
use serde_json::{Value, json};

use super::region;
use crate::cli::{InfoArgs, LsArgs};
use crate::failure::Failure;
use crate::output::{self, BOLD, DIM};

pub(crate) fn ls(args: &LsArgs) -> Result<(), Failure> {
    let entries = inspect::objects(args.all)?;
    if args.json {
        return output::json(&entries.iter().map(describe).collect::<Vec<Value>>());
    }
    if entries.is_empty() {
        let more = if args.all { "" } else { "; --all also looks for memory of other programs" };
        eprintln!("no objects{more}");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let heading = ["NAME", "KIND", "SIZE", "RESIDENT", "PROTECTION, STATE", "OWNER", "HOLDERS"];
    Ok(output::table(&mut anstream::stdout(), &heading, &rows)?)
}

pub(super) fn kind(entry: &Entry) -> &'static str {
    match entry.origin {
        Origin::Named(kind) => kind.word(),
        Origin::Posix => "posix",
        Origin::SysV => "sysv",
        _ => "anonymous",
    }
}

pub(super) fn name(entry: &Entry) -> String {
    // A name may hold anything; a terminal should not be steered by it.
    let clean: String = entry.name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if entry.name_is_cut { clean + "…" } else { clean }
}

pub(super) fn protection(entry: &Entry) -> String {
    if let Some(sync) = &entry.sync {
        return state(sync);
    }
    let word = entry.protection.unwrap_or("-");
    if entry.reserved { format!("{word} reserved") } else { word.to_owned() }
}

/// The state of a mutex, an event or a semaphore in a few words.
fn state(sync: &SyncState) -> String {
    let mut words = Vec::new();
    match (sync.owner, sync.held) {
        (Some((thread, process)), _) => words.push(format!("owned by thread {thread} of process {process}")),
        (None, Some(true)) => words.push("owned".to_owned()),
        (None, Some(false)) if !sync.abandoned => words.push("free".to_owned()),
        _ => {}
    }
    if sync.abandoned {
        words.push("abandoned: its last owner died with it".to_owned());
    }
    if let Some(waiters) = sync.waiters.filter(|_| sync.held == Some(true) || sync.abandoned) {
        words.push(format!("{waiters} waiting"));
    }
    match (sync.count, sync.maximum, sync.manual) {
        (Some(count), Some(maximum), _) => words.push(format!("{count} of {maximum} permits")),
        (Some(count), None, Some(manual)) => {
            words.push(format!(
                "{}, {} reset",
                if count == 0 { "not set" } else { "set" },
                if manual { "manual" } else { "automatic" }
            ));
        }
        _ => {}
    }
    words.join(", ")
}

fn row(entry: &Entry) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or("-".to_owned(), output::bytes);
    let holders = match &entry.holders[..] {
        [] if entry.stale => "nobody (stale: coview gc)".to_owned(),
        [] => "-".to_owned(),
        some => some.iter().map(|h| format!("{} {}", h.pid, h.program)).collect::<Vec<_>>().join(", "),
    };
    let owner = entry.owner.clone().unwrap_or_else(|| "-".to_owned());
    let kind = match region::of_entry(entry) {
        Ok(Some(info)) => region::kind(&info),
        Ok(None) => kind(entry).to_owned(),
        Err(_) => "region, damaged".to_owned(),
    };
    let protection = protection(entry);
    vec![name(entry), kind, size(entry.size), size(entry.resident), protection, owner, holders]
}

fn describe(entry: &Entry) -> Value {
    let holders: Vec<Value> = entry
        .holders
        .iter()
        .map(|h| json!({ "pid": h.pid, "program": h.program, "handles": h.handles, "writable": h.writable, "views": h.views }))
        .collect();
    let changed = entry.changed.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    json!({
        "name": entry.name,
        "name_is_cut": entry.name_is_cut,
        "kind": kind(entry),
        "size": entry.size,
        "resident": entry.resident,
        "protection": entry.protection,
        "reserved": entry.reserved,
        "file": entry.file,
        "owner": entry.owner,
        "mode": entry.mode.map(|mode| format!("{mode:04o}")),
        "changed": changed,
        "region": region::to_json(region::of_entry(entry)),
        "state": entry.sync.as_ref().map(describe_state),
        "stale": entry.stale,
        "holders": holders,
    })
}

pub(super) fn describe_state(sync: &SyncState) -> Value {
    json!({
        "owner": sync.owner.map(|(thread, process)| json!({ "pid": process, "thread": thread })),
        "held": sync.held,
        "abandoned": sync.abandoned,
        "waiters": sync.waiters,
        "count": sync.count,
        "maximum": sync.maximum,
        "manual": sync.manual,
    })
}

pub(crate) fn info(args: &InfoArgs) -> Result<(), Failure> {
    let Some(entry) = inspect::find(&args.name)? else {
        return info_of_foreign(args);
    };
    if args.json {
        return output::json(&describe(&entry));
    }
    let size = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |b| format!("{b} bytes ({})", output::bytes(b)));
    let line = |what: &str, text: String| anstream::println!("{DIM}{what:<12}{DIM:#}{text}");
    anstream::println!("{BOLD}{}{BOLD:#}", name(&entry));
    line("kind", kind(&entry).to_owned());
    line("size", size(entry.size));
    if entry.resident.is_some() {
        line("resident", size(entry.resident));
    }
    match &entry.sync {
        Some(sync) => line("state", state(sync)),
        None => line("protection", protection(&entry)),
    }
    if let Some(file) = &entry.file {
        line("file", file.clone());
    }
    if let Some(owner) = &entry.owner {
        let mode = entry.mode.map(|mode| format!(", mode {mode:04o}")).unwrap_or_default();
        line("owner", format!("{owner}{mode}"));
    }
    if let Some(ago) = entry.changed.and_then(|time| SystemTime::now().duration_since(time).ok()) {
        line("since", format!("{} ago", humantime::format_duration(std::time::Duration::from_secs(ago.as_secs()))));
    }
    if entry.stale {
        line("state", "stale: nobody holds it and its name is free; `coview gc` gives its memory back".to_owned());
    } else if entry.holders.is_empty() {
        line("holders", "none that you may see".to_owned());
    }
    for holder in &entry.holders {
        let access = if holder.writable { "read-write" } else { "read" };
        let views = holder.views.map(|views| format!(", {views} views")).unwrap_or_default();
        line("holder", format!("{} {}: {} handles ({access}){views}", holder.pid, holder.program, holder.handles));
    }
    info_of_region(region::of_entry(&entry))
}

/// What a region says about itself, after all that the system says about it.
fn info_of_region(region: Result<Option<RegionInfo>, coview::Error>) -> Result<(), Failure> {
    let line = |text: String| anstream::println!("{DIM}{:<12}{DIM:#}{text}", "region");
    let info = match region {
        Ok(Some(info)) => info,
        Ok(None) => return Ok(()),
        Err(error) => {
            line(format!("damaged: {error}"));
            return Ok(());
        }
    };
    line(region::summary(&info));
    let rows = info.schema.as_ref().map(region::rows).unwrap_or_default();
    if rows.is_empty() {
        return Ok(());
    }
    Ok(output::table(&mut anstream::stdout(), &region::HEADING, &rows)?)
}

/// What the list does not show, such as a file or a segment by its id, can still be opened and measured.
fn info_of_foreign(args: &InfoArgs) -> Result<(), Failure> {
    if !Name::parse(&args.name)?.namespace().is_foreign() {
        return Err(Failure::not_found(format!(
            "no object has the name {}; `coview ls` shows what there is",
            args.name
        )));
    }
    let mapping = Mapping::open(&args.name, Access::Read)?;
    let region = coview::region::describe(&mapping);
    if args.json {
        let region = region::to_json(region);
        return output::json(
            &json!({ "name": args.name, "kind": "foreign", "size": mapping.size(), "region": region }),
        );
    }
    println!("{}\nsize        {} bytes", args.name, mapping.size());
    info_of_region(region)
}
