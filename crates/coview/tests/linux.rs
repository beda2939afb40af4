//! Lifetime as only Linux has it (fork, exec), what may stand in the way of a name, and what `inspect` sees.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use common::agent::{Agent, refused};
use common::linux::{exit_now, fork, path_of, plant, plant_held};
use common::place::Place;
use common::{Child, hear, say};
use coview::inspect::{self, Kind, Origin};
use coview::{Access, ErrorKind, Mapping, MappingOptions, Protection};

#[test]
fn child() {
    common::child(&[("forker", forker), ("execer", execer)]);
}

/// Makes an object and forks. The parent or the child then does what it is told to; the other one holds on.
fn forker(args: &[String]) {
    let [what, name] = args else { panic!("two arguments") };
    let mapping = Mapping::create(name, 8192).expect("the name is free");
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    view.write(0, b"before the fork").expect("it can be written");
    let is_child = fork();
    match (&**what, is_child) {
        ("parent ends", false) => exit_now(),
        ("parent drops", false) => drop((mapping, view)),
        ("child drops", true) => {
            drop((mapping, view));
            say("dropped");
            exit_now();
        }
        ("child keeps a view", false) => exit_now(),
        ("child keeps a view", true) => {
            drop(mapping);
            say("holds");
            hear();
            exit_now();
        }
        (_, true) => {
            say("holds");
            hear();
            let mut text = [0; 15];
            view.read(0, &mut text).expect("it can be read");
            say(&String::from_utf8_lossy(&text));
            exit_now();
        }
        (_, false) => {
            say("holds");
            hear();
        }
    }
}

/// Waits for the end of a holder that is not this process's child: of what it has open the pipe to us need not be closed last.
fn goes(name: &str) {
    let mut guest = Agent::start();
    common::until("its holder has ended", || match guest.open(name, Access::Read) {
        Ok(_) => {
            guest.close();
            false
        }
        gone => !refused(gone, ErrorKind::NotFound).is_empty(),
    });
}

#[test]
fn a_fork_child_is_a_holder() {
    let here = Place::new("fork");
    for what in ["parent ends", "parent drops"] {
        let name = here.name(what);
        let mut forker = Child::start("forker", &[what, &name]);
        forker.expect("holds");
        forker.ended();
        let mut guest = Agent::start();
        guest.open(&name, Access::ReadWrite).unwrap();
        refused(guest.create(&name, 1), ErrorKind::AlreadyExists);
        guest.view(Access::ReadWrite).unwrap();
        guest.write(0, "after  the fork").unwrap();
        guest.quit();
        forker.send("go");
        forker.expect("after  the fork");
        assert_eq!(forker.next_line(), None); // the child ends
        goes(&name);
    }
}

#[test]
fn a_view_alone_keeps_it_in_a_fork_child() {
    let here = Place::new("fork-view");
    let name = here.name("x");
    let mut forker = Child::start("forker", &["child keeps a view", &name]);
    forker.expect("holds");
    forker.ended();
    Agent::start().open(&name, Access::Read).unwrap();
    forker.send("go");
    assert_eq!(forker.next_line(), None);
    goes(&name);
}

#[test]
fn what_a_fork_child_drops_its_parent_keeps() {
    let here = Place::new("fork-drop");
    let name = here.name("x");
    let mut forker = Child::start("forker", &["child drops", &name]);
    let mut lines = [forker.line(), forker.line()];
    lines.sort();
    assert_eq!(lines, ["dropped", "holds"]);
    let mut guest = Agent::start();
    guest.open(&name, Access::Read).unwrap();
    guest.view(Access::Read).unwrap();
    assert_eq!(guest.read(0, 100).unwrap(), "before the fork");
    guest.quit();
    forker.wait();
    refused(Agent::start().open(&name, Access::Read), ErrorKind::NotFound);
}

/// Makes an object, starts another program on this process's pipes, and ends.
#[allow(clippy::zombie_processes)] // it is meant to outlive this process
fn execer(args: &[String]) {
    let mapping = Mapping::create(&args[0], 8192).expect("the name is free");
    let _view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    Command::new("cat").spawn().expect("cat starts");
    exit_now();
}

#[test]
fn exec_lets_go() {
    let here = Place::new("exec");
    let name = here.name("x");
    let mut cat = Child::start("execer", &[&name]);
    cat.ended();
    cat.send(""); // ends the line that libtest has begun
    cat.send("@is here");
    cat.expect("is here");
    refused(Agent::start().open(&name, Access::Read), ErrorKind::NotFound);
    cat.send("@still here");
    cat.expect("still here");
}

