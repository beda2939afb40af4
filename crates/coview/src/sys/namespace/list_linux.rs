//! What there is on this machine: our objects, POSIX and System V segments, anonymous shared memory.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};

use super::linux::{GLOBAL_PREFIX, State, files, for_each_file, local_prefix, state};
use super::{Entry, Kind, Origin, Variant};
use crate::sys::process::{Seen, Sighting, holders, sightings, user_name};
use crate::sys::{mapping, object};

/// All named objects this user sees; with `everything` also the shared memory of others.
pub(crate) fn list(everything: bool) -> io::Result<Vec<Entry>> {
    let seen = sightings();
    let mut entries = Vec::new();
    let mut found = Vec::new();
    files(|slot, name, cut| found.push((slot, name, cut)))?;
    for (slot, name, name_is_cut) in found {
        let file = slot.file_name().to_owned();
        if let Some(entry) = named(&file, name, name_is_cut, &seen) {
            entries.push(entry);
        }
    }
    if everything {
        posix(&seen, &mut entries)?;
        system_v(&seen, &mut entries);
        anonymous(&seen, &mut entries);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn of_stat(name: String, origin: Origin, stat: &rustix::fs::Stat) -> Entry {
    let changed = u64::try_from(stat.st_ctime).ok().map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
    Entry {
        size: Some(stat.st_size as u64),
        resident: Some(stat.st_blocks as u64 * 512),
        owner: Some(user_name(stat.st_uid)),
        mode: Some(stat.st_mode & 0o777),
        changed,
        ..Entry::bare(name, origin)
    }
}

/// By inode alone: a file that was made without a name is shown under no name by those who made it. Of a named object
/// of ours a handle without a lock is only somebody's look at it.
fn holders_of_file(seen: &[Sighting], stat: &rustix::fs::Stat, ours: bool) -> Vec<crate::sys::process::Holder> {
    #[allow(clippy::unnecessary_cast)] // their widths differ between architectures
    let file = (stat.st_dev as u64, stat.st_ino as u64);
    let looks = |seen: &Sighting| ours && matches!(seen.what, Seen::Handle { locked: false, .. });
    holders(seen, |seen| (seen.dev, seen.ino) == file && seen.path.starts_with("/dev/shm/") && !looks(seen))
}

fn named(file: &str, name: String, name_is_cut: bool, seen: &[Sighting]) -> Option<Entry> {
    let path = format!("/dev/shm/{file}");
    let stat = rustix::fs::lstat(&path).ok()?; // gone since it was listed
    let mut entry = of_stat(name, Origin::Named(Kind::Mapping), &stat);
    entry.name_is_cut = name_is_cut;
    entry.holders = holders_of_file(seen, &stat, true);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(fd) = rustix::fs::open(&path, flags, Mode::empty()) else {
        return Some(entry);
    };
    match state(fd.as_fd()).ok()? {
        State::Dead => entry.stale = true,
        State::Moving => {}
        State::Held(variant) => describe(&mut entry, variant, fd.as_fd()),
    }
    Some(entry)
}

fn describe(entry: &mut Entry, variant: Variant, fd: std::os::fd::BorrowedFd<'_>) {
    entry.origin = variant.kind().map_or(entry.origin, Origin::Named);
    let Some(kind) = variant.kind() else { return };
    if kind != Kind::Mapping {
        entry.sync = object::peek(kind, fd).ok();
        return;
    }
    let Ok(shape) = mapping::shape(variant, fd) else {
        return;
    };
    entry.protection = Some(shape.protection.word());
    entry.reserved = shape.reserved;
    entry.size = Some(shape.size);
    if let Some(file) = shape.file {
        entry.resident = None;
        entry.file = Some(file.to_string_lossy().into_owned());
    }
}

fn posix(seen: &[Sighting], entries: &mut Vec<Entry>) -> io::Result<()> {
    let local = local_prefix();
    for_each_file(|file| {
        if file == "." || file == ".." || file.starts_with(&local) || file.starts_with(GLOBAL_PREFIX) {
            return;
        }
        let path = format!("/dev/shm/{file}");
        let Ok(stat) = rustix::fs::lstat(&path) else {
            return;
        };
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return;
        }
        let mut entry = of_stat(format!("posix:/{file}"), Origin::Posix, &stat);
        entry.holders = holders_of_file(seen, &stat, false);
        entries.push(entry);
    })
}

/// /proc/sysvipc/shm: key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap.
fn system_v(seen: &[Sighting], entries: &mut Vec<Entry>) {
    let Ok(table) = std::fs::read_to_string("/proc/sysvipc/shm") else {
        return;
    };
    for line in table.lines().skip(1) {
        let fields: Vec<i64> = line.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let [key, id, mode, size, _, _, _, uid, _, _, _, _, _, ctime, rss, ..] = fields[..] else {
            continue;
        };
        let name = match key {
            0 => format!("sysv:id={id}"),
            key => format!("sysv:{:#x}", key as u32),
        };
        // The table prints the mode in octal digits.
        let mode = u32::from_str_radix(&mode.to_string(), 8).ok().map(|mode| mode & 0o777);
        entries.push(Entry {
            size: Some(size as u64),
            resident: Some(rss as u64),
            owner: Some(user_name(uid as u32)),
            mode,
            changed: u64::try_from(ctime).ok().map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s)),
            // The kernel shows a segment's id as the inode of its views.
            holders: holders(seen, |s| s.path.starts_with("/SYSV") && s.ino == id as u64),
            ..Entry::bare(name, Origin::SysV)
        });
    }
}

/// Memory without a name: one row for each memfd or shared range that somebody has.
fn anonymous(seen: &[Sighting], entries: &mut Vec<Entry>) {
    let mut groups: BTreeMap<(String, u64), Vec<Sighting>> = BTreeMap::new();
    for sighting in seen.iter().filter(|s| s.path.starts_with("/memfd:") || s.path.starts_with("/dev/zero")) {
        groups.entry((sighting.path.clone(), sighting.ino)).or_default().push(sighting.clone());
    }
    for ((path, ino), group) in groups {
        let largest = group.iter().filter_map(|s| match s.what {
            Seen::View { len } => Some(len),
            Seen::Handle { .. } => None,
        });
        let word = path.trim_end_matches(" (deleted)");
        entries.push(Entry {
            size: largest.max(),
            holders: holders(&group, |_| true),
            ..Entry::bare(format!("{word}#{ino}"), Origin::Anonymous)
        });
    }
}
