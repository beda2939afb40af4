//! Request and response between real processes: wholeness, order, cancelling, deaths, hostile bytes, async.

mod common;

use std::time::{Duration, Instant};

use common::{Child, PATIENCE, Role, hear, say, until};
use coview::ErrorKind;
use coview::queue::Queue;
use coview::service::{Client, SERVERS, Service, ServiceOptions};

const SHORT: Duration = Duration::from_millis(30);
const LARGE: usize = 20_000;
/// Of hostile bytes. Each end that they say somebody is at is looked after, which costs a kernel object on Windows.
const ROUNDS: &str = if cfg!(windows) { "10" } else { "150" };

type Bytes = Service<[u8], [u8]>;

fn name(text: &str) -> String {
    format!("service-{text}-{}", std::process::id())
}

fn options(slots: usize) -> ServiceOptions {
    ServiceOptions::new().slot(LARGE).budget(slots * 20_480)
}

/// The right answer: as many bytes, each one more.
fn answer(request: &[u8], response: &mut [u8]) {
    response.iter_mut().zip(request).for_each(|(to, from)| *to = from.wrapping_add(1));
}

fn is_answer(request: &[u8], response: &[u8]) -> bool {
    response.len() == request.len() && response.iter().zip(request).all(|(to, from)| *to == from.wrapping_add(1))
}

#[test]
fn child() {
    common::child(&roles());
}

fn roles() -> Vec<(&'static str, Role)> {
    vec![
        ("serve", |args| {
            let server = Bytes::open(&args[0]).unwrap().server().unwrap();
            say("serving");
            loop {
                let request = server.receive().unwrap();
                let len = request.len();
                let mut reply = request.loan(len).unwrap();
                let request = reply.request().to_vec();
                answer(&request, &mut reply);
                reply.send();
            }
        }),
        // Many small and large requests, several under way at a time.
        ("ask", |args| {
            let client = Bytes::open(&args[0]).unwrap().client().unwrap();
            let (me, count): (usize, usize) = (args[1].parse().unwrap(), args[2].parse().unwrap());
            for number in 0..count {
                let lens = [8, 100, 8 + (number * 7919 + me) % (LARGE - 8)];
                let requests = lens.map(|len| (0..len).map(|at| (at + number + me) as u8).collect::<Vec<_>>());
                let pending = requests.each_ref().map(|request| client.send(request).unwrap());
                for (pending, request) in pending.into_iter().zip(&requests) {
                    assert!(is_answer(request, &pending.receive().unwrap()), "not the answer");
                }
            }
            say("answered");
        }),
        ("hold", |args| {
            let server = Bytes::open(&args[0]).unwrap().server().unwrap();
            say("serving");
            let request = server.receive().unwrap();
            say(&format!("{}", request.len()));
            hear();
        }),
        ("ask and stay", |args| {
            let client = Bytes::open(&args[0]).unwrap().client().unwrap();
            let _pending = client.send(&vec![1; args[1].parse().unwrap()]).unwrap();
            say("asked");
            hear();
        }),
        ("scribble", |args| common::scribble(&args[0], 4096 + 64, |len| len / 2)),
        ("survive", |args| {
            let service = Bytes::open(&args[0]).unwrap();
            say("ready");
            hear();
            let (brief, mut sum) = (Duration::from_micros(300), 0);
            for _ in 0..args[1].parse().unwrap() {
                let (Ok(client), Ok(server)) = (service.client(), service.server()) else { continue };
                for len in [5, 100, 5000, LARGE] {
                    let Ok(Some(mut loan)) = client.loan_timeout(len, brief) else { continue };
                    loan[0] = 1;
                    let Ok(Ok(pending)) = loan.send_timeout(brief) else { continue };
                    if let Ok(Some(request)) = server.receive_timeout(brief) {
                        sum += request.iter().map(|byte| usize::from(*byte)).sum::<usize>();
                        let _ = request.is_cancelled();
                        if let Ok(Ok(reply)) = request.loan_timeout(len, brief) {
                            reply.send();
                        }
                    }
                    if let Ok(Ok(response)) = pending.receive_timeout(brief) {
                        sum += response.iter().map(|byte| usize::from(*byte)).sum::<usize>();
                    }
                }
            }
            std::hint::black_box(sum);
            say("survived");
        }),
    ]
}

