//! The work queue between real processes: each message to one consumer, order, back-pressure, deaths, hostile bytes.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Child, PATIENCE, Role, hear, say};
use coview::ErrorKind;
use coview::queue::{CONSUMERS, Consumer, Delivery, Queue, QueueOptions};

const SHORT: Duration = Duration::from_millis(30);
const LARGE: usize = 20_000;
/// Of hostile bytes. Each end that they say somebody is at is looked after, which costs a kernel object on Windows.
const ROUNDS: &str = if cfg!(windows) { "10" } else { "150" };

fn name(text: &str) -> String {
    format!("queue-{text}-{}", std::process::id())
}

fn options(slots: usize) -> QueueOptions {
    QueueOptions::new().slot(LARGE).budget(slots * 20_480)
}

/// Small and large ones.
fn len(producer: u32, number: u32) -> usize {
    let mix = number.wrapping_mul(0x9e37_79b9) ^ producer;
    if mix & 0x100 == 0 { 8 + mix as usize % 100 } else { 8 + mix as usize % (LARGE - 8) }
}

fn fill(bytes: &mut [u8], producer: u32, number: u32) {
    bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (number as usize + at) as u8);
    bytes[..4].copy_from_slice(&producer.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
}

/// Who sent it and as its so manieth; it is checked to be whole.
fn check(bytes: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (producer, number) = (word(0), word(4));
    assert_eq!(bytes.len(), len(producer, number), "torn");
    let whole = bytes.iter().enumerate().skip(8).all(|(at, byte)| *byte == (number as usize + at) as u8);
    assert!(whole, "torn: {producer} {number}");
    (producer, number)
}

#[test]
fn child() {
    common::child(&roles());
}

fn roles() -> Vec<(&'static str, Role)> {
    vec![
        ("produce", |args| {
            let producer = Queue::<[u8]>::open(&args[0]).unwrap().producer().unwrap();
            let (me, count): (u32, u32) = (args[1].parse().unwrap(), args[2].parse().unwrap());
            say("producing");
            for number in 0..count {
                let mut loan = producer.loan(len(me, number)).unwrap();
                fill(&mut loan, me, number);
                loan.send().unwrap();
            }
        }),
        // Until a message of nobody's comes; says what it got: producer.number, in order.
        ("consume", |args| {
            let consumer = Queue::<[u8]>::open(&args[0]).unwrap().consumer().unwrap();
            say("consuming");
            let (mut next, mut got) = ([0; 4], String::new());
            loop {
                let task = consumer.receive().unwrap();
                if task.is_empty() {
                    task.done();
                    break;
                }
                let (producer, number) = check(&task);
                let first = task.attempt() == 1;
                assert!(!first || number >= next[producer as usize], "out of order");
                next[producer as usize] = number.max(next[producer as usize]);
                got += &format!("{producer}.{number} ");
                check(&task); // still
                task.done();
            }
            say(got.trim());
        }),
        ("hold", |args| {
            let queue = Queue::<[u8]>::open(&args[0]).unwrap();
            let (consumer, producer) = (queue.consumer().unwrap(), queue.producer().unwrap());
            say("consuming");
            let task = consumer.receive().unwrap();
            let loan = producer.loan_timeout(LARGE, Duration::ZERO).unwrap();
            say(&format!("{} {}", task[0], task.attempt()));
            hear();
            drop(loan);
        }),
        ("work for ever", |args| {
            let consumer = Queue::<[u8]>::open(&args[0]).unwrap().consumer().unwrap();
            say("consuming");
            loop {
                let task = consumer.receive().unwrap();
                check(&task);
                task.done();
            }
        }),
        ("scribble", |args| common::scribble(&args[0], 4096 + 64, |len| len / 2)),
        ("survive", survive),
    ]
}

