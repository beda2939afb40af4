//! Address ranges: where views and private memory are, and the Virtual… calls on them.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use coview::Mapping;
use coview::os::linux::fd;

use super::error::{Code, Outcome};
use super::mapping::{PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY};

/// Step of base addresses.
pub(super) const GRANULARITY: usize = 0x1_0000;

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_DECOMMIT: u32 = 0x4000;
const MEM_RELEASE: u32 = 0x8000;
const MEM_FREE: u32 = 0x1_0000;
const MEM_PRIVATE: u32 = 0x2_0000;
const MEM_MAPPED: u32 = 0x4_0000;

pub(super) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: everybody stores the same number.
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: it only returns a number.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(4096) as usize;
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// What a range is made of.
pub(super) enum Content {
    /// A view of a section, from this offset of it.
    View { memory: Arc<Mapping>, offset: u64 },
    /// Memory of VirtualAlloc.
    Private,
}

/// A mapped range, in whole pages.
pub(super) struct Region {
    pub(super) len: usize,
    pub(super) content: Content,
    protect: u32,
    /// The protection of every page at first; 0: private memory that is not committed.
    first: u32,
    /// Where it is another one from here to the next entry.
    runs: BTreeMap<usize, u32>,
}

impl Region {
    fn protect_at(&self, page: usize) -> u32 {
        self.runs.range(..=page).next_back().map_or(self.first, |(_, protect)| *protect)
    }

    fn change(&mut self, start: usize, len: usize, protect: u32) {
        let behind = self.protect_at(start + len);
        self.runs.retain(|at, _| !(start..=start + len).contains(at));
        self.runs.extend([(start, protect), (start + len, behind)]);
    }
}

static REGIONS: RwLock<BTreeMap<usize, Region>> = RwLock::new(BTreeMap::new());
/// Where the last range went free: the next fits there most of the time.
static HINT: AtomicUsize = AtomicUsize::new(0);

pub(super) fn regions() -> RwLockReadGuard<'static, BTreeMap<usize, Region>> {
    REGIONS.read().unwrap_or_else(PoisonError::into_inner)
}

fn regions_mut() -> RwLockWriteGuard<'static, BTreeMap<usize, Region>> {
    REGIONS.write().unwrap_or_else(PoisonError::into_inner)
}

/// The range that `address` lies in, with its base.
pub(super) fn find(regions: &BTreeMap<usize, Region>, address: usize) -> Option<(usize, &Region)> {
    let (base, region) = regions.range(..=address).next_back()?;
    (address - base < region.len).then_some((*base, region))
}

fn flags_of(protect: u32) -> Outcome<i32> {
    match protect {
        PAGE_NOACCESS => Ok(libc::PROT_NONE),
        PAGE_READONLY => Ok(libc::PROT_READ),
        PAGE_READWRITE | PAGE_WRITECOPY => Ok(libc::PROT_READ | libc::PROT_WRITE),
        _ => Err(Code::INVALID_PARAMETER),
    }
}

/// What to map: a descriptor and an offset in it, or nothing; shared, or with private changes.
pub(super) struct Source {
    pub(super) fd: i32,
    pub(super) offset: u64,
    pub(super) shared: bool,
}

impl Source {
    const NOTHING: Source = Source { fd: -1, offset: 0, shared: false };

    fn mmap(&self, at: usize, len: usize, prot: i32, flags: i32) -> Result<usize, i32> {
        let kind = if self.shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let anonymous = if self.fd < 0 { libc::MAP_ANONYMOUS | libc::MAP_NORESERVE } else { 0 };
        let hint = std::ptr::without_provenance_mut(at);
        // SAFETY: a fresh range: callers pass MAP_FIXED only with a range that they have just reserved, else the kernel replaces
        // nothing (MAP_FIXED_NOREPLACE, or an address of its choice).
        let base = unsafe { libc::mmap(hint, len, prot, kind | anonymous | flags, self.fd, self.offset as i64) };
        match base {
            libc::MAP_FAILED => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
            base => Ok(base.expose_provenance()),
        }
    }

    /// At exactly this address, if nothing is there.
    fn at(&self, address: usize, len: usize, prot: i32) -> Result<usize, i32> {
        match self.mmap(address, len, prot, libc::MAP_FIXED_NOREPLACE)? {
            base if base == address => Ok(base),
            elsewhere => {
                // Before Linux 4.17 the flag means nothing, and the address is a hint.
                unmap(elsewhere, len);
                Err(libc::EEXIST)
            }
        }
    }

    /// Anywhere, at a multiple of the granularity.
    fn anywhere(&self, len: usize, prot: i32) -> Result<usize, i32> {
        // Relaxed: a guess, which the kernel checks.
        let hint = HINT.load(Ordering::Relaxed);
        if let Some(base) = (hint != 0).then(|| self.at(hint, len, prot)).and_then(Result::ok) {
            return Ok(base);
        }
        let room = len.checked_add(GRANULARITY).ok_or(libc::ENOMEM)?;
        let start = Source::NOTHING.mmap(0, room, libc::PROT_NONE, 0)?;
        let base = start.next_multiple_of(GRANULARITY);
        let done = self.mmap(base, len, prot, libc::MAP_FIXED);
        if done.is_err() {
            unmap(start, room);
            return done;
        }
        let end = base + len.next_multiple_of(page_size());
        unmap(start, base - start);
        unmap(end, start + room - end);
        done
    }
}

