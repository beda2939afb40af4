//! `coview gc`: gives back what dead processes left.

use coview::inspect;
use serde_json::json;

use crate::cli::GcArgs;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: &GcArgs) -> Result<(), Failure> {
    let reclaimed = inspect::sweep(args.dry_run)?;
    if args.json {
        let objects: Vec<_> =
            reclaimed.objects.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect();
        let (bytes, refused) = (reclaimed.bytes(), &reclaimed.refused);
        return output::json(
            &json!({ "dry_run": args.dry_run, "objects": objects, "bytes": bytes, "refused": refused }),
        );
    }
    let did = if args.dry_run { "would give back" } else { "gave back" };
    for (name, bytes) in &reclaimed.objects {
        println!("{did} {name}, {}", output::bytes(*bytes));
    }
    for name in &reclaimed.refused {
        println!("left {name}: nobody holds it, but it belongs to another user, who can run `coview gc`");
    }
    match reclaimed.objects.len() {
        0 => println!("nothing was left behind"),
        count => println!("{did} {} of {count} objects", output::bytes(reclaimed.bytes())),
    }
    Ok(())
}
