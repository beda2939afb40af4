//! Frames between real processes: wholeness, order, policies, back-pressure, deaths, hostile bytes.

mod common;

use std::time::Duration;

use common::{Child, PATIENCE, Role, again, hear, say, until};
use coview::frames::{Frames, FramesOptions, Growth, Policy};
use coview::{Access, ErrorKind, Mapping};

const SHORT: Duration = Duration::from_millis(30);
const LARGE: usize = 20_000;

fn name(text: &str) -> String {
    format!("frames-{text}-{}", std::process::id())
}

/// Length and first byte of what this publisher publishes as its so manieth: small and large ones.
fn shape(publisher: u32, number: u32) -> (usize, u8) {
    let mix = number.wrapping_mul(0x9e37_79b9) ^ publisher;
    let len = if mix & 0x100 == 0 { 8 + mix as usize % 100 } else { 8 + mix as usize % (LARGE - 8) };
    (len, mix as u8)
}

fn fill(bytes: &mut [u8], publisher: u32, number: u32) {
    let first = shape(publisher, number).1;
    bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = first.wrapping_add(at as u8));
    bytes[..4].copy_from_slice(&publisher.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
}

/// Who published it and as its so manieth; it is checked to be whole.
fn check(bytes: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (publisher, number) = (word(0), word(4));
    let (len, first) = shape(publisher, number);
    assert_eq!(bytes.len(), len, "a torn frame");
    let whole = bytes.iter().enumerate().skip(8).all(|(at, byte)| *byte == first.wrapping_add(at as u8));
    assert!(whole, "a torn frame: {publisher} {number}");
    (publisher, number)
}

fn options(slots: usize) -> FramesOptions {
    FramesOptions::new().slot(LARGE).budget(slots * 20_480)
}

fn policy(text: &str) -> Policy {
    match text {
        "every" => Policy::EveryFrame,
        "oldest" => Policy::DropOldest,
        _ => Policy::NewestOnly,
    }
}

/// Arguments: name, who it is, how many.
fn publish(args: &[String]) {
    let publisher = Frames::<[u8]>::open(&args[0]).unwrap().publisher().unwrap();
    let (me, count): (u32, u32) = (args[1].parse().unwrap(), args[2].parse().unwrap());
    say("publishing");
    for number in 0..count {
        let mut loan = publisher.loan(shape(me, number).0).unwrap();
        fill(&mut loan, me, number);
        loan.publish().unwrap();
    }
}

/// Arguments: name, policy, of so many publishers how many each: reads until the last of each has come; says how many it lost.
fn subscribe(args: &[String]) {
    let subscriber = Frames::<[u8]>::open(&args[0]).unwrap().subscriber(policy(&args[1])).unwrap();
    let (publishers, count): (usize, u32) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    let (mut next, mut got, mut lost, mut last) = (vec![0; publishers], 0, 0, 0);
    say("subscribed");
    while got + lost < u64::from(count) * publishers as u64 {
        let frame = match subscriber.receive() {
            Ok(frame) => frame,
            Err(error) if error.kind() == ErrorKind::PeerDied => continue,
            Err(error) => panic!("{error}"),
        };
        let (publisher, number) = check(&frame);
        assert!(number >= next[publisher as usize], "out of order");
        next[publisher as usize] = number + 1;
        got += 1;
        lost += frame.lost();
        assert_eq!(frame.number(), last + 1 + frame.lost(), "not all that were lost are told");
        last = frame.number();
        check(&frame); // still
    }
    say(&lost.to_string());
}

#[test]
fn child() {
    common::child(&roles());
}

