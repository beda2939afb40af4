//! Frames from a camera to whoever looks: filled in shared memory, read in place, copied by nobody.

use std::process::Command;

use coview::Result;
use coview::frames::{Frames, FramesOptions, Policy};

const PICTURE: usize = 1920 * 1080;

fn viewer(name: &str) -> Result<()> {
    let subscriber = Frames::<[u8]>::open(name)?.subscriber(Policy::EveryFrame)?;
    loop {
        let frame = subscriber.receive()?;
        if frame.is_empty() {
            return Ok(());
        }
        let light: u64 = frame.iter().map(|byte| u64::from(*byte)).sum();
        println!("picture {}: brightness {}", frame.number(), light / frame.len() as u64);
    }
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return viewer(&name);
    }
    let name = format!("Camera-{}", std::process::id());
    let publisher = FramesOptions::new().slot(PICTURE).history(9).create::<[u8]>(&name)?.publisher()?;
    for brightness in [10, 20, 30] {
        let mut picture = publisher.loan(PICTURE)?;
        picture.fill(brightness);
        picture.publish()?;
    }
    publisher.send(&[])?; // the end

    // It comes late, and begins with the history.
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg(&name).status().expect("it can be started again");
    Ok(())
}
