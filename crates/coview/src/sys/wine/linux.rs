//! The end of the bridge outside of Wine: what /proc says of the processes inside.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, Mode, OFlags};

use super::{Found, Place};
use crate::sys::Refusal;
use crate::sys::mapping::Section;
use crate::sys::process::{Holder, pids, program, user_name};

pub(crate) fn check_prefix(path: &Path) -> io::Result<()> {
    let shown = path.display();
    let missing = |why: &str| {
        let text = format!("{shown} is no Wine prefix: {why}; name one by --prefix or WINEPREFIX");
        io::Error::new(io::ErrorKind::NotFound, text)
    };
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Refusal::Denied(format!("{shown} belongs to somebody else: {error}")).into(),
        _ => missing("there is no such folder"),
    })?;
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        let (owner, us) = (user_name(meta.uid()), user_name(us));
        return Err(Refusal::Denied(format!(
            "the prefix {shown} and its wineserver belong to {owner}, and Wine lets nobody else in; run this as {owner}, not as {us}"
        ))
        .into());
    }
    // A prefix that Wine has only been told to make has none yet.
    let is_prefix = path.join("system.reg").exists() || path.join("drive_c").exists();
    if is_prefix { Ok(()) } else { Err(missing("it has no system.reg; `wineboot -i` would make it one")) }
}

pub(crate) fn environment(pid: u32) -> io::Result<HashMap<String, String>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::NotFound, format!("there is no process {pid}")),
        _ => Refusal::Denied(format!("process {pid} belongs to another user: {error}")).into(),
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let pair = |entry: &str| entry.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok(text.split('\0').filter_map(pair).collect())
}

pub(crate) fn detach(command: &mut Command) {
    command.process_group(0);
}

/// What a process writes to standard error. No pipe: services that Wine starts for it would keep that open.
pub(crate) struct Complaints(Option<File>);

impl Complaints {
    /// Of `command`, which is about to start. With a WINEDEBUG of the user's Wine may say any amount, which nobody keeps.
    pub(crate) fn of(command: &mut Command) -> Complaints {
        let brief = std::env::var_os("WINEDEBUG").is_none_or(|what| what == "-all");
        let memory = || rustix::fs::memfd_create("coview-complaints", MemfdFlags::CLOEXEC).ok();
        let file = brief.then(memory).flatten().map(File::from);
        let theirs = file.as_ref().and_then(|file| file.try_clone().ok());
        command.stderr(theirs.map_or_else(Stdio::null, Stdio::from));
        Complaints(file)
    }

    /// The last line that says something.
    pub(crate) fn last(&self) -> Option<String> {
        let file = self.0.as_ref()?;
        let from = file.metadata().ok()?.len().saturating_sub(4096);
        let mut end = vec![0; 4096];
        let len = file.read_at(&mut end, from).ok()?;
        let text = String::from_utf8_lossy(&end[..len]);
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

pub(crate) fn path_of(section: &Section) -> io::Result<String> {
    let fd = section.data_fd().ok_or_else(|| {
        Refusal::Unsupported(
            "a System V segment is no file, so Wine cannot be led to it; copy it into a mapping".into(),
        )
    })?;
    Ok(format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd()))
}

/// The helper on this side of Wine, which only tests have.
pub(crate) fn inward(path: &str) -> PathBuf {
    path.into()
}

/// One shared range of `/proc/PID/maps`: `start-end perms offset dev inode path`.
struct Range<'a> {
    start: u64,
    place: Place,
    path: &'a str,
}

fn ranges(maps: &str) -> impl Iterator<Item = Range<'_>> {
    maps.lines().filter_map(|line| {
        let mut fields = line.splitn(6, ' ');
        let (range, perms, _, dev, ino) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let path = fields.next().unwrap_or_default().trim_start();
        let (major, minor) = dev.split_once(':')?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        let place = Place { dev: libc::makedev(number(major)?, number(minor)?), ino: ino.parse().ok()? };
        let start = u64::from_str_radix(range.split_once('-')?.0, 16).ok()?;
        (perms.ends_with('s') && place.ino != 0).then_some(Range { start, place, path })
    })
}

fn maps_of(pid: u32) -> String {
    fs::read(format!("/proc/{pid}/maps")).map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into())
}

/// What the descriptors of a process lead to: their numbers, the files, and what the kernel calls those.
fn descriptors(pid: u32) -> Vec<(i32, Place, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let look = |entry: fs::DirEntry| {
        let meta = fs::metadata(entry.path()).ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let regular = meta.is_file().then_some(Place { dev: meta.dev(), ino: meta.ino() });
        Some((number, regular?, fs::read_link(entry.path()).unwrap_or_default()))
    };
    entries.flatten().filter_map(look).collect()
}

