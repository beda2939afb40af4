//! A typed value by name: both programs declare its struct, and a program with another declaration is refused.

use std::process::Command;

use coview::{Record, Region, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Debug, FromBytes, IntoBytes, Immutable, Record)]
#[repr(C)]
struct Weather {
    station: [u8; 12],
    stale: u32,
    celsius: [f64; 2],
}

/// As a program has it that was not built anew.
mod yesterday {
    use super::*;

    #[derive(FromBytes, IntoBytes, Immutable, Record)]
    #[repr(C)]
    pub(super) struct Weather {
        station: [u8; 12],
        celsius: f32,
    }
}

fn reader(name: &str) -> Result<()> {
    let weather = Region::<Weather>::open(name)?.read()?;
    let station = String::from_utf8_lossy(&weather.station);
    println!("{}: {:?}", station.trim_end_matches('\0'), weather.celsius);
    println!("{}", Region::<yesterday::Weather>::open(name).unwrap_err());
    Ok(())
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return reader(&name);
    }
    let name = format!("Weather-{}", std::process::id());
    // Whoever comes first makes it. Should that process die in the middle, the next one does.
    let first = || Weather { station: *b"Zugspitze\0\0\0", stale: 0, celsius: [-4.5, -11.25] };
    let (weather, _) = Region::open_or_create(&name, first)?;
    let info = weather.info()?;
    println!("{} of {} bytes", info.schema.expect("it has one"), info.content.end - info.content.start);

    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg(&name).status().expect("it can be started again");
    Ok(())
}
