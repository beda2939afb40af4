//! Kills victims at every system call of every operation, and lets each call fail in every way that a limit can make it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use coview::{Access, ErrorKind, Mapping, inspect};

use crate::harness::*;
use crate::objects::{OPERATIONS, Operation};

/// Longer than any call here takes on a busy machine.
const HANG: Duration = Duration::from_secs(20);

/// What a limit or a signal makes system calls answer.
struct Kind {
    error: i32,
    /// Only once; else, as a limit does, from one call on to all of the same number.
    once: bool,
    /// The calls that can answer so; none: all.
    calls: &'static [i64],
    /// The error must have one of these words then.
    words: &'static [&'static str],
}

const OPENING: &[i64] = &[libc::SYS_open, libc::SYS_openat, libc::SYS_memfd_create, libc::SYS_fcntl, libc::SYS_mmap];
const GROWING: &[i64] = &[
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_linkat,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_pwrite64,
    libc::SYS_memfd_create,
];
const STARTING: &[i64] = &[libc::SYS_clone, libc::SYS_clone3, libc::SYS_mmap, libc::SYS_madvise, libc::SYS_mlock];

const KINDS: &[Kind] = &[
    Kind { error: libc::EINTR, once: true, calls: &[], words: &["nterrupted"] },
    Kind { error: libc::ENOMEM, once: false, calls: &[], words: &["emory", "max_map_count"] },
    // By a filter of system calls, as containers have them.
    Kind { error: libc::EPERM, once: false, calls: &[], words: &["not permitted", "does not let you"] },
    Kind { error: libc::ENOSPC, once: false, calls: GROWING, words: &["/dev/shm", "full"] },
    Kind { error: libc::EMFILE, once: false, calls: OPENING, words: &["ulimit -n"] },
    Kind { error: libc::ENFILE, once: false, calls: OPENING, words: &["fs.file-max"] },
    Kind { error: libc::EAGAIN, once: false, calls: STARTING, words: &["ulimit -u"] },
    Kind { error: libc::ENOLCK, once: false, calls: &[libc::SYS_fcntl], words: &["locks"] },
];

/// Calls that no limit lets fail (their manual pages say so), and the one by which a victim stops itself at its end.
const SURE: &[i64] = &[
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_prlimit64,
    libc::SYS_get_robust_list,
    libc::SYS_lseek,
    libc::SYS_tgkill,
];

impl Kind {
    fn fits(&self, call: i64) -> bool {
        !SURE.contains(&call) && (self.calls.is_empty() || self.calls.contains(&call))
    }
}

enum Stop {
    /// At the entry of this call, or at its exit: they alternate.
    Call(i64),
    End,
    /// It died by itself, in this way.
    Died(i32),
}

/// Runs to the next entry or exit of a system call of its first thread.
fn next_call(pid: i32) -> Stop {
    // SAFETY: the victim is a stopped tracee of ours.
    unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
    let status = wait_for_stop(pid, Some(HANG)).unwrap_or_else(|| {
        let asleep = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        kill(pid);
        panic!("it hangs in {asleep}")
    });
    match stopped_by(status) {
        Some(signal) if signal == libc::SIGTRAP | 0x80 => Stop::Call(registers(pid).orig_rax as i64),
        Some(libc::SIGSTOP) => Stop::End,
        _ => Stop::Died(status),
    }
}

fn registers(pid: i32) -> libc::user_regs_struct {
    // SAFETY: numbers, of which zero is one.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the victim is a stopped tracee of ours, and the pointer is to a whole structure.
    let rc = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
    registers
}

fn set_registers(pid: i32, registers: &libc::user_regs_struct) {
    // SAFETY: as above.
    let rc = unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid, 0, &raw const *registers) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

/// A victim at the beginning of the operation, whose stops at system calls can be told from signals.
fn start_traced(victim: &dyn Fn(&dyn Fn())) -> i32 {
    let pid = start(victim);
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    // SAFETY: the victim is a stopped tracee of ours.
    unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) };
    pid
}

