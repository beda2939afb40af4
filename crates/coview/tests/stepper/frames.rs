//! Frames, killed at every instruction of publishing, receiving, subscribing and taking back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use coview::ErrorKind;
use coview::frames::{Frames, FramesOptions, Growth, Policy, Publisher, Subscriber};

use crate::harness::*;

const SLOTS: usize = 4;
const LARGE: usize = 300;

fn frames(text: &str) -> Frames<[u8]> {
    FramesOptions::new().slot(LARGE).budget(SLOTS * 384).create(&name(text)).unwrap()
}

fn publisher(frames: &Frames<[u8]>, at: u32) -> Publisher<[u8]> {
    frames.publisher().unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"))
}

/// All slots can be had at once: none has leaked.
fn all_slots(frames: &Frames<[u8]>, at: u32) {
    let publisher = publisher(frames, at);
    let loans: Vec<_> = (0..SLOTS).map_while(|_| publisher.loan_timeout(LARGE, Duration::ZERO).unwrap()).collect();
    assert_eq!(loans.len(), SLOTS, "killed after {at} instructions: slots have leaked");
}

/// Every frame is whole: its bytes all say the same. Which came.
fn drain(subscriber: &Subscriber<[u8]>, at: u32) -> Vec<u8> {
    let mut seen = Vec::new();
    loop {
        match subscriber.receive_timeout(Duration::from_micros(1)) {
            Ok(None) => return seen,
            Ok(Some(frame)) => {
                assert!(frame.iter().all(|byte| *byte == frame[0]), "killed after {at} instructions: torn");
                assert_eq!(frame.lost(), 0, "killed after {at} instructions");
                seen.push(frame[0]);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::PeerDied),
        }
    }
}

/// `standing`: the publisher has published before, alone, and so has a standing turn.
fn publish(label: &str, len: usize, standing: bool) {
    let frames = frames(label);
    let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
    let send = |publisher: &Publisher<[u8]>, byte| {
        let mut loan = publisher.loan(len).unwrap();
        loan.fill(byte);
        loan.publish().unwrap();
    };
    let victim = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        if standing {
            send(&publisher, 6);
        }
        begin();
        send(&publisher, 7);
    };
    sweep(label, &victim, |at, _| {
        let mut seen = drain(&subscriber, at);
        if standing {
            assert_eq!(seen.remove(0), 6, "killed after {at} instructions");
        }
        assert!(seen.is_empty() || seen == [7], "killed after {at} instructions: {seen:?}");
        publisher(&frames, at).send(&vec![8; len]).unwrap();
        assert_eq!(drain(&subscriber, at), [8], "killed after {at} instructions");
        all_slots(&frames, at);
        seen.is_empty()
    });
}

/// A publisher dies anywhere between loan and publish: its frame is there whole or not at all, and the next one's follows.
pub(crate) fn publish_small() {
    publish("frames: publish a small one", 100, false);
}

pub(crate) fn publish_large() {
    publish("frames: loan, fill, publish", LARGE, false);
}

pub(crate) fn publish_standing() {
    publish("frames: publish a small one, in a standing turn", 100, true);
    publish("frames: loan, fill, publish, in a standing turn", LARGE, true);
}

/// Publishes without waiting, unless somebody else is about to. Whether it did.
fn try_send(publisher: &Publisher<[u8]>, byte: u8) -> bool {
    let Some(mut loan) = publisher.loan_timeout(100, Duration::ZERO).unwrap() else { return false };
    loan.fill(byte);
    loan.publish_timeout(Duration::ZERO).unwrap().is_ok()
}

/// A publisher stands still anywhere in its standing turn: another one publishes before it or behind it, not within.
pub(crate) fn publish_while_others_publish() {
    let frames = frames("frames publish beside");
    let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
    let did = std::cell::Cell::new(false);
    let victim = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        publisher.send(&[5; 100]).unwrap();
        begin();
        publisher.send(&[6; 100]).unwrap();
        std::mem::forget(publisher);
    };
    let interfere = || did.set(try_send(&frames.publisher().unwrap(), 8));
    let prepare = || drop(drain(&subscriber, 0));
    sweep_pauses("frames: publish, while others do", &prepare, &victim, &interfere, &|at| {
        let mut seen = drain(&subscriber, at);
        seen.sort_unstable();
        let all: &[u8] = if did.get() { &[5, 6, 8] } else { &[5, 6] };
        assert_eq!(seen, all, "paused after {at} instructions");
    });
}

