//! Several users on one machine: what is private, what a mode allows, who can get in whose way. Needs root.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::agent::{Agent, Answer, refused};
use common::linux::{agent_as as agent, command_as, is_root, lock, plant, plant_held, private_shm};
use common::place::Place;
use common::{Child, command, hear, say};
use coview::{Access, ErrorKind, Mapping, MappingOptions, Share, inspect};

const ALICE: u32 = 12345;
const BOB: u32 = 12346;

#[test]
fn child() {
    common::child(&[("vandal", vandal), ("forger", forger), ("dead_of_others", dead_of_others)]);
}

/// One of BOB's programs that is in ALICE's group.
fn bob_in_alices_group() -> Agent {
    use std::os::unix::process::CommandExt;
    let mut command = command_as(BOB, "agent", &[]);
    command.gid(ALICE);
    Agent::spawn(command)
}

fn share(agent: &mut Agent, name: &str, mode: &str) -> Answer {
    agent.ask(&["create_shared", name, "8192", mode])
}

/// A directory of the test in which everybody may do everything.
fn open_directory(here: &Place) -> PathBuf {
    let directory = here.path("open");
    std::fs::create_dir(&directory).expect("the place takes directories");
    std::fs::set_permissions(&directory, Permissions::from_mode(0o777)).expect("it is ours");
    let parent = directory.parent().expect("the place");
    std::fs::set_permissions(parent, Permissions::from_mode(0o755)).expect("it is ours");
    directory
}

fn file_of(uid: u32, path: &Path, mode: u32, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("it can be written");
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("this is root");
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("this is root");
}

