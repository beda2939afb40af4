//! `coview top --once`: a live channel has a rate, and who is behind is told.

mod common;

use std::time::Instant;

use common::{PATIENCE, good, name, refused, run, text};
use coview::Mapping;
use coview::frames::{FramesOptions, Policy};
use serde_json::Value;

fn once(name: &str) -> Value {
    let all: Value = serde_json::from_slice(&good(&["top", "--once", "--json", "--interval", "100ms"])).unwrap();
    let full = format!(r"Local\{name}");
    all.as_array().unwrap().iter().find(|one| one["name"] == full.as_str()).unwrap_or_else(|| panic!("{all}")).clone()
}

#[test]
fn a_live_channel_has_a_rate_and_its_ends_are_told() {
    let live = name("live");
    let frames = FramesOptions::new().slot(4096).budget(16 << 10).create::<[u8]>(&live).unwrap();
    let publisher = frames.publisher().unwrap();
    let _slow = frames.subscriber(Policy::DropOldest).unwrap();
    let id = std::process::id();
    let quiet = once(&live);
    assert_eq!(
        (quiet["channel"]["messages_per_second"].as_f64(), quiet["kind"].as_str()),
        (Some(0.0), Some("mapping"))
    );
    assert_eq!(
        quiet["channel"]["receivers"],
        serde_json::json!([{ "pid": id, "policy": "drop-oldest", "lag": 0, "drops": 0 }])
    );
    assert_eq!(
        (quiet["channel"]["senders"][0].as_u64(), quiet["channel"]["capacity"].as_u64()),
        (Some(id.into()), Some(16 << 10))
    );

    let busy = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let begun = Instant::now();
            loop {
                let busy = once(&live);
                if busy["channel"]["messages_per_second"].as_f64() > Some(0.0) || begun.elapsed() > PATIENCE {
                    return busy;
                }
            }
        });
        while !looking.is_finished() {
            publisher.send(&[7; 2000]).unwrap();
            std::thread::yield_now();
        }
        looking.join().unwrap()
    });
    let channel = &busy["channel"];
    let rate = |of: &str| channel[of].as_f64().unwrap();
    let (messages, bytes) = (rate("messages_per_second"), rate("bytes_per_second"));
    assert!(messages > 0.0 && (bytes / messages - 2000.0).abs() < 1.0, "{busy}");
    assert_eq!((channel["kind"].as_str(), channel["message_size"].as_u64()), (Some("frames"), Some(2000)));
    assert!(channel["receivers"][0]["lag"].as_u64() > Some(0) && channel["used"].as_u64() > Some(0), "{busy}");

    let shown = text(&good(&["top", "--once", "--interval", "10ms", "--sort", "lag"]));
    let line = shown.lines().find(|line| line.contains(&live)).unwrap_or_else(|| panic!("{shown}"));
    assert!(shown.starts_with("NAME") && line.contains("frames") && line.contains("1>1"), "{shown}");
}

#[test]
fn what_is_no_channel_is_shown_too() {
    let plain = name("plain");
    let _mapping = Mapping::create(&plain, 4096).unwrap();
    let shown = once(&plain);
    assert_eq!(
        (shown["size"].as_u64(), shown["channel"].is_null(), shown["stale"].as_bool()),
        (Some(4096), true, Some(false))
    );
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    refused(&["top"], 2, &["needs a terminal", "--once"]);
    refused(&["top", "--json"], 2, &["--once"]);
    assert!(text(&run(&["top", "--help"]).stdout).contains("Keys: q quits"));
}
