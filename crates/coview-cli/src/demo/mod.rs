//! `coview demo`: systems of cooperating processes, each of which says what it did and ends with a verdict.

mod bigfile;
mod file;
mod frames;
mod message;
mod student;
mod text;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::cli::{DemoArgs, PartArgs, System};
use crate::failure::Failure;
use crate::output::{BOLD, DIM, GREEN, RED};

/// A part that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the systems asked for.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let scratch = tempfile::Builder::new().prefix("coview-demo-").tempdir()?;
    let doomed = scratch.path().to_owned();
    // Ctrl-C ends the parts too, and with them every object; the files are ours to remove.
    ctrlc::set_handler(move || {
        let _ = std::fs::remove_dir_all(&doomed);
        std::process::exit(130);
    })
    .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))?;
    let (size, input) = (args.size, args.input.clone());
    let mut stage = Stage { scratch: scratch.path().to_owned(), size, input, failed: 0, passed: 0 };
    let systems: [(System, &str, Play); 6] = [
        (System::Text, "text: one process leaves a text, another reads it by name", text::run),
        (System::Message, r"message: a message in the Global\ name space", message::run),
        (System::File, "file: memory that is a file, with three protections and beyond 4 GiB", file::run),
        (System::Student, "student: a typed record, and a reader with another layout", student::run),
        (System::Bigfile, "bigfile: a file too large to map at once, window by window", bigfile::run),
        (System::Frames, "frames: pictures between two processes, both ways, each of them acknowledged", frames::run),
    ];
    for (system, title, run) in systems {
        if args.system == System::All || args.system == system {
            anstream::println!("{BOLD}{title}{BOLD:#}");
            if let Err(failure) = run(&mut stage) {
                let _ = failure.report();
                stage.verdict("the system runs to its end", false);
            }
        }
    }
    let (passed, failed) = (stage.passed, stage.failed);
    let style = if failed == 0 { GREEN } else { RED };
    anstream::println!("{style}demo: {passed} verdicts passed, {failed} failed{style:#}");
    scratch.close()?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays one process of a system.
pub(crate) fn part(args: &PartArgs) -> Result<(), Failure> {
    let rest: Vec<&str> = args.args.iter().map(String::as_str).collect();
    match (args.role.as_str(), &rest[..]) {
        ("text-a", [name]) => text::writer(name),
        ("text-b", [name]) => text::reader(name),
        ("message-a", [name]) => message::first(name),
        ("message-b", [name]) => message::second(name),
        ("file-a", [name, path]) => file::first(name, path),
        ("file-b", [name]) => file::second(name),
        ("file-c", [name]) => file::copier(name),
        ("student-write", [name]) => student::write(name),
        ("student-read", [name]) => student::read(name),
        ("student-other", [name]) => student::read_otherwise(name),
        ("bigfile-plant", [path, size]) => bigfile::plant(path, size),
        ("bigfile-find", [path]) => bigfile::find(path),
        ("frames-a", [name, input]) => frames::first(name, input),
        ("frames-b", [name]) => frames::second(name),
        _ => Err(Failure::usage(format!("there is no part {:?} with {} arguments", args.role, rest.len()))),
    }
}

/// Runs one system.
type Play = fn(&mut Stage) -> Result<(), Failure>;

/// Where a system plays: its files, its verdicts.
struct Stage {
    scratch: PathBuf,
    size: u64,
    input: Option<PathBuf>,
    passed: u32,
    failed: u32,
}

impl Stage {
    fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// A name of its own for each run, so that two demos do not meet.
    fn name(&self, text: &str) -> String {
        format!("{text}.{}", std::process::id())
    }

    fn verdict(&mut self, what: &str, good: bool) {
        let (style, mark) = if good { (GREEN, "ok") } else { (RED, "WRONG") };
        anstream::println!("  {style}{mark:>5}{style:#}  {what}");
        match good {
            true => self.passed += 1,
            false => self.failed += 1,
        }
    }
}

/// A running part. Dropped, it is killed.
struct Part {
    label: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// How a part ended: its exit code and all it said.
struct Ending {
    code: Option<i32>,
    said: Vec<String>,
}

impl Ending {
    fn said(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }
}

impl Part {
    /// Starts this program again as `role`.
    fn start(label: &'static str, role: &str, args: &[&str]) -> Result<Part, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("part").arg(role).arg("--").args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
            });
        }
        let stdin = child.stdin.take();
        Ok(Part { label, child, stdin, lines })
    }

    fn next_line(&self) -> Result<Option<String>, Failure> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                anstream::println!("  {DIM}[{}]{DIM:#} {line}", self.label);
                Ok(Some(line))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(None),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Failure::new(format!("process {} hangs", self.label))),
        }
    }

    /// Waits until it says that it is ready.
    fn ready(&self) -> Result<(), Failure> {
        while let Some(line) = self.next_line()? {
            if line.starts_with("ready") {
                return Ok(());
            }
        }
        Err(Failure::new(format!("process {} ended before it was ready", self.label)))
    }

    /// Lets it end (a part that waits, waits for the end of its input) and collects what it said.
    fn end(mut self) -> Result<Ending, Failure> {
        drop(self.stdin.take());
        let mut said = Vec::new();
        while let Some(line) = self.next_line()? {
            said.push(line);
        }
        Ok(Ending { code: self.child.wait()?.code(), said })
    }

    /// Runs a part from start to end.
    fn run(label: &'static str, role: &str, args: &[&str]) -> Result<Ending, Failure> {
        Part::start(label, role, args)?.end()
    }

    /// As a crash would: no chance to clean up.
    fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a part: says that it is ready and waits until it may end.
fn hold(what: &str) -> Result<(), Failure> {
    println!("ready: {what}");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}