/// All slots of requests and of responses can be had, and all cells.
fn nothing_leaked(service: &Bytes, slots: usize) {
    let (client, server) = (service.client().unwrap(), service.server().unwrap());
    let loans: Vec<_> = (0..slots / 2).map_while(|_| client.loan_timeout(LARGE, SHORT).unwrap()).collect();
    assert_eq!(loans.len(), slots / 2, "a slot has leaked");
    drop(loans);
    let asked: Vec<_> = (0..).map_while(|_| client.try_send(&[1; 8]).unwrap()).collect();
    assert_eq!(asked.len(), 256, "a cell has leaked");
    let replies: Vec<_> = (0..slots / 2)
        .map(|_| server.receive().unwrap().loan_timeout(LARGE, SHORT).unwrap().map_err(drop).expect("a slot"))
        .collect();
    replies.into_iter().for_each(|reply| reply.send());
}

#[test]
fn every_request_gets_its_own_answer() {
    let name = name("every");
    let service = options(8).create::<[u8], [u8]>(&name).unwrap();
    let mut servers = [0; 2].map(|_| Child::start("serve", &[&name]));
    servers.iter_mut().for_each(|server| server.expect("serving"));
    let mut clients = ["0", "1", "2"].map(|me| Child::start("ask", &[&name, me, "1000"]));
    clients.iter_mut().for_each(|client| client.expect("answered"));
    clients.into_iter().for_each(Child::wait);
    assert_eq!(service.client().unwrap().servers().len(), 2);
    servers.iter_mut().for_each(Child::kill);
    nothing_leaked(&service, 8);
}

#[test]
fn requests_wait_in_order_for_a_server() {
    let service = Service::<u64, [u8]>::create(&name("order")).unwrap();
    let client = service.client().unwrap();
    let asked: Vec<_> = (0..100).map(|number| client.send(&number).unwrap()).collect();
    let server = service.server().unwrap();
    let mut held = Vec::new();
    for number in 0..100_u64 {
        let request = server.receive().unwrap();
        assert_eq!(*request, number);
        held.push(request);
    }
    // Answered from behind.
    for request in held.into_iter().rev() {
        let text = request.to_string();
        request.respond(text.as_bytes()).unwrap();
    }
    for (number, pending) in asked.into_iter().enumerate() {
        assert_eq!(&*pending.receive().unwrap(), number.to_string().as_bytes());
    }
    assert!(server.try_receive().unwrap().is_none());
}

#[test]
fn waiting_has_an_end() {
    let service = options(4).create::<[u8], [u8]>(&name("time")).unwrap();
    let client = service.client().unwrap();
    assert!(client.call_timeout(&[1; 8], SHORT).unwrap().is_none());
    let server = service.server().unwrap();
    assert!(server.receive_timeout(SHORT).unwrap().is_none(), "it was cancelled when its time was over");
    let pending = client.send(&[2; LARGE]).unwrap().try_receive().unwrap().expect_err("nobody answers");
    let pending = pending.receive_timeout(SHORT).unwrap().expect_err("nobody answers");
    assert!(client.loan_timeout(LARGE, SHORT).unwrap().is_some());
    let second = client.send(&[3; LARGE]).unwrap();
    assert!(client.loan_timeout(LARGE, SHORT).unwrap().is_none(), "half of the slots are for requests");
    assert!(client.send_timeout(&[3; LARGE], SHORT).unwrap().is_none());
    let small: Vec<_> = (0..).map_while(|_| client.send_timeout(&[4; 9], SHORT).unwrap()).collect();
    assert_eq!(small.len(), 254);
    // And there are slots to answer them.
    let replies = [0; 2].map(|_| server.receive().unwrap().loan(LARGE).unwrap());
    let Err(third) = server.receive().unwrap().loan_timeout(LARGE, SHORT).unwrap() else { panic!("there are two") };
    replies.into_iter().for_each(|mut reply| {
        reply[0] = 5;
        reply.truncate(1);
        reply.send();
    });
    let responses = [pending, second].map(|pending| pending.receive().unwrap());
    assert!(responses.iter().all(|response| **response == [5]));
    assert!(third.loan_timeout(LARGE, SHORT).unwrap().is_err(), "a response is held, and another");
}

