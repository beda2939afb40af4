//! `coview send` and `coview recv` between real processes: to the byte, over deaths, with back-pressure and with every refusal.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, command, gone, good, name, refused, run, text};
use coview::Mutex;
use coview::frames::FramesOptions;
use coview::inspect::{self, Channel};
use serde_json::Value;

fn start(args: &[&str]) -> Child {
    let mut command = command();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its end, with all that it says.
fn end(child: Child) -> (Option<i32>, Vec<u8>, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), stdout, text(&stderr))
}

/// Waits until the channel is as it should be.
fn until(name: &str, is: impl Fn(&Channel) -> bool) -> Channel {
    let begun = Instant::now();
    loop {
        let last = inspect::channel(name);
        match last {
            Ok(Some(channel)) if is(&channel) => return channel,
            _ => assert!(begun.elapsed() < PATIENCE, "{name}: {last:?}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn subscribed(name: &str) {
    until(name, |channel| !channel.receivers.is_empty());
}

/// Files of so many bytes that look like nothing.
fn files(dir: &tempfile::TempDir, lens: &[usize]) -> Vec<String> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let file = |(index, len): (usize, &usize)| {
        let path = dir.path().join(format!("file-{index}"));
        fs::write(&path, (0..*len).map(|_| byte()).collect::<Vec<u8>>()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    lens.iter().enumerate().map(file).collect()
}

fn checksum(path: impl Into<PathBuf>) -> (usize, u32) {
    let bytes = fs::read(path.into()).unwrap();
    (bytes.len(), crc32fast::hash(&bytes))
}

#[test]
fn files_pass_to_the_byte_whoever_comes_first() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = files(&dir, &[3 << 20, 0, 100, 70_001]);
    let (pics, out) = (name("pics"), to.path().join("new"));
    let recv = start(&["recv", &pics, "-n", "4", "-o", out.to_str().unwrap()]);
    subscribed(&pics);
    let args: Vec<&str> = ["send", &pics].into_iter().chain(files.iter().map(String::as_str)).collect();
    assert!(text(&good(&args)).starts_with("sent 4 frames, 3.1 MiB, to 1 subscriber of "));
    assert_eq!(end(recv), (Some(0), Vec::new(), String::new()));
    for (file, number) in files.iter().zip(1..) {
        assert_eq!(checksum(out.join(format!("{number:06}.bin"))), checksum(file), "frame {number}");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 4, "nothing but the frames");
    gone(&pics);

    // The sender first: it waits, and knows how large its files are.
    let large = name("large");
    let path = dir.path().join("large");
    fs::write(&path, vec![7; 5 << 20]).unwrap();
    let send = start(&["send", &large, "--wait", path.to_str().unwrap()]);
    until(&large, |channel| channel.senders.len() == 1);
    assert!(good(&["recv", &large, "-n", "1"]) == vec![7; 5 << 20]);
    assert_eq!(end(send).0, Some(0));
}

#[test]
fn standard_input_is_one_frame_or_a_frame_for_each_line() {
    let piped = name("piped");
    let recv = start(&["recv", &piped, "-n", "1"]);
    subscribed(&piped);
    let mut send = start(&["send", &piped]);
    send.stdin.take().unwrap().write_all(b"one\ntwo\0three").unwrap();
    assert_eq!(end(send).0, Some(0));
    assert_eq!(end(recv).1, b"one\ntwo\0three");

    let log = name("log");
    let recv = start(&["recv", &log, "--lines", "--end"]);
    let mut send = start(&["send", &log, "--lines", "--wait"]);
    send.stdin.take().unwrap().write_all(b"one\n\nthree\nno end").unwrap();
    let (code, said, _) = end(send);
    assert_eq!((code, text(&said)), (Some(0), format!("sent 4 frames, 14 B, to 1 subscriber of {log}\n")));
    assert_eq!(end(recv), (Some(0), b"one\n\nthree\nno end\n".to_vec(), String::new()));
}

#[test]
fn json_tells_of_each_frame() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = files(&dir, &[1000, 2000]);
    let told = name("told");
    let out = to.path().to_str().unwrap();
    let recv = start(&["recv", &told, "--json", "-n", "3", "-o", out]);
    subscribed(&told);
    let sender = start(&["send", &told, "--lines"]); // stays, and sends nothing yet
    until(&told, |channel| channel.senders.len() == 1);
    good(&["send", &told, &files[0], &files[1]]);
    let pid = sender.id();
    let mut sender = sender;
    sender.stdin.as_mut().unwrap().write_all(b"last\n").unwrap();
    let (code, said, _) = end(recv);
    let lines: Vec<Value> = text(&said).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), 3), "{lines:?}");
    for (line, (sequence, size)) in lines.iter().zip([(1, 1000), (2, 2000), (3, 4)]) {
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["sequence", "size", "lost", "senders", "file"]);
        assert_eq!(
            (line["sequence"].as_u64(), line["size"].as_u64(), line["lost"].as_u64()),
            (Some(sequence), Some(size), Some(0))
        );
        assert_eq!(fs::read(line["file"].as_str().unwrap()).unwrap().len() as u64, size);
        assert!(line["senders"].as_array().unwrap().iter().any(|sender| *sender == pid), "{line}");
    }
    drop(sender.stdin.take());
    assert_eq!(end(sender).0, Some(0));
}

