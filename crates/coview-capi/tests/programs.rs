//! Whole C and C++ programs: the header alone, every function, misuse, threads, the wrapper, examples, leaks.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{Peer, Workshop, package, run, there_is, unique};

/// What the header declares.
fn functions() -> BTreeSet<String> {
    let header = std::fs::read_to_string(package().join("include/coview.h")).unwrap();
    let code = header.lines().filter(|line| !line.starts_with(" *") && !line.starts_with('#'));
    let name = |line: &str| {
        let before = line.split('(').next()?;
        let name = before.rsplit([' ', '*']).next()?;
        (line.contains('(') && name.starts_with("coview_") && !line.starts_with("typedef")).then(|| name.to_owned())
    };
    code.filter_map(name).collect()
}

#[test]
fn the_header_stands_alone_in_every_language() {
    let workshop = Workshop::new();
    let include = package().join("include");
    let cases = [
        ("gcc", "c11", "coview.h"),
        ("gcc", "c17", "coview.h"),
        ("g++", "c++17", "coview.h"),
        ("g++", "c++20", "coview.h"),
        ("g++", "c++17", "coview.hpp"),
        ("g++", "c++20", "coview.hpp"),
    ];
    for (compiler, standard, header) in cases {
        let source = workshop.path().join(if compiler == "gcc" { "alone.c" } else { "alone.cpp" });
        std::fs::write(&source, format!("#include \"{header}\"\n#include \"{header}\"\nint nothing;\n")).unwrap();
        let mut command = Command::new(compiler);
        command.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]);
        run(command.arg("-I").arg(&include).arg(&source));
    }
}

#[test]
fn every_function_of_the_header_is_in_the_library() {
    let functions = functions();
    assert!(functions.len() > 80 && functions.contains("coview_wait_any"), "{functions:?}");
    let workshop = Workshop::new();
    let source = workshop.path().join("all.c");
    let all: Vec<String> = functions.iter().map(|name| format!("(any)&{name}")).collect();
    let text = format!(
        "#include \"coview.h\"\ntypedef void (*any)(void);\nvolatile any all[] = {{{}}};\nint main(void) {{ return all[0] == 0; }}\n",
        all.join(", ")
    );
    std::fs::write(&source, text).unwrap();
    let program = workshop.compile(source.to_str().unwrap(), &["-Wno-cast-function-type"]);
    run(&mut Command::new(program));
}

#[test]
fn misuse_is_told() {
    let program = Workshop::new();
    let misuse = program.compile("tests/c/misuse.c", &[]);
    assert_eq!(run(Command::new(misuse).arg(unique("misuse"))), "ok\n");
}

#[test]
fn threads_share_handles() {
    let workshop = Workshop::new();
    let threads = workshop.compile("tests/c/threads.c", &[]);
    assert_eq!(run(Command::new(threads).arg(unique("threads"))), "ok\n");
}

#[test]
fn the_wrapper_in_two_standards() {
    let workshop = Workshop::new();
    for standard in ["-std=c++17", "-std=c++20"] {
        let wrapper = workshop.compile("tests/c/wrapper.cpp", &[standard]);
        assert_eq!(run(Command::new(wrapper).arg(unique("wrapper"))), "ok\n");
    }
}

#[test]
fn a_struct_between_two_programs_in_cpp() {
    let workshop = Workshop::new();
    let student = workshop.compile("examples/student.cpp", &[]);
    let name = unique("student");
    let mut writer = Peer::start(&student, &["write", &name]);
    writer.says("until Return");
    assert_eq!(run(Command::new(&student).args(["read", &name])), "99041232 SecBug\n");
    writer.go_on();
    writer.ends();
    let late = Command::new(&student).args(["read", &name]).output().unwrap();
    assert!(!late.status.success() && String::from_utf8_lossy(&late.stderr).contains("no live object"));
}

#[test]
fn examples_are_short_and_work() {
    let workshop = Workshop::new();
    for example in ["publisher.c", "subscriber.c", "student.cpp"] {
        let source = std::fs::read_to_string(package().join("examples").join(example)).unwrap();
        assert!(source.lines().count() < 60, "{example}");
    }
    let publisher = workshop.compile("examples/publisher.c", &[]);
    let subscriber = workshop.compile("examples/subscriber.c", &[]);
    let name = unique("camera");
    let publishing = Peer::start(&publisher, &[&name]);
    publishing.says("published 1");
    let subscribing = Peer::start(&subscriber, &[&name]);
    let first = subscribing.line(); // of the history, the newest: there is one a second
    let picture = |number: i32| format!("picture {number}: 921600 bytes of {number}");
    let newest = (1..60).find(|number| first == picture(*number)).unwrap_or_else(|| panic!("{first}"));
    (2..=newest + 1).for_each(|number| publishing.says(&format!("published {number}")));
    subscribing.says(&picture(newest + 1));
    publishing.kill();
    while subscribing.line() != "the publisher died" {}
    subscribing.ends();
    let third = Peer::start(&publisher, &[&name]);
    third.says("published 1");
    coview::Event::open(&format!("{name}-stop")).unwrap().set().unwrap();
    third.ends();
}

#[test]
fn nothing_leaks_and_nothing_is_read_that_was_not_written() {
    if !there_is("valgrind") {
        println!("skipped: valgrind is not installed");
        return;
    }
    let workshop = Workshop::new();
    let mut programs = vec![workshop.compile("tests/c/misuse.c", &[]), workshop.compile("tests/c/threads.c", &[])];
    programs.push(workshop.compile("tests/c/wrapper.cpp", &[]));
    for program in programs {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
        valgrind.args(["--errors-for-leak-kinds=definite,indirect", "--fair-sched=yes"]);
        // Few rounds: where threads only spin in turn, they take long.
        assert_eq!(run(valgrind.arg(program).arg(unique("leaks")).arg("50")), "ok\n");
    }
}
