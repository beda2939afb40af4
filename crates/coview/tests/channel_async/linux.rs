//! What only Linux has: epoll loops; and how many helper threads there are.

use std::os::fd::{AsFd, OwnedFd};

use coview::latest::Reader;
use coview::os::linux::Watched;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::task::JoinSet;

use super::common::until;
use super::*;

/// How many helper threads this process has. Other tests of this program have some, if they run beside this one.
fn helpers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| Some(task.ok()?.path().join("comm")));
    tasks.filter(|comm| std::fs::read_to_string(comm).is_ok_and(|name| name == "coview-watch\n")).count()
}

/// In a process of its own (as nextest has it) all helpers are this test's; in any case they are not one for each receiver.
#[test]
fn two_hundred_receivers_and_a_handful_of_threads() {
    let name = name("many");
    let receiver = |i| Ring::create(&format!("{name}-{i}"), 4096).unwrap().receiver().unwrap();
    let mut receivers: Vec<_> = (0..MANY).map(receiver).collect();
    let mut other = Child::start("many senders", &[&name]);
    other.expect("attached");
    two_threads().block_on(async {
        for dies in [false, true] {
            let (started, mut all) = (Arc::new(tokio::sync::Semaphore::new(0)), JoinSet::new());
            for mut receiver in receivers.drain(..) {
                let started = Arc::clone(&started);
                all.spawn(async move {
                    let told = {
                        let mut waiting = pin!(bytes(&mut receiver));
                        assert!(poll_once(waiting.as_mut()).await.is_pending());
                        started.add_permits(1);
                        soon(waiting).await
                    };
                    (receiver, told)
                });
            }
            soon(started.acquire_many(MANY as u32)).await.unwrap().forget();
            // Three words each: the bell takes two, the sender one.
            until("the helpers have begun", || helpers() >= 5);
            let count = helpers();
            assert!(count <= 12, "{count} helpers");
            match dies {
                false => other.send("send"),
                true => other.kill(),
            }
            for (receiver, told) in soon(all.join_all()).await {
                match dies {
                    false => assert_eq!(told.unwrap(), b"news"),
                    true => assert_eq!(told.unwrap_err().kind(), ErrorKind::PeerDied),
                }
                receivers.push(receiver);
            }
        }
    });
    until("the helpers have gone", || helpers() < 5);
}

/// An epoll instance.
struct Loop(OwnedFd);

impl Loop {
    fn of(fds: &[&dyn AsFd], how: EventFlags) -> Loop {
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        for (number, fd) in fds.iter().enumerate() {
            epoll::add(&epoll, fd.as_fd(), EventData::new_u64(number as u64), how).unwrap();
        }
        Loop(epoll)
    }

    fn wait(&self, time: Duration) -> Vec<u64> {
        let mut events = Vec::with_capacity(8);
        let time = time.try_into().unwrap();
        rustix::io::retry_on_intr(|| epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&time)))
            .unwrap();
        events.iter().map(|event: &epoll::Event| event.data.u64()).collect()
    }

    fn is_quiet(&self) -> bool {
        self.wait(Duration::ZERO).is_empty()
    }

    /// Looks until there is something. Readable for nothing is either end now and then: the helper may have been on its way with
    /// what a look found before it came.
    fn until_news<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            assert!(!self.wait(PATIENCE).is_empty(), "there is news");
            if let Some(news) = look() {
                return news;
            }
        }
    }
}

type Ends = (Watched<Receiver>, Watched<Reader<u64>>);

/// There is nothing at either end, and then they are not readable.
fn nothing(epoll: &Loop, (records, values): &mut Ends) {
    until("it is quiet", || {
        assert!(records.try_receive().unwrap().is_none() && values.try_changed().unwrap().is_none());
        epoll.is_quiet()
    });
}

#[test]
fn a_ring_and_a_value_in_an_epoll_loop() {
    for (label, how) in [("level", EventFlags::IN), ("edge", EventFlags::IN.union(EventFlags::ET))] {
        let (ring, value) = (name(&format!("{label}-ring")), name(&format!("{label}-value")));
        let records = Ring::create(&ring, 4096).unwrap().receiver().unwrap().watch().unwrap();
        let latest = Latest::<u64>::create(&value).unwrap();
        let mut ends = (records, latest.reader().watch().unwrap());
        let epoll = Loop::of(&[&ends.0, &ends.1], how);
        assert_eq!(epoll.wait(PATIENCE), [0, 1], "new ones are looked at first");
        let (mut sender, mut writer) = (Child::start("send", &[&ring]), Child::start("set", &[&value]));
        sender.expect("attached");
        writer.expect("attached");
        // Whether their arrival was before this or not.
        nothing(&epoll, &mut ends);
        for round in 0..20u64 {
            sender.send("news");
            let record = epoll.until_news(|| {
                assert!(ends.1.try_changed().unwrap().is_none());
                ends.0.try_receive().unwrap().map(|record| record.to_vec())
            });
            assert_eq!(record, b"news");
            nothing(&epoll, &mut ends);
            writer.send(&(round + 1).to_string());
            let value = epoll.until_news(|| {
                assert!(ends.0.try_receive().unwrap().is_none());
                ends.1.try_changed().unwrap()
            });
            assert_eq!(value, round + 1);
            nothing(&epoll, &mut ends);
        }
        sender.kill();
        let death = epoll.until_news(|| {
            assert!(ends.1.try_changed().unwrap().is_none());
            ends.0.try_receive().map(|record| assert!(record.is_none())).err()
        });
        assert_eq!(death.kind(), ErrorKind::PeerDied);
        nothing(&epoll, &mut ends);
        writer.kill();
        let death = epoll.until_news(|| {
            assert!(ends.0.try_receive().unwrap().is_none());
            ends.1.try_changed().map(|value| assert!(value.is_none())).err()
        });
        assert_eq!(death.kind(), ErrorKind::PeerDied);
        let mut receiver = ends.0.into_inner();
        assert!(receiver.try_receive().unwrap().is_none());
    }
}
