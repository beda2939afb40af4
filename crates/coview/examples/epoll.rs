//! An event and a semaphore in one epoll loop, beside whatever else the loop watches (Linux).

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use coview::{Event, Semaphore};
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

    let id = std::process::id();
    let stop = Event::create(&format!("example-stop-{id}"))?;
    let work = Semaphore::create(&format!("example-work-{id}"), 0, 100)?;
    let (stop_watch, work_watch) = (stop.watch()?, work.watch()?);

    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &stop_watch, EventData::new_u64(0), EventFlags::IN)?;
    epoll::add(&epoll, &work_watch, EventData::new_u64(1), EventFlags::IN)?;

    // Any process that knows the names could do this.
    let other = std::thread::spawn(move || -> coview::Result<()> {
        let _ = work.release(3)?;
        stop.set()
    });

    let (mut done, mut stopping) = (0, false);
    let mut ready = Vec::with_capacity(8);
    while !stopping || done < 3 {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), None)?;
        for event in &ready {
            match event.data.u64() {
                0 => stopping |= stop_watch.try_take()?,
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
