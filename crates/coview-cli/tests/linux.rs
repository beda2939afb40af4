//! What only Linux has: signals, address-space limits, /dev/shm, foreign memory.

#![cfg(target_os = "linux")]

mod common;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Held, command, gone, good, name, refused, run, text, until};

fn shm(name: &str) -> String {
    format!("/dev/shm/coview.{}.{name}", rustix::process::geteuid().as_raw())
}

/// It is removed, or there is somebody who will: who looks at an object, such as another test's `top`, holds it for that moment.
fn removed(name: &str) {
    until(&format!("{name} is removed"), || {
        let found = coview::inspect::find(name).unwrap();
        assert!(!found.as_ref().is_some_and(|entry| entry.stale), "nobody has removed {name}");
        found.is_none()
    });
    assert!(!Path::new(&shm(name)).exists());
}

fn signal(held: &Held, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(&held.child);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn ctrl_c_and_termination_leave_nothing() {
    for number in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        let ended = name("ended");
        let mut held = Held::create(&[&ended, "--size", "4096"]);
        assert!(Path::new(&shm(&ended)).exists());
        signal(&held, number);
        assert!(held.child.wait().unwrap().success());
        removed(&ended);
    }
}

#[test]
fn ctrl_c_ends_the_command_too() {
    let ended = name("command");
    // Its own process group, as a terminal makes one, so that the signal reaches both.
    let mut child = std::os::unix::process::CommandExt::process_group(
        command().args(["create", &ended, "--size", "4096", "--", "sh", "-c", "echo started; exec sleep 1000"]),
        0,
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut started = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut started).unwrap();
    rustix::process::kill_process_group(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    removed(&ended);
}

#[test]
fn the_killed_leave_a_stale_file_that_any_next_call_removes() {
    let killed = name("killed");
    let path = shm(&killed);
    Held::create(&[&killed, "--size", "1MiB"]).kill();
    gone(&killed);
    assert!(!Path::new(&path).exists(), "the call that found it dead removed it");
    Held::create(&[&killed, "--size", "1MiB"]).kill();
    // Another test's call may be quicker; then there is nothing to see.
    let named = || text(&good(&["gc", "--dry-run"])).contains(&killed);
    until("a dry run names it", || named() || !Path::new(&path).exists());
    good(&["gc"]);
    removed(&killed);
    let held = Held::create(&[&killed, "--size", "4096"]);
    assert_eq!(good(&["read", &killed]), vec![0; 4096], "a new object starts zeroed");
    held.kill();
}

#[test]
fn a_closed_pipe_is_no_error() {
    let long = name("long");
    let _held = Held::create(&[&long, "--size", "8MiB"]);
    let mut child = command().args(["read", &long]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut first).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// The issue's bar: 8 GiB in 256 MiB of address space and less than 64 MiB of memory.
#[test]
fn a_file_beyond_the_address_space_is_searched() {
    let output = Command::new("prlimit")
        .args(["--as=268435456", env!("CARGO_BIN_EXE_coview"), "demo", "bigfile", "--size", "8GiB"])
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    assert!(shown.contains("found a record at 5368763441 (5.0 GiB)"), "{shown}");
    assert!(shown.contains("peak memory was small"), "{shown}");
}

#[test]
fn too_large_for_the_address_space_is_told() {
    let output = Command::new("prlimit")
        .args([
            "--as=268435456",
            env!("CARGO_BIN_EXE_coview"),
            "create",
            &name("large"),
            "--size",
            "1GiB",
            "--for",
            "1ms",
        ])
        .output()
        .unwrap();
    // The object is made without being mapped, so this is possible …
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Needs root: a mount namespace with a container's 64 MiB /dev/shm.
#[test]
fn a_small_dev_shm_refuses_at_creation() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root for a mount namespace");
        return;
    }
    let script = r#"mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm && C="$1"
        "$C" create big --size 128MiB --for 1ms; echo "big $?"
        "$C" create small --size 48MiB -- "$C" create more --size 48MiB --for 1ms; echo "more $?"
        "$C" create again --size 60MiB --for 1ms; echo "again $?"
        "$C" doctor; ls /dev/shm | wc -l"#;
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_coview")]).output().unwrap();
    let (shown, told) = (text(&output.stdout), text(&output.stderr));
    assert!(shown.contains("big 1\n") && shown.contains("more 1\n") && shown.contains("again 0\n"), "{shown}\n{told}");
    assert!(told.contains("134217728 bytes were asked for, but /dev/shm has 67108864 bytes free"), "{told}");
    assert!(told.contains("coview gc") && told.contains("--shm-size"), "{told}");
    assert!(shown.contains("container's default"), "{shown}");
    assert!(shown.ends_with("\n0\n"), "{shown}");
}

#[test]
fn foreign_memory_opens_and_is_listed() {
    let posix = name("posix");
    let path = format!("/dev/shm/{posix}");
    std::fs::write(&path, b"made by shm_open").unwrap();
    let foreign = format!("posix:/{posix}");
    assert_eq!(good(&["read", &foreign]), b"made by shm_open");
    good(&["write", &foreign, "--offset", "8", "--text", "others"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"made by others\0n");
    assert!(text(&good(&["ls", "--all"])).contains(&foreign));
    assert!(!text(&good(&["ls"])).contains(&foreign));
    std::fs::remove_file(&path).unwrap();
    refused(&["read", &foreign], 3, &[&foreign]);

    let made = text(&Command::new("ipcmk").args(["-M", "4096"]).output().unwrap().stdout);
    let id = made.trim().rsplit(' ').next().unwrap().to_owned();
    let segment = format!("sysv:id={id}");
    good(&["write", &segment, "--text", "system five"]);
    assert_eq!(text(&good(&["read", &segment, "--as", "text"])), "system five\n");
    assert!(text(&good(&["ls", "--all"])).contains("sysv"));
    assert!(Command::new("ipcrm").args(["-m", &id]).status().unwrap().success());
    refused(&["read", &segment], 3, &[]);
}

/// Needs root: plays another user.
#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root to become another user");
        return;
    }
    use std::os::unix::process::CommandExt;
    let dir = tempfile::Builder::new().prefix("coview-other-").tempdir_in("/tmp").unwrap();
    std::os::unix::fs::chown(dir.path(), Some(12_345), Some(12_345)).unwrap();
    let program = dir.path().join("coview");
    // By another process: one that a test is just starting would have this one's writable descriptor, and no program with one can be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_coview")).arg(&program).status().unwrap().success());
    let other = |args: &[&str]| Command::new(&program).args(args).uid(12_345).gid(12_345).output().unwrap();
    let private = name("private");
    let _private = Held::create(&[&private, "--size", "4096"]);
    assert_eq!(other(&["read", &private]).status.code(), Some(3), "Local names are each user's own");
    let global = format!(r"Global\{}", name("global"));
    let held = Held::create(&[&global, "--size", "4096"]);
    let output = other(&["read", &global]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("belongs to root"), "{}", text(&output.stderr));
    held.kill();
    let global = format!(r"Global\{}", name("open"));
    let _held = Held::create(&[&global, "--size", "4096", "--share", "0644"]);
    assert_eq!(other(&["read", &global]).stdout, vec![0; 4096]);
    assert_eq!(other(&["write", &global, "--text", "x"]).status.code(), Some(5));
    assert_eq!(run(&["read", &global]).stdout, vec![0; 4096]);
}