fn roles() -> Vec<(&'static str, Role)> {
    vec![
        ("publish", publish),
        ("subscribe", subscribe),
        ("hold", |args| {
            let frames = Frames::<[u8]>::open(&args[0]).unwrap();
            let subscriber = frames.subscriber(policy(&args[1])).unwrap();
            say("subscribed");
            let frame = subscriber.receive().unwrap();
            let publisher = frames.publisher().unwrap();
            let _loan = publisher.loan_timeout(LARGE, Duration::ZERO).unwrap();
            say(&format!("{}", frame.len()));
            hear();
        }),
        ("fill up", |args| {
            let publisher = Frames::<[u8]>::open(&args[0]).unwrap().publisher().unwrap();
            let (len, count): (usize, u64) = (args[1].parse().unwrap(), args[2].parse().unwrap());
            let first = (0..count).find(|number| !publisher.try_send(&vec![*number as u8; len]).unwrap());
            say("full");
            (first.unwrap()..count).for_each(|number| publisher.send(&vec![number as u8; len]).unwrap());
        }),
        ("fill", |args| {
            let publisher = Frames::<[u8]>::open(&args[0]).unwrap().publisher().unwrap();
            let mut filling = publisher.loan(LARGE).unwrap().publish_growing().unwrap();
            filling.write(&[1; 1000]).unwrap();
            say("begun");
            hear();
            filling.write(&[2; 1000]).unwrap();
            say("half done");
            hear();
        }),
        ("read for ever", |args| {
            let subscriber = Frames::<[u8]>::open(&args[0]).unwrap().subscriber(policy(&args[1])).unwrap();
            say("subscribed");
            loop {
                if let Ok(frame) = subscriber.receive() {
                    check(&frame);
                }
            }
        }),
        ("deaths", |args| {
            let subscriber = Frames::<u64>::open(&args[0]).unwrap().subscriber(Policy::EveryFrame).unwrap();
            say("subscribed");
            loop {
                match subscriber.receive() {
                    Ok(frame) if *frame == 0 => break,
                    Ok(frame) => say(&frame.to_string()),
                    Err(error) => say(&format!("{:?}", error.kind())),
                }
            }
        }),
        ("send and stay", |args| {
            let publisher = Frames::<u64>::open(&args[0]).unwrap().publisher().unwrap();
            while let Some(line) = hear() {
                publisher.send(&line.parse().unwrap()).unwrap();
            }
        }),
        ("scribble", |args| common::scribble(&args[0], 4096 + 40, |len| len / 2)),
        ("survive", survive),
    ]
}

fn survive(args: &[String]) {
    let frames = Frames::<[u8]>::open(&args[0]).unwrap();
    say("ready");
    hear();
    let brief = Duration::from_micros(300);
    let mut sum = 0;
    for round in 0..args[1].parse::<usize>().unwrap() {
        let policy = [Policy::EveryFrame, Policy::DropOldest, Policy::NewestOnly][round % 3];
        let Ok(publisher) = frames.publisher() else { continue };
        let subscriber = frames.subscriber(policy);
        for len in [5, 100, 5000, LARGE] {
            if let Ok(Some(mut loan)) = publisher.loan_timeout(len, brief) {
                loan[0] = 1;
                drop(loan.publish_timeout(brief));
            }
            for _ in 0..4 {
                let Ok(Ok(Some(frame))) = subscriber.as_ref().map(|s| s.receive_timeout(brief)) else { break };
                sum += frame.iter().map(|byte| usize::from(*byte)).sum::<usize>();
            }
        }
        let _ = subscriber.map(|subscriber| subscriber.publishers().len());
    }
    std::hint::black_box(sum);
    say("survived");
}

#[test]
fn every_frame_comes_whole_and_in_order_to_everybody() {
    let name = name("every");
    let _frames = options(8).create::<[u8]>(&name).unwrap();
    let mut subscribers = ["every", "every", "oldest", "newest"].map(|policy| {
        let mut child = Child::start("subscribe", &[&name, policy, "2", "3000"]);
        child.expect("subscribed");
        child
    });
    let publishers = ["0", "1"].map(|me| Child::start("publish", &[&name, me, "3000"]));
    publishers.into_iter().for_each(Child::wait);
    subscribers[..2].iter_mut().for_each(|child| child.expect("0"));
    subscribers[2].line();
    subscribers[3].line();
    subscribers.into_iter().for_each(Child::wait);
}

#[test]
fn who_is_to_get_every_frame_is_waited_for() {
    for len in [8, LARGE] {
        let frames = options(4).create::<[u8]>(&name(&format!("pressure {len}"))).unwrap();
        let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
        let mut published = 0;
        while let Some(mut loan) = publisher.loan_timeout(len, SHORT).unwrap() {
            loan.fill(published as u8);
            if loan.publish_timeout(SHORT).unwrap().is_err() {
                break;
            }
            published += 1;
        }
        assert_eq!(published, if len == 8 { 256 } else { 4 });
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| frames.publisher().unwrap().send(&vec![published as u8; len]));
            for number in 0..=published {
                let frame = subscriber.receive().unwrap();
                assert_eq!((frame[len - 1], frame.number(), frame.lost()), (number as u8, number + 1, 0));
            }
            blocked.join().unwrap().unwrap();
        });
        assert!(subscriber.try_receive().unwrap().is_none());
    }
}

