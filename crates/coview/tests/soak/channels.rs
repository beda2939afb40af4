//! Senders, receivers, writers, readers, publishers and subscribers that die at random.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use coview::frames::{Frames, FramesOptions, Loan, Policy};
use coview::latest::{Latest, LatestOptions};
use coview::ring::{Ring, RingOptions};

use crate::common::place::Place;
use crate::{BRIEF, Book};

pub(crate) const SENDERS: usize = 3;
pub(crate) const PUBLISHERS: usize = 2;
/// The number of the first publisher's process: behind the senders, the receiver, the writers and the readers.
const PUBLISHERS_AT: usize = SENDERS + 1 + 2 + 2;
/// Lives of a sender or a publisher that there is room for in the book.
pub(crate) const LIVES: u64 = 1 << 20;

/// What the roles find.
pub(crate) fn make(here: &Place) -> impl Sized {
    let ring = RingOptions::new().capacity(1 << 14).several_senders(true).create(&here.name("ring"));
    let value = LatestOptions::new().several_writers(true).create::<[u64; 40]>(&here.name("value"));
    let frames = FramesOptions::new().slot(512).budget(8 << 10).create::<[u8]>(&here.name("frames"));
    (ring.expect("it can be made"), value.expect("it can be made"), frames.expect("it can be made"))
}

impl Book {
    /// How many records are sent for certain in a life of a sender; publishers follow the senders.
    fn sent(&self, sender: usize, life: u64) -> &AtomicU64 {
        self.word(64 + sender * LIVES as usize + life as usize)
    }

    /// The life a sender is in, and how many records of it the receiver has had.
    fn life(&self, sender: usize) -> &AtomicU64 {
        self.word(48 + sender)
    }

    fn had(&self, sender: usize) -> &AtomicU64 {
        self.word(56 + sender)
    }
}

/// Bytes that say who sent them, in which life, which of its records it is, how long it is, and that it is whole.
pub(crate) fn record(sender: u64, life: u64, number: u64) -> Vec<u8> {
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

pub(crate) fn sender(args: &[String]) {
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
            match sender.send_timeout(&record, BRIEF) {
                Ok(true) => break,
                Ok(false) if book.stop() => return,
                Ok(false) => {}
                Err(error) => book.expect(&error, "a sender"),
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

pub(crate) fn receiver(args: &[String]) {
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
        let bytes = match receiver.receive_timeout(BRIEF) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(error) => {
                book.expect(&error, "the receiver");
                continue;
            }
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

pub(crate) fn writer(args: &[String]) {
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

pub(crate) fn reader(args: &[String]) {
    let (latest, book, me) = latest_of(args);
    let mut reader = latest.reader();
    let mut newest = 0;
    while !book.stop() {
        match reader.changed_timeout(BRIEF) {
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
            Err(error) => book.expect(&error, "a reader"),
        }
    }
}

pub(crate) fn publisher(args: &[String]) {
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
            let done = match filled.take() {
                None => publisher.loan_timeout(bytes.len(), BRIEF).map(|loan| {
                    filled = loan;
                    filled.iter_mut().for_each(|loan| loan.copy_from_slice(&bytes));
                    false
                }),
                Some(loan) => Loan::publish_timeout(loan, BRIEF).map(|left| {
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
pub(crate) fn subscriber(args: &[String]) {
    let (frames, book) = (Frames::<[u8]>::open(&args[0]).expect("the frames are there"), Book::open(&args[1]));
    let me: usize = args[2].parse().expect("a number");
    let subscriber = match frames.subscriber(Policy::EveryFrame) {
        Ok(subscriber) => subscriber,
        Err(error) => return book.tell(&format!("subscriber {me} cannot attach: {error}")),
    };
    let mut had = [None; PUBLISHERS];
    while !book.stop() {
        let frame = match subscriber.receive_timeout(BRIEF) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(error) => {
                book.expect(&error, "a subscriber");
                continue;
            }
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
