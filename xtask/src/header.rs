//! `cargo xtask header`: writes `coview.h` from the functions behind it, or checks that it is what they say.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

/// The package that has the functions.
pub(crate) const PACKAGE: &str = "crates/coview-capi";

#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; fail if the header is not what the functions say
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(root: &Path, options: &Options) -> ExitCode {
    let package = root.join(PACKAGE);
    let path = package.join("include/coview.h");
    let text = match generate(&package) {
        Ok(text) => text,
        Err(why) => {
            eprintln!("header: {why}");
            return ExitCode::FAILURE;
        }
    };
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if there == text {
        println!("header: {} is what the functions say", path.display());
        return ExitCode::SUCCESS;
    }
    if options.check {
        let differs = there.lines().zip(text.lines()).take_while(|(is, should)| is == should).count() + 1;
        eprintln!("header: {}:{differs} is not what the functions say; run `cargo xtask header`", path.display());
        return ExitCode::FAILURE;
    }
    match std::fs::write(&path, text) {
        Ok(()) => {
            println!("header: wrote {}", path.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("header: cannot write {}: {why}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn generate(package: &Path) -> Result<String, String> {
    let settings = package.join("cbindgen.toml");
    let mut config = cbindgen::Config::from_file(&settings)?;
    let macros = config.after_includes.take().unwrap_or_default();
    config.after_includes = Some(version(env!("CARGO_PKG_VERSION")) + "\n\n" + macros.trim());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(package.join("src/model").join(source).with_extension("rs"));
    }
    let bindings = builder.generate().map_err(|why| why.to_string())?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).map_err(|why| why.to_string())?;
    Ok(tidy(&text))
}

/// In the order of the header.
const SOURCES: &[&str] = &[
    "status", "argument", "mapping", "view", "named", "wait", "layout", "region", "latest", "ring", "frames", "inspect",
];

fn version(version: &str) -> String {
    let mut parts = version.split(['.', '-']);
    let mut part = || parts.next().unwrap_or("0").to_owned();
    let (major, minor, patch) = (part(), part(), part());
    format!(
        "\n/* The version of this header. */\n#define COVIEW_VERSION \"{version}\"\n\
         #define COVIEW_VERSION_MAJOR {major}\n#define COVIEW_VERSION_MINOR {minor}\n#define COVIEW_VERSION_PATCH {patch}"
    )
}

/// Without blanks at the ends of lines, and pointers with the star at the name.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n").replace("char * ", "char *").replace("void * ", "void *");
    text.trim().replace("\n\n\n", "\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_its_parts() {
        let text = version("1.22.3-beta");
        for line in ["\"1.22.3-beta\"", "MAJOR 1\n", "MINOR 22\n", "PATCH 3"] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn every_file_of_the_model_is_in_the_header_or_has_nothing_for_it() {
        let package = crate::root().join(PACKAGE);
        for entry in std::fs::read_dir(package.join("src/model")).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let exports = std::fs::read_to_string(&path).unwrap().contains("no_mangle");
            assert!(!exports || SOURCES.contains(&stem.as_str()), "{stem} is missing in SOURCES");
        }
    }

    #[test]
    fn lines_end_where_they_end() {
        assert_eq!(tidy("\n\na  \nconst char * b;\n\n"), "a\nconst char *b;\n");
    }
}