#[test]
fn the_oldest_are_dropped_and_counted_and_the_newest_is_the_newest() {
    for (len, kept) in [(8, 256), (LARGE, 4)] {
        let frames = options(4).create::<[u8]>(&name(&format!("drop {len}"))).unwrap();
        let publisher = frames.publisher().unwrap();
        let oldest = frames.subscriber(Policy::DropOldest).unwrap();
        let newest = frames.subscriber(Policy::NewestOnly).unwrap();
        for number in 0..1000 {
            publisher.send(&vec![number as u8; len]).unwrap();
        }
        let frame = newest.receive().unwrap();
        assert_eq!((frame.number(), frame.lost(), frame[len - 1]), (1000, 999, 999_u32 as u8));
        assert!(newest.try_receive().unwrap().is_none());
        for number in 1000 - kept + 1..=1000 {
            let frame = oldest.receive().unwrap();
            let lost = if number == 1000 - kept + 1 { 1000 - kept } else { 0 };
            assert_eq!((frame.number(), frame.lost(), frame[0]), (number, lost, (number - 1) as u8));
        }
        // What is held stays as it is, whatever comes.
        publisher.send(&vec![77; len]).unwrap();
        let held = oldest.receive().unwrap();
        for number in 0..1000 {
            publisher.send(&vec![number as u8; len]).unwrap();
        }
        assert!(held.iter().all(|byte| *byte == 77) && frame.iter().all(|byte| *byte == 999_u32 as u8));
    }
}

#[test]
fn a_late_subscriber_gets_the_history() {
    let frames = options(16).history(5).create::<[u8]>(&name("history")).unwrap();
    let publisher = frames.publisher().unwrap();
    assert!(frames.subscriber(Policy::EveryFrame).unwrap().try_receive().unwrap().is_none());
    for (sent, first) in [(3, 1), (40, 36)] {
        for number in publisher_number(&frames)..=sent {
            publisher.send(&vec![number as u8; if number % 2 == 0 { 9 } else { LARGE }]).unwrap();
        }
        let late = frames.subscriber(Policy::EveryFrame).unwrap();
        for number in first..=sent {
            let frame = late.try_receive().unwrap().expect("it is history");
            assert_eq!((frame.number(), frame.lost(), frame[0]), (number, 0, number as u8));
        }
        assert!(late.try_receive().unwrap().is_none());
    }
}

/// Of the next frame.
fn publisher_number(frames: &Frames<[u8]>) -> u64 {
    let newest = frames.subscriber(Policy::NewestOnly).unwrap();
    newest.try_receive().unwrap().map_or(1, |frame| frame.number() + 1)
}

#[test]
fn loans_that_are_dropped_were_never_there_and_leak_nothing() {
    let frames = options(4).create::<[u8]>(&name("loans")).unwrap();
    let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
    for _ in 0..50 {
        let loans: Vec<_> =
            (0..4).map(|_| publisher.loan_timeout(LARGE, SHORT).unwrap().expect("a free slot")).collect();
        assert!(publisher.loan_timeout(LARGE, Duration::ZERO).unwrap().is_none(), "there are four");
        drop(loans);
    }
    assert!(subscriber.try_receive().unwrap().is_none());
    std::mem::forget(publisher.loan(LARGE).unwrap());
    drop(publisher);
    let publisher = frames.publisher().unwrap();
    let mut loan = publisher.loan(LARGE).unwrap();
    loan[..5].copy_from_slice(b"hello");
    loan.truncate(5);
    loan.publish().unwrap();
    publisher.send(b"").unwrap();
    assert_eq!(&*subscriber.receive().unwrap(), b"hello");
    assert_eq!(&*subscriber.receive().unwrap(), b"");
    assert_eq!(publisher.loan(LARGE + 1).unwrap_err().kind(), ErrorKind::OutOfRange);
}

