//! Rings and latest values between real processes: order, wholeness, deaths, hostile bytes.

mod common;

use std::time::Duration;

use common::{Child, PATIENCE, Role, hear, say, until};
use coview::latest::{Latest, LatestOptions};
use coview::region::Schema;
use coview::ring::{Ring, RingOptions};
use coview::{Access, ErrorKind, Mapping};

const SHORT: Duration = Duration::from_millis(30);

fn name(text: &str) -> String {
    format!("channel-{text}-{}", std::process::id())
}

/// A record that says who sent it and as which, of a length and with bytes that follow from that.
fn record(sender: u32, number: u32, longest: usize) -> Vec<u8> {
    let mix = number.wrapping_mul(0x9e37_79b9) ^ sender;
    let len = 8 + mix as usize % (longest - 7);
    let mut bytes: Vec<u8> = (0..len).map(|at| (mix as usize + at) as u8).collect();
    bytes[..4].copy_from_slice(&sender.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Sender and number of a record, which is checked to be whole.
fn check(bytes: &[u8], longest: usize) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(bytes, record(word(0), word(4), longest), "a torn record");
    (word(0), word(4))
}

fn send_records(args: &[String]) {
    let number = |index: usize| -> u32 { args[index].parse().unwrap() };
    let mut sender = Ring::open(&args[0]).unwrap().sender().unwrap();
    say("sending");
    for n in 0..number(2) {
        sender.send(&record(number(1), n, number(3) as usize)).unwrap();
    }
}

#[test]
fn child() {
    common::child(&[ring_roles(), latest_roles(), hostile_roles()].concat());
}

fn ring_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("send", send_records),
        ("hold a claim", |args| {
            let mut sender = Ring::open(&args[0]).unwrap().sender().unwrap();
            sender.send(b"committed").unwrap();
            let mut claim = sender.claim(100).unwrap();
            claim.fill(7);
            say("claimed");
            hear();
        }),
        ("fill", |args| {
            let mut sender = Ring::open(&args[0]).unwrap().sender().unwrap();
            say("filling");
            loop {
                if let Err(error) = sender.send(&[1; 1000]) {
                    say(&format!("{:?}", error.kind()));
                }
            }
        }),
        ("receive and stay", |args| {
            let mut receiver = Ring::open(&args[0]).unwrap().receiver().unwrap();
            let record = receiver.receive().unwrap();
            say(&String::from_utf8_lossy(&record));
            hear();
        }),
        ("receive", |args| {
            let mut receiver = Ring::open(&args[0]).unwrap().receiver().unwrap();
            say("receiving");
            let word = |record: &[u8]| String::from_utf8_lossy(record).into_owned();
            loop {
                match receiver.receive() {
                    Ok(record) if record.is_empty() => break,
                    Ok(record) => say(&word(&record)),
                    Err(error) => say(&format!("{:?}", error.kind())),
                }
            }
        }),
    ]
}

fn latest_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("set for ever", |args| {
            let mut writer = Latest::<[u64; 40]>::open(&args[0]).unwrap().writer().unwrap();
            say("writing");
            for n in 1.. {
                writer.set(&[n; 40]).unwrap();
            }
        }),
        ("set bytes for ever", |args| {
            let mut writer = Latest::<[u8]>::open(&args[0]).unwrap().writer().unwrap();
            say("writing");
            for n in 0.. {
                writer.set(&vec![n as u8; 1 + 16 * (n % 256)]).unwrap();
            }
        }),
        ("set and stay", |args| {
            let mut writer = Latest::<u64>::open(&args[0]).unwrap().writer().unwrap();
            while let Some(line) = hear() {
                writer.set(&line.parse().unwrap()).unwrap();
            }
        }),
        ("changes", |args| {
            let mut reader = Latest::<u64>::open(&args[0]).unwrap().reader();
            say("reading");
            loop {
                match reader.changed() {
                    Ok(0) => break,
                    Ok(value) => say(&value.to_string()),
                    Err(error) => say(&format!("{:?}", error.kind())),
                }
            }
        }),
    ]
}

