//! How much memory there is to commit, and getting it without a later surprise.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::process::Resource;

use crate::sys::{Refusal, namespace};

/// Each `fallocate` takes at most this much, so that a signal does not undo seconds of work.
const CHUNK: u64 = 64 << 20;
/// From this size on we ask first whether the memory is there: a memory cgroup and an overfull machine do not
/// fail a request, they kill. Below it the question would cost more than the memory.
const ASK_FROM: u64 = 16 << 20;

/// Commits `[offset, offset + len)` of a file, in memory or on disk.
pub(crate) fn commit_file(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.checked_add(len).ok_or(Errno::FBIG)?;
    check_file_limit(end)?;
    let in_memory = is_tmpfs(fd);
    if len >= ASK_FROM {
        check_room(fd, len, in_memory)?;
    }
    let (mut done, mut swept) = (offset, !in_memory);
    while done < end {
        let step = (end - done).min(CHUNK);
        match rustix::fs::fallocate(fd, FallocateFlags::empty(), done, step) {
            Ok(()) => done += step,
            Err(Errno::INTR) => {}
            Err(Errno::NOSPC) if !swept => {
                let _ = namespace::sweep(false);
                swept = true;
            }
            Err(Errno::NOSPC) => return Err(no_room(fd, len)),
            Err(Errno::FBIG | Errno::DQUOT) => return Err(too_large(len)),
            Err(Errno::OPNOTSUPP) if !in_memory => return Ok(rustix::fs::ftruncate(fd, end)?),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a file this long without committing anything.
pub(super) fn lengthen(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    check_file_limit(len)?;
    match rustix::fs::ftruncate(fd, len) {
        Err(Errno::FBIG | Errno::INVAL) => Err(too_large(len)), // EINVAL: not even a file offset
        done => Ok(done?),
    }
}

/// Going on beyond the limit would be SIGXFSZ.
fn check_file_limit(len: u64) -> io::Result<()> {
    match rustix::process::getrlimit(Resource::Fsize).current {
        Some(limit) if len > limit => {
            Err(no_memory(len, &format!("this process may make files of {limit} bytes at most (`ulimit -f`)")))
        }
        _ => Ok(()),
    }
}

fn too_large(len: u64) -> io::Error {
    no_memory(len, "the file system allows no file so large; choose a smaller size")
}

fn is_tmpfs(fd: BorrowedFd<'_>) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    #[allow(clippy::unnecessary_cast)] // its width differs between architectures
    rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as i64 == TMPFS_MAGIC)
}

fn free_bytes(fd: BorrowedFd<'_>) -> Option<u64> {
    let fs = rustix::fs::fstatvfs(fd).ok()?;
    // A tmpfs without a limit, as a memfd stands on, has no blocks at all.
    (fs.f_blocks > 0).then(|| fs.f_bavail.saturating_mul(fs.f_frsize))
}

fn check_room(fd: BorrowedFd<'_>, len: u64, in_memory: bool) -> io::Result<()> {
    let short = || free_bytes(fd).is_some_and(|free| free < len);
    if short() {
        if in_memory {
            let _ = namespace::sweep(false);
        }
        if short() {
            return Err(no_room(fd, len));
        }
    }
    match available_memory() {
        Some((room, whose)) if in_memory && room < len => {
            Err(no_memory(len, &format!("{whose} has {room} bytes left")))
        }
        _ => Ok(()),
    }
}

fn no_room(fd: BorrowedFd<'_>, len: u64) -> io::Error {
    match free_bytes(fd) {
        Some(free) if is_tmpfs(fd) => no_memory(
            len,
            &format!(
                "/dev/shm has {free} bytes free; run `coview gc`, make it larger (`mount -o remount,size=…  /dev/shm`; \
                 in a container --shm-size), back the mapping by a file, or leave it without a name"
            ),
        ),
        Some(free) => no_memory(len, &format!("the file system has {free} bytes free; make room or use another one")),
        None => no_memory(len, "the file system is full"),
    }
}

pub(super) fn no_memory(len: u64, why: &str) -> io::Error {
    Refusal::NoMemory(format!("{len} bytes were asked for, but {why}")).into()
}

/// Bytes that can be committed before somebody is killed for them, and who sets that limit.
pub(crate) fn available_memory() -> Option<(u64, &'static str)> {
    let machine = machine_available().map(|bytes| (bytes, "the machine"));
    let group = cgroup_available().map(|bytes| (bytes, "this process's memory cgroup"));
    machine.into_iter().chain(group).min_by_key(|(bytes, _)| *bytes)
}

fn machine_available() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(field("MemAvailable:")? + field("SwapFree:").unwrap_or(0))
}

/// What the tightest of the control groups above this process leaves, version 1 or 2.
fn cgroup_available() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let number = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, max, current) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            list if list.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        let mut at = path.trim_end_matches('/');
        loop {
            let limit = number(format!("{root}{at}/{max}"));
            if let (Some(limit), Some(used)) = (limit, number(format!("{root}{at}/{current}"))) {
                let left = limit.saturating_sub(used);
                least = Some(least.map_or(left, |l| l.min(left)));
            }
            match at.rfind('/') {
                Some(cut) => at = &at[..cut],
                None => break,
            }
        }
    }
    least
}
