//! How long an object lives: handles and views, processes that end and are killed, handing over.
//!
//! Handles whose end matters are held by agents: in this program some other test may be starting a process at that
//! moment, which on Linux holds everything until its exec.

mod common;

use common::agent::{Agent, Answer, refused};
use common::place::Place;
use common::{Child, command};
use coview::{Access, ErrorKind, Mapping, MappingOptions};

#[test]
fn child() {
    common::child(&[("bequeath", bequeath), ("leave", leave)]);
}

/// A process that has made `name` and written `text` through a view that it keeps.
fn maker(name: &str, text: &str) -> Agent {
    let mut maker = Agent::start();
    maker.create(name, 8192).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    maker.view(Access::ReadWrite).expect("it can be mapped");
    maker.write(0, text).expect("it can be written");
    maker
}

/// A process that has `name` open and mapped.
fn holder(name: &str) -> Agent {
    let mut holder = Agent::start();
    holder.open(name, Access::ReadWrite).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    holder.view(Access::ReadWrite).expect("it can be mapped");
    holder
}

fn text(agent: &mut Agent) -> String {
    agent.read(0, 4096).expect("it can be read")
}

/// The name is free, and what is made now starts from nothing.
fn is_gone(name: &str) {
    let mut next = Agent::start();
    refused(next.open(name, Access::Read), ErrorKind::NotFound);
    assert_eq!(next.create(name, 20_000).expect("the name is free"), "20480 rw");
    next.view(Access::Read).expect("it can be mapped");
    for offset in [0, 4096, 8192, 16_384] {
        assert_eq!(next.read(offset, 4096).expect("it can be read"), "");
    }
    next.quit();
}

/// As [`is_gone`], once a holder has ended that is not this process's child.
fn ends(name: &str) {
    let mut last = Agent::start();
    common::until("its holder has ended", || match last.open(name, Access::Read) {
        Ok(_) => {
            last.close();
            false
        }
        Err(_) => true,
    });
    is_gone(name);
}

#[test]
fn the_last_handle_ends_the_object() {
    let here = Place::new("last-handle");
    for name in [here.name("x"), here.global("x")] {
        let mut first = maker(&name, "contents");
        let mut second = holder(&name);
        first.unview();
        first.close();
        assert_eq!(text(&mut second), "contents");
        refused(first.create(&name, 1), ErrorKind::AlreadyExists);
        let third = holder(&name);
        second.unview();
        second.close();
        third.quit();
        is_gone(&name);
    }
}

#[test]
fn a_view_keeps_the_name() {
    let here = Place::new("view-keeps");
    let name = here.name("x");
    let mut first = maker(&name, "kept by a view");
    first.close();
    let mut second = holder(&name);
    assert_eq!(text(&mut second), "kept by a view");
    second.unview();
    second.close();
    refused(second.create(&name, 1), ErrorKind::AlreadyExists);
    first.unview();
    is_gone(&name);
}

#[test]
fn one_of_two_handles_is_enough() {
    let here = Place::new("clone");
    let name = here.name("x");
    let mut first = maker(&name, "twice");
    assert_eq!(first.ask(&["clone"]).unwrap(), "8192 rw");
    first.unview();
    first.close();
    let mut second = holder(&name);
    assert_eq!(text(&mut second), "twice");
    second.quit();
    first.view(Access::ReadWrite).unwrap();
    assert_eq!(text(&mut first), "twice");
    first.unview();
    first.close();
    is_gone(&name);
}

#[test]
fn the_maker_is_killed_and_another_holds() {
    let here = Place::new("maker-killed");
    for name in [here.name("x"), here.global("x")] {
        let first = maker(&name, "survives");
        let mut second = holder(&name);
        first.kill();
        let mut third = holder(&name);
        assert_eq!(text(&mut third), "survives");
        refused(third.create(&name, 1), ErrorKind::AlreadyExists);
        second.close(); // the view is left
        third.kill();
        let mut fourth = holder(&name);
        assert_eq!(text(&mut fourth), "survives");
        second.kill();
        fourth.quit();
        is_gone(&name);
    }
}