#[test]
fn the_dead_block_nobody_and_leak_nothing() {
    let name = name("dead");
    let frames = options(4).create::<[u8]>(&name).unwrap();
    let publisher = frames.publisher().unwrap();
    for round in 0..20 {
        let policy = ["every", "oldest", "newest"][round % 3];
        // It is killed with a frame in its hands and another on loan.
        let mut dead = Child::start("hold", &[&name, policy]);
        dead.expect("subscribed");
        publisher.send(&[round as u8; LARGE]).unwrap();
        dead.expect(&LARGE.to_string());
        assert_eq!(publisher.subscribers().len(), 1);
        dead.kill();
        for number in 0..10 {
            publisher.send(&[number; LARGE]).unwrap();
        }
        let loans: Vec<_> = (0..4).map_while(|_| publisher.loan_timeout(LARGE, SHORT).unwrap()).collect();
        assert_eq!(loans.len(), 4, "all slots can be had again");
    }
}

#[test]
fn a_blocked_publisher_goes_on_when_its_subscriber_is_killed() {
    let name = name("blocked");
    let frames = options(4).create::<[u8]>(&name).unwrap();
    let publisher = frames.publisher().unwrap();
    for len in [8, LARGE] {
        let mut dead = Child::start("hold", &[&name, "every"]);
        dead.expect("subscribed");
        publisher.send(&vec![1; len]).unwrap();
        dead.line();
        // How long that takes is the bench's to say: `coview-bench death`.
        let (full, is_full) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| {
                let publisher = frames.publisher().unwrap();
                while publisher.try_send(&vec![2; len]).unwrap() {}
                full.send(()).unwrap();
                publisher.send(&vec![2; len]).unwrap();
            });
            is_full.recv().unwrap();
            dead.kill();
            blocked.join().unwrap();
        });
    }
}

#[test]
fn nothing_is_lost_before_the_first_look() {
    let name = name("first look");
    for len in [8, LARGE] {
        let frames = again(|| options(4).create::<[u8]>(&name));
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        let mut publisher = Child::start("fill up", &[&name, &len.to_string(), "1000"]);
        publisher.expect("full");
        for number in 0..1000_u64 {
            let frame = subscriber.receive().unwrap();
            assert_eq!((frame.len(), frame.number(), frame.lost()), (len, number + 1, 0));
            assert!(frame.iter().all(|byte| *byte == number as u8), "another one's bytes");
        }
        assert!(subscriber.try_receive().unwrap().is_none());
        publisher.wait();
    }
}

#[test]
fn subscribers_hear_of_a_dead_publisher() {
    let name = name("news");
    let frames = Frames::<u64>::create(&name).unwrap();
    let mut subscriber = Child::start("deaths", &[&name]);
    subscriber.expect("subscribed");
    for round in 1..4u64 {
        let mut publisher = Child::start("send and stay", &[&name]);
        for value in [10 * round, 10 * round + 1] {
            publisher.send(&value.to_string());
            subscriber.expect(&value.to_string());
        }
        publisher.kill();
        subscriber.expect("PeerDied");
    }
    frames.publisher().unwrap().send(&0).unwrap();
    subscriber.wait();
}

#[test]
fn killed_at_random_nothing_is_torn_and_nothing_leaks() {
    let name = name("soak");
    let frames = options(6).create::<[u8]>(&name).unwrap();
    let watcher = frames.subscriber(Policy::DropOldest).unwrap();
    for round in 0..30u32 {
        let me = round.to_string();
        let mut publisher = Child::start("publish", &[&name, &me, "1000000"]);
        let readers = ["every", "oldest", "newest"].map(|policy| Child::start("read for ever", &[&name, policy]));
        publisher.expect("publishing");
        let (mut next, mut seen) = (0, 0);
        while seen < 100 + round * 11 {
            let Some(frame) = watcher.receive_timeout(PATIENCE).unwrap() else { panic!("it publishes") };
            let (who, number) = check(&frame);
            assert!(who == round && number >= next, "out of order");
            (next, seen) = (number + 1, seen + 1);
        }
        let mut victims: Vec<Child> = readers.into_iter().collect();
        victims.insert(round as usize % 4, publisher);
        victims.iter_mut().for_each(Child::kill);
        loop {
            match watcher.receive_timeout(PATIENCE) {
                Ok(frame) => drop(check(&frame.expect("its death is told"))),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerDied);
                    break;
                }
            }
        }
        let us = frames.publisher().unwrap();
        let loans: Vec<_> = (0..6).map_while(|_| us.loan_timeout(LARGE, SHORT).unwrap()).collect();
        assert_eq!(loans.len(), 6, "a slot has leaked");
    }
    until("all ends are free", || watcher.publishers().is_empty());
}

