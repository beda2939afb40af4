//! Names on Linux: one flat file an object in /dev/shm, alive as long as somebody has a read lock on it.
//!
//! The lock is an open-file-description lock, so the kernel itself drops it with the last descriptor and
//! view, whatever ended them. The offset of the locked byte carries the kind. `docs/format.md` has the
//! protocol, its proof and the reasons; the step numbers below are those of that page.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use super::{Kind, Reclaimed};
use crate::step::is_broken;
use crate::sys::Refusal;
use crate::sys::process::user_name;

pub(super) const DIRECTORY: &CStr = c"/dev/shm";
/// First byte of the lock range: beyond any size a mapping can have.
const BASE: i64 = 1 << 62;
/// One byte for each [`Variant`].
const RANGE: i64 = 256;
/// "Made by this library": the sticky bit means nothing on a regular file and survives there.
const MARK: RawMode = 0o1000;
/// Longest file name of Linux file systems.
const NAME_MAX: usize = 255;
/// How long a name may stay in transition before we say so. A transition is two system calls long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kind in the high four bits, its flavour in the low four: the number of the byte that holders lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant(u8);

impl Variant {
    pub(crate) fn new(kind: Kind, flavour: u8) -> Variant {
        debug_assert!(flavour < 16);
        Variant((kind as u8) << 4 | flavour)
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == self.0 >> 4)
    }

    pub(crate) fn flavour(self) -> u8 {
        self.0 & 15
    }
}

/// Where an object of some name stands: its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    path: CString,
    /// `Local\`: only files of this user count.
    private: bool,
}

pub(super) fn local_prefix() -> String {
    format!("coview.{}.", rustix::process::geteuid().as_raw())
}

pub(super) const GLOBAL_PREFIX: &str = "coview.g.";

impl Slot {
    pub(crate) fn local(text: &str) -> Slot {
        Slot::at(&local_prefix(), text, true)
    }

    pub(crate) fn global(text: &str) -> Slot {
        Slot::at(GLOBAL_PREFIX, text, false)
    }

    fn at(prefix: &str, text: &str, private: bool) -> Slot {
        Slot::of_file(&(prefix.to_owned() + &encode(text, NAME_MAX - prefix.len())), private)
    }

    /// The slot of a file that was found in the directory.
    pub(super) fn of_file(file: &str, private: bool) -> Slot {
        let path = format!("/dev/shm/{file}");
        // `encode` leaves no NUL and a directory entry has none.
        Slot { path: CString::new(path).unwrap_or_default(), private }
    }

    pub(super) fn file_name(&self) -> String {
        let path = self.path.to_string_lossy();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    fn open(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        rustix::fs::open(self.path.as_c_str(), flags, Mode::empty())
    }

    /// Whether the path still leads to that file.
    fn leads_to(&self, ours: &Stat) -> rustix::io::Result<bool> {
        match rustix::fs::statat(rustix::fs::CWD, self.path.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Refuses a file that others put in the way.
    fn check_owner(&self, stat: &Stat) -> io::Result<()> {
        let path = self.path.to_string_lossy();
        if self.private && stat.st_uid != rustix::process::geteuid().as_raw() {
            let who = user_name(stat.st_uid);
            return Err(Refusal::Squatted(format!(
                "{path} is in the way and belongs to {who}; ask {who} or root to remove it, or use another name"
            ))
            .into());
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_mode & MARK == 0 {
            return Err(self.not_ours());
        }
        if self.private && stat.st_mode & 0o077 != 0 {
            // Somebody else may have linked an object of ours in `Global\` to this name; or this user namespace shows the files
            // of several users as if they were ours.
            return Err(Refusal::Squatted(format!(
                "{path} is in the way: other users may open it, which is so of no object in Local\\; remove it, or use another name"
            ))
            .into());
        }
        Ok(())
    }

    fn not_ours(&self) -> io::Error {
        Refusal::Squatted(format!(
            "{} is in the way and was not made by coview; remove it if nobody needs it, or use another name",
            self.path.to_string_lossy()
        ))
        .into()
    }
}

/// Percent-encodes what a file name cannot hold; what is too long keeps its head and gets a hash for a tail.
fn encode(text: &str, room: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '/' => out.push_str("%2F"),
            '%' => out.push_str("%25"),
            c => out.push(c),
        }
    }
    if out.len() > room {
        let hash = fnv1a_128(text.as_bytes());
        let keep = room - CUT.len() - 32;
        let whole = (0..=keep).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        // Nor inside of an escape, which begins with the only `%` there is.
        let whole = out[..whole].rfind('%').filter(|at| whole - at < 3).unwrap_or(whole);
        out.truncate(whole);
        out.push_str(&format!("{CUT}{hash:032x}"));
    }
    out
}

/// Stands between the head of a long name and its hash. A plain name has `%` only before `2F` and `25`.
const CUT: &str = "%~";

/// The name that `encode` was given and whether only its head could be had.
pub(super) fn decode(file: &str) -> (String, bool) {
    let (head, cut) = match file.rfind(CUT) {
        Some(at) => (&file[..at], true),
        None => (file, false),
    };
    (head.replace("%2F", "/").replace("%25", "%"), cut)
}

/// FNV-1a, 128 bits (Fowler, Noll, Vo; RFC 9923). Who seeks a collision can only squat what he may squat anyway.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step)
}

/// Sets or queries an open-file-description lock.
fn ofd(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock64) -> rustix::io::Result<()> {
    loop {
        // SAFETY: `fd` is open for the call, and the three OFD commands take a pointer to a flock that lives
        // as long as the call (fcntl(2)).
        let rc = unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut *lock) };
        match rc {
            -1 => match Errno::from_io_error(&io::Error::last_os_error()) {
                Some(Errno::INTR) => {}
                other => return Err(other.unwrap_or(Errno::IO)),
            },
            _ => return Ok(()),
        }
    }
}

