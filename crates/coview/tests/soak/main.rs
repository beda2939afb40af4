//! A soak: processes use everything at random and are killed at random, and numbers tell what was lost.
//!
//! `COVIEW_SOAK` says for how long (`90`, `10m`, `8h`), `COVIEW_SEED` where the dice begin: with the same seed the same is decided, whom
//! to kill and after which pause, and what each process does next. How the machine's processors take turns is not decided by it.

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod mappings;
mod work;

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{Dice, Role, command, number, place::Place};
use coview::{Access, ErrorKind, MappingOptions, View};

/// Longer than anything here takes on a busy machine.
pub(crate) const HANG: Duration = common::PATIENCE;
/// As long as a role waits before it looks whether it is to end.
pub(crate) const BRIEF: Duration = Duration::from_millis(50);

/// What a process does, in which of the objects, and how many do so. The order is that of [`channels`] and [`work`].
const ROLES: [(&str, Role, &str, usize); 12] = [
    ("sender", channels::sender, "ring", channels::SENDERS),
    ("receiver", channels::receiver, "ring", 1),
    ("writer", channels::writer, "value", 2),
    ("reader", channels::reader, "value", 2),
    ("publisher", channels::publisher, "frames", channels::PUBLISHERS),
    ("subscriber", channels::subscriber, "frames", 2),
    ("producer", work::producer, "queue", 2),
    ("consumer", work::consumer, "queue", 2),
    ("client", work::client, "service", 2),
    ("server", work::server, "service", 2),
    ("clerk", work::clerk, "ledger", 3),
    ("passer", work::passer, "baton", 2),
];

#[test]
fn child() {
    let all: Vec<(&str, Role)> = ROLES.iter().map(|(name, role, ..)| (*name, *role)).collect();
    common::child(&[&all[..], &[("worker", mappings::worker)]].concat());
}

/// Seconds, or with a unit.
fn duration(text: &str) -> Duration {
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        unit => panic!("{unit:?} is no unit"),
    };
    Duration::from_secs(digits.parse::<u64>().expect("a number") * unit)
}

#[test]
fn soak() {
    let time = std::env::var("COVIEW_SOAK").map_or(Duration::from_secs(4), |text| duration(&text));
    let seed = number("COVIEW_SEED").unwrap_or(u64::from(std::process::id()));
    std::thread::scope(|scope| {
        scope.spawn(|| mappings::storm(time, seed));
        everything_else(time, seed);
    });
}

/// Words of a file, by index, which owe nothing to what is tested: who has begun and who has finished what.
pub(crate) struct Book(View);

impl Book {
    const SIZE: u64 = (64 + 5 * channels::LIVES) * 8 + 2 * work::TICKETS / 8;

    pub(crate) fn open(path: &str) -> Book {
        let file =
            MappingOptions::new().file(path).size(Book::SIZE).reserve(true).create_unnamed().expect("the book's file");
        Book(file.view(Access::ReadWrite).expect("it can be mapped"))
    }

    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        self.0.atomic(index * 8).expect("inside the file")
    }

    pub(crate) fn stop(&self) -> bool {
        self.word(0).load(SeqCst) != 0
    }

    pub(crate) fn tell(&self, what: &str) {
        self.word(1).fetch_add(1, SeqCst);
        eprintln!("process {}: {what}", std::process::id());
    }

    /// A death was noticed, and gone on from.
    pub(crate) fn recovered(&self) {
        self.word(3).fetch_add(1, SeqCst);
    }

    /// Of an error that is only the news of a death.
    pub(crate) fn expect(&self, error: &coview::Error, who: &str) {
        match error.kind() {
            ErrorKind::PeerDied => self.recovered(),
            _ => self.tell(&format!("{who}: {error:?}")),
        }
    }

    /// What a process has done, which shows that it does not hang.
    pub(crate) fn done(&self, process: usize) -> &AtomicU64 {
        self.word(8 + process)
    }
}

