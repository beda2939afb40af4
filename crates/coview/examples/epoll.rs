//! An event, a semaphore and a ring in one epoll loop, beside whatever else the loop watches (Linux).

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use coview::{Event, Semaphore, ring::Ring};
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

    let id = std::process::id();
    let stop = Event::create(&format!("example-stop-{id}"))?;
    let work = Semaphore::create(&format!("example-work-{id}"), 0, 100)?;
    let ring = Ring::create(&format!("example-log-{id}"), 4096)?;
    let (mut sender, mut log) = (ring.sender()?, ring.receiver()?.watch()?);
    let (stop_watch, work_watch) = (stop.watch()?, work.watch()?);

    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &stop_watch, EventData::new_u64(0), EventFlags::IN)?;
    epoll::add(&epoll, &work_watch, EventData::new_u64(1), EventFlags::IN)?;
    epoll::add(&epoll, &log, EventData::new_u64(2), EventFlags::IN)?;

    // Any process that knows the names could do this.
    let other = std::thread::spawn(move || -> coview::Result<()> {
        let _ = work.release(3)?;
        sender.send(b"three more")?;
        stop.set()
    });

    let (mut done, mut stopping, mut told) = (0, false, false);
    let mut ready = Vec::with_capacity(8);
    while !stopping || done < 3 || !told {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), None)?;
        for event in &ready {
            match event.data.u64() {
                0 => stopping |= stop_watch.try_take()?,
                2 => {
                    while let Some(record) = log.try_receive()? {
                        println!("log: {}", String::from_utf8_lossy(&record));
                        told = true;
                    }
                }
                // Until it says false: then it is unreadable until there is more.
                _ => {
                    while work_watch.try_take()? {
                        done += 1;
                    }
                }
            }
        }
    }
    other.join().expect("it does not panic")?;
    println!("{done} pieces of work, then told to stop");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("epoll is Linux's; see examples/tokio.rs");
}
