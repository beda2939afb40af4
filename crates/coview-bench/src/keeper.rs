//! The process that looks after the measuring one: when that ends, Ctrl-C or not, it removes what was left by name.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, set_parent_process_death_signal,
    waitpid,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Result;
use crate::pair::fork;

/// What the names of this run's files begin with, those of its libraries too.
pub(crate) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| format!("coview_bench_{}_", std::process::id()))
}

/// A folder for this run's files.
pub(crate) fn folder() -> PathBuf {
    std::env::temp_dir().join(mark())
}

/// Goes on in a new process, with `None`; this one returns when that and all below it have ended, with its exit code.
pub(crate) fn keep() -> Result<Option<ExitCode>> {
    mark();
    // Who loses its parent becomes a child of ours: so it is known when the last one has ended.
    set_child_subreaper(Some(getpid()))?;
    let Some(driver) = fork()? else {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        return Ok(None);
    };
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    let mut code = 0;
    while !reap(driver, &mut code)? {
        for signal in signals.wait().filter(|signal| *signal != SIGCHLD).filter_map(Signal::from_named_raw) {
            // The sides of its pairs end with it. From a terminal it had the signal too, and may have ended.
            let _ = kill_process(driver, signal);
        }
    }
    clean();
    Ok(Some(ExitCode::from(code)))
}

/// Takes leave of those who have ended; whether nobody is left.
fn reap(driver: Pid, code: &mut u8) -> Result<bool> {
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == driver => *code = shells_code(status),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(false),
            Err(Errno::CHILD) => return Ok(true),
            Err(why) => return Err(why.into()),
        }
    }
}

/// The exit code, or 128 and the signal.
fn shells_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| code.try_into().ok()).unwrap_or(2)
}

/// Most of it is there only if somebody was killed; but iceoryx2 always leaves a file and two folders.
fn clean() {
    // coview looks for what dead processes left when a process first uses it, even if this name is not there.
    let _ = coview::Mapping::open(mark(), coview::Access::Read);
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(mark()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir_all(folder());
}
