//! Every command as its users call it, between real processes; each refusal with its exit code and its words.

mod common;

use std::fs;

use common::{Held, gone, good, name, refused, run, run_with_input, text};

/// Bytes that look like nothing: a linear congruential generator.
fn picture(len: usize) -> Vec<u8> {
    let mut state = 12_345u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn a_file_passes_by_name_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo.jpg");
    let bytes = picture(300_001);
    fs::write(&path, &bytes).unwrap();
    let pic = name("pic");
    let held = Held::create(&[&pic, "--from", path.to_str().unwrap()]);
    assert!(held.ready.contains("300001 bytes"), "{}", held.ready);
    assert!(good(&["read", &pic]) == bytes, "the bytes differ");
    assert!(good(&["read", &format!(r"Local\{pic}"), "--offset", "7", "--len", "1000"]) == bytes[7..1007]);
    held.kill();
    gone(&pic);
    refused(&["read", &pic], 3, &[&pic, "no live object"]);
}

#[test]
fn standard_input_becomes_an_object() {
    let piped = name("piped");
    let mut child = common::command()
        .args(["create", &piped, "--from", "-", "--", env!("CARGO_BIN_EXE_coview"), "read", &piped])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"from a pipe").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"from a pipe"[..]));
    gone(&piped);
}

#[test]
fn text_is_written_and_read() {
    let memory = name("memory");
    let _held = Held::create(&[&memory, "--size", "2KiB"]);
    good(&["write", &memory, "--text", "This is a share memory"]);
    assert_eq!(text(&good(&["read", &memory, "--as", "text"])), "This is a share memory\n");
    assert!(run_with_input(&["write", &memory, "--offset", "5", "-"], b"IS").status.success());
    assert_eq!(text(&good(&["read", &memory, "--as", "text"])), "This IS a share memory\n");
    let json: serde_json::Value = serde_json::from_slice(&good(&["read", &memory, "--as", "json"])).unwrap();
    assert_eq!((json["text"].as_str(), json["size"].as_u64()), (Some("This IS a share memory"), Some(4096)));
    let hex = text(&good(&["read", &memory, "--as", "hex", "--len", "16"]));
    assert!(hex.starts_with("00000000  54 68 69 73 20 49 53 20"), "{hex}");
    let whole = good(&["read", &memory]);
    assert_eq!((whole.len(), &whole[..5]), (4096, &b"This "[..]));
}

