//! Limits: a small or read-only /dev/shm, what the dead left there, and `ulimit`.
#![cfg(target_os = "linux")]

mod common;

use common::agent::{Agent, refused};
use common::linux::{limit, private_shm};
use common::place::Place;
use common::{Child, Role, command, say};
use coview::inspect;
use coview::{Access, ErrorKind, Mapping, MappingOptions};

const MIB: u64 = 1 << 20;

const ROLES: [(&str, Role); 12] = [
    ("commit", commit),
    ("reserve", reserve),
    ("make_room", make_room),
    ("sweep", sweep),
    ("elsewhere", elsewhere),
    ("read_only", read_only),
    ("file_size", file_size),
    ("address_space", address_space),
    ("descriptors", descriptors),
    ("mappings", mappings),
    ("inodes", inodes),
    ("group", group),
];

#[test]
fn child() {
    common::child(&ROLES);
}

/// Plays the role in a /dev/shm of its own; left out where that cannot be had.
fn play(role: &str) {
    if let Some(command) = private_shm(&command(role, &[]), "64m", role) {
        let mut child = Child::spawn(command);
        assert_eq!(child.next_line().as_deref(), Some("done"), "its message is above");
        child.wait();
    }
}

fn free() -> u64 {
    let fs = rustix::fs::statvfs("/dev/shm").expect("there is one");
    fs.f_bavail * fs.f_frsize
}

fn left() -> usize {
    std::fs::read_dir("/dev/shm").expect("there is one").count()
}

fn kind<T>(result: coview::Result<T>) -> ErrorKind {
    result.err().expect("this should have been refused").kind()
}

#[test]
fn creation_commits_or_fails() {
    play("commit");
}

fn commit(_: &[String]) {
    let before = free();
    for size in [before + 4096, 128 * MIB] {
        let error = Mapping::create("large", size).expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        let text = error.to_string();
        assert!(text.contains(&size.to_string()) && text.contains(&before.to_string()), "{text}");
        assert!(text.contains("/dev/shm"), "{text}");
        assert_eq!((free(), left()), (before, 0));
    }
    let mapping = Mapping::create("half", 32 * MIB).expect("there is room");
    // Another one takes all the rest, to the last page.
    let mut filler = Agent::start();
    filler.create("rest", free()).expect("there is room");
    assert_eq!(free(), 0);
    refused(filler.create("one page more", 1), ErrorKind::OutOfMemory);
    assert_eq!(kind(MappingOptions::new().size(1).exact(true).create("one byte more")), ErrorKind::OutOfMemory);
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    for offset in (0..view.len()).step_by(1 << 20) {
        view.write(offset, &[0x5a; 1 << 20]).expect("it is committed"); // never SIGBUS
    }
    filler.view(Access::ReadWrite).expect("it can be mapped");
    filler.ask(&["fill"]).expect("it is committed");
    // What has no name stands elsewhere.
    let unnamed = MappingOptions::new().size(100 * MIB).create_unnamed().expect("there is memory");
    unnamed.view(Access::ReadWrite).expect("it can be mapped").write(100 * MIB as usize - 1, b"!").expect("committed");
    filler.quit();
    assert_eq!((free(), left()), (before - 32 * MIB, 1));
    drop((mapping, view));
    assert_eq!((free(), left()), (before, 0));
    Mapping::create("all", before).expect("all of it can be had");
    say("done");
}

#[test]
fn reserved_memory_commits_or_fails() {
    play("reserve");
}

fn reserve(_: &[String]) {
    let before = free();
    let mapping = MappingOptions::new().size(1 << 30).reserve(true).create("reserved").expect("it takes no memory");
    assert_eq!(free(), before);
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    mapping.commit(500 * MIB, 32 * MIB).expect("there is room");
    assert_eq!(free(), before - 32 * MIB);
    for (offset, len) in [(0, 33 * MIB), (0, 1 << 30), (600 * MIB, 128 * MIB)] {
        let error = mapping.commit(offset, len).expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert_eq!(free(), before - 32 * MIB);
        assert_eq!(kind(view.read(offset as usize, &mut [0])), ErrorKind::OutOfRange);
    }
    let _rest = Mapping::create("rest", free()).expect("there is room");
    view.write(500 * MIB as usize, &vec![0x5a; 32 << 20]).expect("it is committed");
    assert_eq!(kind(mapping.commit(0, 1)), ErrorKind::OutOfMemory);
    mapping.commit(500 * MIB, 32 * MIB).expect("it is there already");
    say("done");
}

