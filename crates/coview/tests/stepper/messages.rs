//! Queues and services, killed at every instruction of sending, receiving, answering, giving back, joining, leaving.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coview::ErrorKind;
use coview::queue::{Consumer, Delivery, Queue, QueueOptions};
use coview::service::{Client, Service, ServiceOptions};

use crate::harness::*;

const SLOTS: usize = 4;
const LARGE: usize = 300;

fn queue(text: &str, delivery: Delivery) -> Queue<[u8]> {
    QueueOptions::new().slot(LARGE).budget(SLOTS * 384).delivery(delivery).create(&name(text)).unwrap()
}

fn service(text: &str) -> Service<[u8], [u8]> {
    ServiceOptions::new().slot(LARGE).budget(SLOTS * 384).create(&name(text)).unwrap()
}

/// Of each message its first byte and attempt; each is whole: its bytes all say the same.
fn drain(consumer: &Consumer<[u8]>, at: u32) -> Vec<(u8, u32)> {
    let mut seen = Vec::new();
    while let Some(task) = consumer.receive_timeout(Duration::from_micros(1)).unwrap() {
        assert!(task.iter().all(|byte| *byte == task[0]), "killed after {at} instructions: torn");
        seen.push((task[0], task.attempt()));
        task.done();
    }
    seen
}

/// A consumer that has looked at all there was before it.
fn joined(queue: &Queue<[u8]>) -> Consumer<[u8]> {
    let consumer = queue.consumer().unwrap();
    assert!(consumer.try_receive().unwrap().is_none());
    consumer
}

/// All slots can be had at once, and messages go through all cells: none has leaked.
fn nothing_leaked(queue: &Queue<[u8]>, at: u32) {
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let loans: Vec<_> = (0..SLOTS).map_while(|_| producer.loan_timeout(LARGE, Duration::ZERO).unwrap()).collect();
    assert_eq!(loans.len(), SLOTS, "killed after {at} instructions: slots have leaked");
    drop(loans);
    let sent = (0..).take_while(|_| producer.try_send(&[9; 8]).unwrap()).count();
    assert_eq!(sent, 256, "killed after {at} instructions: cells have leaked");
    assert_eq!(drain(&consumer, at).len(), 256, "killed after {at} instructions");
}

fn send(label: &str, len: usize) {
    let queue = queue(label, Delivery::AtLeastOnce);
    let consumer = queue.consumer().unwrap();
    let victim = |begin: &dyn Fn()| {
        let producer = queue.producer().unwrap();
        begin();
        let mut loan = producer.loan(len).unwrap();
        loan.fill(7);
        loan.send().unwrap();
    };
    sweep(label, &victim, |at, _| {
        // What the dead was about to send keeps nobody from what comes behind it.
        queue.producer().unwrap().send(&vec![8; len]).unwrap();
        let first = consumer.receive_timeout(patience()).unwrap().expect("nobody waits for the dead");
        let (what, whole) = (first[0], first.iter().all(|byte| *byte == first[0]));
        assert!(whole, "killed after {at} instructions: torn");
        first.done();
        let rest = drain(&consumer, at);
        assert!(
            what == 8 && rest.is_empty() || what == 7 && rest == [(8, 1)],
            "killed after {at} instructions: {what}"
        );
        nothing_leaked(&queue, at);
        what == 8
    });
}

/// A producer dies anywhere between loan and send: its message is there whole or not at all, and the next one's follows.
pub(crate) fn send_small() {
    send("queue: send a small one", 100);
}

pub(crate) fn send_large() {
    send("queue: loan, fill, send", LARGE);
}

/// What is left of one message, whose consumer died; it may be gone only if that was about to say so.
fn left(seen: &[(u8, u32)], done: &Notes, at: u32) -> bool {
    let once = seen.len() <= 1 && seen.iter().all(|(what, _)| *what == 1);
    assert!(once, "killed after {at} instructions: {seen:?}");
    let told = done.word(0).swap(0, Ordering::Relaxed) == 1;
    assert!(told || seen.len() == 1, "killed after {at} instructions: lost");
    seen.iter().any(|(_, attempt)| *attempt > 1)
}

