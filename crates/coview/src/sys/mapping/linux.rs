//! Mappings on Linux: a file in /dev/shm (named), a sealed memfd (unnamed), an ordinary file, or foreign memory.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, SealFlags, SeekFrom};
use rustix::io::{Errno, FdFlags};
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

use super::mode_linux::mode_of;
use super::record_linux::Record;
use super::{Access, Advice, FileSpec, Protection, Spec, commit_file, lengthen, no_memory, round_up};
use crate::sys::Refusal;
use crate::sys::guard::Guard;
use crate::sys::lock::held_within;
use crate::sys::namespace::{self, Binding, Creation, Kind, Slot, Variant};

/// Step of a view's offset in bytes.
pub(crate) fn granularity() -> u64 {
    page_size()
}

/// Unit in which memory is committed and sizes are rounded, in bytes. Kept, since each lock of a named mutex asks, and the C library
/// takes a nanosecond or two to answer.
#[inline]
pub(crate) fn page_size() -> u64 {
    static SIZE: AtomicU64 = AtomicU64::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            let size = rustix::param::page_size() as u64;
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// What stands behind a mapping: two bits of its [`Variant`] (`docs/format.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backing {
    /// Memory in whole pages, committed.
    Pages = 0,
    /// Memory in whole pages, committed range by range.
    Reserved = 1,
    /// Memory, committed, of a size exact to the byte.
    Exact = 2,
    /// A file.
    File = 3,
}

fn flavour(protection: Protection, backing: Backing) -> u8 {
    let protection = match protection {
        Protection::ReadWrite => 0,
        Protection::ReadOnly => 1,
        Protection::WriteCopy => 2,
    };
    protection | (backing as u8) << 2
}

fn read_flavour(variant: Variant) -> io::Result<(Protection, Backing)> {
    let flavour = variant.flavour();
    let protection = match flavour & 3 {
        0 => Protection::ReadWrite,
        1 => Protection::ReadOnly,
        2 => Protection::WriteCopy,
        _ => {
            return Err(Refusal::Corrupt("its lock names a protection that is not known here".into()).into());
        }
    };
    let backing = [Backing::Pages, Backing::Reserved, Backing::Exact, Backing::File][usize::from(flavour >> 2)];
    Ok((protection, backing))
}

/// What the lock and the named file say of a mapping, without opening it.
pub(crate) struct Shape {
    pub(crate) protection: Protection,
    pub(crate) reserved: bool,
    pub(crate) size: u64,
    pub(crate) file: Option<PathBuf>,
}

pub(crate) fn shape(variant: Variant, fd: BorrowedFd<'_>) -> io::Result<Shape> {
    let (protection, backing) = read_flavour(variant)?;
    let (size, file) = match backing {
        Backing::File => {
            let record = Record::read(fd)?;
            (record.size, Some(record.path().to_owned()))
        }
        _ => (file_size(fd)?, None),
    };
    Ok(Shape { protection, reserved: backing == Backing::Reserved, size, file })
}

/// Where the bytes are.
#[derive(Debug)]
enum Data {
    /// In the file that has the name.
    Named,
    /// In a file of its own.
    Fd(OwnedFd),
    /// In a System V segment.
    SysV(i32),
}

/// A mapping object, or rather this process's handle on it.
#[derive(Debug)]
pub(crate) struct Section {
    data: Data,
    binding: Option<Binding>,
    size: u64,
    protection: Protection,
    backing: Backing,
    writable: bool,
}

impl Section {
    /// A new object, or the live one of that name; whether it is new.
    pub(crate) fn create(slot: Option<&Slot>, spec: &Spec) -> io::Result<(Section, bool)> {
        let mode = mode_of(&spec.share)?;
        let (section, new) = match (&spec.file, slot) {
            (Some(file), slot) => Section::create_on_file(slot, spec, file, mode)?,
            (None, Some(slot)) => Section::create_in_memory(slot, spec, mode)?,
            (None, None) => (Section::create_unnamed(spec)?, true),
        };
        if spec.inheritable {
            section.make_inheritable()?;
        }
        Ok((section, new))
    }

