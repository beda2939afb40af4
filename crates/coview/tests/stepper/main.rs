//! Kills a process after every single instruction of an operation, in turn, and looks what the survivors find.
//!
//! A victim is a fork of this process that stops itself before and after the operation; in between it is stepped by
//! ptrace(2). Survivors use the real library on the real kernel. `COVIEW_STEP_POINTS` bounds the kills of each
//! operation (they are spread evenly); 0 is every instruction; arguments choose areas. Only built optimised does it run. Built with `--cfg coview_step`
//! (`just crash`) the library has no back-stop, which would hide a lost wake-up, and deliberately broken variants of the
//! protocols must be caught; built without, every wait must end well before the back-stop.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused))]
#![allow(unsafe_code, missing_docs)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod calls;
#[cfg(target_os = "linux")]
mod channel;
#[cfg(target_os = "linux")]
mod frames;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
mod messages;
#[cfg(all(target_os = "linux", coview_step))]
mod mutants;
#[cfg(target_os = "linux")]
mod named;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod objects;
#[cfg(target_os = "linux")]
mod placed;

#[cfg(target_os = "linux")]
type Sweeps = &'static [fn()];

#[cfg(target_os = "linux")]
const AREAS: &[(&str, Sweeps)] = &[
    #[cfg(target_arch = "x86_64")]
    ("calls", &[calls::kill_at_calls, calls::faults]),
    // Not optimised they are ten times as long; killed at every call they are anyway.
    #[cfg(all(target_arch = "x86_64", not(debug_assertions)))]
    ("objects", &[calls::kill_at_instructions]),
    (
        "named",
        &[
            named::mutex_lock_unlock,
            named::mutex_unlock_with_waiter,
            named::event_set_automatic,
            named::event_set_manual,
            named::event_wait,
            named::semaphore,
            named::event_set_and_wait_both_die,
            named::two_waiters_die,
        ],
    ),
    (
        "mapping",
        &[
            mapping::mapping_create_close,
            mapping::mapping_open_close_beside_a_holder,
            mapping::mapping_collect,
            mapping::mapping_create_while_others_do,
            mapping::mapping_open_while_it_goes,
        ],
    ),
    (
        "placed",
        &[
            placed::mutex,
            placed::rwlock_write,
            placed::rwlock_read,
            placed::once,
            placed::sequence_lock,
            placed::semaphore_and_barrier,
            placed::condition,
        ],
    ),
    (
        "channel",
        &[
            channel::ring_send,
            channel::ring_receive,
            channel::ring_abort,
            channel::initialise,
            channel::latest_get,
            channel::latest_set,
            channel::attach,
            channel::ring_two_senders_die,
            channel::ring_receiver_and_sender_die,
            channel::latest_writer_and_reader_die,
        ],
    ),
    (
        "frames",
        &[
            frames::publish_small,
            frames::publish_large,
            frames::publish_standing,
            frames::publish_while_others_publish,
            frames::end_a_standing_turn,
            frames::publisher_and_subscriber_die,
            frames::fill,
            frames::receive,
            frames::receive_while_others_publish,
            frames::subscribe,
            frames::reclaim,
        ],
    ),
    (
        "messages",
        &[
            messages::send_small,
            messages::send_large,
            messages::receive,
            messages::lose,
            messages::take_back,
            messages::beside_others,
            messages::two_consumers_die,
            messages::ask,
            messages::answer,
        ],
    ),
];

/// The sweeps of these areas; of all, if none is named.
#[cfg(target_os = "linux")]
fn run(areas: &[String]) {
    let chosen = AREAS.iter().filter(|(area, _)| areas.is_empty() || areas.iter().any(|name| name == area));
    let sweeps: Vec<fn()> = chosen.flat_map(|(_, sweeps)| sweeps.iter().copied()).collect();
    sweeps.iter().for_each(|sweep| sweep());
    println!("{} sweeps passed, 0 failed", sweeps.len());
    #[cfg(coview_step)]
    mutants::all(&sweeps);
}

fn main() {
    // As libtest has it, for those who list tests.
    let listing = std::env::args().any(|arg| arg == "--list");
    if listing {
        println!("stepper: test");
    }
    // Not optimised it has ten times the instructions.
    let runs = !listing && !cfg!(debug_assertions);
    if !listing && !runs {
        println!("stepper: skipped in this build; `just crash` runs it");
    }
    #[cfg(target_os = "linux")]
    if runs {
        harness::own_dev_shm();
        harness::pin_to_one_cpu();
        let start = std::time::Instant::now();
        let areas: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        run(&areas);
        println!("all in {:.0?}", start.elapsed());
    }
}
