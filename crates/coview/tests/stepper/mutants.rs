//! Deliberately broken variants of the protocols: each must be caught by the sweep that stands beside it.

use crate::harness::caught;
use crate::{channel, frames, mapping, messages, named, placed};

/// What is broken, and which sweep sees it. The variants stand in the sources, at `is_broken`.
const MUTANTS: &[(&str, &str, fn())] = &[
    ("mutex: unlock is not announced", "mutex: unlock with a waiter", named::mutex_unlock_with_waiter),
    ("mutex: the death is not told", "mutex: lock and unlock", named::mutex_lock_unlock),
    ("commit: not announced", "event: set with two waiters", named::event_set_manual),
    ("commit: sleepers stay marked", "event: set with two waiters", named::event_set_manual),
    ("commit: no relay", "event: set with two waiters", named::event_set_manual),
    ("lock: not on the list", "placed mutex: lock, change, unlock", placed::mutex),
    ("reader-writer lock: writing is not marked", "placed reader-writer lock: write", placed::rwlock_write),
    ("once: done before it is", "once: call", placed::once),
    ("sequence lock: the number before the value", "placed sequence lock: write", placed::sequence_lock),
    ("latest: the number before the value", "latest: set", channel::latest_set),
    ("ring: the header before the record", "ring: claim, fill, commit", channel::ring_send),
    ("frames: the number before the bytes", "frames: publish a small one", frames::publish_small),
    (
        "frames: a standing turn is not waited for",
        "frames: publish, while others do",
        frames::publish_while_others_publish,
    ),
    ("frames: loans of the dead stay", "frames: loan, fill, publish", frames::publish_large),
    ("frames: what the dead filled is not aborted", "frames: fill a published one", frames::fill),
    ("frames: the dead hold their slots", "frames: receive and release", frames::receive),
    (
        "frames: held without a second look",
        "frames: receive, while others publish",
        frames::receive_while_others_publish,
    ),
    ("board: ready before the bytes", "queue: send a small one", messages::send_small),
    ("board: what the dead were posting stays", "queue: send a small one", messages::send_small),
    ("board: loans of the dead stay", "queue: loan, fill, send", messages::send_large),
    ("board: what the dead had taken stays", "queue: receive and finish", messages::receive),
    ("board: nobody looks back", "queue: receive and finish", messages::receive),
    ("board: requests of the dead stay", "service: ask, answer, cancel", messages::ask),
    (
        "create: published before it is locked",
        "mapping: create, while another does",
        mapping::mapping_create_while_others_do,
    ),
];

/// Those that one of these sweeps is to see.
pub(crate) fn all(sweeps: &[fn()]) {
    let is_chosen = |sweep: fn()| sweeps.iter().any(|chosen| std::ptr::fn_addr_eq(*chosen, sweep));
    let chosen: Vec<_> = MUTANTS.iter().filter(|(_, _, sweep)| is_chosen(*sweep)).collect();
    for (variant, by, sweep) in &chosen {
        assert!(caught(variant, sweep), "the broken variant {variant:?} is not seen by {by:?}");
        println!("broken: {variant}: caught by {by}");
    }
    println!("{} broken variants, all caught", chosen.len());
    println!("count broken variants: caught {}", chosen.len());
}