/// Making and opening `name` is refused because of what lies at `path`, which stays there.
fn in_the_way(name: &str, path: &str, words: &str) {
    let attempts = [
        Mapping::create(name, 4096),
        Mapping::open(name, Access::Read),
        Mapping::open(name, Access::ReadWrite),
        MappingOptions::new().size(4096).open_or_create(name).map(|made| made.0),
    ];
    for attempt in attempts {
        let error = attempt.expect_err("something is in the way");
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error:?}");
        assert!(error.to_string().contains(path) && error.to_string().contains(words), "{error}");
    }
    inspect::sweep(false).expect("the rest can be swept");
    assert!(std::fs::symlink_metadata(path).is_ok(), "what is not ours is not removed");
}

#[test]
fn what_others_put_in_the_way() {
    let here = Place::new("squatted");
    let target = here.file("target", b"untouched");
    let (name, path) = (here.name("link"), path_of(&here.name("link")));
    std::os::unix::fs::symlink(&target, &path).unwrap();
    in_the_way(&name, &path, "symbolic link");
    assert_eq!(std::fs::read(&target).unwrap(), b"untouched");
    std::fs::remove_file(&path).unwrap();

    let (name, path) = (here.name("foreign"), path_of(&here.name("foreign")));
    drop(plant(&path, 0o666, b"not of coview"));
    in_the_way(&name, &path, "not made by coview");
    assert_eq!(std::fs::read(&path).unwrap(), b"not of coview");
    std::fs::remove_file(&path).unwrap();

    let (name, path) = (here.name("directory"), path_of(&here.name("directory")));
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777)).unwrap();
    in_the_way(&name, &path, "not made by coview");
    std::fs::remove_dir(&path).unwrap();

    let (name, path) = (here.name("socket"), path_of(&here.name("socket")));
    let _socket = UnixListener::bind(&path).unwrap();
    in_the_way(&name, &path, "not made by coview");
    std::fs::remove_file(&path).unwrap();

    let (name, path) = (here.name("pipe"), path_of(&here.name("pipe")));
    let mut made = common::start(Command::new("mkfifo").args(["-m", "666", &path])).unwrap();
    assert!(made.wait().unwrap().success());
    in_the_way(&name, &path, "not made by coview");
    std::fs::remove_file(&path).unwrap();
}

const MUTEX: u8 = 2 << 4;
const MAPPING_ON_FILE: u8 = 1 << 4 | 3 << 2;