#[test]
fn the_only_holder_is_killed() {
    let here = Place::new("sole-killed");
    for name in [here.name("x"), here.global("x")] {
        maker(&name, "lost").kill();
        is_gone(&name);
        let mut only_a_view = maker(&name, "lost too");
        only_a_view.close();
        only_a_view.kill();
        is_gone(&name);
    }
}

#[test]
fn a_name_can_be_killed_a_hundred_times() {
    let here = Place::new("hundred");
    let name = here.name("x");
    let mut survivor = Agent::start();
    for round in 0..100 {
        let first = maker(&name, &format!("round {round}"));
        if round % 2 == 0 {
            survivor.open(&name, Access::Read).unwrap();
            first.kill();
            survivor.view(Access::Read).unwrap();
            assert_eq!(text(&mut survivor), format!("round {round}"));
            survivor.unview();
            survivor.close();
        } else {
            first.kill();
        }
        refused(survivor.open(&name, Access::Read), ErrorKind::NotFound);
    }
}

#[test]
fn contents_go_from_hand_to_hand() {
    let here = Place::new("relay");
    let name = here.name("x");
    let mut runner = maker(&name, "0");
    for lap in 1..20 {
        let mut next = holder(&name);
        assert_eq!(text(&mut next), (lap - 1).to_string());
        next.write(0, &lap.to_string()).unwrap();
        if lap % 2 == 0 {
            runner.kill()
        } else {
            runner.quit()
        }
        runner = next;
    }
    runner.quit();
    is_gone(&name);
}

/// Makes an object and ends in the way it is told to, without closing anything.
fn leave(args: &[String]) {
    let [how, name] = args else { panic!("two arguments") };
    let mapping = Mapping::create(name, 8192).expect("the name is free");
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    view.write(0, b"left behind").expect("it can be written");
    match &**how {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        _ => panic!("dropped while unwinding, as it was told"),
    }
}

#[test]
fn however_a_process_ends_its_objects_end_with_it() {
    let here = Place::new("leave");
    for how in ["exit", "abort", "panic"] {
        let name = here.name(how);
        let mut command = command("leave", &[how, &name]);
        command.stderr(std::process::Stdio::null());
        assert_eq!(Child::spawn(command).ended().success(), how == "exit");
        is_gone(&name);
    }
}

/// Makes an object, lets a child inherit it, and ends. The child is an agent on this process's own pipes.
#[allow(clippy::zombie_processes)] // the heir is meant to outlive this process
fn bequeath(args: &[String]) {
    let [what, name, file] = args else { panic!("three arguments") };
    let options = MappingOptions::new().size(8192);
    let mapping = match &**what {
        "unnamed" => options.create_unnamed(),
        "file" => options.file(file).create(name),
        "inheritable" => options.inheritable(true).create(name),
        _ => options.create(name),
    };
    let mut mapping = mapping.expect("the name is free");
    mapping.view(Access::ReadWrite).expect("it can be mapped").write(0, b"heirloom").expect("it can be written");
    if what == "read-only" {
        mapping = Mapping::open(name, Access::Read).expect("it is there");
    }
    let mut heir = command("agent", &[]);
    if !matches!(&**what, "inheritable" | "nothing") {
        mapping.hand_to(&mut heir, "heirloom").expect("it can be handed over");
    }
    heir.spawn().expect("the heir starts");
}

/// The heir of a process that has ended, and its answer when it was told to take what it inherited.
fn heir(what: &str, name: &str, file: &str) -> (Agent, Answer) {
    let mut heir = Agent::spawn(command("bequeath", &[what, name, file]));
    assert!(heir.0.ended().success());
    let answer = heir.inherited("heirloom");
    (heir, answer)
}

