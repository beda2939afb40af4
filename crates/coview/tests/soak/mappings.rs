//! A storm: processes make, open, map, drop and die at random; an oracle watches that no rule of lifetime is broken.
//!
//! The oracle is a table of atomics in a plain file, which owes nothing to names: for each worker and name the id of
//! the object it holds. A worker enters an id once it has the object and strikes it out before it lets go, so an entry
//! of a worker that is not dying is a hold. An object's id is its first word, set once by whoever finds it zero.

use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use coview::{Access, Disposition, ErrorKind, Mapping, MappingOptions, View, inspect};

use crate::HANG;
use crate::common::place::Place;
use crate::common::{self, Dice, command};

const WORKERS: usize = 8;
const NAMES: usize = 3;
const SIZE: u64 = 8192;
/// Where each worker's stamp stands in an object: zero or the object's id.
const STAMPS: usize = 4096;

/// The table. Words of the file, by index.
struct Oracle(View);

/// One worker's hold on one name, as somebody else saw it.
#[derive(Clone, Copy)]
struct Seen {
    worker: usize,
    life: u64,
    id: u64,
}

impl Oracle {
    fn open(path: &str) -> Oracle {
        let file = MappingOptions::new().file(path).size(4096).create_unnamed().expect("the oracle's file");
        Oracle(file.view(Access::ReadWrite).expect("it can be mapped"))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.0.atomic(index * 8).expect("inside the table")
    }

    fn stop(&self) -> &AtomicU64 {
        self.word(0)
    }

    fn next_id(&self) -> &AtomicU64 {
        self.word(1)
    }

    fn violations(&self) -> &AtomicU64 {
        self.word(2)
    }

    /// Nanoseconds of the slowest operation.
    fn slowest(&self) -> &AtomicU64 {
        self.word(3)
    }

    fn created(&self) -> &AtomicU64 {
        self.word(4)
    }

    fn opened(&self) -> &AtomicU64 {
        self.word(5)
    }

    fn absent(&self) -> &AtomicU64 {
        self.word(6)
    }

    /// Odd while the worker is dying: set before the blow, and until its entries are struck out.
    fn life(&self, worker: usize) -> &AtomicU64 {
        self.word(16 + worker)
    }

    fn operations(&self, worker: usize) -> &AtomicU64 {
        self.word(32 + worker)
    }

    fn hold(&self, worker: usize, name: usize) -> &AtomicU64 {
        self.word(64 + worker * NAMES + name)
    }

    fn accuse(&self, what: &str) {
        if self.violations().fetch_add(1, SeqCst) < 20 {
            // In one piece, as others may be accusing too.
            let _ = std::io::stderr().write_all(format!("VIOLATION: {what}\n").as_bytes());
        }
    }

    /// What all others surely hold of a name now.
    fn holds(&self, name: usize, except: usize) -> Vec<Seen> {
        let others = (0..WORKERS).filter(|worker| *worker != except);
        let seen = others.map(|worker| {
            let life = self.life(worker).load(SeqCst);
            Seen { worker, life, id: self.hold(worker, name).load(SeqCst) }
        });
        seen.filter(|seen| seen.id != 0 && seen.life % 2 == 0 && self.life(seen.worker).load(SeqCst) == seen.life)
            .collect()
    }

    /// Ids are never used again, so who has the same entry as before shows that the object has lived all the time.
    fn still(&self, name: usize, seen: &Seen) -> bool {
        let id = self.hold(seen.worker, name).load(SeqCst);
        id == seen.id && self.life(seen.worker).load(SeqCst) == seen.life
    }
}

/// What a worker has of one name; in either list or both.
#[derive(Default)]
struct Hold {
    id: u64,
    mappings: Vec<Mapping>,
    views: Vec<View>,
}

struct Worker {
    me: usize,
    oracle: Oracle,
    names: Vec<String>,
    dice: Dice,
}

/// Arguments: the oracle's file, which worker, a seed, the names.
pub(crate) fn worker(args: &[String]) {
    let [oracle, me, seed, names @ ..] = args else { panic!("four arguments and more") };
    let (me, seed): (usize, u64) = (me.parse().expect("a number"), seed.parse().expect("a number"));
    let worker = Worker { me, oracle: Oracle::open(oracle), names: names.to_vec(), dice: Dice::new(seed) };
    let mut holds: [Hold; NAMES] = Default::default();
    while worker.oracle.stop().load(SeqCst) == 0 {
        let name = worker.dice.below(NAMES as u64) as usize;
        // Few holders a name, so that it often has none: there the races are.
        if holds[name].id == 0 && worker.dice.below(8) != 0 {
            continue;
        }
        let since = Instant::now();
        match holds[name].id {
            0 => holds[name] = worker.get(name),
            _ => worker.use_it(name, &mut holds[name]),
        }
        worker.oracle.slowest().fetch_max(since.elapsed().as_nanos() as u64, SeqCst);
        worker.oracle.operations(me).fetch_add(1, SeqCst);
        if worker.dice.below(3000) == 0 {
            worker.oracle.life(me).fetch_or(1, SeqCst);
            std::process::abort();
        }
    }
    (0..NAMES).for_each(|name| worker.oracle.hold(me, name).store(0, SeqCst));
}

