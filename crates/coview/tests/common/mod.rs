//! What the process tests share: real child processes, an agent that obeys commands, a place that must end up empty.

#![allow(dead_code)] // each test program uses its part

pub(crate) mod agent;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod place;

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coview::{Access, Mapping};

/// Longer than anything here takes, also under Wine on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const ROLE: &str = "COVIEW_TEST_ROLE";
const ARG: &str = "COVIEW_TEST_ARG_";

/// What a child does, given its arguments.
pub(crate) type Role = fn(&[String]);

/// The body of the test `child` of every program: plays the role this process was started for, if it was.
pub(crate) fn child(roles: &[(&str, Role)]) {
    let Ok(role) = std::env::var(ROLE) else { return };
    let args: Vec<String> = (0..).map_while(|i| std::env::var(format!("{ARG}{i}")).ok()).collect();
    let builtin: [(&str, Role); 1] = [("agent", agent::serve)];
    let found = roles.iter().chain(&builtin).find(|(name, _)| *name == role);
    let (_, play) = found.unwrap_or_else(|| panic!("there is no role {role:?}"));
    play(&args);
}

/// In a child: a line for the parent. It begins on a line of its own, whatever libtest has printed.
pub(crate) fn say(line: &str) {
    assert!(!line.contains('\n'), "{line:?} is more than a line");
    let mut out = std::io::stdout().lock();
    // A parent that has gone needs no answer.
    let _ = out.write_all(format!("\n@{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// In a child: the parent's next line; `None` when it has hung up.
pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(len) if len > 0 => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
        _ => None,
    }
}

/// The command that starts this program again in a role; its pipes are left to the caller.
pub(crate) fn command(role: &str, args: &[&str]) -> Command {
    command_of(std::env::current_exe().expect("a test program has a path"), role, args)
}

/// As [`command`], through another path to the same program.
pub(crate) fn command_of(program: impl AsRef<std::ffi::OsStr>, role: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    for (i, arg) in args.iter().enumerate() {
        command.env(format!("{ARG}{i}"), arg);
    }
    command.env_remove(format!("{ARG}{}", args.len()));
    command
}

/// Held while a process is being started.
static STARTING: Mutex<()> = Mutex::new(());

/// Makes an object of a name whose last one this process has just dropped. On Linux a process that another test starts has all that its
/// parent holds until it runs its program (`docs/platforms.md`), and that may be after its start has returned: the kernel lets the
/// parent go on before it closes what the program is not to have.
pub(crate) fn again<T>(make: impl Fn() -> coview::Result<T>) -> T {
    let mut made = None;
    until("the name is free", || {
        made = make().ok();
        made.is_some()
    });
    made.expect("it was made just now")
}

/// Starts a process. Wine 8 fails at that now and then (`ERROR_INTERNAL_ERROR`) where memory is laid out at random: docs/design.md; so there
/// are three attempts.
pub(crate) fn start(command: &mut Command) -> std::io::Result<std::process::Child> {
    const INTERNAL_ERROR: Option<i32> = Some(1359);
    let mut attempts = 0;
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        attempts += 1;
        match command.spawn() {
            Err(error) if cfg!(windows) && error.raw_os_error() == INTERNAL_ERROR && attempts < 3 => {}
            started => return started,
        }
    }
}

/// A process started for a test; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
}

impl Child {
    pub(crate) fn start(role: &str, args: &[&str]) -> Child {
        Child::spawn(command(role, args))
    }

    pub(crate) fn spawn(mut command: Command) -> Child {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = start(&mut command).unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        let to = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let (give, from) = channel();
        std::thread::spawn(move || {
            let ours = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix('@').map(str::to_owned));
            for line in ours {
                if give.send(line).is_err() {
                    break;
                }
            }
        });
        Child { process, to, from }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A line to the child.
    pub(crate) fn send(&mut self, line: &str) {
        let to = self.to.as_mut().expect("the child has not been hung up on");
        to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush()).expect("the child listens");
    }

    /// The child's next line; `None` when it has hung up.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.from.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the child {} has said nothing for {PATIENCE:?}", self.id())
            }
        }
    }

    /// The child's next line.
    pub(crate) fn line(&mut self) -> String {
        self.next_line().expect("the child ended before it said what was expected; its message is above")
    }

    /// Waits for this line and for no other.
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Ends the process at once: `SIGKILL`, `TerminateProcess`. Returns when it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("the child can be killed");
        self.process.wait().expect("the child can be waited for");
    }

    /// Waits until the process itself has ended; whoever inherited its pipes may still use them.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the child {} does not end", self.id());
            std::thread::sleep(Duration::from_millis(1)); // no portable wait has a time limit
        }
    }

    /// Hangs up and waits for a good end.
    pub(crate) fn wait(mut self) {
        drop(self.to.take());
        let status = self.ended();
        assert!(status.success(), "the child ended with {status}; its message is above");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks until it is so, for what no system call waits for.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In a child, for ever: writes over the words of a mapping from one offset on and, of its size, up to another. Three of four
/// are small numbers, which look more like something.
pub(crate) fn scribble(name: &str, from: usize, to: impl FnOnce(usize) -> usize) {
    let mapping = Mapping::open(name, Access::ReadWrite).expect("it is there");
    let _ = mapping.commit(0, mapping.size()); // what is reserved
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    let (dice, words) = (Dice::new(1), (to(view.len()) - from) / 4);
    say("scribbling");
    loop {
        let word = view.atomic::<AtomicU32>(from + dice.below(words as u64) as usize * 4).expect("inside");
        word.store(dice.below([512, 512, 512, 1 << 32][dice.below(4) as usize]) as u32, Relaxed);
    }
}

/// A number from the environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// xorshift64*, Marsaglia 2003 and Vigna 2016.
pub(crate) struct Dice(Cell<u64>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