#[test]
fn a_slow_receiver_loses_only_what_it_may() {
    let pics = name("slow");
    let frames = FramesOptions::new().slot(1 << 20).budget(4 << 20).create::<[u8]>(&pics).unwrap();
    let publisher = frames.publisher().unwrap();
    // Nobody reads its output, so it stands still with the first frame in its hands.
    let mut recv = start(&["recv", &pics, "--policy", "drop-oldest", "--end"]);
    subscribed(&pics);
    let mut sent = 0u8;
    while until(&pics, |_| true).receivers[0].lag < 20 {
        sent += 1;
        publisher
            .loan(1 << 20)
            .map(|mut loan| {
                loan.fill(sent);
                loan.publish().unwrap();
            })
            .unwrap();
    }
    drop(publisher);
    let mut bytes = Vec::new();
    recv.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    let (code, _, said) = end(recv);
    let got: Vec<u8> = bytes.chunks(1 << 20).map(|frame| frame[0]).collect();
    assert!(bytes.chunks(1 << 20).all(|frame| frame.len() == 1 << 20 && frame.iter().all(|byte| *byte == frame[0])));
    assert_eq!((code, got.last()), (Some(0), Some(&sent)), "{said}");
    assert!(got.is_sorted() && got.len() < usize::from(sent), "{got:?} of {sent}");
    assert!(said.contains("frames were lost before frame"), "{said}");
}

#[test]
fn a_killed_receiver_stops_no_sender() {
    let (dir, pics) = (tempfile::tempdir().unwrap(), name("killed"));
    let files = files(&dir, &[60_000; 20]);
    // Nobody reads its output: soon the channel is full.
    let mut recv = start(&["recv", &pics, "--slot-size", "64KiB", "--memory", "256KiB"]);
    subscribed(&pics);
    let args: Vec<&str> = ["send", &pics].into_iter().chain(files.iter().map(String::as_str)).collect();
    let send = start(&args);
    until(&pics, |channel| channel.used == channel.capacity && channel.receivers.iter().any(|one| one.lag > 1));
    recv.kill().unwrap();
    recv.wait().unwrap();
    let (code, said, _) = end(send);
    assert_eq!((code, text(&said)), (Some(0), format!("sent 20 frames, 1.1 MiB, to 0 subscribers of {pics}\n")));
}

