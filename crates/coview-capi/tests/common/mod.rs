//! C and C++ programs for tests: compiled against the header and the library that cargo built, started, talked to, ended.

#![allow(dead_code)] // each test file uses a part

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything takes on a busy machine; who waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// In the shape of the warnings that a strict project has.
const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"];

pub(crate) fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A name that no other test has.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("capi-{}-{}-{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A folder with libcoview.so, which programs find there, and room for them; removed when it is dropped.
pub(crate) struct Workshop(tempfile::TempDir);

impl Workshop {
    pub(crate) fn new() -> Workshop {
        let folder = tempfile::tempdir().unwrap();
        // Cargo puts the shared library beside the test programs.
        let built = std::env::current_exe().unwrap().with_file_name("libcoview_capi.so");
        assert!(built.exists(), "{} is missing", built.display());
        for name in ["libcoview.so", "libcoview.so.0"] {
            std::os::unix::fs::symlink(&built, folder.path().join(name)).unwrap();
        }
        Workshop(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Compiles a source of the package with what else is to be said, and links it with the library.
    pub(crate) fn compile(&self, source: &str, more: &[&str]) -> PathBuf {
        let source = package().join(source);
        let kind = source.extension().unwrap().to_str().unwrap();
        let program = self.path().join(format!("{}-{}", source.file_stem().unwrap().to_str().unwrap(), more.join("")));
        let (compiler, standard) = if kind == "c" { ("gcc", "-std=c11") } else { ("g++", "-std=c++17") };
        let mut command = Command::new(compiler);
        command.arg(standard).args(STRICT).args(more).arg("-I").arg(package().join("include"));
        command.arg("-o").arg(&program).arg(&source).arg("-L").arg(self.path());
        command.args(["-lcoview", "-pthread"]).arg(format!("-Wl,-rpath,{}", self.path().display()));
        run(&mut command);
        program
    }
}

/// Runs to the end, which must be a good one; what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Whether a program is there.
pub(crate) fn there_is(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A running program; killed when it is dropped.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Peer {
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Peer {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Peer { input: child.stdin.take(), child, lines }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the program has ended or hangs")
    }

    pub(crate) fn says(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Lets it go on.
    pub(crate) fn go_on(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It ends by itself, and well.
    pub(crate) fn ends(mut self) {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