fn hostile_roles() -> Vec<(&'static str, Role)> {
    vec![
        ("scribble", |args| common::scribble(&args[0], args[1].parse().unwrap(), |len| len)),
        ("survive", |args| {
            let ring = Ring::open(&args[0]).unwrap();
            let latest = Latest::<[u64; 40]>::open(&args[1]).unwrap();
            let bytes = Latest::<[u8]>::open(&args[3]).unwrap();
            say("ready");
            hear();
            let brief = Duration::from_micros(300);
            for _ in 0..args[2].parse::<u32>().unwrap() {
                if let Ok(mut sender) = ring.sender() {
                    drop((sender.send_timeout(&[5; 700], brief), sender.receiver()));
                    if let Ok(mut batch) = sender.batch() {
                        drop((batch.push(b"one"), batch.push(&[2; 300]), batch.commit()));
                    }
                }
                if let Ok(mut receiver) = ring.receiver() {
                    let _ = receiver.receive_timeout(brief).map(|record| record.map(|record| record.to_vec()));
                    let mut sum = 0u64;
                    let _ = receiver.drain(|record| sum += record.iter().map(|byte| u64::from(*byte)).sum::<u64>());
                }
                let _ = latest.writer().map(|mut writer| writer.set(&[3; 40]));
                let mut reader = latest.reader();
                let _ = (reader.changed_timeout(brief), reader.writers());
                let _ = bytes.writer().map(|mut writer| writer.set(&[3; 400]));
                let value = bytes.reader().read();
                assert!(value.is_ok_and(|value| value.is_none_or(|value| value.len() <= 500)));
            }
            say("survived");
        }),
    ]
}

#[test]
fn records_of_all_lengths_come_whole_and_in_order() {
    for (label, polling) in [("sleeping", false), ("polling", true)] {
        let name = name(label);
        let ring = RingOptions::new().capacity(8192).polling(polling).create(&name).unwrap();
        let mut receiver = ring.receiver().unwrap();
        let child = Child::start("send", &[&name, "3", "6000", "4080"]);
        for n in 0..6000 {
            assert_eq!(check(&receiver.receive().unwrap(), 4080), (3, n));
        }
        assert!(receiver.try_receive().unwrap().is_none());
        child.wait();
    }
}