#[test]
fn a_killed_sender_is_told_and_what_it_sent_is_received() {
    let log = name("log");
    let recv = start(&["recv", &log, "--lines", "--end"]);
    subscribed(&log);
    let mut send = start(&["send", &log, "--lines"]);
    send.stdin.as_mut().unwrap().write_all(b"one\ntwo\n").unwrap();
    until(&log, |channel| channel.newest == Some(2));
    send.kill().unwrap();
    send.wait().unwrap();
    let (code, bytes, said) = end(recv);
    assert_eq!((code, text(&bytes).as_str()), (Some(1), "one\ntwo\n"), "{said}");
    assert!(said.contains(&format!("a sender of {log} died")), "{said}");

    // Without --end another one may come.
    gone(&log);
    let recv = start(&["recv", &log, "--lines", "-n", "2"]);
    subscribed(&log);
    let mut send = start(&["send", &log, "--lines"]);
    send.stdin.as_mut().unwrap().write_all(b"three\n").unwrap();
    until(&log, |channel| channel.newest == Some(1));
    send.kill().unwrap();
    send.wait().unwrap();
    until(&log, |channel| channel.deaths.0 == 1);
    let mut send = start(&["send", &log, "--lines"]);
    send.stdin.take().unwrap().write_all(b"four\n").unwrap();
    assert_eq!(end(send).0, Some(0));
    let (code, bytes, said) = end(recv);
    assert_eq!((code, text(&bytes).as_str()), (Some(0), "three\nfour\n"), "{said}");
    assert!(said.contains("warning: a sender"), "{said}");
}

#[test]
fn no_file_is_written_over() {
    let (dir, pics) = (tempfile::tempdir().unwrap(), name("over"));
    let path = dir.path().join("000001.bin");
    fs::write(&path, "mine").unwrap();
    let recv = start(&["recv", &pics, "-o", dir.path().to_str().unwrap()]);
    subscribed(&pics);
    assert!(run(&["send", &pics, path.to_str().unwrap()]).status.success());
    let (code, _, said) = end(recv);
    assert!(code == Some(4) && said.contains("is there already"), "{code:?} {said}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half written stays");
}

#[test]
fn every_refusal_has_its_code_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(&dir, &[5000, 10]);
    let (mutex, absent) = (name("mutex"), name("absent"));
    let _held = Mutex::create(&mutex).unwrap();
    refused(&["send", &mutex, &files[0]], 6, &[&mutex]);
    refused(&["recv", &mutex], 6, &[&mutex]);
    let region = name("region");
    let _region = coview::Region::create(&region, &1u64).unwrap();
    refused(&["send", &region, &files[0]], 6, &[&region, "a region", "a channel of frames"]);
    refused(&["recv", &region], 6, &[&region]);

    refused(&["recv", &absent, "--timeout", "10ms"], 7, &[&absent, "no frame came"]);
    refused(&["send", &absent, "--wait", "--timeout", "10ms", &files[0]], 7, &["nobody subscribed", &absent]);
    refused(&["send", &absent, "no such file"], 1, &["no such file"]);
    refused(&["send", &absent, dir.path().to_str().unwrap()], 1, &["is a folder"]);
    refused(&["send", &absent, "-", "-"], 2, &["once"]);
    refused(&["send", &absent, "--lines", &files[0]], 2, &["--lines"]);
    refused(&["send", r"local\x", &files[0]], 2, &["cannot use the name"]);
    refused(&["recv", &absent, "-o", "-", "--json"], 2, &["--json"]);
    refused(&["recv", &absent, "-o", &files[0]], 1, &["cannot make the folder"]);
    refused(&["send", &absent, "--slot-size", "4KiB", &files[0]], 1, &["5000 bytes", "4096", "--slot-size 5000"]);
    refused(&["send", &absent, "--slot-size", "64TiB", &files[0]], 2, &["less than 1 TiB"]);

    let small = name("small");
    let frames = FramesOptions::new().slot(4096).budget(4 * 4096).create::<[u8]>(&small).unwrap();
    let subscriber = frames.subscriber(coview::frames::Policy::EveryFrame).unwrap();
    refused(&["send", &small, &files[1], &files[0]], 1, &["5000 bytes", "end all", "--slot-size 5000"]);
    assert!(subscriber.try_receive().unwrap().is_none(), "all fit, or none is sent");
    // It takes nothing, and wants everything.
    let many = ["send", &small, "--timeout", "50ms"].into_iter().chain([files[1].as_str(); 300]).collect::<Vec<_>>();
    refused(&many, 7, &["a subscriber that is to get every frame", "256 frames had been sent"]);
}