impl Worker {
    /// Opens, makes, or opens or makes.
    fn get(&self, name: usize) -> Hold {
        let (text, others) = (&self.names[name], self.oracle.holds(name, self.me));
        let options = MappingOptions::new().size(SIZE);
        let outcome = match self.dice.below(8) {
            0 => Mapping::open(text, Access::Read).map(|mapping| (mapping, Disposition::Opened)),
            1..4 => Mapping::open(text, Access::ReadWrite).map(|mapping| (mapping, Disposition::Opened)),
            4..6 => options.create(text).map(|mapping| (mapping, Disposition::Created)),
            _ => options.open_or_create(text),
        };
        let kind = outcome.as_ref().map_or_else(|error| Some(error.kind()), |_| None);
        let fresh = outcome.as_ref().is_ok_and(|made| made.1 == Disposition::Created);
        if fresh || kind == Some(ErrorKind::NotFound) {
            for seen in others.iter().filter(|seen| self.oracle.still(name, seen)) {
                let what = if fresh { "made anew" } else { "not found" };
                self.oracle.accuse(&format!("{text} was {what} while worker {} held {}", seen.worker, seen.id));
            }
        }
        match outcome {
            Ok((mapping, _)) => {
                let counter = if fresh { self.oracle.created() } else { self.oracle.opened() };
                counter.fetch_add(1, SeqCst);
                self.take(name, mapping)
            }
            Err(error) => {
                self.oracle.absent().fetch_add(1, SeqCst);
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) {
                    self.oracle.accuse(&format!("{error:?}"));
                }
                Hold::default()
            }
        }
    }

    /// Enters a new hold and compares it with the others'.
    fn take(&self, name: usize, mapping: Mapping) -> Hold {
        let Some((id, view)) = self.identify(&mapping) else {
            return Hold::default();
        };
        self.oracle.hold(self.me, name).store(id, SeqCst);
        self.compare(name, id);
        self.check_stamps(name, id, &view);
        if view.access() == Access::ReadWrite {
            view.atomic::<AtomicU64>(STAMPS + 8 * self.me).expect("inside").store(id, SeqCst);
        }
        Hold { id, mappings: vec![mapping], views: vec![view] }
    }

    /// The object's id; none if a reader came before anybody has given it one.
    fn identify(&self, mapping: &Mapping) -> Option<(u64, View)> {
        let view = mapping.view(mapping.access()).expect("it can be mapped");
        let mut id = view.load::<AtomicU64>(0, SeqCst).expect("inside");
        if id == 0 && view.access() == Access::ReadWrite {
            let fresh = self.oracle.next_id().fetch_add(1, SeqCst) + 1;
            let word = view.atomic::<AtomicU64>(0).expect("inside");
            id = word.compare_exchange(0, fresh, SeqCst, SeqCst).map_or_else(|found| found, |_| fresh);
        }
        (id != 0).then_some((id, view))
    }

    fn compare(&self, name: usize, id: u64) {
        for other in self.oracle.holds(name, self.me).into_iter().filter(|other| other.id != id) {
            let (text, me) = (&self.names[name], self.me);
            let what = format!("{text} is {id} for worker {me} and {} for worker {}", other.id, other.worker);
            self.oracle.accuse(&what);
        }
    }

    fn check_stamps(&self, name: usize, id: u64, view: &View) {
        for worker in 0..WORKERS {
            let stamp = view.load::<AtomicU64>(STAMPS + 8 * worker, SeqCst).expect("inside");
            if stamp != 0 && stamp != id {
                self.oracle.accuse(&format!("{} is {id} and has bytes of {stamp}", self.names[name]));
            }
        }
    }

    /// Does something with an object that this worker holds.
    fn use_it(&self, name: usize, hold: &mut Hold) {
        let text = &self.names[name];
        match self.dice.below(14) {
            0 | 1 => match Mapping::open(text, Access::ReadWrite) {
                Ok(mapping) => {
                    match self.identify(&mapping) {
                        Some((id, _)) if id == hold.id => {}
                        other => {
                            let found = other.map(|(id, _)| id);
                            self.oracle.accuse(&format!("{text} is held as {} and opened as {found:?}", hold.id));
                        }
                    }
                    hold.mappings.push(mapping);
                    hold.mappings.truncate(4);
                }
                Err(error) => self.oracle.accuse(&format!("{text} is held as {} and: {error:?}", hold.id)),
            },
            2 => match Mapping::create(text, SIZE) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => self.oracle.accuse(&format!("{text} is held as {} and create says {other:?}", hold.id)),
            },
            3 => {
                let clone = hold.mappings.first().map(|mapping| mapping.try_clone().expect("there are descriptors"));
                hold.mappings.extend(clone);
                hold.mappings.truncate(4);
            }
            4 if !hold.views.is_empty() => hold.mappings.clear(),
            5 if !hold.mappings.is_empty() => hold.views.clear(),
            6 => self.compare(name, hold.id),
            7 => hold.views.iter().for_each(|view| self.check_stamps(name, hold.id, view)),
            _ => {
                self.oracle.hold(self.me, name).store(0, SeqCst);
                *hold = Hold::default();
            }
        }
    }
}