#[test]
fn what_the_dead_left_makes_room() {
    play("make_room");
}

fn make_room(_: &[String]) {
    let all = free();
    for round in 0..20 {
        // Large requests look for room first, small ones meet the end of it.
        let size = if round % 2 == 0 { 48 * MIB } else { 8 * MIB };
        let mut doomed = Agent::start();
        doomed.create("doomed", all).expect("there is room");
        // From now on this process has just swept.
        assert_eq!(kind(Mapping::open("nobody made this", Access::Read)), ErrorKind::NotFound);
        doomed.kill();
        let made = Mapping::create(&format!("next {round}"), size);
        made.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(free(), all);
    }
    // The same for a range of reserved memory.
    let mapping = MappingOptions::new().size(1 << 30).reserve(true).create("reserved").expect("it takes no memory");
    for len in [8 * MIB, 40 * MIB] {
        let mut doomed = Agent::start();
        doomed.create("doomed", free()).expect("there is room");
        doomed.kill();
        mapping.commit(0, len).expect("the dead make room");
    }
    say("done");
}

#[test]
fn a_dry_sweep_only_tells() {
    play("sweep");
}

fn sweep(_: &[String]) {
    let here = Place::new("sweep");
    let file = here.file("bytes.bin", &[1; 100]);
    let (mut doomed, mut alive) = (Agent::start(), Agent::start());
    doomed.create("dead", 3 * MIB).expect("there is room");
    doomed.create(r"Global\dead too", 2 * MIB).expect("there is room");
    doomed.create_on("dead on a file", 100, &file).expect("there is room");
    alive.create("alive", MIB).expect("there is room");
    drop(common::linux::plant("/dev/shm/foreign", 0o600, b"of another program"));
    let before = free();
    doomed.kill();
    let names = |reclaimed: &inspect::Reclaimed| {
        let mut names: Vec<String> = reclaimed.objects.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    let expected = [r"Global\dead too", r"Local\dead", r"Local\dead on a file"];
    for _ in 0..2 {
        let told = inspect::sweep(true).expect("it can be read");
        assert_eq!(names(&told), expected);
        assert_eq!(told.bytes(), 5 * MIB + 4096);
        assert!(told.refused.is_empty());
        let listed = inspect::objects(false).expect("it can be read");
        let stale: Vec<&str> = listed.iter().filter(|entry| entry.stale).map(|entry| &*entry.name).collect();
        assert_eq!(stale, expected);
        assert!(listed.iter().any(|entry| entry.name == r"Local\alive" && !entry.stale && entry.holders.len() == 1));
        assert_eq!((free(), left()), (before, 5));
    }
    let done = inspect::sweep(false).expect("it can be done");
    assert_eq!((names(&done), done.bytes()), (expected.map(String::from).to_vec(), 5 * MIB + 4096));
    assert_eq!((free(), left()), (before + 5 * MIB + 4096, 2));
    assert!(inspect::sweep(false).expect("it can be done").objects.is_empty());
    assert!(file.exists(), "the file behind a mapping is not what a sweep removes");
    alive.quit();
    assert_eq!(left(), 1);
    say("done");
}

#[test]
fn who_holds_the_like_in_another_dev_shm_is_no_holder() {
    play("elsewhere");
}

fn elsewhere(_: &[String]) {
    let _mine = Mapping::create("twin", 4096).expect("there is room");
    let elsewhere = private_shm(&command("agent", &[]), "1m", "elsewhere").expect("it worked a moment ago");
    let mut stranger = Agent::spawn(elsewhere);
    stranger.create("twin", 4096).expect("there is room");
    stranger.view(Access::Read).expect("it can be mapped");
    let entry = inspect::find("twin").expect("it can be read").expect("it is listed");
    let holders: Vec<u32> = entry.holders.iter().map(|holder| holder.pid).collect();
    assert_eq!(holders, [std::process::id()]);
    say("done");
}

#[test]
fn a_read_only_dev_shm() {
    play("read_only");
}

fn read_only(_: &[String]) {
    let remount = std::process::Command::new("mount").args(["-o", "remount,bind,ro", "/dev/shm"]).status();
    assert!(remount.expect("there is a mount").success());
    let error = Mapping::create("after", 4096).expect_err("nothing can be made");
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error:?}");
    assert_eq!(kind(Mapping::open("absent", Access::Read)), ErrorKind::NotFound);
    MappingOptions::new().size(4096).create_unnamed().expect("what has no name needs no /dev/shm");
    say("done");
}