/// One process, as the supervisor sees it.
struct Post {
    role: &'static str,
    object: String,
    process: std::process::Child,
    done: u64,
    since: Instant,
}

fn start_role(role: &str, object: &str, path: &str, me: usize, dice: &Dice) -> std::process::Child {
    let mut command = command(role, &[object, path, &me.to_string(), &dice.below(1 << 30).to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    common::start(&mut command).expect("it starts")
}

/// Lets all come to their ends.
fn end(book: &Book, posts: &mut [Post]) {
    book.word(0).store(1, SeqCst);
    let ended = Instant::now() + HANG;
    for (me, post) in posts.iter_mut().enumerate() {
        while post.process.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > ended {
                book.tell(&format!("{} {me} does not end", post.role));
                post.process.kill().expect("it can be killed");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Kills some, and starts them anew, until the time is over; how many.
fn kill_at_random(book: &Book, posts: &mut [Post], path: &str, time: Duration, dice: &Dice) -> u64 {
    let (mut deaths, deadline) = (0, Instant::now() + time);
    while Instant::now() < deadline {
        // The pace of the soak, not a synchronisation.
        std::thread::sleep(Duration::from_micros(dice.below(60_000)));
        let victims = dice.below(1 << posts.len()) & dice.below(1 << posts.len()) & dice.below(1 << posts.len());
        for (me, post) in posts.iter_mut().enumerate() {
            let done = book.done(me).load(SeqCst);
            if done != post.done {
                (post.done, post.since) = (done, Instant::now());
            }
            let hangs = post.since.elapsed() > HANG;
            if hangs {
                book.tell(&format!("{} {me} has done nothing for {HANG:?}", post.role));
            }
            if hangs || victims >> me & 1 == 1 {
                post.process.kill().expect("it can be killed");
                post.process.wait().expect("it can be waited for");
                deaths += 1;
                post.process = start_role(post.role, &post.object, path, me, dice);
                post.since = Instant::now();
            }
        }
    }
    deaths
}

/// How much all who have this role, and had it before, have done.
fn done_by(role: &str, posts: &[Post], book: &Book) -> u64 {
    let of_it = posts.iter().enumerate().filter(|(_, post)| post.role == role);
    of_it.map(|(me, _)| book.done(me).load(SeqCst)).sum()
}

fn everything_else(time: Duration, seed: u64) {
    let here = Place::new("soak");
    let (dice, path) = (Dice::new(seed), here.path("book").to_string_lossy().into_owned());
    let book = Book::open(&path);
    let held = (channels::make(&here), work::make(&here));
    let mut posts: Vec<Post> = Vec::new();
    for (role, _, object, count) in ROLES {
        for _ in 0..count {
            let object = here.name(object);
            let process = start_role(role, &object, &path, posts.len(), &dice);
            posts.push(Post { role, object, process, done: 0, since: Instant::now() });
        }
    }
    let deaths = kill_at_random(&book, &mut posts, &path, time, &dice);
    // Where the machine is busy, some were killed each time before they had begun.
    let all_have = || ROLES.iter().all(|(role, ..)| done_by(role, &posts, &book) > 0) && book.word(3).load(SeqCst) > 0;
    common::until("each role has done something, and a death was noticed: a soak, not a sprinkle", all_have);
    end(&book, &mut posts);
    work::settle(&held.1, &book);
    drop(held);
    for (role, ..) in ROLES {
        println!("count soak operations: {role} {}", done_by(role, &posts, &book));
    }
    let (recovered, wrong) = (book.word(3).load(SeqCst), book.word(1).load(SeqCst));
    println!("count soak: killed {deaths}\ncount soak: deaths gone on from {recovered}");
    println!("soak seed {seed}: {wrong} torn, lost, out of order or stuck");
    assert!(deaths > 0, "a soak, not a sprinkle");
    assert_eq!(wrong, 0, "seed {seed}; see above");
}
