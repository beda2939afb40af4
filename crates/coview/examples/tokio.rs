//! An event and a semaphore awaited in tokio; any other runtime would do.

use std::sync::Arc;
use std::time::Duration;

use coview::{Event, Semaphore};

async fn download(number: u32, permits: Arc<Semaphore>) -> coview::Result<u32> {
    permits.acquire_async().await?; // at most two at once, in all processes that know the name
    tokio::time::sleep(Duration::from_millis(5)).await;
    let _ = permits.release(1)?;
    Ok(number)
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::process::id();
    let start = Event::create(&format!("example-start-{id}"))?;
    let permits = Arc::new(Semaphore::create(&format!("example-permits-{id}"), 2, 2)?);

    let waiting = tokio::spawn(start.wait_async());
    let late = tokio::time::timeout(Duration::from_millis(5), start.wait_async()).await;
    println!("not set in time: {}", late.is_err());
    start.set()?; // any process that knows the name could do this
    waiting.await??;

    let tasks: Vec<_> = (1..=4).map(|number| tokio::spawn(download(number, Arc::clone(&permits)))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await??;
    }
    println!("all downloaded: {sum}");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(run())
}
