//! Regions between real processes: who initialises, who takes over, which layouts agree, who may write.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::place::Place;
use common::{Child, PATIENCE, hear, say};
use coview::{Access, Disposition, ErrorKind, Mapping, MappingOptions, Record, Region, RegionOptions, region};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Debug, PartialEq, FromBytes, IntoBytes, Immutable, Record)]
#[repr(C)]
struct Reading {
    seq: u64,
    celsius: [f64; 3],
    place: [u8; 16],
}

/// The same type as an older program has it.
mod old {
    use super::*;

    #[derive(Debug, FromBytes, IntoBytes, Immutable, Record)]
    #[repr(C)]
    pub(super) struct Reading {
        seq: u64,
        celsius: [f32; 3],
        place: [u8; 16],
        reserved: u32,
    }
}

/// Regions that one process makes, one after the other, until it is killed.
const MANY: usize = 100;

/// Large enough to be met half written.
#[derive(FromBytes, IntoBytes, Immutable, Record)]
#[repr(C)]
struct Large {
    words: [u64; 4096],
}

fn reading(seq: u64) -> Reading {
    let mut place = [0; 16];
    place[..6].copy_from_slice(b"boiler");
    Reading { seq, celsius: [20.5, 21.0, -3.0], place }
}

fn short() -> RegionOptions {
    RegionOptions::new().timeout(Duration::from_millis(30))
}

#[test]
fn child() {
    common::child(&[
        ("initialise and stay", |args| {
            let initialise = || {
                say("halfway");
                hear();
                reading(1)
            };
            let (region, disposition) = Region::open_or_create(&args[0], initialise).unwrap();
            say(&format!("{disposition:?} {}", region.read().unwrap().seq));
            hear();
        }),
        ("join", |args| {
            say("joining");
            let seq = args[1].parse().unwrap();
            let (region, disposition) =
                RegionOptions::new().timeout(PATIENCE).open_or_create(&args[0], || reading(seq)).unwrap();
            say(&format!("{disposition:?} {}", region.read().unwrap().seq));
            hear();
        }),
        ("open", |args| {
            say("opening");
            let region: Region<Reading> = RegionOptions::new().timeout(PATIENCE).open(&args[0]).unwrap();
            say(&region.read().unwrap().seq.to_string());
            hear();
        }),
        ("open as the old type", |args| {
            let error = Region::<old::Reading>::open(&args[0]).unwrap_err();
            say(&format!("{:?}: {error}", error.kind()));
        }),
        ("count", |args| {
            let region = Region::<Reading>::open(&args[0]).unwrap();
            let seq: &AtomicU64 = region.view().atomic(region.content_offset()).unwrap();
            for _ in 0..1000 {
                seq.fetch_add(1, Ordering::Relaxed);
            }
        }),
        ("inherit", |_| {
            let mapping = Mapping::inherited("READING").unwrap();
            let region: Region<Reading> = RegionOptions::new().open_in(&mapping).unwrap();
            region.write(&Reading { seq: region.read().unwrap().seq + 1, ..reading(0) }).unwrap();
        }),
        ("make many", |args| {
            say("making");
            for number in 0..MANY {
                let name = format!("{}{number}", args[0]);
                let (region, _) = Region::open_or_create(&name, || Large { words: [1; 4096] }).unwrap();
                drop(region);
            }
            hear();
        }),
    ]);
}

