//! Forks victims, steps them by ptrace(2), kills them after so many instructions.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Less than the back-stop, where there is one.
const SOON: Duration = Duration::from_millis(700);
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A broken variant runs, which is to fail.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// How long a wake-up may take. Without the back-stop what is lost never comes, so that nobody is blamed for a busy machine; a broken
/// variant is not waited for.
pub(crate) fn patience() -> Duration {
    match cfg!(coview_step) && !BROKEN.load(Ordering::Relaxed) {
        true => PATIENCE,
        false => SOON,
    }
}

/// A step that takes longer is a sleep in the kernel.
pub(crate) const ASLEEP: Duration = Duration::from_millis(20);

/// Kills of each operation unless told otherwise.
pub(crate) const POINTS: u32 = 60;

/// How a victim came to be where it was killed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// After so many instructions.
    Point,
    /// The operation was over before.
    End,
    /// It sleeps in the kernel and was killed there.
    Asleep,
}

/// Words that a victim leaves for the survivors: shared, anonymous, and not part of what is tested.
pub(crate) struct Notes(*mut u32);

impl Notes {
    pub(crate) fn new() -> Notes {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Notes(at.cast())
    }

    pub(crate) fn word(&self, index: usize) -> &AtomicU32 {
        // SAFETY: inside the page, aligned, only touched atomically, never unmapped.
        unsafe { AtomicU32::from_ptr(self.0.wrapping_add(index)) }
    }
}

