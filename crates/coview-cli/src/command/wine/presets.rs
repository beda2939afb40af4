//! `coview wine presets`: which programs' objects are known.

use serde_json::json;

use crate::cli::PresetsArgs;
use crate::failure::Failure;
use crate::output::{self, BOLD, DIM};
use crate::preset::{self, Preset};

pub(super) fn run(args: &PresetsArgs) -> Result<(), Failure> {
    let presets = match &args.name {
        Some(name) => {
            vec![preset::find(name).or_else(|none| Ok::<_, Failure>(preset::object(name).map_err(|_| none)?.0))?]
        }
        None => preset::all()?,
    };
    if args.json {
        return output::json(&json!(presets));
    }
    if args.name.is_some() {
        return presets.iter().try_for_each(show);
    }
    let row = |preset: &Preset| {
        let names: Vec<&str> = preset.objects.iter().map(|object| object.name.as_str()).collect();
        vec![preset.name.clone(), preset.title.clone(), names.join(", ")]
    };
    let rows: Vec<Vec<String>> = presets.iter().map(row).collect();
    Ok(output::table(&mut anstream::stdout(), &["PRESET", "PROGRAM", "OBJECTS"], &rows)?)
}

fn show(preset: &Preset) -> Result<(), Failure> {
    anstream::println!("{BOLD}{}{BOLD:#}: {}", preset.name, preset.title);
    if let Some(note) = &preset.note {
        println!("{}", note.trim());
    }
    let mut rows = Vec::new();
    for (at, object) in preset.objects.iter().enumerate() {
        let size = object.size.map_or("-".to_owned(), |size| size.to_string());
        let layout = preset::layout_of(preset, at)?.map_or("-".to_owned(), |layout| format!("{} bytes", layout.size()));
        let note = object.note.clone().unwrap_or_default();
        rows.push(vec![object.name.clone(), object.kind.word().to_owned(), size, layout, note]);
    }
    output::table(&mut anstream::stdout(), &["OBJECT", "KIND", "BYTES", "LAYOUT", "NOTE"], &rows)?;
    for source in &preset.source {
        anstream::println!("{DIM}from {source}{DIM:#}");
    }
    Ok(())
}