/// Lets the victim, at the entry of a call, return with this error instead.
fn fail(pid: i32, number: i64, error: i32) {
    let mut at = registers(pid);
    // Closing gives the descriptor back whatever it answers.
    if number != libc::SYS_close {
        at.orig_rax = u64::MAX; // no call has this number: the kernel does nothing
        set_registers(pid, &at);
    }
    assert!(matches!(next_call(pid), Stop::Call(_)), "what begins returns");
    at = registers(pid);
    at.rax = -i64::from(error) as u64;
    set_registers(pid, &at);
}

/// One victim of a fault.
struct Fault {
    pid: i32,
    /// The call that failed; none if the operation has fewer, or if it cannot fail.
    call: Option<i64>,
    /// How the victim died, if it did.
    died: Option<i32>,
    /// It is at its end.
    ended: bool,
}

/// Runs the operation to its end, while its call at this index, and later ones, fail in this way.
fn run_with_fault(victim: &dyn Fn(&dyn Fn()), index: usize, kind: &Kind) -> Fault {
    let mut fault = Fault { pid: start_traced(victim), call: None, died: None, ended: false };
    for at in 0.. {
        let number = match next_call(fault.pid) {
            Stop::Call(number) => number,
            stop => {
                fault.died = if let Stop::Died(status) = stop { Some(status) } else { None };
                fault.ended = at <= index;
                return fault;
            }
        };
        if at == index && kind.fits(number) || !kind.once && fault.call == Some(number) {
            fault.call = Some(number);
            fail(fault.pid, number, kind.error);
        } else if let Stop::Died(status) = next_call(fault.pid) {
            return Fault { died: Some(status), ..fault };
        }
    }
    fault
}

