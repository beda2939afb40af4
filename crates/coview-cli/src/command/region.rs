//! What `info` and `ls` show of a mapping that describes itself.

use std::time::SystemTime;

use coview::ErrorKind;
use coview::inspect::{self, Entry, Kind, Origin};
use coview::region::{Field, RegionInfo, Schema};
use serde_json::{Value, json};

/// The region in a listed object, if it is one and this user may look; what is wrong with it, if it is damaged.
pub(crate) fn of_entry(entry: &Entry) -> Result<Option<RegionInfo>, coview::Error> {
    if entry.origin != Origin::Named(Kind::Mapping) || entry.name_is_cut || entry.stale {
        return Ok(None);
    }
    inspect::region(&entry.name).or_else(|error| match error.kind() {
        ErrorKind::Corrupt => Err(error),
        _ => Ok(None),
    })
}

/// What it is, in a word or two: `region Reading`, `ring`.
pub(crate) fn kind(info: &RegionInfo) -> String {
    match &info.schema {
        Some(schema) => format!("{} {schema}", info.kind.word()),
        None => info.kind.word().to_owned(),
    }
}

/// Where its content is, who made it and when.
pub(crate) fn summary(info: &RegionInfo) -> String {
    let mut text = kind(info);
    match info.content.end - info.content.start {
        0 => text += ", no value yet",
        size => text += &format!(", {size} bytes at {}", info.content.start),
    }
    text += if info.initialised { ", made" } else { ", not initialised; begun" };
    if let Some(process) = info.process {
        text += &format!(" by {process} {}", info.program.as_deref().unwrap_or("?"));
    }
    if let Some(ago) = info.created.and_then(|time| SystemTime::now().duration_since(time).ok()) {
        let seconds = std::time::Duration::from_secs(ago.as_secs());
        text += &format!(" {} ago", humantime::format_duration(seconds));
    }
    text
}

pub(crate) const HEADING: [&str; 3] = ["OFFSET", "FIELD", "TYPE"];

/// A row for each field. Those of a record in an array are shown once, at the offsets of its first element.
pub(crate) fn rows(schema: &Schema) -> Vec<Vec<String>> {
    fn add(schema: &Schema, path: &str, offset: u64, rows: &mut Vec<Vec<String>>) {
        for field in schema.fields() {
            let (offset, path) = (offset + field.offset(), format!("{path}{}", field.name()));
            rows.push(vec![offset.to_string(), path.clone(), field.schema().to_string()]);
            add(field.schema(), &format!("{path}."), offset, rows);
        }
    }
    let mut rows = Vec::new();
    add(schema, "", 0, &mut rows);
    rows
}

pub(crate) fn to_json(region: Result<Option<RegionInfo>, coview::Error>) -> Value {
    let info = match region {
        Ok(Some(info)) => info,
        Ok(None) => return Value::Null,
        Err(error) => return json!({ "damaged": error.to_string() }),
    };
    json!({
        "kind": info.kind.word(),
        "initialised": info.initialised,
        "content_offset": info.content.start,
        "content_size": info.content.end - info.content.start,
        "created": info.created.map(|time| humantime::format_rfc3339_nanos(time).to_string()),
        "creator": info.process.map(|process| json!({ "pid": process, "program": info.program })),
        "type": info.schema.as_ref().map(ToString::to_string),
        "size": info.schema.as_ref().map(Schema::size),
        "align": info.schema.as_ref().map(Schema::align),
        "fields": info.schema.as_ref().map(fields),
    })
}

fn fields(schema: &Schema) -> Vec<Value> {
    schema.fields().iter().map(field).collect()
}

fn field(field: &Field) -> Value {
    let schema = field.schema();
    json!({
        "name": field.name(),
        "offset": field.offset(),
        "type": schema.to_string(),
        "size": schema.size(),
        "lengths": schema.lengths(),
        "fields": fields(schema),
    })
}
