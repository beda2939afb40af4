//! The Rust end of test_languages.py: takes a region, a record and a frame of one stage, makes those of the next.

use coview::frames::{Frames, FramesOptions, Policy};
use coview::ring::Ring;
use coview::zerocopy::{FromBytes, Immutable, IntoBytes};
use coview::{Record, Region};

#[derive(FromBytes, IntoBytes, Immutable, Record)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Student {
    id: i32,
    name: [u8; 20],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("say the name")?;
    let stage: u32 = std::env::args().nth(2).ok_or("and the stage")?.parse()?;
    let of = |kind: &str, stage: u32| format!("{name}-{kind}-{stage}");

    let region = Region::<Student>::open(&of("region", stage))?;
    let Student { id, name } = region.read()?;
    region.write(&Student { id: -id, name })?;
    let _made = Region::create(&of("region", stage + 1), &Student { id: id * 2, name })?;

    let mut record = Ring::open(&of("ring", stage))?.receiver()?.receive()?.to_vec();
    record.extend(b", Rust");
    let ring = Ring::create(&of("ring", stage + 1), 4096)?;
    ring.sender()?.send(&record)?;

    let subscriber = Frames::<[u8]>::open(&of("frames", stage))?.subscriber(Policy::EveryFrame)?;
    let mut frame = subscriber.receive()?.to_vec();
    frame[..100].iter_mut().for_each(|byte| *byte += 1);
    let frames = FramesOptions::new().create::<[u8]>(&of("frames", stage + 1))?;
    frames.publisher()?.send(&frame)?;

    println!("done");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