#[test]
fn a_full_ring_waits_and_an_empty_one_too() {
    let ring = Ring::create(&name("full"), 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    assert!(receiver.receive_timeout(SHORT).unwrap().is_none());
    let longest = vec![9; sender.record_max()];
    let mut sent = 0;
    while sender.try_send(&longest).unwrap() {
        sent += 1;
    }
    assert!(sent >= 1, "the longest record fits in an empty ring");
    assert!(!sender.send_timeout(&longest, SHORT).unwrap());
    assert_eq!(sender.send(&vec![0; sender.record_max() + 1]).unwrap_err().kind(), ErrorKind::OutOfRange);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(&longest));
        for _ in 0..=sent {
            assert_eq!(&*receiver.receive().unwrap(), &longest);
        }
        blocked.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_not_committed_was_never_there() {
    let ring = Ring::create(&name("abort"), 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    drop(sender.claim(50).unwrap());
    let mut claim = sender.claim(50).unwrap();
    claim[..5].copy_from_slice(b"hello");
    claim.truncate(5);
    claim.commit().unwrap();
    sender.send(b"").unwrap();
    receiver.receive().unwrap().leave();
    assert_eq!(&*receiver.receive().unwrap(), b"hello");
    assert_eq!(&*receiver.receive().unwrap(), b"");
    assert!(receiver.try_receive().unwrap().is_none());
}

#[test]
fn batches_come_together() {
    let ring = Ring::create(&name("batch"), 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    for round in 0..300 {
        let mut batch = sender.batch().unwrap();
        for n in 0..7 {
            assert!(batch.push(&record(round, n, 90)).unwrap());
        }
        assert!(receiver.try_receive().unwrap().is_none(), "not before it is committed");
        batch.commit().unwrap();
        let mut seen = Vec::new();
        assert_eq!(receiver.drain(|record| seen.push(check(record, 90))).unwrap(), 7);
        assert_eq!(seen, (0..7).map(|n| (round, n)).collect::<Vec<_>>());
    }
    let mut batch = sender.batch().unwrap();
    let mut count = 0;
    while batch.push(&[0; 100]).unwrap() {
        count += 1;
    }
    assert!(count > 30);
    drop(batch);
    assert_eq!(receiver.drain(|_| ()).unwrap(), 0, "a dropped batch was never there");
}

#[test]
fn several_senders_lose_nothing() {
    let name = name("several");
    let ring = RingOptions::new().capacity(8192).several_senders(true).create(&name).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let children = ["0", "1", "2"].map(|me| Child::start("send", &[&name, me, "3000", "300"]));
    let mut next = [0; 3];
    while next != [3000; 3] {
        let (sender, number) = check(&receiver.receive_timeout(PATIENCE).unwrap().expect("they send"), 300);
        assert_eq!(number, std::mem::replace(&mut next[sender as usize], number + 1), "lost, doubled or out of order");
    }
    children.into_iter().for_each(Child::wait);
}

#[test]
fn who_waits_for_a_turn_may_say_how_long() {
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name("turns")).unwrap();
    let (mut first, mut second) = (ring.sender().unwrap(), ring.sender().unwrap());
    let batch = first.batch().unwrap();
    let in_vain = || assert!(second.batch_timeout(Duration::from_millis(10)).unwrap().is_none());
    std::thread::scope(|scope| scope.spawn(in_vain).join().unwrap());
    drop(batch);
    assert!(second.batch_timeout(PATIENCE).unwrap().is_some());
}

#[test]
fn each_end_is_for_one() {
    let ring = Ring::create(&name("ends"), 4096).unwrap();
    let (sender, receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    assert_eq!(ring.sender().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(ring.receiver().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(sender.receiver().unwrap().process, std::process::id());
    assert_eq!(receiver.senders()[0].process, std::process::id());
    drop((sender, receiver));
    let (sender, receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    drop(receiver);
    assert_eq!(sender.receiver(), None);
}

#[test]
fn a_dead_senders_records_arrive_and_then_the_news() {
    let name = name("dead sender");
    let ring = Ring::create(&name, 4096).unwrap();
    let mut receiver = Child::start("receive", &[&name]);
    receiver.expect("receiving");
    for _ in 0..5 {
        let mut sender = Child::start("hold a claim", &[&name]);
        sender.expect("claimed");
        assert_eq!(ring.sender().unwrap_err().kind(), ErrorKind::AlreadyExists);
        sender.kill();
        receiver.expect("committed");
        receiver.expect("PeerDied");
    }
    let mut sender = ring.sender().unwrap();
    sender.send(b"alive").unwrap();
    receiver.expect("alive");
    sender.send(b"").unwrap();
    receiver.wait();
}

#[test]
fn a_dead_receiver_blocks_nobody_and_the_next_goes_on() {
    let name = name("dead receiver");
    let ring = Ring::create(&name, 4096).unwrap();
    let mut sender = ring.sender().unwrap();
    for text in ["one", "two", "three"] {
        sender.send(text.as_bytes()).unwrap();
    }
    let mut first = Child::start("receive and stay", &[&name]);
    first.expect("one");
    drop(sender);
    let mut filler = Child::start("fill", &[&name]);
    filler.expect("filling");
    let mut again = Child::start("receive and stay", &[&name]);
    again.kill();
    first.kill();
    filler.expect("PeerDied");
    filler.kill();
    // The one that died had not released its record: it comes again.
    let mut receiver = ring.receiver().unwrap();
    for text in ["one", "two", "three"] {
        assert_eq!(&*receiver.receive().unwrap(), text.as_bytes());
    }
    assert_eq!(receiver.drain(|record| assert_eq!(record, [1; 1000])).unwrap(), 4, "as many as fit");
}

#[test]
fn senders_killed_at_random_leave_whole_records_in_order() {
    let name = name("soak");
    let ring = RingOptions::new().capacity(8192).several_senders(true).create(&name).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let mut deaths = 0;
    for round in 0..30u32 {
        let me = round.to_string();
        let mut sender = Child::start("send", &[&name, &me, "1000000", "500"]);
        sender.expect("sending");
        let mut next = 0;
        for _ in 0..200 + round * 37 {
            match receiver.receive() {
                Ok(record) => {
                    assert_eq!(check(&record, 500), (round, next), "lost, doubled or out of order");
                    next += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        sender.kill();
        // Then its last ones, and the news.
        loop {
            match receiver.receive_timeout(PATIENCE) {
                Ok(record) => {
                    assert_eq!(check(&record.expect("its death is told"), 500), (round, next));
                    next += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerDied);
                    deaths += 1;
                    break;
                }
            }
        }
    }
    assert_eq!(deaths, 30);
}

#[test]
fn a_name_is_opened_as_what_it_is() {
    let (ring, latest, plain) = (name("a ring"), name("a latest"), name("a mapping"));
    let _held = (Ring::create(&ring, 4096).unwrap(), Latest::<u64>::create(&latest).unwrap());
    let mapping = Mapping::create(&plain, 1 << 20).unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"something else").unwrap();
    assert_eq!(Ring::create(&ring, 4096).unwrap_err().kind(), ErrorKind::AlreadyExists);
    for wrong in [Ring::open(&latest).map(drop), Latest::<u64>::open(&ring).map(drop), Ring::open(&plain).map(drop)] {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongKind);
    }
    assert_eq!(Ring::open(&name("absent")).unwrap_err().kind(), ErrorKind::NotFound);
    let error = RingOptions::new().capacity(usize::MAX).create(&name("huge")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Somebody made the mapping and died before it had content.
    let empty = name("empty");
    let _empty = Mapping::create(&empty, 1 << 20).unwrap();
    assert_eq!(Ring::open(&empty).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(RingOptions::new().capacity(4096).open_or_create(&empty).unwrap().capacity(), 4096);
}

#[test]
fn the_latest_value_is_whole_whoever_dies() {
    let name = name("whole");
    let latest = LatestOptions::new().create::<[u64; 40]>(&name).unwrap();
    let mut reader = latest.reader();
    assert_eq!(reader.read().unwrap(), None);
    for _ in 0..8 {
        let mut writer = Child::start("set for ever", &[&name]);
        writer.expect("writing");
        let before = reader.read().unwrap();
        until("it writes", || reader.read().unwrap() != before);
        for _ in 0..20_000 {
            let value = reader.read().unwrap().unwrap();
            assert_eq!(value, [value[0]; 40], "a torn value");
        }
        assert_eq!(latest.writer().unwrap_err().kind(), ErrorKind::AlreadyExists);
        writer.kill();
        let value = reader.read().unwrap().unwrap();
        assert_eq!(value, [value[0]; 40], "a torn value after a death");
    }
    latest.writer().unwrap().set(&[1; 40]).unwrap();
    assert_eq!(reader.read().unwrap(), Some([1; 40]));
    assert_eq!(Latest::<u64>::open(&name).unwrap_err().kind(), ErrorKind::WrongLayout);
}

#[test]
fn latest_bytes_have_any_length_up_to_their_capacity() {
    let name = name("bytes");
    let latest = LatestOptions::new().capacity(4096).create::<[u8]>(&name).unwrap();
    let mut reader = latest.reader();
    assert_eq!(reader.read().unwrap(), None);
    let mut value = b"as it was".to_vec();
    assert!(!reader.read_into(&mut value).unwrap());
    assert_eq!(value, b"as it was");
    for _ in 0..4 {
        let mut writer = Child::start("set bytes for ever", &[&name]);
        writer.expect("writing");
        let before = reader.read().unwrap();
        until("it writes", || reader.read().unwrap() != before);
        for _ in 0..20_000 {
            assert!(reader.read_into(&mut value).unwrap());
            assert_eq!(value, vec![value[0]; 1 + 16 * usize::from(value[0])], "a torn value");
        }
        writer.kill();
    }
    let mut writer = latest.writer().unwrap();
    let mut reader = latest.reader(); // to which nobody has died
    for size in [0, 1, 4095, 4096] {
        writer.set(&vec![7; size]).unwrap();
        assert_eq!(reader.changed().unwrap(), vec![7; size]);
    }
    let error = writer.set(&[8; 4097]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
    assert_eq!(reader.changed_timeout(Duration::ZERO).unwrap(), None);
    assert_eq!(reader.read().unwrap(), Some(vec![7; 4096]));

    // Whatever it is asked for when it is opened, it stays as it was made.
    let again = LatestOptions::new().capacity(10).open_or_create::<[u8]>(&name).unwrap();
    assert_eq!(again.reader().read().unwrap(), Some(vec![7; 4096]));
    assert_eq!(Latest::<u64>::open(&name).unwrap_err().kind(), ErrorKind::WrongLayout);
    let typed = format!("{name} typed");
    let _typed = Latest::<u64>::create(&typed).unwrap();
    assert_eq!(Latest::<[u8]>::open(&typed).unwrap_err().kind(), ErrorKind::WrongLayout);
    let schema = Schema::unsigned(4).array(3);
    let described = LatestOptions::new().create_bytes(&format!("{name} described"), &schema).unwrap();
    let (mut writer, mut reader) = (described.writer().unwrap(), described.reader());
    assert_eq!(writer.set(&[1; 11]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(writer.set(&[1; 13]).unwrap_err().kind(), ErrorKind::OutOfRange);
    writer.set(&[1; 12]).unwrap();
    assert_eq!((described.capacity(), reader.changed().unwrap()), (12, vec![1; 12]));
    let open = |fields| Latest::open_bytes(&format!("{name} described"), &Schema::unsigned(4).array(fields));
    assert_eq!(open(3).unwrap().reader().read().unwrap(), Some(vec![1; 12]));
    assert_eq!(open(4).unwrap_err().kind(), ErrorKind::WrongLayout);
    assert_eq!(Latest::<[u8]>::open(&format!("{name} described")).unwrap_err().kind(), ErrorKind::WrongLayout);
    let vast = Schema::unsigned(8).array(1 << 31).array(1 << 31);
    assert!(LatestOptions::new().create_bytes(&format!("{name} huge"), &vast).is_err());

    let error = LatestOptions::new().capacity(usize::MAX).create::<[u8]>(&format!("{name} huge")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[test]
fn readers_wait_for_a_change_and_hear_of_a_death() {
    let name = name("change");
    let _latest = Latest::<u64>::create(&name).unwrap();
    let mut readers = [Child::start("changes", &[&name]), Child::start("changes", &[&name])];
    readers.iter_mut().for_each(|reader| reader.expect("reading"));
    for round in 1..4u64 {
        let mut writer = Child::start("set and stay", &[&name]);
        for value in [10 * round, 10 * round + 1] {
            writer.send(&value.to_string());
            readers.iter_mut().for_each(|reader| reader.expect(&value.to_string()));
        }
        writer.kill();
        readers.iter_mut().for_each(|reader| reader.expect("PeerDied"));
    }
    let mut writer = Child::start("set and stay", &[&name]);
    writer.send("0");
    readers.into_iter().for_each(Child::wait);
}

#[test]
fn hostile_bytes_crash_and_hang_nobody() {
    let (ring, latest, bytes) = (name("hostile ring"), name("hostile latest"), name("hostile bytes"));
    let _bytes = LatestOptions::new().capacity(500).create::<[u8]>(&bytes).unwrap();
    let _ring = RingOptions::new().capacity(4096).several_senders(true).create(&ring).unwrap();
    let _latest = LatestOptions::new().several_writers(true).create::<[u64; 40]>(&latest).unwrap();
    let mut survivor = Child::start("survive", &[&ring, &latest, "200", &bytes]);
    survivor.expect("ready");
    // What describes the object was checked when it was opened; all behind it is fair game.
    let mut scribblers = [&ring, &latest, &bytes].map(|name| Child::start("scribble", &[name, "256"]));
    scribblers.iter_mut().for_each(|scribbler| scribbler.expect("scribbling"));
    survivor.send("go");
    survivor.expect("survived");
    survivor.wait();
}