#[test]
fn a_request_that_is_dropped_is_cancelled() {
    let service = options(4).create::<[u8], [u8]>(&name("cancel")).unwrap();
    let (client, server) = (service.client().unwrap(), service.server().unwrap());
    for len in [8, LARGE] {
        drop(client.send(&vec![1; len]).unwrap());
        assert!(server.try_receive().unwrap().is_none(), "nobody takes it");
        let pending = client.send(&vec![2; len]).unwrap();
        let request = server.receive().unwrap();
        assert!(!request.is_cancelled());
        drop(pending);
        assert!(request.is_cancelled());
        request.respond(&[3]).unwrap(); // makes no difference
    }
    // A server that drops one says so.
    let pending = client.send(&[4; 8]).unwrap();
    drop(server.receive().unwrap());
    assert_eq!(pending.receive().unwrap_err().kind(), ErrorKind::PeerDied);
    nothing_leaked(&service, 4);
}

#[test]
fn a_client_is_told_of_its_dead_server() {
    let name = name("server dies");
    let service = options(4).create::<[u8], [u8]>(&name).unwrap();
    let client = service.client().unwrap();
    for len in [8, LARGE, 8, LARGE] {
        let mut server = Child::start("hold", &[&name]);
        server.expect("serving");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let client: Client<[u8], [u8]> = service.client().unwrap();
                let kind = client.call(&vec![1; len]).map(drop).unwrap_err().kind();
                (kind, Instant::now())
            });
            server.expect(&len.to_string());
            std::thread::sleep(SHORT); // it sleeps
            let killed = Instant::now();
            server.kill();
            let (kind, told) = waiting.join().unwrap();
            assert_eq!(kind, ErrorKind::PeerDied);
            println!("told {:?} after the kill", told.saturating_duration_since(killed));
        });
        // Nobody has taken this one; it is told of the death too, once.
        assert_eq!(client.call(&vec![1; len]).unwrap_err().kind(), ErrorKind::PeerDied);
        assert!(client.call_timeout(&vec![1; len], SHORT).unwrap().is_none());
    }
    nothing_leaked(&service, 4);
}

#[test]
fn another_server_goes_on() {
    let name = name("another");
    let service = options(4).create::<[u8], [u8]>(&name).unwrap();
    let client = service.client().unwrap();
    let mut dead = Child::start("hold", &[&name]);
    dead.expect("serving");
    let lost = client.send(&[1; 8]).unwrap();
    dead.expect("8");
    let mut alive = Child::start("serve", &[&name]);
    alive.expect("serving");
    assert!(is_answer(&[7; LARGE], &client.call(&[7; LARGE]).unwrap()));
    dead.kill();
    assert_eq!(lost.receive().unwrap_err().kind(), ErrorKind::PeerDied);
    assert!(is_answer(&[7; 9], &client.call(&[7; 9]).unwrap()));
}

#[test]
fn a_server_sees_that_its_client_is_gone() {
    let name = name("client dies");
    let service = options(4).create::<[u8], [u8]>(&name).unwrap();
    let server = service.server().unwrap();
    for len in [8, LARGE] {
        let mut client = Child::start("ask and stay", &[&name, &len.to_string()]);
        let request = server.receive().unwrap();
        client.expect("asked");
        assert!(!request.is_cancelled());
        assert_eq!(server.clients().len(), 1);
        client.kill();
        assert!(request.is_cancelled());
        request.respond(&vec![1; len]).unwrap();
    }
    until("nobody asks", || server.clients().is_empty());
    nothing_leaked(&service, 4);
}

