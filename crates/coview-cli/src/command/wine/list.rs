//! `coview wine ls`: what a prefix has.

use coview::ErrorKind;
use coview::inspect::{Entry, Holder, Kind, Origin};
use serde_json::{Value, json};

use super::super::list;
use super::options;
use crate::cli::WineLsArgs;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(args: &WineLsArgs) -> Result<(), Failure> {
    let options = options(&args.place)?;
    let mut prefix = options.open()?;
    let entries = match prefix.objects() {
        // Somebody has ended the helper; to look again harms nobody.
        Err(error) if error.kind() == ErrorKind::PeerDied => {
            eprintln!("coview: {error}: looking again");
            prefix = options.open()?;
            prefix.objects()?
        }
        entries => entries?,
    };
    if args.json {
        return output::json(&entries.iter().map(describe).collect::<Vec<Value>>());
    }
    if entries.is_empty() {
        eprintln!("no objects in {}", prefix.path().display());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    Ok(output::table(&mut anstream::stdout(), &["NAME", "KIND", "SIZE", "STATE", "HOLDERS"], &rows)?)
}

fn is_mapping(entry: &Entry) -> bool {
    entry.origin == Origin::Named(Kind::Mapping)
}

fn row(entry: &Entry) -> Vec<String> {
    let size = entry.size.map_or("-".to_owned(), output::bytes);
    let holder = |holder: &Holder| match is_mapping(entry) {
        true => format!("{} {}", holder.pid, holder.program),
        false => format!("{} ({:#x} in Wine)", holder.program, holder.pid),
    };
    let holders = match &entry.holders[..] {
        [] => "-".to_owned(),
        some => some.iter().map(holder).collect::<Vec<_>>().join(", "),
    };
    vec![list::name(entry), list::kind(entry).to_owned(), size, list::protection(entry), holders]
}

fn describe(entry: &Entry) -> Value {
    let pid = if is_mapping(entry) { "pid" } else { "wine_pid" };
    let holder = |holder: &Holder| json!({ pid: holder.pid, "program": holder.program, "handles": holder.handles, "views": holder.views });
    json!({
        "name": entry.name,
        "kind": list::kind(entry),
        "size": entry.size,
        "protection": entry.protection,
        "state": entry.sync.as_ref().map(list::describe_state),
        "holders": entry.holders.iter().map(holder).collect::<Vec<Value>>(),
    })
}
