//! Presets: which objects known programs share, and what their bytes mean. Each is a file (`docs/bridge.md`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::layout::Layout;

/// Those of this program: the name of the file and its text.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));
/// What `--layout` begins with to mean one.
const SCHEME: &str = "presets:";

/// What one program, or a family of them, shares.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    /// The name of its file.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    /// The program.
    pub(crate) title: String,
    /// Where this is from.
    pub(crate) source: Vec<String>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// C declarations that layouts use.
    #[serde(default, skip_serializing)]
    types: String,
    #[serde(rename = "object")]
    pub(crate) objects: Vec<Object>,
}

/// One object of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    /// As the program writes it.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: What,
    /// Bytes of a mapping: as many as the largest of the programs that use it asks for, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// The C declaration of its contents, or of their beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layout: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    #[default]
    Mapping,
    Mutex,
    Event,
    Semaphore,
}

impl What {
    pub(crate) fn word(self) -> &'static str {
        match self {
            What::Mapping => "mapping",
            What::Mutex => "mutex",
            What::Event => "event",
            What::Semaphore => "semaphore",
        }
    }
}

impl Object {
    /// The name without its namespace.
    fn bare(&self) -> &str {
        self.name.rsplit('\\').next().unwrap_or_default()
    }
}

/// Those of this program, and those of the user, which go before.
pub(crate) fn all() -> Result<Vec<Preset>, Failure> {
    let mut found = of_folder(folder().as_deref())?;
    for (name, text) in BUILT_IN {
        if found.iter().all(|preset| preset.name != *name) {
            found.push(parse(name, text, &format!("the built-in {name}"))?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The user's own: `COVIEW_PRESETS`, or the folder for settings of this system.
fn folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = || variable("XDG_CONFIG_HOME").or_else(|| variable("APPDATA"));
    let home = || Some(variable("HOME")?.join(".config"));
    variable("COVIEW_PRESETS").or_else(|| Some(settings().or_else(home)?.join("coview").join("presets")))
}

fn of_folder(folder: Option<&Path>) -> Result<Vec<Preset>, Failure> {
    let Some(entries) = folder.and_then(|folder| std::fs::read_dir(folder).ok()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for file in entries.flatten().map(|entry| entry.path()) {
        if file.extension().is_none_or(|kind| kind != "toml") {
            continue;
        }
        let shown = file.display().to_string();
        let text =
            std::fs::read_to_string(&file).map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
        found.push(parse(&file.file_stem().unwrap_or_default().to_string_lossy(), &text, &shown)?);
    }
    Ok(found)
}

fn parse(name: &str, text: &str, shown: &str) -> Result<Preset, Failure> {
    let preset = toml::from_str::<Preset>(text);
    let preset = preset.map_err(|error| Failure::usage(format!("cannot use the preset {shown}: {error}")))?;
    Ok(Preset { name: name.to_owned(), ..preset })
}

/// The preset of this name.
pub(crate) fn find(name: &str) -> Result<Preset, Failure> {
    let found = all()?.into_iter().find(|preset| preset.name == name);
    found.ok_or_else(|| Failure::not_found(format!("there is no preset {name:?}; `coview wine presets` lists them")))
}

/// The object that is called so, with or without its namespace and its preset: `acpmf_physics`, `assetto-corsa/acpmf_physics`.
pub(crate) fn object(name: &str) -> Result<(Preset, usize), Failure> {
    let (wanted, bare) = match name.split_once('/') {
        Some((preset, object)) => (Some(preset), object),
        None => (None, name),
    };
    let fits = |object: &Object| object.name == bare || object.bare() == bare;
    let mut found =
        all()?.into_iter().filter(|preset| wanted.is_none_or(|wanted| preset.name == wanted)).filter_map(|preset| {
            let at = preset.objects.iter().position(fits)?;
            Some((preset, at))
        });
    found.next().ok_or_else(|| {
        Failure::not_found(format!("no preset has an object {name:?}; `coview wine presets` lists them"))
    })
}

/// A layout as it is written behind `--layout`: a declaration, or `presets:` and an object.
pub(crate) fn layout(text: &str) -> Result<Layout, Failure> {
    let Some(name) = text.strip_prefix(SCHEME) else {
        return Layout::parse(text).map_err(|error| Failure::usage(format!("cannot read the layout: {error}")));
    };
    let (preset, at) = object(name)?;
    let Some(layout) = layout_of(&preset, at)? else {
        let (preset, object) = (&preset.name, &preset.objects[at].name);
        return Err(Failure::not_found(format!("the preset {preset} does not say what the bytes of {object} mean")));
    };
    Ok(layout)
}

/// The layout of one of its objects, if it is known.
pub(crate) fn layout_of(preset: &Preset, at: usize) -> Result<Option<Layout>, Failure> {
    let Some(own) = &preset.objects[at].layout else { return Ok(None) };
    let parsed = Layout::parse(&format!("{}\n{own}", preset.types));
    let (name, object) = (&preset.name, &preset.objects[at].name);
    parsed
        .map(Some)
        .map_err(|error| Failure::usage(format!("cannot read the layout of {object} in the preset {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_sound_and_fits_its_memory() {
        assert!(!BUILT_IN.is_empty());
        for (name, text) in BUILT_IN {
            let preset = parse(name, text, name).expect("it parses");
            assert!(!preset.source.is_empty() && !preset.objects.is_empty(), "{name}");
            for (at, object) in preset.objects.iter().enumerate() {
                coview::Name::parse(&object.name).expect("a name that Windows takes");
                let layout = layout_of(&preset, at).expect("a layout that can be read");
                if let (Some(layout), Some(size)) = (layout, object.size) {
                    assert!(
                        layout.size() <= size.next_multiple_of(4096),
                        "{name}: {}: {} bytes",
                        object.name,
                        layout.size()
                    );
                }
            }
        }
    }

    #[test]
    fn a_users_own_file_is_enough_and_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "title = \"Mine\"\nsource = [\"me\"]\n[[object]]\nname = 'Local\\mine'\nsize = 8\nlayout = 'struct { i32 a; }'\n";
        std::fs::write(folder.path().join("mine.toml"), text).expect("it can be written");
        std::fs::write(folder.path().join("notes.txt"), "no preset").expect("it can be written");
        let found = of_folder(Some(folder.path())).expect("it is sound");
        assert_eq!((found.len(), found[0].name.as_str(), found[0].objects[0].bare()), (1, "mine", "mine"));
        std::fs::write(folder.path().join("bad.toml"), "title = 3").expect("it can be written");
        assert!(of_folder(Some(folder.path())).is_err());
    }
}
