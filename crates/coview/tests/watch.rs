//! Events and semaphores as descriptors in epoll loops, between real processes: kills, forks and many at once.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod common;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::linux::{exit_now, path_of};
use common::{Child, PATIENCE, hear, say, until};
use coview::os::linux::Watch;
use coview::{ErrorKind, Event, EventOptions, Semaphore};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::{Signal, WaitOptions};

const LEVEL: EventFlags = EventFlags::IN;
const EDGE: EventFlags = EventFlags::IN.union(EventFlags::ET);

#[test]
fn child() {
    common::child(&[
        ("obey", obey),
        ("watch", |args| {
            let (event, poll) = (Event::open(&args[0]).unwrap(), Poll::new());
            let watch = event.watch().unwrap();
            poll.add(&watch, EDGE, 0);
            while !watch.try_take().unwrap() {
                say("watching");
                assert_eq!(poll.wait(PATIENCE), [0]);
            }
            say("through");
        }),
        ("watch and take", |args| {
            let (event, poll) = (Event::open(&args[0]).unwrap(), Poll::new());
            let watch = event.watch().unwrap();
            poll.add(&watch, EDGE, 0);
            say("watching");
            loop {
                poll.wait(PATIENCE);
                while watch.try_take().unwrap() {}
            }
        }),
        ("wait", |args| {
            let event = Event::open(&args[0]).unwrap();
            say("waiting");
            event.wait().unwrap();
            say("through");
        }),
        ("rounds", |args| {
            let event = Event::open(&args[0]).unwrap();
            let (go, done) = (Semaphore::open(&args[1]).unwrap(), Semaphore::open(&args[2]).unwrap());
            for _ in 0..ROUNDS {
                go.acquire().unwrap();
                event.wait().unwrap();
                done.release(1).unwrap().unwrap();
            }
        }),
        ("many", many),
        ("churn", churn),
        ("old kernel", old_kernel),
        ("forker", forker),
        ("forks in the midst", forks_in_the_midst),
    ]);
}

/// Does what it is told, line by line.
fn obey(args: &[String]) {
    let (event, permits) = (Event::open(&args[0]).unwrap(), Semaphore::open(&args[1]).unwrap());
    while let Some(line) = hear() {
        match line.parse() {
            Ok(count) => drop(permits.release(count).unwrap().unwrap()),
            Err(_) => event.set().unwrap(),
        }
        say("done");
    }
}

fn name(text: &str) -> String {
    format!("watch-{text}-{}", std::process::id())
}

/// An epoll instance.
struct Poll(OwnedFd);

impl Poll {
    fn new() -> Poll {
        Poll(epoll::create(CreateFlags::CLOEXEC).unwrap())
    }

    fn add(&self, fd: impl AsFd, how: EventFlags, number: u64) {
        epoll::add(&self.0, fd, EventData::new_u64(number), how).unwrap();
    }

    /// The numbers of those that are readable, or nothing when the time is over.
    fn wait(&self, time: Duration) -> Vec<u64> {
        let mut events = Vec::with_capacity(512);
        let time = time.try_into().unwrap();
        rustix::io::retry_on_intr(|| epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&time)))
            .unwrap();
        events.iter().map(|event: &epoll::Event| event.data.u64()).collect()
    }

    fn is_quiet(&self) -> bool {
        self.wait(Duration::ZERO).is_empty()
    }
}

/// Forks; whether this is the child, which ends with its parent, even if it hangs.
fn fork() -> bool {
    let child = common::linux::fork();
    if child {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    }
    child
}

