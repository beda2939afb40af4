//! Events and semaphores awaited: in tokio here, though nothing in them knows the runtime.

#![cfg_attr(windows, allow(unsafe_code))]

mod common;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{Child, PATIENCE, hear, say};
use coview::{Event, EventOptions, Result, Semaphore};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

#[test]
fn child() {
    common::child(&[
        ("obey", |args| {
            let (event, permits) = (Event::open(&args[0]).unwrap(), Semaphore::open(&args[1]).unwrap());
            while let Some(line) = hear() {
                match line.parse() {
                    Ok(count) => drop(permits.release(count).unwrap().unwrap()),
                    Err(_) => event.set().unwrap(),
                }
            }
        }),
        ("rounds", |args| {
            let event = Event::open(&args[0]).unwrap();
            let (go, done) = (Semaphore::open(&args[1]).unwrap(), Semaphore::open(&args[2]).unwrap());
            for _ in 0..args[3].parse().unwrap() {
                go.acquire().unwrap();
                event.wait().unwrap();
                done.release(1).unwrap().unwrap();
            }
        }),
        ("await", |args| {
            let event = Event::open(&args[0]).unwrap();
            one_thread().block_on(async {
                let mut waiting = pin!(event.wait_async());
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                say("waiting");
                waiting.await.unwrap();
            });
            say("through");
        }),
    ]);
}

