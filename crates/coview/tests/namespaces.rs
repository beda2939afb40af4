//! Processes in other PID, mount and user namespaces, as containers are: what works between them and what is refused.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::IntoRawFd;
use std::process::Command;
use std::time::Duration;

use common::agent::{Agent, refused};
use common::linux::{agent_as, as_user, below, is_root};
use common::place::Place;
use common::{Child, command, command_of, hear, say};
use coview::frames::{Frames, Policy};
use coview::latest::Latest;
use coview::ring::Ring;
use coview::{Access, ErrorKind, Event, Mapping, Mutex, Region, Result, Semaphore, inspect, sync};

const ALICE: u32 = 12345;
const BOB: u32 = 12346;
const BRIEF: Duration = Duration::from_millis(50);

#[test]
fn child() {
    common::child(&[("guest", guest)]);
}

/// A shell in namespaces that `flags` of unshare(1) say, which runs `script` and then a program; `None`, and a note, where that is
/// not allowed.
fn namespace(flags: &str, script: &str, test: &str) -> Option<Command> {
    let make = |last: &str| {
        let mut command = Command::new("unshare");
        command.args(flags.split(' ')).args(["sh", "-c", &format!("{script} {last}")]);
        command
    };
    if !make("true").status().is_ok_and(|status| status.success()) {
        println!("note: {test} is left out, since `unshare {flags}` is not allowed here");
        return None;
    }
    Some(make("exec \"$0\" \"$@\""))
}

/// In a PID namespace of its own, with the same /dev/shm.
fn in_other_pids(test: &str) -> Option<Command> {
    let rootless = if rustix::process::geteuid().is_root() { "" } else { "-r " };
    namespace(&format!("{rootless}--pid --fork --kill-child --mount-proc"), "", test)
}

