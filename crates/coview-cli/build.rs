//! Lists the presets, so that a new one is a new file and nothing else.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let presets = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("presets");
    println!("cargo::rerun-if-changed={}", presets.display());
    let mut files =
        std::fs::read_dir(&presets)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "toml")) {
        let stem = file.file_stem().unwrap_or_default();
        writeln!(list, "    ({:?}, include_str!({file:?})),", stem.to_string_lossy())?;
    }
    list.push_str("]\n");
    Ok(std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("presets.rs"), list)?)
}