fn lock_of(kind: libc::c_int, start: i64, len: i64) -> libc::flock64 {
    libc::flock64 {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        l_pid: 0, // must be 0 for OFD locks
    }
}

fn set_lock(fd: BorrowedFd<'_>, kind: libc::c_int, start: i64, len: i64) -> rustix::io::Result<bool> {
    match ofd(fd, libc::F_OFD_SETLK, &mut lock_of(kind, start, len)) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What others do with the file.
pub(super) enum State {
    /// Nobody holds it.
    Dead,
    /// Somebody is changing its name binding right now.
    Moving,
    /// Somebody holds it.
    Held(Variant),
}

pub(super) fn state(fd: BorrowedFd<'_>) -> rustix::io::Result<State> {
    let mut lock = lock_of(libc::F_WRLCK, BASE, RANGE);
    ofd(fd, libc::F_OFD_GETLK, &mut lock)?;
    Ok(match i32::from(lock.l_type) {
        libc::F_UNLCK => State::Dead,
        libc::F_RDLCK => State::Held(Variant((lock.l_start - BASE).clamp(0, 255) as u8)),
        _ => State::Moving,
    })
}

/// A held name: the descriptor that carries the lock. Dropped, it removes the name if nobody else holds it.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Taken only by `drop`.
    fd: Option<OwnedFd>,
    slot: Slot,
    variant: Variant,
}

impl Binding {
    /// Takes over a descriptor that already carries the lock: inherited, or received.
    pub(crate) fn adopt(fd: OwnedFd, slot: Slot, variant: Variant) -> Binding {
        Binding { fd: Some(fd), slot, variant }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Binding> {
        Ok(Binding::adopt(self.as_fd().try_clone_to_owned()?, self.slot.clone(), self.variant))
    }

    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }

    /// Takes the name away while the object is held. Nobody else may, so that it still leads there when it is removed, unless two do this
    /// at once.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        if !self.slot.leads_to(&rustix::fs::fstat(self.as_fd())?)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(rustix::fs::unlink(self.slot.path.as_c_str())?)
    }
}

impl AsFd for Binding {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // `fd` is only empty inside `drop`.
        self.fd.as_ref().expect("a binding has its descriptor until it is dropped").as_fd()
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // The lock is never unlocked by us: a fork child or a receiver may share the description. Whether
        // others hold the object is asked through a fresh one, after ours is closed.
        drop(self.fd.take());
        let _ = probe(&self.slot, false);
    }
}

enum Collected {
    Gone,
    Retry,
}

