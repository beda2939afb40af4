//! The running helper: a process in the prefix that is asked by its standard input and answers by its standard output.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{self, Words};
use crate::error::{Error, ErrorKind};
use crate::sys::wine::{self, Complaints};

/// What both ends must agree on.
pub(super) const REVISION: u64 = 1;
/// Wine may have to start its services first.
const START: Duration = Duration::from_secs(60);
/// How often a helper that ends before it greets is started.
const STARTS: u32 = 3;
/// How long a request may take that does not wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the helper may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// How long one that has closed its output may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A refusal by the helper, or of it; what was wanted of whom is for the caller to add.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) kind: ErrorKind,
    pub(super) detail: String,
}

impl Refused {
    pub(super) fn new(kind: ErrorKind, detail: impl Into<String>) -> Refused {
        Refused { kind, detail: detail.into() }
    }

    pub(super) fn to(self, operation: &'static str, object: impl Display) -> Error {
        Error::new(self.kind, operation, self.detail).on(object)
    }
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) words: Words,
    pub(super) rows: Vec<Words>,
}

/// Where an answer goes, and its rows so far.
struct Waiting {
    rows: Vec<Words>,
    answer: Sender<Result<Answer, Refused>>,
}

#[derive(Default)]
struct Asked {
    waiting: HashMap<u64, Waiting>,
    ended: bool,
}

pub(super) struct Link {
    child: Mutex<Child>,
    /// Closed, the helper ends. Taken only by `drop`.
    input: Mutex<Option<ChildStdin>>,
    asked: Arc<Mutex<Asked>>,
    next: AtomicU64,
    pid: u32,
    cookie: String,
    /// What it, or Wine, says of its troubles.
    complaints: Complaints,
}

impl Link {
    /// Starts `command`, which gets a cookie as its last argument and is to greet.
    ///
    /// A Wine whose loader lies at 0x7d000000 (that of Debian 12 does) ends now and then at once, without a word: it must have the
    /// page at 0x7ffe0000, and newer kernels begin its heap anywhere in the GiB behind the loader. So there are several attempts.
    pub(super) fn start(mut command: Command) -> Result<Link, Refused> {
        let cookie = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        command.arg(&cookie).stdin(Stdio::piped()).stdout(Stdio::piped());
        wine::detach(&mut command);
        let mut starts = 1;
        loop {
            match Link::greet(&mut command, &cookie) {
                Err(refused) if refused.kind == ErrorKind::PeerDied && starts < STARTS => starts += 1,
                Err(Refused { kind: ErrorKind::PeerDied | ErrorKind::TimedOut, detail }) => {
                    let why = format!(
                        "the helper was started and says nothing: it is not coview.exe, or Wine cannot run it ({detail}); start \
                         it by hand to see why: `wine coview.exe wine-helper x </dev/null`"
                    );
                    return Err(Refused::new(ErrorKind::Os, why));
                }
                greeted => return greeted,
            }
        }
    }

    /// A started process that has said which version it is.
    fn greet(command: &mut Command, cookie: &str) -> Result<Link, Refused> {
        let complaints = Complaints::of(command);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .spawn()
            .map_err(|error| Refused::new(ErrorKind::Os, format!("{program} cannot be started: {error}")))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let asked = Arc::new(Mutex::new(Asked::default()));
        let (pid, next) = (child.id(), AtomicU64::new(0));
        let listeners = Arc::clone(&asked);
        if let Some(output) = output {
            std::thread::spawn(move || listen(output, &listeners));
        }
        let cookie = cookie.to_owned();
        let link = Link { child: Mutex::new(child), input: Mutex::new(input), asked, next, pid, cookie, complaints };
        let mut greeting = link.ask_within(&["hello"], START).map_err(|refused| match refused.kind {
            ErrorKind::PeerDied => Refused::new(ErrorKind::PeerDied, link.fate()),
            _ => refused,
        })?;
        match greeting.words.number() {
            Some(REVISION) => Ok(link),
            _ => Err(Refused::new(
                ErrorKind::Unsupported,
                "the helper is of another version than this program; build both from the same sources",
            )),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(super) fn ask(&self, words: &[&str]) -> Result<Answer, Refused> {
        self.ask_within(words, PATIENCE)
    }

    /// As [`ask`](Self::ask), for what waits as long as the helper was told, by itself.
    pub(super) fn ask_and_wait(&self, words: &[&str]) -> Result<Answer, Refused> {
        self.ask_within(words, Duration::MAX)
    }

    fn ask_within(&self, words: &[&str], patience: Duration) -> Result<Answer, Refused> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, inbox) = mpsc::channel();
        let mut asked = lock(&self.asked);
        if asked.ended {
            drop(asked);
            return Err(self.ended());
        }
        asked.waiting.insert(id, Waiting { rows: Vec::new(), answer: sender });
        drop(asked);
        let line = format!("{id} {}", wire::line(words.iter().copied()));
        let sent = lock(&self.input).as_mut().map(|input| input.write_all(line.as_bytes()));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.ended());
        }
        // `recv_timeout` does not take all of time.
        match inbox.recv_timeout(patience.min(Duration::from_secs(1 << 32))) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                lock(&self.asked).waiting.remove(&id);
                let why = format!("the helper has not answered for {} s", patience.as_secs());
                Err(Refused::new(ErrorKind::TimedOut, why))
            }
        }
    }

    fn ended(&self) -> Refused {
        let why = format!("{}, and with it what it held in the prefix; start again", self.fate());
        Refused::new(ErrorKind::PeerDied, why)
    }

    /// How it ended, and the last that was said of it.
    fn fate(&self) -> String {
        let status = self.wait(LAST_WORDS).map_or_else(String::new, |status| format!(" ({status})"));
        let said = self.complaints.last().map_or_else(String::new, |line| format!(", saying {line:?}"));
        format!("the helper has ended{status}{said}")
    }

    /// How it ended, if it does so in time.
    fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            match lock(&self.child).try_wait() {
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                status => return status.ok().flatten(),
            }
        }
    }
}

/// A panic of ours elsewhere leaves nothing half changed here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands answers to those who asked, until the helper has ended.
fn listen(output: ChildStdout, asked: &Mutex<Asked>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut words = Words::of(&line);
        let (Some(id), verb) = (words.number(), words.text()) else { continue };
        let mut asked = lock(asked);
        if verb == "row" {
            if let Some(waiting) = asked.waiting.get_mut(&id) {
                waiting.rows.push(words);
            }
            continue;
        }
        // Who has given up is not there any more.
        let Some(Waiting { rows, answer }) = asked.waiting.remove(&id) else { continue };
        drop(answer.send(match verb.as_str() {
            "ok" => Ok(Answer { words, rows }),
            _ => Err(Refused { kind: wire::kind_of(words.number()), detail: words.text() }),
        }));
    }
    let mut asked = lock(asked);
    asked.ended = true;
    asked.waiting.clear();
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(lock(&self.input).take());
        if self.wait(GRACE).is_none() {
            // Nothing is lost: the kernel and the wineserver close what it has.
            let mut child = lock(&self.child);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