fn survive(args: &[String]) {
    let queue = Queue::<[u8]>::open(&args[0]).unwrap();
    say("ready");
    hear();
    let (brief, mut sum) = (Duration::from_micros(300), 0);
    for round in 0..args[1].parse().unwrap() {
        let (Ok(producer), Ok(consumer)) = (queue.producer(), queue.consumer()) else { continue };
        for len in [5, 100, 5000, LARGE] {
            if let Ok(Some(mut loan)) = producer.loan_timeout(len, brief) {
                loan[0] = 1;
                drop(loan.send_timeout(brief));
            }
            for turn in 0..4 {
                let Ok(Some(task)) = consumer.receive_timeout(brief) else { continue };
                sum += task.iter().map(|byte| usize::from(*byte)).sum::<usize>();
                if (round + turn) % 3 != 0 {
                    task.done();
                }
            }
        }
    }
    std::hint::black_box(sum);
    say("survived");
}

/// How much a consumer gets now.
fn drain(consumer: &Consumer<[u8]>) -> Vec<u8> {
    std::iter::from_fn(|| {
        let task = consumer.receive_timeout(SHORT).unwrap()?;
        let first = task[0];
        task.done();
        Some(first)
    })
    .collect()
}

#[test]
fn each_message_comes_whole_and_in_order_to_exactly_one() {
    let name = name("each");
    let queue = options(8).create::<[u8]>(&name).unwrap();
    let mut consumers = [0; 3].map(|_| {
        let mut child = Child::start("consume", &[&name]);
        child.expect("consuming");
        child
    });
    let producers = ["0", "1"].map(|me| Child::start("produce", &[&name, me, "3000"]));
    producers.into_iter().for_each(Child::wait);
    let producer = queue.producer().unwrap();
    consumers.iter().for_each(|_| producer.send(&[]).unwrap());
    let mut all: Vec<_> = consumers.iter_mut().flat_map(|child| list(&child.line())).collect();
    all.sort();
    let expected: Vec<_> = (0..2).flat_map(|producer| (0..3000).map(move |number| (producer, number))).collect();
    assert!(all == expected, "{} messages", all.len());
    consumers.into_iter().for_each(Child::wait);
}

fn list(line: &str) -> Vec<(u32, u32)> {
    let pair = |word: &str| word.split_once('.').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
    line.split_whitespace().filter_map(pair).collect()
}

#[test]
fn a_full_queue_makes_producers_wait() {
    for (len, room) in [(8, 256), (LARGE, 4)] {
        let queue = options(4).create::<[u8]>(&name(&format!("pressure {len}"))).unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let sent = (0..).take_while(|number| producer.send_timeout(&vec![*number as u8; len], SHORT).unwrap()).count();
        assert_eq!(sent, room);
        assert!(!producer.try_send(&vec![1; len]).unwrap());
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| queue.producer().unwrap().send(&vec![sent as u8; len]));
            for number in 0..=sent {
                let task = consumer.receive_timeout(PATIENCE).unwrap().expect("it comes");
                assert_eq!((task[len - 1], task.attempt()), (number as u8, 1));
                task.done();
            }
            blocked.join().unwrap().unwrap();
        });
        assert!(consumer.try_receive().unwrap().is_none());
    }
}

