//! What another user tries on one's objects: links, squatting, truncation, sweeping; and what the doctor says. Needs root.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use common::agent::{Agent, refused};
use common::linux::{agent_as, command_as, is_root, path_of, private_shm};
use common::place::Place;
use common::{Child, command, hear, say};
use coview::frames::Frames;
use coview::inspect::{self, Verdict};
use coview::latest::Latest;
use coview::queue::Queue;
use coview::ring::Ring;
use coview::service::Service;
use coview::{Access, Error, ErrorKind, Event, Mapping, MappingOptions, Mutex, Region, Result, Semaphore, Share};

const ALICE: u32 = 12345;
const MALLORY: u32 = 12347;

#[test]
fn child() {
    common::child(&[("attacker", attacker), ("sweeper", sweeper), ("dead", dead)]);
}

/// Does what it is told to a path, as the user that it is; whether it could.
fn attacker(_: &[String]) {
    while let Some(line) = hear() {
        let fields: Vec<&str> = line.split('\x1f').collect();
        let done = match fields[..] {
            ["truncate", path] => File::options().write(true).open(path).and_then(|file| file.set_len(0)),
            ["grow", path] => File::options().write(true).open(path).and_then(|file| file.set_len(1 << 30)),
            ["link", path, as_what] => std::fs::hard_link(path, as_what),
            ["symlink", path, as_what] => symlink(path, as_what),
            ["remove", path] => std::fs::remove_file(path),
            ["open", path, mode] => {
                std::fs::set_permissions(path, PermissionsExt::from_mode(u32::from_str_radix(mode, 8).expect("octal")))
            }
            ["read", path] => std::fs::read(path).map(drop),
            ["squat", path] => {
                common::linux::plant(path, 0o1600, &[b'?'; 8192]);
                Ok(())
            }
            _ => panic!("{fields:?}?"),
        };
        say(if done.is_ok() { "done" } else { "refused" });
    }
}

/// MALLORY at work.
struct Mallory(Child);

impl Mallory {
    fn new() -> Mallory {
        Mallory(Child::spawn(command_as(MALLORY, "attacker", &[])))
    }

    fn can(&mut self, fields: &[&str]) -> bool {
        self.0.send(&fields.join("\x1f"));
        self.0.line() == "done"
    }
}

/// Every way to an object of this name.
fn ways(name: &str) -> Vec<(&'static str, Result<()>)> {
    let options = || MappingOptions::new().size(4096);
    vec![
        ("open a mapping", Mapping::open(name, Access::Read).map(drop)),
        ("write a mapping", Mapping::open(name, Access::ReadWrite).map(drop)),
        ("create a mapping", options().create(name).map(drop)),
        ("open or create a mapping", options().open_or_create(name).map(drop)),
        ("create a mutex", Mutex::create(name).map(drop)),
        ("open a mutex", Mutex::open(name).map(drop)),
        ("create an event", Event::create(name).map(drop)),
        ("create a semaphore", Semaphore::create(name, 0, 1).map(drop)),
        ("create a region", Region::create(name, &7_u64).map(drop)),
        ("create a ring", Ring::create(name, 4096).map(drop)),
        ("create a latest value", Latest::<u64>::create(name).map(drop)),
        ("create frames", Frames::<[u8]>::create(name).map(drop)),
        ("create a queue", Queue::<[u8]>::create(name).map(drop)),
        ("create a service", Service::<u64, u64>::create(name).map(drop)),
    ]
}

/// All ways end with a clear refusal.
fn all_refused(name: &str) -> usize {
    let tried = ways(name);
    for (what, done) in &tried {
        let error: &Error = done.as_ref().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{what}: {error}");
        assert!(error.to_string().contains("/dev/shm/"), "{what}: {error}");
    }
    tried.len()
}