fn name(text: &str) -> String {
    format!("tokio-{text}-{}", std::process::id())
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

async fn poll_once(mut future: Pin<&mut (impl Future<Output = Result<()>> + ?Sized)>) -> Poll<Result<()>> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

async fn soon(future: impl Future<Output = Result<()>>) {
    timeout(PATIENCE, future).await.expect("it comes").unwrap();
}

/// Whether the future is ready, for somebody who does not care when it will be.
fn is_ready(future: Pin<&mut impl Future<Output = Result<()>>>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn set_and_released_elsewhere() {
    let (event, permits) = (name("event"), name("permits"));
    let (e, p) = (Event::create(&event).unwrap(), Semaphore::create(&permits, 0, 9).unwrap());
    let mut other = Child::start("obey", &[&event, &permits]);
    for runtime in [one_thread(), two_threads()] {
        runtime.block_on(async {
            let waiting = tokio::spawn(e.wait_async());
            other.send("set");
            soon(async { waiting.await.unwrap() }).await;
            let mut takers = JoinSet::new();
            (0..3).for_each(|_| drop(takers.spawn(p.acquire_async())));
            other.send("2");
            other.send("1");
            while let Some(taken) = timeout(PATIENCE, takers.join_next()).await.expect("all come") {
                taken.unwrap().unwrap();
            }
            assert!(!e.try_wait().unwrap() && !p.try_acquire().unwrap());
        });
    }
    other.wait();
}

#[test]
fn two_hundred_wait_for_one() {
    let manual = EventOptions::new().manual_reset(true).create(&name("manual")).unwrap();
    let (permits, count) = (Semaphore::create(&name("each"), 0, 200).unwrap(), Arc::new(AtomicU32::new(0)));
    two_threads().block_on(async {
        let mut all = JoinSet::new();
        for i in 0..200 {
            let (set, taken, count) = (manual.wait_async(), permits.acquire_async(), Arc::clone(&count));
            all.spawn(async move {
                match i % 2 {
                    0 => set.await.unwrap(),
                    _ => taken.await.unwrap(),
                }
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        permits.release(100).unwrap().unwrap();
        manual.set().unwrap();
        assert_eq!(timeout(PATIENCE, all.join_all()).await.expect("all come").len(), 200);
    });
    assert_eq!(count.load(Ordering::Relaxed), 200);
    assert!(!permits.try_acquire().unwrap() && manual.try_wait().unwrap());
}

#[test]
fn time_runs_out_and_nothing_is_lost() {
    let event = Event::create(&name("time")).unwrap();
    one_thread().block_on(async {
        assert!(timeout(Duration::from_millis(20), event.wait_async()).await.is_err());
        event.set().unwrap();
        soon(event.wait_async()).await;
        let task = tokio::spawn(event.wait_async());
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    event.set().unwrap();
    assert!(event.try_wait().unwrap());
}

#[test]
fn dropped_in_flight() {
    let event = Event::create(&name("flight")).unwrap();
    let permits = Semaphore::create(&name("flight-permits"), 0, 4).unwrap();
    std::thread::scope(|scope| {
        // Without room: who sends meets who receives, and a test that fails hangs up.
        let ((go, going), (done, come)) = (sync_channel(0), sync_channel(0));
        let (event, permits) = (&event, &permits);
        scope.spawn(move || {
            while going.recv().is_ok() {
                event.set().unwrap();
                permits.release(2).unwrap().unwrap();
                done.send(()).unwrap();
            }
        });
        for round in 0..2000 {
            let (mut set, mut taken) = (Box::pin(event.wait_async()), Box::pin(permits.acquire_async()));
            assert!(!is_ready(set.as_mut()) && !is_ready(taken.as_mut()));
            go.send(()).unwrap();
            (0..round % 500).for_each(|_| std::hint::spin_loop());
            drop((set, taken));
            come.recv().unwrap();
            // Set before, in the midst of, or behind the drop: it is all there.
            assert!(event.try_wait().unwrap(), "round {round}");
            assert!(permits.try_acquire().unwrap() && permits.try_acquire().unwrap(), "round {round}");
            assert!(!event.try_wait().unwrap() && !permits.try_acquire().unwrap(), "round {round}");
        }
    });
}

#[test]
fn a_dropped_one_does_not_set_a_manual_event_again() {
    let manual = EventOptions::new().manual_reset(true).create(&name("again")).unwrap();
    for _ in 0..100 {
        let mut waiting = Box::pin(manual.wait_async());
        assert!(!is_ready(waiting.as_mut()));
        manual.set().unwrap();
        manual.reset().unwrap();
        drop(waiting);
        assert!(!manual.try_wait().unwrap());
    }
}

/// Two waiters in two processes, one asleep in a system call and one awaited. Who has gone through waits for the next
/// round, so of two sets each must have one.
#[test]
fn two_sets_serve_an_awaiting_and_a_blocked_one() {
    let rounds = 2000;
    let (event, go, done) = (name("both"), name("go"), name("done"));
    let (e, g) = (Event::create(&event).unwrap(), Semaphore::create(&go, 0, 2).unwrap());
    let d = Semaphore::create(&done, 0, 2).unwrap();
    let blocked = Child::start("rounds", &[&event, &go, &done, &rounds.to_string()]);
    two_threads().block_on(async {
        let e = Arc::new(e);
        let (theirs, d) = (Arc::clone(&e), Arc::new(d));
        let done = Arc::clone(&d);
        let go = Semaphore::open(&go).unwrap();
        let task = tokio::spawn(async move {
            for _ in 0..rounds {
                go.acquire_async().await.unwrap();
                theirs.wait_async().await.unwrap();
                done.release(1).unwrap().unwrap();
            }
        });
        for _ in 0..rounds {
            g.release(2).unwrap().unwrap();
            for _ in 0..2 {
                e.set().unwrap();
                soon(d.acquire_async()).await;
            }
        }
        task.await.unwrap();
        assert!(!e.try_wait().unwrap());
    });
    blocked.wait();
}

#[test]
fn a_killed_process_that_awaits_costs_nobody_a_wake_up() {
    let name = name("killed");
    let event = Event::create(&name).unwrap();
    for _ in 0..10 {
        let (mut doomed, mut other) = (Child::start("await", &[&name]), Child::start("await", &[&name]));
        doomed.expect("waiting");
        other.expect("waiting");
        doomed.kill();
        event.set().unwrap();
        other.expect("through");
        other.wait();
    }
}

/// A task as the simplest executors have it: whoever drops the last waker drops the future, also on the helper thread.
#[test]
fn a_waker_that_owns_the_future() {
    type Boxed = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
    struct Task(std::sync::Mutex<Option<Boxed>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            assert!(self.0.lock().unwrap().is_some(), "and one that panics disturbs nobody");
        }
    }
    let (event, other) = (Event::create(&name("owner")).unwrap(), Event::create(&name("other")).unwrap());
    for panics in [false, true] {
        let task = Arc::new(Task(Some(Box::pin(event.wait_async()) as _).into()));
        let waker = Waker::from(Arc::clone(&task));
        let mut future = task.0.lock().unwrap().take().unwrap();
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let kept = if panics { Some(future) } else { task.0.lock().unwrap().replace(future) };
        drop((task, waker)); // the helper has the last one
        event.set().unwrap();
        one_thread().block_on(async {
            let mut waiting = pin!(other.wait_async());
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            other.set().unwrap();
            soon(waiting).await;
        });
        drop(kept);
        common::until("what was set for it is there", || event.try_wait().unwrap());
    }
}

#[cfg(windows)]
#[test]
fn handles_for_any_call_that_waits() {
    use std::os::windows::io::{AsHandle, AsRawHandle};
    use windows_sys::Win32::System::Threading::WaitForSingleObject;

    let mutex = coview::Mutex::create(&name("handle-mutex")).unwrap();
    let event = Event::create(&name("handle-event")).unwrap();
    let permits = Semaphore::create(&name("handle-permits"), 1, 1).unwrap();
    event.set().unwrap();
    for handle in [mutex.as_handle(), event.as_handle(), permits.as_handle()] {
        // SAFETY: the handle is open.
        assert_eq!(unsafe { WaitForSingleObject(handle.as_raw_handle(), 0) }, 0);
    }
    assert!(!event.try_wait().unwrap() && !permits.try_acquire().unwrap());
    mutex.unlock().unwrap();
}
