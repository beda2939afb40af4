//! Kills a process after every single instruction of an operation, in turn, and looks what the survivors find.
//!
//! A victim is a fork of this process that stops itself before and after the operation; in between it is stepped by
//! ptrace(2). Survivors use the real library on the real kernel. Every wait must end well before the back-stop of one
//! second, which would hide a lost wake-up. `COVIEW_STEP_POINTS` bounds the kills of each operation (they are spread
//! evenly); 0 is every instruction.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused))]
#![allow(unsafe_code, missing_docs)]

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    use coview::{Access, ErrorKind, Event, EventOptions, Mapping, Mutex, Semaphore, inspect};

    /// Less than the back-stop, more than any wake-up takes on a busy machine.
    const SOON: Duration = Duration::from_millis(700);
    /// A step that takes longer is a sleep in the kernel.
    const ASLEEP: Duration = Duration::from_millis(20);

    /// Kills of each operation unless told otherwise; code that is not optimised has ten times the instructions.
    const POINTS: u32 = if cfg!(debug_assertions) { 15 } else { 150 };

    /// How a victim came to be where it was killed.
    #[derive(Debug, PartialEq, Eq)]
    enum Reached {
        /// After so many instructions.
        Point,
        /// The operation was over before.
        End,
        /// It sleeps in the kernel and was killed there.
        Asleep,
    }

    /// Words that a victim leaves for the survivors: shared, anonymous, and not part of what is tested.
    struct Notes(*mut u32);

    impl Notes {
        fn new() -> Notes {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            // SAFETY: a fresh mapping at an address of the kernel's choice.
            let at =
                unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
            assert_ne!(at, libc::MAP_FAILED);
            Notes(at.cast())
        }

        fn word(&self, index: usize) -> &AtomicU32 {
            // SAFETY: inside the page, aligned, only touched atomically, never unmapped.
            unsafe { AtomicU32::from_ptr(self.0.wrapping_add(index)) }
        }
    }

    fn stop_here() {
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGSTOP) };
    }

    /// Waits until the victim stops or dies; `None` if it does neither for a while.
    fn wait_for_stop(pid: i32, patience: Option<Duration>) -> Option<i32> {
        let start = Instant::now();
        loop {
            let mut status = 0;
            let flags = if patience.is_some() { libc::WNOHANG } else { 0 } | libc::__WALL;
            // SAFETY: the status goes to a variable of ours.
            match unsafe { libc::waitpid(pid, &raw mut status, flags) } {
                0 if patience.is_some_and(|p| start.elapsed() > p) => return None,
                0 => std::hint::spin_loop(),
                got if got == pid => return Some(status),
                _ => panic!("waitpid: {}", std::io::Error::last_os_error()),
            }
        }
    }

    fn stopped_by(status: i32) -> Option<i32> {
        libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
    }

    fn kill(pid: i32) {
        // SAFETY: a signal to a child of ours that has not been waited for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        while !libc::WIFSIGNALED(wait_for_stop(pid, None).unwrap_or(0)) {}
    }

    /// Forks a victim and brings it to the beginning of the operation.
    fn start(prepare_and_run: &dyn Fn(&dyn Fn())) -> i32 {
        // SAFETY: this program has one thread whenever it gets here with locks of the allocator free: survivors' threads
        // only sleep in the kernel then.
        let pid = unsafe { libc::fork() };
        assert_ne!(pid, -1);
        if pid == 0 {
            // SAFETY: asks to be traced by the parent.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            prepare_and_run(&stop_here);
            stop_here();
            // SAFETY: ends the victim without running the parent's exit handlers.
            unsafe { libc::_exit(0) };
        }
        let status = wait_for_stop(pid, None).unwrap_or(0);
        assert_eq!(stopped_by(status), Some(libc::SIGSTOP), "the victim did not reach its beginning: {status:#x}");
        pid
    }

    /// Steps so many instructions and kills.
    fn kill_after(steps: u32, victim: &dyn Fn(&dyn Fn())) -> Reached {
        let pid = start(victim);
        let mut reached = Reached::Point;
        for _ in 0..steps {
            // SAFETY: the victim is a stopped tracee of ours.
            unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
            match wait_for_stop(pid, Some(ASLEEP)) {
                None => {
                    reached = Reached::Asleep;
                    break;
                }
                Some(status) => match stopped_by(status) {
                    Some(libc::SIGTRAP) => {}
                    Some(libc::SIGSTOP) => {
                        reached = Reached::End;
                        break;
                    }
                    _ => panic!("the victim died by itself: {status:#x}"),
                },
            }
        }
        kill(pid);
        reached
    }

    /// How many instructions the operation has, or has until it sleeps.
    fn length(victim: &dyn Fn(&dyn Fn())) -> u32 {
        let pid = start(victim);
        let mut count = 0;
        loop {
            // SAFETY: the victim is a stopped tracee of ours.
            unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
            match wait_for_stop(pid, Some(ASLEEP)).map(stopped_by) {
                Some(Some(libc::SIGTRAP)) => count += 1,
                _ => break,
            }
        }
        kill(pid);
        count
    }

    /// How far the points lie apart.
    fn stride(length: u32) -> usize {
        let points = std::env::var("COVIEW_STEP_POINTS").ok().and_then(|n| n.parse().ok()).unwrap_or(POINTS);
        if points == 0 { 1 } else { length.div_ceil(points).max(1) as usize }
    }

    struct Report {
        kills: u32,
        asleep: u32,
        seen: u32,
    }

    /// Kills at every point, or at evenly spread ones, and lets `survive` look each time; it says whether it saw what
    /// only a death inside brings about (an abandoned lock, a stale object).
    fn sweep(name: &str, victim: &dyn Fn(&dyn Fn()), mut survive: impl FnMut(u32, Reached) -> bool) {
        let length = length(victim);
        survive(length, Reached::Asleep);
        let stride = stride(length);
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
    }

    fn name(text: &str) -> String {
        format!("step-{text}-{}", std::process::id())
    }

    /// The lock is had soon, whoever died wherever.
    fn had_soon(mutex: &Mutex, at: u32) -> bool {
        let start = Instant::now();
        let lock = mutex.lock_timeout(SOON).unwrap();
        let lock = lock
            .unwrap_or_else(|| panic!("killed after {at} instructions: the lock is not had in {:?}", start.elapsed()));
        lock.is_abandoned()
    }

    fn mutex_lock_unlock() {
        let notes = Notes::new();
        let mutex = Mutex::create(&name("mutex")).unwrap();
        let inside = notes.word(0);
        let victim = |begin: &dyn Fn()| {
            begin();
            let guard = mutex.lock().unwrap().into_guard();
            inside.store(1, Ordering::SeqCst);
            inside.store(0, Ordering::SeqCst);
            drop(guard);
        };
        sweep("mutex: lock and unlock", &victim, |at, _| {
            let died_inside = inside.swap(0, Ordering::SeqCst) == 1;
            let abandoned = had_soon(&mutex, at);
            assert!(abandoned || !died_inside, "killed after {at} instructions, inside: it is not reported");
            assert!(!had_soon(&mutex, at), "abandonment is told once");
            abandoned
        });
    }

    /// A survivor that already waits while the victim dies.
    fn mutex_unlock_with_waiter() {
        let notes = Notes::new();
        let mutex = Mutex::create(&name("waited")).unwrap();
        let (locked, go) = (notes.word(0), notes.word(1));
        let victim = |begin: &dyn Fn()| {
            let guard = mutex.lock_timeout(Duration::from_secs(5)).unwrap().expect("free").into_guard();
            locked.store(1, Ordering::SeqCst);
            while go.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
            begin();
            drop(guard);
        };
        // The waiter is a process of its own: it locks whenever it is asked to and says how that went.
        let (ask, answer) = (notes.word(2), notes.word(3));
        let waiter = helper(&|| {
            loop {
                while ask.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_micros(50));
                }
                ask.store(0, Ordering::SeqCst);
                let lock = mutex.lock().unwrap();
                answer.store(1 + u32::from(lock.is_abandoned()), Ordering::SeqCst);
            }
        });
        let run = |steps: Option<u32>| -> (Reached, u32) {
            locked.store(0, Ordering::SeqCst);
            go.store(0, Ordering::SeqCst);
            answer.store(0, Ordering::SeqCst);
            let wrapped = |begin: &dyn Fn()| victim(begin);
            // The waiter goes to sleep on the lock while the victim has it; then the victim goes on.
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    until(|| locked.load(Ordering::SeqCst) == 1, "the victim has the lock");
                    ask.store(1, Ordering::SeqCst);
                    until(|| asleep(waiter), "the waiter sleeps");
                    go.store(1, Ordering::SeqCst);
                });
                let reached = match steps {
                    Some(steps) => (kill_after(steps, &wrapped), 0),
                    None => (Reached::End, length(&wrapped)),
                };
                until(|| answer.load(Ordering::SeqCst) != 0, "the waiter gets the lock");
                reached
            })
        };
        let (_, length) = run(None);
        let stride = stride(length);
        let (mut kills, mut seen) = (0, 0);
        for steps in (0..=length + 1).step_by(stride) {
            run(Some(steps));
            kills += 1;
            seen += u32::from(answer.load(Ordering::SeqCst) == 2);
            // It gave the lock back at once: free for the next round.
            had_soon(&mutex, steps);
        }
        kill_helper(waiter);
        println!(
            "mutex: unlock with a waiter: {length} instructions, {kills} kills, {seen} deaths noticed, 0 failures"
        );
    }

    /// Forks a process that runs for as long as it is needed.
    fn helper(run: &dyn Fn()) -> i32 {
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

    fn kill_helper(pid: i32) {
        kill(pid);
    }

    /// Polls with a deadline below the back-stop: what is waited for must come by a wake-up.
    fn until(done: impl Fn() -> bool, what: &str) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < SOON, "not in {SOON:?}: {what}");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Whether a process sleeps in a futex call.
    fn asleep(pid: i32) -> bool {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        // The number of futex, or of futex_waitv, as the kernel shows it.
        call.starts_with(&format!("{} ", libc::SYS_futex)) || call.starts_with("449 ")
    }

    /// The setter dies anywhere: a waiter that slept before goes through, at the latest when the next one sets.
    fn event_set(manual: bool) {
        let notes = Notes::new();
        let label = if manual { "manual" } else { "automatic" };
        let event = EventOptions::new().manual_reset(manual).create(&name(label)).unwrap();
        let (ask, answer) = (notes.word(0), notes.word(1));
        let waiters: Vec<i32> = (0..2)
            .map(|_| {
                helper(&|| {
                    loop {
                        while ask.load(Ordering::SeqCst) == 0 {
                            std::thread::sleep(Duration::from_micros(50));
                        }
                        event.wait().unwrap();
                        answer.fetch_add(1, Ordering::SeqCst);
                        while ask.load(Ordering::SeqCst) != 0 {
                            std::thread::sleep(Duration::from_micros(50));
                        }
                        answer.fetch_sub(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let arm = || {
            event.reset().unwrap();
            until(|| answer.load(Ordering::SeqCst) == 0, "the waiters are back");
            ask.store(1, Ordering::SeqCst);
            until(|| waiters.iter().all(|pid| asleep(*pid)), "the waiters sleep");
        };
        let victim = |begin: &dyn Fn()| {
            begin();
            event.set().unwrap();
        };
        arm();
        sweep(&format!("event ({label}): set with two waiters"), &victim, |_, _| {
            let by_the_dead = answer.load(Ordering::SeqCst) > 0;
            event.set().unwrap();
            until(|| answer.load(Ordering::SeqCst) >= 1, "one waiter goes through");
            until(
                || {
                    if !manual && answer.load(Ordering::SeqCst) < 2 {
                        event.set().unwrap();
                    }
                    answer.load(Ordering::SeqCst) == 2
                },
                "the other goes through",
            );
            ask.store(0, Ordering::SeqCst);
            arm();
            by_the_dead
        });
        waiters.into_iter().for_each(kill_helper);
    }

    /// A waiter dies anywhere, also asleep or with a wake-up in its hands: the other one gets what is set.
    fn event_wait() {
        let notes = Notes::new();
        let event = Event::create(&name("wait")).unwrap();
        let (ask, answer) = (notes.word(0), notes.word(1));
        let other = helper(&|| {
            loop {
                while ask.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_micros(50));
                }
                ask.store(0, Ordering::SeqCst);
                event.wait().unwrap();
                answer.store(1, Ordering::SeqCst);
            }
        });
        let arm = || {
            answer.store(0, Ordering::SeqCst);
            ask.store(1, Ordering::SeqCst);
            until(|| ask.load(Ordering::SeqCst) == 0 && asleep(other), "the other waiter sleeps");
        };
        let victim = |begin: &dyn Fn()| {
            begin();
            event.wait().unwrap();
        };
        arm();
        sweep("event: wait, killed, beside another waiter", &victim, |_, _| {
            event.set().unwrap();
            until(|| answer.load(Ordering::SeqCst) == 1, "the other waiter goes through");
            arm();
            false
        });
        kill_helper(other);
    }

    fn semaphore() {
        let permits = Semaphore::create(&name("permits"), 1, 1).unwrap();
        let victim = |begin: &dyn Fn()| {
            begin();
            permits.acquire().unwrap();
            permits.release(1).unwrap().unwrap();
        };
        sweep("semaphore: acquire and release", &victim, |at, _| {
            // A permit taken by the dead is gone; anything but 0 or 1 would be wrong.
            let had = permits.try_acquire().unwrap();
            assert!(!permits.try_acquire().unwrap(), "killed after {at} instructions: a permit too many");
            assert_eq!(permits.release(1).unwrap(), Ok(0));
            !had
        });
    }

    /// The only holder dies anywhere between making and removing: no dead name, nothing left, the next one is zeroed.
    fn mapping_create_close() {
        let name = name("made");
        let victim = |begin: &dyn Fn()| {
            begin();
            let mapping = Mapping::create(&name, 4096).unwrap();
            mapping.view(Access::ReadWrite).unwrap().write(0, b"dirty").unwrap();
            drop(mapping);
        };
        sweep("mapping: create, write, close", &victim, |at, _| {
            let stale = inspect::find(&name).unwrap().is_some();
            let absent = Mapping::open(&name, Access::Read).map(|_| ()).unwrap_err();
            assert_eq!(absent.kind(), ErrorKind::NotFound, "killed after {at} instructions");
            let again = Mapping::create(&name, 4096).unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
            let mut bytes = [1; 5];
            again.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
            assert_eq!(bytes, [0; 5], "killed after {at} instructions");
            drop(again);
            assert!(inspect::find(&name).unwrap().is_none(), "killed after {at} instructions: something is left");
            stale
        });
    }

    /// A holder lives: whoever opens and dies, its name stays.
    fn mapping_open_close_beside_a_holder() {
        let name = name("held");
        let held = Mapping::create(&name, 4096).unwrap();
        held.view(Access::ReadWrite).unwrap().write(0, b"alive").unwrap();
        let victim = |begin: &dyn Fn()| {
            begin();
            let mapping = Mapping::open(&name, Access::Read).unwrap();
            mapping.view(Access::Read).unwrap().read(0, &mut [0]).unwrap();
            drop(mapping);
        };
        sweep("mapping: open, read, close beside a holder", &victim, |at, _| {
            let again =
                Mapping::open(&name, Access::Read).unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
            let mut bytes = [0; 5];
            again.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
            assert_eq!(&bytes, b"alive", "killed after {at} instructions: another object has the name");
            false
        });
    }

    /// A dead object is in the way: whoever removes it and dies in between, the next one finishes.
    fn mapping_collect() {
        let name = name("dead");
        let leave_one = || {
            let maker = helper(&|| {
                std::mem::forget(Mapping::create(&name, 4096).unwrap());
                // SAFETY: ends the maker at once; the object stays behind without a holder.
                unsafe { libc::_exit(0) };
            });
            wait_for_stop(maker, None);
        };
        let victim = |begin: &dyn Fn()| {
            begin();
            let _ = Mapping::open(&name, Access::Read);
        };
        leave_one();
        sweep("mapping: open of a dead one", &victim, |at, _| {
            let stale = inspect::find(&name).unwrap().is_some();
            let absent = Mapping::open(&name, Access::Read).map(|_| ()).unwrap_err();
            assert_eq!(absent.kind(), ErrorKind::NotFound, "killed after {at} instructions");
            assert!(inspect::find(&name).unwrap().is_none(), "killed after {at} instructions: something is left");
            leave_one();
            stale
        });
        inspect::sweep(false).unwrap();
    }

    /// A /dev/shm of our own, where the machine lets us: what others do there would be stepped through too.
    fn own_dev_shm() {
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

    fn pin_to_one_cpu() {
        let mut set = rustix::thread::CpuSet::new();
        set.set(0);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }

    pub(super) fn main() {
        // As libtest has it, for those who list tests.
        if std::env::args().any(|arg| arg == "--list") {
            println!("stepper: test");
            return;
        }
        own_dev_shm();
        pin_to_one_cpu();
        let start = Instant::now();
        mutex_lock_unlock();
        mutex_unlock_with_waiter();
        event_set(false);
        event_set(true);
        event_wait();
        semaphore();
        mapping_create_close();
        mapping_open_close_beside_a_holder();
        mapping_collect();
        println!("killed at every point in {:.0?}", start.elapsed());
        println!("9 passed, 0 failed");
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}
