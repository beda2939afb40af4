//! Our library and raw Win32 programs (tests/win32) at the same objects, between processes.
#![cfg(windows)]

mod common;

use std::os::windows::io::AsRawHandle;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Child;
use common::place::Place;
use coview::os::windows::handle;
use coview::{Access, ErrorKind, Mapping, MappingOptions, Protection};

#[track_caller]
fn kind<T: std::fmt::Debug>(result: coview::Result<T>) -> ErrorKind {
    result.expect_err("this should have been refused").kind()
}

/// A program of tests/win32; `None` (with a note) if nobody has compiled them.
fn program(name: &str) -> Option<Command> {
    let Some(programs) = std::env::var_os("COVIEW_WIN32_PROGRAMS") else {
        eprintln!("skipped: COVIEW_WIN32_PROGRAMS does not say where {name}.exe is (`cargo xtask windows` does)");
        return None;
    };
    Some(Command::new(PathBuf::from(programs).join(format!("{name}.exe"))))
}

/// What a program says on its one line, or the code it exits with.
fn hear_all(command: &mut Command) -> Result<String, i32> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = common::start(command).and_then(std::process::Child::wait_with_output).expect("the program starts");
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim_start_matches('@').trim_end().to_owned()),
        code => Err(code.expect("it ends by itself")),
    }
}

#[test]
fn other_kinds_have_the_name() {
    let here = Place::new("kinds");
    for (word, expected) in [
        ("mutex", ErrorKind::WrongKind),
        ("event", ErrorKind::WrongKind),
        ("semaphore", ErrorKind::WrongKind),
        ("timer", ErrorKind::AccessDenied),
        ("job", ErrorKind::AccessDenied),
    ] {
        let Some(mut command) = program("other_kind") else {
            return;
        };
        let name = here.name(word);
        command.args([word, &name]);
        let mut other = Child::spawn(command);
        other.expect("made");
        for refusal in [Mapping::create(&name, 1), Mapping::open(&name, Access::Read)] {
            let error = refusal.unwrap_err();
            assert_eq!(error.kind(), expected, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
        other.wait();
        Mapping::create(&name, 1).unwrap();
    }
}

#[test]
fn a_win32_program_writes_and_we_read() {
    let here = Place::new("c-writes");
    let name = here.name("ShareMemory");
    let Some(mut command) = program("mem_write") else {
        return;
    };
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
    command.args([&name, "2048", "This is a share memory"]);
    let mut writer = Child::spawn(command);
    writer.expect("0");
    let mapping = Mapping::open(&name, Access::ReadWrite).unwrap();
    assert_eq!(mapping.size(), 4096);
    let mut text = [0; 23];
    mapping.view(Access::Read).unwrap().read(0, &mut text).unwrap();
    assert_eq!(&text, b"This is a share memory\0");
    // Its end, however it comes, takes nothing from us; ours then ends the name.
    writer.kill();
    assert_eq!(Mapping::open(&name, Access::Read).unwrap().size(), 4096);
    drop(mapping);
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
}

#[test]
fn a_killed_win32_program_leaves_nothing() {
    let here = Place::new("c-killed");
    let name = here.name("x");
    let Some(mut command) = program("mem_write") else {
        return;
    };
    command.args([&name, "2048", "text"]);
    let mut writer = Child::spawn(command);
    writer.expect("0");
    Mapping::open(&name, Access::Read).unwrap();
    writer.kill();
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
    let fresh = Mapping::create(&name, 2048).unwrap();
    let mut bytes = [1; 4];
    fresh.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
}

#[test]
fn we_write_and_a_win32_program_reads() {
    let here = Place::new("c-reads");
    let name = here.name("ShareMemory");
    let Some(mut absent) = program("mem_read") else {
        return;
    };
    assert_eq!(hear_all(absent.arg(&name)), Err(2));
    let mapping = Mapping::create(&name, 2048).unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    view.write(0, b"from Rust\0").unwrap();
    let read = |args: &[&str]| hear_all(program("mem_read").expect("it was there").args(args));
    assert_eq!(read(&[&name]).as_deref(), Ok("from Rust"));
    assert_eq!(read(&[&format!(r"Local\{name}"), "and back"]).as_deref(), Ok("from Rust"));
    let mut answer = [0; 9];
    view.read(10, &mut answer).unwrap();
    assert_eq!(&answer, b"and back\0");
    let mut join = program("mem_write").expect("it was there");
    join.args([&name, "2048", "from C"]);
    let mut join = Child::spawn(join);
    join.expect("183");
    assert_eq!(read(&[&name]).as_deref(), Ok("from C"));
    join.wait();
    drop((view, mapping));
    assert_eq!(read(&[&name]), Err(2));
}

#[test]
fn win32_programs_cannot_write_what_is_for_readers() {
    let here = Place::new("c-denied");
    let name = here.name("x");
    let Some(mut write) = program("mem_write") else {
        return;
    };
    let _mapping = MappingOptions::new().size(4096).protection(Protection::ReadOnly).create(&name).unwrap();
    assert_eq!(hear_all(write.args([&name, "1", "text"])), Err(5));
    let mut read = program("mem_read").expect("it was there");
    assert_eq!(hear_all(read.args([&name, "answer"])), Err(5));
    let mut read = program("mem_read").expect("it was there");
    assert_eq!(hear_all(read.arg(&name)).as_deref(), Ok(""));
}

#[test]
fn a_win32_program_inherits_a_handle() {
    let Some(mut with) = program("mem_read") else {
        return;
    };
    let mapping = MappingOptions::new().size(4096).inheritable(true).create_unnamed().unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"handed down\0").unwrap();
    let value = |mapping: &Mapping| format!("{:x}", handle(mapping).as_raw_handle().addr());
    assert_eq!(hear_all(with.args(["handle", &value(&mapping)])).as_deref(), Ok("handed down"));
    let private = MappingOptions::new().size(4096).create_unnamed().unwrap();
    let mut without = program("mem_read").expect("it was there");
    assert_eq!(hear_all(without.args(["handle", &value(&private)])), Err(6));
    let mut handed = program("mem_read").expect("it was there");
    private.hand_to(&mut handed, "x").unwrap();
    assert_eq!(hear_all(handed.args(["handle", &value(&private)])).as_deref(), Ok(""));
}