/// How many helper threads this process has.
fn helpers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    tasks.filter(|comm| std::fs::read_to_string(comm).is_ok_and(|name| name == "coview-watch\n")).count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn set_and_released_elsewhere() {
    let (event, permits) = (name("elsewhere"), name("permits"));
    let (e, p) = (Event::create(&event).unwrap(), Semaphore::create(&permits, 0, 9).unwrap());
    let mut other = Child::start("obey", &[&event, &permits]);
    let mut tell = |line: &str| {
        other.send(line);
        other.expect("done");
    };
    for how in [LEVEL, EDGE] {
        let poll = Poll::new();
        let (event, permits) = (e.watch().unwrap(), p.watch().unwrap());
        poll.add(&event, how, 1);
        poll.add(&permits, how, 2);
        assert_eq!(poll.wait(PATIENCE), [1, 2], "new ones are looked at first");
        assert!(!event.try_take().unwrap() && !permits.try_take().unwrap());
        assert!(poll.is_quiet());
        tell("set");
        assert_eq!(poll.wait(PATIENCE), [1]);
        assert!(event.try_take().unwrap() && !event.try_take().unwrap() && poll.is_quiet());
        tell("3");
        for _ in 0..3 {
            assert!(how == EDGE || poll.wait(PATIENCE) == [2], "readable while there is more");
            assert!(permits.try_take().unwrap());
        }
        assert!(!permits.try_take().unwrap());
        tell("1");
        assert_eq!(poll.wait(PATIENCE), [2], "and the next edge comes");
        assert!(permits.try_take().unwrap());
        // The helper may still be on its way with the three that were taken before it came: then one look is for nothing.
        until("it is quiet", || !permits.try_take().unwrap() && poll.is_quiet());
    }
    other.wait();
}

#[test]
fn a_manual_event_stays_readable_until_it_is_reset() {
    let event = EventOptions::new().manual_reset(true).create(&name("manual")).unwrap();
    let (watch, poll) = (event.watch().unwrap(), Poll::new());
    poll.add(&watch, LEVEL, 0);
    assert!(!watch.try_take().unwrap() && poll.is_quiet());
    event.set().unwrap();
    for _ in 0..3 {
        assert_eq!(poll.wait(PATIENCE), [0]);
        assert!(watch.try_take().unwrap());
    }
    event.reset().unwrap();
    assert!(!watch.try_take().unwrap() && poll.is_quiet());
}

#[test]
fn somebody_else_may_be_faster() {
    let event = Event::create(&name("faster")).unwrap();
    let (watch, poll) = (event.watch().unwrap(), Poll::new());
    poll.add(&watch, LEVEL, 0);
    for _ in 0..1000 {
        assert!(!watch.try_take().unwrap());
        event.set().unwrap();
        assert!(event.try_wait().unwrap());
        // Told or not, it is armed again by the next look, and not told again without a reason.
        assert!(!watch.try_take().unwrap());
    }
    event.set().unwrap();
    until("the last one is told", || poll.wait(PATIENCE) == [0] && watch.try_take().unwrap());
}

/// Permits come in pairs, at any moment of a look, and are taken singly by somebody who comes back while it is readable.
#[test]
fn it_is_readable_while_there_is_more() {
    let permits = Semaphore::create(&name("pairs"), 0, 2).unwrap();
    let (watch, poll) = (permits.watch().unwrap(), Poll::new());
    poll.add(&watch, LEVEL, 0);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            while taken.load(Ordering::Relaxed) < 40_000 {
                assert_eq!(poll.wait(PATIENCE), [0]);
                if watch.try_take().unwrap() {
                    taken.fetch_add(1, Ordering::Release);
                }
            }
        });
        for pair in 0..20_000 {
            while taken.load(Ordering::Acquire) < 2 * pair {
                assert!(!taker.is_finished());
                std::hint::spin_loop();
            }
            // The look that finds nothing has begun, and has come some way.
            (0..pair % 100).for_each(|_| std::hint::spin_loop());
            permits.release(2).unwrap().unwrap();
        }
    });
}

const ROUNDS: usize = 10_000;