    fn make_inheritable(&self) -> io::Result<()> {
        self.fds().iter().try_for_each(|fd| Ok(rustix::io::fcntl_setfd(fd, FdFlags::empty())?))
    }

    fn memory_backing(spec: &Spec) -> Backing {
        match (spec.reserve, spec.exact) {
            (true, _) => Backing::Reserved,
            (_, true) => Backing::Exact,
            _ => Backing::Pages,
        }
    }

    fn memory_size(spec: &Spec) -> io::Result<u64> {
        let size = if spec.exact { Some(spec.size) } else { round_up(spec.size, page_size()) };
        // Lock bytes stand at 2^62, and a mapping cannot be larger than the address space anyway.
        size.filter(|size| *size < 1 << 47)
            .ok_or_else(|| no_memory(spec.size, "no process has so large an address space"))
    }

    fn create_in_memory(slot: &Slot, spec: &Spec, mode: u32) -> io::Result<(Section, bool)> {
        let backing = Section::memory_backing(spec);
        let variant = Variant::new(Kind::Mapping, flavour(spec.protection, backing));
        let size = Section::memory_size(spec)?;
        let writable = spec.protection == Protection::ReadWrite;
        let init = |fd: BorrowedFd<'_>| match backing {
            Backing::Reserved => lengthen(fd, size),
            _ => commit_file(fd, 0, size),
        };
        Ok(match namespace::create(slot, variant, writable, mode, init)? {
            Creation::Created(binding) => {
                let protection = spec.protection;
                (Section { data: Data::Named, binding: Some(binding), size, protection, backing, writable }, true)
            }
            Creation::Existing(binding) => (Section::of_binding(binding, writable)?, false),
        })
    }

    fn create_unnamed(spec: &Spec) -> io::Result<Section> {
        let backing = Section::memory_backing(spec);
        let size = Section::memory_size(spec)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match rustix::fs::memfd_create(c"coview", flags | MemfdFlags::NOEXEC_SEAL) {
            Err(Errno::INVAL) => rustix::fs::memfd_create(c"coview", flags)?, // before Linux 6.3
            made => made?,
        };
        match backing {
            Backing::Reserved => lengthen(fd.as_fd(), size)?,
            _ => commit_file(fd.as_fd(), 0, size)?,
        }
        // Whoever receives it can rely on the size: no peer can make an access fault.
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let writable = spec.protection == Protection::ReadWrite;
        Ok(Section { data: Data::Fd(fd), binding: None, size, protection: spec.protection, backing, writable })
    }

    fn create_on_file(slot: Option<&Slot>, spec: &Spec, file: &FileSpec, mode: u32) -> io::Result<(Section, bool)> {
        let writable = spec.protection == Protection::ReadWrite;
        if let Some(slot) = slot
            && let Some(binding) = namespace::open(slot, Kind::Mapping, writable)?
        {
            return Ok((Section::of_binding(binding, writable)?, false)); // the file stays as it is
        }
        let data = open_backing(file, writable)?;
        let size = fit_backing(&data, spec)?;
        let (protection, backing) = (spec.protection, Backing::File);
        let made =
            |binding, data: OwnedFd| Section { data: Data::Fd(data), binding, size, protection, backing, writable };
        let Some(slot) = slot else {
            return Ok((made(None, data.into()), true));
        };
        let record = Record::of(&data, &file.path, size)?;
        let mode = Record::mode_for(&data, mode)?;
        let variant = Variant::new(Kind::Mapping, flavour(protection, backing));
        Ok(match namespace::create(slot, variant, writable, mode, |fd| record.write(fd))? {
            Creation::Created(binding) => (made(Some(binding), data.into()), true),
            Creation::Existing(binding) => (Section::of_binding(binding, writable)?, false),
        })
    }

    /// The live mapping of this name. `Ok(None)`: there is none.
    pub(crate) fn open(slot: &Slot, writable: bool) -> io::Result<Option<Section>> {
        namespace::open(slot, Kind::Mapping, writable)?
            .map(|binding| Section::of_binding(binding, writable))
            .transpose()
    }

    fn of_binding(binding: Binding, writable: bool) -> io::Result<Section> {
        let (protection, backing) = read_flavour(binding.variant())?;
        if writable && protection != Protection::ReadWrite {
            return Err(Refusal::Denied(format!(
                "it was created {}, so no view may write to it; open it for reading or copy-on-write",
                if protection == Protection::ReadOnly { "read-only" } else { "write-copy" }
            ))
            .into());
        }
        let (data, size) = match backing {
            Backing::File => {
                let record = Record::read(binding.as_fd())?;
                (Data::Fd(record.open(binding.as_fd(), writable)?), record.size)
            }
            _ => (Data::Named, file_size(binding.as_fd())?),
        };
        let size = if backing == Backing::Pages { round_up(size, page_size()).ok_or(Errno::FBIG)? } else { size };
        Ok(Section { data, binding: Some(binding), size, protection, backing, writable })
    }

    fn of_fd(fd: OwnedFd, writable: bool) -> io::Result<Section> {
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(
                Refusal::Invalid("it is not a regular file or shared memory, so it cannot be mapped".into()).into()
            );
        }
        let size = file_size(fd.as_fd())?;
        let protection = if writable { Protection::ReadWrite } else { Protection::ReadOnly };
        Ok(Section { data: Data::Fd(fd), binding: None, size, protection, backing: Backing::File, writable })
    }

    /// An ordinary file as it is.
    pub(crate) fn open_file(path: &Path, writable: bool) -> io::Result<Section> {
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        Section::of_fd(rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?, writable)
    }

    /// A POSIX shared-memory object.
    pub(crate) fn open_posix(name: &str, writable: bool) -> io::Result<Section> {
        let path = format!("/dev/shm/{}", name.trim_start_matches('/'));
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Section::of_fd(rustix::fs::open(path, flags, Mode::empty())?, writable)
    }

    /// A System V segment by its key or, if `by_id`, its id.
    pub(crate) fn open_sysv(number: i32, by_id: bool, writable: bool) -> io::Result<Section> {
        let id = match by_id {
            true => number,
            // SAFETY: shmget takes no pointers.
            false => check(unsafe { libc::shmget(number, 0, 0) })?,
        };
        let mut info = MaybeUninit::<libc::shmid_ds>::uninit();
        // SAFETY: IPC_STAT writes one shmid_ds to the pointer, which has room for it (shmctl(2)).
        check(unsafe { libc::shmctl(id, libc::IPC_STAT, info.as_mut_ptr()) })
            .map_err(|e| if e.raw_os_error() == Some(libc::EINVAL) { Errno::NOENT.into() } else { e })?;
        // SAFETY: shmctl succeeded, so it has filled the structure.
        let size = unsafe { info.assume_init() }.shm_segsz as u64;
        let protection = if writable { Protection::ReadWrite } else { Protection::ReadOnly };
        Ok(Section { data: Data::SysV(id), binding: None, size, protection, backing: Backing::Exact, writable })
    }

    /// A mapping of whatever memory a descriptor stands for.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Section> {
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        Section::of_fd(fd, flags & OFlags::ACCMODE == OFlags::RDWR)
    }

    /// The same memory, and no more of it than `size` bytes.
    pub(crate) fn limited(self, size: u64) -> Section {
        Section { size: self.size.min(size), ..self }
    }

    /// A name of ours for memory that arrived as a descriptor. It leads others to this process's descriptor or, when that is
    /// closed, to that of anybody who has the file open. `None`: the name is taken.
    pub(crate) fn give_name(&self, slot: &Slot) -> io::Result<Option<Section>> {
        let (Data::Fd(fd), None) = (&self.data, &self.binding) else {
            return Err(Refusal::Unsupported("it has a name already, or is a System V segment".into()).into());
        };
        let data = fd.try_clone()?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), data.as_raw_fd());
        let record = Record::at(&data, path.into(), self.size)?;
        let mode = Record::mode_for(&data, 0o600)?;
        let variant = Variant::new(Kind::Mapping, flavour(self.protection, Backing::File));
        Ok(match namespace::create(slot, variant, self.writable, mode, |fd| record.write(fd))? {
            Creation::Created(binding) => {
                Some(Section { data: Data::Fd(data), binding: Some(binding), backing: Backing::File, ..*self })
            }
            Creation::Existing(_) => None,
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    /// Whether the size is that of memory in whole pages.
    pub(crate) fn is_reserved(&self) -> bool {
        self.backing == Backing::Reserved
    }

    /// Whether views may write through this handle.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    pub(crate) fn data_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.data {
            Data::Named => self.binding.as_ref().map(AsFd::as_fd),
            Data::Fd(fd) => Some(fd.as_fd()),
            Data::SysV(_) => None,
        }
    }

    /// Takes its name away; `NotFound`: it has none, or none any more.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        match &self.binding {
            Some(binding) => binding.unlink(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// All descriptors of the handle: the data's, then the name's if it is another one.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let name = self.binding.as_ref().filter(|_| !matches!(self.data, Data::Named));
        self.data_fd().into_iter().chain(name.map(AsFd::as_fd)).collect()
    }

    pub(crate) fn try_clone(&self) -> io::Result<Section> {
        let data = match &self.data {
            Data::Named => Data::Named,
            Data::Fd(fd) => Data::Fd(fd.try_clone()?),
            Data::SysV(id) => Data::SysV(*id),
        };
        let binding = self.binding.as_ref().map(Binding::try_clone).transpose()?;
        Ok(Section { data, binding, ..*self })
    }

    /// A handle on the memory that does not keep the name: the lock is on another description of the same file.
    pub(crate) fn nameless(&self) -> io::Result<Section> {
        let data = match &self.data {
            Data::Named => {
                let flags = if self.writable { OFlags::RDWR } else { OFlags::RDONLY };
                let fd = self.data_fd().ok_or(Errno::BADF)?;
                let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
                Data::Fd(rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?)
            }
            Data::Fd(fd) => Data::Fd(fd.try_clone()?),
            Data::SysV(id) => Data::SysV(*id),
        };
        Ok(Section { data, binding: None, ..*self })
    }

    /// Commits a range of a reserved object: afterwards it can be used in every view of every process.
    pub(crate) fn commit(&self, offset: u64, len: u64) -> io::Result<()> {
        if !matches!(self.backing, Backing::Reserved | Backing::File) {
            return Ok(());
        }
        let Some(fd) = self.data_fd() else { return Ok(()) };
        let mut at = offset & !(page_size() - 1);
        let end = round_up(offset + len, page_size()).ok_or(Errno::INVAL)?.min(self.size);
        // Hole by hole: what is committed already needs no more room.
        while at < end {
            let start = rustix::fs::seek(fd, SeekFrom::Hole(at))?;
            if start >= end {
                break;
            }
            let stop = match rustix::fs::seek(fd, SeekFrom::Data(start)) {
                Err(Errno::NXIO) => end,
                next => next?.min(end),
            };
            if start == stop {
                continue; // somebody else has just committed it
            }
            commit_file(fd, start, stop - start)?;
            // fallocate alone leaves what lseek calls a hole; pages that are there are data.
            self.map(Access::ReadWrite, start, stop - start)?.prefault(0, (stop - start) as usize, true)?;
            at = stop;
        }
        Ok(())
    }

    /// Whether all of a range can be used.
    pub(crate) fn is_committed(&self, _view: &RawView, offset: u64, len: u64) -> io::Result<bool> {
        let Some(fd) = self.data_fd() else { return Ok(true) };
        match rustix::fs::seek(fd, SeekFrom::Hole(offset)) {
            Ok(hole) => Ok(hole >= offset + len),
            Err(error) => Err(error.into()),
        }
    }

    /// Maps `[offset, offset + len)`.
    pub(crate) fn map(&self, access: Access, offset: u64, len: u64) -> io::Result<RawView> {
        let size = usize::try_from(len).map_err(|_| no_memory(len, "this process's address space is smaller"))?;
        if let Data::SysV(id) = self.data {
            return attach(id, access, offset, size);
        }
        let fd = self.data_fd().ok_or(Errno::BADF)?;
        if self.backing == Backing::File {
            let there = file_size(fd)?;
            if there < offset + len {
                return Err(Refusal::Vanished(format!(
                    "the file behind it has only {there} bytes left, the view would end at {}; somebody truncated it",
                    offset + len
                ))
                .into());
            }
        }
        let (prot, flags) = match access {
            Access::Read => (ProtFlags::READ, MapFlags::SHARED),
            Access::ReadWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Access::CopyOnWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no existing memory (mmap(2)).
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), size, prot, flags, fd, offset) };
        let base = base.map_err(|error| match error {
            Errno::NOMEM => no_memory(
                len,
                "this process has no room for the view (`ulimit -v`, vm.max_map_count); map less at a time: Mapping::windows",
            ),
            other => other.into(),
        })?;
        let view = RawView { base: base.cast(), len: size, attached: None, guard: Guard::none() };
        self.guarded(view, access)
    }

    /// Guards what a peer can shorten: all but a memfd that is sealed against it.
    fn guarded(&self, mut view: RawView, access: Access) -> io::Result<RawView> {
        let seals = match &self.data {
            Data::Fd(fd) => rustix::fs::fcntl_get_seals(fd).unwrap_or(SealFlags::empty()),
            _ => SealFlags::empty(),
        };
        if !seals.contains(SealFlags::SHRINK) {
            let start = view.base.addr();
            view.guard = Guard::over(start..start + view.len, access != Access::Read)?;
        }
        Ok(view)
    }

    /// Lets `command`'s process inherit the handle. Returns the ticket that [`Section::adopt`] takes there.
    pub(crate) fn hand_to(&self, command: &mut Command) -> io::Result<String> {
        let copy = self.try_clone()?;
        copy.refuse_to_inherit()?;
        let ticket = copy.ticket();
        let numbers: Vec<i32> = copy.fds().iter().map(AsRawFd::as_raw_fd).collect();
        let inherit = move || {
            let _open = &copy;
            numbers.iter().try_for_each(|number| {
                // SAFETY: `copy` keeps the descriptors open, in the parent until the command is dropped, so in the child.
                let fd = unsafe { BorrowedFd::borrow_raw(*number) };
                Ok(rustix::io::fcntl_setfd(fd, FdFlags::empty())?)
            })
        };
        // SAFETY: between fork and exec the closure only makes fcntl calls, which are async-signal-safe, and allocates
        // nothing.
        unsafe { command.pre_exec(inherit) };
        Ok(ticket)
    }

    /// As [`hand_to`](Section::hand_to), for every child.
    pub(crate) fn hand_over(&self) -> io::Result<String> {
        self.refuse_to_inherit()?;
        self.make_inheritable()?;
        Ok(self.ticket())
    }

    fn refuse_to_inherit(&self) -> io::Result<()> {
        match self.fds().is_empty() {
            true => {
                Err(Refusal::Unsupported("a System V segment is inherited by its id: hand over its name".into()).into())
            }
            false => Ok(()),
        }
    }

    /// What another process needs to know beside the descriptors.
    pub(crate) fn ticket(&self) -> String {
        let fds: Vec<String> = self.fds().iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        let access = if self.writable { "rw" } else { "ro" };
        format!("{};{};{};{access}", fds.join(","), flavour(self.protection, self.backing), self.size)
    }

    /// Takes over inherited descriptors by the ticket that came with them.
    pub(crate) fn adopt(ticket: &str, slot: Option<Slot>) -> io::Result<Section> {
        let numbers = ticket.split(';').next().unwrap_or_default();
        let mut fds = Vec::new();
        for number in numbers.split(',') {
            let number: i32 = number.parse().map_err(|_| bad_ticket(ticket))?;
            if number < 0 {
                return Err(bad_ticket(ticket));
            }
            // SAFETY: the number is only borrowed for one call, which fails cleanly if nothing is open there.
            let theirs = unsafe { BorrowedFd::borrow_raw(number) };
            // A copy of our own, so that the ticket can be used again, and nothing more is inherited.
            fds.push(rustix::io::fcntl_dupfd_cloexec(theirs, 3)?);
        }
        Section::adopt_fds(ticket, fds, slot)
    }

    /// Takes over descriptors, received or inherited, by the ticket that came with them.
    pub(crate) fn adopt_fds(ticket: &str, fds: Vec<OwnedFd>, slot: Option<Slot>) -> io::Result<Section> {
        let fields: Vec<&str> = ticket.split(';').collect();
        let [_, flavour, size, access] = fields[..] else {
            return Err(bad_ticket(ticket));
        };
        let (Ok(flavour), Ok(size)) = (flavour.parse::<u8>(), size.parse::<u64>()) else {
            return Err(bad_ticket(ticket));
        };
        if flavour > 15 {
            return Err(bad_ticket(ticket));
        }
        let variant = Variant::new(Kind::Mapping, flavour);
        let (protection, backing) = read_flavour(variant)?;
        let mut fds = fds.into_iter();
        let data = fds.next().ok_or_else(|| bad_ticket(ticket))?;
        // The sender's word is checked against the file itself.
        let there = Section::of_fd(data.try_clone()?, false)?.size;
        if size > round_up(there, page_size()).unwrap_or(there) || (backing == Backing::File && size > there) {
            return Err(
                Refusal::Vanished(format!("it has {there} bytes, not the {size} it was handed over with")).into()
            );
        }
        let writable = access == "rw" && protection == Protection::ReadWrite;
        let (data, binding) = match (slot, fds.next()) {
            (Some(slot), Some(name)) => (Data::Fd(data), Some(Binding::adopt(name, slot, variant))),
            (Some(slot), None) => (Data::Named, Some(Binding::adopt(data, slot, variant))),
            (None, _) => (Data::Fd(data), None),
        };
        Ok(Section { data, binding, size, protection, backing, writable })
    }
}

