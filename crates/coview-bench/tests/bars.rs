//! Runs the program as its users do: every bar is there, with a number.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coview-bench")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_bar_has_a_number_and_stands_at_the_end() {
    let folder = std::env::temp_dir().join(format!("coview-bench-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (json, svg) = (folder.join("all.json"), folder.join("all.svg"));
    let files = ["--json", json.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let output = run(&[&["--quick", "--rounds", "1", "--ms", "2"][..], &files].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(!out.contains("failed:") && err.is_empty(), "{out}{err}");

    let lines: Vec<&str> = out.lines().collect();
    let names = [
        "lock_uncontended",
        "lock_uncontended_placed",
        "lock_two_processes",
        "lock_two_processes_placed",
        "event_to_futex",
        "event_to_iceoryx2",
        "event_to_futex_placed",
        "event_to_iceoryx2_placed",
        "ring_round_trip_8B",
        "ring_round_trip_64B",
        "frames_round_trip_8B",
        "frames_round_trip_64B",
        "frames_round_trip_1KiB",
        "ring_blocking_to_futex",
        "ring_blocking_to_iceoryx2",
        "frames_blocking_to_futex",
        "frames_blocking_to_iceoryx2",
        "ring_one_way_polling",
        "ring_one_way_sleepers",
        "frames_one_way_polling",
        "frames_one_way_sleepers",
        "frames_3MiB_untouched",
        "frames_3MiB",
        "frames_3MiB_to_limit",
        "frames_3MiB_growing",
        "frames_setup",
        "latest_read_idle",
        "latest_reads_busy",
        "latest_writes_busy",
        "request_8B",
        "frames_subscriber_dies",
        "service_server_dies",
        "attach",
        "attach_region",
    ];
    for (line, name) in lines[lines.len() - names.len()..].iter().zip(names) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [bar, what, value, sign, bound, word, ..] = words[..] else { panic!("{line}") };
        assert_eq!((bar, what), ("bar", name), "{line}");
        assert!(value.parse::<f64>().unwrap() > 0.0 && bound.parse::<f64>().unwrap() > 0.0, "{line}");
        assert!(["<=", ">="].contains(&sign) && ["ok", "short"].contains(&word), "{line}");
    }

    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(json["bars"].as_array().unwrap().len(), names.len());
    assert_eq!(json["method"]["rounds"], 1);
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>") && svg.contains("lock_two"), "{svg}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// The processes that this one started.
fn children(pid: u32) -> Vec<u32> {
    let pids = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn shared_files(of: &str) -> Vec<String> {
    let names = std::fs::read_dir("/dev/shm").unwrap().map(|entry| text(entry.unwrap().file_name().as_encoded_bytes()));
    names.filter(|name| name.contains(of)).collect()
}

#[test]
fn who_is_interrupted_leaves_nothing() {
    let program = Command::new(env!("CARGO_BIN_EXE_coview-bench")).arg("event").stdout(Stdio::null()).spawn();
    let mut program = program.unwrap();
    // Until both libraries have something to leave: ours names its things after the process that measures.
    let theirs = format!("coview_bench_{}_", program.id());
    let (ours, below) = loop {
        assert!(program.try_wait().unwrap().is_none(), "it ended too early");
        let Some(driver) = children(program.id()).first().copied() else { continue };
        let (ours, below) = (format!("-{driver}-"), [vec![driver], children(driver)].concat());
        if below.len() > 1 && !shared_files(&ours).is_empty() && !shared_files(&theirs).is_empty() {
            break (ours, below);
        }
        std::thread::yield_now();
    };
    kill_process(Pid::from_child(&program), Signal::INT).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(130));
    assert!(below.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()), "{below:?}");
    assert_eq!([shared_files(&ours), shared_files(&theirs)], [Vec::<String>::new(), vec![]]);
    assert!(!std::env::temp_dir().join(theirs).exists());
}

#[test]
fn wrong_words_are_explained() {
    let output = run(&["nonsense"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there are: lock, lock_two, event"), "{}", text(&output.stderr));
}