/// What the process that was started as `pid`, or else the one that has `cookie` on its command line (since a launcher came
/// between), has mapped at `address`.
pub(crate) fn locate(pid: u32, cookie: &str, address: u64) -> io::Result<Found> {
    if let Some(found) = mapped_at(pid, address) {
        return Ok(found);
    }
    let has_cookie = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        memchr_of(&line, cookie.as_bytes())
    };
    pids().into_iter().filter(has_cookie).find_map(|pid| mapped_at(pid, address)).ok_or_else(|| {
        let why = "the helper has mapped it, but no process that /proc shows has a shared range there: the helper runs \
                   where this process cannot look (another user, PID namespace or hidepid)";
        Refusal::Denied(why.into()).into()
    })
}

fn mapped_at(pid: u32, address: u64) -> Option<Found> {
    let maps = maps_of(pid);
    let range = ranges(&maps).find(|range| range.start == address)?;
    let open = descriptors(pid);
    let same = open.iter().find(|(_, place, _)| *place == range.place);
    // Some file systems (overlayfs, btrfs) show another device in the map than fstat does; there the name must be the same, too.
    let alike = || open.iter().find(|(_, place, path)| place.ino == range.place.ino && *path == Path::new(range.path));
    same.or_else(alike).map(|(fd, place, _)| Found { place: *place, pid, fd: *fd })
}

fn memchr_of(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// The memory of `found`, at most `size` bytes of it.
pub(crate) fn open(found: Found, size: u64, writable: bool) -> io::Result<Section> {
    let Found { place, pid, fd } = found;
    let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    let file =
        rustix::fs::open(format!("/proc/{pid}/fd/{fd}"), flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    #[allow(clippy::unnecessary_cast)] // their widths differ between architectures
    let opened = Place { dev: stat.st_dev as u64, ino: stat.st_ino as u64 };
    if opened != place {
        return Err(Refusal::Vanished("the helper has let go of it meanwhile; try again".into()).into());
    }
    Section::from_fd(file).map(|section| section.limited(size))
}

/// Who has each of these files, the wineserver, which has all, and process `except` left out.
pub(crate) fn holders(places: &[Place], except: &[u32]) -> Vec<Vec<Holder>> {
    let index: HashMap<Place, usize> = places.iter().enumerate().map(|(i, place)| (*place, i)).collect();
    let mut found = vec![Vec::new(); places.len()];
    for pid in pids().into_iter().filter(|pid| !except.contains(pid)) {
        let mut counts: HashMap<usize, (u32, u32)> = HashMap::new();
        let maps = maps_of(pid);
        for at in ranges(&maps).filter_map(|range| index.get(&range.place)) {
            counts.entry(*at).or_default().1 += 1;
        }
        for at in descriptors(pid).iter().filter_map(|(_, place, _)| index.get(place)) {
            counts.entry(*at).or_default().0 += 1;
        }
        let program = if counts.is_empty() { String::new() } else { program(pid) };
        for (at, (handles, views)) in counts.into_iter().filter(|_| !program.starts_with("wineserver")) {
            found[at].push(Holder { pid, program: program.clone(), handles, writable: false, views: Some(views) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_ranges_are_read_and_nothing_else() {
        let maps = "\
7f00-8000 rw-s 00000000 fe:01 77                         /tmp/.wine-1/server-1-2/tmpmap-e3b2fcfe (deleted)
8000-9000 rw-p 00000000 fe:01 78                         /lib/x y
9000-a000 rw-s 00000000 00:00 0
garbage
b000-c000 r--s zz";
        let found: Vec<(u64, u64, u64)> = ranges(maps).map(|r| (r.start, r.place.dev, r.place.ino)).collect();
        assert_eq!(found, [(0x7f00, libc::makedev(0xfe, 1), 77)]);
        assert_eq!(ranges(maps).next().unwrap().path, "/tmp/.wine-1/server-1-2/tmpmap-e3b2fcfe (deleted)");
    }

    #[test]
    fn a_mapping_of_our_own_is_found_by_its_address() {
        let (section, _) = Section::create(None, &crate::sys::mapping::Spec::new(8192)).unwrap();
        let view = section.map(crate::sys::mapping::Access::Read, 0, 8192).unwrap();
        let found = locate(std::process::id(), "", view.base().addr() as u64).unwrap();
        let (whole, part) = (open(found, 1 << 20, true).unwrap(), open(found, 4096, false).unwrap());
        assert_eq!((whole.size(), whole.is_writable(), part.size(), part.is_writable()), (8192, true, 4096, false));
        assert!(locate(std::process::id(), "", view.base().addr() as u64 + 4096).is_err());
        let us = std::process::id();
        assert!(holders(&[found.place], &[])[0].iter().any(|holder| holder.pid == us && holder.views == Some(1)));
        assert!(holders(&[found.place], &[us])[0].is_empty());
    }
}