#[test]
fn a_symbolic_link_in_the_way_is_not_followed() {
    if !is_root("a_symbolic_link_in_the_way_is_not_followed") {
        return;
    }
    let here = Place::new("symlink");
    let secret = here.file("secret", &[b's'; 8192]);
    let mut tried = 0;
    for (name, path) in [
        (here.name("local"), path_of(&here.name("local"))),
        (here.global("global"), format!("/dev/shm/coview.g.{}", here.name("global"))),
    ] {
        let targets = [secret.to_str().expect("text"), "/dev/shm/nothing there", "/dev/zero"];
        for target in targets {
            assert!(Mallory::new().can(&["symlink", target, &path]));
            tried += all_refused(&name);
            std::fs::remove_file(&path).unwrap();
        }
    }
    assert_eq!(std::fs::read(&secret).unwrap(), [b's'; 8192]);
    assert!(!Path::new("/dev/shm/nothing there").exists());
    println!("count attacks refused: calls led through symbolic links of another user {tried}");
}

#[test]
fn a_squatted_name_is_refused_for_every_kind() {
    if !is_root("a_squatted_name_is_refused_for_every_kind") {
        return;
    }
    let here = Place::new("squatted");
    let path = path_of(&here.name("x"));
    assert!(Mallory::new().can(&["squat", &path]));
    let tried = all_refused(&here.name("x"));
    std::fs::remove_file(path).unwrap();
    println!("count attacks refused: calls on a name that another user squats {tried}");
}

