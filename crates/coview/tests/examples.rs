//! Every example runs alone and prints what it promises.

mod common;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Cargo builds the examples with the tests, beside them: `target/debug/deps/this` and `target/debug/examples/that`.
fn path(example: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test program has a path");
    let target = this.parent().and_then(|deps| deps.parent()).expect("it lies in the target directory");
    let file = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let path = target.join("examples").join(file);
    assert!(path.exists(), "{} is missing: `cargo build --package coview --examples` first", path.display());
    path
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    common::start(command).and_then(std::process::Child::wait_with_output).expect("it runs")
}

/// Runs an example; its lines.
fn run(example: &str) -> Vec<String> {
    let output = output(&mut Command::new(path(example)));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{example}: {}\n{out}{err}", output.status);
    out.lines().map(str::to_owned).collect()
}

/// Compares line by line; `*` stands for anything.
#[track_caller]
fn prints(example: &str, expected: &[&str]) {
    let lines = run(example);
    let fits = |line: &String, pattern: &&str| match pattern.split_once('*') {
        Some((head, tail)) => line.starts_with(head) && line[head.len()..].ends_with(tail),
        None => line == pattern,
    };
    let same = lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, pattern)| fits(line, pattern));
    assert!(same, "{example} prints {lines:#?}, expected is {expected:#?}");
}

#[test]
fn hello() {
    prints(
        "hello",
        &[
            "made ShareMemory-*: 4096 bytes, whole pages",
            "read from ShareMemory-*: This is a share memory",
            r"cannot open Local\ShareMemory-*",
        ],
    );
}

#[test]
fn message() {
    prints("message", &["Message from first process", r"Could not open file mapping object (2): *"]);
}

#[test]
fn message_from_a_terminal() {
    let name = format!(r"Global\example test {}", std::process::id());
    let absent = output(Command::new(path("message")).args(["second", &name]));
    assert_eq!(absent.status.code(), Some(1));
    let mut first = Command::new(path("message"));
    first.args(["first", &name]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut first = common::start(&mut first).expect("it runs");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(first.stdout.take().expect("stdout is a pipe"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("it prints");
    assert!(line.contains("lives until"), "{line}");
    let second = output(Command::new(path("message")).args(["second", &name]));
    assert_eq!(String::from_utf8_lossy(&second.stdout).trim_end(), "Message from first process");
    drop(first.stdin.take());
    assert!(first.wait().expect("it can be waited for").success());
}

#[test]
fn file() {
    prints(
        "file",
        &[
            "Opened SharedMemory-*: from here",
            "in the file: from peer (10000 bytes)",
            "in the file: from peer",
            "cannot write an unnamed mapping: *",
            "cannot open file:*",
        ],
    );
}

#[test]
fn student() {
    prints("student", &["99041232 SecBug", r"cannot map for writing Local\TestMemShare-*"]);
}

#[test]
fn windows() {
    prints("windows", &["419430400 bytes in windows of 4194304: records at [0, 4194301, 52428800, 418381824]"]);
}

#[test]
fn pass() {
    prints("pass", &["4 children counted to 4000", "cannot inherit: *"]);
}

#[test]
fn tokio() {
    prints("tokio", &["not set in time: true", "all downloaded: 10"]);
}

#[test]
#[cfg(target_os = "linux")]
fn epoll() {
    prints("epoll", &["log: three more", "3 pieces of work, then told to stop"]);
}

#[test]
fn region() {
    prints("region", &["Weather of 32 bytes", "Zugspitze: [-4.5, -11.25]", r"cannot open the region Local\Weather-*"]);
}

#[test]
fn frames() {
    prints("frames", &["picture 1: brightness 10", "picture 2: brightness 20", "picture 3: brightness 30"]);
}

#[test]
fn queue() {
    prints(
        "queue",
        &["a worker begins with 20! and is killed", "20! = 2432902008176640000", "5! = 120", "6! = 720", "7! = 5040"],
    );
}

#[test]
fn service() {
    prints("service", &["a negative: [200, 200, 200]", "another: [254, 253, 252]", "without it: 14"]);
}
