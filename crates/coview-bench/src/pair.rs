//! Two processes of one contender, each pinned to its CPU, which take turns when they are told to.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_parent_process_death_signal, waitpid};
use rustix::thread::{CpuSet, sched_setaffinity, sched_yield};
use rustix::time::{ClockId, clock_gettime};

use crate::Result;
use crate::bare::memory;

/// Turns are whole multiples of this many calls, so that what works in batches ends with them.
pub(crate) const STEP: u64 = 64;
/// How long a side may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a side has to do now.
pub(crate) struct Turn {
    calls: u64,
    asleep: bool,
    paused: Cell<Duration>,
    control: &'static Control,
}

impl Turn {
    /// Does it as often as asked; how often that was.
    pub(crate) fn repeat(&self, mut work: impl FnMut()) -> u64 {
        (0..self.calls).for_each(|_| work());
        self.calls
    }

    /// As [`repeat`](Self::repeat), of work that says how much of its time counts.
    pub(crate) fn repeat_timed(&self, mut work: impl FnMut() -> Duration) -> u64 {
        self.repeat(|| {
            let start = Instant::now();
            let counts = work();
            self.paused.set(self.paused.get() + start.elapsed().saturating_sub(counts));
        })
    }

    /// Before sending to a side that is to sleep: lets it. Two who answer each other fast enough to find the answer there
    /// before they sleep would go on so for ever. This time does not count.
    pub(crate) fn let_sleep(&self) {
        if self.asleep {
            let start = Instant::now();
            while start.elapsed() < DOZE {
                std::hint::spin_loop();
            }
            self.paused.set(self.paused.get() + start.elapsed());
        }
    }

    /// Does it until the time is over; how often that was.
    pub(crate) fn until_over(&self, mut work: impl FnMut()) -> u64 {
        let mut done = 0;
        while self.control.over.load(Ordering::Relaxed) == 0 {
            work();
            done += 1;
        }
        done
    }
}

type Work = Box<dyn FnMut(&Turn) -> u64>;
type Open = Box<dyn FnOnce() -> Result<Work>>;

/// What the two processes do: each opens what it needs, and then has a piece of work for its turns, which says how
/// often it did it. The near side opens first and is the one that measures; in some contenders it is alone.
pub(crate) struct Sides {
    near: Open,
    far: Option<Open>,
}

impl Sides {
    pub(crate) fn alone<N>(near: impl FnOnce() -> Result<N> + 'static) -> Sides
    where
        N: FnMut(&Turn) -> u64 + 'static,
    {
        Sides { near: Box::new(|| Ok(Box::new(near()?))), far: None }
    }

    pub(crate) fn both<N, F>(
        near: impl FnOnce() -> Result<N> + 'static,
        far: impl FnOnce() -> Result<F> + 'static,
    ) -> Sides
    where
        N: FnMut(&Turn) -> u64 + 'static,
        F: FnMut(&Turn) -> u64 + 'static,
    {
        Sides { far: Some(Box::new(|| Ok(Box::new(far()?)))), ..Sides::alone(near) }
    }
}

/// How long a turn is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// So many calls, rounded up to whole [`STEP`]s, after an eighth as many that are not measured.
    Calls(u64),
    /// The same, and each sends only when the other had the time to fall asleep.
    Asleep(u64),
    /// Until this time is over.
    Time(Duration),
}

/// What a side is told, before a number of calls.
const END: u64 = 0;
const CALLS: u64 = 1;
const ASLEEP: u64 = 2;
const TIME: u64 = 3;
/// So long one side lets the other go to sleep: above what anybody spins, and not so long that the CPU sleeps deeper.
const DOZE: Duration = Duration::from_micros(10);

/// What one side did in its turn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) done: u64,
    /// Without the time that it let the other go to sleep.
    pub(crate) ns: u64,
    /// That time.
    pub(crate) paused: u64,
    /// How often it gave up the CPU because it had to wait.
    pub(crate) sleeps: u64,
}

/// What both did; the far one nothing, if there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) near: Share,
    pub(crate) far: Share,
}

/// In memory that the driver and both sides share.
#[derive(Default)]
struct Control {
    /// Set by the near side when both have begun.
    begun: AtomicU32,
    over: AtomicU32,
    arrived: AtomicU64,
}

