//! What `cargo xtask install` puts in place, as C programs find it: pkg-config, CMake, shared and static.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use common::{package, run, there_is, unique};

/// The prefix, with the libraries that the tests are built with.
static INSTALLED: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("a prefix");
    let built = std::env::current_exe().unwrap();
    let mut install = Command::new(env!("CARGO"));
    install.current_dir(package()).args(["xtask", "install", "--prefix"]).arg(&prefix);
    install.arg("--from").arg(built.parent().unwrap());
    // Twice: over what is there.
    run(&mut install);
    run(&mut install);
    (folder, prefix)
});

fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(arguments).env("PKG_CONFIG_PATH", INSTALLED.1.join("lib/pkgconfig"));
    // Blanks in a path are escaped.
    let marked = run(&mut command).replace("\\ ", "\u{1}");
    marked.split_whitespace().map(|word| word.replace('\u{1}', " ")).collect()
}

fn works(program: &Path) {
    let lib = INSTALLED.1.join("lib");
    assert_eq!(run(Command::new(program).arg(unique("installed")).env("LD_LIBRARY_PATH", lib)), "ok\n");
}

#[test]
fn everything_is_in_its_place() {
    let prefix = &INSTALLED.1;
    for file in ["include/coview.h", "include/coview.hpp", "lib/libcoview.a", "lib/cmake/coview/coviewConfig.cmake"] {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    let link = std::fs::read_link(prefix.join("lib/libcoview.so")).unwrap();
    assert_eq!(link, Path::new("libcoview.so.0"));
    let whole = std::fs::canonicalize(prefix.join("lib/libcoview.so")).unwrap();
    assert!(whole.ends_with(concat!("libcoview.so.", env!("CARGO_PKG_VERSION"))), "{}", whole.display());
    assert_eq!(package().join("include/win32").is_dir(), prefix.join("include/coview/win32").is_dir());
}

#[test]
fn pkg_config_finds_the_shared_library() {
    if !there_is("pkg-config") {
        println!("skipped: pkg-config is not installed");
        return;
    }
    let program = INSTALLED.0.path().join("shared");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-o"]).arg(&program).arg(package().join("tests/c/misuse.c"));
    run(gcc.args(pkg_config(&["--cflags", "--libs", "coview"])));
    let needed = run(Command::new("ldd").arg(&program).env("LD_LIBRARY_PATH", INSTALLED.1.join("lib")));
    assert!(needed.contains("libcoview.so.0 => "), "{needed}");
    works(&program);
    assert_eq!(pkg_config(&["--modversion", "coview"]), [env!("CARGO_PKG_VERSION")]);
    assert!(pkg_config(&["--cflags", "coview-win32"]).iter().any(|flag| flag.ends_with("include/coview/win32")));
}

#[test]
fn pkg_config_knows_what_the_static_library_needs() {
    if !there_is("pkg-config") {
        println!("skipped: pkg-config is not installed");
        return;
    }
    let program = INSTALLED.0.path().join("static");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-o"]).arg(&program).arg(package().join("tests/c/misuse.c"));
    gcc.args(pkg_config(&["--cflags", "coview"])).arg(INSTALLED.1.join("lib/libcoview.a"));
    let needs = pkg_config(&["--static", "--libs-only-l", "coview"]);
    run(gcc.args(needs.iter().filter(|flag| *flag != "-lcoview")));
    let needed = run(Command::new("ldd").arg(&program));
    assert!(!needed.contains("libcoview"), "{needed}");
    works(&program);
}

#[test]
fn cmake_finds_both() {
    if !there_is("cmake") {
        println!("skipped: cmake is not installed");
        return;
    }
    let project = INSTALLED.0.path().join("project");
    std::fs::create_dir(&project).unwrap();
    let source = package().join("tests/c/misuse.c");
    let text = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(test C)\nfind_package(coview 0.1 REQUIRED)\n\
         add_executable(shared \"{0}\")\ntarget_link_libraries(shared coview::coview)\n\
         add_executable(static \"{0}\")\ntarget_link_libraries(static coview::coview-static)\n",
        source.display()
    );
    std::fs::write(project.join("CMakeLists.txt"), text).unwrap();
    let build = project.join("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&project).arg("-B").arg(&build);
    run(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", INSTALLED.1.display())));
    run(Command::new("cmake").arg("--build").arg(&build));
    works(&build.join("shared"));
    works(&build.join("static"));
}