fn bad_ticket(ticket: &str) -> io::Error {
    Refusal::Invalid(format!("{ticket:?} is not what Mapping::hand_to writes")).into()
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn file_size(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0))
}

/// Opens the file a mapping is to stand on; makes it if it may grow.
fn open_backing(file: &FileSpec, writable: bool) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(writable).create(writable).custom_flags(libc::O_NONBLOCK);
    let opened = options.open(&file.path)?;
    if !opened.metadata()?.is_file() {
        return Err(Refusal::Invalid(format!("{} is not a regular file", file.path.display())).into());
    }
    let free = if file.exclusive { opened.try_lock() } else { opened.try_lock_shared() };
    match free {
        Ok(()) => Ok(opened),
        Err(std::fs::TryLockError::WouldBlock) => Err(Refusal::Denied(format!(
            "{} is open elsewhere {}",
            file.path.display(),
            if file.exclusive { "already; close it there or open it shared" } else { "exclusively; close it there" }
        ))
        .into()),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// The size of a mapping on `file`; the file grows to it if it must and may.
fn fit_backing(file: &std::fs::File, spec: &Spec) -> io::Result<u64> {
    let there = file.metadata()?.len();
    match spec.size {
        0 if there == 0 => Err(Refusal::Invalid("the file is empty; say how large the mapping shall be".into()).into()),
        0 => Ok(there),
        size if size <= there => Ok(size),
        size if spec.protection != Protection::ReadWrite => Err(Refusal::Denied(format!(
            "the file has {there} bytes and only a read-write mapping can make it larger ({size} were asked for)"
        ))
        .into()),
        size if spec.reserve => lengthen(file.as_fd(), size).map(|()| size),
        size => {
            let grown = commit_file(file.as_fd(), there, size - there);
            if grown.is_err() {
                let _ = file.set_len(there);
            }
            grown.map(|()| size)
        }
    }
}

/// Attaches a System V segment.
fn attach(id: i32, access: Access, offset: u64, len: usize) -> io::Result<RawView> {
    let flags = match access {
        Access::Read => libc::SHM_RDONLY,
        Access::ReadWrite => 0,
        Access::CopyOnWrite => {
            return Err(
                Refusal::Unsupported("System V segments cannot be mapped copy-on-write; read and copy".into()).into()
            );
        }
    };
    // SAFETY: with a null address the kernel chooses a free range (shmat(2)).
    let whole = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    if whole.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    // `offset` is inside the segment, which is all attached.
    let base = whole.cast::<u8>().wrapping_add(offset as usize);
    Ok(RawView { base, len, attached: Some(whole), guard: Guard::none() }) // nobody can shorten a segment
}

/// A mapped range; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct RawView {
    base: *mut u8,
    len: usize,
    /// Start of the System V attachment it is part of.
    attached: Option<*mut libc::c_void>,
    guard: Guard,
}

