//! A soak of channels: senders, receivers, writers and readers that die at random, and numbers that tell what was lost.
//!
//! The book is a plain file, which owes nothing to channels: who has begun and who has finished to send which number, and
//! which number the receiver had last.

mod common;

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::place::Place;
use common::{Dice, command, number};
use coview::frames::{Frames, FramesOptions, Loan, Policy};
use coview::latest::{Latest, LatestOptions};
use coview::ring::{Ring, RingOptions};
use coview::{Access, ErrorKind, MappingOptions, View};

const SENDERS: usize = 3;
const WRITERS: usize = 2;
const READERS: usize = 2;
const PUBLISHERS: usize = 2;
const SUBSCRIBERS: usize = 2;
/// The number of the first publisher's process.
const PUBLISHERS_AT: usize = SENDERS + 1 + WRITERS + READERS;
/// Lives of a sender or a publisher that there is room for in the book.
const LIVES: u64 = 1 << 16;
/// Longer than anything here takes on a busy machine.
const HANG: Duration = Duration::from_secs(20);

#[test]
fn child() {
    common::child(&[
        ("sender", sender),
        ("receiver", receiver),
        ("writer", writer),
        ("reader", reader),
        ("publisher", publisher),
        ("subscriber", subscriber),
    ]);
}

#[test]
fn soak_of_seconds() {
    soak("short", 3);
}

/// `COVIEW_STORM_SECONDS=3600 cargo test --release --test soak -- --ignored --nocapture`
#[test]
#[ignore = "as long as COVIEW_STORM_SECONDS says"]
fn soak_as_long_as_asked() {
    soak("long", number("COVIEW_STORM_SECONDS").unwrap_or(60));
}

/// Words of the file, by index.
struct Book(View);

impl Book {
    const SIZE: u64 = (64 + (SENDERS + PUBLISHERS) as u64 * LIVES) * 8;

    fn open(path: &str) -> Book {
        let file = MappingOptions::new().file(path).size(Book::SIZE).create_unnamed().expect("the book's file");
        Book(file.view(Access::ReadWrite).expect("it can be mapped"))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.0.atomic(index * 8).expect("inside the file")
    }

    fn stop(&self) -> bool {
        self.word(0).load(SeqCst) != 0
    }

    fn tell(&self, what: &str) {
        self.word(1).fetch_add(1, SeqCst);
        eprintln!("process {}: {what}", std::process::id());
    }

    /// What a role has done, which shows that it does not hang, and the sum over all of a kind.
    fn done(&self, role: usize) -> &AtomicU64 {
        self.word(8 + role)
    }

    /// How many records are sent for certain in a life of a sender; publishers follow the senders.
    fn sent(&self, sender: usize, life: u64) -> &AtomicU64 {
        self.word(64 + sender * LIVES as usize + life as usize)
    }

    /// The life a sender is in, and how many records of it the receiver has had.
    fn life(&self, sender: usize) -> &AtomicU64 {
        self.word(32 + sender)
    }

    fn had(&self, sender: usize) -> &AtomicU64 {
        self.word(40 + sender)
    }
}

