//! `coview watch`: what changes is told, by whatever layout there is, over the end of an object and its return.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use common::{Held, command, name, refused};
use coview::latest::Latest;
use coview::zerocopy::{FromBytes, Immutable, IntoBytes};
use coview::{Access, Mapping, Record};
use serde_json::{Value, json};

#[derive(FromBytes, IntoBytes, Immutable, Record)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Pose {
    x: f64,
    y: f64,
}

/// A running watch. Dropped, it is killed.
struct Watch {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(args: &[&str]) -> Watch {
        let mut command = command();
        command.arg("watch").args(args).args(["--interval", "5ms"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Watch { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it goes on").unwrap()
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_value_that_describes_itself_is_followed() {
    let name = name("pose");
    let latest = Latest::<Pose>::create(&name).unwrap();
    refused(&["watch", &name], 1, &["nobody has given the region a value yet"]);
    let mut writer = latest.writer().unwrap();
    writer.set(&Pose { x: 1.0, y: 2.0 }).unwrap();
    let (mut text, mut all) = (Watch::start(&[&name]), Watch::start(&[&name, "--json"]));
    assert_eq!(
        (text.line(), text.line(), all.json()),
        ("x = 1.0".into(), "y = 2.0".into(), json!({ "x": 1.0, "y": 2.0 }))
    );
    writer.set(&Pose { x: 1.0, y: 3.0 }).unwrap();
    assert_eq!((text.line(), all.json()), ("y = 3.0".into(), json!({ "x": 1.0, "y": 3.0 })));
    writer.set(&Pose { x: 4.0, y: 3.0 }).unwrap();
    assert_eq!((text.line(), all.json()), ("x = 4.0".into(), json!({ "x": 4.0, "y": 3.0 })));

    // Nobody is kept from beginning anew.
    drop((writer, latest));
    let latest = loop {
        // A look takes microseconds; the object ends when it does.
        if let Ok(latest) = Latest::<Pose>::create(&name) {
            break latest;
        }
    };
    latest.writer().unwrap().set(&Pose { x: 5.0, y: 3.0 }).unwrap();
    assert_eq!((text.line(), all.json()), ("x = 5.0".into(), json!({ "x": 5.0, "y": 3.0 })));
}

#[test]
fn a_layout_or_bytes_show_what_describes_nothing() {
    let name = name("plain");
    let mapping = Mapping::create(&name, 4096).unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    let mut fields = Watch::start(&[&name, "--layout", "struct { i32 id; char name[8]; }", "--offset", "16"]);
    let mut bytes = Watch::start(&[&name, "--len", "32"]);
    let mut hex = Watch::start(&[&name, "--json", "--offset", "16", "--len", "4", "-n", "1"]);
    assert_eq!((fields.line(), fields.line()), ("id   = 0".into(), "name = \"\"".into()));
    assert!(bytes.line().starts_with("00000000  00") && bytes.line().starts_with("00000010  00"));
    assert_eq!(hex.json(), json!({ "offset": 16, "bytes": "00000000" }));
    view.write(16, &7_i32.to_le_bytes()).unwrap();
    assert_eq!(fields.line(), "id   = 7");
    assert!(bytes.line().starts_with("00000010  07 00"));
    assert_eq!(hex.json(), json!({ "offset": 16, "bytes": "07000000" }));
    assert_eq!(hex.child.wait().unwrap().code(), Some(0), "one change was asked for");
}

#[test]
fn every_refusal_has_its_code_and_says_why() {
    let (absent, held) = (name("absent"), name("held"));
    let _held = Held::create(&[&held, "--size", "4096"]);
    refused(&["watch", &absent], 3, &[&absent, "coview ls"]);
    refused(&["watch", &held, "--layout", "struct { potato x; }"], 2, &["layout", "potato"]);
    refused(&["watch", &held, "--layout", "struct { i64 a[1000]; }"], 1, &["8000 bytes", "4096"]);
    refused(&["watch", &held, "--offset", "5000"], 1, &["5000", "4096"]);
    refused(&["watch", &held, "--len", "5000"], 1, &["5000", "4096"]);
    refused(&["watch", &held, "--len", "16", "--layout", "struct { i32 a; }"], 2, &["--len"]);
}