#[test]
fn a_layout_gives_the_bytes_names() {
    let student = name("student");
    let _held = Held::create(
        &[&student, "--from", "-", "--size", "24"].map(|a| if a == "-" { file_with_student() } else { a }),
    );
    let layout = "struct student { int32_t id; char name[20]; }";
    let shown = text(&good(&["read", &student, "--layout", layout]));
    assert!(shown.contains("99041232") && shown.contains("SecBug"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_slice(&good(&["read", &student, "--layout", layout, "--as", "json"])).unwrap();
    assert_eq!((json["id"].as_i64(), json["name"].as_str()), (Some(99_041_232), Some("SecBug")));
    refused(&["read", &student, "--layout", "struct { i64 a[1000]; }"], 1, &["8000 bytes", "4096", "another layout"]);
    refused(&["read", &student, "--layout", "struct { potato x; }"], 2, &["layout", "potato"]);
}

/// A file with the seed's record; it lives as long as the test program.
fn file_with_student() -> &'static str {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &99_041_232_i32.to_le_bytes()).unwrap();
    std::io::Write::write_all(&mut file, b"SecBug\0").unwrap();
    let path = file.into_temp_path();
    let text = path.to_str().unwrap().to_owned().leak();
    std::mem::forget(path);
    text
}

#[test]
fn a_file_backs_a_mapping_and_keeps_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("SharedMemory.bin");
    let shared = name("shared");
    let held = Held::create(&[&shared, "--file", path.to_str().unwrap(), "--size", "10000"]);
    assert!(held.ready.contains("10000 bytes"), "{}", held.ready);
    good(&["write", &shared, "--offset", "9990", "--text", "the end!!"]);
    held.kill();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[9990..]), (10_000, &b"the end!!\0"[..]));
    gone(&shared);
    let _held = Held::create(&[&shared, "--file", path.to_str().unwrap(), "--protect", "ro"]);
    assert_eq!(good(&["read", &shared, "--offset", "9990"]), b"the end!!\0");
    if !under_wine() {
        // Wine lets a read-only mapping be written (semantics of Windows: refused).
        refused(&["write", &shared, "--text", "x"], 5, &["read-only"]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn under_wine() -> bool {
    cfg!(windows) && std::env::var_os("WINEPREFIX").is_some()
}

#[test]
fn ls_and_info_show_the_object_and_its_holder() {
    let seen = name("seen");
    let held = Held::create(&[&seen, "--size", "64KiB"]);
    let full = format!(r"Local\{seen}");
    assert!(text(&good(&["ls"])).contains(&full));
    let all: serde_json::Value = serde_json::from_slice(&good(&["ls", "--json"])).unwrap();
    let entry = all.as_array().unwrap().iter().find(|e| e["name"] == full.as_str()).expect("ls shows it");
    assert_eq!(
        (entry["kind"].as_str(), entry["size"].as_u64(), entry["stale"].as_bool()),
        (Some("mapping"), Some(65_536), Some(false))
    );
    let info: serde_json::Value = serde_json::from_slice(&good(&["info", &seen, "--json"])).unwrap();
    assert_eq!(info["name"], full.as_str());
    if !cfg!(windows) {
        assert_eq!(info["protection"], "rw");
        // Another test's look at it may hold it just now, too.
        let holders = info["holders"].as_array().unwrap();
        let holder = holders.iter().find(|holder| holder["pid"] == held.child.id()).expect("it is listed");
        assert_eq!(holder["program"], "coview");
    }
    assert!(text(&good(&["info", &seen])).contains("64.0 KiB"));
    held.kill();
    good(&["gc"]);
    gone(&seen);
    refused(&["info", &seen], 3, &["no object has the name"]);
}

#[test]
fn every_refusal_has_its_code_and_says_what_to_do() {
    let held_name = name("held");
    let _held = Held::create(&[&held_name, "--size", "4096"]);
    let absent = name("absent");
    let (held, absent) = (held_name.as_str(), absent.as_str());
    refused(&["read", absent], 3, &[absent, "coview ls"]);
    refused(&["write", absent, "--text", "x"], 3, &[absent]);
    refused(&["create", held, "--size", "1"], 4, &[held, "already"]);
    for bad in [r"foo\x", r"local\x", r"\x", "Local", r"Global\", ""] {
        refused(&["create", bad, "--size", "1"], 2, &["cannot use the name"]);
    }
    refused(&["create", &"x".repeat(260), "--size", "1"], 2, &["260", "259"]);
    refused(&["create", absent, "--size", "0"], 2, &["size 0"]);
    refused(&["create", absent, "--size", "8EB"], 2, &["no unit"]);
    refused(&["create", absent], 2, &["--size"]);
    refused(&["create", absent, "--size", "64TiB"], 1, &["70368744177664 bytes were asked for"]);
    refused(&["create", absent, "--size", "4096", "--share", "0755"], 2, &["read and write bits"]);
    refused(&["create", absent, "--from", "no such file"], 1, &["no such file"]);
    refused(&["read", held, "--offset", "5000"], 1, &["5000", "4096"]);
    refused(&["read", held, "--len", "4097"], 1, &["4097", "4096"]);
    refused(&["write", held, "--offset", "4095", "--text", "x"], 1, &["nothing was written"]);
    refused(&["write", "posix:", "--text", "x"], 2, &["posix:/name"]);
    refused(&["read", "sysv:0"], 2, &["ipcs -m"]);
    refused(&["create", "posix:/x", "--size", "1"], 1, &["foreign memory can only be opened"]);
    assert_eq!(good(&["read", held]), vec![0; 4096], "no refusal wrote anything");
}

#[test]
fn nothing_that_failed_is_left_behind() {
    let absent = name("failed");
    run(&["create", &absent, "--from", "no such file"]);
    run(&["create", &absent, "--size", "64TiB"]);
    run(&["create", &absent, "--size", "4096", "--", "no such program"]);
    gone(&absent);
}

#[test]
fn a_vanished_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gone.bin");
    let vanished = name("vanished");
    let held = Held::create(&[&vanished, "--file", path.to_str().unwrap(), "--size", "20000"]);
    if cfg!(windows) {
        return; // Windows does not let a mapped file be shortened or removed
    }
    fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    refused(&["read", &vanished], 1, &["100 bytes left", "truncated"]);
    drop(held);
    gone(&vanished);
    let held = Held::create(&[&vanished, "--file", path.to_str().unwrap(), "--size", "20000"]);
    // While a holder lives the file is found even without its path.
    fs::rename(&path, dir.path().join("moved.bin")).unwrap();
    assert_eq!(good(&["read", &vanished]).len(), 20_000);
    drop(held);
}

#[test]
fn a_command_runs_with_the_object_and_gives_its_code() {
    let inside = name("inside");
    let program = env!("CARGO_BIN_EXE_coview");
    let output = run(&["create", &inside, "--size", "4096", "--", program, "info", &inside]);
    assert!(output.status.success() && text(&output.stdout).contains(&inside));
    gone(&inside);
    let code = run(&["create", &inside, "--size", "4096", "--", program, "read", "no such object"]).status.code();
    assert_eq!(code, Some(3));
    gone(&inside);
}

#[test]
fn the_time_ends_it() {
    let brief = name("brief");
    let output = run(&["create", &brief, "--size", "4096", "--for", "10ms"]);
    assert!(output.status.success());
    gone(&brief);
}

#[test]
fn help_man_and_completions_come_from_the_definition() {
    let help = text(&good(&["--help"]));
    assert!(help.contains("Exit codes:") && help.contains("create") && !help.contains("part"));
    for command in ["create", "write", "read", "ls", "info", "gc", "doctor", "demo"] {
        let help = text(&good(&[command, "--help"]));
        assert!(help.contains("Example"), "{command}: {help}");
    }
    assert!(text(&good(&["man"])).contains(".TH"));
    assert!(text(&good(&["completions", "bash"])).contains("complete"));
    let dir = tempfile::tempdir().unwrap();
    good(&["man", dir.path().to_str().unwrap()]);
    assert!(dir.path().join("coview-create.1").exists());
    refused(&["frobnicate"], 2, &["frobnicate"]);
}

#[test]
fn gc_and_doctor_speak_json() {
    let gc: serde_json::Value = serde_json::from_slice(&good(&["gc", "--dry-run", "--json"])).unwrap();
    assert_eq!(gc["dry_run"], true);
    let doctor = run(&["doctor", "--json"]);
    let checks: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(!checks.is_empty());
    let bad = checks.iter().any(|check| check["verdict"] == "bad");
    assert_eq!(doctor.status.code(), Some(i32::from(bad)));
}

#[test]
fn a_lock_lets_one_command_run_at_a_time() {
    let (lock, done) = (name("lock"), name("done"));
    let program = env!("CARGO_BIN_EXE_coview");
    // The command waits for an event; that the event is there says that the command has the lock.
    let mut holder = common::command().args(["lock", &lock, "--", program, "event", &done, "wait"]).spawn().unwrap();
    while run(&["info", &done]).status.code() == Some(3) {
        std::thread::yield_now();
    }
    refused(&["lock", &lock, "--timeout", "50ms", "--", program, "ls"], 7, &["within 50ms", "coview info"]);
    let info: serde_json::Value = serde_json::from_slice(&good(&["info", &lock, "--json"])).unwrap();
    assert_eq!((info["kind"].as_str(), info["state"]["held"].as_bool()), (Some("mutex"), Some(true)));
    if !cfg!(windows) {
        // Wine does not tell who it is.
        assert_eq!(info["state"]["owner"]["pid"].as_u64(), Some(u64::from(holder.id())));
    }
    let info: serde_json::Value = serde_json::from_slice(&good(&["info", &done, "--json"])).unwrap();
    assert_eq!((info["state"]["count"].as_u64(), info["state"]["manual"].as_bool()), (Some(0), Some(false)));
    refused(&["create", &lock, "--size", "1"], 6, &["a mutex", "another name"]);
    good(&["event", &done, "set"]);
    assert!(holder.wait().unwrap().success());
    good(&["lock", &lock, "--timeout", "10s", "--", program, "gc", "--dry-run"]);
    assert_eq!(run(&["lock", &lock, "--", program, "read", "no such object"]).status.code(), Some(3));
    refused(&["lock", &lock, "--", "no such program"], 1, &["no such program"]);
    refused(&["lock", &lock], 2, &["COMMAND"]);
}

#[test]
fn an_event_lets_a_script_wait() {
    let event = name("event");
    refused(&["event", &event, "set"], 3, &[&event]);
    refused(&["event", &event, "wait", "--timeout", "20ms"], 7, &["within 20ms"]);
    // Another one, which no look at the first can keep.
    let event = name("event");
    let mut waiter = common::command().args(["event", &event, "wait", "--timeout", "1min"]).spawn().unwrap();
    while run(&["event", &event, "set"]).status.code() == Some(3) {
        std::thread::yield_now();
    }
    assert!(waiter.wait().unwrap().success());
}

#[test]
fn a_semaphore_limits_how_many_run() {
    let (permits, memory) = (name("permits"), name("permitted"));
    let program = env!("CARGO_BIN_EXE_coview");
    // A permit is held inside a permit: with two there is room for both, and for no third.
    let third = ["semaphore", &permits, "--count", "2", "--timeout", "20ms", "--", program, "ls"];
    let second = [&["semaphore", &permits, "--count", "2", "--", program][..], &third[..]].concat();
    let first = [&["semaphore", &permits, "--count", "2", "--", program][..], &second[..]].concat();
    assert_eq!(run(&first).status.code(), Some(7), "a third permit of two");
    assert!(run(&second).status.success());
    refused(&["semaphore", &permits, "--count", "0", "--", program, "ls"], 2, &["0"]);
    let _mapping = Held::create(&[&memory, "--size", "1"]);
    refused(&["semaphore", &memory, "--count", "1", "--", program, "ls"], 6, &["a mapping"]);
}