impl RawView {
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The page-aligned range around `[offset, offset + len)`, which lies inside the view.
    fn pages(&self, offset: usize, len: usize) -> (*mut libc::c_void, usize) {
        let start = offset & !(rustix::param::page_size() - 1);
        (self.base.wrapping_add(start).cast(), len + (offset - start))
    }

    /// Writes changes to the file behind the view. `durable`: returns when they are on the device.
    pub(crate) fn flush(&self, _section: &Section, offset: usize, len: usize, durable: bool) -> io::Result<()> {
        let (start, len) = self.pages(offset, len);
        let flags = if durable { MsyncFlags::SYNC } else { MsyncFlags::ASYNC };
        // SAFETY: the range is mapped by this view, and msync changes no memory (msync(2)).
        Ok(unsafe { rustix::mm::msync(start, len, flags) }?)
    }

    pub(crate) fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        let (start, len) = self.pages(offset, len);
        let advice = match advice {
            Advice::Normal => rustix::mm::Advice::Normal,
            Advice::Sequential => rustix::mm::Advice::Sequential,
            Advice::Random => rustix::mm::Advice::Random,
            Advice::WillNeed => rustix::mm::Advice::WillNeed,
            Advice::HugePages => rustix::mm::Advice::LinuxHugepage,
        };
        // SAFETY: the range is mapped by this view, and none of these advices changes contents (madvise(2)).
        Ok(unsafe { rustix::mm::madvise(start, len, advice) }?)
    }

    /// Maps every page of the range now, so that later accesses do not fault.
    pub(crate) fn prefault(&self, offset: usize, len: usize, write: bool) -> io::Result<()> {
        let (start, len) = self.pages(offset, len);
        let how = if write { rustix::mm::Advice::LinuxPopulateWrite } else { rustix::mm::Advice::LinuxPopulateRead };
        // SAFETY: the range is mapped by this view, and populating leaves contents as they are (madvise(2)).
        match unsafe { rustix::mm::madvise(start, len, how) } {
            Ok(()) => Ok(()),
            Err(Errno::INVAL) => self.touch(start.cast(), len, write), // before Linux 5.14
            Err(Errno::FAULT) => Err(Refusal::Vanished("the file behind it has become shorter".into()).into()),
            Err(Errno::NOMEM) => Err(no_memory(len as u64, "the machine or the memory cgroup has no more")),
            Err(error) => Err(error.into()),
        }
    }

    fn touch(&self, start: *mut u8, len: usize, write: bool) -> io::Result<()> {
        for offset in (0..len).step_by(rustix::param::page_size()) {
            let at = start.wrapping_add(offset);
            // SAFETY: the byte lies in this view, which is mapped; an atomic access races with nobody's.
            let byte = unsafe { std::sync::atomic::AtomicU8::from_ptr(at) };
            match write {
                true => byte.fetch_or(0, std::sync::atomic::Ordering::Relaxed),
                false => byte.load(std::sync::atomic::Ordering::Relaxed),
            };
        }
        Ok(())
    }
}

impl Drop for RawView {
    fn drop(&mut self) {
        // A lock in it that a thread of ours still has is on that thread's list, which the kernel follows when it ends.
        // The guard was forgotten, so nobody will ever give the lock back: the range stays mapped.
        if held_within(self.base.addr()..self.base.addr() + self.len) {
            return;
        }
        self.guard.end();
        match self.attached {
            // SAFETY: the address came from shmat, and nothing borrowed from the view outlives it.
            Some(whole) => drop(unsafe { libc::shmdt(whole) }),
            // SAFETY: base and length came from mmap, and nothing borrowed from the view outlives it.
            None => drop(unsafe { rustix::mm::munmap(self.base.cast(), self.len) }),
        }
    }
}

// SAFETY: a view is an address range of the process; any thread may use and unmap it. What is read and written
// through it goes through raw pointers and atomics, whose rules `View` keeps.
unsafe impl Send for RawView {}
// SAFETY: as above; all methods that take `&self` are system calls on the range or plain reads of the fields.
unsafe impl Sync for RawView {}