/// Two waiters in two processes, one asleep in a system call and one in epoll. Who has gone through waits for the next
/// round, so of two sets each must have one.
#[test]
fn two_sets_serve_a_watcher_and_a_blocked_one() {
    let (event, go, done) = (name("both"), name("go"), name("done"));
    let (e, g) = (Event::create(&event).unwrap(), Semaphore::create(&go, 0, 2).unwrap());
    let d = Semaphore::create(&done, 0, 2).unwrap();
    let blocked = Child::start("rounds", &[&event, &go, &done]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (watch, poll) = (e.watch().unwrap(), Poll::new());
            poll.add(&watch, EDGE, 0);
            for _ in 0..ROUNDS {
                assert!(g.acquire_timeout(PATIENCE).unwrap());
                while !watch.try_take().unwrap() {
                    assert_eq!(poll.wait(PATIENCE), [0]);
                }
                d.release(1).unwrap().unwrap();
            }
        });
        for round in 0..ROUNDS {
            g.release(2).unwrap().unwrap();
            for _ in 0..2 {
                e.set().unwrap();
                assert!(d.acquire_timeout(PATIENCE).unwrap(), "nobody came in round {round}");
            }
        }
    });
    blocked.wait();
    assert!(!e.try_wait().unwrap());
}

#[test]
fn a_killed_watcher_costs_nobody_a_wake_up() {
    let name = name("killed");
    let event = Event::create(&name).unwrap();
    for round in 0..20 {
        let mut doomed = Child::start("watch", &[&name]);
        let mut other = Child::start("wait", &[&name]);
        doomed.expect("watching");
        other.expect("waiting");
        if round % 2 == 0 {
            doomed.kill();
            event.set().unwrap();
        } else {
            event.set().unwrap();
            doomed.kill();
            event.set().unwrap(); // the dead one may have taken the first
        }
        other.expect("through");
        other.wait();
        event.reset().unwrap();
    }
}

#[test]
fn a_watcher_is_killed_in_the_midst() {
    let name = name("midst");
    let event = Event::create(&name).unwrap();
    for round in 0..20 {
        let mut doomed = Child::start("watch and take", &[&name]);
        doomed.expect("watching");
        // Some way into its work, a different one each time: as many sets of ours.
        (0..round * 37 % 200).for_each(|_| event.set().unwrap());
        let mut other = Child::start("wait", &[&name]);
        other.expect("waiting");
        doomed.kill();
        event.set().unwrap(); // the dead one may have taken those before
        other.expect("through");
        other.wait();
        event.reset().unwrap();
    }
}

/// Less than the back-stop, which would hide a lost wake-up.
const LATE: Duration = Duration::from_millis(700);
/// Rounds of those who wait for a wake-up that somebody dies with, and how many of them may be late: a busy machine makes one so now
/// and then, and whoever loses the wake-up all of them, or each second.
const WAKE_UPS: u32 = 20;
const LATE_AT_MOST: u32 = 5;

/// The commit word of an event, as `docs/format.md` draws it.
struct Word {
    page: *mut u8,
}

impl Word {
    fn of(event: &Event) -> Word {
        let path = path_of(event.name().unwrap().to_string().trim_start_matches(r"Local\"));
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let (both, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping at an address of the kernel's choice, which stays for the life of this process.
        let page = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, both, shared, file, 0) }.unwrap();
        Word { page: page.cast() }
    }

    /// Sets the event as one who dies before he has woken anybody; then, as the kernel does in his place, wakes one.
    fn set_and_die(&self) {
        // SAFETY: inside the page, aligned, and only touched atomically.
        let word = unsafe { AtomicU64::from_ptr(self.page.wrapping_add(64).cast()) };
        // SAFETY: as above; the later half on a little-endian machine.
        let futex = unsafe { AtomicU32::from_ptr(self.page.wrapping_add(68).cast()) };
        // The main thread of a test program sleeps in the same call as those whom it starts.
        until("somebody sleeps", || word.load(Ordering::SeqCst) == 1 << 63);
        assert_eq!(word.swap(1, Ordering::SeqCst), 1 << 63, "and nobody was faster");
        rustix::thread::futex::wake(futex, rustix::thread::futex::Flags::empty(), 1).unwrap();
    }
}

/// Waits until a thread of that process sleeps in this system call.
fn asleep(child: &Child, call: i64) {
    until("it sleeps", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let calls = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("syscall")).unwrap_or_default());
        { calls }.any(|now| now.starts_with(&format!("{call} ")))
    });
}

