//! A mapped range of a mapping, and walking a large one window by window.

#![allow(unsafe_code)]

use std::fmt;
use std::io::Write;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::{Access, Mapping, Object, Protection, out_of_range};
pub use crate::shared::Atomic;
use crate::sync::Placed;
use crate::sys::guard;
pub use crate::sys::mapping::Advice;
use crate::sys::mapping::{RawView, granularity};

/// A range of a [`Mapping`], mapped into this process (Win32: a *view*).
///
/// Any offset and length: the view aligns for itself. It keeps its mapping open. Views of one mapping show the
/// same bytes, in one process or several.
///
/// Bytes that other processes may write are never behind a `&[u8]` here: [`read`](View::read) and
/// [`write`](View::write) copy, [`atomic`](View::atomic) gives atomics, and slices are `unsafe`. A peer that writes while
/// one reads can make a copy a mixture of old and new bytes, no more.
///
/// If somebody truncates the file behind it while it is used, nobody dies: checked calls say [`ErrorKind::Vanished`] from then on
/// for what is gone, and [`vanished`](View::vanished) says from where. Whoever looks by an atomic, a pointer or a slice finds zeros
/// there on Linux, which are this view's own, and on Windows gets the system's in-page error (`docs/security.md` has the details).
#[doc(alias = "MapViewOfFile")]
#[doc(alias = "mmap")]
pub struct View {
    raw: RawView,
    /// Offset of the first byte inside `raw`, which begins at a multiple of the granularity.
    lead: usize,
    len: usize,
    offset: u64,
    access: Access,
    /// Bytes may be without memory: checked calls ask.
    reserved: bool,
    // Behind `raw`, so that the range is unmapped before the handle is closed.
    object: Arc<Object>,
}

/// The start and length that `range` means in something of `size` bytes.
fn resolve(range: &impl RangeBounds<u64>, size: u64) -> Option<(u64, u64)> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1)?,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => size,
    };
    (start <= end && end <= size).then(|| (start, end - start))
}

impl Mapping {
    /// Maps all of it.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`] if the mapping's protection or this handle does not allow `access`,
    /// [`ErrorKind::OutOfMemory`] if the address space has no room.
    pub fn view(&self, access: Access) -> Result<View> {
        self.view_range(access, ..)
    }

    /// Maps a range, given in bytes of the mapping.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::{Access, Mapping, MappingOptions};
    ///
    /// let mapping = MappingOptions::new().size(1 << 20).create_unnamed()?;
    /// mapping.view_range(Access::ReadWrite, 12_345..12_350)?.write(0, b"hello")?;
    /// let mut back = [0; 5];
    /// mapping.view(Access::Read)?.read(12_345, &mut back)?;
    /// assert_eq!(&back, b"hello");
    /// # Ok::<(), coview::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`view`](Self::view), and [`ErrorKind::OutOfRange`] for a range that is empty or ends beyond the size.
    pub fn view_range(&self, access: Access, range: impl RangeBounds<u64>) -> Result<View> {
        let object = &self.object;
        let (offset, len) = match resolve(&range, self.size()) {
            Some((offset, len)) if len > 0 => (offset, len),
            Some((offset, len)) => return Err(out_of_range("map", object, offset, len, self.size())),
            None => {
                let why = format!("the range {} does not lie inside its {} bytes", show(&range), self.size());
                return Err(Error::new(ErrorKind::OutOfRange, "map", why).on(object));
            }
        };
        if access == Access::ReadWrite && !object.section.is_writable() {
            let why = match self.protection() {
                Protection::ReadWrite => "this handle was opened for reading; open it with Access::ReadWrite",
                _ => "its protection forbids writing; map it for reading or copy-on-write",
            };
            return Err(Error::new(ErrorKind::AccessDenied, "map for writing", why).on(object));
        }
        let start = offset & !(granularity() - 1);
        let lead = (offset - start) as usize;
        let raw =
            object.section.map(access, start, len + lead as u64).map_err(|error| explain("map", object, error))?;
        let reserved = object.section.is_reserved();
        Ok(View { len: raw.len() - lead, raw, lead, offset, access, reserved, object: Arc::clone(object) })
    }