/// A consumer dies anywhere with a message: another gets it, whole and once, unless it was done.
pub(crate) fn receive() {
    let (queue, done) = (queue("queue receive", Delivery::AtLeastOnce), Notes::new());
    let consumer = queue.consumer().unwrap();
    let victim = |begin: &dyn Fn()| {
        let consumer = joined(&queue);
        queue.producer().unwrap().send(&[1; LARGE]).unwrap();
        begin();
        let task = consumer.receive().unwrap();
        assert!(task.iter().all(|byte| *byte == 1));
        some_work();
        done.word(0).store(1, Ordering::Relaxed);
        task.done();
        drop(consumer);
    };
    sweep("queue: receive and finish", &victim, |at, _| {
        // It goes past what the dead had before that is given back.
        let before = consumer.try_receive().unwrap().map(|task| (task[0], task.attempt(), task.done()));
        let mut seen: Vec<_> = before.into_iter().map(|(what, attempt, ())| (what, attempt)).collect();
        seen.extend(drain(&consumer, at));
        let again = left(&seen, &done, at);
        nothing_leaked(&queue, at);
        again
    });
}

/// The same, and it is reported lost, once.
pub(crate) fn lose() {
    let (queue, done) = (queue("queue lose", Delivery::AtMostOnce), Notes::new());
    let consumer = queue.consumer().unwrap();
    let victim = |begin: &dyn Fn()| {
        let consumer = joined(&queue);
        queue.producer().unwrap().send(&[1; LARGE]).unwrap();
        begin();
        let task = consumer.receive().unwrap();
        some_work();
        done.word(0).store(1, Ordering::Relaxed);
        task.done();
    };
    sweep("queue: receive and finish, at most once", &victim, |at, _| {
        let mut seen = Vec::new();
        loop {
            match consumer.receive_timeout(Duration::from_micros(1)) {
                Ok(None) => break,
                Ok(Some(task)) => {
                    seen.push((task[0], 1));
                    task.done();
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerDied);
                    seen.push((1, 2));
                }
            }
        }
        let lost = left(&seen, &done, at);
        nothing_leaked(&queue, at);
        lost
    });
}

/// Who hands on what the dead had dies, too: the next one does.
pub(crate) fn take_back() {
    let (queue, done) = (queue("queue take back", Delivery::AtLeastOnce), Notes::new());
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    // Killed with a message in its hands and the other slots on loan.
    let leave_dead = || {
        producer.send(&[1; LARGE]).unwrap();
        kill(start(&|begin| {
            let (consumer, producer) = (queue.consumer().unwrap(), queue.producer().unwrap());
            let task = consumer.receive().unwrap();
            let loans: Vec<_> = (1..SLOTS).map(|_| producer.loan(LARGE).unwrap()).collect();
            begin();
            drop((task, loans));
        }));
    };
    nothing_leaked(&queue, 0); // from now on there is something in each cell
    leave_dead();
    let victim = |begin: &dyn Fn()| {
        begin();
        let consumer = queue.consumer().unwrap();
        let task = consumer.receive_timeout(Duration::from_micros(1)).unwrap().expect("it is given back");
        done.word(0).store(1, Ordering::Relaxed);
        task.done();
    };
    sweep("queue: join, take back what the dead had, leave", &victim, |at, _| {
        left(&drain(&consumer, at), &done, at);
        nothing_leaked(&queue, at);
        leave_dead();
        false
    });
}

