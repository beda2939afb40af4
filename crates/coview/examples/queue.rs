//! A work queue: two workers share the jobs, one of them is killed with a job in its hands, and the other does that too.

use std::process::Command;
use std::time::Duration;

use coview::Result;
use coview::queue::Queue;

fn worker(name: &str, falls_asleep: bool) -> Result<()> {
    let consumer = Queue::<u64>::open(name)?.consumer()?;
    let results = Queue::<[u64; 2]>::open(&format!("{name}-results"))?.producer()?;
    loop {
        let job = consumer.receive()?;
        if falls_asleep {
            results.send(&[*job, 0])?;
            std::thread::sleep(Duration::from_secs(3600)); // it will not live so long
        }
        results.send(&[*job, (1..=*job).product()])?;
        job.done();
    }
}

/// Does this beside a worker, which is then killed.
fn beside(name: &str, role: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let program = std::env::current_exe().expect("this program has a path");
    let mut worker = Command::new(program).args([name, role]).spawn().expect("it can be started again");
    let done = work();
    worker.kill().and_then(|()| worker.wait()).expect("it can be killed");
    done
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name, role] = &args[..] {
        return worker(name, role == "lazy");
    }
    let name = format!("Jobs-{}", std::process::id());
    let jobs = Queue::<u64>::create(&name)?.producer()?;
    let results = Queue::<[u64; 2]>::create(&format!("{name}-results"))?.consumer()?;

    beside(&name, "lazy", || {
        jobs.send(&20)?;
        let begun = results.receive()?;
        println!("a worker begins with {}! and is killed", begun[0]);
        begun.done();
        Ok(())
    })?;
    beside(&name, "diligent", || {
        (5..8).try_for_each(|number| jobs.send(&number))?;
        for _ in 0..4 {
            let result = results.receive()?;
            println!("{}! = {}", result[0], result[1]);
            result.done();
        }
        Ok(())
    })
}
