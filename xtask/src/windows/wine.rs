//! A Wine of our own for one run: its own prefix, one server, nothing left behind.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tools::{complain, first_of};
use super::{Stop, run_to_end};

/// Seconds that the server outlives its last client: longer than any pause between two test programs, and the end of
/// it if this process is killed and cannot stop it.
const LINGER: &str = "-p60";

pub(super) struct Wine {
    /// Whether programs can be started without a random layout of their memory. Wine's loader lies at 0x7d000000, and newer kernels
    /// begin its heap anywhere in the GiB behind it: of some thousand starts one finds the page taken that Wine must have
    /// (0x7ffe0000), and ends without a word.
    steady: bool,
    loader: PathBuf,
    server: PathBuf,
    prefix: PathBuf,
}

/// The running server; dropping it ends every Windows program in the prefix.
pub(super) struct Server<'a>(&'a Wine);

impl Wine {
    /// Debian's `wine` is a script that asks for a 32-bit Wine at every start, so its 64-bit loader comes first.
    pub(super) fn find(prefix: PathBuf) -> Result<Self, Stop> {
        let loader = first_of(&["/usr/lib/wine/wine64", "wine64", "wine"]);
        let server = first_of(&["/usr/lib/wine/wineserver64", "wineserver"]);
        match (loader, server) {
            (Some(loader), Some(server)) => {
                let steady = Command::new("setarch").args(["-R", "true"]).stderr(Stdio::null()).status();
                Ok(Self { steady: steady.is_ok_and(|status| status.success()), loader, server, prefix })
            }
            _ => Err(complain(&["wine64"]).err().unwrap_or(Stop::Failed("no wine64".into()))),
        }
    }

    /// Makes the prefix if it is not there, and starts the server.
    pub(super) fn start(&self) -> Result<Server<'_>, Stop> {
        let ready = self.prefix.join("coview-ready");
        if !ready.exists() {
            self.make_prefix()?;
            std::fs::write(ready, "")?;
        }
        // It stays, so it must not hold on to the pipe that somebody reads our output from.
        let mut server = self.command(&self.server);
        server.arg(LINGER).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run_to_end(&mut server)?;
        Ok(Server(self))
    }

    fn make_prefix(&self) -> Result<(), Stop> {
        // What an interrupted run left is not a prefix.
        if self.prefix.exists() {
            std::fs::remove_dir_all(&self.prefix)?;
        }
        std::fs::create_dir_all(&self.prefix)?;
        let boot = self.command(&self.loader).args(["wineboot", "-i"]).stdin(Stdio::null()).output()?;
        if !boot.status.success() || !self.prefix.join("drive_c").exists() {
            let says = String::from_utf8_lossy(&boot.stderr).into_owned();
            return Err(Stop::Failed(format!("wineboot could not make {}:\n{says}", self.prefix.display())));
        }
        run_to_end(self.command(&self.server).arg("-w"))
    }

    /// Has `cargo test` start its programs in this Wine.
    pub(super) fn lend(&self, command: &mut Command) {
        let mut runner = OsString::from(if self.steady { "setarch -R " } else { "" });
        runner.push(&self.loader);
        command.env("CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_RUNNER", runner);
        self.environment(command);
    }

    pub(super) fn version(&self) -> String {
        let output = self.command(&self.loader).arg("--version").output();
        let printed = output.map(|output| output.stdout).unwrap_or_default();
        let words = String::from_utf8_lossy(&printed).into_owned();
        words.split_whitespace().next().unwrap_or("wine").to_owned()
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(if self.steady { Path::new("setarch") } else { program });
        if self.steady {
            command.arg("-R").arg(program);
        }
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("WINEPREFIX", &self.prefix)
            .env("WINEARCH", "win64")
            .env("WINELOADER", &self.loader)
            .env("WINESERVER", &self.server)
            .env("WINEDEBUG", "-all")
            // No offer to install .NET or a browser engine, no entries in the user's menus, no windows.
            .env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=d")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Killed or already gone: there is nothing more to do about it either way.
        let _ = self.0.command(&self.0.server).arg("-k").status();
        let _ = self.0.command(&self.0.server).arg("-w").status();
    }
}

/// How a Windows program sees a file of ours: Wine shows the whole tree as drive Z.
pub(super) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_files_are_on_drive_z() {
        assert_eq!(windows_path(Path::new("/work/a b/c")), r"Z:\work\a b\c");
    }
}