#[test]
fn a_child_keeps_what_it_was_handed() {
    let here = Place::new("heir-named");
    let path = here.file("bytes.bin", b"");
    for what in ["named", "file"] {
        let name = here.name(what);
        let (mut heir, answer) = heir(what, &name, &path.to_string_lossy());
        assert_eq!(answer.unwrap(), "8192 rw");
        let mut guest = holder(&name); // the name lives on
        assert_eq!(text(&mut guest), "heirloom");
        heir.view(Access::ReadWrite).unwrap();
        heir.write(0, "passed on").unwrap();
        assert_eq!(text(&mut guest), "passed on");
        refused(guest.create(&name, 1), ErrorKind::AlreadyExists);
        guest.quit();
        drop(heir); // hangs up on it; it ends by itself
        ends(&name);
    }
    assert_eq!(&std::fs::read(&path).unwrap()[..10], b"passed on\0");
}

#[test]
fn a_child_keeps_what_has_no_name() {
    let (mut heir, answer) = heir("unnamed", "-", "-");
    assert_eq!(answer.unwrap(), "8192 rw");
    heir.view(Access::ReadWrite).unwrap();
    assert_eq!(text(&mut heir), "heirloom");
    heir.write(8190, "ok").unwrap();
    // It can be taken again: the same memory.
    heir.inherited("heirloom").unwrap();
    heir.view(Access::Read).unwrap();
    assert_eq!(heir.read(8190, 2).unwrap(), "ok");
}

#[test]
fn what_was_handed_over_for_reading_stays_so() {
    let here = Place::new("heir-read");
    let name = here.name("x");
    let (mut heir, answer) = heir("read-only", &name, "-");
    assert_eq!(answer.unwrap(), "8192 rw"); // the object's protection; the handle is another matter
    refused(heir.view(Access::ReadWrite), ErrorKind::AccessDenied);
    heir.view(Access::Read).unwrap();
    assert_eq!(text(&mut heir), "heirloom");
    refused(heir.write(0, "x"), ErrorKind::AccessDenied);
    heir.view(Access::CopyOnWrite).unwrap();
    heir.write(0, "private").unwrap();
}

#[test]
fn an_inheritable_handle_holds_the_object_in_every_child() {
    let here = Place::new("inheritable");
    let name = here.name("x");
    let (heir, answer) = heir("inheritable", &name, "-");
    refused(answer, ErrorKind::NotFound); // nobody told it which handle it is
    let mut guest = holder(&name);
    assert_eq!(text(&mut guest), "heirloom");
    guest.quit();
    drop(heir);
    ends(&name);
}

#[test]
fn other_handles_are_not_inherited() {
    let here = Place::new("not-inherited");
    let name = here.name("x");
    let (_heir, answer) = heir("nothing", &name, "-");
    refused(answer, ErrorKind::NotFound);
    is_gone(&name);
}

#[test]
fn keys_of_handing_over() {
    let mapping = MappingOptions::new().size(1).create_unnamed().unwrap();
    for key in ["", "a b", "a=b", "ä", "a\0"] {
        let error = mapping.hand_to(&mut command("agent", &[]), key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key:?}");
        assert_eq!(Mapping::inherited(key).unwrap_err().kind(), ErrorKind::InvalidInput, "{key:?}");
    }
    let error = Mapping::inherited("nothing_of_that_key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing_of_that_key"), "{error}");
}

#[test]
fn a_child_may_be_handed_several() {
    let here = Place::new("several");
    let mut command = command("agent", &[]);
    let mappings: Vec<Mapping> = (1..=20)
        .map(|i| {
            let options = MappingOptions::new().size(i * 4096);
            let mapping =
                if i % 2 == 0 { options.create(&here.name(&i.to_string())) } else { options.create_unnamed() };
            let mapping = mapping.unwrap();
            mapping.hand_to(&mut command, &format!("number_{i}")).unwrap();
            mapping
        })
        .collect();
    let mut heir = Agent::spawn(command);
    drop(mappings);
    for i in 1..=20 {
        assert_eq!(heir.inherited(&format!("number_{i}")).unwrap(), format!("{} rw", i * 4096));
        heir.view(Access::ReadWrite).unwrap();
        heir.write(0, &i.to_string()).unwrap();
    }
    heir.quit();
}