#[test]
fn one_that_takes_long_holds_nobody_up() {
    let queue = options(4).create::<[u8]>(&name("long")).unwrap();
    let (producer, slow, fast) = (queue.producer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    producer.send(&[77; 9]).unwrap();
    let long = slow.receive().unwrap();
    // Many times around it.
    for number in 0..5000_u32 {
        assert!(producer.try_send(&[number as u8; 9]).unwrap(), "{number}");
        let task = fast.try_receive().unwrap().expect("the next");
        assert_eq!(*task, [number as u8; 9]);
        task.done();
    }
    // And with as many waiting as there can be: one cell less.
    let waiting = (0..).take_while(|_| producer.try_send(&[5; 9]).unwrap()).count();
    assert_eq!(waiting, 255);
    assert_eq!(*long, [77; 9]);
    drop(long); // it gives up, and others get it: the next one that is asked for
    let task = fast.receive().unwrap();
    assert_eq!((task[0], task.attempt()), (5, 1));
    task.done();
    let rest: Vec<_> = std::iter::from_fn(|| {
        let task = fast.try_receive().unwrap()?;
        let seen = (task[0], task.attempt());
        task.done();
        Some(seen)
    })
    .collect();
    assert_eq!(rest.len(), 255);
    assert_eq!(rest.iter().filter(|seen| **seen == (77, 2)).count(), 1);
}

#[test]
fn what_a_dead_consumer_had_goes_to_another_once() {
    for len in [9, LARGE] {
        let name = name(&format!("again {len}"));
        let queue = options(4).create::<[u8]>(&name).unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for round in 0..10 {
            let mut dead = Child::start("hold", &[&name]);
            dead.expect("consuming");
            producer.send(&vec![round; len]).unwrap();
            dead.expect(&format!("{round} 1"));
            let mut dead_too = Child::start("hold", &[&name]);
            dead_too.expect("consuming");
            dead.kill();
            dead_too.expect(&format!("{round} 2"));
            producer.send(&vec![round + 100; len]).unwrap();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| drain_until(&queue, round));
                dead_too.kill();
                assert!(waiting.join().unwrap());
            });
            assert_eq!(drain(&consumer), [], "once");
        }
        let loans: Vec<_> = (0..4).map_while(|_| producer.loan_timeout(LARGE, SHORT).unwrap()).collect();
        assert_eq!(loans.len(), 4, "all slots can be had again");
    }
}

/// Another consumer gets the new one and, when the second has died, the old one for the third time.
fn drain_until(queue: &Queue<[u8]>, round: u8) -> bool {
    let consumer = queue.consumer().unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let task = consumer.receive_timeout(PATIENCE).unwrap().expect("it comes");
        assert!(seen.insert((task[0], task.attempt())));
        task.done();
    }
    seen == BTreeSet::from([(round, 3), (round + 100, 1)])
}

#[test]
fn or_is_reported_lost_once() {
    let name = name("lost");
    let queue = options(4).delivery(Delivery::AtMostOnce).create::<[u8]>(&name).unwrap();
    assert_eq!(Queue::<[u8]>::open(&name).unwrap().delivery(), Delivery::AtMostOnce);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for len in [9, LARGE] {
        let mut dead = Child::start("hold", &[&name]);
        dead.expect("consuming");
        producer.send(&vec![1; len]).unwrap();
        dead.expect("1 1");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let consumer = queue.consumer().unwrap();
                consumer.receive_timeout(PATIENCE).map(drop).unwrap_err().kind()
            });
            dead.kill();
            assert_eq!(waiting.join().unwrap(), ErrorKind::PeerDied);
        });
        producer.send(&vec![2; len]).unwrap();
        assert_eq!(drain(&consumer), [2], "reported once, and only what was lost is");
        // Whoever gives one up is no better than the dead.
        producer.send(&vec![3; len]).unwrap();
        drop(consumer.receive().unwrap());
        assert_eq!(consumer.try_receive().unwrap_err().kind(), ErrorKind::PeerDied);
        assert_eq!(drain(&consumer), []);
    }
    let loans: Vec<_> = (0..4).map_while(|_| producer.loan_timeout(LARGE, SHORT).unwrap()).collect();
    assert_eq!(loans.len(), 4, "all slots can be had again");
}