/// Two die: one in its standing turn, the other while it ends that.
pub(crate) fn end_a_standing_turn() {
    let frames = frames("frames both publish");
    let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
    let first = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        publisher.send(&[5; 100]).unwrap();
        begin();
        publisher.send(&[6; 100]).unwrap();
    };
    let second = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        begin();
        try_send(&publisher, 7);
    };
    duel("frames: publish, and another does, both die", &first, &second, |i, j| {
        drop(drain(&subscriber, i));
        publisher(&frames, i).send(&[8; 100]).unwrap();
        assert_eq!(drain(&subscriber, i), [8], "killed after {i} and {j} instructions");
        all_slots(&frames, i);
    });
}

/// A publisher and one of two subscribers that wait die; the other hears of the next frame, and of nothing torn.
pub(crate) fn publisher_and_subscriber_die() {
    let (frames, notes) = (frames("frames wait"), Notes::new());
    let last = notes.word(0);
    let other = helper(&|| {
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        loop {
            match subscriber.receive() {
                Ok(frame) => {
                    assert!(frame.iter().all(|byte| *byte == frame[0]), "torn");
                    last.store(frame[0].into(), Ordering::SeqCst);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::PeerDied),
            }
        }
    });
    let publishes = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        begin();
        publisher.send(&[1; 100]).unwrap();
        publisher.send(&[2; LARGE]).unwrap();
    };
    let waits = |begin: &dyn Fn()| {
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        while subscriber.try_receive().unwrap().is_some() {}
        begin();
        let _ = subscriber.receive(); // or hears that the publisher died
    };
    let next = |len| {
        frames.publisher().unwrap().send(&vec![9; len]).unwrap();
        until(|| last.load(Ordering::SeqCst) == 9 && asleep(other), "the other has the next frame and sleeps again");
        last.store(0, Ordering::SeqCst);
    };
    next(100);
    duel("frames: publisher and one of two waiting subscribers die", &publishes, &waits, |_, _| {
        next(100);
        next(LARGE);
    });
    kill_helper(other);
}

/// A publisher dies anywhere while it fills a published frame: who reads it early hears of its end, who does not gets it whole or not at all.
pub(crate) fn fill() {
    let frames = frames("frames fill");
    let [early, patient] = [(); 2].map(|()| frames.subscriber(Policy::EveryFrame).unwrap());
    let victim = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        begin();
        let mut filling = publisher.loan(LARGE).unwrap().publish_growing().unwrap();
        filling.write(&[7; LARGE / 2]).unwrap();
        filling.write(&[7; LARGE / 2]).unwrap();
        filling.finish().unwrap();
    };
    sweep("frames: fill a published one", &victim, |at, _| {
        let end = loop {
            match early.receive_growing_timeout(Duration::from_micros(1)) {
                Ok(None) => break None,
                Err(error) => assert_eq!(error.kind(), ErrorKind::PeerDied),
                Ok(Some(mut frame)) => {
                    let end = loop {
                        match frame.grow_timeout(patience()).unwrap() {
                            Some(Growth::More) => {}
                            end => {
                                break end
                                    .unwrap_or_else(|| panic!("killed after {at} instructions: it grows for ever"));
                            }
                        }
                    };
                    assert!(frame.iter().all(|byte| *byte == 7), "killed after {at} instructions: torn");
                    assert!(end != Growth::Whole || frame.len() == LARGE, "killed after {at} instructions");
                    break Some(end);
                }
            }
        };
        publisher(&frames, at).send(&[8; LARGE]).unwrap();
        let mut seen = Vec::new();
        while seen.last() != Some(&8) {
            match patient.receive_timeout(patience()) {
                Ok(frame) => {
                    seen.push(frame.unwrap_or_else(|| panic!("killed after {at} instructions: a frame is missing"))[0])
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::PeerDied),
            }
        }
        let whole: &[u8] = if end == Some(Growth::Whole) { &[7, 8] } else { &[8] };
        assert_eq!(seen, whole, "killed after {at} instructions");
        assert_eq!(drain(&early, at), [8], "killed after {at} instructions");
        all_slots(&frames, at);
        end == Some(Growth::Aborted)
    });
}