/// Removes the name of an object that nobody was seen to hold. `fd` is writable and carries no lock.
fn collect(fd: BorrowedFd<'_>, stat: &Stat, slot: &Slot) -> io::Result<Collected> {
    if !set_lock(fd, libc::F_WRLCK, BASE, RANGE)? || !slot.leads_to(stat)? {
        return Ok(Collected::Retry);
    }
    match rustix::fs::unlink(slot.path.as_c_str()) {
        Ok(()) => Ok(Collected::Gone),
        Err(Errno::PERM | Errno::ACCESS) => {
            // Another user's: only that user may remove it, but we can give its memory back.
            rustix::fs::ftruncate(fd, 0)?;
            Err(Errno::PERM.into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) enum Probe {
    Absent,
    Alive,
    /// Nobody held it; the bytes it occupied. Removed unless only asked.
    Stale(u64),
}

/// Looks whether anybody holds the object at `slot`; if not, and unless only `ask`ing, removes it.
pub(super) fn probe(slot: &Slot, ask: bool) -> io::Result<Probe> {
    let fd = match slot.open(if ask { OFlags::RDONLY } else { OFlags::RDWR }) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(Probe::Absent),
        Err(error) => return Err(error.into()),
    };
    let State::Dead = state(fd.as_fd())? else {
        return Ok(Probe::Alive);
    };
    let stat = rustix::fs::fstat(&fd)?;
    slot.check_owner(&stat)?;
    let bytes = stat.st_blocks as u64 * 512;
    if ask {
        return Ok(Probe::Stale(bytes));
    }
    Ok(match collect(fd.as_fd(), &stat, slot)? {
        Collected::Gone => Probe::Stale(bytes),
        Collected::Retry => Probe::Alive,
    })
}

/// Waits a moment for a name in transition; fails when it has lasted too long.
#[derive(Default)]
struct Patience {
    spent: Duration,
    last: Option<Instant>,
}

impl Patience {
    fn wait(&mut self, slot: &Slot) -> io::Result<()> {
        // That this process was stopped is not the other one's fault.
        let passed = self.last.map_or(Duration::ZERO, |last| last.elapsed().min(Duration::from_millis(10)));
        (self.spent, self.last) = (self.spent + passed, Some(Instant::now()));
        if self.spent > PATIENCE {
            return Err(Refusal::Busy(format!(
                "a process that was removing {} has been stopped in between; continue or end it (`fuser {0}`)",
                slot.path.to_string_lossy()
            ))
            .into());
        }
        std::thread::sleep(Duration::from_micros(20));
        Ok(())
    }
}

/// Opens the live object of this name and kind. `Ok(None)`: there is none.
pub(crate) fn open(slot: &Slot, kind: Kind, writable: bool) -> io::Result<Option<Binding>> {
    sweep_if_due();
    open_live(slot, kind, writable)
}

fn open_live(slot: &Slot, kind: Kind, writable: bool) -> io::Result<Option<Binding>> {
    let mut patience = Patience::default();
    loop {
        let fd = match slot.open(if writable { OFlags::RDWR } else { OFlags::RDONLY }) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(refused(slot, error)),
        };
        let stat = rustix::fs::fstat(&fd)?;
        slot.check_owner(&stat)?;
        match state(fd.as_fd())? {
            State::Moving => {}
            State::Dead if writable => {
                if let Collected::Gone = collect(fd.as_fd(), &stat, slot).or_else(not_ours)? {
                    return Ok(None);
                }
            }
            State::Dead => {
                drop(fd);
                // A failure to remove it does not make it alive.
                if !matches!(probe(slot, false), Ok(Probe::Alive)) {
                    return Ok(None);
                }
            }
            State::Held(variant) if variant.kind() != Some(kind) => {
                if slot.leads_to(&stat)? {
                    return Err(match variant.kind() {
                        Some(other) => Refusal::WrongKind(other).into(),
                        None => Refusal::Corrupt(format!("its lock names a kind {} that is not known here", variant.0))
                            .into(),
                    });
                }
            }
            // The read lock is our hold; that the path still leads here proves the name was not taken away
            // before we had it, and from now on it cannot be.
            State::Held(variant) => {
                let byte = BASE + i64::from(variant.0);
                if set_lock(fd.as_fd(), libc::F_RDLCK, byte, 1)? && slot.leads_to(&stat)? {
                    return Ok(Some(Binding::adopt(fd, slot.clone(), variant)));
                }
            }
        }
        patience.wait(slot)?;
    }
}

/// A dead object that belongs to another user counts as gone for those who open.
fn not_ours(error: io::Error) -> io::Result<Collected> {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM) => Ok(Collected::Gone),
        _ => Err(error),
    }
}