#[test]
fn what_one_process_writes_another_reads() {
    let place = Place::new("region-write");
    let name = place.name("x");
    let region = Region::create(&name, &reading(7)).unwrap();
    assert_eq!(region.read().unwrap(), reading(7));
    let mut others: Vec<Child> = (0..4).map(|_| Child::start("count", &[&name])).collect();
    others.drain(..).for_each(Child::wait);
    assert_eq!(region.read().unwrap().seq, 4007);
    assert_eq!(Region::create(&name, &reading(8)).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn another_takes_over_from_an_initialiser_that_dies() {
    let place = Place::new("region-takeover");
    let name = place.name("x");
    let mut first = Child::start("initialise and stay", &[&name]);
    first.expect("halfway");
    // What is there so far is not taken for a value.
    let half = region::describe(&Mapping::open(&name, Access::Read).unwrap()).unwrap().unwrap();
    assert_eq!((half.initialised, half.process), (false, Some(first.id())));
    assert_eq!(short().open::<Reading>(&name).unwrap_err().kind(), ErrorKind::TimedOut);
    let error = short().open_or_create(&name, || reading(9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    let mut others: Vec<Child> = ["2", "3"].iter().map(|seq| Child::start("join", &[&name, seq])).collect();
    others.iter_mut().for_each(|other| other.expect("joining"));
    first.kill();
    let mut said: Vec<String> = others.iter_mut().map(Child::line).collect();
    said.sort();
    let (one, other) = (said[0].split_once(' ').unwrap(), said[1].split_once(' ').unwrap());
    assert_eq!((one.0, other.0), ("Created", "Opened"));
    assert!(one.1 == other.1 && ["2", "3"].contains(&one.1), "{said:?}");
    let now = Region::<Reading>::open(&name).unwrap();
    assert!(others.iter().any(|other| now.info().unwrap().process == Some(other.id())));
}

#[test]
fn who_opens_waits_for_who_initialises() {
    let place = Place::new("region-wait");
    let name = place.name("x");
    let mut first = Child::start("initialise and stay", &[&name]);
    first.expect("halfway");
    let mut second = Child::start("open", &[&name]);
    second.expect("opening");
    first.send("go on");
    first.expect("Created 1");
    second.expect("1");
}

#[test]
fn a_program_may_be_started_before_the_one_it_reads_from() {
    let place = Place::new("region-early");
    let name = place.name("x");
    assert_eq!(Region::<Reading>::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(short().open::<Reading>(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let mut early = Child::start("open", &[&name]);
    early.expect("opening");
    let _region = Region::create(&name, &reading(42)).unwrap();
    early.expect("42");
}

#[test]
fn what_a_dead_initialiser_left_goes_with_its_last_witness() {
    let place = Place::new("region-dead");
    let name = place.name("x");
    let mut first = Child::start("initialise and stay", &[&name]);
    first.expect("halfway");
    let mut waiting = Child::start("open", &[&name]);
    waiting.expect("opening");
    first.kill();
    // The one who waits does not keep the name.
    common::until("the name is free", || match Region::create(&name, &reading(5)) {
        Ok(region) => {
            waiting.expect("5");
            assert_eq!(region.info().unwrap().process, Some(std::process::id()));
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            false
        }
    });
}

#[test]
fn of_many_at_once_one_initialises() {
    let place = Place::new("region-race");
    for round in 0..20 {
        let name = place.name(&format!("race{round}"));
        let go = std::sync::Barrier::new(8);
        let one = |seq: u64| {
            go.wait();
            let options = RegionOptions::new().timeout(PATIENCE);
            let (region, disposition) = options.open_or_create(&name, || reading(seq)).unwrap();
            let saw = region.read().unwrap().seq;
            go.wait();
            (disposition == Disposition::Created, seq, saw)
        };
        let found: Vec<(bool, u64, u64)> = std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> = (1..=8).map(|seq| scope.spawn(move || one(seq))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let makers: Vec<u64> = found.iter().filter(|(made, ..)| *made).map(|(_, seq, _)| *seq).collect();
        assert_eq!(makers.len(), 1, "{found:?}");
        assert!(found.iter().all(|(_, _, saw)| *saw == makers[0]), "{found:?}");
    }
}

#[test]
fn killed_at_any_time_while_it_initialises() {
    let place = Place::new("region-kill");
    for round in 0..10 {
        let name = |number: usize| place.name(&format!("{round}-{number}"));
        // Held here, so that what the dead one leaves is met.
        let size = Region::<Large>::mapping_size();
        let held: Vec<Mapping> = (0..MANY).map(|number| Mapping::create(&name(number), size).unwrap()).collect();
        let mut maker = Child::start("make many", &[&place.name(&format!("{round}-"))]);
        maker.expect("making");
        let goal = &held[round * MANY / 10];
        common::until("it is in the middle", || region::describe(goal).unwrap().is_some());
        maker.kill();
        for number in 0..MANY {
            let (region, made) = Region::open_or_create(&name(number), || Large { words: [2; 4096] }).unwrap();
            let word = if made == Disposition::Created { 2 } else { 1 };
            assert!(region.read().unwrap().words.iter().all(|found| *found == word), "region {number}, {made:?}");
        }
    }
}

#[test]
fn another_layout_is_refused_by_its_first_difference() {
    let place = Place::new("region-layout");
    let name = place.name("x");
    let _region = Region::create(&name, &reading(1)).unwrap();
    let mut other = Child::start("open as the old type", &[&name]);
    let line = other.line();
    let expected = "it has another layout: field 2: expected `celsius: f32[3]` at 8, found `celsius: f64[3]` at 8;";
    assert!(line.starts_with("WrongLayout: ") && line.contains(&name) && line.contains(expected), "{line}");
    let error = Region::open_or_create(&name, || 0_u64).unwrap_err();
    assert!(error.to_string().contains("expected `u64`, found `Reading`"), "{error}");
}

#[test]
fn only_a_region_is_opened_as_one() {
    let place = Place::new("region-kind");
    let ordinary = place.name("ordinary");
    let mapping = Mapping::create(&ordinary, 4096).unwrap();
    assert_eq!(region::describe(&mapping).unwrap(), None);
    assert_eq!(short().open::<u64>(&ordinary).unwrap_err().kind(), ErrorKind::TimedOut); // zeros: it may become one
    for (at, text) in [(0, &b"text"[..]), (20, b"x"), (190, b"y")] {
        let view = mapping.view(Access::ReadWrite).unwrap();
        view.write(0, &[0; 256]).unwrap();
        view.write(at, text).unwrap();
        for error in
            [Region::<u64>::open(&ordinary).unwrap_err(), Region::<u64>::open_or_create(&ordinary, || 1).unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::WrongKind, "{error}");
        }
        let mut back = vec![0; text.len()];
        view.read(at, &mut back).unwrap();
        assert_eq!(back, text); // nothing was written over it
    }
    let ring = place.name("ring");
    let _ring = coview::ring::Ring::create(&ring, 4096).unwrap();
    let error = Region::<u64>::open(&ring).unwrap_err();
    assert!(error.kind() == ErrorKind::WrongKind && error.to_string().contains("it is a ring"), "{error}");
    let small = place.name("small");
    let _small = MappingOptions::new().size(100).exact(true).create(&small).unwrap();
    assert_eq!(Region::<u64>::open(&small).unwrap_err().kind(), ErrorKind::WrongKind);
    let fits_not = place.name("fits-not");
    let _fits_not = Mapping::create(&fits_not, 4096).unwrap();
    let error = Region::open_or_create(&fits_not, || Large { words: [0; 4096] }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
}

#[test]
fn a_child_inherits_a_region_without_a_name() {
    let size = Region::<Reading>::mapping_size();
    let mapping = MappingOptions::new().size(size).create_unnamed().unwrap();
    let (region, _) = RegionOptions::new().open_or_create_in(&mapping, || reading(1)).unwrap();
    let mut command = common::command("inherit", &[]);
    region.mapping().hand_to(&mut command, "READING").unwrap();
    Child::spawn(command).wait();
    assert_eq!(region.read().unwrap().seq, 2);
}

#[test]
fn a_region_may_stand_in_reserved_memory_and_on_a_file() {
    let reserved = MappingOptions::new().size(1 << 20).reserve(true).create_unnamed().unwrap();
    assert_eq!(region::describe(&reserved).unwrap(), None);
    let (region, _) = RegionOptions::new().open_or_create_in(&reserved, || reading(3)).unwrap();
    assert_eq!(region.read().unwrap(), reading(3));

    let place = Place::new("region-file");
    let on_file = || {
        let size = Region::<Reading>::mapping_size();
        MappingOptions::new().size(size).file(place.path("reading.bin")).create_unnamed().unwrap()
    };
    let (region, made) = RegionOptions::new().open_or_create_in(&on_file(), || reading(4)).unwrap();
    assert_eq!(made, Disposition::Created);
    drop(region);
    let (region, made) = RegionOptions::new().open_or_create_in(&on_file(), || reading(5)).unwrap();
    assert_eq!((made, region.read().unwrap().seq), (Disposition::Opened, 4));
}

#[test]
fn who_may_only_read_reads() {
    let place = Place::new("region-read");
    let name = place.name("x");
    let _region = Region::create(&name, &reading(1)).unwrap();
    let reader: Region<Reading> = RegionOptions::new().access(Access::Read).open(&name).unwrap();
    assert_eq!(reader.read().unwrap(), reading(1));
    assert_eq!(reader.write(&reading(2)).unwrap_err().kind(), ErrorKind::AccessDenied);
    let private: Region<Reading> = RegionOptions::new().access(Access::CopyOnWrite).open(&name).unwrap();
    private.write(&reading(2)).unwrap();
    assert_eq!((private.read().unwrap().seq, reader.read().unwrap().seq), (2, 1));
}

#[test]
fn the_head_says_who_made_it_and_when() {
    let place = Place::new("region-info");
    let before = std::time::SystemTime::now() - Duration::from_secs(1); // the clocks of files are coarse
    let region = Region::create(&place.name("x"), &reading(1)).unwrap();
    let info = region.info().unwrap();
    assert!(info.initialised && info.created.unwrap() >= before);
    assert_eq!((info.process, info.kind), (Some(std::process::id()), region::RegionKind::Plain));
    assert!(info.program.unwrap().starts_with("region"));
    assert_eq!(info.content.end - info.content.start, 48);
    assert_eq!(info.schema.as_ref(), Some(&Reading::SCHEMA));
    let fields: Vec<String> = info.schema.unwrap().fields().iter().map(ToString::to_string).collect();
    assert_eq!(fields, ["seq: u64", "celsius: f64[3]", "place: u8[16]"]);
}
