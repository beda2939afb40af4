//! The bridge, end to end: real Windows programs under Wine, the program `coview`, and native readers, as an ordinary user.
//!
//! `just bridge` runs it; without COVIEW_TEST_WINE it is left out. One prefix serves all parts, since making one takes the longest.
#![cfg(target_os = "linux")]

#[path = "wine/place.rs"]
mod place;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coview::bridge::Prefix;
use coview::{Access, ErrorKind, Event, Mapping, View};
use place::{FOLDER, Place, Talk, again_as_user, furnish, processes, refused, until};

/// What the agent publishes: two versions, the number, its half, and 1024 bytes that are all its low byte.
const SIZE: u64 = 1040;
const HELPER: &str = "wine-helper";

type Part = (&'static str, fn(&Place));

const PARTS: &[Part] = &[
    ("windows first", windows_first),
    ("reader first, restarts", reader_first),
    ("kills", kills),
    ("native first", native_first),
    ("list", list),
    ("refusals", refusals),
    ("events and mutexes", events_and_mutexes),
    ("debug", debug),
    ("two prefixes", two_prefixes),
    ("from Rust, no copies", from_rust),
    ("ping-pong", ping_pong),
    ("ping-pong of events", ping_pong_of_events),
];

#[test]
fn under_wine() {
    if std::env::var_os("COVIEW_TEST_WINE").is_none() {
        println!("note: left out; `just bridge` runs it");
        return;
    }
    let (folder, _own) = match std::env::var_os(FOLDER) {
        Some(folder) => (PathBuf::from(folder), None),
        None => {
            let own = tempfile::tempdir().expect("a folder");
            furnish(own.path(), &helper());
            (own.path().to_owned(), Some(own))
        }
    };
    if again_as_user("under_wine", &folder) {
        return;
    }
    let begun = Instant::now();
    let place = Place::new(folder);
    println!("bridge: a prefix: {} ms", begun.elapsed().as_millis());
    let only = std::env::var("COVIEW_BRIDGE_PART").unwrap_or_default();
    for (name, part) in PARTS.iter().filter(|(name, _)| name.contains(&only)) {
        let begun = Instant::now();
        part(&place);
        println!("bridge: {name}: {} ms", begun.elapsed().as_millis());
        nothing_is_left();
    }
}

/// The Windows build: COVIEW_HELPER, or what `cargo xtask windows` leaves.
fn helper() -> PathBuf {
    let named = std::env::var_os("COVIEW_HELPER").map(PathBuf::from);
    named.unwrap_or_else(|| {
        let target =
            std::env::current_exe().expect("this runs").ancestors().nth(3).expect("a target folder").to_owned();
        target.join("windows/x86_64-win7-windows-gnu/debug/coview.exe")
    })
}

fn nothing_is_left() {
    let prefix = format!("coview.{}.", rustix::process::geteuid().as_raw());
    until("the end of all helpers", || processes(HELPER).is_empty());
    let left = || -> Vec<String> {
        let names = std::fs::read_dir("/dev/shm").expect("it is there").flatten();
        names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with(&prefix))
            .collect()
    };
    // Who was killed left something for the next call to sweep.
    coview::inspect::sweep(false).expect("it sweeps");
    until("an empty /dev/shm", || left().is_empty());
}

/// A snapshot of what the agent publishes: its number, or nothing if it was just being written.
fn tick(view: &View) -> Option<u32> {
    let number = |offset| view.load::<AtomicU32>(offset, Ordering::Acquire).expect("it is inside");
    let done = number(4);
    let mut bytes = vec![0; SIZE as usize];
    view.read(0, &mut bytes).expect("it is inside");
    if number(0) != done {
        return None;
    }
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
    assert_eq!(word(8), done, "the number is that of the versions");
    assert_eq!(f32::from_bits(word(12)), done as f32 / 2.0);
    assert!(bytes[16..].iter().all(|byte| *byte == done as u8), "all bytes are of one moment");
    Some(done)
}

/// Sees so many different moments.
fn follow(view: &View, moments: usize) {
    let mut seen = Vec::new();
    until("moments", || {
        seen.extend(tick(view).filter(|tick| *tick > 0 && seen.last() != Some(tick)));
        seen.len() >= moments
    });
    assert!(seen.is_sorted(), "{seen:?}");
}

fn publisher(place: &Place, name: &str) -> Talk {
    let mut agent = place.agent();
    assert_eq!(agent.ask(&format!("make {name} {SIZE}")), "made 0");
    assert_eq!(agent.ask("publish"), "publishing 1");
    agent
}

