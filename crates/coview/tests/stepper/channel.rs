//! The ring and the latest value, killed at every instruction.

use std::sync::atomic::Ordering;

use coview::latest::Latest;
use coview::ring::{Receiver, Ring, RingOptions};
use coview::{Access, Disposition, ErrorKind, Mapping, Region};

use crate::harness::*;

/// Every record is whole: its bytes all say its number. Which came.
fn drain(receiver: &mut Receiver, at: u32) -> Vec<u8> {
    let mut seen = Vec::new();
    receiver
        .drain(|record| {
            assert!(record.len() == 72 && record.iter().all(|byte| *byte == record[0]), "killed after {at}: torn");
            seen.push(record[0]);
        })
        .unwrap();
    seen
}

/// A sender dies anywhere between claim and commit: its record is there whole or not at all, and the next sender's follows.
pub(crate) fn ring_send() {
    let ring = Ring::create(&name("ring send"), 4096).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let victim = |begin: &dyn Fn()| {
        let mut sender = ring.sender().unwrap();
        begin();
        sender.send(&[7; 72]).unwrap();
    };
    sweep("ring: claim, fill, commit", &victim, |at, _| {
        let seen = drain(&mut receiver, at);
        assert!(seen.is_empty() || seen == [7], "killed after {at} instructions: {seen:?}");
        assert_eq!(receiver.try_receive().map(|record| record.map(|_| ())).err().map(|e| e.kind()), None);
        let mut sender = ring.sender().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        sender.send(&[8; 72]).unwrap();
        drop(sender);
        assert_eq!(drain(&mut receiver, at), [8], "killed after {at} instructions");
        told(&mut receiver);
        seen.is_empty()
    });
}

/// The news of a death, if it has not come yet.
fn told(receiver: &mut Receiver) {
    if let Err(error) = receiver.receive_timeout(std::time::Duration::from_micros(1)).map(|record| record.is_some()) {
        assert_eq!(error.kind(), ErrorKind::PeerDied);
    }
}

/// A receiver dies anywhere with a record: the next one gets it again or goes on behind it, and nothing else is lost.
pub(crate) fn ring_receive() {
    let ring = Ring::create(&name("ring receive"), 4096).unwrap();
    let mut sender = ring.sender().unwrap();
    let victim = |begin: &dyn Fn()| {
        let mut receiver = ring.receiver().unwrap();
        begin();
        let record = receiver.receive().unwrap();
        assert_eq!(record[0], 1);
        drop(record);
    };
    let mut prepare = || {
        sender.send(&[1; 72]).unwrap();
        sender.send(&[2; 72]).unwrap();
    };
    prepare();
    sweep("ring: receive and release", &victim, |at, _| {
        let mut receiver = ring.receiver().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let seen = drain(&mut receiver, at);
        assert!(seen == [1, 2] || seen == [2], "killed after {at} instructions: {seen:?}");
        drop(receiver);
        prepare();
        seen == [1, 2]
    });
}

/// A claim that its sender dies with, or gives up, was never there.
pub(crate) fn ring_abort() {
    let ring = Ring::create(&name("ring abort"), 4096).unwrap();
    let mut receiver = ring.receiver().unwrap();
    let victim = |begin: &dyn Fn()| {
        let mut sender = ring.sender().unwrap();
        begin();
        let mut claim = sender.claim(72).unwrap();
        claim.fill(7);
        drop(claim);
        let mut batch = sender.batch().unwrap();
        assert!(batch.push(&[7; 72]).unwrap());
    };
    sweep("ring: claim, batch, give both up", &victim, |at, _| {
        let mut sender = ring.sender().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        sender.send(&[8; 72]).unwrap();
        drop(sender);
        assert_eq!(drain(&mut receiver, at), [8], "killed after {at} instructions");
        told(&mut receiver);
        false
    });
}

