//! Win32 sources as they stand, compiled by gcc and g++, as pairs of processes; beside Rust programs and the command line.
#![cfg(target_os = "linux")]

mod win32_common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coview::{Access, ErrorKind, Mapping};
use win32_common::{PATIENCE, Runner, compile, compilers, folder, has, library};

fn native(name: &str) -> Runner {
    Runner { wine: None, folder: folder(name) }
}

/// S0: one process keeps a text for others.
fn share_memory(runner: &Runner, write: &Path, read: &Path) {
    assert_eq!(runner.run(read, &[]), ("OpenFileMapping failed (2)\n".into(), Some(1)));
    let writer = runner.start(write, &["-"]);
    assert_eq!(writer.line(), "written");
    assert_eq!(runner.run(read, &[]), ("This is a share memory\n".into(), Some(0)));
    writer.end();
    assert_eq!(runner.run(read, &[]).1, Some(1), "the name ends with its process");
}

/// S1: text in TCHAR, in a message box.
fn message_box(runner: &Runner, first: &Path, second: &Path, width: usize) {
    assert_eq!(runner.run(second, &["say"]), ("Could not open file mapping object (2).\n".into(), Some(1)));
    let holder = runner.start(first, &[]);
    assert_eq!(holder.line(), format!("ready: {width} bytes a character"));
    assert_eq!(runner.run(second, &["say"]), ("Process2: Message from first process\n".into(), Some(0)));
    if runner.wine.is_none() {
        assert_eq!(runner.run(second, &[]).0, "[Process2] Message from first process\n");
    }
    holder.end();
}

/// S2: on a file; copies, protections, beyond 4 GiB.
fn on_a_file(runner: &Runner, program: &Path) {
    let file = runner.folder.join("SharedMemory.bin");
    let _ = std::fs::remove_file(&file);
    let writer = runner.start(program, &[]);
    assert_eq!(writer.line(), "written");
    let (said, code) = runner.run(program, &["read"]);
    let expected = "read: bytes of the writer\nprivate: a private change, shared: bytes of the writer\n\
                    writing through a handle for reading: refused (5)\nbeyond 4 GiB: far out\n";
    assert_eq!((said.as_str(), code), (expected, Some(0)));
    writer.end();
    let bytes = std::fs::read(&file).expect("the file stays");
    assert_eq!(bytes.len(), 65536);
    assert!(bytes.starts_with(b"bytes of the writer\0") && bytes[100..].starts_with(b"bytes of the reader\0"));
    assert!(!bytes.windows(16).any(|part| part == b"a private change"), "a copy reaches no file");
}

/// S3: a struct, opened for reading.
fn student(runner: &Runner, write: &Path, read: &Path) {
    assert_eq!(runner.run(read, &[]).0, "OpenFileMapping failed: 2\n");
    let writer = runner.start(write, &[]);
    assert_eq!(writer.line(), "written");
    let (said, code) = runner.run(read, &[]);
    assert!(said.starts_with("99041232\nSecBug\nfor writing: refused 5\nPress any key to continue"), "{said}");
    assert_eq!(code, Some(0));
    writer.end();
}

/// S4: frames with word of them both ways, an inherited handle, the trap of the name.
fn images(runner: &Runner, program: &Path) {
    let (said, code) = runner.run(program, &[]);
    let expected = "a mutex of the mapping's name: refused (6)\npicture.bmp: 20 frames of 3145728 bytes\n";
    assert_eq!((said.as_str(), code), (expected, Some(0)));
}

#[test]
fn seed_0_share_memory_beside_rust_and_the_command_line() {
    let runner = native("s0");
    for compiler in compilers() {
        let write = compile(compiler, "seeds/s0_write.c", &[], &runner.folder);
        let read = compile(compiler, "seeds/s0_read.c", &[], &runner.folder);
        share_memory(&runner, &write, &read);

        let writer = runner.start(&write, &["-"]);
        assert_eq!(writer.line(), "written");
        let mapping = Mapping::open("ShareMemory", Access::ReadWrite).unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        let mut text = [0; 23];
        view.read(0, &mut text).unwrap();
        assert_eq!(&text, b"This is a share memory\0");
        view.write(0, b"From Rust\0").unwrap();
        assert_eq!(runner.run(&read, &[]).0, "From Rust\n");
        let listed = coview::inspect::find("ShareMemory").unwrap().expect("it is listed");
        assert_eq!(listed.name, r"Local\ShareMemory");
        command_line();
        drop((view, mapping));
        writer.kill();
        gone();

        let ours = Mapping::create("ShareMemory", 2048).unwrap();
        ours.view(Access::ReadWrite).unwrap().write(0, b"Rust made it\0").unwrap();
        assert_eq!(runner.run(&read, &[]).0, "Rust made it\n");
        drop(ours);
        gone();
    }
}

