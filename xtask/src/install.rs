//! `cargo xtask install`: the C library with its headers, for pkg-config and CMake, where C programs look for it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use crate::header::PACKAGE;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What a program that links the static library needs beside it: what `rustc --print native-static-libs` says on Linux.
const PRIVATE: &[&str] = &["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];

#[derive(Args)]
pub(crate) struct Options {
    /// Where programs will find it
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Below the prefix, where libraries are
    #[arg(long, value_name = "DIR", default_value = "lib")]
    libdir: PathBuf,
    /// Puts everything below this folder, as if it were the root: for those who make packages
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Takes the libraries that were built there, instead of building them
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

pub(crate) fn run(root: &Path, options: &Options) -> ExitCode {
    match install(root, options) {
        Ok(to) => {
            println!("install: coview {VERSION} is in {}", to.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("install: {why}");
            ExitCode::FAILURE
        }
    }
}

fn install(root: &Path, options: &Options) -> io::Result<PathBuf> {
    if std::env::consts::OS != "linux" {
        return Err(io::Error::other("only Linux has a place for it; elsewhere take coview_capi from target/release"));
    }
    if options.libdir.is_absolute() {
        return Err(io::Error::other("give --libdir below the prefix"));
    }
    let built = options.from.clone().map_or_else(|| build(root), Ok)?;
    // Relative to where we are called, but final: programs look for it there.
    let prefix = std::path::absolute(&options.prefix)?;
    let below = |dir: &Path| dir.join(prefix.strip_prefix("/").unwrap_or(&prefix));
    let to = options.destdir.as_deref().map_or_else(|| prefix.clone(), below);
    let lib = to.join(&options.libdir);

    libraries(&built, &lib)?;
    headers(&root.join(PACKAGE).join("include"), &to.join("include"))?;
    let templates = root.join(PACKAGE).join("package");
    let fill = |text: &str| fill(text, &prefix, &options.libdir);
    for name in ["coview.pc", "coview-win32.pc"] {
        write(&templates, name, &lib.join("pkgconfig"), &fill)?;
    }
    for name in ["coviewConfig.cmake", "coviewConfigVersion.cmake"] {
        write(&templates, name, &lib.join("cmake/coview"), &fill)?;
    }
    Ok(to)
}

/// The folder with the libraries.
fn build(root: &Path) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release", "--locked", "-p", "coview-capi"]);
    if !command.status()?.success() {
        return Err(io::Error::other("the library could not be built"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(root.join(target).join("release"))
}

fn major() -> &'static str {
    VERSION.split('.').next().unwrap_or(VERSION)
}

fn libraries(built: &Path, lib: &Path) -> io::Result<()> {
    std::fs::create_dir_all(lib)?;
    copy(&built.join("libcoview_capi.a"), &lib.join("libcoview.a"))?;
    let whole = format!("libcoview.so.{VERSION}");
    copy(&built.join("libcoview_capi.so"), &lib.join(&whole))?;
    let soname = format!("libcoview.so.{}", major());
    link(&whole, &lib.join(&soname))?;
    link(&soname, &lib.join("libcoview.so"))
}

/// Over what is there: a running program keeps the old file.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    std::fs::copy(from, to).map(|_| ()).map_err(|why| io::Error::other(format!("{}: {why}", from.display())))
}

fn link(to: &str, at: &Path) -> io::Result<()> {
    let done = Command::new("ln").args(["-sfn", to]).arg(at).status()?;
    if done.success() { Ok(()) } else { Err(io::Error::other(format!("ln: {done}"))) }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

fn headers(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for name in ["coview.h", "coview.hpp"] {
        copy(&from.join(name), &to.join(name))?;
    }
    tree(&from.join("win32"), &to.join("coview/win32"))
}

/// All files below a folder, if there is one.
fn tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { tree(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

fn write(templates: &Path, name: &str, to: &Path, fill: &dyn Fn(&str) -> String) -> io::Result<()> {
    let text = std::fs::read_to_string(templates.join(format!("{name}.in")))?;
    std::fs::create_dir_all(to)?;
    std::fs::write(to.join(name), fill(&text))
}

/// A template with its words replaced.
fn fill(text: &str, prefix: &Path, libdir: &Path) -> String {
    // From lib/cmake/coview back to the prefix, so that the folder may be moved.
    let up = "../".repeat(libdir.components().count() + 2);
    let private = |flag: &str, between: &str| {
        let each: Vec<String> = PRIVATE.iter().map(|name| format!("{flag}{name}")).collect();
        each.join(between)
    };
    let private = if text.starts_with("prefix=") { private("-l", " ") } else { private("", ";") };
    let minor = VERSION.split('.').nth(1).unwrap_or("0");
    text.replace("@prefix@", &prefix.display().to_string())
        .replace("@libdir@", &libdir.display().to_string())
        .replace("@version@", VERSION)
        .replace("@major@", major())
        .replace("@minor@", minor)
        .replace("@up@", up.trim_end_matches('/'))
        .replace("@private@", &private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_template_is_left() {
        let templates = crate::root().join(PACKAGE).join("package");
        for entry in std::fs::read_dir(templates).unwrap() {
            let path = entry.unwrap().path();
            let filled = fill(&std::fs::read_to_string(&path).unwrap(), Path::new("/opt/coview"), Path::new("lib/64"));
            assert!(!filled.contains('@'), "{}: {filled}", path.display());
        }
    }

    #[test]
    fn the_prefix_is_found_from_the_folder_of_cmake() {
        assert_eq!(fill("@up@", Path::new("/usr"), Path::new("lib")), "../../..");
        assert_eq!(fill("@up@", Path::new("/usr"), Path::new("lib/x86_64-linux-gnu")), "../../../..");
    }
}