fn unmap(base: usize, len: usize) {
    if len > 0 {
        // SAFETY: the range was mapped by us, and is forgotten by its owner: the caller of UnmapViewOfFile or VirtualFree says so.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(base), len) };
    }
}

/// Maps a range, at `wanted` unless that is 0, and remembers it.
pub(super) fn map(wanted: usize, len: usize, source: &Source, content: Content, protect: u32) -> Outcome<usize> {
    let prot = flags_of(protect)?;
    let mapped = match wanted {
        0 => source.anywhere(len, prot),
        _ => source.at(wanted, len, prot),
    };
    let base = mapped.map_err(|errno| match errno {
        libc::ENOMEM | libc::EOVERFLOW | libc::EAGAIN => Code::NOT_ENOUGH_MEMORY,
        libc::EEXIST | libc::EPERM | libc::EINVAL if wanted != 0 => Code::INVALID_ADDRESS,
        libc::EACCES => Code::ACCESS_DENIED,
        _ => Code::NOT_ENOUGH_MEMORY,
    })?;
    let len = len.next_multiple_of(page_size());
    regions_mut().insert(base, Region { len, content, protect, first: protect, runs: BTreeMap::new() });
    Ok(base)
}

/// Takes the range that `fits` away.
pub(super) fn remove(address: usize, fits: impl Fn(usize, &Region) -> bool) -> Outcome<()> {
    let (base, region) = {
        let mut regions = regions_mut();
        let base = match find(&regions, address) {
            Some((base, region)) if fits(base, region) => base,
            _ => return Err(Code::INVALID_ADDRESS),
        };
        let region = regions.remove(&base).ok_or(Code::INVALID_ADDRESS)?;
        (base, region)
    };
    unmap(base, region.len);
    HINT.store(base, Ordering::Relaxed);
    Ok(())
}

pub(super) fn allocate(address: usize, size: usize, kind: u32, protect: u32) -> Outcome<usize> {
    if size == 0 || kind & (MEM_COMMIT | MEM_RESERVE) == 0 || kind & !(MEM_COMMIT | MEM_RESERVE | 0x0010_0000) != 0 {
        return Err(Code::INVALID_PARAMETER);
    }
    flags_of(protect)?;
    if address != 0 && kind & MEM_RESERVE == 0 {
        return commit(address, size, protect);
    }
    let first = if kind & MEM_COMMIT != 0 { protect } else { PAGE_NOACCESS };
    let base = map(address & !(GRANULARITY - 1), size, &Source::NOTHING, Content::Private, first)?;
    if kind & MEM_COMMIT == 0
        && let Some(region) = regions_mut().get_mut(&base)
    {
        (region.protect, region.first) = (protect, 0);
    }
    Ok(base)
}

/// The whole pages around `size` bytes from `address`, if they all lie in the range at `base`.
fn pages(address: usize, size: usize, base: usize, region: &Region) -> Outcome<(usize, usize)> {
    let start = address & !(page_size() - 1);
    let end = address.checked_add(size).and_then(|end| end.checked_next_multiple_of(page_size()));
    let end = end.filter(|end| *end <= base + region.len).ok_or(Code::INVALID_ADDRESS)?;
    Ok((start, end - start))
}

fn protect_pages(start: usize, len: usize, prot: i32) -> Outcome<()> {
    // SAFETY: the range lies inside one of our own, which the caller of VirtualAlloc or VirtualProtect may change.
    match unsafe { libc::mprotect(std::ptr::with_exposed_provenance_mut(start), len, prot) } {
        0 => Ok(()),
        _ => Err(Code::of_errno()),
    }
}

/// Commits pages of a view for every view of the section, or of private memory.
fn commit(address: usize, size: usize, protect: u32) -> Outcome<usize> {
    let mut regions = regions_mut();
    let (base, region) = find(&regions, address).ok_or(Code::INVALID_ADDRESS)?;
    let (start, len) = pages(address, size, base, region)?;
    if let Content::View { memory, offset } = &region.content {
        let (memory, at) = (Arc::clone(memory), offset + (start - base) as u64);
        drop(regions);
        if memory.is_reserved() {
            memory.commit(at, (len as u64).min(memory.size() - at))?;
        }
        return Ok(start);
    }
    protect_pages(start, len, flags_of(protect)?)?;
    if let Some(region) = regions.get_mut(&base) {
        region.change(start, len, protect);
    }
    Ok(start)
}