/// A subscriber dies anywhere with a frame: nobody waits for it, and its slot is free.
pub(crate) fn receive() {
    let frames = frames("frames receive");
    let held = frames.publisher().unwrap();
    held.send(&[1; LARGE]).unwrap();
    let victim = |begin: &dyn Fn()| {
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        begin();
        let frame = subscriber.receive().unwrap();
        assert!(frame.iter().all(|byte| *byte == 1));
        drop(frame);
        drop(subscriber);
    };
    sweep("frames: receive and release", &victim, |at, _| {
        all_slots(&frames, at);
        // In the place of the dead one: what that held is not held any more.
        let next = frames.subscriber(Policy::NewestOnly).unwrap();
        all_slots(&frames, at);
        drop(next);
        for _ in 0..2 * SLOTS {
            assert!(held.loan_timeout(LARGE, patience()).unwrap().is_some(), "killed after {at} instructions");
            held.send(&[1; LARGE]).unwrap();
        }
        false
    });
}

/// A subscriber stands still anywhere, others publish all over it, and it goes on: what it gets is the frame that it says it is.
pub(crate) fn receive_while_others_publish() {
    let (frames, notes) = (frames("frames receive beside"), Notes::new());
    let (held, published) = (frames.publisher().unwrap(), std::cell::Cell::new(0u64));
    let send = || {
        published.set(published.get() + 1);
        held.send(&[published.get() as u8; LARGE]).unwrap();
    };
    let victim = |begin: &dyn Fn()| {
        let subscriber = frames.subscriber(Policy::DropOldest).unwrap();
        begin();
        let frame = subscriber.receive().unwrap();
        let right = frame.iter().all(|byte| *byte == frame.number() as u8);
        notes.word(0).store(1 + u32::from(right), Ordering::Relaxed);
        std::mem::forget(frame);
        std::mem::forget(subscriber);
    };
    let prepare = || {
        notes.word(0).store(0, Ordering::Relaxed);
        send();
    };
    let interfere = || (0..2 * SLOTS).for_each(|_| send());
    sweep_pauses("frames: receive, while others publish", &prepare, &victim, &interfere, &|at| {
        assert_eq!(notes.word(0).load(Ordering::Relaxed), 2, "paused after {at} instructions: another frame's bytes");
    });
    all_slots(&frames, 0);
}

/// Whoever dies while it subscribes keeps nobody waiting, and its place is free.
pub(crate) fn subscribe() {
    let frames = frames("frames subscribe");
    let held = frames.publisher().unwrap();
    let victim = |begin: &dyn Fn()| {
        begin();
        drop(frames.subscriber(Policy::EveryFrame).unwrap());
    };
    sweep("frames: subscribe, leave", &victim, |at, _| {
        for _ in 0..2 * SLOTS {
            held.loan_timeout(LARGE, patience()).unwrap().expect("nobody is waited for").publish().unwrap();
        }
        let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
        drop(drain(&subscriber, at));
        held.send(b"alive").unwrap();
        assert_eq!(&*subscriber.receive().unwrap(), b"alive", "killed after {at} instructions");
        false
    });
}

/// Who takes back what the dead had dies, too: the next one does.
pub(crate) fn reclaim() {
    let frames = frames("frames reclaim");
    let held = frames.publisher().unwrap();
    // Killed with a frame in its hands and the other slots on loan.
    let leave_dead = || {
        held.send(&[1; LARGE]).unwrap();
        kill(start(&|begin| {
            let subscriber = frames.subscriber(Policy::EveryFrame).unwrap();
            let publisher = frames.publisher().unwrap();
            let frame = subscriber.receive().unwrap();
            let loans: Vec<_> = (1..SLOTS).map(|_| publisher.loan(LARGE).unwrap()).collect();
            begin();
            drop((frame, loans));
        }));
    };
    leave_dead();
    let victim = |begin: &dyn Fn()| {
        let publisher = frames.publisher().unwrap();
        begin();
        let loans: Vec<_> = (0..SLOTS).map_while(|_| publisher.loan_timeout(LARGE, Duration::ZERO).unwrap()).collect();
        assert_eq!(loans.len(), SLOTS);
        loans.into_iter().for_each(|loan| loan.publish().unwrap());
    };
    sweep("frames: take back what the dead had", &victim, |at, _| {
        all_slots(&frames, at);
        leave_dead();
        false
    });
}
