//! Producers and consumers, clients and servers, clerks who share locks and passers of events, that die at random.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use coview::queue::{Queue, QueueOptions};
use coview::service::{Service, ServiceOptions};
use coview::{Access, Event, Mapping, Mutex, Region, Semaphore, View, sync, wait_any};

use crate::channels::{LIVES, record};
use crate::common::{Dice, place::Place};
use crate::{BRIEF, Book};

/// Messages that there is room for in the book.
pub(crate) const TICKETS: u64 = 1 << 30;

/// What the roles find.
pub(crate) struct Made {
    queue: Queue<[u8]>,
    ledger: View,
    _others: Box<dyn std::any::Any>,
}

pub(crate) fn make(here: &Place) -> Made {
    let queue = QueueOptions::new().slot(512).budget(8 << 10).create(&here.name("queue")).expect("it can be made");
    let service = ServiceOptions::new().slot(512).budget(8 << 10).create::<[u8], [u8]>(&here.name("service"));
    let ledger = Mapping::create(&here.name("ledger"), 8192).expect("it can be made");
    let view = ledger.view(Access::ReadWrite).expect("it can be mapped");
    let mutex = Mutex::create(&here.name("ledger-mutex")).expect("it can be made");
    let baton = Event::create(&here.name("baton")).expect("it can be made");
    let permits = Semaphore::create(&here.name("baton-permits"), 1, 1000).expect("it can be made");
    Made { queue, ledger: view, _others: Box::new((service.expect("it can be made"), ledger, mutex, baton, permits)) }
}

impl Book {
    fn ticket(&self, list: u64, number: u64) -> (&AtomicU64, u64) {
        let word = 64 + 5 * LIVES + list * TICKETS / 64 + number / 64;
        (self.word(word as usize), 1 << (number % 64))
    }

    /// A message was sent for certain (list 0), or came (list 1).
    fn note(&self, list: u64, number: u64) {
        let (word, bit) = self.ticket(list, number);
        word.fetch_or(bit, SeqCst);
    }

    /// How many increments of this counter of the ledger are certain.
    fn certain(&self, counter: usize) -> &AtomicU64 {
        self.word(40 + counter)
    }
}

fn args_of(args: &[String]) -> (Book, usize, Dice) {
    let (me, seed) = (args[2].parse().expect("a number"), args[3].parse().expect("a number"));
    (Book::open(&args[1]), me, Dice::new(seed))
}

/// The number in a record, if it is whole.
fn number_of(bytes: &[u8], who: u64) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?);
    (bytes == record(who, 0, number)).then_some(number)
}

pub(crate) fn producer(args: &[String]) {
    let (book, me, _) = args_of(args);
    let producer = Queue::<[u8]>::open(&args[0]).and_then(|queue| queue.producer()).expect("the queue is there");
    while !book.stop() {
        let number = book.word(4).fetch_add(1, SeqCst);
        assert!(number < TICKETS, "there is room in the book");
        let message = record(0, 0, number);
        loop {
            match producer.send_timeout(&message, BRIEF) {
                Ok(true) => break,
                Ok(false) if book.stop() => return,
                Ok(false) => {}
                Err(error) => book.expect(&error, "a producer"),
            }
        }
        book.note(0, number);
        book.done(me).fetch_add(1, SeqCst);
    }
}

