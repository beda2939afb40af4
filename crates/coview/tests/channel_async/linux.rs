//! What only Linux has: epoll loops; and how many helper threads there are.

use std::os::fd::{AsFd, OwnedFd};

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
}

#[test]
fn a_ring_and_a_value_in_an_epoll_loop() {
    for (label, how) in [("level", EventFlags::IN), ("edge", EventFlags::IN.union(EventFlags::ET))] {
        let (ring, value) = (name(&format!("{label}-ring")), name(&format!("{label}-value")));
        let mut records = Ring::create(&ring, 4096).unwrap().receiver().unwrap().watch().unwrap();
        let latest = Latest::<u64>::create(&value).unwrap();
        let mut values = latest.reader().watch().unwrap();
        let epoll = Loop::of(&[&records, &values], how);
        assert_eq!(epoll.wait(PATIENCE), [0, 1], "new ones are looked at first");
        let (mut sender, mut writer) = (Child::start("send", &[&ring]), Child::start("set", &[&value]));
        sender.expect("attached");
        writer.expect("attached");
        // Whether their arrival was before this or not.
        until("it is quiet", || {
            assert!(records.try_receive().unwrap().is_none() && values.try_changed().unwrap().is_none());
            epoll.is_quiet()
        });
        for round in 0..20u64 {
            sender.send("news");
            assert_eq!(epoll.wait(PATIENCE), [0]);
            assert_eq!(&*records.try_receive().unwrap().unwrap(), b"news");
            assert!(records.try_receive().unwrap().is_none() && epoll.is_quiet());
            writer.send(&(round + 1).to_string());
            assert_eq!(epoll.wait(PATIENCE), [1]);
            assert_eq!(values.try_changed().unwrap(), Some(round + 1));
            assert!(values.try_changed().unwrap().is_none() && epoll.is_quiet());
        }
        sender.kill();
        assert_eq!(epoll.wait(PATIENCE), [0]);
        assert_eq!(records.try_receive().map(drop).unwrap_err().kind(), ErrorKind::PeerDied);
        assert!(records.try_receive().unwrap().is_none() && epoll.is_quiet());
        writer.kill();
        assert_eq!(epoll.wait(PATIENCE), [1]);
        assert_eq!(values.try_changed().unwrap_err().kind(), ErrorKind::PeerDied);
        let mut receiver = records.into_inner();
        assert!(receiver.try_receive().unwrap().is_none());
    }
}