/// A producer or a consumer stands still anywhere, others use all cells meanwhile, and it goes on: each message comes whole and once.
pub(crate) fn beside_others() {
    let (queue, notes) = (queue("queue beside", Delivery::AtLeastOnce), Notes::new());
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let victim = |begin: &dyn Fn()| {
        let (producer, consumer) = (queue.producer().unwrap(), joined(&queue));
        begin();
        producer.send(&[7; 100]).unwrap();
        let task = consumer.try_receive().unwrap();
        let seen = task.as_ref().map_or(1, |task| if **task == [7; 100] { 2 } else { 3 });
        notes.word(0).fetch_add(seen, Ordering::Relaxed);
        task.into_iter().for_each(|task| task.done());
    };
    let interfere = || {
        // Behind one that stands still in the middle of posting, 255 at most.
        let sent = (0..600).filter(|_| {
            let sent = producer.try_send(&[8; 100]).unwrap();
            for _ in 0..2 {
                let Some(task) = consumer.try_receive().unwrap() else { break };
                notes.word(1).fetch_add(u32::from(*task == [7; 100]), Ordering::Relaxed);
                assert!(task.iter().all(|byte| *byte == task[0]), "torn");
                task.done();
            }
            sent
        });
        notes.word(2).store(sent.count() as u32, Ordering::Relaxed);
    };
    let prepare = || (0..3).for_each(|word| notes.word(word).store(0, Ordering::Relaxed));
    sweep_pauses("queue: send and receive, while others do", &prepare, &victim, &interfere, &|at| {
        let rest: Vec<_> = drain(&consumer, at);
        let sevens = rest.iter().filter(|(what, _)| *what == 7).count() as u32;
        let victims = notes.word(0).load(Ordering::Relaxed);
        let seen = sevens + notes.word(1).load(Ordering::Relaxed) + u32::from(victims == 2);
        assert!(seen == 1, "paused after {at} instructions: {seen} times, and the victim says {victims}");
    });
    nothing_leaked(&queue, 0);
}

/// Of two consumers, one with a message and one that waits for it, both die, and a third one sleeps: it gets the message.
pub(crate) fn two_consumers_die() {
    let (queue, notes) = (queue("queue duel", Delivery::AtLeastOnce), Notes::new());
    let [told, got, go] = [0, 1, 2].map(|word| notes.word(word));
    let sleeper = helper(&|| {
        let consumer = queue.consumer().unwrap();
        loop {
            until_for_ever(|| go.swap(0, Ordering::Relaxed) == 1);
            consumer.receive().unwrap().done();
            got.store(1, Ordering::Relaxed);
        }
    });
    let first = |begin: &dyn Fn()| {
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.send(&[1; 9]).unwrap();
        let task = consumer.receive().unwrap();
        go.store(1, Ordering::Relaxed);
        until_for_ever(|| go.load(Ordering::Relaxed) == 0 && asleep(sleeper));
        begin();
        some_work();
        told.store(1, Ordering::Relaxed);
        task.done();
    };
    let second = |begin: &dyn Fn()| {
        let consumer = queue.consumer().unwrap();
        begin();
        let task = consumer.receive().unwrap();
        told.store(1, Ordering::Relaxed);
        task.done();
    };
    let feed = || {
        if told.swap(0, Ordering::Relaxed) == 1 {
            queue.producer().unwrap().send(&[2; 9]).unwrap();
        }
        until(|| got.swap(0, Ordering::Relaxed) == 1, "the third one gets the message");
        drain(&queue.consumer().unwrap(), 0);
    };
    // To see how many instructions the second has, it must have something to receive, or fall asleep.
    duel("queue: two of three consumers die", &first, &second, |_, _| feed());
    kill_helper(sleeper);
    nothing_leaked(&queue, 0);
}