fn refused(slot: &Slot, error: Errno) -> io::Error {
    match error {
        Errno::LOOP => {
            Refusal::Squatted(format!("{} is a symbolic link, which coview never makes", slot.path.to_string_lossy()))
                .into()
        }
        Errno::ISDIR | Errno::NXIO => slot.not_ours(), // a directory, a socket
        Errno::ACCESS | Errno::PERM => {
            let path = slot.path.to_string_lossy();
            let stat = rustix::fs::lstat(slot.path.as_c_str());
            if let Ok(stat) = &stat
                && let Err(in_the_way) = slot.check_owner(stat)
            {
                return in_the_way;
            }
            let who = stat.map_or_else(|_| "another user".into(), |stat| user_name(stat.st_uid));
            Refusal::Denied(format!(
                "it belongs to {who}, whose access list does not let you open it so (`ls -l {path}`); \
                 ask {who} for a wider --share, or open it for reading only"
            ))
            .into()
        }
        other => other.into(),
    }
}

/// What `create` came to.
pub(crate) enum Creation {
    Created(Binding),
    Existing(Binding),
}

/// Makes a new object, or opens the one that has the name.
///
/// `init` gives the new file its size and contents; it runs before anybody else can see the file. An existing
/// object is opened for writing only if `writable`.
pub(crate) fn create(
    slot: &Slot,
    variant: Variant,
    writable: bool,
    mode: u32,
    init: impl Fn(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<Creation> {
    sweep_if_due();
    let kind = variant.kind().ok_or(Errno::INVAL)?;
    let mode = if slot.private { 0o600 } else { mode };
    let mut made = None;
    let mut patience = Patience::default();
    loop {
        if let Some(found) = open_live(slot, kind, writable)? {
            return Ok(Creation::Existing(found));
        }
        let fd = match made.take() {
            Some(fd) => fd,
            None => unnamed_file(variant, mode, &init)?,
        };
        match publish(fd.as_fd(), slot) {
            Ok(()) => {
                if is_broken("create: published before it is locked") {
                    set_lock(fd.as_fd(), libc::F_RDLCK, BASE + i64::from(variant.0), 1)?;
                }
                return Ok(Creation::Created(Binding::adopt(fd, slot.clone(), variant)));
            }
            Err(Errno::EXIST) => {
                refuse_foreign_remains(slot)?;
                made = Some(fd);
                patience.wait(slot)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A complete object that carries its creator's lock and has no name yet.
fn unnamed_file(variant: Variant, mode: u32, init: impl Fn(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = rustix::fs::open(DIRECTORY, flags, Mode::from_raw_mode(0o600))?;
    init(fd.as_fd())?;
    // Only now, past the umask, and after `init` wrote to it: the mode may forbid writing.
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o777 | MARK))?;
    if !is_broken("create: published before it is locked") {
        set_lock(fd.as_fd(), libc::F_RDLCK, BASE + i64::from(variant.0), 1)?;
    }
    Ok(fd)
}

fn publish(fd: BorrowedFd<'_>, slot: &Slot) -> rustix::io::Result<()> {
    let path = slot.path.as_c_str();
    match rustix::fs::linkat(fd, c"", rustix::fs::CWD, path, AtFlags::EMPTY_PATH) {
        // Before Linux 6.10 only for CAP_DAC_READ_SEARCH; the way through /proc is open to all.
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
            let through = format!("/proc/self/fd/{}", fd.as_raw_fd());
            rustix::fs::linkat(rustix::fs::CWD, through, rustix::fs::CWD, path, AtFlags::SYMLINK_FOLLOW)
        }
        done => done,
    }
}

/// The name is free but its path is taken: fails if what lies there is another user's.
///
/// It is not recycled in place: the file's owner could read and truncate whatever we put there.
fn refuse_foreign_remains(slot: &Slot) -> io::Result<()> {
    let Ok(stat) = rustix::fs::lstat(slot.path.as_c_str()) else {
        return Ok(());
    };
    let us = rustix::process::geteuid();
    if us.is_root() || stat.st_uid == us.as_raw() {
        return Ok(());
    }
    let fd = match slot.open(OFlags::RDONLY) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(refused(slot, error)),
    };
    match state(fd.as_fd())? {
        State::Dead => {
            let who = user_name(stat.st_uid);
            Err(Refusal::Denied(format!(
                "an object of {who} that nobody holds any more stands in its place; `coview gc` run by {who} or root removes it"
            ))
            .into())
        }
        _ => Ok(()),
    }
}

/// The share of its time that a process may spend sweeping is one part in this.
const SWEEP_SHARE: u32 = 50;
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// Every operation on names comes by here: gives back what the dead left, at most every few milliseconds and
/// for at most a fiftieth of the time, so that cost stays flat however many objects live.
fn sweep_if_due() {
    static NEXT: Mutex<Option<Instant>> = Mutex::new(None);
    let Ok(mut next) = NEXT.try_lock() else { return };
    let now = Instant::now();
    if next.is_some_and(|next| now < next) {
        return;
    }
    let _ = sweep(false);
    *next = Some(Instant::now() + SWEEP_PAUSE.max(now.elapsed() * SWEEP_SHARE));
}

/// Every file of ours, with the slot it stands in and the name it has.
pub(super) fn files(mut each: impl FnMut(Slot, String, bool)) -> io::Result<()> {
    let local = local_prefix();
    for_each_file(|file| {
        if let Some(rest) = file.strip_prefix(&local) {
            let (text, cut) = decode(rest);
            each(Slot::of_file(file, true), format!(r"Local\{text}"), cut);
        } else if let Some(rest) = file.strip_prefix(GLOBAL_PREFIX) {
            let (text, cut) = decode(rest);
            each(Slot::of_file(file, false), format!(r"Global\{text}"), cut);
        }
    })
}

/// The name of every file in the directory that is text.
pub(super) fn for_each_file(mut each: impl FnMut(&str)) -> io::Result<()> {
    let fd = rustix::fs::open(DIRECTORY, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut room = Vec::with_capacity(32 << 10);
    let mut entries = rustix::fs::RawDir::new(fd, room.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        if let Ok(file) = entry?.file_name().to_str() {
            each(file);
        }
    }
    Ok(())
}

/// Gives back what the dead left in the name spaces this user sees.
pub(crate) fn sweep(dry_run: bool) -> io::Result<Reclaimed> {
    let mut done = Reclaimed::default();
    files(|slot, name, _| match probe(&slot, dry_run) {
        Ok(Probe::Stale(bytes)) => done.objects.push((name, bytes)),
        Ok(_) => {}
        Err(_) if is_stale_of_another(&slot) => done.refused.push(name),
        Err(_) => {}
    })?;
    Ok(done)
}

fn is_stale_of_another(slot: &Slot) -> bool {
    slot.open(OFlags::RDONLY).is_ok_and(|fd| matches!(state(fd.as_fd()), Ok(State::Dead)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_file_system() {
        for text in ["Sensor", "a/b%c", "%2F", "名前", ".", "%~x"] {
            assert_eq!(decode(&encode(text, 200)), (text.to_owned(), false), "{text}");
        }
    }

    #[test]
    fn long_names_fit_and_differ() {
        let (a, b) = ("名".repeat(259), "名".repeat(258) + "前");
        assert_ne!(encode(&a, 240), encode(&b, 240));
        assert!(encode(&a, 240).len() <= 240);
        for text in [a, "/".repeat(200), "%".repeat(201), format!("x{}", "/".repeat(200))] {
            let (head, cut) = decode(&encode(&text, 240));
            assert!(cut && text.starts_with(&head), "{head}");
        }
    }

    /// Reference value of the FNV authors for the empty string and "a".
    #[test]
    fn hash_is_fnv1a() {
        assert_eq!(fnv1a_128(b""), 0x6c62272e07bb014262b821756295c58d);
        assert_eq!(fnv1a_128(b"a"), 0xd228cb696f1a8caf78912b704e4a8964);
    }
}
