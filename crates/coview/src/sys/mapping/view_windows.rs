//! Mapped ranges on Windows: views of sections.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    FlushViewOfFile, MEM_COMMIT, MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS, PAGE_READWRITE, UnmapViewOfFile,
    VirtualAlloc, VirtualQuery, WIN32_MEMORY_RANGE_ENTRY,
};
use windows_sys::Win32::System::ProcessStatus::GetMappedFileNameW;
use windows_sys::core::BOOL;

use super::{Advice, Section, page_size};
use crate::sys::guard::Guard;
use crate::sys::namespace::wide;
use crate::sys::process::this_process;

/// A mapped range; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct RawView {
    base: *mut u8,
    len: usize,
    /// Where in the section it begins.
    offset: u64,
    guard: Guard,
}

impl RawView {
    /// Takes over a view that has just been mapped.
    ///
    /// # Safety
    /// 1. `base` came from `MapViewOfFile` for at least `len` bytes, and nobody else will unmap it.
    pub(super) unsafe fn new(base: *mut u8, len: usize, offset: u64) -> RawView {
        RawView { base, len, offset, guard: Guard::none() }
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// With a guard, as there is a device behind it that can fail.
    pub(super) fn guarded(mut self, writable: bool) -> io::Result<RawView> {
        let start = self.base.addr();
        self.guard = Guard::over(start..start + self.len, writable)?;
        Ok(self)
    }

    #[inline]
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Writes changes to the file behind the view. `durable`: returns when they are on the device.
    pub(crate) fn flush(&self, section: &Section, offset: usize, len: usize, durable: bool) -> io::Result<()> {
        // A length of 0 would mean all of it, and memory has no file.
        if len == 0 || !section.is_on_file() {
            return Ok(());
        }
        // SAFETY: the range lies in this view, which is mapped, and flushing changes no memory.
        if unsafe { FlushViewOfFile(self.base.wrapping_add(offset).cast(), len) } == 0 {
            return Err(io::Error::last_os_error());
        }
        match section.file() {
            // Where others keep the file to themselves, we have none, and the system writes in its own time.
            Some(file) if durable => file.sync_all(),
            _ => Ok(()),
        }
    }

    /// Windows follows one advice; the others are about a read-ahead that it decides by itself.
    pub(crate) fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        if advice == Advice::WillNeed && len > 0 {
            prefetch(self.base.wrapping_add(offset), len);
        }
        Ok(())
    }

    /// Touches every page of the range that has memory, so that later accesses do not fault.
    pub(crate) fn prefault(&self, offset: usize, len: usize, write: bool) -> io::Result<()> {
        let page = page_size() as usize;
        for (range, committed) in self.regions(offset..offset + len)? {
            if !committed {
                continue;
            }
            for offset in range.step_by(page) {
                let at = self.base.wrapping_add(offset);
                // SAFETY: the byte lies in this view, which is mapped and has memory there; an atomic access
                // races with nobody's.
                let byte = unsafe { AtomicU8::from_ptr(at) };
                match write {
                    true => byte.fetch_or(0, Ordering::Relaxed),
                    false => byte.load(Ordering::Relaxed),
                };
            }
        }
        Ok(())
    }

    /// Whether all of `[offset, offset + len)` of the section, which lies in this view, has memory.
    pub(super) fn is_committed(&self, offset: u64, len: u64) -> io::Result<bool> {
        let start = (offset - self.offset) as usize;
        Ok(self.regions(start..start + len as usize)?.iter().all(|(_, committed)| *committed))
    }

    /// Gives memory to `[offset, offset + len)` of this view and so of its section.
    pub(super) fn commit(&self, offset: usize, len: usize) -> io::Result<()> {
        // SAFETY: the range lies in this view of a reserved section; committing changes what is committed
        // already in no way, and the rest was not accessible before.
        let at = unsafe { VirtualAlloc(self.base.wrapping_add(offset).cast(), len, MEM_COMMIT, PAGE_READWRITE) };
        if at.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The path of the file behind it, as the system's own: `\Device\HarddiskVolume1\…`.
    pub(super) fn file_path(&self) -> Option<String> {
        let mut path = vec![0_u16; 32 << 10];
        // SAFETY: the address is of a mapped view of this process, and `path` has as much room as is said.
        let len = unsafe { GetMappedFileNameW(this_process(), self.base.cast(), path.as_mut_ptr(), path.len() as u32) };
        (len > 0).then(|| String::from_utf16_lossy(&path[..len as usize]))
    }

    /// The parts of a range of this view that have memory or have none, in turn.
    fn regions(&self, range: Range<usize>) -> io::Result<Vec<(Range<usize>, bool)>> {
        let mut parts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let mut info = MEMORY_BASIC_INFORMATION::default();
            let address = self.base.wrapping_add(at);
            // SAFETY: any address may be asked about, and `info` has the size that is said.
            if unsafe { VirtualQuery(address.cast(), &mut info, size_of_val(&info)) } == 0 {
                return Err(io::Error::last_os_error());
            }
            let lead = address.addr() - info.BaseAddress.addr();
            let end = range.end.min(at + (info.RegionSize - lead));
            parts.push((at..end, info.State == MEM_COMMIT));
            at = end;
        }
        Ok(parts)
    }
}

impl Drop for RawView {
    fn drop(&mut self) {
        self.guard.end();
        let address = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.base.cast() };
        // SAFETY: the address came from MapViewOfFile (contract of `new`), and nothing borrowed from the view
        // outlives it.
        unsafe { UnmapViewOfFile(address) };
    }
}

/// Reads a range in ahead, where Windows can (since version 8): a hint, whose failure changes nothing.
fn prefetch(start: *mut u8, len: usize) {
    type Prefetch = unsafe extern "system" fn(HANDLE, usize, *const WIN32_MEMORY_RANGE_ENTRY, u32) -> BOOL;
    let library = wide("kernel32.dll");
    // SAFETY: the name is NUL-terminated and alive; the library stays loaded as long as the process.
    let library = unsafe { GetModuleHandleW(library.as_ptr()) };
    // SAFETY: the library is loaded (a null handle would stand for the program itself, which is, too), and
    // the name is NUL-terminated.
    let Some(function) = (unsafe { GetProcAddress(library, c"PrefetchVirtualMemory".as_ptr().cast()) }) else {
        return;
    };
    // SAFETY: kernel32's function of this name has this signature (its documentation, memoryapi.h).
    let prefetch = unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, Prefetch>(function) };
    let range = WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: start.cast(), NumberOfBytes: len };
    // SAFETY: one range is said and given, it lies in a mapped view, and prefetching changes no memory.
    unsafe { prefetch(this_process(), 1, &range, 0) };
}

// SAFETY: a view is an address range of the process; any thread may use and unmap it. What is read and written
// through it goes through raw pointers and atomics, whose rules `View` keeps.
unsafe impl Send for RawView {}
// SAFETY: as above; all methods that take `&self` are system calls on the range, atomic accesses or plain
// reads of the fields.
unsafe impl Sync for RawView {}