    /// Walks the mapping in views of `len` bytes, so that it may be larger than the address space or the memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::{Access, MappingOptions};
    ///
    /// let mapping = MappingOptions::new().size(1 << 20).create_unnamed()?;
    /// let mut seen = 0;
    /// for window in mapping.windows(Access::Read, 100_000).overlap(7) {
    ///     seen = window?.range().end;
    /// }
    /// assert_eq!(seen, 1 << 20);
    /// # Ok::<(), coview::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn windows(&self, access: Access, len: usize) -> Windows<'_> {
        assert!(len > 0, "a window of 0 bytes shows nothing");
        Windows { mapping: self, access, len, overlap: 0, next: 0, done: self.size() == 0 }
    }
}

fn show(range: &impl RangeBounds<u64>) -> String {
    let start = match range.start_bound() {
        Bound::Included(start) => start.to_string(),
        Bound::Excluded(before) => format!("{before} (excluded) "),
        Bound::Unbounded => String::new(),
    };
    let end = match range.end_bound() {
        Bound::Included(last) => format!("={last}"),
        Bound::Excluded(end) => end.to_string(),
        Bound::Unbounded => String::new(),
    };
    format!("{start}..{end}")
}

/// The windows of a mapping, front to back; see [`Mapping::windows`].
///
/// Each is a view of its own, which is unmapped when it is dropped: who drops each before taking the next has at
/// most one mapped.
#[derive(Debug)]
pub struct Windows<'a> {
    mapping: &'a Mapping,
    access: Access,
    len: usize,
    overlap: usize,
    next: u64,
    done: bool,
}

impl Windows<'_> {
    /// Lets each window begin with the last `bytes` of the one before, so that a record of up to `bytes + 1` bytes that
    /// straddles a border lies whole in one of them.
    ///
    /// # Panics
    /// If `bytes` is not less than the length of a window.
    pub fn overlap(mut self, bytes: usize) -> Self {
        assert!(bytes < self.len, "an overlap of {bytes} bytes leaves no step in windows of {}", self.len);
        self.overlap = bytes;
        self
    }

    /// Begins at `offset` bytes instead of at the front.
    pub fn starting_at(mut self, offset: u64) -> Self {
        self.next = offset;
        self.done = offset >= self.mapping.size();
        self
    }
}

impl Iterator for Windows<'_> {
    type Item = Result<View>;

    fn next(&mut self) -> Option<Result<View>> {
        if self.done {
            return None;
        }
        let end = self.next.saturating_add(self.len as u64).min(self.mapping.size());
        let view = self.mapping.view_range(self.access, self.next..end);
        self.done = view.is_err() || end == self.mapping.size();
        self.next = end.saturating_sub(self.overlap as u64);
        Some(view)
    }
}