impl Control {
    /// Waits until all sides have come here for the `time`th time.
    fn meet(&self, sides: u64, time: &mut u64) {
        *time += 1;
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0u32;
        while self.arrived.load(Ordering::Acquire) < sides * *time {
            looks += 1;
            match looks % 4096 {
                0 => sched_yield(),
                _ => std::hint::spin_loop(),
            }
        }
    }
}

/// The two processes, as the driver sees them.
pub(crate) struct Pair {
    sides: Vec<Side>,
    /// A side failed, so the other may wait for it for ever.
    broken: bool,
    control: &'static Control,
}

struct Side {
    pid: Pid,
    wire: UnixStream,
}

impl Pair {
    /// Starts the processes and waits until each has opened what it needs.
    pub(crate) fn start(sides: Sides, cpus: [usize; 2]) -> Result<Pair> {
        let control = memory::shared(Control::default())?;
        let mut pair = Pair { sides: Vec::new(), broken: true, control };
        let count = 1 + u64::from(sides.far.is_some());
        for (open, cpu) in [Some(sides.near), sides.far].into_iter().flatten().zip(cpus) {
            let (wire, theirs) = UnixStream::pair()?;
            wire.set_read_timeout(Some(PATIENCE))?;
            let near = pair.sides.is_empty();
            let Some(pid) = fork()? else {
                drop(wire);
                serve(Birth { wire: theirs, cpu, near, control, sides: count }, open)
            };
            drop(theirs);
            pair.sides.push(Side { pid, wire });
            pair.sides.last_mut().map(Side::answer).transpose()?;
        }
        pair.broken = false;
        Ok(pair)
    }

    /// One turn of both.
    pub(crate) fn turn(&mut self, length: Length) -> Result<Reading> {
        self.control.begun.store(0, Ordering::Relaxed);
        self.control.over.store(0, Ordering::Relaxed);
        let order = match length {
            Length::Calls(calls) => [CALLS, calls.next_multiple_of(STEP)],
            Length::Asleep(calls) => [ASLEEP, calls.next_multiple_of(STEP)],
            Length::Time(_) => [TIME, 0],
        };
        self.sides.iter_mut().try_for_each(|side| send(&mut side.wire, order))?;
        if let Length::Time(time) = length {
            let patience = Instant::now() + PATIENCE;
            while self.control.begun.load(Ordering::Relaxed) == 0 && Instant::now() < patience {
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(time);
            self.control.over.store(1, Ordering::Relaxed);
        }
        let mut shares = [Share::default(); 2];
        self.broken = true;
        for (side, share) in self.sides.iter_mut().zip(&mut shares) {
            *share = side.answer()?;
        }
        self.broken = false;
        let [mut near, far] = shares;
        // The near side waited for the far one while that paused.
        near.ns = near.ns.saturating_sub(far.paused);
        Ok(Reading { near, far })
    }
}

impl Side {
    /// What it did, or why it could not.
    fn answer(&mut self) -> Result<Share> {
        let [done, ns, paused, sleeps, trouble] = receive(&mut self.wire).map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => "one of its processes died".to_owned(),
            io::ErrorKind::WouldBlock => format!("did not come back within {PATIENCE:?}"),
            _ => why.to_string(),
        })?;
        if trouble == 0 {
            return Ok(Share { done, ns, paused, sleeps });
        }
        let mut text = vec![0; usize::try_from(trouble)?];
        self.wire.read_exact(&mut text)?;
        Err(String::from_utf8_lossy(&text).into())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for side in &mut self.sides {
            // It ends by itself when told to, unless it hangs in what it closes.
            let told = !self.broken && send(&mut side.wire, [END, 0]).is_ok();
            let _ = side.wire.set_read_timeout(Some(Duration::from_secs(5)));
            if !told || side.wire.read(&mut [0]).is_err() {
                let _ = kill_process(side.pid, Signal::KILL);
            }
        }
        for side in &self.sides {
            let _ = waitpid(Some(side.pid), WaitOptions::empty());
        }
    }
}

/// What a side has of its own when it is born.
struct Birth {
    wire: UnixStream,
    cpu: usize,
    near: bool,
    /// Of both sides together.
    control: &'static Control,
    sides: u64,
}