/// Bytes that say who sent them, in which life, which of its records it is, how long it is, and that it is whole.
fn record(sender: u64, life: u64, number: u64) -> Vec<u8> {
    let len = 40 + (life ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as usize % 400;
    let mut bytes = vec![0; len];
    for (at, word) in [sender, life, number, len as u64].into_iter().enumerate() {
        bytes[8 * at..8 * at + 8].copy_from_slice(&word.to_le_bytes());
    }
    for (at, byte) in bytes.iter_mut().enumerate().skip(32) {
        *byte = (number as usize + at) as u8;
    }
    bytes
}

fn args_of(args: &[String]) -> (Ring, Book, usize) {
    let ring = Ring::open(&args[0]).expect("the ring is there");
    (ring, Book::open(&args[1]), args[2].parse().expect("a number"))
}

fn sender(args: &[String]) {
    let (ring, book, me) = args_of(args);
    let life = book.life(me).fetch_add(1, SeqCst);
    let mut sender = loop {
        match ring.sender() {
            Ok(sender) => break sender,
            Err(error) => book.tell(&format!("sender {me} cannot attach: {error}")),
        }
    };
    for number in 0.. {
        if book.stop() {
            return;
        }
        let record = record(me as u64, life, number);
        loop {
            match sender.send_timeout(&record, Duration::from_millis(50)) {
                Ok(true) => break,
                Ok(false) if book.stop() => return,
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::PeerDied => {}
                Err(error) => book.tell(&format!("sender {me}: {error}")),
            }
        }
        book.sent(me, life).store(number + 1, SeqCst);
        book.done(me).fetch_add(1, SeqCst);
    }
}

/// Where the receiver is with one sender: a life and the number of the next record, in one word.
fn place(life: u64, next: u64) -> u64 {
    life << 40 | next
}

fn receiver(args: &[String]) {
    let (ring, book, me) = args_of(args);
    let mut receiver = loop {
        match ring.receiver() {
            Ok(receiver) => break receiver,
            Err(error) => book.tell(&format!("the receiver cannot attach: {error}")),
        }
    };
    let mut again = true; // the one that the receiver before died with
    while !book.stop() {
        // Kept until the book has it: who dies before leaves it to the next receiver.
        let bytes = match receiver.receive_timeout(Duration::from_millis(50)) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::PeerDied => continue,
            Err(error) => return book.tell(&format!("the receiver: {error}")),
        };
        let word = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        let (sender, life, number) = (word(0), word(1), word(2));
        if sender >= SENDERS as u64 || bytes[..] != record(sender, life, number) {
            book.tell("a torn record");
            continue;
        }
        let had = book.had(sender as usize);
        let now = had.load(SeqCst);
        let (was, next) = (now >> 40, now & ((1 << 40) - 1));
        if life > was && number == 0 {
            // All that the life before had sent for certain must have come.
            let all = book.sent(sender as usize, was).load(SeqCst);
            if next < all {
                book.tell(&format!("sender {sender} sent {all} records in life {was}, and {next} came"));
            }
        } else if place(life, number) != now && !(again && place(life, number + 1) == now) {
            book.tell(&format!("sender {sender}: record {number} of life {life} instead of {next} of {was}"));
        }
        again = false;
        had.store(place(life, number + 1), SeqCst);
        book.done(me).fetch_add(1, SeqCst);
    }
}

fn latest_of(args: &[String]) -> (Latest<[u64; 40]>, Book, usize) {
    let latest = Latest::open(&args[0]).expect("the latest value is there");
    (latest, Book::open(&args[1]), args[2].parse().expect("a number"))
}

