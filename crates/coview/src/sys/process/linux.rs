//! Processes on Linux, as /proc shows them to this user.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Holder;

/// The name of a user, or the number if it has none.
pub(crate) fn user_name(uid: u32) -> String {
    let mut buffer = vec![0; 4096];
    let mut found = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut result = std::ptr::null_mut();
    let (entry, room, len) = (found.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len());
    // SAFETY: all pointers are valid for the call, and `len` is the room behind `room` (getpwuid_r(3)).
    let rc = unsafe { libc::getpwuid_r(uid, entry, room, len, &raw mut result) };
    if rc != 0 || result.is_null() {
        return uid.to_string();
    }
    // SAFETY: a non-null result points to the filled entry.
    let name = unsafe { (*result).pw_name };
    // SAFETY: the entry's name is a C string inside `buffer`, which is still there.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// Numbers of all processes that /proc shows.
pub(crate) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub(crate) fn program(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "?".into(), |name| name.trim_end().to_owned())
}

/// The process a thread belongs to.
pub(crate) fn process_of_thread(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// A path under /proc that opens the file with this identity, if some process has it open.
pub(crate) fn find_descriptor(dev: u64, ino: u64) -> Option<PathBuf> {
    let descriptors = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).ok();
    let fits = |path: &Path| fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (dev, ino));
    pids().into_iter().filter_map(descriptors).flatten().flatten().map(|entry| entry.path()).find(|path| fits(path))
}

/// One descriptor or mapped range of some process that leads to shared memory.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) pid: u32,
    /// What the kernel calls the file: `/dev/shm/x`, `/memfd:x (deleted)`, `/SYSV00000000 (deleted)`.
    pub(crate) path: String,
    /// Every tmpfs counts its inodes from 1: only together do the two tell files apart.
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) what: Seen,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    /// `locked`: it carries a read lock, as a hold on a name does and somebody's look at it does not.
    Handle {
        writable: bool,
        locked: bool,
    },
    View {
        len: u64,
    },
}

fn is_shared_memory(path: &str) -> bool {
    ["/dev/shm/", "/memfd:", "/SYSV", "/dev/zero (deleted)"].iter().any(|prefix| path.starts_with(prefix))
}

/// Everything that processes visible to this user have open or mapped of shared memory.
pub(crate) fn sightings() -> Vec<Sighting> {
    let mut all = Vec::new();
    for pid in pids() {
        see_handles(pid, &mut all);
        see_views(pid, &mut all);
    }
    all
}

fn see_handles(pid: u32, all: &mut Vec<Sighting>) {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let path = target.to_string_lossy().into_owned();
        if !is_shared_memory(&path) {
            continue;
        }
        let Ok(meta) = fs::metadata(entry.path()) else {
            continue;
        };
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy()));
        let info = info.unwrap_or_default();
        let flags = info.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
        let writable = flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY);
        let locked = info.lines().any(|line| line.starts_with("lock:") && line.contains("READ"));
        all.push(Sighting { pid, path, dev: meta.dev(), ino: meta.ino(), what: Seen::Handle { writable, locked } });
    }
}

/// Lines of /proc/PID/maps: `start-end perms offset dev inode path`.
fn see_views(pid: u32, all: &mut Vec<Sighting>) {
    let Ok(maps) = fs::read(format!("/proc/{pid}/maps")) else {
        return;
    };
    for line in String::from_utf8_lossy(&maps).lines() {
        let mut fields = line.splitn(6, ' ');
        let (Some(range), Some(_), Some(_), Some(dev), Some(ino)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let path = fields.next().unwrap_or_default().trim_start();
        if !is_shared_memory(path) {
            continue;
        }
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else {
            continue;
        };
        let what = Seen::View { len: end.saturating_sub(start) };
        let dev = dev.split_once(':').and_then(|(major, minor)| {
            let number = |text| u32::from_str_radix(text, 16).ok();
            Some(libc::makedev(number(major)?, number(minor)?))
        });
        let (dev, ino) = (dev.unwrap_or(0), ino.parse().unwrap_or(0));
        all.push(Sighting { pid, path: path.to_owned(), dev, ino, what });
    }
}

/// Who has what `fits` is looking for, one row a process.
pub(crate) fn holders(sightings: &[Sighting], fits: impl Fn(&Sighting) -> bool) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for seen in sightings.iter().filter(|seen| fits(seen)) {
        let at = holders.iter().position(|holder| holder.pid == seen.pid).unwrap_or_else(|| {
            let program = program(seen.pid);
            holders.push(Holder { pid: seen.pid, program, handles: 0, writable: false, views: Some(0) });
            holders.len() - 1
        });
        match seen.what {
            Seen::Handle { writable, .. } => {
                holders[at].handles += 1;
                holders[at].writable |= writable;
            }
            Seen::View { .. } => holders[at].views = holders[at].views.map(|views| views + 1),
        }
    }
    holders
}