#[test]
fn killed_at_random_everybody_else_goes_on() {
    let name = name("soak");
    let service = options(8).create::<[u8], [u8]>(&name).unwrap();
    let client = service.client().unwrap();
    for round in 0..20_usize {
        let mut servers = [0; 2].map(|_| Child::start("serve", &[&name]));
        servers.iter_mut().for_each(|server| server.expect("serving"));
        let mut asks = Child::start("ask", &[&name, "1", "1000000"]);
        let call = |number: usize| {
            let request = vec![number as u8; if number.is_multiple_of(3) { LARGE } else { 9 }];
            client.call(&request).map(|response| assert!(is_answer(&request, &response), "not the answer"))
        };
        (0..50 + 7 * round).for_each(|number| call(number).unwrap());
        let [first, second] = &mut servers;
        let mut victims = [first, &mut asks];
        victims.rotate_left(round % 2);
        victims.into_iter().for_each(Child::kill);
        // The one that dies with ours is told, and the other goes on.
        let told = (0..50).filter(|number| call(*number).is_err_and(|error| error.kind() == ErrorKind::PeerDied));
        assert!(told.count() <= 1);
        second.kill();
        nothing_leaked(&service, 8);
    }
}

#[test]
fn a_service_is_opened_as_what_it_is() {
    let name = name("kinds");
    let service = Service::<u32, [u8]>::create(&name).unwrap();
    assert_eq!(Service::<u32, [u8]>::create(&name).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(Service::<[u8], u32>::open(&name).map(drop).unwrap_err().kind(), ErrorKind::WrongLayout);
    assert_eq!(Service::<u32, [u16]>::open(&name).map(drop).unwrap_err().kind(), ErrorKind::WrongLayout);
    assert_eq!(Queue::<[u8]>::open(&name).map(drop).unwrap_err().kind(), ErrorKind::WrongKind);
    let ends: Vec<_> = (0..SERVERS).map(|_| service.server().unwrap()).collect();
    assert_eq!(service.server().unwrap_err().kind(), ErrorKind::AlreadyExists);
    let client = service.client().unwrap();
    for end in &ends {
        assert!(end.receive_timeout(Duration::from_millis(1)).unwrap().is_none());
        let pending = client.send(&7).unwrap();
        end.receive().unwrap().respond(b"seven").unwrap();
        assert_eq!(&*pending.receive().unwrap(), b"seven");
    }
    let huge = client.send(&1).unwrap();
    let request = ends[0].receive().unwrap();
    assert_eq!(request.loan(1 << 20).unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(huge.receive_timeout(PATIENCE).map(drop).unwrap_err().kind(), ErrorKind::PeerDied);
}

#[test]
#[cfg(target_os = "linux")]
fn requests_answers_and_tasks_are_awaited() {
    let service = Service::<u64, u64>::create(&name("async")).unwrap();
    let queue = Queue::<u64>::create(&name("async queue")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (client, server) = (service.client().unwrap(), service.server().unwrap());
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let serves = tokio::task::spawn_local(async move {
            for _ in 0..100 {
                let request = server.receive_async().await.unwrap();
                tokio::task::yield_now().await;
                let answer = *request + 1;
                request.respond(&answer).unwrap();
            }
        });
        let works = tokio::task::spawn_local(async move {
            for number in 0..100 {
                let task = consumer.receive_async().await.unwrap();
                assert_eq!(*task, number + 1);
                task.done();
            }
        });
        for number in 0..100 {
            let response = client.send(&number).unwrap().receive_async().await.unwrap();
            producer.send(&response).unwrap();
        }
        serves.await.unwrap();
        works.await.unwrap();
        // And of a death.
        let name = name("async dies");
        let service = options(4).create::<[u8], [u8]>(&name).unwrap();
        let client = service.client().unwrap();
        let mut dead = Child::start("hold", &[&name]);
        dead.expect("serving");
        let pending = client.send(&[1; 8]).unwrap();
        dead.expect("8");
        let told = pending.receive_async();
        dead.kill();
        assert_eq!(told.await.unwrap_err().kind(), ErrorKind::PeerDied);
    });
}

#[test]
fn hostile_bytes_crash_and_hang_nobody() {
    let name = name("hostile");
    let _service = options(4).create::<[u8], [u8]>(&name).unwrap();
    let mut survivor = Child::start("survive", &[&name, ROUNDS]);
    survivor.expect("ready");
    // What describes the service was checked when it was opened; all behind it is fair game.
    let mut scribbler = Child::start("scribble", &[&name]);
    scribbler.expect("scribbling");
    survivor.send("go");
    survivor.expect("survived");
    survivor.wait();
}