fn writer(args: &[String]) {
    let (latest, book, me) = latest_of(args);
    let mut writer = loop {
        match latest.writer() {
            Ok(writer) => break writer,
            Err(error) => book.tell(&format!("writer {me} cannot attach: {error}")),
        }
    };
    while !book.stop() {
        // Several draw numbers, so a value may be older than the one before, by as many as there are writers.
        let number = book.word(2).fetch_add(1, SeqCst);
        if let Err(error) = writer.set(&[number; 40]) {
            book.tell(&format!("writer {me}: {error}"));
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

fn reader(args: &[String]) {
    let (latest, book, me) = latest_of(args);
    let mut reader = latest.reader();
    let mut newest = 0;
    while !book.stop() {
        match reader.changed_timeout(Duration::from_millis(50)) {
            Ok(Some(value)) => {
                if value != [value[0]; 40] {
                    book.tell("a torn value");
                }
                // A writer may be stopped between drawing its number and its turn, for as long as the others draw.
                newest = newest.max(value[0]);
                if newest > book.word(2).load(SeqCst) {
                    book.tell("a value that nobody has written");
                }
                book.done(me).fetch_add(1, SeqCst);
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::PeerDied => {}
            Err(error) => book.tell(&format!("reader {me}: {error}")),
        }
    }
}

fn publisher(args: &[String]) {
    let (frames, book) = (Frames::<[u8]>::open(&args[0]).expect("the frames are there"), Book::open(&args[1]));
    let me: usize = args[2].parse().expect("a number");
    let id = SENDERS + me - PUBLISHERS_AT;
    let life = book.life(id).fetch_add(1, SeqCst);
    let publisher = match frames.publisher() {
        Ok(publisher) => publisher,
        Err(error) => return book.tell(&format!("publisher {me} cannot attach: {error}")),
    };
    for number in 0.. {
        let bytes = record(id as u64, life, number);
        let mut filled = None;
        loop {
            if book.stop() {
                return;
            }
            let brief = Duration::from_millis(50);
            let done = match filled.take() {
                None => publisher.loan_timeout(bytes.len(), brief).map(|loan| {
                    filled = loan;
                    filled.iter_mut().for_each(|loan| loan.copy_from_slice(&bytes));
                    false
                }),
                Some(loan) => Loan::publish_timeout(loan, brief).map(|left| {
                    filled = left.err();
                    filled.is_none()
                }),
            };
            match done {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return book.tell(&format!("publisher {me}: {error}")),
            }
        }
        book.sent(id, life).store(number + 1, SeqCst);
        book.done(me).fetch_add(1, SeqCst);
    }
}

/// Gets every frame from when it came on.
fn subscriber(args: &[String]) {
    let (frames, book) = (Frames::<[u8]>::open(&args[0]).expect("the frames are there"), Book::open(&args[1]));
    let me: usize = args[2].parse().expect("a number");
    let subscriber = match frames.subscriber(Policy::EveryFrame) {
        Ok(subscriber) => subscriber,
        Err(error) => return book.tell(&format!("subscriber {me} cannot attach: {error}")),
    };
    let mut had = [None; PUBLISHERS];
    while !book.stop() {
        let frame = match subscriber.receive_timeout(Duration::from_millis(50)) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::PeerDied => continue,
            Err(error) => return book.tell(&format!("subscriber {me}: {error}")),
        };
        let word = |at: usize| u64::from_le_bytes(frame[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        let (id, life, number) = (word(0) as usize, word(1), word(2));
        if !(SENDERS..SENDERS + PUBLISHERS).contains(&id) || frame[..] != record(id as u64, life, number) {
            book.tell("a torn frame");
            continue;
        }
        match had[id - SENDERS].replace((life, number + 1)) {
            None => {}
            Some((was, next)) if was == life && next == number => {}
            Some((was, next)) if was < life && number == 0 && next >= book.sent(id, was).load(SeqCst) => {}
            Some((was, next)) => {
                book.tell(&format!("publisher {id}: frame {number} of life {life} instead of {next} of {was}"));
            }
        }
        if frame.lost() != 0 {
            book.tell("a frame that was to be got and is gone");
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

/// One process, as the supervisor sees it.
struct Post {
    role: &'static str,
    channel: String,
    process: std::process::Child,
    done: u64,
    since: Instant,
}

fn start_role(role: &str, channel: &str, path: &str, me: usize) -> std::process::Child {
    let mut command = command(role, &[channel, path, &me.to_string()]);
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

fn soak(what: &str, seconds: u64) {
    let here = Place::new(&format!("soak-{what}"));
    let seed = number("COVIEW_STORM_SEED").unwrap_or(u64::from(std::process::id()));
    let (dice, path) = (Dice::new(seed), here.path("book").to_string_lossy().into_owned());
    let (book, ring, value) = (Book::open(&path), here.name("ring"), here.name("value"));
    let _ring = RingOptions::new().capacity(1 << 14).several_senders(true).create(&ring).unwrap();
    let _value = LatestOptions::new().several_writers(true).create::<[u64; 40]>(&value).unwrap();
    let pictures = here.name("frames");
    let _frames = FramesOptions::new().slot(512).budget(8 << 10).create::<[u8]>(&pictures).unwrap();
    let roles = [
        ("sender", &ring, SENDERS),
        ("receiver", &ring, 1),
        ("writer", &value, WRITERS),
        ("reader", &value, READERS),
        ("publisher", &pictures, PUBLISHERS),
        ("subscriber", &pictures, SUBSCRIBERS),
    ];
    let posts = roles.into_iter().flat_map(|(role, channel, count)| (0..count).map(move |_| (role, channel.clone())));
    let since = Instant::now();
    let mut posts: Vec<Post> = posts
        .enumerate()
        .map(|(me, (role, channel))| Post {
            role,
            process: start_role(role, &channel, &path, me),
            channel,
            done: 0,
            since,
        })
        .collect();
    let (mut deaths, deadline) = (0, Instant::now() + Duration::from_secs(seconds));
    while Instant::now() < deadline {
        // The pace of the soak, not a synchronisation.
        std::thread::sleep(Duration::from_micros(dice.below(40_000)));
        let victims = dice.below(1 << posts.len()) & dice.below(1 << posts.len());
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
                (post.process, post.since) = (start_role(post.role, &post.channel, &path, me), Instant::now());
            }
        }
    }
    end(&book, &mut posts);
    let done = |role: &str| -> u64 {
        posts.iter().enumerate().filter(|(_, post)| post.role == role).map(|(me, _)| book.done(me).load(SeqCst)).sum()
    };
    let (sent, received, written, read) = (done("sender"), done("receiver"), done("writer"), done("reader"));
    let (published, got) = (done("publisher"), done("subscriber"));
    let wrong = book.word(1).load(SeqCst);
    println!(
        "soak seed {seed}: {sent} records sent, {received} received, {written} values written, {read} read, \
         {published} frames published, {got} received, {deaths} deaths; {wrong} torn, lost, out of order or stuck"
    );
    assert!(
        sent > 0 && received > 0 && written > 0 && read > 0 && published > 0 && got > 0 && deaths > 0,
        "a soak, not a sprinkle"
    );
    assert_eq!(wrong, 0, "seed {seed}; see above");
}