#[test]
fn the_largest_file_of_a_process() {
    let here = Place::new("fsize");
    let path = here.path("bytes.bin");
    let mut child = Child::start("file_size", &[&here.name("x"), &path.to_string_lossy()]);
    child.expect("done");
    child.wait();
    assert_eq!(std::fs::metadata(path).unwrap().len(), MIB);
}

/// Beyond the limit is an error, not SIGXFSZ.
fn file_size(args: &[String]) {
    let [name, path] = args else { panic!("two arguments") };
    limit(libc::RLIMIT_FSIZE, MIB);
    let options = MappingOptions::new();
    let beyond = options.clone().size(MIB + 1);
    for attempt in [
        beyond.create(name),
        beyond.create_unnamed(),
        beyond.clone().exact(true).create(name),
        beyond.clone().reserve(true).create(name),
        beyond.clone().reserve(true).create_unnamed(),
        beyond.clone().file(path).create(name),
        beyond.clone().file(path).reserve(true).create(name),
    ] {
        let error = attempt.expect_err("it is beyond the limit");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
        assert!(error.to_string().contains("ulimit -f"), "{error}");
    }
    options.clone().size(MIB).create(name).expect("it is within the limit");
    options.clone().size(MIB).file(path).create(name).expect("it is within the limit");
    say("done");
}

#[test]
fn a_small_address_space_is_walked_window_by_window() {
    let here = Place::new("windows");
    let path = here.path("sparse.bin");
    let mapping = MappingOptions::new().file(&path).size((3 << 30) + 77).reserve(true).create_unnamed().unwrap();
    for place in [0, 1 << 30, (1 << 31) - 3, 3 << 30] {
        mapping.view_range(Access::ReadWrite, place..place + 6).unwrap().write(0, b"record").unwrap();
    }
    let mut child = Child::start("address_space", &[&path.to_string_lossy()]);
    let found = std::iter::from_fn(|| child.next_line()).find(|line| line != "walking");
    assert_eq!(found.as_deref(), Some("[0, 1073741824, 2147483645, 3221225472]"));
    child.expect("done");
    child.wait();
}

fn address_space(args: &[String]) {
    let mapping = Mapping::open(&format!("file:{}", args[0]), Access::Read).expect("it is there");
    limit(libc::RLIMIT_AS, 1 << 30);
    let error = mapping.view(Access::Read).expect_err("it does not fit");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
    assert!(error.to_string().contains("windows"), "{error}");
    let (mut found, mut bytes, zeros) = (Vec::new(), vec![0; (1 << 20) + 5], vec![0; (1 << 20) + 5]);
    for window in mapping.windows(Access::Read, 128 << 20).overlap(5) {
        let window = window.expect("it fits");
        say("walking"); // the machine may be busy
        for offset in (0..window.len()).step_by(1 << 20) {
            let piece = &mut bytes[..(window.len() - offset).min((1 << 20) + 5)];
            window.read(offset, piece).expect("it lies inside");
            if piece != &zeros[..piece.len()] {
                let places = piece.windows(6).enumerate().filter(|(_, six)| six == b"record");
                found.extend(places.map(|(i, _)| window.range().start + (offset + i) as u64));
            }
        }
    }
    found.dedup();
    say(&format!("{found:?}"));
    say("done");
}

#[test]
fn no_descriptors_left() {
    let here = Place::new("descriptors");
    let mut child = Child::start("descriptors", &[&here.name("")]);
    child.expect("done");
    child.wait();
}