impl View {
    /// Bytes it shows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a view shows at least one byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The range of the mapping that it shows, in bytes.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len as u64
    }

    /// What it was mapped for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The address of its first byte. It is valid for [`len`](View::len) bytes until the view is dropped, for writing only
    /// if the access allows it.
    pub fn as_ptr(&self) -> *mut u8 {
        self.raw.base().wrapping_add(self.lead)
    }

    /// From which offset on its bytes have vanished: somebody truncated the file behind it, or its device failed, and an
    /// access noticed. What is before that is what it was; in its last page a file that has become shorter ends with zeros.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::{Access, ErrorKind, MappingOptions};
    ///
    /// let path = std::env::temp_dir().join(format!("doc-vanished-{}.bin", std::process::id()));
    /// let mapping = MappingOptions::new().size(1 << 20).file(&path).create_unnamed()?;
    /// let view = mapping.view(Access::Read)?;
    /// let truncated = std::fs::File::options().write(true).open(&path).unwrap().set_len(0).is_ok(); // Windows refuses
    /// if truncated {
    ///     assert_eq!(view.read(9000, &mut [0]).unwrap_err().kind(), ErrorKind::Vanished);
    ///     assert!(view.vanished().is_some_and(|from| from <= 9000));
    /// }
    /// # drop((view, mapping)); std::fs::remove_file(path).unwrap();
    /// # Ok::<(), coview::Error>(())
    /// ```
    pub fn vanished(&self) -> Option<usize> {
        let lost = self.raw.guard().lost().saturating_sub(self.as_ptr().addr());
        (lost < self.len).then_some(lost)
    }

    /// Refuses what is known to have vanished.
    #[inline]
    fn check_there<T>(&self, operation: &'static str, at: *const T) -> Result<()> {
        let there = self.raw.guard().lost() >= at.addr() + size_of::<T>();
        if there { Ok(()) } else { Err(self.gone(operation)) }
    }

    /// Refuses if any of it is known to have vanished.
    #[inline]
    pub(crate) fn check_whole(&self, operation: &'static str) -> Result<()> {
        if self.raw.guard().lost() == usize::MAX { Ok(()) } else { Err(self.gone(operation)) }
    }

    #[cold]
    fn gone(&self, operation: &'static str) -> Error {
        explain(operation, &self.object, guard::vanished().into())
    }

    #[inline]
    fn check(&self, operation: &'static str, offset: usize, len: usize) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(self.outside(operation, offset, len)),
        }
    }

    #[cold]
    fn outside(&self, operation: &'static str, offset: usize, len: usize) -> Error {
        let why = format!("{len} bytes from offset {offset} do not lie inside the view's {} bytes", self.len);
        Error::new(ErrorKind::OutOfRange, operation, why).on(&self.object)
    }

    fn check_write(&self, operation: &'static str) -> Result<()> {
        if self.access != Access::Read {
            return Ok(());
        }
        let why = "the view was mapped for reading; map it with Access::ReadWrite or Access::CopyOnWrite";
        Err(Error::new(ErrorKind::AccessDenied, operation, why).on(&self.object))
    }

    /// Gives memory to a range of a reserved mapping, as [`Mapping::commit`](crate::Mapping::commit) does.
    pub(crate) fn commit(&self, offset: usize, len: usize) -> Result<()> {
        let (section, at) = (&self.object.section, self.offset + offset as u64);
        match self.reserved && len != 0 {
            true => section.commit(at, len as u64).map_err(|error| explain("commit", &self.object, error)),
            false => Ok(()),
        }
    }

    /// Only a reserved mapping has bytes without memory.
    #[inline]
    fn check_committed(&self, operation: &'static str, offset: usize, len: usize) -> Result<()> {
        if !self.reserved || len == 0 {
            return Ok(());
        }
        self.ask_committed(operation, offset, len)
    }

    #[cold]
    fn ask_committed(&self, operation: &'static str, offset: usize, len: usize) -> Result<()> {
        let section = &self.object.section;
        let at = self.offset + offset as u64;
        match section.is_committed(&self.raw, at, len as u64) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let why = format!(
                    "{len} bytes from offset {at} of the mapping are reserved but not all committed; Mapping::commit first"
                );
                Err(Error::new(ErrorKind::OutOfRange, operation, why).on(&self.object))
            }
            Err(error) => Err(explain(operation, &self.object, error)),
        }
    }

    /// Copies bytes out, from `offset` in the view.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`]; of a reserved mapping also for bytes that are not committed. [`ErrorKind::Vanished`]: `into` holds
    /// nothing of use.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        self.check("read", offset, into.len())?;
        self.check_committed("read", offset, into.len())?;
        // SAFETY: (1) the range was checked to lie in the view, which is mapped readable while `self` lives.
        match unsafe { self.raw.guard().copy_out(self.as_ptr().wrapping_add(offset), into) } {
            true => Ok(()),
            false => Err(self.gone("read")),
        }
    }

    /// Copies all bytes to a stream, without a second copy of the whole in memory.
    ///
    /// # Errors
    /// Those of the stream, and of [`read`](View::read).
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut piece = vec![0; self.len.min(256 << 10)];
        for offset in (0..self.len).step_by(piece.len()) {
            let len = piece.len().min(self.len - offset);
            self.read(offset, &mut piece[..len])?;
            out.write_all(&piece[..len])?;
        }
        Ok(())
    }

    /// Copies bytes in, to `offset` in the view.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], [`ErrorKind::AccessDenied`] if the view was mapped for reading; [`ErrorKind::Vanished`]: what came
    /// before the truncated end is written, the rest is nowhere.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.check_write("write")?;
        self.check("write", offset, bytes.len())?;
        self.check_committed("write", offset, bytes.len())?;
        // SAFETY: (1) the range was checked to lie in the view, which is mapped writable while `self` lives.
        // (2) `bytes` is a shared slice, which by the contract of `as_slice` is not a part of this view that
        // somebody writes.
        match unsafe { self.raw.guard().copy_in(bytes, self.as_ptr().wrapping_add(offset)) } {
            true => Ok(()),
            false => Err(self.gone("write")),
        }
    }

    /// A primitive of [`sync`](crate::sync), or an atomic, that stands at `offset` in the view. Every process that places
    /// the same one at the same offset of the mapping has the same one; a new mapping's zeros are a fresh one.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] also for an offset that is not a multiple of its alignment,
    /// [`ErrorKind::AccessDenied`] unless the view was mapped with [`Access::ReadWrite`]; [`ErrorKind::Vanished`].
    pub fn place<P: Placed>(&self, offset: usize) -> Result<&P> {
        let placed = self.placed(offset)?;
        self.check_there("place in", placed)?;
        Ok(placed)
    }

    /// As [`place`](Self::place), vanished or not: what this process has there it must be able to give back.
    pub(crate) fn placed<P: Placed>(&self, offset: usize) -> Result<&P> {
        if self.access != Access::ReadWrite {
            let why = "primitives are changed in place and shared: map the view with Access::ReadWrite";
            return Err(Error::new(ErrorKind::AccessDenied, "place in", why).on(&self.object));
        }
        let at = self.locate::<P>("place in", offset)?;
        // SAFETY: in range, aligned, mapped while `self` lives, any bytes are a value of it and it may be used by
        // everybody at once (contract of `Placed`).
        Ok(unsafe { &*at })
    }

    fn locate<T>(&self, operation: &'static str, offset: usize) -> Result<*const T> {
        self.check(operation, offset, size_of::<T>())?;
        self.check_committed(operation, offset, size_of::<T>())?;
        let at = self.as_ptr().wrapping_add(offset).cast::<T>();
        if at.is_aligned() {
            return Ok(at);
        }
        let why = format!("it needs an offset in the mapping that is a multiple of {}", align_of::<T>());
        Err(Error::new(ErrorKind::OutOfRange, operation, why).on(&self.object))
    }

    /// The atomic integer at `offset` in the view, shared with all processes.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], also for an offset that is not aligned; [`ErrorKind::AccessDenied`] if the view
    /// was mapped for reading (then see [`load`](View::load)); [`ErrorKind::Vanished`].
    pub fn atomic<A: Atomic>(&self, offset: usize) -> Result<&A> {
        self.check_write("place an atomic in")?;
        let at = self.locate::<A>("place an atomic in", offset)?;
        self.check_there("place an atomic in", at)?;
        // SAFETY: in range, aligned, mapped while `self` lives, and any bytes are a value of an atomic integer. The
        // memory is shared mutably only through atomics and raw copies.
        Ok(unsafe { &*at })
    }

    /// Reads the atomic integer at `offset` in the view; also in a view that was mapped for reading.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], also for an offset that is not aligned; [`ErrorKind::Vanished`].
    pub fn load<A: Atomic>(&self, offset: usize, order: Ordering) -> Result<A::Value> {
        let at = self.locate::<A>("read", offset)?;
        // SAFETY: as in `atomic`.
        let value = unsafe { &*at }.load(order);
        self.check_there("read", at)?;
        Ok(value)
    }

    /// All bytes as a slice.
    ///
    /// # Safety
    /// 1. While the slice lives, nobody writes to the range: no process, through no view.
    /// 2. The range is committed, and no one shortens the file behind it.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped readable for `len` bytes while `self` lives; (1) makes the shared reference good.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    /// All bytes as a slice that may be written.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`] if the view was mapped for reading.
    ///
    /// # Safety
    /// 1. While the slice lives, nobody else reads or writes the range: no process, through no view.
    /// 2. The range is committed, and no one shortens the file behind it.
    pub unsafe fn as_mut_slice(&mut self) -> Result<&mut [u8]> {
        self.check_write("write")?;
        // SAFETY: mapped writable for `len` bytes while `self` lives; (1) makes the exclusive reference good.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.len) })
    }

    fn part(&self, operation: &'static str, range: &impl RangeBounds<u64>) -> Result<(usize, usize)> {
        match resolve(range, self.len as u64) {
            Some((start, len)) => Ok((self.lead + start as usize, len as usize)),
            None => {
                let why = format!("the range {} does not lie inside the view's {} bytes", show(range), self.len);
                Err(Error::new(ErrorKind::OutOfRange, operation, why).on(&self.object))
            }
        }
    }

    /// Writes a range (in bytes of the view) to the file behind the mapping; returns when the device has it.
    /// Other views need no flush: they show the same memory.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and the device's.
    #[doc(alias = "FlushViewOfFile")]
    #[doc(alias = "msync")]
    pub fn flush(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let (start, len) = self.part("flush", &range)?;
        self.raw.flush(&self.object.section, start, len, true).map_err(|error| explain("flush", &self.object, error))
    }

    /// As [`flush`](View::flush), but only starts the writing. (Linux writes changed pages by itself within its
    /// `dirty_expire_centisecs`, and this call leaves that as it is.)
    ///
    /// # Errors
    /// As [`flush`](View::flush).
    pub fn flush_async(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let (start, len) = self.part("flush", &range)?;
        self.raw.flush(&self.object.section, start, len, false).map_err(|error| explain("flush", &self.object, error))
    }

    /// Tells the system how a range will be used. It may ignore that; Windows follows `WillNeed` alone.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], and the system's.
    pub fn advise(&self, range: impl RangeBounds<u64>, advice: Advice) -> Result<()> {
        let (start, len) = self.part("advise", &range)?;
        self.raw.advise(start, len, advice).map_err(|error| explain("advise", &self.object, error))
    }

    /// Brings every page of the range in now, so that later accesses do not fault.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], [`ErrorKind::OutOfMemory`], [`ErrorKind::Vanished`] if the file has become shorter.
    #[doc(alias = "MAP_POPULATE")]
    pub fn prefault(&self, range: impl RangeBounds<u64>) -> Result<()> {
        let (start, len) = self.part("prefault", &range)?;
        let write = self.access != Access::Read;
        self.raw.prefault(start, len, write).map_err(|error| explain("prefault", &self.object, error))?;
        let there = self.raw.guard().lost() >= self.raw.base().addr() + start + len;
        if there { Ok(()) } else { Err(self.gone("prefault")) }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("object", &format_args!("{}", self.object))
            .field("range", &self.range())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_resolve_or_are_refused() {
        assert_eq!(resolve(&(..), 10), Some((0, 10)));
        assert_eq!(resolve(&(3..=9), 10), Some((3, 7)));
        assert_eq!(resolve(&(10..), 10), Some((10, 0)));
        assert_eq!(resolve(&(3..11), 10), None);
        assert_eq!(resolve(&(11..), 10), None);
        assert_eq!(resolve(&(0..=u64::MAX), 10), None);
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = 5..3;
        assert_eq!(resolve(&backwards, 10), None);
    }
}