/// One worker's process, as the supervisor sees it.
struct Post {
    process: std::process::Child,
    operations: u64,
    since: Instant,
}

struct Supervisor<'a> {
    oracle: Oracle,
    path: String,
    names: Vec<String>,
    dice: &'a Dice,
    deaths: u64,
}

impl Supervisor<'_> {
    fn start(&self, me: usize) -> Post {
        let (me, seed) = (me.to_string(), self.dice.below(u64::MAX).to_string());
        let mut args: Vec<&str> = vec![&self.path, &me, &seed];
        args.extend(self.names.iter().map(String::as_str));
        let mut command = command("worker", &args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Post { process: common::start(&mut command).expect("a worker starts"), operations: 0, since: Instant::now() }
    }

    /// After its end: nothing it had entered counts any more.
    fn bury(&mut self, me: usize, post: &mut Post) {
        post.process.wait().expect("it can be waited for");
        self.deaths += 1;
        (0..NAMES).for_each(|name| self.oracle.hold(me, name).store(0, SeqCst));
        let life = self.oracle.life(me);
        life.store((life.load(SeqCst) | 1) + 1, SeqCst);
    }

    /// Kills, if it is to be killed or does nothing.
    fn strike(&self, me: usize, post: &mut Post, blow: bool) {
        let operations = self.oracle.operations(me).load(SeqCst);
        if operations != post.operations {
            (post.operations, post.since) = (operations, Instant::now());
        }
        let hangs = post.since.elapsed() > HANG;
        if hangs {
            self.oracle.accuse(&format!("worker {me} has done nothing for {HANG:?}"));
        }
        if blow || hangs {
            self.oracle.life(me).fetch_or(1, SeqCst);
            post.process.kill().expect("it can be killed");
        }
    }

    /// Starts those anew who have been killed or have ended themselves.
    fn raise(&mut self, me: usize, post: &mut Post, blow: bool) {
        if blow || post.process.try_wait().expect("it can be waited for").is_some() {
            self.bury(me, post);
            *post = self.start(me);
        }
    }
}

pub(crate) fn storm(time: Duration, seed: u64) {
    let here = Place::new("storm");
    let dice = Dice::new(seed);
    let path = here.path("oracle").to_string_lossy().into_owned();
    let names = vec![here.name("a"), here.name("b"), here.global("a")];
    let mut supervisor = Supervisor { oracle: Oracle::open(&path), path, names, dice: &dice, deaths: 0 };
    let mut posts: Vec<Post> = (0..WORKERS).map(|me| supervisor.start(me)).collect();
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        // The pace of the storm, not a synchronisation.
        std::thread::sleep(Duration::from_micros(dice.below(4000)));
        let victims = dice.below(1 << WORKERS) & dice.below(1 << WORKERS); // a quarter of them
        let blow = |me: usize| victims >> me & 1 == 1;
        posts.iter_mut().enumerate().for_each(|(me, post)| supervisor.strike(me, post, blow(me)));
        posts.iter_mut().enumerate().for_each(|(me, post)| supervisor.raise(me, post, blow(me)));
    }
    // Where the machine is busy, most were killed before they had begun: the last ones have the time that they need.
    common::until("a storm, not a breeze", || {
        posts.iter_mut().enumerate().for_each(|(me, post)| supervisor.raise(me, post, false));
        let oracle = &supervisor.oracle;
        [oracle.created(), oracle.opened(), oracle.absent()].iter().all(|count| count.load(SeqCst) > 0)
    });
    supervisor.oracle.stop().store(1, SeqCst);
    for (me, post) in posts.iter_mut().enumerate() {
        let ended = Instant::now() + HANG;
        while post.process.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > ended {
                supervisor.oracle.accuse(&format!("worker {me} does not end"));
                post.process.kill().expect("it can be killed");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    report(&supervisor, &here, seed);
}

fn report(supervisor: &Supervisor<'_>, here: &Place, seed: u64) {
    let oracle = &supervisor.oracle;
    let operations: u64 = (0..WORKERS).map(|me| oracle.operations(me).load(SeqCst)).sum();
    let [created, opened, absent, slowest, violations] =
        [oracle.created(), oracle.opened(), oracle.absent(), oracle.slowest(), oracle.violations()]
            .map(|w| w.load(SeqCst));
    let before = here.remains().len();
    println!(
        "storm seed {seed}: {operations} operations ({created} created, {opened} opened, {absent} neither), {} deaths, \
         slowest {:?}, {before} left before the sweep, {violations} violations",
        supervisor.deaths,
        Duration::from_nanos(slowest),
    );
    println!("count soak operations: mapping {operations}\ncount soak: killed {}", supervisor.deaths);
    inspect::sweep(false).expect("it can be swept");
    assert_eq!(here.remains(), [""; 0], "after the sweep");
    assert!(supervisor.deaths > 0, "a storm, not a breeze");
    assert_eq!(violations, 0, "seed {seed}; see above");
}