fn descriptors(args: &[String]) {
    limit(libc::RLIMIT_NOFILE, 64);
    let mut held = Vec::new();
    let refusal = loop {
        match Mapping::create(&format!("{}{}", args[0], held.len()), 4096) {
            Ok(mapping) => held.push(mapping),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.kind(), ErrorKind::Os, "{refusal:?}");
    assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
    assert!(held.len() > 40, "an object costs one descriptor, not more: {}", held.len());
    let first = held.swap_remove(0);
    let view = first.view(Access::ReadWrite).expect("a view costs none");
    drop(first);
    view.write(0, b"fine").expect("it can be written");
    for mapping in held.drain(..) {
        drop(mapping.view(Access::Read).expect("a view costs none"));
    }
    drop(view);
    Mapping::create(&format!("{}again", args[0]), 4096).expect("there are descriptors again");
    say("done");
}

#[test]
fn no_mappings_left() {
    let mut child = Child::start("mappings", &[]);
    child.expect("done");
    child.wait();
}

/// Until the process has as many as the kernel allows (vm.max_map_count).
fn mappings(_: &[String]) {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("it can be read");
    let most: usize = most.trim().parse().expect("a number");
    if most > 1 << 20 {
        println!("note: left out, since vm.max_map_count is {most}");
        return say("done");
    }
    let mapping = MappingOptions::new().size(4096).create_unnamed().expect("there is memory");
    let mut views = Vec::new();
    let refusal = loop {
        match mapping.view(Access::Read) {
            Ok(view) => views.push(view),
            Err(error) => break error,
        }
    };
    assert!(views.len() > most / 2 && views.len() <= most, "{} of {most}", views.len());
    assert_eq!(refusal.kind(), ErrorKind::OutOfMemory, "{refusal:?}");
    assert!(refusal.to_string().contains("max_map_count"), "{refusal}");
    views.truncate(most / 2);
    mapping.view(Access::ReadWrite).expect("there is room again").write(0, b"fine").expect("it can be written");
    say("done");
}

#[test]
fn no_inodes_left() {
    if let Some(command) = private_shm(&command("inodes", &[]), "64m,nr_inodes=9", "inodes") {
        let mut child = Child::spawn(command);
        child.expect("done");
        child.wait();
    }
}

fn inodes(_: &[String]) {
    let mut held = Vec::new();
    let refusal = loop {
        match Mapping::create(&format!("{}", held.len()), 4096) {
            Ok(mapping) => held.push(mapping),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.kind(), ErrorKind::OutOfMemory, "{refusal:?}");
    assert!(refusal.to_string().contains("inodes"), "{refusal}");
    assert_eq!(left(), held.len());
    held.pop();
    Mapping::create("again", 4096).expect("there is one again");
    say("done");
}

/// A control group, where this machine lets us make one; removed when dropped.
struct Group(std::path::PathBuf);

impl Group {
    /// With so many bytes of memory, version 2 or 1.
    fn new(bytes: u64) -> std::io::Result<Group> {
        let name = format!("coview-test-{}", std::process::id());
        let (root, limit) = match std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            true => ("/sys/fs/cgroup", "memory.max"),
            false => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        };
        let group = Group(std::path::Path::new(root).join(name));
        std::fs::create_dir(&group.0)?;
        std::fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn the_memory_of_a_control_group() {
    let group = match Group::new(32 * MIB) {
        Ok(group) => group,
        Err(error) => return println!("note: left out, since no control group can be made here: {error}"),
    };
    let here = Place::new("group");
    let mut child = Child::start("group", &[&here.name("x"), &group.0.to_string_lossy()]);
    child.expect("done");
    child.wait();
}

/// More than the group has is an error, and nobody is killed for it.
fn group(args: &[String]) {
    let [name, group] = args else { panic!("two arguments") };
    std::fs::write(format!("{group}/cgroup.procs"), std::process::id().to_string()).expect("root may move it");
    for attempt in [Mapping::create(name, 64 * MIB), MappingOptions::new().size(64 * MIB).create_unnamed()] {
        let error = attempt.expect_err("the group has not so much");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
        assert!(error.to_string().contains("cgroup"), "{error}");
    }
    let mapping = Mapping::create(name, MIB).expect("so much it has");
    mapping.view(Access::ReadWrite).expect("it can be mapped").write(0, &[1; 1 << 20]).expect("it is committed");
    say("done");
}
