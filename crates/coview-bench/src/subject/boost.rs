//! Boost.Interprocess answers too, where the feature `boost` has it compiled.

use super::lock::{How, bare};
use super::{Contender, Subject};
use crate::bare::boost::{Mutex, Queue, Semaphore};
use crate::link::{one_way, round_trip};

const MUTEX: &str = "Boost mutex, not robust";
const QUEUE: &str = "Boost message_queue";

/// What it answers to this subject.
pub(super) fn join(subject: &mut Subject) {
    let contenders = match subject.name {
        "lock" => vec![Contender::new(MUTEX, || bare(How::Alone, Mutex::new()?))],
        "lock_two" => vec![Contender::new(MUTEX, || bare(How::Two, Mutex::new()?))],
        "event" => vec![Contender::new("Boost semaphore", || Ok(round_trip(Semaphore::new()?, Semaphore::new()?)))],
        "round_trip" => vec![
            Contender::new("Boost message_queue, 8 B", || Ok(round_trip(Queue::<1>::new(true)?, Queue::new(true)?))),
            Contender::new("Boost message_queue, 64 B", || Ok(round_trip(Queue::<8>::new(true)?, Queue::new(true)?))),
        ],
        "blocking" => vec![Contender::new(QUEUE, || Ok(round_trip(Queue::<8>::new(false)?, Queue::new(false)?)))],
        "one_way" => vec![Contender::new(QUEUE, || Ok(one_way(Queue::<8>::new(false)?)))],
        _ => vec![],
    };
    subject.contenders.extend(contenders);
}