fn watcher(name: &str) -> Child {
    let mut watcher = Child::start("watch", &[name]);
    watcher.expect("watching");
    asleep(&watcher, libc::SYS_futex_waitv);
    watcher
}

fn blocked(name: &str) -> Child {
    let mut blocked = Child::start("wait", &[name]);
    blocked.expect("waiting");
    asleep(&blocked, libc::SYS_futex);
    blocked
}

#[test]
fn a_setter_who_dies_before_the_wake_up_costs_nobody_one() {
    let name = name("setter");
    let event = EventOptions::new().manual_reset(true).create(&name).unwrap();
    let (word, mut late) = (Word::of(&event), 0);
    for round in 0..WAKE_UPS {
        // Both sleep, and the kernel wakes the one who slept first: he must pass it on.
        let first = (round % 2 == 0).then(|| watcher(&name));
        let mut blocked = blocked(&name);
        let mut watcher = first.unwrap_or_else(|| watcher(&name));
        let begun = Instant::now();
        word.set_and_die();
        blocked.expect("through");
        watcher.expect("through");
        late += u32::from(begun.elapsed() > LATE);
        event.reset().unwrap();
    }
    assert!(late <= LATE_AT_MOST, "{late} of {WAKE_UPS} came with the back-stop");
}

#[test]
fn a_helper_who_is_killed_with_a_wake_up_passes_it_on() {
    let name = name("in-hand");
    let event = EventOptions::new().manual_reset(true).create(&name).unwrap();
    let (word, mut late) = (Word::of(&event), 0);
    for _ in 0..WAKE_UPS {
        let (mut doomed, mut blocked) = (watcher(&name), blocked(&name));
        let begun = Instant::now();
        word.set_and_die();
        doomed.kill(); // at once, so mostly before the helper has run
        blocked.expect("through");
        late += u32::from(begun.elapsed() > LATE);
        event.reset().unwrap();
    }
    assert!(late <= LATE_AT_MOST, "{late} of {WAKE_UPS} came with the back-stop");
}

#[test]
fn three_hundred_have_three_helpers() {
    let name = name("many");
    let mut child = Child::start("many", &[&name]);
    child.expect("watching");
    for i in 0..300 {
        Event::open(&format!("{name}-{i}")).unwrap().set().unwrap();
    }
    child.expect("300 taken");
    child.expect("no helpers");
    child.wait();
}

fn many(args: &[String]) {
    let poll = Poll::new();
    let watch = |i: u64| {
        let watch = Event::create(&format!("{}-{i}", args[0])).unwrap().watch().unwrap();
        poll.add(&watch, EDGE, i);
        assert!(!watch.try_take().unwrap());
        watch
    };
    let watches: Vec<Watch> = (0..300).map(watch).collect();
    until("there are three helpers", || helpers() == 3); // a thread takes its name when it first runs
    say("watching");
    let mut taken = 0;
    while taken < watches.len() {
        for i in poll.wait(PATIENCE) {
            while watches[i as usize].try_take().unwrap() {
                taken += 1;
            }
        }
    }
    until("there are still three", || helpers() == 3); // one that was idle for a second has ended, and another begun
    say(&format!("{taken} taken"));
    drop(watches);
    until("the helpers have gone", || helpers() == 0);
    say("no helpers");
}

#[test]
fn a_thousand_times_leave_nothing() {
    let name = name("churn");
    let mut child = Child::start("churn", &[&name]);
    child.expect("done");
    child.wait();
}

fn churn(args: &[String]) {
    let before = descriptors();
    for _ in 0..1000 {
        // The name is free as soon as both are dropped, although the helper slept on it.
        let event = Event::create(&args[0]).unwrap();
        let watch = event.watch().unwrap();
        assert!(!watch.try_take().unwrap());
        drop(event);
        assert_eq!(Event::create(&args[0]).unwrap_err().kind(), ErrorKind::AlreadyExists, "a watch holds it open");
        drop(watch);
        until("there is one helper at most", || helpers() <= 1); // one that was idle for a second may be about to end
    }
    assert_eq!(descriptors(), before);
    say("done");
}