#[test]
fn local_names_are_each_users_own() {
    if !is_root("local_names_are_each_users_own") {
        return;
    }
    let here = Place::new("local");
    let name = here.name("x");
    let (mut alice, mut bob) = (agent(ALICE), agent(BOB));
    for mode in ["600", "666"] {
        share(&mut alice, &name, mode).unwrap();
        alice.view(Access::ReadWrite).unwrap();
        alice.write(0, "of alice").unwrap();
        refused(bob.open(&name, Access::Read), ErrorKind::NotFound);
        assert_eq!(Mapping::open(&name, Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
        bob.create(&name, 4096).unwrap();
        bob.view(Access::ReadWrite).unwrap();
        assert_eq!(bob.read(0, 10).unwrap(), "");
        bob.write(0, "of bob").unwrap();
        assert_eq!(alice.read(0, 10).unwrap(), "of alice");
        for agent in [&mut alice, &mut bob] {
            agent.unview();
            agent.close();
        }
    }
}

#[test]
fn a_local_name_that_somebody_else_has_taken() {
    if !is_root("a_local_name_that_somebody_else_has_taken") {
        return;
    }
    let here = Place::new("squat");
    let mut bob = agent(BOB);
    for mode in [0o600, 0o666, 0o1600, 0o1666] {
        for held in [false, true] {
            let name = here.name(&format!("{mode:o}-{held}"));
            let path = format!("/dev/shm/coview.{BOB}.{name}");
            let file = plant(&path, mode, &[b'?'; 8192]);
            std::os::unix::fs::fchown(&file, Some(ALICE), Some(ALICE)).unwrap();
            file.set_permissions(Permissions::from_mode(mode)).unwrap(); // chown took some bits
            if held {
                lock(&file, Some(1 << 4)); // looks like a live mapping
            }
            for answer in [
                bob.create(&name, 4096),
                bob.join(&name, 4096),
                bob.open(&name, Access::Read),
                bob.open(&name, Access::ReadWrite),
            ] {
                let message = refused(answer, ErrorKind::AccessDenied);
                assert!(message.contains(&path) && message.contains("12345"), "{message}");
                assert!(message.contains("in the way"), "{message}");
            }
            std::fs::remove_file(&path).unwrap();
            bob.create(&name, 4096).unwrap();
            bob.close();
        }
    }
}

/// What each of three kinds of users may do with ALICE's object of this mode: `-`, `r` or `w`.
fn allowed(here: &Place, mode: &str) -> String {
    let name = here.global(mode);
    let mut alice = agent(ALICE);
    share(&mut alice, &name, mode).unwrap_or_else(|refusal| panic!("{mode}: {}", refusal.message));
    alice.view(Access::ReadWrite).expect("it can be mapped");
    alice.write(0, "of alice").expect("it can be written");
    let entry = inspect::find(&name).expect("it can be listed").expect("it is listed");
    assert_eq!(entry.mode, Some(u32::from_str_radix(mode, 8).expect("octal") | 0o600));
    assert_eq!(entry.owner.as_deref(), Some("12345"));
    let mut all = String::new();
    for mut user in [agent(ALICE), bob_in_alices_group(), agent(BOB)] {
        let (read, write) = (user.open(&name, Access::Read), user.open(&name, Access::ReadWrite));
        all.push(match (read.is_ok(), write.is_ok()) {
            (true, true) => 'w',
            (true, false) => 'r',
            (false, false) => '-',
            (false, true) => panic!("writing without reading"),
        });
        for refusal in [read, write].into_iter().filter_map(Result::err) {
            assert_eq!(refusal.kind, "AccessDenied", "{}", refusal.message);
            assert!(refusal.message.contains("12345"), "{}", refusal.message);
        }
        let taken = user.create(&name, 8192).expect_err("the name is taken");
        assert!(matches!(&*taken.kind, "AlreadyExists" | "AccessDenied"), "{}", taken.message);
        if all.ends_with(['r', 'w']) {
            user.view(Access::Read).expect("it can be mapped");
            assert_eq!(user.read(0, 10).expect("it can be read"), "of alice");
        }
    }
    all
}

#[test]
fn modes_of_global_objects() {
    if !is_root("modes_of_global_objects") {
        return;
    }
    let here = Place::new("modes");
    for (mode, expected) in
        [("600", "w--"), ("640", "wr-"), ("660", "ww-"), ("644", "wrr"), ("664", "wwr"), ("666", "www"), ("604", "w-r")]
    {
        assert_eq!(allowed(&here, mode), expected, "{mode}");
    }
}

#[test]
fn root_goes_everywhere_and_a_umask_takes_nothing() {
    if !is_root("root_goes_everywhere_and_a_umask_takes_nothing") {
        return;
    }
    let here = Place::new("root");
    let mut alice = agent(ALICE);
    share(&mut alice, &here.global("private"), "600").unwrap();
    Mapping::open(&here.global("private"), Access::ReadWrite).unwrap();
    let _mine = MappingOptions::new().size(4096).share(Share::Everyone).create(&here.global("mine")).unwrap();
    alice.open(&here.global("mine"), Access::ReadWrite).unwrap();
    let group = MappingOptions::new().size(4096).share(Share::Sddl("D:(A;;GA;;;OW)(A;;GR;;;WD)".into()));
    let _readable = group.create(&here.global("sddl")).unwrap();
    alice.open(&here.global("sddl"), Access::Read).unwrap();
    refused(alice.open(&here.global("sddl"), Access::ReadWrite), ErrorKind::AccessDenied);
}

#[test]
fn a_guest_for_reading_keeps_it() {
    if !is_root("a_guest_for_reading_keeps_it") {
        return;
    }
    let here = Place::new("guest");
    let name = here.global("x");
    let (mut alice, mut bob) = (agent(ALICE), agent(BOB));
    share(&mut alice, &name, "644").unwrap();
    bob.open(&name, Access::Read).unwrap();
    alice.kill();
    let mut carol = agent(BOB + 1);
    carol.open(&name, Access::Read).unwrap();
    refused(agent(ALICE).create(&name, 4096), ErrorKind::AlreadyExists);
    carol.quit();
    bob.quit();
    refused(agent(ALICE).open(&name, Access::Read), ErrorKind::NotFound);
}

/// Tries to harm what lies at a path.
fn vandal(args: &[String]) {
    let [path, own] = args else { panic!("two arguments") };
    std::fs::write(own, b"of the vandal").expect("its own file");
    say(&format!("{}", std::fs::remove_file(path).is_err()));
    say(&format!("{}", std::fs::rename(path, own).is_err()));
    say(&format!("{}", std::fs::rename(own, path).is_err()));
    say(&format!("{}", std::fs::set_permissions(path, Permissions::from_mode(0o777)).is_err()));
    std::fs::remove_file(own).expect("its own file");
    hear();
}

#[test]
fn nobody_removes_or_replaces_what_another_user_made() {
    if !is_root("nobody_removes_or_replaces_what_another_user_made") {
        return;
    }
    let here = Place::new("vandal");
    let name = here.name("x");
    let mut alice = agent(ALICE);
    share(&mut alice, &format!(r"Global\{name}"), "666").unwrap();
    alice.view(Access::ReadWrite).unwrap();
    alice.write(0, "stays").unwrap();
    let (path, own) = (format!("/dev/shm/coview.g.{name}"), format!("/dev/shm/vandal {name}"));
    let mut vandal = Child::spawn(command_as(BOB, "vandal", &[&path, &own]));
    (0..4).for_each(|_| vandal.expect("true"));
    vandal.wait();
    let mut guest = agent(BOB);
    guest.open(&format!(r"Global\{name}"), Access::ReadWrite).unwrap();
    guest.view(Access::ReadWrite).unwrap();
    assert_eq!(guest.read(0, 10).unwrap(), "stays");
}

#[test]
fn what_dead_users_left() {
    if !is_root("what_dead_users_left") {
        return;
    }
    // In a place of its own: any sweep of root's would remove it.
    if let Some(command) = private_shm(&command("dead_of_others", &[]), "64m", "what_dead_users_left") {
        let mut child = Child::spawn(command);
        assert_eq!(child.next_line().as_deref(), Some("done"), "its message is above");
        child.wait();
    }
}

fn dead_of_others(_: &[String]) {
    for (mode, on_open) in
        [("600", ErrorKind::AccessDenied), ("644", ErrorKind::NotFound), ("666", ErrorKind::NotFound)]
    {
        let name = format!(r"Global\dead {mode}");
        let path = format!("/dev/shm/coview.g.dead {mode}");
        let (mut alice, mut bob) = (agent(ALICE), agent(BOB));
        share(&mut alice, &name, mode).expect("the name is free");
        alice.kill();
        refused(bob.open(&name, Access::Read), on_open);
        let message = refused(bob.create(&name, 4096), ErrorKind::AccessDenied);
        assert!(message.contains("12345"), "{message}");
        if mode == "666" {
            refused(bob.open(&name, Access::ReadWrite), ErrorKind::NotFound);
            assert_eq!(std::fs::metadata(&path).expect("the name stays").blocks(), 0, "its memory is given back");
        }
        let told = inspect::sweep(true).expect("it can be read");
        assert_eq!(told.objects.len(), 1);
        // ALICE's next program clears it away, whatever it does.
        refused(agent(ALICE).open("something else", Access::Read), ErrorKind::NotFound);
        bob.create(&name, 4096).expect("the name is free");
        refused(agent(ALICE).open(&name, Access::Read), ErrorKind::AccessDenied);
        bob.kill();
        // Root makes it anew at once.
        drop(Mapping::create(&name, 4096).expect("the name is free"));
    }
    say("done");
}

#[test]
fn an_heir_may_be_another_user() {
    if !is_root("an_heir_may_be_another_user") {
        return;
    }
    let here = Place::new("heir");
    let mapping = Mapping::create(&here.name("x"), 8192).unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"of root").unwrap();
    let mut command = command_as(ALICE, "agent", &[]);
    mapping.hand_to(&mut command, "heirloom").unwrap();
    let mut alice = Agent::spawn(command);
    alice.inherited("heirloom").unwrap();
    alice.view(Access::ReadWrite).unwrap();
    assert_eq!(alice.read(0, 10).unwrap(), "of root");
    refused(alice.open(&here.name("x"), Access::Read), ErrorKind::NotFound);
    alice.close();
    drop(mapping);
    Mapping::open(&here.name("x"), Access::Read).unwrap();
    alice.quit();
    common::until("it is gone", || Mapping::open(&here.name("x"), Access::Read).is_err());
}

#[test]
fn a_file_is_shared_as_far_as_both_modes_go() {
    if !is_root("a_file_is_shared_as_far_as_both_modes_go") {
        return;
    }
    let here = Place::new("file");
    let directory = open_directory(&here);
    for (mode, read, write) in [(0o600, false, false), (0o644, true, false), (0o666, true, true)] {
        let (name, path) = (here.global(&format!("{mode:o}")), directory.join(format!("{mode:o}")));
        file_of(ALICE, &path, mode, &[b'.'; 8192]);
        let (mut alice, mut bob) = (agent(ALICE), agent(BOB));
        alice.ask(&["create_shared_on", &name, "8192", "666", &path.to_string_lossy()]).unwrap();
        agent(ALICE).open(&name, Access::ReadWrite).unwrap();
        for (access, allowed) in [(Access::Read, read), (Access::ReadWrite, write)] {
            let answer = bob.open(&name, access);
            if allowed {
                answer.unwrap();
                bob.view(access).unwrap();
                assert_eq!(bob.read(0, 3).unwrap(), "...");
            } else {
                refused(answer, ErrorKind::AccessDenied);
            }
        }
    }
}

#[test]
fn a_file_that_only_others_still_have() {
    if !is_root("a_file_that_only_others_still_have") {
        return;
    }
    let here = Place::new("unlinked");
    let (name, path) = (here.global("x"), open_directory(&here).join("bytes.bin"));
    file_of(ALICE, &path, 0o644, &[0; 8192]);
    let (mut alice, mut bob) = (agent(ALICE), agent(BOB));
    alice.ask(&["create_shared_on", &name, "8192", "644", &path.to_string_lossy()]).unwrap();
    bob.open(&name, Access::Read).unwrap();
    bob.close();
    std::fs::remove_file(&path).unwrap();
    let message = refused(bob.open(&name, Access::Read), ErrorKind::Vanished);
    assert!(message.contains("bytes.bin"), "{message}");
    agent(ALICE).open(&name, Access::ReadWrite).unwrap(); // may look into its own processes
}

/// The bytes of a record (`docs/format.md`) that leads to a file.
fn record(path: &Path) -> Vec<u8> {
    let file = std::fs::metadata(path).expect("it is there");
    let path = path.to_str().expect("it is text").as_bytes();
    let mut bytes = b"coviewFB".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((path.len() as u32).to_le_bytes());
    for number in [4096, file.dev(), file.ino()] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(path);
    bytes
}

/// Puts a record of its own making at a path, or writes over the one that is there.
fn forger(args: &[String]) {
    let [path, target] = args else { panic!("two arguments") };
    let bytes = record(Path::new(target));
    let file = match File::options().write(true).read(true).open(path) {
        Ok(file) => std::fs::write(path, bytes).map(|()| file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(plant_held(path, 0o1666, &bytes, Some(1 << 4 | 3 << 2)))
        }
        Err(error) => Err(error),
    };
    say(if file.is_ok() { "forged" } else { "denied" });
    hear();
}

#[test]
fn a_record_leads_nobody_into_a_file_its_maker_does_not_own() {
    if !is_root("a_record_leads_nobody_into_a_file_its_maker_does_not_own") {
        return;
    }
    let here = Place::new("forged");
    let directory = open_directory(&here);
    let (of_root, of_bob) = (directory.join("of root"), directory.join("of bob"));
    file_of(0, &of_root, 0o600, &[b'r'; 4096]);
    file_of(BOB, &of_bob, 0o600, &[b'b'; 4096]);
    for (target, what) in [(&of_root, "root"), (&of_bob, "bob")] {
        let path = format!("/dev/shm/coview.g.{}", here.name(what));
        let mut alice = Child::spawn(command_as(ALICE, "forger", &[&path, &target.to_string_lossy()]));
        alice.expect("forged");
        for access in [Access::Read, Access::ReadWrite] {
            let error = Mapping::open(&here.global(what), access).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
            assert!(error.to_string().contains("12345"), "{error}");
            refused(agent(BOB).open(&here.global(what), access), ErrorKind::AccessDenied);
        }
        let options = MappingOptions::new().size(4096);
        assert_eq!(options.open_or_create(&here.global(what)).unwrap_err().kind(), ErrorKind::AccessDenied);
    }
    assert_eq!(std::fs::read(of_root).unwrap(), [b'r'; 4096]);
}

#[test]
fn an_honest_record_cannot_be_turned_elsewhere() {
    if !is_root("an_honest_record_cannot_be_turned_elsewhere") {
        return;
    }
    let here = Place::new("turned");
    let directory = open_directory(&here);
    let secret = directory.join("secret");
    file_of(0, &secret, 0o600, &[b's'; 4096]);
    for mode in [0o600, 0o644, 0o666] {
        let (what, bait) = (format!("{mode:o}"), directory.join(format!("bait {mode:o}")));
        file_of(0, &bait, mode, &[b'.'; 4096]);
        let options = MappingOptions::new().file(&bait).share(Share::Everyone);
        let _mapping = options.create(&here.global(&what)).unwrap();
        let path = format!("/dev/shm/coview.g.{}", here.name(&what));
        let mut alice = Child::spawn(command_as(ALICE, "forger", &[&path, &secret.to_string_lossy()]));
        let forged = alice.line() == "forged";
        assert_eq!(forged, mode == 0o666, "who may write the file may write the record, nobody else");
        match Mapping::open(&here.global(&what), Access::ReadWrite) {
            Ok(mapping) => {
                assert!(!forged);
                mapping.view(Access::ReadWrite).unwrap().write(0, b"of root").unwrap();
            }
            Err(error) => {
                assert!(forged);
                assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
            }
        }
        let options = MappingOptions::new().size(4096);
        let _ = options.open_or_create(&here.global(&what)).map(|(mapping, _)| {
            mapping.view(Access::ReadWrite).unwrap().write(0, b"of root").unwrap();
        });
        assert_eq!(std::fs::read(&secret).unwrap(), [b's'; 4096]);
    }
}

#[test]
fn a_record_opens_no_pipe_and_no_device() {
    if !is_root("a_record_opens_no_pipe_and_no_device") {
        return;
    }
    let here = Place::new("pipe");
    let directory = open_directory(&here);
    let pipe = directory.join("pipe");
    let made = Command::new("mkfifo").args(["-m", "666"]).arg(&pipe).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::chown(&pipe, Some(ALICE), Some(ALICE)).unwrap();
    for (what, target) in [("pipe", &*pipe), ("device", Path::new("/dev/null")), ("directory", &directory)] {
        let path = format!("/dev/shm/coview.g.{}", here.name(what));
        let mut alice = Child::spawn(command_as(ALICE, "forger", &[&path, &target.to_string_lossy()]));
        alice.expect("forged");
        for access in [Access::Read, Access::ReadWrite] {
            let kind = Mapping::open(&here.global(what), access).unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::AccessDenied | ErrorKind::Corrupt), "{what}: {kind:?}");
        }
    }
}