/// Whoever dies while it makes a ring, in a mapping that others hold, leaves one that they can use or make.
pub(crate) fn initialise() {
    let name = name("initialise");
    let victim = |begin: &dyn Fn()| {
        begin();
        let ring = RingOptions::new().capacity(4096).open_or_create(&name).unwrap();
        ring.sender().unwrap().send(&[7; 72]).unwrap();
    };
    sweep("ring: make, attach, send", &victim, |at, _| {
        let ring = RingOptions::new().capacity(4096).open_or_create(&name);
        let ring = ring.unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        ring.sender().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}")).send(&[8; 72]).unwrap();
        assert_eq!(drain(&mut ring.receiver().unwrap(), at), [8], "killed after {at} instructions");
        false
    });
    let name = crate::harness::name("initialise region");
    let held = Mapping::create(&name, 4096).unwrap();
    let (zeros, view) = ([0; 4096], held.view(Access::ReadWrite).unwrap());
    let victim = |begin: &dyn Fn()| {
        begin();
        let (region, _) = Region::<[u64; 9]>::open_or_create(&name, || [7; 9]).unwrap();
        assert_eq!(region.read().unwrap(), [7; 9]);
    };
    sweep("region: initialise, read", &victim, |at, _| {
        let opened = Region::<[u64; 9]>::open_or_create(&name, || [8; 9]);
        let (region, made) = opened.unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let expected = if made == Disposition::Created { [8; 9] } else { [7; 9] };
        assert_eq!(region.read().unwrap(), expected, "killed after {at} instructions");
        view.write(0, &zeros).unwrap();
        made == Disposition::Created
    });
}

pub(crate) fn latest_get() {
    let latest = Latest::<[u64; 9]>::create(&name("latest get")).unwrap();
    let mut writer = latest.writer().unwrap();
    writer.set(&[0; 9]).unwrap();
    let victim = |begin: &dyn Fn()| {
        let mut reader = latest.reader();
        begin();
        assert!(reader.read().unwrap().is_some());
    };
    let mut last = 0;
    sweep("latest: get", &victim, |at, _| {
        last += 1;
        writer.set(&[last; 9]).unwrap();
        assert_eq!(latest.reader().read().unwrap(), Some([last; 9]), "killed after {at} instructions");
        false
    });
}

pub(crate) fn latest_set() {
    let latest = Latest::<[u64; 9]>::create(&name("latest")).unwrap();
    let mut reader = latest.reader();
    latest.writer().unwrap().set(&[0; 9]).unwrap();
    let victim = |begin: &dyn Fn()| {
        let mut writer = latest.writer().unwrap();
        let next = latest.reader().read().unwrap().unwrap()[0] + 1;
        begin();
        writer.set(&[next; 9]).unwrap();
    };
    let mut last = 0;
    sweep("latest: set", &victim, |at, _| {
        let value = reader.read().unwrap().unwrap();
        assert_eq!(value, [value[0]; 9], "killed after {at} instructions: torn");
        assert!(value[0] == last || value[0] == last + 1, "killed after {at} instructions");
        let noticed = value[0] == last;
        last = value[0] + 1;
        let mut writer = latest.writer().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        writer.set(&[last; 9]).unwrap();
        noticed
    });
}

/// Whoever dies between making, attaching and detaching leaves an end that is free.
pub(crate) fn attach() {
    let name = name("attach");
    let held = Ring::create(&name, 4096).unwrap();
    let victim = |begin: &dyn Fn()| {
        begin();
        let ring = Ring::open(&name).unwrap();
        drop(ring.sender().unwrap());
    };
    sweep("ring: open, attach, detach", &victim, |at, _| {
        let mut sender = held.sender().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        sender.send(b"alive").unwrap();
        drop(sender);
        let mut receiver = held.receiver().unwrap();
        let mut count = 0;
        receiver.drain(|_| count += 1).unwrap();
        assert_eq!(count, 1, "killed after {at} instructions");
        false
    });
}