/// Tries, from where it is, everything on what its parent made. Says each as it came out.
fn guest(args: &[String]) {
    let name = |what: &str| format!("{}{what}", args[0]);
    let word = |done: Result<()>| match done {
        Ok(()) => "works".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let mapping = Mapping::open(&name("mapping"), Access::ReadWrite);
    let view = mapping.and_then(|mapping| mapping.view(Access::ReadWrite));
    let placed = || view.as_ref().map_err(|_| ()).and_then(|view| view.place::<sync::Mutex<u64>>(0).map_err(|_| ()));
    let said = [
        (
            "mapping",
            word(
                view.as_ref()
                    .map_or(Mapping::open(&name("mapping"), Access::Read).map(drop), |view| view.write(100, b"guest")),
            ),
        ),
        ("region", word(Region::<u64>::open(&name("region")).and_then(|region| region.write(&8)))),
        (
            "latest, read",
            word(Latest::<u64>::open(&name("latest")).and_then(|latest| latest.reader().read().map(drop))),
        ),
        ("latest, write", word(Latest::<u64>::open(&name("latest")).and_then(|latest| latest.writer().map(drop)))),
        ("ring", word(Ring::open(&name("ring")).and_then(|ring| ring.sender().map(drop)))),
        (
            "frames",
            word(Frames::<[u8]>::open(&name("frames")).and_then(|f| f.subscriber(Policy::DropOldest).map(drop))),
        ),
        ("mutex", word(Mutex::open(&name("mutex")).map(drop))),
        ("event", word(Event::open(&name("event")).map(drop))),
        ("semaphore", word(Semaphore::open(&name("semaphore")).map(drop))),
        ("placed mutex", placed().map_or("no view".to_owned(), |placed| word(placed.lock_timeout(BRIEF).map(drop)))),
        ("own", word(Mutex::create(&name("own")).and_then(|mutex| mutex.lock().map(drop)))),
        ("list", word(inspect::find(&name("mapping")).map(drop).map_err(|error| panic!("{error}")))),
    ];
    for (what, how) in said {
        say(&format!("{what}: {how}"));
    }
    say("all");
    hear();
}

/// One of everything, for a guest.
struct Household {
    mapping: Mapping,
    region: Region<u64>,
    mutex: Mutex,
    /// What only needs to be there.
    _others: Box<dyn std::any::Any>,
}

impl Household {
    fn new(name: impl Fn(&str) -> String) -> Household {
        let ring = Ring::create(&name("ring"), 4096).unwrap();
        let receiver = ring.receiver().unwrap();
        let frames = Frames::<[u8]>::create(&name("frames")).unwrap();
        let publisher = frames.publisher().unwrap();
        let latest = Latest::<u64>::create(&name("latest")).unwrap();
        latest.writer().unwrap().set(&1).unwrap();
        let (event, semaphore) =
            (Event::create(&name("event")).unwrap(), Semaphore::create(&name("semaphore"), 1, 1).unwrap());
        let mapping = Mapping::create(&name("mapping"), 4096).unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        drop(view.place::<sync::Mutex<u64>>(0).unwrap().lock().unwrap()); // it is this namespace's from now on
        Household {
            region: Region::create(&name("region"), &7).unwrap(),
            mutex: Mutex::create(&name("mutex")).unwrap(),
            mapping,
            _others: Box::new((latest, ring, receiver, frames, publisher, event, semaphore)),
        }
    }
}

fn outcomes(mut guest: Child) -> Vec<String> {
    let lines = std::iter::from_fn(|| Some(guest.line()).filter(|line| line != "all")).collect();
    guest.wait();
    lines
}

#[test]
fn another_pid_namespace_with_the_same_memory() {
    let test = "another_pid_namespace_with_the_same_memory";
    let Some(wrapper) = in_other_pids(test) else { return };
    let here = Place::new("pids");
    // Where the guest is another user in its namespace, private names are others.
    let root = rustix::process::geteuid().is_root();
    let name = |what: &str| if root { here.name(what) } else { here.global(what) };
    let tag = name("");
    let house = Household::new(name);
    let seen = outcomes(Child::spawn(below(wrapper, &command("guest", &[&tag]))));
    let expected = [
        "mapping: works",
        "region: works",
        "latest, read: Unsupported",
        "latest, write: Unsupported",
        "ring: Unsupported",
        "frames: Unsupported",
        "mutex: Unsupported",
        "event: Unsupported",
        "semaphore: Unsupported",
        "placed mutex: Unsupported",
        "own: works",
        "list: works",
    ];
    assert_eq!(seen, expected);
    assert_eq!(house.region.read().unwrap(), 8);
    let mut text = [0; 5];
    house.mapping.view(Access::Read).unwrap().read(100, &mut text).unwrap();
    assert_eq!(&text, b"guest");
    drop(house.mutex.lock().unwrap());
}

#[test]
fn lifetimes_go_across_pid_namespaces() {
    let test = "lifetimes_go_across_pid_namespaces";
    let here = Place::new("lives");
    let name = here.global("x");
    for round in 0..5 {
        let Some(wrapper) = in_other_pids(test) else { return };
        // Made there, kept alive here; made here, kept alive there.
        let (mut inside, mut outside) = (Agent::spawn(below(wrapper, &command("agent", &[]))), Agent::start());
        let (maker, keeper) = if round % 2 == 0 { (&mut inside, &mut outside) } else { (&mut outside, &mut inside) };
        maker.create(&name, 4096).unwrap();
        refused(keeper.create(&name, 4096), ErrorKind::AlreadyExists);
        keeper.open(&name, Access::ReadWrite).unwrap();
        maker.view(Access::ReadWrite).unwrap();
        maker.write(0, "from the other side").unwrap();
        let (maker, mut keeper) = if round % 2 == 0 { (inside, outside) } else { (outside, inside) };
        maker.kill();
        keeper.view(Access::ReadWrite).unwrap();
        assert_eq!(keeper.read(0, 30).unwrap(), "from the other side");
        Mapping::open(&name, Access::ReadWrite).unwrap();
        keeper.kill();
        common::until("the name is free", || Mapping::open(&name, Access::Read).is_err());
    }
}

/// Two containers with one volume as their /dev/shm: they see each other, and nobody else.
#[test]
fn a_directory_that_is_mounted_as_dev_shm() {
    let test = "a_directory_that_is_mounted_as_dev_shm";
    let volume = tempfile::Builder::new().prefix("volume-").tempdir_in("/dev/shm").expect("it takes directories");
    let path = volume.path().display();
    let rootless = if rustix::process::geteuid().is_root() { "" } else { "-r " };
    let flags = format!("{rootless}--mount --pid --fork --kill-child --mount-proc");
    let script = format!("chmod 1777 {path} && mount --bind {path} /dev/shm &&");
    let container = || Some(Agent::spawn(below(namespace(&flags, &script, test)?, &command("agent", &[]))));
    let (Some(mut one), Some(mut other)) = (container(), container()) else { return };
    let here = Place::new("volume");
    one.create(&here.name("x"), 4096).unwrap();
    one.view(Access::ReadWrite).unwrap();
    one.write(0, "in the volume").unwrap();
    other.open(&here.name("x"), Access::ReadWrite).unwrap();
    other.view(Access::Read).unwrap();
    assert_eq!(other.read(0, 20).unwrap(), "in the volume");
    assert_eq!(Mapping::open(&here.name("x"), Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
    let _ours = Mapping::create(&here.name("ours"), 4096).unwrap();
    refused(other.open(&here.name("ours"), Access::Read), ErrorKind::NotFound);
    one.kill();
    refused(other.create(&here.name("x"), 4096), ErrorKind::AlreadyExists);
    other.kill();
    // What the last of them left is in the volume until somebody there looks: a new one finds the name free. The one that was killed
    // is `unshare`; the program in it ends by that, some time later.
    let mut third = container().expect("it was possible before");
    common::until("the name is free", || match third.open(&here.name("x"), Access::Read) {
        Ok(_) => {
            third.close();
            false
        }
        gone => !refused(gone, ErrorKind::NotFound).is_empty(),
    });
    third.quit();
    assert_eq!(std::fs::read_dir(volume.path()).unwrap().count(), 0);
}

/// A user namespace changes who one is: `Local\` is another place, `Global\` the same under the same rights.
#[test]
fn another_user_namespace() {
    let test = "another_user_namespace";
    if !is_root(test) {
        return;
    }
    let here = Place::new("users");
    // As a descriptor, since its path may lead through folders of root's.
    let program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    rustix::io::fcntl_setfd(&program, rustix::io::FdFlags::empty()).unwrap();
    let program = format!("/proc/self/fd/{}", program.into_raw_fd());
    let inside = |uid: u32, flags: &str| {
        let mut wrapper = namespace(flags, "", test)?;
        as_user(&mut wrapper, uid);
        Some(Agent::spawn(below(wrapper, &command_of(&program, "agent", &[]))))
    };
    let (mut alice, mut bob) = (agent_as(ALICE), agent_as(BOB));
    let Some(mut root_inside) = inside(ALICE, "-U -r") else { return };
    alice.create(&here.name("x"), 4096).unwrap();
    refused(root_inside.open(&here.name("x"), Access::Read), ErrorKind::NotFound);
    root_inside.ask(&["create_shared", &here.global("y"), "4096", "600"]).unwrap();
    alice.open(&here.global("y"), Access::ReadWrite).unwrap();
    refused(bob.open(&here.global("y"), Access::Read), ErrorKind::AccessDenied);
    // Who calls himself root there takes nothing of the real one's.
    let _ours = Mapping::create(&here.name("ours"), 4096).unwrap();
    refused(root_inside.open(&here.name("ours"), Access::Read), ErrorKind::AccessDenied);
    refused(root_inside.create(&here.name("ours"), 4096), ErrorKind::AccessDenied);
    // Without a map all users have one number, and so one place for private names: what is another's is refused.
    let (mut alice_inside, mut bob_inside) =
        (inside(ALICE, "-U").expect("as before"), inside(BOB, "-U").expect("as before"));
    alice_inside.ask(&["create_shared", &here.name("z"), "4096", "666"]).unwrap();
    for access in [Access::Read, Access::ReadWrite] {
        refused(bob_inside.open(&here.name("z"), access), ErrorKind::AccessDenied);
    }
    refused(bob_inside.create(&here.name("z"), 4096), ErrorKind::AccessDenied);
    // Nor can he plant what all may write where she looks.
    let planted = format!("/dev/shm/coview.65534.{}", here.name("planted"));
    let file = common::linux::plant(&planted, 0o1666, &[b'?'; 4096]);
    std::os::unix::fs::fchown(&file, Some(BOB), Some(BOB)).unwrap();
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o1666)).unwrap();
    common::linux::lock(&file, Some(1 << 4));
    refused(alice_inside.open(&here.name("planted"), Access::Read), ErrorKind::AccessDenied);
    std::fs::remove_file(planted).unwrap();
    [alice, bob, root_inside, alice_inside, bob_inside].into_iter().for_each(Agent::quit);
}
