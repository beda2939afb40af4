//! Runs the program as its users do.

#![allow(dead_code)] // each test file uses some of it

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything takes here: a guard against hanging, not a measure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_coview"))
}

/// A name no other test has.
pub(crate) fn name(text: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("cli-{text}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn run(args: &[&str]) -> Output {
    command().args(args).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child =
        command().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    // Windows programs end lines with \r\n when they please.
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// Runs, expects success, gives standard output.
pub(crate) fn good(args: &[&str]) -> Vec<u8> {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {:?} {}", output.status, text(&output.stderr));
    output.stdout
}

/// Runs, expects this exit code and words in the message.
pub(crate) fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = run(args);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{args:?}: no {word:?} in {message:?}");
    }
    assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
}

/// Asks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until nobody has the object. A look at it, such as another test's `ls`, holds it for that moment; and on Linux a process
/// that this one starts has all that this one has, until it runs its program.
pub(crate) fn gone(name: &str) {
    until(&format!("{name} is gone"), || run(&["read", name]).status.code() == Some(3));
}

/// A `coview create` that holds its object.
pub(crate) struct Held {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) ready: String,
}

impl Held {
    pub(crate) fn create(args: &[&str]) -> Held {
        let mut child = command().arg("create").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        out.read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready: "), "{args:?}: {ready:?}");
        Held { child, out, ready }
    }

    /// As a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