/// The life of one side.
fn serve(mut birth: Birth, open: Open) -> ! {
    std::panic::set_hook(Box::new(|_| ()));
    let lived = catch_unwind(AssertUnwindSafe(|| live(&mut birth, open)));
    let trouble = match lived {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why.to_string()),
        Err(panic) => Some(words_of(&*panic)),
    };
    if let Some(text) = &trouble {
        let head = [0, 0, 0, 0, text.len() as u64];
        let _ = send(&mut birth.wire, head).and_then(|()| birth.wire.write_all(text.as_bytes()));
    }
    // SAFETY: it has no preconditions. Not `exit`: what the driver registered to run at its end is the driver's.
    unsafe { libc::_exit(i32::from(trouble.is_some())) }
}

fn live(birth: &mut Birth, open: Open) -> Result<()> {
    let Birth { wire, cpu, near, control, sides } = birth;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut set = CpuSet::new();
    set.set(*cpu);
    sched_setaffinity(None, &set).map_err(|why| format!("cannot run on CPU {cpu}: {why}"))?;
    let mut work = open()?;
    let mut met = 0;
    let mut turn = |verb, calls| {
        control.meet(*sides, &mut met);
        if verb == TIME && *near {
            control.begun.store(1, Ordering::Relaxed);
        }
        let turn = Turn { calls, asleep: verb == ASLEEP, paused: Cell::default(), control };
        let (before, start) = (sleeps(), Instant::now());
        let done = work(&turn);
        let (paused, all) = (turn.paused.get(), start.elapsed());
        [done, (all - paused).as_nanos() as u64, paused.as_nanos() as u64, sleeps() - before, 0]
    };
    send(wire, [0; 5])?;
    loop {
        let [verb, calls] = receive(wire)?;
        if verb == END {
            return Ok(());
        }
        if verb != TIME {
            turn(verb, (calls / 8).next_multiple_of(STEP));
        }
        send(wire, turn(verb, calls))?;
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("panicked").to_owned()
}

/// A second process that goes on from here; `None` in it.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the driver has several threads, so it cannot be forked"));
    }
    // SAFETY: this is the only thread, as was just seen, so no lock is held by another one that the child lacks.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        pid => Pid::from_raw(pid).filter(|_| pid > 0).map(Some).ok_or_else(io::Error::last_os_error),
    }
}

/// Lets a process of its own do this, kills it with all that this has given back, and waits until it has ended. `died`: when it was killed.
pub(crate) fn doom<T>(died: &AtomicU64, work: impl FnOnce() -> T) -> io::Result<()> {
    let Some(pid) = fork()? else {
        let kept = catch_unwind(AssertUnwindSafe(work));
        died.store(now(), Ordering::Release); // pairs with the Acquires of those who look whether it has died
        let _ = kill_process(getpid(), if kept.is_ok() { Signal::KILL } else { Signal::ABORT });
        unreachable!("nobody survives that")
    };
    let status = waitpid(Some(pid), WaitOptions::empty())?.and_then(|(_, status)| status.terminating_signal());
    match status == Some(Signal::KILL.as_raw()) {
        true => Ok(()),
        false => Err(io::Error::other("who was to die ended before")),
    }
}

/// Nanoseconds, as all processes count them.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How often this process gave up the CPU by itself.
fn sleeps() -> u64 {
    usage(libc::RUSAGE_SELF).ru_nvcsw.cast_unsigned()
}

/// The CPU time of this process and of all sides that have ended.
pub(crate) fn cpu_time() -> Duration {
    let of = |who| {
        let usage = usage(who);
        [usage.ru_utime, usage.ru_stime]
    };
    let times = [of(libc::RUSAGE_SELF), of(libc::RUSAGE_CHILDREN)];
    times.as_flattened().iter().map(|t| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000)).sum()
}

fn usage(who: i32) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::uninit();
    // SAFETY: `usage` has room for what is written. It cannot fail for these two.
    unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    // SAFETY: the call above filled it.
    unsafe { usage.assume_init() }
}

fn send<const N: usize>(wire: &mut UnixStream, words: [u64; N]) -> io::Result<()> {
    wire.write_all(words.map(u64::to_ne_bytes).as_flattened())
}

fn receive<const N: usize>(wire: &mut UnixStream) -> io::Result<[u64; N]> {
    let mut bytes = [[0; 8]; N];
    wire.read_exact(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_ne_bytes))
}