pub(super) fn free(address: usize, size: usize, kind: u32) -> Outcome<()> {
    let mut regions = regions_mut();
    let (base, region) = find(&regions, address).ok_or(Code::INVALID_ADDRESS)?;
    if matches!(region.content, Content::View { .. }) {
        return Err(Code::INVALID_PARAMETER); // what is committed in a section stays so
    }
    match kind {
        MEM_RELEASE if size == 0 && address == base => {
            drop(regions);
            remove(address, |_, region| matches!(region.content, Content::Private))
        }
        MEM_DECOMMIT => {
            let size = if size == 0 { region.len } else { size };
            let (start, len) = pages(address, size, base, region)?;
            // Fresh pages in place of the old ones.
            let again = Source::NOTHING.mmap(start, len, libc::PROT_NONE, libc::MAP_FIXED);
            again.map_err(|_| Code::NOT_ENOUGH_MEMORY)?;
            if let Some(region) = regions.get_mut(&base) {
                region.change(start, len, 0);
            }
            Ok(())
        }
        _ => Err(Code::INVALID_PARAMETER),
    }
}

/// Changes the protection; the one before of the first page.
pub(super) fn protect(address: usize, size: usize, protect: u32) -> Outcome<u32> {
    let prot = flags_of(protect)?;
    let mut regions = regions_mut();
    let (base, region) = find(&regions, address).ok_or(Code::INVALID_ADDRESS)?;
    let (start, len) = pages(address, size, base, region)?;
    let view = matches!(region.content, Content::View { .. });
    let allowed = match region.protect {
        _ if !view => protect != PAGE_WRITECOPY,
        PAGE_READWRITE => protect != PAGE_WRITECOPY,
        PAGE_WRITECOPY => protect != PAGE_READWRITE,
        most => protect <= most, // PAGE_NOACCESS < PAGE_READONLY
    };
    if !allowed {
        return Err(Code::INVALID_PARAMETER);
    }
    protect_pages(start, len, prot)?;
    let region = regions.get_mut(&base).ok_or(Code::INVALID_ADDRESS)?;
    let before = region.protect_at(start);
    region.change(start, len, protect);
    Ok(before)
}

/// MEMORY_BASIC_INFORMATION.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Information {
    base: usize,
    allocation_base: usize,
    allocation_protect: u32,
    partition: u16,
    size: usize,
    state: u32,
    protect: u32,
    kind: u32,
}

pub(super) fn query(address: usize) -> Outcome<Information> {
    let regions = regions();
    let page = address & !(page_size() - 1);
    let Some((base, region)) = find(&regions, address) else {
        drop(regions);
        return elsewhere(page);
    };
    let end = base + region.len;
    let (protect, mut next) = run_of_protection(region, page, end);
    let mut committed = protect != 0;
    if let Content::View { memory, offset } = &region.content
        && memory.is_reserved()
    {
        let (there, until) = run_of_commitment(memory, offset + (page - base) as u64);
        committed = there;
        next = next.min(page.saturating_add(usize::try_from(until).unwrap_or(usize::MAX)));
    }
    let kind = if matches!(region.content, Content::View { .. }) { MEM_MAPPED } else { MEM_PRIVATE };
    Ok(Information {
        base: page,
        allocation_base: base,
        allocation_protect: region.protect,
        partition: 0,
        size: next.min(end) - page,
        state: if committed { MEM_COMMIT } else { MEM_RESERVE },
        protect: if committed { protect } else { 0 },
        kind,
    })
}

/// The protection of a page, and where it ends.
fn run_of_protection(region: &Region, page: usize, end: usize) -> (u32, usize) {
    let protect = region.protect_at(page);
    let other = region.runs.range(page + 1..end).find(|(_, other)| **other != protect);
    (protect, other.map_or(end, |(at, _)| *at))
}

/// Whether reserved memory is committed at an offset, and for how many bytes that goes on.
fn run_of_commitment(memory: &Mapping, offset: u64) -> (bool, u64) {
    let Some(fd) = fd(memory) else { return (true, u64::MAX) };
    let seek = |whence| {
        // SAFETY: it moves the file offset of a descriptor whose offset nobody uses.
        let found = unsafe { libc::lseek(fd.as_raw_fd(), offset as i64, whence) };
        u64::try_from(found).unwrap_or(u64::MAX)
    };
    // What is committed is there (docs/design.md), and what is not is a hole.
    match seek(libc::SEEK_HOLE) {
        hole if hole == offset => (false, seek(libc::SEEK_DATA).saturating_sub(offset)),
        hole => (true, hole.saturating_sub(offset)),
    }
}

/// A page that is none of ours, as the kernel lists it.
fn elsewhere(page: usize) -> Outcome<Information> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut free_until = usize::MAX;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let hex = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        let (start, end) = (hex(start), hex(end));
        if page < start {
            free_until = free_until.min(start);
        } else if page < end {
            let protect = match rights.as_bytes() {
                [b'r', b'w', ..] => PAGE_READWRITE,
                [b'r', ..] => PAGE_READONLY,
                _ => PAGE_NOACCESS,
            };
            let (base, size, state, kind) = (page, end - page, MEM_COMMIT, MEM_PRIVATE);
            let (allocation_base, allocation_protect) = (start, protect);
            return Ok(Information {
                base,
                allocation_base,
                allocation_protect,
                partition: 0,
                size,
                state,
                protect,
                kind,
            });
        }
    }
    let size = free_until - page;
    Ok(Information { base: page, size, state: MEM_FREE, protect: PAGE_NOACCESS, ..Information::default() })
}