pub(crate) fn stop_here() {
    // SAFETY: sends a signal to this thread.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Waits until the victim stops or dies; `None` if it does neither for a while.
pub(crate) fn wait_for_stop(pid: i32, patience: Option<Duration>) -> Option<i32> {
    let start = Instant::now();
    loop {
        let mut status = 0;
        let flags = if patience.is_some() { libc::WNOHANG } else { 0 } | libc::__WALL;
        // SAFETY: the status goes to a variable of ours.
        match unsafe { libc::waitpid(pid, &raw mut status, flags) } {
            0 if patience.is_some_and(|p| start.elapsed() > p) => return None,
            0 => std::thread::yield_now(), // to the victim, on the same processor
            got if got == pid => return Some(status),
            _ => panic!("waitpid: {}", std::io::Error::last_os_error()),
        }
    }
}

pub(crate) fn stopped_by(status: i32) -> Option<i32> {
    libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
}

pub(crate) fn kill(pid: i32) {
    // SAFETY: a signal to a child of ours that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while !libc::WIFSIGNALED(wait_for_stop(pid, None).unwrap_or(0)) {}
}

/// Forks a victim and brings it to the beginning of the operation.
pub(crate) fn start(prepare_and_run: &dyn Fn(&dyn Fn())) -> i32 {
    // SAFETY: this program has one thread whenever it gets here with locks of the allocator free: survivors' threads
    // only sleep in the kernel then.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1);
    if pid == 0 {
        // SAFETY: asks to be traced by the parent.
        unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        // It must not unwind into what the parent was doing.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| prepare_and_run(&stop_here)));
        ran.iter().for_each(|()| stop_here());
        // SAFETY: ends the victim without running the parent's exit handlers.
        unsafe { libc::_exit(101) };
    }
    let status = wait_for_stop(pid, None).unwrap_or(0);
    assert_eq!(stopped_by(status), Some(libc::SIGSTOP), "the victim did not reach its beginning: {status:#x}");
    pid
}

/// Waits for the end of a step; `None` if the victim sleeps in the kernel. A busy machine may keep it waiting, too.
fn wait_for_step(pid: i32) -> Option<i32> {
    loop {
        match wait_for_stop(pid, Some(ASLEEP)) {
            None if asleep(pid) => return None,
            None => {}
            stopped => return stopped,
        }
    }
}

/// Instructions inside of what must not be seen half done, so that evenly spread kills fall there, too.
pub(crate) fn some_work() {
    for n in 0..100 {
        std::hint::black_box(n);
    }
}

/// Steps so many instructions.
fn step(pid: i32, steps: u32) -> Reached {
    for _ in 0..steps {
        // SAFETY: the victim is a stopped tracee of ours.
        unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        match wait_for_step(pid).map(|status| (stopped_by(status), status)) {
            None => return Reached::Asleep,
            Some((Some(libc::SIGTRAP), _)) => {}
            Some((Some(libc::SIGSTOP), _)) => return Reached::End,
            Some((_, status)) => panic!("the victim died by itself: {status:#x}"),
        }
    }
    Reached::Point
}

/// Steps so many instructions and kills.
pub(crate) fn kill_after(steps: u32, victim: &dyn Fn(&dyn Fn())) -> Reached {
    let pid = start(victim);
    let reached = step(pid, steps);
    kill(pid);
    reached
}

/// How many instructions the operation has, or has until it sleeps.
pub(crate) fn length(victim: &dyn Fn(&dyn Fn())) -> u32 {
    let pid = start(victim);
    let mut count = 0;
    loop {
        // SAFETY: the victim is a stopped tracee of ours.
        unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        match wait_for_step(pid).map(stopped_by) {
            Some(Some(libc::SIGTRAP)) => count += 1,
            _ => break,
        }
    }
    kill(pid);
    count
}

/// Kills of each operation; 0: every one.
fn points() -> u32 {
    std::env::var("COVIEW_STEP_POINTS").ok().and_then(|n| n.parse().ok()).unwrap_or(POINTS)
}

/// How far the points lie apart.
pub(crate) fn stride(length: u32) -> usize {
    match points() {
        0 => 1,
        points => length.div_ceil(points).max(1) as usize,
    }
}

pub(crate) struct Report {
    kills: u32,
    asleep: u32,
    seen: u32,
}

/// Kills at every point, or at evenly spread ones, and lets `survive` look each time; it says whether it saw what
/// only a death inside brings about (an abandoned lock, a stale object).
pub(crate) fn sweep(name: &str, victim: &dyn Fn(&dyn Fn()), survive: impl FnMut(u32, Reached) -> bool) {
    sweep_some(name, 1, victim, survive);
}

/// As [`sweep`], at one of so many points; still at all of them when every point is asked for.
pub(crate) fn sweep_some(
    name: &str,
    one_of: usize,
    victim: &dyn Fn(&dyn Fn()),
    mut survive: impl FnMut(u32, Reached) -> bool,
) {
    let length = length(victim);
    survive(length, Reached::Asleep);
    let stride = if stride(length) == 1 { 1 } else { one_of * stride(length) };
    let mut report = Report { kills: 0, asleep: 0, seen: 0 };
    for steps in (0..=length + 1).step_by(stride) {
        let reached = kill_after(steps, victim);
        report.asleep += u32::from(reached == Reached::Asleep);
        report.kills += 1;
        report.seen += u32::from(survive(steps, reached));
    }
    println!(
        "{name}: {length} instructions, {} kills ({} asleep), {} deaths noticed, 0 failures",
        report.kills, report.asleep, report.seen
    );
    println!("count kills at instructions: {name} {}", report.kills);
}

pub(crate) fn name(text: &str) -> String {
    format!("step-{text}-{}", std::process::id())
}

/// Forks a process that runs for as long as it is needed.
pub(crate) fn helper(run: &dyn Fn()) -> i32 {
    // SAFETY: see `start`.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1);
    if pid == 0 {
        // A helper does not outlive a check that fails.
        // SAFETY: asks for a signal when the parent dies.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        run();
        // SAFETY: ends the helper without running the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    pid
}

pub(crate) fn kill_helper(pid: i32) {
    kill(pid);
}

/// Polls with a deadline below the back-stop: what is waited for must come by a wake-up.
pub(crate) fn until(done: impl Fn() -> bool, what: &str) {
    let (start, patience) = (Instant::now(), patience());
    while !done() {
        assert!(start.elapsed() < patience, "not in {patience:?}: {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Whether a process sleeps in a futex call.
pub(crate) fn asleep(pid: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    // The number of futex, or of futex_waitv, as the kernel shows it.
    call.starts_with(&format!("{} ", libc::SYS_futex)) || call.starts_with("449 ")
}

/// A /dev/shm of our own, where the machine lets us: what others do there would be stepped through too.
pub(crate) fn own_dev_shm() {
    // SAFETY: this program has one thread, and wants its mounts for itself.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        println!("not root: other programs' objects in /dev/shm are swept along");
        return;
    }
    let (none, root, shm) = (c"tmpfs".as_ptr(), c"/".as_ptr(), c"/dev/shm".as_ptr());
    // SAFETY: the strings are constants; no mount of ours spreads to others.
    unsafe { libc::mount(none, root, std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null()) };
    // SAFETY: as above.
    unsafe { libc::mount(none, shm, none, 0, c"mode=1777".as_ptr().cast()) };
}

pub(crate) fn pin_to_one_cpu() {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Steps so many instructions, lets `interfere` act in between, and lets the victim go on to its end, where it stays:
/// what it holds it holds until `look` is done.
pub(crate) fn pause_after(steps: u32, victim: &dyn Fn(&dyn Fn()), interfere: impl FnOnce(), look: impl FnOnce()) {
    let pid = start(victim);
    let reached = step(pid, steps);
    assert_ne!(reached, Reached::Asleep, "nothing here sleeps");
    interfere();
    if reached != Reached::End {
        // SAFETY: the victim is a stopped tracee of ours.
        unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, 0) };
        let status = wait_for_stop(pid, Some(patience())).expect("it comes to its end");
        assert_eq!(stopped_by(status), Some(libc::SIGSTOP), "the victim died by itself: {status:#x}");
    }
    look();
    kill(pid);
}

/// As [`sweep`], with a pause instead of a kill; `prepare` comes before each.
pub(crate) fn sweep_pauses(
    name: &str,
    prepare: &dyn Fn(),
    victim: &dyn Fn(&dyn Fn()),
    interfere: &dyn Fn(),
    look: &dyn Fn(u32),
) {
    prepare();
    let length = length(victim);
    let mut pauses = 0;
    for steps in (0..=length + 1).step_by(stride(length)) {
        prepare();
        pause_after(steps, victim, interfere, || look(steps));
        pauses += 1;
    }
    println!("{name}: {length} instructions, {pauses} pauses, 0 failures");
    println!("count pauses at instructions: {name} {pauses}");
}

/// Two victims, each killed after so many instructions of its own, in this order; pairs are spread evenly.
pub(crate) fn duel(
    name: &str,
    first: &dyn Fn(&dyn Fn()),
    second: &dyn Fn(&dyn Fn()),
    mut survive: impl FnMut(u32, u32),
) {
    let lengths = [length(first), length(second)];
    survive(lengths[0], lengths[1]);
    // As many pairs as the others have points.
    let strides = lengths.map(|length| match stride(length) {
        1 => 1,
        _ => (length as usize).div_ceil(points().isqrt().max(2) as usize).max(1),
    });
    let mut pairs = 0;
    for j in (0..=lengths[1] + 1).step_by(strides[1]) {
        for i in (0..=lengths[0] + 1).step_by(strides[0]) {
            let (a, b) = (start(first), start(second));
            step(b, j);
            step(a, i);
            kill(a);
            kill(b);
            survive(i, j);
            pairs += 1;
        }
    }
    println!("{name}: {} and {} instructions, {pairs} pairs of kills, 0 failures", lengths[0], lengths[1]);
    println!("count pairs of kills at instructions: {name} {pairs}");
}

/// Whether a sweep fails with a broken variant, as it must: what is broken may be so for one instruction only, so that
/// a sweep of some points that sees nothing is followed by one of every point.
#[cfg(coview_step)]
pub(crate) fn caught(variant: &'static str, sweep: &dyn Fn()) -> bool {
    fails(variant, points(), sweep) || fails(variant, 0, sweep)
}

/// Whether a sweep of so many points, in a fork, fails with a broken variant.
#[cfg(coview_step)]
fn fails(variant: &'static str, points: u32, sweep: &dyn Fn()) -> bool {
    let pid = helper(&|| {
        // SAFETY: this fork has one thread, and nobody else reads its environment.
        unsafe { std::env::set_var("COVIEW_STEP_POINTS", points.to_string()) };
        // What it prints is of no interest, nor is how it panics.
        // SAFETY: replaces this fork's own output.
        unsafe { libc::dup2(libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY), 1) };
        std::panic::set_hook(Box::new(|_| ()));
        coview::step::break_it(variant);
        BROKEN.store(true, Ordering::Relaxed);
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(sweep)).is_ok();
        // SAFETY: ends the fork without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(held)) };
    });
    let status = wait_for_stop(pid, None).unwrap_or(0);
    libc::WIFSIGNALED(status) || libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}
