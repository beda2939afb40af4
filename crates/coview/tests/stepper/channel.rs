//! The ring and the latest value, killed at every instruction.

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
        assert_eq!(region.read(), [7; 9]);
    };
    sweep("region: initialise, read", &victim, |at, _| {
        let opened = Region::<[u64; 9]>::open_or_create(&name, || [8; 9]);
        let (region, made) = opened.unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let expected = if made == Disposition::Created { [8; 9] } else { [7; 9] };
        assert_eq!(region.read(), expected, "killed after {at} instructions");
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
