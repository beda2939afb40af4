//! What the program shows of regions: their fields by their own description, and nothing wrong about others.

mod common;

use common::{good, name, refused, text};
use coview::region::RegionInfo;
use coview::zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};
use coview::{Access, Mapping, Record, Region, latest::Latest, ring::Ring};
use serde_json::{Value, json};

#[derive(FromBytes, IntoBytes, Immutable, Record)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Leg {
    angle: f64,
    force: [i32; 2],
}

#[derive(FromBytes, IntoBytes, Immutable, Record)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Robot {
    name: [u8; 8],
    key: [u8; 4],
    trim: i16,
    port: u16,
    legs: [Leg; 2],
    pose: [[f32; 2]; 2],
    free: [[u8; 4]; 2],
}

fn robot() -> Robot {
    let legs = [Leg { angle: 0.1, force: [-1, 2] }, Leg { angle: f64::NAN, force: [3, -4] }];
    let mut robot = Robot { legs, pose: [[1.0, 0.5], [0.0, -1.0]], ..Robot::new_zeroed() };
    robot.name[..6].copy_from_slice("Atlas!".as_bytes());
    (robot.key, robot.trim, robot.port) = ([0, 7, 255, 1], -7, 8080);
    robot.free[1] = *b"yes\0";
    robot
}

fn json_of(args: &[&str]) -> Value {
    serde_json::from_slice(&good(args)).unwrap()
}

#[test]
fn read_shows_the_fields() {
    let name = name("robot");
    let _region = Region::create(&name, &robot()).unwrap();
    let expected = "\
name          = \"Atlas!\"
key           = [0, 7, 255, 1]
trim          = -7
port          = 8080
legs[0].angle = 0.1
legs[0].force = [-1, 2]
legs[1].angle = NaN
legs[1].force = [3, -4]
pose          = [[1.0, 0.5], [0.0, -1.0]]
free          = [\"\", \"yes\"]
";
    assert_eq!(text(&good(&["read", &name])), expected);
    assert_eq!(text(&good(&["read", &name, "--as", "text"])), expected);
    let legs = json!([{ "angle": 0.1, "force": [-1, 2] }, { "angle": "NaN", "force": [3, -4] }]);
    let json = json_of(&["read", &name, "--as", "json"]);
    let expected = json!({
        "name": "Atlas!", "key": [0, 7, 255, 1], "trim": -7, "port": 8080, "legs": legs,
        "pose": [[1.0, 0.5], [0.0, -1.0]], "free": ["", "yes"],
    });
    assert_eq!(json, expected);
    // Bytes, when bytes are asked for.
    assert!(good(&["read", &name, "--as", "raw"]).starts_with(b"coviewRG"));
    assert_eq!(good(&["read", &name, "--len", "4"]), b"covi");
}

#[test]
fn of_a_latest_value_the_newest_is_shown() {
    let name = name("newest");
    let latest = Latest::<Leg>::create(&name).unwrap();
    refused(&["read", &name], 1, &["nobody has given the region a value yet"]);
    let mut writer = latest.writer().unwrap();
    for n in 0..6 {
        writer.set(&Leg { angle: n.into(), force: [n, -n] }).unwrap();
    }
    assert_eq!(text(&good(&["read", &name])), "angle = 5.0\nforce = [5, -5]\n");
    assert!(text(&good(&["info", &name])).contains("latest value"));
}

#[test]
fn of_latest_bytes_the_newest_are_shown() {
    let name = name("newest bytes");
    let latest = Latest::<[u8]>::create(&name).unwrap();
    refused(&["read", &name], 1, &["nobody has given the region a value yet"]);
    let mut writer = latest.writer().unwrap();
    for value in [&b"the first and longer one"[..], b"the second"] {
        writer.set(value).unwrap();
    }
    assert_eq!(good(&["read", &name]), b"the second");
    assert_eq!(json_of(&["read", &name, "--as", "json"])["text"], "the second");
    assert!(good(&["read", &name, "--as", "raw"]).starts_with(b"coviewRG"));
}

#[test]
fn a_number_alone_is_shown() {
    let name = name("number");
    let _region = Region::<f64>::create(&name, &9.81).unwrap();
    assert_eq!(text(&good(&["read", &name])), "9.81\n");
    assert_eq!(json_of(&["read", &name, "--as", "json"]), json!(9.81));
}

#[test]
fn info_and_ls_say_what_it_is() {
    let (name, ring) = (name("robot"), name("ring"));
    let region = Region::create(&name, &robot()).unwrap();
    let _ring = Ring::create(&ring, 4096).unwrap();
    let shown = text(&good(&["info", &name]));
    for line in [
        "region Robot, 72 bytes at ",
        "OFFSET  FIELD       TYPE",
        "16      legs        Leg[2]",
        "24      legs.force  i32[2]",
    ] {
        assert!(shown.contains(line), "no {line:?} in {shown}");
    }
    let info = &json_of(&["info", &name, "--json"])["region"];
    assert_eq!((&info["type"], &info["initialised"], &info["size"]), (&json!("Robot"), &json!(true), &json!(72)));
    assert_eq!(info["creator"]["pid"], std::process::id());
    let force = json!({ "name": "force", "offset": 8, "type": "i32[2]", "size": 8, "lengths": [2], "fields": [] });
    assert_eq!(info["fields"][4]["fields"][1], force);

    let list = text(&good(&["ls"]));
    let kind = |name: &str| list.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} in {list}"));
    assert!(kind(&name).contains("region Robot"), "{list}");
    assert!(kind(&ring).contains("ring"), "{list}");
    assert!(text(&good(&["info", &ring])).contains("ring, 5760 bytes at 256"));
    let RegionInfo { content, .. } = region.info().unwrap();
    assert_eq!(info["content_offset"].as_u64(), Some(content.start));
}

#[test]
fn what_is_damaged_is_said_to_be() {
    let name = name("damaged");
    let region = Region::<u64>::create(&name, &1).unwrap();
    region.view().write(24, &[0xff; 8]).unwrap();
    refused(&["read", &name], 1, &[&name, "the content cannot have the size that it says, at offset 24"]);
    assert_eq!(good(&["read", &name, "--as", "raw"]).len(), 4096);
    assert!(text(&good(&["info", &name])).contains("region      damaged: cannot open the region Local"));
    assert!(text(&good(&["ls"])).contains("region, damaged"));
}

#[test]
fn what_nobody_has_initialised_is_said_to_be() {
    let name = name("begun");
    let mapping = Mapping::create(&name, Region::<Robot>::mapping_size()).unwrap();
    let panics = std::panic::catch_unwind(|| Region::<Robot>::open_or_create(&name, || panic!("halfway")));
    assert!(panics.is_err());
    refused(&["read", &name], 1, &[&name, "nobody has given the region a value yet"]);
    assert!(text(&good(&["info", &name])).contains("not initialised; begun by "));
    drop(mapping.view(Access::Read).unwrap());
}