fn until_for_ever(done: impl Fn() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// All slots of requests and of responses can be had, and requests go through all cells.
fn service_leaked_nothing(service: &Service<[u8], [u8]>, at: u32) {
    let (client, server) = (service.client().unwrap(), service.server().unwrap());
    let loans: Vec<_> = (0..SLOTS / 2).map_while(|_| client.loan_timeout(LARGE, Duration::ZERO).unwrap()).collect();
    assert_eq!(loans.len(), SLOTS / 2, "killed after {at} instructions: slots have leaked");
    drop(loans);
    let asked: Vec<_> = (0..).map_while(|_| client.try_send(&[9; 8]).unwrap()).collect();
    assert_eq!(asked.len(), 256, "killed after {at} instructions: cells have leaked");
    let mut replies = Vec::new();
    for number in 0..256 {
        let request = server.receive_timeout(patience()).unwrap().expect("it was sent");
        match request.loan_timeout(if number < SLOTS / 2 { LARGE } else { 1 }, Duration::ZERO).unwrap() {
            Ok(reply) => replies.push(reply),
            Err(_) => panic!("killed after {at} instructions: slots have leaked"),
        }
    }
    replies.into_iter().for_each(|reply| reply.send());
    assert!(asked.into_iter().all(|pending| pending.receive_timeout(patience()).unwrap().is_ok()));
}

/// A client dies anywhere between loan and response: its request is cancelled, and all it had is free.
pub(crate) fn ask() {
    let service = service("service ask");
    let server = service.server().unwrap();
    let victim = |begin: &dyn Fn()| {
        let (client, own) = (service.client().unwrap(), service.server().unwrap());
        assert!(own.try_receive().unwrap().is_none());
        begin();
        let mut loan = client.loan(LARGE).unwrap();
        loan.fill(1);
        let pending = loan.send().unwrap();
        let mut reply = own.receive().unwrap().loan(LARGE).unwrap();
        reply.fill(2);
        reply.send();
        assert_eq!(pending.receive().unwrap()[LARGE - 1], 2);
        drop(client.send(&[3]).unwrap()); // cancelled
        drop(client);
    };
    sweep("service: ask, answer, cancel", &victim, |at, _| {
        let mut any = false;
        while let Some(request) = server.receive_timeout(Duration::from_micros(1)).unwrap() {
            assert!(request.is_cancelled(), "killed after {at} instructions: {:?}", request[0]);
            any = true;
        }
        service_leaked_nothing(&service, at);
        any
    });
}

/// A server dies anywhere while a client sleeps: the client gets the whole answer, or is told.
pub(crate) fn answer() {
    let (service, notes) = (service("service answer"), Notes::new());
    service_leaked_nothing(&service, 0); // from now on there is something in each cell
    let [taken, calls, told] = [0, 1, 2].map(|word| notes.word(word));
    let sleeper = helper(&|| {
        let client: Client<[u8], [u8]> = service.client().unwrap();
        loop {
            match client.call(&[1; LARGE]) {
                Ok(response) => assert!(response.len() == LARGE && response.iter().all(|byte| *byte == 2), "torn"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerDied);
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
            calls.fetch_add(1, Ordering::Relaxed);
        }
    });
    let victim = |begin: &dyn Fn()| {
        let server = service.server().unwrap();
        until_for_ever(|| asleep(sleeper));
        begin();
        let request = server.receive().unwrap();
        taken.store(1, Ordering::Relaxed);
        let mut reply = request.loan(LARGE).unwrap();
        reply.fill(2);
        reply.send();
        drop(server);
    };
    let before = Cell::new((0, 0));
    let over = || calls.load(Ordering::Relaxed) != before.get().0;
    sweep("service: receive, answer, killed beside a client", &victim, |at, _| {
        if taken.swap(0, Ordering::Relaxed) == 0 {
            // Perhaps it was not taken: somebody else serves.
            let other = service.server().unwrap();
            until(
                || {
                    if let Some(request) = other.receive_timeout(Duration::from_micros(1)).unwrap() {
                        request.respond(&[2; LARGE]).unwrap();
                    }
                    over()
                },
                &format!("answered or told: {at}"),
            );
        } else {
            until(over, &format!("answered or told: {at}"));
        }
        let now = (calls.load(Ordering::Relaxed), told.load(Ordering::Relaxed));
        now.1 != before.replace(now).1
    });
    kill_helper(sleeper);
    service_leaked_nothing(&service, 0);
}