pub(crate) fn consumer(args: &[String]) {
    let (book, me, dice) = args_of(args);
    let consumer = Queue::<[u8]>::open(&args[0]).and_then(|queue| queue.consumer()).expect("the queue is there");
    while !book.stop() {
        let task = match consumer.receive_timeout(BRIEF) {
            Ok(Some(task)) => task,
            Ok(None) => continue,
            Err(error) => {
                book.expect(&error, "a consumer");
                continue;
            }
        };
        if task.attempt() > 1 {
            book.recovered();
        }
        match number_of(&task, 0) {
            // Some are given back.
            Some(_) if dice.below(50) == 0 => drop(task),
            Some(number) => {
                book.note(1, number);
                task.done();
            }
            None => book.tell("a torn message"),
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

pub(crate) fn client(args: &[String]) {
    let (book, me, _) = args_of(args);
    let client = Service::<[u8], [u8]>::open(&args[0]).and_then(|service| service.client()).expect("it is there");
    while !book.stop() {
        let number = book.word(5).fetch_add(1, SeqCst);
        match client.call_timeout(&record(1, 0, number), BRIEF) {
            Ok(Some(answer)) if number_of(&answer, 2) != Some(number) => book.tell("a torn answer, or another's"),
            Ok(_) => {}
            Err(error) => book.expect(&error, "a client"),
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

pub(crate) fn server(args: &[String]) {
    let (book, me, _) = args_of(args);
    let server = Service::<[u8], [u8]>::open(&args[0]).and_then(|service| service.server()).expect("it is there");
    while !book.stop() {
        match server.receive_timeout(BRIEF) {
            Ok(Some(request)) => match number_of(&request, 1) {
                Some(number) => {
                    if let Err(error) = request.respond(&record(2, 0, number)) {
                        book.expect(&error, "a server");
                    }
                }
                None => book.tell("a torn request"),
            },
            Ok(None) => {}
            Err(error) => book.expect(&error, "a server"),
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

/// Two words that are always equal outside of their lock.
type Pair = [u64; 2];

/// Where the ledger has what.
const NAMED: usize = 0;
const MUTEX: usize = 256;
const SHARED: usize = 1024;
const NUMBERS: usize = 4096;

fn named_pair(ledger: &View) -> [&AtomicU64; 2] {
    [NAMED, NAMED + 8].map(|at| ledger.atomic(at).expect("inside"))
}

/// Adds one to both, the second some time after the first. They were torn before if somebody died, and then only.
fn add(book: &Book, pair: &mut Pair, abandoned: bool) {
    match abandoned {
        true => {
            book.recovered();
            pair[1] = pair[0];
        }
        false if pair[0] != pair[1] => book.tell("a torn pair under a lock"),
        false => {}
    }
    for word in pair {
        *std::hint::black_box(word) += 1; // where it is, one after the other
        std::thread::yield_now();
    }
}

pub(crate) fn clerk(args: &[String]) {
    let (book, me, dice) = args_of(args);
    let mapping = Mapping::open(&args[0], Access::ReadWrite).expect("the ledger is there");
    let ledger = mapping.view(Access::ReadWrite).expect("it can be mapped");
    let mutex = Mutex::open(&format!("{}-mutex", args[0])).expect("it is there");
    let extra = format!("{}-extra", args[0]);
    while !book.stop() {
        match dice.below(5) {
            0 => {
                let Ok(Some(lock)) = mutex.lock_timeout(BRIEF) else { continue };
                let words = named_pair(&ledger);
                let mut pair = words.map(|word| word.load(SeqCst));
                add(&book, &mut pair, lock.is_abandoned());
                words.iter().zip(pair).for_each(|(word, value)| word.store(value, SeqCst));
                drop(lock);
                book.certain(0).fetch_add(1, SeqCst);
            }
            1 => {
                let placed: &sync::Mutex<Pair> = ledger.place(MUTEX).expect("inside");
                let Ok(Some(lock)) = placed.lock_timeout(BRIEF) else { continue };
                let abandoned = lock.is_abandoned();
                let mut guard = lock.into_guard();
                add(&book, &mut guard, abandoned);
                guard.make_consistent();
                drop(guard);
                book.certain(1).fetch_add(1, SeqCst);
            }
            2 => {
                let placed: &sync::RwLock<Pair, 4> = ledger.place(SHARED).expect("inside");
                if dice.below(2) == 0 {
                    let Ok(Some(lock)) = placed.write_timeout(BRIEF) else { continue };
                    let abandoned = lock.is_abandoned();
                    let mut guard = lock.into_guard();
                    add(&book, &mut guard, abandoned);
                    guard.make_consistent();
                    drop(guard);
                    book.certain(2).fetch_add(1, SeqCst);
                } else if let Ok(Some(sync::Lock::Clean(guard))) = placed.read_timeout(BRIEF)
                    && guard[0] != guard[1]
                {
                    book.tell("a torn pair under a reader's lock");
                }
            }
            3 => {
                let numbers: &sync::SeqLock<Pair> = ledger.place(NUMBERS).expect("inside");
                drop(numbers.write_timeout(&[me as u64; 2], BRIEF));
                if numbers.read_timeout(BRIEF).is_some_and(|pair| pair[0] != pair[1]) {
                    book.tell("a torn value of a sequence lock");
                }
            }
            _ => match Region::open_or_create(&extra, || [7_u64; 9]) {
                Ok((region, _)) if region.read().is_ok_and(|value| value == [7; 9]) => {}
                other => book.tell(&format!("the region: {:?}", other.map(|(region, _)| region.read()))),
            },
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

pub(crate) fn passer(args: &[String]) {
    let (book, me, dice) = args_of(args);
    let event = Event::open(&args[0]).expect("it is there");
    let permits = Semaphore::open(&format!("{}-permits", args[0])).expect("it is there");
    while !book.stop() {
        let done = match dice.below(4) {
            0 => event.set(),
            1 => permits.release(1).map(drop), // what the dead had taken is gone
            2 => event.wait_timeout(BRIEF).map(drop),
            _ => wait_any(&[(&event).into(), (&permits).into()], Some(BRIEF)).map(drop),
        };
        if let Err(error) = done {
            book.expect(&error, "a passer");
        }
        book.done(me).fetch_add(1, SeqCst);
    }
}

/// When all have ended: what was sent for certain came or is still there, and what was counted for certain stands.
pub(crate) fn settle(made: &Made, book: &Book) {
    let consumer = made.queue.consumer().expect("there is a place");
    while let Some(task) = consumer.receive_timeout(BRIEF).expect("it can be received") {
        match number_of(&task, 0) {
            Some(number) => book.note(1, number),
            None => book.tell("a torn message"),
        }
        task.done();
    }
    let lists = |number| [0, 1].map(|list| book.ticket(list, number).0.load(SeqCst));
    let lost: u32 =
        (0..book.word(4).load(SeqCst)).step_by(64).map(lists).map(|[sent, came]| (sent & !came).count_ones()).sum();
    if lost > 0 {
        book.tell(&format!("{lost} messages were lost"));
    }
    let mutex: &sync::Mutex<Pair> = made.ledger.place(MUTEX).expect("inside");
    let shared: &sync::RwLock<Pair, 4> = made.ledger.place(SHARED).expect("inside");
    let stand = [
        named_pair(&made.ledger)[0].load(SeqCst),
        mutex.lock().expect("it can be had").into_guard()[0],
        shared.read().expect("it can be had").into_guard()[0],
    ];
    for (counter, stands) in stand.into_iter().enumerate() {
        let certain = book.certain(counter).load(SeqCst);
        if stands < certain {
            book.tell(&format!("counter {counter} stands at {stands}, and {certain} is certain"));
        }
    }
}