#[test]
fn objects_of_other_kinds_have_the_name() {
    let here = Place::new("kinds");
    for (byte, kind, words) in [
        (MUTEX, ErrorKind::WrongKind, "a mutex"),
        (3 << 4, ErrorKind::WrongKind, "an event"),
        (4 << 4, ErrorKind::WrongKind, "a semaphore"),
        (9 << 4, ErrorKind::Corrupt, "not known"),
        (0, ErrorKind::Corrupt, "not known"),
        (1 << 4 | 3, ErrorKind::Corrupt, "protection"),
    ] {
        let name = here.name(&byte.to_string());
        let path = path_of(&name);
        let file = plant_held(&path, 0o1600, &[0; 64], Some(byte));
        for attempt in [Mapping::open(&name, Access::Read), Mapping::create(&name, 4096)] {
            let error = attempt.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        if byte == MUTEX {
            assert_eq!(inspect::find(&name).unwrap().unwrap().origin, Origin::Named(Kind::Mutex));
        }
        drop(file);
        // Nobody holds it any more: whatever it was, the name is free.
        common::until("the name is free", || Mapping::create(&name, 4096).is_ok());
    }
}

#[test]
fn a_damaged_record_is_said_to_be_one() {
    let here = Place::new("record");
    for (i, bytes) in [&b""[..], b"coviewFB", &[0xff; 200], &[0; 5000]].into_iter().enumerate() {
        let name = here.name(&i.to_string());
        let path = path_of(&name);
        let _file = plant_held(&path, 0o1600, bytes, Some(MAPPING_ON_FILE));
        let error = Mapping::open(&name, Access::Read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let found = inspect::find(&name).unwrap().expect("it is listed all the same");
        assert_eq!((found.file, found.stale), (None, false));
    }
}

#[test]
fn a_name_that_stays_in_transition_is_told_in_time() {
    let here = Place::new("transition");
    let name = here.name("x");
    // As if a process were stopped between its lock and its unlink.
    let file = plant_held(&path_of(&name), 0o1600, b"", None);
    let error = Mapping::open(&name, Access::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("stopped"), "{error}");
    inspect::sweep(false).unwrap(); // does not wait
    drop(file);
    common::until("the name is free", || Mapping::create(&name, 4096).is_ok());
}

#[test]
fn inspect_shows_who_holds_what() {
    let here = Place::new("holders");
    let name = here.name("x");
    let (mut maker, mut reader, mut watcher) = (Agent::start(), Agent::start(), Agent::start());
    maker.create(&name, 8192).unwrap();
    maker.view(Access::ReadWrite).unwrap();
    maker.write(0, "some contents").unwrap();
    reader.open(&name, Access::Read).unwrap();
    watcher.open(&name, Access::Read).unwrap();
    watcher.view(Access::Read).unwrap();

    let entry = inspect::find(&name).unwrap().expect("it is listed");
    assert_eq!(entry.name, format!(r"Local\{name}"));
    assert_eq!((entry.origin, entry.stale, entry.reserved), (Origin::Named(Kind::Mapping), false, false));
    assert_eq!((entry.size, entry.resident, entry.protection), (Some(8192), Some(8192), Some("rw")));
    assert_eq!((entry.mode, entry.file, entry.name_is_cut), (Some(0o600), None, false));
    let age = entry.changed.unwrap().elapsed().unwrap_or_default();
    assert!(age < Duration::from_secs(600), "{age:?}");
    let program = std::fs::read_to_string("/proc/self/comm").unwrap();
    for (agent, writable, views) in [(&maker, true, 1), (&reader, false, 0), (&watcher, false, 1)] {
        let holder = entry.holders.iter().find(|holder| holder.pid == agent.0.id()).expect("it is a holder");
        assert_eq!((holder.handles, holder.writable, holder.views), (1, writable, Some(views)), "{holder:?}");
        assert!(!holder.program.is_empty() && program.starts_with(&holder.program[..4]), "{holder:?}");
    }
    assert_eq!(entry.holders.len(), 3);
    maker.kill();
    reader.kill();
    let entry = inspect::find(&name).unwrap().expect("it is listed");
    assert_eq!(entry.holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [watcher.0.id()]);
}

#[test]
fn inspect_shows_protection_backing_and_namespace() {
    let here = Place::new("listed");
    let path = here.file("bytes.bin", &[1; 5000]);
    let options = MappingOptions::new().size(5000);
    let _held = [
        options.clone().protection(Protection::ReadOnly).create(&here.name("ro")).unwrap(),
        options.clone().protection(Protection::WriteCopy).create(&here.name("wc")).unwrap(),
        options.clone().reserve(true).create(&here.name("reserved")).unwrap(),
        options.clone().exact(true).create(&here.name("exact")).unwrap(),
        options.clone().file(&path).create(&here.name("file")).unwrap(),
        options.clone().share(coview::Share::Mode(0o640)).create(&here.global("global")).unwrap(),
    ];
    let all = inspect::objects(false).unwrap();
    let entry = |what: &str| {
        let wanted = if what == "global" { here.global(what) } else { format!(r"Local\{}", here.name(what)) };
        all.iter().find(|entry| entry.name == wanted).unwrap_or_else(|| panic!("{what} is not listed"))
    };
    assert_eq!((entry("ro").protection, entry("ro").size), (Some("ro"), Some(8192)));
    assert_eq!(entry("wc").protection, Some("wc"));
    assert_eq!((entry("reserved").reserved, entry("reserved").resident), (true, Some(0)));
    assert_eq!(entry("exact").size, Some(5000));
    assert_eq!(entry("file").file.as_deref(), Some(&*path.to_string_lossy()));
    assert_eq!(entry("file").size, Some(5000));
    assert_eq!(entry("global").mode, Some(0o640));
    assert!(all.iter().all(|entry| matches!(entry.origin, Origin::Named(_))), "others are shown on demand only");
}

#[test]
fn unnamed_memory_is_listed_with_its_holders() {
    let size = (3000 + u64::from(std::process::id())) * 4096; // nobody else has one of this size
    let mapping = MappingOptions::new().size(size).reserve(true).create_unnamed().unwrap();
    let _view = mapping.view(Access::Read).unwrap();
    let all = inspect::objects(true).unwrap();
    let entry = all.iter().find(|entry| entry.origin == Origin::Anonymous && entry.size == Some(size));
    let entry = entry.expect("it is listed");
    assert!(entry.holders.iter().any(|holder| holder.pid == std::process::id() && holder.views == Some(1)));
}

#[test]
fn a_view_where_a_lock_was_that_a_thread_died_with() {
    let here = Place::new("left");
    let name = here.name("mutex");
    for _ in 0..10 {
        let mutex = common::again(|| coview::Mutex::create(&name));
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap()));
        });
        assert!(mutex.lock().unwrap().is_abandoned());
        drop(mutex); // its pages are unmapped, and the next view may come to where the second of them was
        let mapping = MappingOptions::new().size(4096).create_unnamed().unwrap();
        drop(mapping.view(Access::ReadWrite).unwrap());
    }
}
