//! What `inspect::channel` says of channels that are used, that are left alone, and that are written over.

use coview::frames::{Frames, FramesOptions, Policy};
use coview::inspect::{self, Channel};
use coview::latest::Latest;
use coview::region::RegionKind;
use coview::ring::Ring;
use coview::{Access, ErrorKind, Mapping, Region};

fn name(text: &str) -> String {
    format!("status-{text}-{}", std::process::id())
}

fn look(name: &str) -> Channel {
    inspect::channel(name).unwrap().expect("it is a channel")
}

#[test]
fn frames_tell_who_is_behind_and_who_lost_what() {
    let name = name("frames");
    let frames = FramesOptions::new().slot(4096).budget(8 * 4096).create::<[u8]>(&name).unwrap();
    let fresh = look(&name);
    assert_eq!((fresh.kind, fresh.newest, fresh.used), (RegionKind::Frames, Some(0), 0));
    assert_eq!((fresh.capacity, fresh.message_size, fresh.senders.len()), (8 * 4096, None, 0));

    let publisher = frames.publisher().unwrap();
    let slow = frames.subscriber(Policy::DropOldest).unwrap();
    let newest = frames.subscriber(Policy::NewestOnly).unwrap();
    for _ in 0..20 {
        publisher.send(&[7; 3000]).unwrap();
    }
    let full = look(&name);
    assert_eq!((full.newest, full.message_size, full.used), (Some(20), Some(3000), 8 * 4096));
    assert_eq!(full.senders.iter().map(|peer| peer.process).collect::<Vec<_>>(), [std::process::id()]);
    let receivers: Vec<_> = full.receivers.iter().map(|r| (r.peer.process, r.policy, r.lag, r.lost)).collect();
    let id = std::process::id();
    assert_eq!(receivers, [(id, Policy::DropOldest, 20, 0), (id, Policy::NewestOnly, 20, 0)]);

    let frame = slow.receive().unwrap();
    let lost = frame.lost();
    assert!(lost > 0 && newest.receive().unwrap().lost() == 19);
    let after = look(&name);
    assert_eq!((after.receivers[0].lag, after.receivers[0].lost), (20 - frame.number(), lost));
    assert_eq!((after.receivers[1].lag, after.receivers[1].lost), (0, 19));
    let traffic = after.since(&fresh);
    assert_eq!((traffic.messages, traffic.bytes), (Some(20), Some(60_000)));

    drop(frame);
    drop((slow, newest));
    assert_eq!(look(&name).receivers, []);
    // The seat is as new for whoever comes next.
    let _again = frames.subscriber(Policy::EveryFrame).unwrap();
    assert_eq!(look(&name).receivers[0].lost, 0);
}

#[test]
fn a_loan_is_in_use_and_small_frames_use_no_slot() {
    let name = name("loan");
    let frames = FramesOptions::new().slot(4096).budget(8 * 4096).create::<[u8]>(&name).unwrap();
    let publisher = frames.publisher().unwrap();
    publisher.send(b"small").unwrap();
    assert_eq!((look(&name).used, look(&name).message_size), (0, Some(5)));
    let loan = publisher.loan(4000).unwrap();
    assert_eq!(look(&name).used, 4096);
    drop(loan);
    assert_eq!(look(&name).used, 0);
}

#[test]
fn a_latest_value_and_a_ring_are_told_too() {
    let (latest_name, ring_name) = (name("latest"), name("ring"));
    let latest = Latest::<[u8; 40]>::create(&latest_name).unwrap();
    let before = look(&latest_name);
    let mut writer = latest.writer().unwrap();
    (0..3).for_each(|n| writer.set(&[n; 40]).unwrap());
    let traffic = look(&latest_name).since(&before);
    assert_eq!((traffic.messages, traffic.bytes, look(&latest_name).senders.len()), (Some(3), Some(120), 1));

    let ring = Ring::create(&ring_name, 4096).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let before = look(&ring_name);
    (0..5).for_each(|_| sender.send(&[1; 20]).unwrap());
    let waiting = look(&ring_name);
    assert_eq!((waiting.receivers[0].lag, waiting.used, waiting.capacity), (5, 5 * 32, 4096));
    for round in 0..1000 {
        drop(receiver.receive().unwrap());
        if round < 995 {
            sender.send(&[1; 20]).unwrap();
        }
    }
    drop(receiver);
    let after = look(&ring_name);
    assert!(after.receivers.is_empty() && after.used <= 32, "{after:?}");
    let received = after.since(&before).bytes.unwrap();
    assert!(
        (999 * 32..=1000 * 32 + 4096 / 2).contains(&received),
        "{received}: records, and what was skipped at the end"
    );
}

#[test]
fn what_is_no_channel_is_none_and_what_is_absent_is_not_found() {
    let name = name("other");
    assert_eq!(inspect::channel(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let mapping = Mapping::create(&name, 4096).unwrap();
    assert_eq!(inspect::channel(&name).unwrap(), None);
    drop(mapping);
    let _region = Region::create(&name, &1u64).unwrap();
    assert_eq!(inspect::channel(&name).unwrap(), None);
}

/// A peer writes anything over the content, again and again: something is said, or it is said to be corrupt.
#[test]
fn what_is_written_over_breaks_nobody() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for kind in ["frames", "ring", "latest"] {
        let name = name(&format!("hostile-{kind}"));
        let _held: Box<dyn std::any::Any> = match kind {
            "frames" => Box::new(Frames::<[u8]>::create(&name).unwrap()),
            "ring" => Box::new(Ring::create(&name, 4096).unwrap()),
            _ => Box::new(Latest::<u64>::create(&name).unwrap()),
        };
        let mapping = Mapping::open(&name, Access::ReadWrite).unwrap();
        let _ = mapping.commit(0, mapping.size()); // the slots of frames, which have no memory yet
        let view = mapping.view(Access::ReadWrite).unwrap();
        let start = if kind == "frames" { 4096 } else { 256 };
        let (mut said, mut refused) = (0, 0);
        for _ in 0..3000 {
            let words = (view.len() - start) / 8;
            // Mostly into the head, whose numbers say where everything is.
            let within = if random().is_multiple_of(4) { words } else { words.min(1300) };
            let at = start + (random() as usize % within) * 8;
            let word = [random(), random() % 5, u64::MAX, 1 << (random() % 64)][random() as usize % 4];
            let before = view.load::<std::sync::atomic::AtomicU64>(at, std::sync::atomic::Ordering::Relaxed).unwrap();
            view.write(at, &word.to_ne_bytes()).unwrap();
            match inspect::channel(&name) {
                Ok(Some(_)) => said += 1,
                Ok(None) => panic!("{kind}: its head is whole"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind}: {error}");
                    refused += 1;
                }
            }
            if at < start + 64 && random().is_multiple_of(2) {
                view.write(at, &before.to_ne_bytes()).unwrap();
            }
        }
        assert!(said > 0, "{kind}: {refused} refused");
    }
}