#[test]
fn killed_at_random_nothing_is_lost_torn_or_leaked() {
    let name = name("soak");
    let queue = options(6).create::<[u8]>(&name).unwrap();
    let consumer = queue.consumer().unwrap();
    for round in 0..20_u32 {
        let me = (round % 4).to_string();
        let mut producer = Child::start("produce", &[&name, &me, "1000000"]);
        let mut workers = [0; 2].map(|_| Child::start("work for ever", &[&name]));
        producer.expect("producing");
        workers.iter_mut().for_each(|worker| worker.expect("consuming"));
        let mut next = 0;
        for _ in 0..100 + round * 7 {
            let task = consumer.receive_timeout(PATIENCE).unwrap().expect("it produces");
            let (who, number) = check(&task);
            assert!(who == round % 4 && (number >= next || task.attempt() > 1), "out of order");
            next = number.max(next);
            task.done();
        }
        let mut victims: Vec<Child> = workers.into_iter().collect();
        victims.insert(round as usize % 3, producer);
        victims.iter_mut().for_each(Child::kill);
        while let Some(task) = consumer.receive_timeout(SHORT).unwrap() {
            check(&task);
            task.done();
        }
        let us = queue.producer().unwrap();
        let loans: Vec<_> = (0..6).map_while(|_| us.loan_timeout(LARGE, SHORT).unwrap()).collect();
        assert_eq!(loans.len(), 6, "a slot has leaked");
        drop(loans);
        let sent = (0..).take_while(|_| us.try_send(&[0; 8]).unwrap()).count();
        assert_eq!(sent, 256, "a cell has leaked");
        assert_eq!(drain(&consumer).len(), 256);
    }
}

#[test]
fn what_is_forgotten_is_given_back_when_its_end_goes() {
    let queue = options(4).create::<[u8]>(&name("forgotten")).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&[1; LARGE]).unwrap();
    std::mem::forget(producer.loan(LARGE).unwrap());
    std::mem::forget(consumer.receive().unwrap());
    assert!(consumer.try_receive().unwrap().is_none());
    drop((producer, consumer));
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(consumer.receive().unwrap().attempt(), 2);
    assert_eq!(drain(&consumer), [1]);
    let mut loan = producer.loan(LARGE).unwrap();
    loan[..5].copy_from_slice(b"hello");
    loan.truncate(5);
    loan.send().unwrap();
    assert_eq!(&*consumer.receive().unwrap(), b"hello");
    assert_eq!(producer.loan(LARGE + 1).unwrap_err().kind(), ErrorKind::OutOfRange);
}

#[test]
fn a_queue_is_opened_as_what_it_is() {
    let (bytes, numbers) = (name("bytes"), name("numbers"));
    let queue = Queue::<[u8]>::create(&bytes).unwrap();
    let _numbers = Queue::<[u64; 3]>::create(&numbers).unwrap();
    assert_eq!(Queue::<[u8]>::create(&bytes).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let wrong = [
        Queue::<[u16]>::open(&bytes).map(drop),
        Queue::<u8>::open(&bytes).map(drop),
        Queue::<u64>::open(&numbers).map(drop),
    ];
    for wrong in wrong {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongLayout);
    }
    assert_eq!(coview::frames::Frames::<[u8]>::open(&bytes).unwrap_err().kind(), ErrorKind::WrongKind);
    let huge = QueueOptions::new().slot(usize::MAX).create::<[u8]>(&name("huge")).unwrap_err();
    assert_eq!(huge.kind(), ErrorKind::InvalidInput);
    let ends: Vec<_> = (0..CONSUMERS).map(|_| queue.consumer().unwrap()).collect();
    assert_eq!(queue.consumer().unwrap_err().kind(), ErrorKind::AlreadyExists);
    // All sleep beside all, in turn.
    let producer = queue.producer().unwrap();
    for end in &ends {
        assert!(end.receive_timeout(Duration::from_millis(1)).unwrap().is_none());
        producer.send(b"to one").unwrap();
        end.receive().unwrap().done();
    }
}

#[test]
fn hostile_bytes_crash_and_hang_nobody() {
    let name = name("hostile");
    let _queue = options(4).create::<[u8]>(&name).unwrap();
    let mut survivor = Child::start("survive", &[&name, ROUNDS]);
    survivor.expect("ready");
    // What describes the queue was checked when it was opened; all behind it is fair game.
    let mut scribbler = Child::start("scribble", &[&name]);
    scribbler.expect("scribbling");
    survivor.send("go");
    survivor.expect("survived");
    survivor.wait();
}
