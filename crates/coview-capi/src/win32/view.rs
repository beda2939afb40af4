//! Views of sections: mapping, unmapping and flushing them.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use coview::Protection;
use coview::os::linux::fd;

use super::error::{Code, Outcome};
use super::file;
use super::mapping::{MAP_READ, MAP_WRITE, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY};
use super::memory::{Content, GRANULARITY, Source, find, map, regions, remove};
use super::object::Object;
use super::table::{Handle, table};

const FILE_MAP_COPY: u32 = 1;
const FILE_MAP_WRITE: u32 = 2;
const FILE_MAP_READ: u32 = 4;
const FILE_MAP_EXECUTE: u32 = 0x20;

pub(super) fn create(handle: Handle, access: u32, offset: u64, len: usize, wanted: usize) -> Outcome<usize> {
    if !offset.is_multiple_of(GRANULARITY as u64) || !wanted.is_multiple_of(GRANULARITY) {
        return Err(Code::MAPPED_ALIGNMENT);
    }
    let entry = table().get(handle)?;
    let Object::Section(section) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    let (protect, rights) = match access {
        access if access & FILE_MAP_EXECUTE != 0 => return Err(Code::ACCESS_DENIED),
        access if access & FILE_MAP_WRITE != 0 => (PAGE_READWRITE, MAP_WRITE),
        access if access & FILE_MAP_READ != 0 => (PAGE_READONLY, MAP_READ),
        access if access & FILE_MAP_COPY != 0 => (PAGE_WRITECOPY, MAP_READ),
        _ => (PAGE_NOACCESS, MAP_READ),
    };
    entry.allow(rights)?;
    let memory = section.memory()?;
    if protect == PAGE_READWRITE
        && (memory.protection() != Protection::ReadWrite || memory.access() != coview::Access::ReadWrite)
    {
        return Err(Code::ACCESS_DENIED);
    }
    let room = memory.size().checked_sub(offset).filter(|room| *room > 0).ok_or(Code::INVALID_PARAMETER)?;
    let len = if len == 0 { usize::try_from(room).map_err(|_| Code::NOT_ENOUGH_MEMORY)? } else { len };
    if len as u64 > room {
        return Err(Code::ACCESS_DENIED);
    }
    let fd = fd(&memory).ok_or(Code::INVALID_HANDLE)?;
    if section.on_file && file::len_of(fd)? < offset + len as u64 {
        return Err(Code::FILE_INVALID); // somebody cut the file
    }
    let source = Source { fd: fd.as_raw_fd(), offset, shared: protect != PAGE_WRITECOPY };
    map(wanted, len, &source, Content::View { memory: Arc::clone(&memory), offset }, protect)
}

pub(super) fn unmap(address: usize) -> Outcome<()> {
    remove(address, |_, region| matches!(region.content, Content::View { .. }))
}

pub(super) fn flush(address: usize, len: usize) -> Outcome<()> {
    let regions = regions();
    let (base, region) = find(&regions, address).ok_or(Code::INVALID_PARAMETER)?;
    if !matches!(region.content, Content::View { .. }) {
        return Err(Code::INVALID_PARAMETER);
    }
    let room = base + region.len - address;
    let len = if len == 0 { room } else { len };
    if len > room {
        return Err(Code::INVALID_PARAMETER);
    }
    let start = address & !(super::memory::page_size() - 1);
    let pages = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range is mapped while the list of ranges is read-locked, and msync changes no memory (msync(2)).
    match unsafe { libc::msync(pages, len + (address - start), libc::MS_SYNC) } {
        0 => Ok(()),
        _ => Err(Code::of_errno()),
    }
}
