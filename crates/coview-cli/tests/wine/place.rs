//! A Wine of the test's own: an ordinary user, a fresh prefix, the programs, and nothing left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Nobody: has no entry among the users, and needs none.
const USER: u32 = 12345;
const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// What must happen happens in a fraction of it; else the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` of this binary again as an ordinary user, if this is root; whether that was done.
pub(crate) fn again_as_user(test: &str, folder: &Path) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    chown(folder);
    let mut again = Command::new("/proc/self/exe");
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]).uid(USER).gid(USER);
    let status = again.env("HOME", folder).env(FOLDER, folder).current_dir(folder).status().expect("it runs again");
    assert!(status.success(), "as user {USER}: {status}");
    true
}

/// Tells the second run where it is.
pub(crate) const FOLDER: &str = "COVIEW_TEST_FOLDER";

fn chown(path: &Path) {
    std::os::unix::fs::chown(path, Some(USER), Some(USER)).expect("this is root");
}

/// The folder with all that the tests need, which anybody may run: copied, since the build's folder may be private.
pub(crate) fn furnish(folder: &Path, helper: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("it is ours");
    for (from, to) in [(Path::new(env!("CARGO_BIN_EXE_coview")), "coview"), (helper, "coview.exe")] {
        std::fs::copy(from, folder.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        std::fs::set_permissions(folder.join(to), PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    for (compiler, source, program) in [(COMPILER, "agent.c", "agent.exe"), ("cc", "peer.c", "peer")] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wine").join(source);
        let mut compile = Command::new(compiler);
        compile.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(folder.join(program)).arg(source);
        assert!(compile.status().unwrap_or_else(|error| panic!("{compiler}: {error}")).success());
    }
}

/// The folder, with a Wine prefix in it that a server runs for until this is dropped.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    steady: bool,
}

impl Place {
    pub(crate) fn new(folder: PathBuf) -> Place {
        let steady = Command::new("setarch").args(["-R", "true"]).stderr(Stdio::null()).status();
        let place = Place { folder, steady: steady.is_ok_and(|status| status.success()) };
        place.make_prefixes();
        place
    }

    pub(crate) fn prefix(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A fresh one, a second that is as the first, and for the first a server that stays.
    fn make_prefixes(&self) {
        let [first, second] = ["prefix", "second"];
        std::fs::create_dir(self.prefix(first)).expect("the folder is ours");
        let boot = self.in_wine(first, "wine").args(["wineboot", "-i"]).output().expect("Wine is installed");
        assert!(self.prefix(first).join("system.reg").exists() || boot.status.success(), "{boot:?}");
        self.server(first, "-w");
        // While no server runs: it replaces files of the registry now and then.
        let copied = Command::new("cp").arg("-a").arg(self.prefix(first)).arg(self.prefix(second)).status();
        assert!(copied.expect("cp runs").success());
        self.server(first, "-p120");
    }

    pub(crate) fn server(&self, prefix: &str, what: &str) {
        let mut server = self.in_wine(prefix, "wineserver");
        server.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        server.status().expect("Wine is installed");
    }

    /// Without a random layout of memory if that can be had: newer kernels begin the heap of Wine's loader anywhere in a GiB, where
    /// of some thousand starts one finds the page taken that Wine must have (0x7ffe0000), and ends with code 1 without a word.
    fn in_wine(&self, prefix: &str, program: &str) -> Command {
        let mut command = Command::new(if self.steady { "setarch" } else { program });
        if self.steady {
            command.args(["-R", program]);
        }
        self.dress(&mut command, prefix);
        command
    }

    fn dress(&self, command: &mut Command, prefix: &str) {
        command
            .current_dir(&self.folder)
            .env("WINEPREFIX", self.prefix(prefix))
            .env("WINEARCH", "win64")
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree=;mshtml=;winemenubuilder.exe=d")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
    }

    /// The program `coview`, which finds its helper beside it.
    pub(crate) fn coview(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("coview"));
        self.dress(&mut command, "prefix");
        command.args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.coview(args).output().expect("coview runs")
    }

    /// Runs, expects success, gives standard output.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// Runs, expects this exit code and words in the message.
    pub(crate) fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        refused(self.coview(args), code, words);
    }

    /// A `coview wine` that goes on until it is ended, after the line that says it is ready.
    pub(crate) fn bridge(&self, args: &[&str]) -> Talk {
        let mut bridge = Talk::start(self.coview(&[&["wine"], args].concat()));
        let line = bridge.line();
        assert!(line.starts_with("ready: "), "{args:?}: {line:?}");
        bridge
    }

    /// A Windows program that does as it is told.
    pub(crate) fn agent(&self) -> Talk {
        self.agent_in("prefix")
    }

    /// Where its memory's layout is random after all (see `in_wine`), one more is started if it ends before its first line.
    pub(crate) fn agent_in(&self, prefix: &str) -> Talk {
        (0..3).find_map(|_| self.try_agent(prefix)).expect("Wine starts a program")
    }

    fn try_agent(&self, prefix: &str) -> Option<Talk> {
        let mut command = self.in_wine(prefix, "wine");
        // A file: services that Wine starts for it would keep a pipe open.
        let complaints = self.folder.join("complaints");
        command.arg("agent.exe").stderr(File::create(&complaints).expect("the folder is ours"));
        let mut agent = Talk::start(command);
        if agent.lines.recv_timeout(PATIENCE).is_ok_and(|line| line.trim_end() == "ready 0") {
            return Some(agent);
        }
        let said = std::fs::read_to_string(&complaints).unwrap_or_default();
        println!("bridge: Wine did not start a program: {:?}: {said}", agent.child.try_wait());
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for prefix in ["prefix", "second"] {
            if self.prefix(prefix).exists() {
                self.server(prefix, "-k");
                self.server(prefix, "-w");
            }
        }
    }
}

pub(crate) fn refused(mut command: Command, code: i32, words: &[&str]) {
    let output = command.output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{command:?}: no {word:?} in {message:?}");
    }
}

/// A process that is talked to by lines. Dropped, it is killed.
pub(crate) struct Talk {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Talk {
    pub(crate) fn start(mut command: Command) -> Talk {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output: ChildStdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Talk { input: child.stdin.take(), child, lines }
    }

    /// Its next line.
    pub(crate) fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|why| panic!("no line ({why}): {:?}", self.child.try_wait())).trim_end().to_owned()
    }

    /// A line, and the one that answers it.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.line()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("it is open"), "{line}").expect("it listens");
    }

    /// Waits for its end; its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut code = None;
        until("its end", || match self.child.try_wait().expect("it is ours") {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        });
        code
    }

    pub(crate) fn interrupt(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        assert_eq!(self.end(), Some(0));
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes of this user whose command line has this word, and that have not ended.
pub(crate) fn processes(word: &str) -> Vec<u32> {
    let us = rustix::process::geteuid().as_raw();
    let pids = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == us)
    };
    let has_word = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    pids.filter(is_ours).filter(has_word).filter(|pid| *pid != std::process::id()).collect()
}
