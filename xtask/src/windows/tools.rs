//! Finds Debian's Windows toolchain, or says which packages to install.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Stop;

/// Windows 7 and later: the one GNU target whose standard library runs under every Wine that Debian ships.
pub(super) const TARGET: &str = "x86_64-win7-windows-gnu";
pub(super) const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// Debian's compiler, not rustup's: it is the one that rust-web-src has the library sources for.
pub(super) const RUSTC: &str = "/usr/bin/rustc";
pub(super) const RUSTDOC: &str = "/usr/bin/rustdoc";
const CLIPPY: &str = "/usr/bin/cargo-clippy";

/// What the build needs.
pub(super) fn compiler() -> Result<(), Stop> {
    let mut missing = Vec::new();
    if !ask(RUSTC, &["--print", "target-list"]).lines().any(|target| target == TARGET) {
        missing.push("rustc-web");
    }
    let sysroot = ask(RUSTC, &["--print", "sysroot"]);
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
        missing.push("rust-web-src");
    }
    if ask(LINKER, &["-dumpversion"]).is_empty() {
        missing.push("gcc-mingw-w64-x86-64-win32");
    }
    complain(&missing)
}

/// The program behind `cargo clippy`, of the compiler's own release.
pub(super) fn clippy() -> Result<PathBuf, Stop> {
    let found = Path::new(CLIPPY).exists();
    complain(if found { &[] } else { &["rust-web-clippy"] })?;
    Ok(CLIPPY.into())
}

pub(super) fn complain(missing: &[&str]) -> Result<(), Stop> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    Err(Stop::Missing(format!(
        "not installed: {packages} (Debian packages). Install with\n    apt-get install --no-install-recommends {packages}"
    )))
}

/// What a program prints; nothing if it is not there or does not know.
fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let printed = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&printed.unwrap_or_default()).into_owned()
}

/// The first of these programs that exists: a path, or a name to look for in PATH.
pub(super) fn first_of(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Joining an absolute path gives that path.
    let found = |program: &&str| std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file());
    programs.iter().find_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let Err(Stop::Missing(says)) = complain(&["rustc-web", "wine64"]) else { panic!("no complaint") };
        assert!(says.ends_with("apt-get install --no-install-recommends rustc-web wine64"), "{says}");
        assert!(complain(&[]).is_ok());
    }

    #[test]
    fn the_first_program_that_exists_is_taken() {
        assert_eq!(first_of(&["/gone/sh", "/bin/sh"]), Some("/bin/sh".into()));
        assert!(first_of(&["no-such-program", "sh"]).is_some_and(|found| found.ends_with("sh")));
        assert_eq!(first_of(&["no-such-program"]), None);
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(ask("/gone/rustc", &["--version"]), "");
    }
}