fn open(name: &str) -> View {
    Mapping::open(name, Access::Read).expect("it is there").view(Access::Read).expect("it maps")
}

fn absent(name: &str) -> bool {
    Mapping::open(name, Access::Read).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn windows_first(place: &Place) {
    let game = publisher(place, r"Local\tele");
    let mut bridge = place.bridge(&["attach", "tele"]);
    let view = open("tele");
    assert_eq!(view.len(), 4096, "whole pages, as in Windows");
    follow(&view, 5);
    // Nobody has asked to write.
    let error = Mapping::open("tele", Access::ReadWrite).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    let shown =
        place.good(&["read", "tele", "--layout", "struct { u32 begun, done, tick; float speed; }", "--as", "json"]);
    assert!(shown.contains("\"tick\""), "{shown}");
    let listed = place.good(&["ls", "--json"]);
    assert!(listed.contains(r#""Local\\tele""#) && listed.contains("/proc/"), "{listed}");
    place.refused(&["wine", "attach", "tele"], 4, &["tele"]);

    // For writing, under another name; the same pages.
    let writable = place.bridge(&["attach", r"Local\tele", "--as", "tele2", "--writable"]);
    let writer = Mapping::open("tele2", Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap();
    writer.write(2048, b"from outside").unwrap();
    let mut seen = [0; 12];
    view.read(2048, &mut seen).unwrap();
    assert_eq!(&seen, b"from outside");
    drop(writer);
    writable.interrupt();

    // The game ends: so does the bridge, and the name when the last reader lets go.
    game.kill();
    assert_eq!(bridge.end(), Some(0));
    assert!(!absent("tele"), "the view holds it");
    drop(view);
    assert!(absent("tele"));
}

fn reader_first(place: &Place) {
    let mut bridge = place.coview(&["wine", "attach", "tele", "--follow"]);
    bridge.stderr(Stdio::null());
    let mut bridge = Talk::start(bridge);
    for life in 0..3 {
        let game = publisher(place, r"Local\tele");
        assert!(bridge.line().starts_with("ready: "), "life {life}");
        let view = open("tele");
        follow(&view, 3);
        drop(view);
        // A reader that is restarted finds it again.
        follow(&open("tele"), 3);
        game.kill();
        until("the end of the name", || absent("tele"));
    }
    bridge.interrupt();
}

fn kills(place: &Place) {
    let game = publisher(place, "tele");
    // Of the bridge: the game and those who have the memory go on.
    let bridge = place.bridge(&["attach", "tele"]);
    let view = open("tele");
    bridge.kill();
    until("the helper's end", || processes(HELPER).is_empty());
    follow(&view, 3);
    follow(&open("tele"), 3); // led to it by who still has it
    drop(view);
    assert!(absent("tele"));
    // Of the helper: the bridge gets another.
    let mut bridge = place.bridge(&["attach", "tele"]);
    let view = open("tele");
    let helper = processes(HELPER);
    assert!(!helper.is_empty());
    for pid in &helper {
        let pid = rustix::process::Pid::from_raw(*pid as i32).expect("a process");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    until("another helper", || processes(HELPER).iter().any(|pid| !helper.contains(pid)));
    follow(&view, 3);
    assert!(bridge.child.try_wait().unwrap().is_none(), "it goes on");
    // Of the reader: nobody notices.
    let mut reader = place.coview(&["watch", "tele", "--interval", "5ms"]);
    let mut reader = reader.stdout(Stdio::null()).spawn().unwrap();
    reader.kill().unwrap();
    reader.wait().unwrap();
    // Of the game.
    drop(view);
    game.kill();
    assert_eq!(bridge.end(), Some(0));
}

fn native_first(place: &Place) {
    let mut bridge = place.bridge(&["export", "tele", "--size", "1040"]);
    let view = Mapping::open("tele", Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap();
    view.write(2048, &7_u32.to_le_bytes()).unwrap();
    let mut game = place.agent();
    assert_eq!(game.ask(&format!(r"make Local\tele {SIZE}")), "made 183", "it finds ours, and does not mind");
    assert_eq!(game.ask("peek x 2048"), "is 7");
    assert_eq!(game.ask("poke 2052 8"), "poked 8");
    let mut eight = [0; 4];
    view.read(2052, &mut eight).unwrap();
    assert_eq!(u32::from_le_bytes(eight), 8);
    assert_eq!(game.ask("publish"), "publishing 1");
    follow(&view, 3);
    // A program that opens, and one that wants more than there is.
    let mut other = place.agent();
    assert_eq!(other.ask("open tele"), "opened 0");
    assert_eq!(other.ask("peek x 2048"), "is 7");
    assert_eq!(other.ask("close"), "closed 0");
    assert_eq!(other.ask("make tele 4097"), "refused 5", "as in Windows: a view beyond the size");
    other.kill();
    // The game begins anew and finds the bytes as they were.
    game.kill();
    let mut game = place.agent();
    assert_eq!(game.ask(&format!("make tele {SIZE}")), "made 183");
    assert_eq!(game.ask("peek x 2048"), "is 7");
    // Of the helper: it says so, and what the game has stays its own.
    processes(HELPER).iter().filter_map(|pid| rustix::process::Pid::from_raw(*pid as i32)).for_each(|pid| {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    });
    assert_eq!(bridge.end(), Some(1));
    assert_eq!(game.ask("peek x 2052"), "is 8");
    drop(view);
    // Now it is too late.
    place.refused(&["wine", "export", "tele", "--size", "4KiB"], 4, &["183", "attach"]);
    game.kill();

    // Of the bridge itself: the same.
    let bridge = place.bridge(&["export", "tele", "--size", "4KiB", "--as", "here"]);
    let mut game = place.agent();
    assert_eq!(game.ask("make tele 64"), "made 183");
    bridge.kill();
    until("the helper's end", || processes(HELPER).is_empty());
    assert_eq!(game.ask("poke 0 5"), "poked 5");
    game.kill();
    let mut game = place.agent();
    assert_eq!(game.ask("make tele 64"), "made 0", "nothing of it is left");
    game.kill();
    // All sections of a preset.
    let mut bridge = place.bridge(&["export", "--preset", "assetto-corsa"]);
    assert!(bridge.line().contains("acpmf_") && bridge.line().contains("acpmf_"));
    let mut game = place.agent();
    assert_eq!(game.ask(r"make Local\acpmf_physics 2048"), "made 183");
    assert_eq!(game.ask("poke 0 77"), "poked 77");
    let shown = place.good(&["read", "acpmf_physics", "--layout", "presets:acpmf_physics"]);
    assert!(shown.contains("packetId") && shown.contains("= 77"), "{shown}");
    game.kill();
    bridge.interrupt();
}

fn list(place: &Place) {
    let mut agent = place.agent();
    for (line, answer) in [
        (r"make Local\a-section 5000", "made 0"),
        (r"event Global\an-event 1", "made 0"),
        ("set", "set 1"),
        ("mutex a-mutex", "made 0"),
        ("lock x 0", "waited 0"),
        ("semaphore a-semaphore 3", "made 0"),
    ] {
        assert_eq!(agent.ask(line), answer, "{line}");
    }
    let text = place.good(&["wine", "ls"]);
    let row = |name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
    };
    let pid = agent.child.id().to_string();
    let section = row(r"Local\a-section");
    assert!(section.contains("8.0 KiB") && section.contains(&pid), "{section} {pid}");
    assert!(row(r"Global\an-event").contains("set, manual reset") && row(r"Global\an-event").contains("agent.exe"));
    assert!(row(r"Local\a-mutex").contains("owned"), "{text}");
    assert!(row(r"Local\a-semaphore").contains("1 of 3 permits"), "{text}");
    // A Wine that ends at once is started again.
    std::fs::write(place.folder.join("once"), "[ -e tried ] && exec wine \"$@\"\n: >tried\nexit 1\n").unwrap();
    assert!(place.good(&["wine", "ls", "--wine", "sh once"]).contains("a-section"));
    assert!(place.folder.join("tried").exists());
    let by_pid = place.coview(&["wine", "ls", "--json", "--pid", &pid]).env_remove("WINEPREFIX").output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&by_pid.stdout).expect("it is JSON");
    let found =
        listed.as_array().unwrap().iter().find(|entry| entry["name"] == r"Local\a-section").expect("it is there");
    assert_eq!((&found["kind"], &found["size"]), (&"mapping".into(), &8192.into()));
    assert_eq!(found["holders"][0]["pid"].to_string(), pid);
    agent.kill();
}

fn refusals(place: &Place) {
    let mut agent = place.agent();
    assert_eq!(agent.ask("mutex a-mutex"), "made 0");
    assert_eq!(agent.ask("make a-section 64"), "made 0");
    place.refused(&["wine", "attach", "nobody-has-it"], 3, &["nobody-has-it", "no program in the prefix", "wine ls"]);
    place.refused(&["wine", "attach", "a-mutex"], 6, &["a-mutex", "a mutex"]);
    place.refused(&["wine", "lock", "a-section", "--", "true"], 6, &["a mapping"]);
    place.refused(&["wine", "attach", "a-section", "--size", "4097"], 1, &["too small", "4096", "4097"]);
    place.refused(&["wine", "attach", "posix:/x"], 1, &["posix:/x"]);
    place.refused(&["wine", "attach", r"no\such\place"], 2, &["namespace"]);
    place.refused(&["wine", "export", "unknown"], 2, &["--size"]);
    place.refused(&["wine", "ls", "--prefix", "/no/such/prefix"], 3, &["/no/such/prefix", "no Wine prefix"]);
    place.refused(&["wine", "ls", "--prefix", "/usr"], 5, &["/usr", "belong to root"]);
    place.refused(&["wine", "ls", "--helper", "/no/coview.exe"], 3, &["/no/coview.exe", "cargo xtask windows"]);
    place.refused(&["wine", "ls", "--pid", "1"], 5, &["another user"]);
    place.refused(&["wine", "ls", "--pid", "4194305"], 3, &["no process"]);
    refused_with(place.coview(&["wine", "ls"]), ("PATH", "/no"), 3, &["Wine is not installed"]);
    place.refused(&["wine", "ls", "--wine", "true"], 1, &["helper", "says nothing"]);
    let empty = place.folder.join("empty");
    std::fs::create_dir_all(empty.join("drive_c")).unwrap();
    let shown = empty.display().to_string();
    place.refused(&["wine", "ls", "--prefix", &shown], 3, &["nothing runs there"]);
    place.refused(&["read", "a", "--layout", "presets:nonsense"], 3, &["nonsense"]);
    std::fs::remove_dir_all(empty).unwrap();
    let small = place.bridge(&["export", "small", "--size", "64"]);
    place.refused(&["wine", "export", "other", "--as", "small", "--size", "4097"], 1, &["too small", "4097"]);
    small.interrupt();
    agent.kill();
}

fn refused_with(mut command: Command, (name, value): (&str, &str), code: i32, words: &[&str]) {
    command.env(name, value);
    refused(command, code, words);
}

fn events_and_mutexes(place: &Place) {
    // A manual-reset event, outwards.
    let mut agent = place.agent();
    assert_eq!(agent.ask("event data 1"), "made 0");
    let relay = place.bridge(&["relay", "data", "--to", "native"]);
    let near = Event::open("data").unwrap();
    assert!(!near.try_wait().unwrap());
    assert_eq!(agent.ask("set"), "set 1");
    near.wait_timeout(Duration::from_secs(30)).unwrap().then_some(()).expect("it is told");
    assert_eq!(agent.ask("reset"), "reset 1");
    until("the reset", || !near.try_wait().unwrap());
    drop(near);
    relay.interrupt();
    agent.kill();
    // An automatic one would be taken from others.
    let mut agent = place.agent();
    assert_eq!(agent.ask("event data 0"), "made 0");
    place.refused(&["wine", "relay", "data", "--to", "native"], 2, &["--take", "automatically"]);
    let relay = place.bridge(&["relay", "data", "--to", "native", "--take"]);
    let near = Event::open("data").unwrap();
    for _ in 0..3 {
        assert_eq!(agent.ask("set"), "set 1");
        assert!(near.wait_timeout(Duration::from_secs(30)).unwrap());
    }
    assert!(!near.try_wait().unwrap());
    drop(near);
    relay.interrupt();
    // Inwards.
    let relay = place.bridge(&["relay", "data", "--to", "windows"]);
    let near = Event::open("data").unwrap();
    for _ in 0..3 {
        near.set().unwrap();
        assert_eq!(agent.ask("wait x 30000"), "waited 0");
    }
    assert_eq!(agent.ask("wait x 0"), "waited 258");
    drop(near);
    relay.interrupt();
    // A mutex, for a command; and the death of its owner on either side.
    assert_eq!(agent.ask("mutex guard"), "made 0");
    assert_eq!(agent.ask("lock x 0"), "waited 0");
    place.refused(&["wine", "lock", "guard", "--timeout", "100ms", "--", "true"], 7, &["guard"]);
    assert_eq!(agent.ask("unlock"), "unlocked 1");
    let mut held = place.coview(&["wine", "lock", "guard", "--", "sh", "-c", "echo held; exec sleep 1000"]);
    held.stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut held, 0);
    let mut held = Talk::start(held);
    assert_eq!(held.line(), "held");
    assert_eq!(agent.ask("lock x 0"), "waited 258");
    let group = rustix::process::Pid::from_child(&held.child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    held.end();
    assert_eq!(agent.ask("lock x 30000"), "waited 128", "abandoned: the owner died with it");
    assert_eq!(agent.ask("unlock"), "unlocked 1");
    assert_eq!(place.good(&["wine", "lock", "guard", "--", "echo", "done"]), "done\n");
    assert_eq!(agent.ask("lock x 30000"), "waited 0", "it was given back");
    // Its owner there dies while a command here waits for it; somebody else there keeps it alive.
    let mut other = place.agent();
    assert_eq!(other.ask("mutex guard"), "made 183");
    let said = place.folder.join("said");
    let mut waiting = place.coview(&["wine", "lock", "guard", "--", "echo", "ours"]);
    waiting.stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = Talk::start(waiting);
    std::thread::sleep(Duration::from_millis(300)); // mostly it waits by then
    agent.kill();
    assert_eq!(waiting.line(), "ours");
    assert_eq!(waiting.end(), Some(0));
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains("died"), "{said:?}");
    other.kill();
}

fn debug(place: &Place) {
    let mut viewer = place.coview(&["wine", "debug", "--json", "-n", "4"]);
    viewer.stderr(Stdio::null());
    let mut viewer = Talk::start(viewer);
    let listed = || place.good(&["wine", "ls"]);
    until("the viewer", || listed().contains("DBWIN_DATA_READY"));
    let (mut one, mut two) = (place.agent(), place.agent());
    for text in ["hello from Windows", "second"] {
        assert_eq!(one.ask(&format!("debug {text}")), "said 0");
        let line: serde_json::Value = serde_json::from_str(&viewer.line()).expect("a line of JSON");
        assert_eq!(line["text"], text);
    }
    place.refused(&["wine", "debug"], 4, &["another debug viewer"]);
    assert_eq!((one.ask("debug a"), two.ask("debug b")), ("said 0".into(), "said 0".into()));
    let texts = [viewer.line(), viewer.line()].join(" ");
    assert!(texts.contains(r#""a""#) && texts.contains(r#""b""#), "{texts}");
    assert_eq!(viewer.end(), Some(0));
    assert_eq!(one.ask("debug nobody listens"), "said 0", "and nobody waits");
    one.kill();
    two.kill();
}

fn two_prefixes(place: &Place) {
    place.server("second", "-p120");
    let prefixes = ["prefix", "second"].map(|name| place.prefix(name).display().to_string());
    let link = ["link", "shared", "--prefix", &prefixes[0], "--prefix", &prefixes[1]];
    place.refused(&[&["wine"][..], &link].concat(), 3, &["either prefix", "shared"]);
    // A program has made it.
    let (mut game, mut tool) = (place.agent(), place.agent_in("second"));
    assert_eq!(game.ask("make shared 64"), "made 0");
    let mut bridge = place.bridge(&link);
    assert_eq!(tool.ask("make shared 64"), "made 183");
    assert_eq!((game.ask("poke 0 41"), tool.ask("peek x 0")), ("poked 41".into(), "is 41".into()));
    assert_eq!((tool.ask("poke 4 42"), game.ask("peek x 4")), ("poked 42".into(), "is 42".into()));
    game.kill();
    assert_eq!(bridge.end(), Some(0));
    tool.kill();
    // Before both.
    let bridge = place.bridge(&[&link[..], &["--size", "64"]].concat());
    let (mut game, mut tool) = (place.agent(), place.agent_in("second"));
    assert_eq!((game.ask("make shared 64"), tool.ask("open shared")), ("made 183".into(), "opened 0".into()));
    assert_eq!((game.ask("poke 0 43"), tool.ask("peek x 0")), ("poked 43".into(), "is 43".into()));
    game.kill();
    tool.kill();
    bridge.interrupt();
}

fn prefix(place: &Place) -> Prefix {
    Prefix::options().path(place.prefix("prefix")).helper(place.folder.join("coview.exe")).open().expect("it opens")
}

fn from_rust(place: &Place) {
    let game = publisher(place, "tele");
    let prefix = prefix(place);
    assert!(prefix.objects().unwrap().iter().any(|entry| entry.name == r"Local\tele"));
    assert_eq!(prefix.attach("nothing", Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
    let bridge = prefix.attach("tele", Access::Read).unwrap();
    assert!(bridge.is_there().unwrap());
    let view = bridge.mapping().view(Access::Read).unwrap();
    // No copies: not even a process that could make them is left. There are the game's pages, and this view of them.
    drop((bridge, prefix));
    assert_eq!(processes(HELPER), [0; 0]);
    let (first, second) = (calls(), calls());
    let begun = std::iter::repeat_with(|| tick(&view)).flatten().next().expect("it goes on");
    // Only looks: a tick takes 16 ms.
    while tick(&view).is_none_or(|now| now < begun + 10) {
        std::hint::spin_loop();
    }
    assert_eq!(calls() - second, second - first, "no byte of it went through a system call");
    drop(view);
    game.kill();
}

/// How often this thread has read or written by a system call. To ask takes some.
fn calls() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/io").expect("it is there");
    let lines = text.lines().filter_map(|line| line.strip_prefix("sysc"));
    lines.filter_map(|line| line.split_once(' ')?.1.parse::<u64>().ok()).sum()
}

fn rounds() -> u32 {
    std::env::var("COVIEW_BRIDGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100)
}

/// How long it takes until a program in the prefix has been told by an event, and its answer by another is here.
fn ping_pong_of_events(place: &Place) {
    let rounds = rounds().min(10_000);
    let mut agent = place.agent();
    assert_eq!(agent.ask("event ask 0"), "made 0");
    let prefix = prefix(place);
    let (ask, answer) = (prefix.event("ask").unwrap(), prefix.open_or_create_event("answer", false).unwrap());
    assert!(answer.is_new() && !ask.is_new());
    assert_eq!(agent.ask(&format!("echo answer {rounds}")), "echoing 1");
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        ask.set().unwrap();
        answer.wait().unwrap();
        times.push(begun.elapsed());
    }
    assert!(!answer.try_wait().unwrap(), "one answer each");
    times.sort();
    let at = |part: usize| times[times.len() * part / 100].as_micros();
    println!("bar bridge_event_round_trip {} \u{b5}s (p90 {}, {rounds} rounds)", at(50), at(90));
    agent.kill();
}

/// How long a word takes there and back, through the bridge and between native processes.
fn ping_pong(place: &Place) {
    let rounds = rounds();
    let mut game = place.agent();
    assert_eq!(game.ask("make ball 256"), "made 0");
    let bridge = prefix(place).attach("ball", Access::ReadWrite).unwrap();
    let native = Mapping::create("ball-here", 4096).unwrap();
    let mut ratios = Vec::new();
    for _ in 0..5 {
        assert_eq!(game.ask(&format!("pong x {rounds}")), format!("ponging {rounds}"));
        let bridged = ping(bridge.mapping(), rounds);
        let mut peer = Command::new(place.folder.join("peer"));
        let file = format!("/dev/shm/coview.{}.ball-here", rustix::process::geteuid().as_raw());
        let mut peer = peer.args([file, rounds.to_string()]).spawn().unwrap();
        let direct = ping(&native, rounds);
        assert!(peer.wait().unwrap().success());
        ratios.push((bridged.as_nanos() as f64 / direct.as_nanos() as f64, bridged, direct));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, bridged, direct) = ratios[2];
    let each = |time: Duration| time.as_nanos() / u128::from(rounds);
    println!(
        "bar bridge_ping_pong {ratio:.2} (bridged {} ns, native {} ns, {rounds} rounds)",
        each(bridged),
        each(direct)
    );
    drop(bridge);
    game.kill();
}

/// Plays as many rounds as the peer; the first, for which the peer may still be on its way, does not count.
fn ping(mapping: &Mapping, rounds: u32) -> Duration {
    let view = mapping.view(Access::ReadWrite).unwrap();
    let (ask, answer) = (view.atomic::<AtomicU32>(0).unwrap(), view.atomic::<AtomicU32>(128).unwrap());
    answer.store(0, Ordering::Relaxed);
    let mut begun = Instant::now();
    for round in 1..=rounds {
        ask.store(round, Ordering::Release); // pairs with the peer's load of it
        // Acquire: pairs with the peer's store.
        while answer.load(Ordering::Acquire) != round {
            std::hint::spin_loop();
        }
        if round == 1 {
            begun = Instant::now();
        }
    }
    ask.store(0, Ordering::Relaxed);
    begun.elapsed()
}