#[test]
fn before_linux_5_16() {
    let name = name("old");
    let event = Event::create(&name).unwrap();
    let mut child = Child::start("old kernel", &[&name]);
    for _ in 0..3 {
        child.expect("watching");
        event.set().unwrap();
        child.expect("through");
    }
    child.wait();
}

/// Watches where `futex_waitv` is not there.
fn old_kernel(args: &[String]) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0), // the number of the call
        libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_futex_waitv as u32)
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers alone.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its statements live during the call. It is for this thread and those it starts.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
    let (event, poll) = (Event::open(&args[0]).unwrap(), Poll::new());
    let watch = event.watch().unwrap();
    poll.add(&watch, LEVEL, 0);
    for _ in 0..3 {
        assert!(!watch.try_take().unwrap());
        say("watching");
        while !watch.try_take().unwrap() {
            assert_eq!(poll.wait(PATIENCE), [0]);
        }
        say("through");
    }
}

#[test]
fn a_fork_child_watches_anew() {
    let name = name("fork");
    let event = Event::create(&name).unwrap();
    let mut child = Child::start("forker", &[&name]);
    let mut said = [child.line(), child.line()];
    said.sort();
    assert_eq!(said, ["child: inherited Unsupported, helpers 0 to 1", "parent"]);
    event.set().unwrap();
    let first = child.line();
    event.set().unwrap();
    let mut through = [first, child.line()];
    through.sort();
    assert_eq!(through, ["child through", "parent through"]);
    child.wait();
}

fn forker(args: &[String]) {
    let event = Event::open(&args[0]).unwrap();
    let watch = event.watch().unwrap();
    assert!(!watch.try_take().unwrap());
    let through = |watch: &Watch| {
        let poll = Poll::new();
        poll.add(watch, LEVEL, 0);
        while !watch.try_take().unwrap() {
            assert_eq!(poll.wait(PATIENCE), [0]);
        }
    };
    if fork() {
        let inherited = watch.try_take().unwrap_err().kind();
        drop(watch);
        let (before, watch) = (helpers(), event.watch().unwrap());
        assert!(!watch.try_take().unwrap());
        until("the child has a helper", || helpers() == before + 1);
        say(&format!("child: inherited {inherited:?}, helpers {before} to {}", helpers()));
        through(&watch);
        say("child through");
        exit_now();
    }
    say("parent");
    through(&watch);
    say("parent through");
    let (_, status) = rustix::process::wait(WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
}

#[test]
fn a_fork_in_the_midst_of_watching_hangs_nobody() {
    let name = name("forks");
    let _event = EventOptions::new().manual_reset(true).initially_set(true).create(&name).unwrap();
    let mut child = Child::start("forks in the midst", &[&name]);
    child.expect("50 children");
    child.wait();
}

/// Forks while two threads arm and disarm all the time, so that many a child begins with the helpers' lock taken.
fn forks_in_the_midst(args: &[String]) {
    let never = Event::create(&format!("{}-never", args[0])).unwrap();
    let event = Event::open(&args[0]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert!(!never.watch().unwrap().try_take().unwrap());
                }
            });
        }
        for _ in 0..50 {
            // Not `common::linux::fork`, which is for roles without threads: the child does nothing that another thread of
            // the parent could hold a lock for, except what this test is about.
            let parent = std::process::id();
            if fork() {
                let (armed, watch) = (never.watch().unwrap(), event.watch().unwrap());
                let fine = !armed.try_take().unwrap() && watch.try_take().unwrap() && std::process::id() != parent;
                drop((armed, watch));
                if fine {
                    exit_now();
                }
                std::process::abort();
            }
            let (_, status) = rustix::process::wait(WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(0));
        }
        stop.store(true, Ordering::Relaxed);
    });
    say("50 children");
}