/// Two senders die anywhere in sending while the receiver sleeps: it gets what a third one sends, and nothing torn.
pub(crate) fn ring_two_senders_die() {
    let (notes, name) = (Notes::new(), name("two senders"));
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name).unwrap();
    let (last, deaths) = (notes.word(0), notes.word(1));
    let other = helper(&|| {
        let mut receiver = ring.receiver().unwrap();
        loop {
            match receiver.receive() {
                Ok(record) => {
                    assert!(record.len() == 72 && record.iter().all(|byte| *byte == record[0]), "torn");
                    last.store(record[0].into(), Ordering::SeqCst);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerDied);
                    deaths.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    let sends = |number: u8| {
        let ring = &ring;
        move |begin: &dyn Fn()| {
            let mut sender = ring.sender().unwrap();
            begin();
            sender.send(&[number; 72]).unwrap();
        }
    };
    let third = || {
        ring.sender().unwrap().send(&[9; 72]).unwrap();
        until(|| last.load(Ordering::SeqCst) == 9 && asleep(other), "the receiver has it and sleeps again");
        last.store(0, Ordering::SeqCst);
    };
    third();
    duel("ring: two of three senders die, the receiver waits", &sends(1), &sends(2), |_, _| third());
    assert!(deaths.load(Ordering::SeqCst) > 0, "nobody was told of a death");
    kill_helper(other);
}

/// The receiver of a full ring and one of two senders that wait for room die; the next receiver makes room for the other.
pub(crate) fn ring_receiver_and_sender_die() {
    let (notes, name) = (Notes::new(), name("no room"));
    let ring = RingOptions::new().capacity(4096).several_senders(true).create(&name).unwrap();
    let (ask, answer) = (notes.word(0), notes.word(1));
    let other = helper(&|| {
        let mut sender = ring.sender().unwrap();
        loop {
            while ask.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            ask.store(0, Ordering::SeqCst);
            while let Err(error) = sender.send(&[5; 72]) {
                assert_eq!(error.kind(), ErrorKind::PeerDied);
            }
            answer.store(1, Ordering::SeqCst);
        }
    });
    let arm = || {
        let mut sender = ring.sender().unwrap();
        while sender.try_send(&[4; 72]).unwrap() {}
        drop(sender);
        answer.store(0, Ordering::SeqCst);
        ask.store(1, Ordering::SeqCst);
        until(|| ask.load(Ordering::SeqCst) == 0 && asleep(other), "the other sender waits for room");
    };
    let receives = |begin: &dyn Fn()| {
        let mut receiver = ring.receiver().unwrap();
        begin();
        receiver.drain(|_| ()).unwrap();
    };
    let sends = |begin: &dyn Fn()| {
        let mut sender = ring.sender().unwrap();
        begin();
        let _ = sender.send(&[6; 72]); // or hears that the receiver died
    };
    arm();
    duel("ring: receiver and one of two waiting senders die", &receives, &sends, |at, _| {
        let mut receiver = ring.receiver().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let receiver = std::cell::RefCell::new(&mut receiver);
        let through = || {
            drain(&mut receiver.borrow_mut(), at);
            answer.load(Ordering::SeqCst) == 1
        };
        until(through, "the other sender goes through");
        drain(&mut receiver.borrow_mut(), at);
        arm();
    });
    kill_helper(other);
}

/// The writer and one of two readers that wait die; the other reader hears of what comes next, and of nothing torn.
pub(crate) fn latest_writer_and_reader_die() {
    let (notes, name) = (Notes::new(), name("latest both"));
    let latest = Latest::<[u64; 9]>::create(&name).unwrap();
    let last = notes.word(0);
    let other = helper(&|| {
        let mut reader = latest.reader();
        loop {
            match reader.changed() {
                Ok(value) => {
                    assert_eq!(value, [value[0]; 9], "torn");
                    last.store(value[0] as u32, Ordering::SeqCst);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::PeerDied),
            }
        }
    });
    let newest = || latest.reader().read().unwrap().map_or(0, |value| value[0]);
    let sets = |begin: &dyn Fn()| {
        let (mut writer, next) = (latest.writer().unwrap(), newest() + 1);
        begin();
        writer.set(&[next; 9]).unwrap();
    };
    let reads = |begin: &dyn Fn()| {
        let mut reader = latest.reader();
        let _ = reader.read().unwrap();
        begin();
        let _ = reader.changed();
    };
    let next = || {
        let next = newest() + 1;
        latest.writer().unwrap().set(&[next; 9]).unwrap();
        let heard = || u64::from(last.load(Ordering::SeqCst)) == next && asleep(other);
        until(heard, "the other reader has the next value and sleeps again");
    };
    next();
    duel("latest: writer and one of two waiting readers die", &sets, &reads, |_, _| next());
    kill_helper(other);
}