/// Waits until nobody has the name: a process that another test is starting has all that this one has, until it runs its program.
fn gone() {
    let begun = Instant::now();
    while !Mapping::open("ShareMemory", Access::Read).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        assert!(begun.elapsed() < PATIENCE, "it is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The program sees what is there, if it was built.
fn command_line() {
    let built = library().ancestors().take(2).map(|folder| folder.join("coview")).find(|program| program.is_file());
    let Some(coview) = built else {
        eprintln!("skipped: the command line is not built (`cargo build -p coview-cli`)");
        return;
    };
    let says = |arguments: &[&str]| {
        let output = Command::new(&coview).args(arguments).output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(says(&["read", "ShareMemory"]).contains("From Rust"), "{}", says(&["read", "ShareMemory"]));
    assert!(says(&["ls"]).contains(r"Local\ShareMemory"), "{}", says(&["ls"]));
}

#[test]
fn seed_1_a_message_narrow_and_wide() {
    let runner = native("s1");
    if !has("g++") {
        return;
    }
    let wide = ["-DUNICODE", "-D_UNICODE"];
    let short = ["-DUNICODE", "-D_UNICODE", "-fshort-wchar"];
    for (flags, width) in [(&[][..], 1), (&wide[..], 4), (&short[..], 2)] {
        let first = compile("g++", "seeds/s1_first.cpp", flags, &runner.folder);
        let second = compile("g++", "seeds/s1_second.cpp", flags, &runner.folder);
        message_box(&runner, &first, &second, width);
    }
}

#[test]
fn seed_2_on_a_file() {
    let runner = native("s2");
    for compiler in compilers() {
        on_a_file(&runner, &compile(compiler, "seeds/s2_file.c", &[], &runner.folder));
    }
}

#[test]
fn seed_3_a_struct() {
    let runner = native("s3");
    if !has("g++") {
        return;
    }
    let write = compile("g++", "seeds/s3_memwrite.cpp", &[], &runner.folder);
    student(&runner, &write, &compile("g++", "seeds/s3_memread.cpp", &[], &runner.folder));
}

#[test]
fn seed_4_images() {
    let runner = native("s4");
    if !has("g++") {
        return;
    }
    images(&runner, &compile("g++", "seeds/s4_image.cpp", &[], &runner.folder));
}

/// Every row of the conformance program; what it skips it names.
fn conforms(runner: &Runner, program: &Path) {
    let (said, code) = runner.run(program, &[]);
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("not ok")).collect();
    assert!(failed.is_empty() && code == Some(0), "{code:?} {failed:#?}\n{said}");
    let plan = said.lines().rev().find_map(|line| line.strip_prefix("1..")).expect("it comes to its end");
    let rows = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(plan.parse(), Ok(rows));
    said.lines().filter(|line| line.contains("# SKIP")).for_each(|line| println!("{line}"));
}

#[test]
fn conformance() {
    let runner = native("conformance");
    for compiler in compilers() {
        conforms(&runner, &compile(compiler, "conformance.c", &[], &runner.folder));
    }
}

/// The folder of a Wine of our own, made if it is not there.
fn wine() -> Option<PathBuf> {
    if std::env::var_os("COVIEW_TEST_WINE").is_none() {
        eprintln!("skipped: COVIEW_TEST_WINE=1 runs the same sources under Wine too (half a minute)");
        return None;
    }
    let tools = ["/usr/lib/wine/wine64", "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-g++"];
    if !tools.into_iter().all(has) {
        return None;
    }
    let prefix = folder("wine").join("prefix");
    let ready = prefix.join("coview-ready");
    if !ready.exists() {
        let runner = Runner { wine: Some(prefix.clone()), folder: folder("wine") };
        assert_eq!(runner.run(Path::new("wineboot"), &["-i"]).1, Some(0));
        // It goes on for a while after that; no program finds its libraries before.
        server(&prefix, "-w");
        std::fs::write(ready, "").expect("the prefix is ours");
    }
    Some(prefix)
}

fn server(prefix: &Path, what: &str) {
    let mut server = Command::new("/usr/lib/wine/wineserver64");
    server.arg(what).env("WINEPREFIX", prefix).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    server.status().expect("it is installed");
}

#[test]
fn the_same_sources_under_wine() {
    let Some(prefix) = wine() else { return };
    // One server for all programs, so that none meets one that is just ending; it ends with the test, or some time after its last program.
    server(&prefix, "-p60");
    let runner = Runner { wine: Some(prefix.clone()), folder: folder("wine") };
    let c = |source: &str| compile("x86_64-w64-mingw32-gcc", source, &[], &runner.folder);
    let cpp = |source: &str, flags: &[&str]| compile("x86_64-w64-mingw32-g++", source, flags, &runner.folder);
    conforms(&runner, &c("conformance.c"));
    share_memory(&runner, &c("seeds/s0_write.c"), &c("seeds/s0_read.c"));
    let wide = ["-DUNICODE", "-D_UNICODE", "-municode"];
    for (flags, width) in [(&[][..], 1), (&wide[..], 2)] {
        message_box(&runner, &cpp("seeds/s1_first.cpp", flags), &cpp("seeds/s1_second.cpp", flags), width);
    }
    on_a_file(&runner, &c("seeds/s2_file.c"));
    student(&runner, &cpp("seeds/s3_memwrite.cpp", &[]), &cpp("seeds/s3_memread.cpp", &[]));
    images(&runner, &cpp("seeds/s4_image.cpp", &[]));
    server(&prefix, "-k");
}