#[test]
fn frames_are_opened_as_what_they_are() {
    let (bytes, numbers) = (name("bytes"), name("numbers"));
    let _held = (Frames::<[u8]>::create(&bytes).unwrap(), Frames::<[u64; 3]>::create(&numbers).unwrap());
    assert_eq!(Frames::<[u8]>::create(&bytes).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let wrong = [
        Frames::<[u16]>::open(&bytes).map(drop),
        Frames::<u8>::open(&bytes).map(drop),
        Frames::<u64>::open(&numbers).map(drop),
        Frames::<[[u64; 3]]>::open(&numbers).map(drop),
    ];
    for wrong in wrong {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongLayout);
    }
    let difference = Frames::<[f64; 3]>::open(&numbers).unwrap_err();
    assert_eq!(difference.kind(), ErrorKind::WrongLayout);
    assert!(difference.to_string().contains("f64"), "{difference}");
    let info = coview::region::describe(&Mapping::open(&numbers, Access::Read).unwrap()).unwrap().unwrap();
    assert_eq!(info.schema.unwrap().to_string(), "u64[3]");
    assert_eq!(coview::ring::Ring::open(&bytes).unwrap_err().kind(), ErrorKind::WrongKind);
    let huge = FramesOptions::new().slot(usize::MAX).create::<[u8]>(&name("huge")).unwrap_err();
    assert_eq!(huge.kind(), ErrorKind::InvalidInput);
    let ends: Vec<_> = (0..64).map(|_| _held.0.subscriber(Policy::NewestOnly).unwrap()).collect();
    assert_eq!(_held.0.subscriber(Policy::NewestOnly).unwrap_err().kind(), ErrorKind::AlreadyExists);
    _held.0.publisher().unwrap().send(b"to all").unwrap();
    assert!(ends.iter().all(|end| &*end.receive().unwrap() == b"to all"));
}

#[test]
fn hostile_bytes_crash_and_hang_nobody() {
    let name = name("hostile");
    let _frames = options(4).create::<[u8]>(&name).unwrap();
    let mut survivor = Child::start("survive", &[&name, "150"]);
    survivor.expect("ready");
    // What describes the frames was checked when they were opened; all behind it is fair game.
    let mut scribbler = Child::start("scribble", &[&name]);
    scribbler.expect("scribbling");
    survivor.send("go");
    survivor.expect("survived");
    survivor.wait();
}

#[test]
fn a_growing_frame_is_read_while_it_is_filled() {
    const STEPS: usize = 40;
    let frames = options(4).create::<[u8]>(&name("growing")).unwrap();
    let [early, patient] = [(); 2].map(|()| frames.subscriber(Policy::EveryFrame).unwrap());
    let (go, may) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let frames = &frames;
        scope.spawn(move || {
            let publisher = frames.publisher().unwrap();
            let mut filling = publisher.loan(LARGE).unwrap().publish_growing().unwrap();
            for step in 0..STEPS {
                may.recv().unwrap();
                filling.write(&[step as u8; LARGE / STEPS]).unwrap();
            }
            filling.finish().unwrap();
        });
        let mut frame = early.receive_growing().unwrap();
        assert_eq!((frame.len(), frame.try_grow().unwrap()), (0, None));
        for step in 0..STEPS {
            go.send(()).unwrap();
            while frame.len() < (step + 1) * LARGE / STEPS {
                assert_ne!(frame.grow().unwrap(), Growth::Aborted);
            }
            assert_eq!(frame[step * LARGE / STEPS..], [step as u8; LARGE / STEPS]);
            assert!(step + 1 == STEPS || patient.try_receive().unwrap().is_none(), "it is not whole");
        }
        assert_eq!(frame.grow().unwrap(), Growth::Whole);
        let whole = patient.receive().unwrap();
        assert_eq!((&*whole, whole.number(), whole.lost()), (&*frame, 1, 0));
    });
}

