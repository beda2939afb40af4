//! Compiling C and C++ against the Win32 headers, and running what comes of it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Longer than anything here takes, also under Wine on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test alone.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("win32-{name}"));
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Where cargo has put the library that this test was built with.
pub(crate) fn library() -> PathBuf {
    let program = std::env::current_exe().expect("a test program has a path");
    let folders = program.ancestors().skip(1).take(2);
    let found = folders.map(Path::to_owned).find(|folder| folder.join("libcoview_capi.so").exists());
    found.expect("cargo builds the shared library before the tests")
}

/// The compilers on this machine; the others are named as skipped.
pub(crate) fn compilers() -> Vec<&'static str> {
    ["gcc", "g++"].into_iter().filter(|compiler| has(compiler)).collect()
}

pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

/// Compiles a source of tests/ with no change but the include path.
pub(crate) fn compile(compiler: &str, source: &str, flags: &[&str], to: &Path) -> PathBuf {
    let file = here().join("tests").join(source);
    let stem = file.file_stem().expect("it is a file").to_string_lossy().into_owned();
    let program = format!("{stem}-{}{}", compiler.replace('+', "p"), flags.concat().replace(['-', '='], "_"));
    let program = to.join(if compiler.contains("mingw") { program + ".exe" } else { program }); // which its linker would add
    let mut command = Command::new(compiler);
    if compiler == "g++" {
        command.args(["-x", "c++"]);
    }
    command.args(["-O1", "-Wall", "-Werror", "-Wno-write-strings", "-I"]).arg(here().join("include/win32"));
    if compiler.ends_with("g++") {
        command.arg("-Wno-conversion-null"); // the seeds pass NULL where a BOOL goes
    }
    command.args(flags).arg(&file).args(["-x", "none"]);
    match compiler.contains("mingw") {
        true => command.args(["-static", "-D__USE_MINGW_ANSI_STDIO=0"]),
        false => {
            // Under the name that it is installed by. It may be there from the program before.
            let _ = std::os::unix::fs::symlink(library().join("libcoview_capi.so"), to.join("libcoview.so.0"));
            command.arg(library().join("libcoview_capi.so")).arg("-Wl,-rpath,$ORIGIN")
        }
    };
    let output = command.arg("-o").arg(&program).output().expect("the compiler runs");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Wine, without a random layout of its memory if that can be had: newer kernels begin its loader's heap anywhere in a GiB, where of
/// some thousand starts one finds the page taken that Wine must have (0x7ffe0000), and ends without a word.
fn wine() -> Command {
    const LOADER: &str = "/usr/lib/wine/wine64";
    let mut steady = Command::new("setarch");
    if !steady.args(["-R", "true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Command::new(LOADER);
    }
    let mut command = Command::new("setarch");
    command.args(["-R", LOADER]);
    command
}

/// What runs a program: nothing, or Wine.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) wine: Option<PathBuf>,
    pub(crate) folder: PathBuf,
}

impl Runner {
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.wine {
            None => Command::new(program),
            Some(prefix) => {
                let mut command = wine();
                command.arg(program).env("WINEPREFIX", prefix).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
                command.env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=d").env_remove("DISPLAY");
                command
            }
        };
        command.current_dir(&self.folder);
        command
    }

    /// What a program prints, and how it ends.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> (String, Option<i32>) {
        let mut command = self.command(program);
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("it starts");
        (String::from_utf8_lossy(&output.stdout).replace('\r', ""), output.status.code())
    }

    /// Starts a program that says a line and waits for its input to end.
    pub(crate) fn start(&self, program: &Path, arguments: &[&str]) -> Waiting {
        let mut command = self.command(program);
        let mut process =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (to, from) = channel();
        let out = BufReader::new(process.stdout.take().expect("it was piped"));
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = to.send(line.trim_end().to_owned());
            }
        });
        Waiting { input: process.stdin.take(), process, from }
    }
}

/// A program that waits; killed when dropped.
pub(crate) struct Waiting {
    process: Child,
    input: Option<ChildStdin>,
    from: Receiver<String>,
}

impl Waiting {
    pub(crate) fn line(&self) -> String {
        self.from.recv_timeout(PATIENCE).expect("it says something in time")
    }

    /// Lets it go on to its end, which is a good one.
    pub(crate) fn end(mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"\n");
        }
        assert!(self.process.wait().expect("it ends").success());
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