/// What is open in a process.
fn descriptors(pid: i32) -> BTreeSet<String> {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is a child of ours");
    all.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Files in /dev/shm of objects with this name.
fn files(name: &str) -> usize {
    let all = std::fs::read_dir("/dev/shm").expect("there is one").flatten();
    all.filter(|file| file.file_name().to_string_lossy().ends_with(name)).count()
}

/// Leaves the outcome of an operation for the one that watches: 1 for success, else 2, with the error's text.
fn leave(notes: &Notes, outcome: coview::Result<()>) {
    let Err(error) = outcome else { return notes.word(0).store(1, SeqCst) };
    let text = format!("{error:?}");
    let bytes = text.as_bytes();
    let bytes = &bytes[..bytes.len().min(2000)];
    notes.word(1).store(bytes.len() as u32, SeqCst);
    for (at, byte) in bytes.iter().enumerate() {
        notes.word(2 + at / 4).fetch_or(u32::from(*byte) << (at % 4 * 8), SeqCst);
    }
    notes.word(0).store(2, SeqCst);
}

/// The error's text that was left, if there was one; clears the notes.
fn read(notes: &Notes) -> Option<String> {
    let outcome = notes.word(0).swap(0, SeqCst);
    let len = notes.word(1).swap(0, SeqCst) as usize;
    let bytes: Vec<u8> = (0..len.div_ceil(4)).flat_map(|at| notes.word(2 + at).swap(0, SeqCst).to_le_bytes()).collect();
    (outcome == 2).then(|| String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// After whatever happened to the victim: the name can be used as if it had never been there, and then nothing of it is left.
fn survive(operation: &Operation, name: &str, held: usize, what: &dyn Fn() -> String) {
    (operation.run)(name).unwrap_or_else(|error| panic!("{}: {error:?}", what()));
    assert_eq!(files(name), held, "{}: something is left", what());
}

fn for_each(run: &dyn Fn(&Operation, &str, usize)) {
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let name = name(&format!("object {index}"));
        let held = (operation.held)(&name);
        (operation.run)(&name).expect("it works");
        run(operation, &name, files(&name));
        drop(held);
        assert_eq!(files(&name), 0, "{}: something is left", operation.what);
    }
}

/// Killed at the entry and at the exit of every call.
pub(crate) fn kill_at_calls() {
    for_each(&|operation, name, held| {
        let victim = |begin: &dyn Fn()| {
            begin();
            (operation.run)(name).expect("it works");
        };
        let mut kills = 0;
        loop {
            let pid = start_traced(&victim);
            let ended = (0..=kills).any(|_| match next_call(pid) {
                Stop::Died(status) => panic!("{} died by itself: {status:#x}", operation.what),
                stop => matches!(stop, Stop::End),
            });
            kill(pid);
            survive(operation, name, held, &|| format!("{}, killed at {kills}", operation.what));
            if ended {
                break;
            }
            kills += 1;
        }
        println!("{}: killed at {kills} entries and exits of calls, 0 failures", operation.what);
        println!("count kills at system calls: {} {kills}", operation.what);
    });
}

/// Killed after so many instructions.
#[cfg(not(debug_assertions))]
pub(crate) fn kill_at_instructions() {
    for_each(&|operation, name, held| {
        let victim = |begin: &dyn Fn()| {
            begin();
            (operation.run)(name).expect("it works");
        };
        // Each is long, and killed at every call anyway.
        sweep_some(operation.what, 8, &victim, |at, _| {
            survive(operation, name, held, &|| format!("{}, killed after {at} instructions", operation.what));
            false
        });
    });
}

/// Each call fails in turn, in each way.
pub(crate) fn faults() {
    let notes = Notes::new();
    for_each(&|operation, name, held| {
        let victim = |begin: &dyn Fn()| {
            begin();
            leave(&notes, (operation.run)(name));
        };
        let pid = start(&victim);
        let open = descriptors(pid);
        kill(pid);
        let (mut injected, mut refused, mut wrong) = (0, 0, 0);
        for kind in KINDS {
            for index in 0.. {
                let fault = run_with_fault(&victim, index, kind);
                if fault.call.is_none() {
                    kill(fault.pid);
                    read(&notes);
                    match fault.ended {
                        true => break,
                        false => continue,
                    }
                }
                let what = || format!("{}: call {index}, {:?}, fails with {}", operation.what, fault.call, kind.error);
                // All failures are shown, not only the first.
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    look(&fault, read(&notes), &open, kind.words, (name, held), &what)
                }));
                if fault.died.is_none() {
                    kill(fault.pid);
                }
                survive(operation, name, held, &what);
                injected += 1;
                wrong += u32::from(outcome.is_err());
                refused += u32::from(outcome.unwrap_or(false));
            }
        }
        assert_eq!(wrong, 0, "{}: see above", operation.what);
        println!("{}: {injected} faults, {refused} refusals, 0 failures", operation.what);
        println!("count faults injected: {} {injected}", operation.what);
    });
}

/// At its end the victim has no descriptor more than before, its refusal names what was short, and nobody else sees anything of
/// it. Whether it was refused.
fn look(
    fault: &Fault,
    refusal: Option<String>,
    open: &BTreeSet<String>,
    words: &[&str],
    (name, held): (&str, usize),
    what: &dyn Fn() -> String,
) -> bool {
    assert_eq!(fault.died, None, "{}: the victim died by itself", what());
    assert_eq!(&descriptors(fault.pid), open, "{}: {refusal:?}", what());
    if let Some(text) = &refusal {
        let named = words.iter().any(|word| text.contains(word));
        assert!(named, "{}, and the error does not say so: {text}", what());
    }
    // Who could not unmap it has it until the process ends; who could not remove it leaves that to the next.
    if fault.call != Some(libc::SYS_munmap) {
        unseen(name, held, what);
    }
    refusal.is_some()
}

/// Nobody else sees anything of it, while the victim still lives.
fn unseen(name: &str, held: usize, what: &dyn Fn() -> String) {
    if held == 0 {
        let error = Mapping::open(name, Access::Read).map(|_| ()).expect_err(&what());
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}: {error:?}", what());
    }
    inspect::sweep(false).expect("it can be swept");
    assert_eq!(files(name), held, "{}: something is left", what());
}