#[test]
fn a_growing_frame_ends_where_its_publisher_says() {
    let frames = options(4).create::<[u8]>(&name("growing ends")).unwrap();
    let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
    // Fewer than were loaned; none at all; a small one, which is there when it is finished.
    for (loaned, written) in [(LARGE, 5000), (LARGE, 0), (100, 60)] {
        let mut filling = publisher.loan(loaned).unwrap().publish_growing().unwrap();
        filling.write(&vec![3; written]).unwrap();
        assert_eq!(subscriber.try_receive().unwrap().map(|frame| frame.len()), None);
        filling.finish().unwrap();
        assert_eq!(*subscriber.receive().unwrap(), *vec![3; written]);
    }
    // Given up: who reads early is told, who does not never sees it.
    let late = frames.subscriber(Policy::EveryFrame).unwrap();
    while late.try_receive().unwrap().is_some() {}
    let mut filling = publisher.loan(LARGE).unwrap().publish_growing().unwrap();
    filling.write(&[4; 10]).unwrap();
    let mut early = subscriber.receive_growing().unwrap();
    drop(filling);
    assert_eq!((early.grow().unwrap(), &*early), (Growth::Aborted, &[4; 10][..]));
    publisher.send(b"next").unwrap();
    let next = late.receive().unwrap();
    assert_eq!((&*next, next.lost()), (&b"next"[..], 1));
    drop((early, next));
    let loans: Vec<_> = (0..4).map_while(|_| publisher.loan_timeout(LARGE, SHORT).unwrap()).collect();
    assert_eq!(loans.len(), 4, "a slot has leaked");
}

#[test]
fn who_dies_while_filling_ends_the_frame() {
    let name = name("dies filling");
    let frames = options(4).create::<[u8]>(&name).unwrap();
    for round in 0..10 {
        let [early, patient] = [(); 2].map(|()| frames.subscriber(Policy::EveryFrame).unwrap());
        while patient.try_receive().unwrap().is_some() {}
        while early.try_receive().unwrap().is_some() {}
        let mut dead = Child::start("fill", &[&name]);
        dead.expect("begun");
        let mut frame = early.receive_growing().unwrap();
        assert_eq!(*frame, [1; 1000]);
        dead.send("go on");
        dead.expect("half done");
        assert_eq!((frame.grow().unwrap(), frame.len()), (Growth::More, 2000));
        let patient = std::thread::scope(|scope| {
            // Asleep, or polling: both find out.
            let waiting = scope.spawn(move || {
                let kind = match round % 2 {
                    0 => patient.receive().unwrap_err().kind(),
                    _ => loop {
                        match patient.try_receive() {
                            Ok(frame) => assert!(frame.is_none(), "it was never whole"),
                            Err(error) => break error.kind(),
                        }
                    },
                };
                assert_eq!(kind, ErrorKind::PeerDied);
                patient
            });
            dead.kill();
            let killed = std::time::Instant::now();
            assert_eq!((frame.grow().unwrap(), frame.len()), (Growth::Aborted, 2000));
            println!("aborted {:?} after the death", killed.elapsed());
            waiting.join().unwrap()
        });
        assert_eq!((frame[999], frame[1000]), (1, 2));
        frames.publisher().unwrap().send(b"next").unwrap();
        let next = patient.receive().unwrap();
        assert_eq!((&*next, next.lost()), (&b"next"[..], 1));
    }
    let publisher = frames.publisher().unwrap();
    let loans: Vec<_> = (0..4).map_while(|_| publisher.loan_timeout(LARGE, SHORT).unwrap()).collect();
    assert_eq!(loans.len(), 4, "a slot has leaked");
}

/// What is kept is `Send`, whatever thread received it, and holds its slot until another thread drops it.
#[test]
fn a_kept_frame_is_released_by_another_thread() {
    let frames = options(2).create::<[u8]>(&name("kept")).unwrap();
    let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
    for (len, times) in [(LARGE, 50), (8, 50)] {
        for n in 0..times {
            publisher.send(&vec![n; len]).unwrap();
            let kept = subscriber.receive().unwrap().keep();
            let seen = std::thread::scope(|scope| scope.spawn(move || (kept.len(), kept[len - 1])).join().unwrap());
            assert_eq!(seen, (len, n));
        }
    }
}