#[test]
fn ctrl_c_leaves_a_channel_and_is_no_death() {
    use coview::{frames::Frames, inspect};
    let pics = name("ctrl-c");
    let _frames = Frames::<[u8]>::create(&pics).unwrap();
    let look = || inspect::channel(&pics).unwrap().unwrap();
    let ends = || (look().senders.len(), look().receivers.len());
    let attached = |args: &[&str], there: (usize, usize)| {
        let mut command = command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _input = child.stdin.take(); // stays open
        while ends() != there {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
        child.wait_with_output().unwrap()
    };
    for (args, there, code) in [
        (&["recv", &pics][..], (0, 1), 0),
        (&["recv", &pics, "-n", "3"], (0, 1), 130),
        (&["send", &pics, "--lines"], (1, 0), 130),
        (&["send", &pics, "--wait", "Cargo.toml"], (1, 0), 130),
    ] {
        let output = attached(args, there);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert_eq!((ends(), look().deaths), ((0, 0), (0, 0)), "{args:?}");
    }
}

/// On a real terminal, as `script` makes one: `q`, Ctrl-C and a signal all leave it as it was.
#[test]
fn top_and_watch_give_the_terminal_back() {
    let watched = name("watched");
    let held = Held::create(&[&watched, "--size", "4096"]);
    let program = env!("CARGO_BIN_EXE_coview");
    for (what, keys) in [("top", &b"nq"[..]), ("top", b"\x03"), ("top", b""), ("watch", b"jq"), ("watch", b"")] {
        let args = if what == "top" { what.to_owned() } else { format!("watch {watched}") };
        let command = format!("stty rows 30 cols 120; sh -c 'echo pid $$ .; exec {program} {args}'; echo code $?");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut shown = Vec::new();
        let mut out = child.stdout.take().unwrap();
        let mut piece = [0; 4096];
        // Keys only when the first screen is there.
        while !text(&shown).contains("watched") {
            let got = out.read(&mut piece).unwrap();
            assert!(got > 0, "{}", text(&shown));
            shown.extend_from_slice(&piece[..got]);
        }
        std::io::Write::write_all(&mut input, keys).unwrap();
        if keys.is_empty() {
            let shown = text(&shown);
            let pid = shown.split("pid ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        out.read_to_end(&mut shown).unwrap();
        child.wait().unwrap();
        let shown = text(&shown);
        let (entered, left) = (shown.rfind("\x1b[?1049h"), shown.rfind("\x1b[?1049l"));
        assert!(entered.is_some() && left > entered && shown.contains("code 0"), "{keys:?}: {shown}");
    }
    held.kill();
}
