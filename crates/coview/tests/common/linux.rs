//! What tests need of Linux itself: forks, locks set by hand, other users, a /dev/shm of one's own.

#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::agent::Agent;
use super::command_of;

/// The first byte that holders lock, `docs/format.md`.
const BASE: i64 = 1 << 62;

/// Whether this is root; if not, says what is left out.
pub(crate) fn is_root(test: &str) -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        println!("note: {test} is left out, since it needs root");
    }
    root
}

/// Forks; whether this is the child. Only for a role, in a process that does nothing else.
pub(crate) fn fork() -> bool {
    // SAFETY: in a role no other thread of the process runs: libtest's main thread waits for it, holding no lock
    // that the child needs.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        pid => pid == 0,
    }
}

/// Ends this process without unwinding, dropping or flushing.
pub(crate) fn exit_now() -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(0) }
}

/// Sets a soft limit of this process.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole rlimit that lives as long as the call.
    let rc = unsafe { libc::getrlimit(resource, &raw mut limit) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
    limit.rlim_cur = value;
    // SAFETY: as above.
    let rc = unsafe { libc::setrlimit(resource, &raw const limit) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

/// The path of the local name `text` of this user.
pub(crate) fn path_of(text: &str) -> String {
    // SAFETY: geteuid takes nothing and cannot fail.
    format!("/dev/shm/coview.{}.{text}", unsafe { libc::geteuid() })
}

/// A file at `path` of this mode.
pub(crate) fn plant(path: &str, mode: u32, bytes: &[u8]) -> File {
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(path).expect("it can be made");
    std::io::Write::write_all(&mut &file, bytes).expect("it can be written");
    file.set_permissions(std::fs::Permissions::from_mode(mode)).expect("its owner may set the mode");
    file
}

/// As [`plant`], held as [`lock`] does. It gets its mode last: by that a sweep, and there is always one somewhere, knows what is ours,
/// and removes it if nobody holds it.
pub(crate) fn plant_held(path: &str, mode: u32, bytes: &[u8], variant: Option<u8>) -> File {
    let file = plant(path, 0o600, bytes);
    lock(&file, variant);
    file.set_permissions(std::fs::Permissions::from_mode(mode)).expect("its owner may set the mode");
    file
}

/// Locks byte `variant` of the holders' range for reading or, without one, the whole range for writing.
pub(crate) fn lock(file: &File, variant: Option<u8>) {
    let mut lock = libc::flock64 {
        l_type: if variant.is_some() { libc::F_RDLCK } else { libc::F_WRLCK } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: BASE + i64::from(variant.unwrap_or(0)),
        l_len: if variant.is_some() { 1 } else { 256 },
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and the pointer is to a whole flock that lives as long as the call.
    let rc = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

/// Lets the command run as another user, without groups of the old one. Paths it needs must be open to all.
pub(crate) fn as_user(command: &mut Command, uid: u32) -> &mut Command {
    command.uid(uid).gid(uid).current_dir("/") // as root, `uid` also clears the supplementary groups
}

/// This program for another user, wherever the program lies.
pub(crate) fn command_as(uid: u32, role: &str, args: &[&str]) -> Command {
    let mut command = command_of("/proc/self/exe", role, args);
    as_user(&mut command, uid);
    command
}

/// An agent of another user.
pub(crate) fn agent_as(uid: u32) -> Agent {
    Agent::spawn(command_as(uid, "agent", &[]))
}

/// The same command below another one, such as `unshare`.
pub(crate) fn below(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(key, value),
            None => wrapper.env_remove(key),
        };
    }
    wrapper
}

/// Runs the command in a mount namespace where /dev/shm is empty and of this size; `None`, and a note, where that
/// cannot be done.
pub(crate) fn private_shm(command: &Command, size: &str, test: &str) -> Option<Command> {
    // SAFETY: geteuid takes nothing and cannot fail.
    let how = if unsafe { libc::geteuid() } == 0 { "-m" } else { "-rm" };
    let mount = format!("mount -t tmpfs -o mode=1777,size={size} tmpfs /dev/shm");
    let works = Command::new("unshare").args([how, "sh", "-c", &mount]).status().is_ok_and(|status| status.success());
    if !works {
        println!("note: {test} is left out, since `unshare {how}` cannot mount a /dev/shm here");
        return None;
    }
    let mut wrapped = Command::new("unshare");
    wrapped.args([how, "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    Some(below(wrapped, command))
}
