//! The bytes of a region: those of a golden file, and any others.

mod common;

use coview::{Access, ErrorKind, Mapping, MappingOptions, Record, Region, RegionOptions, View, region};
use proptest::prelude::*;
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Debug, PartialEq, Clone, Copy, FromBytes, IntoBytes, Immutable, Record)]
#[repr(C)]
struct Leg {
    angle: f64,
    force: [i32; 2],
}

#[derive(Debug, PartialEq, Clone, Copy, FromBytes, IntoBytes, Immutable, Record)]
#[repr(transparent)]
struct Volt(f32);

#[derive(Debug, PartialEq, Clone, Copy, FromBytes, IntoBytes, Immutable, Record)]
#[repr(C, packed)]
struct Wire {
    tag: u8,
    at: u64,
}

#[derive(Debug, PartialEq, Clone, Copy, FromBytes, IntoBytes, Immutable, Record)]
#[repr(C)]
struct Robot {
    seq: u64,
    legs: [Leg; 2],
    name: [u8; 16],
    pose: [[f32; 2]; 4],
    wire: Wire,
    r#type: i8,
    port: u16,
    battery: Volt,
}

const GOLDEN: &[u8] = include_bytes!("golden/region-1.bin");

fn robot() -> Robot {
    let legs = [Leg { angle: 0.25, force: [-1, 2] }, Leg { angle: -0.5, force: [3, -4] }];
    let pose = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [-1.0, 2.0]];
    let wire = Wire { tag: 9, at: 0x0102_0304_0506_0708 };
    Robot {
        seq: 99_041_232,
        legs,
        name: *b"Atlas\0\0\0\0\0\0\0\0\0\0\0",
        pose,
        wire,
        r#type: -7,
        port: 8080,
        battery: Volt(11.5),
    }
}

/// What differs from run to run: time and process, all of the `Once` but that it is done, program.
fn masked(mut bytes: Vec<u8>) -> Vec<u8> {
    for range in [32..44, 64..104, 108..112, 128..192] {
        bytes[range].fill(0);
    }
    bytes
}

fn memory() -> (Mapping, View) {
    let mapping = MappingOptions::new().size(8192).create_unnamed().unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    (mapping, view)
}

fn bytes_of_a_robot() -> Vec<u8> {
    let (mapping, view) = memory();
    let (region, _) = RegionOptions::new().open_or_create_in(&mapping, robot).unwrap();
    let mut bytes = vec![0; region.content_offset() + size_of::<Robot>()];
    view.read(0, &mut bytes).unwrap();
    bytes
}

/// The file changes only with the revision. `COVIEW_BLESS=1` writes it anew.
#[test]
fn a_region_is_the_golden_file() {
    let bytes = masked(bytes_of_a_robot());
    if std::env::var_os("COVIEW_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/region-1.bin"), &bytes).unwrap();
        return;
    }
    let differs = bytes.iter().zip(GOLDEN).position(|(ours, theirs)| ours != theirs);
    assert_eq!((differs, bytes.len()), (None, GOLDEN.len()));
}

#[test]
fn the_golden_file_is_a_region() {
    let (mapping, view) = memory();
    view.write(0, GOLDEN).unwrap();
    let region: Region<Robot> = RegionOptions::new().open_in(&mapping).unwrap();
    assert_eq!(region.read().unwrap(), robot());
    let info = region::describe(&mapping).unwrap().unwrap();
    assert_eq!((info.process, info.created, info.program), (None, None, None));
    assert_eq!(info.schema, Some(Robot::SCHEMA));
}

/// The layout is that of 32-bit programs too, so nothing here asks the compiler.
#[test]
fn the_layout_is_the_same_everywhere() {
    let schema = Robot::SCHEMA;
    let found: Vec<(u64, String)> = schema.fields().iter().map(|f| (f.offset(), f.to_string())).collect();
    let expected = [
        (0, "seq: u64"),
        (8, "legs: Leg[2]"),
        (40, "name: u8[16]"),
        (56, "pose: f32[4][2]"),
        (88, "wire: Wire"),
        (97, "type: i8"),
        (98, "port: u16"),
        (100, "battery: f32"),
    ];
    assert_eq!(found, expected.map(|(at, text)| (at, text.to_owned())));
    assert_eq!((schema.size(), schema.align()), (104, 8));
    assert_eq!((schema.fields()[1].schema().align(), schema.fields()[4].schema().align()), (8, 1));
}

/// Looks at whatever stands there in all ways there are; refusals are of these kinds.
fn look(mapping: &Mapping) {
    let fine = |kind: ErrorKind| {
        use ErrorKind::{Corrupt, OutOfRange, TimedOut, WrongKind, WrongLayout};
        assert!(matches!(kind, Corrupt | WrongKind | WrongLayout | TimedOut | OutOfRange), "{kind:?}");
    };
    match region::describe(mapping) {
        Ok(None) => {}
        Ok(Some(info)) => {
            assert!(info.content.start <= info.content.end && info.content.end <= mapping.size(), "{info:?}");
            let _ = format!("{info:?}");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("at offset"), "{error}");
        }
    }
    let options = RegionOptions::new().timeout(std::time::Duration::ZERO);
    match options.open_in::<Robot>(mapping) {
        Ok(region) => drop((region.read().unwrap(), region.write(&robot()))),
        Err(error) => fine(error.kind()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_spoiled_region_is_in_range_or_refused(
        changes in proptest::collection::vec((0..1024usize, prop_oneof![any::<u8>(), Just(0), Just(0xff), 0..9u8]), 1..5),
    ) {
        let (mapping, view) = memory();
        view.write(0, GOLDEN).unwrap();
        for (at, byte) in changes {
            view.write(at % GOLDEN.len(), &[byte]).unwrap();
        }
        look(&mapping);
    }

    #[test]
    fn any_bytes_are_a_region_or_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..1024),
        magic in any::<bool>(),
    ) {
        let (mapping, view) = memory();
        view.write(0, &bytes).unwrap();
        if magic {
            view.write(0, &GOLDEN[..12]).unwrap();
            view.write(104, &[1]).unwrap();
        }
        look(&mapping);
    }
}