/// An object of root's that all may write, linked to the place of a private name of root's.
#[test]
fn a_hard_link_makes_nothing_private_that_is_not() {
    if !is_root("a_hard_link_makes_nothing_private_that_is_not") {
        return;
    }
    let here = Place::new("hardlink");
    let open = MappingOptions::new().size(4096).share(Share::Everyone).create(&here.global("open")).unwrap();
    let (from, to) = (format!("/dev/shm/coview.g.{}", here.name("open")), path_of(&here.name("private")));
    assert!(Mallory::new().can(&["link", &from, &to]));
    let tried = all_refused(&here.name("private"));
    drop(open);
    std::fs::remove_file(to).unwrap();
    // What nobody but its owner may open cannot be linked where the kernel protects links.
    let _private = Mapping::create(&here.name("own"), 4096).unwrap();
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1");
    let (own, elsewhere) = (path_of(&here.name("own")), format!("/dev/shm/coview.g.{}", here.name("elsewhere")));
    assert!(!protected || !Mallory::new().can(&["link", &own, &elsewhere]));
    assert_eq!(Mapping::open(&here.global("elsewhere"), Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
    println!("count attacks refused: calls on a private name that another user had linked elsewhere {tried}");
}

#[test]
fn a_local_object_is_private_whatever_was_said() {
    if !is_root("a_local_object_is_private_whatever_was_said") {
        return;
    }
    let here = Place::new("private");
    for (name, share) in [("a", Share::Everyone), ("b", Share::Group), ("c", Share::Mode(0o644))] {
        let mapping = MappingOptions::new().size(4096).share(share).create(&here.name(name)).unwrap();
        let path = path_of(&here.name(name));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for deed in ["read", "truncate", "grow", "remove"] {
            assert!(!Mallory::new().can(&[deed, &path]), "{deed}");
        }
        assert!(!Mallory::new().can(&["open", &path, "666"]));
        drop(mapping);
    }
}

#[test]
fn who_may_not_write_cannot_resize_and_who_may_kills_nobody() {
    if !is_root("who_may_not_write_cannot_resize_and_who_may_kills_nobody") {
        return;
    }
    let here = Place::new("resize");
    let mut victims = 0;
    for (mode, may) in [("600", false), ("640", false), ("644", false), ("666", true)] {
        let (name, path) = (here.global(mode), format!("/dev/shm/coview.g.{}", here.name(mode)));
        let mut alice = agent_as(ALICE);
        alice.ask(&["create_shared", &name, "65536", mode]).unwrap();
        alice.view(Access::ReadWrite).unwrap();
        alice.write(40_000, "of alice").unwrap();
        let mut mallory = Mallory::new();
        assert_eq!(mallory.can(&["truncate", &path]), may, "{mode}");
        if may {
            // The one departure from Windows: but she is told, and lives.
            refused(alice.read(40_000, 10), ErrorKind::Vanished);
            refused(alice.write(40_000, "!"), ErrorKind::Vanished);
        } else {
            assert!(!mallory.can(&["grow", &path]));
            assert_eq!(alice.read(40_000, 10).unwrap(), "of alice");
        }
        victims += 1;
        alice.quit();
    }
    println!("count attacks refused: objects that another user tries to truncate {victims}");
}

/// Sweeps, as the user that it is; how many objects it gave back.
fn sweeper(_: &[String]) {
    let found = inspect::sweep(false).expect("it can be read");
    say(&found.objects.len().to_string());
    hear();
}

/// In a /dev/shm of one's own, where nobody else sweeps.
fn dead(_: &[String]) {
    let files = || -> Vec<String> {
        let entries = std::fs::read_dir("/dev/shm").expect("it can be read").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let mut alice = agent_as(ALICE);
    alice.create("private", 4096).expect("the name is free");
    for mode in ["600", "644", "666"] {
        let name = format!(r"Global\dead {mode}");
        alice.ask(&["create_shared", &name, "4096", mode]).expect("the name is free");
    }
    let mut living = agent_as(ALICE);
    living.ask(&["create_shared", r"Global\living", "4096", "666"]).expect("the name is free");
    std::fs::write("/dev/shm/coview.g.of somebody", b"not made by coview").expect("this is root's");
    std::fs::write(format!("/dev/shm/coview.{MALLORY}.foreign"), b"not made by coview").expect("this is root's");
    alice.kill();
    let before = files();
    let mut sweep = Child::spawn(command_as(MALLORY, "sweeper", &[]));
    let told = sweep.line();
    sweep.wait();
    assert_eq!(files(), before, "somebody else's sweep removed names");
    assert_eq!(told, "0", "and it says it did");
    let mut sweep = Child::spawn(command_as(ALICE, "sweeper", &[]));
    sweep.expect("4");
    sweep.wait();
    let left = files();
    assert_eq!(left.len(), 3, "{left:?}");
    let doctor = inspect::health();
    let open = doctor.iter().find(|check| check.subject == "too open").expect("it is looked at");
    assert_eq!(open.verdict, Verdict::Note);
    assert!(open.found.contains(r"Global\living") && !open.found.contains("644"), "{}", open.found);
    assert!(open.advice.as_ref().is_some_and(|advice| advice.contains("truncate")));
    refused(agent_as(MALLORY).create(r"Global\living", 1), ErrorKind::AlreadyExists);
    say("done");
}

#[test]
fn sweeping_touches_only_what_is_ones_own() {
    if !is_root("sweeping_touches_only_what_is_ones_own") {
        return;
    }
    if let Some(command) = private_shm(&command("dead", &[]), "64m", "sweeping_touches_only_what_is_ones_own") {
        let mut child = Child::spawn(command);
        child.expect("done");
        child.wait();
    }
}

/// An agent of a third user finds neither the one's nor the other's private objects, and all of them what is for all.
#[test]
fn three_users_at_once() {
    if !is_root("three_users_at_once") {
        return;
    }
    let here = Place::new("three");
    let users = [ALICE, ALICE + 1, MALLORY];
    let mut agents: Vec<Agent> = users.map(agent_as).into();
    for (agent, uid) in agents.iter_mut().zip(users) {
        agent.create(&here.name("own"), 4096).unwrap();
        agent.view(Access::ReadWrite).unwrap();
        agent.write(0, &uid.to_string()).unwrap();
    }
    for (agent, uid) in agents.iter_mut().zip(users) {
        assert_eq!(agent.read(0, 10).unwrap(), uid.to_string());
    }
    agents[0].ask(&["create_shared", &here.global("all"), "4096", "666"]).unwrap();
    agents[0].view(Access::ReadWrite).unwrap();
    agents[0].write(0, "for all").unwrap();
    for agent in &mut agents[1..] {
        agent.open(&here.global("all"), Access::ReadWrite).unwrap();
        agent.view(Access::Read).unwrap();
        assert_eq!(agent.read(0, 10).unwrap(), "for all");
    }
    agents.into_iter().for_each(Agent::quit); // what a killed one leaves waits for that user's next program
}
