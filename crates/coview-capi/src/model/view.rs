//! Views, and walking a large mapping window by window.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use coview::{Access, Mapping, View};

use super::argument::{Source, Target, access, coview_access, given, make};
use super::mapping::coview_mapping;
use super::status::{COVIEW_NONE, Failure, answer, coview_status, enter, misuse, quiet};

/// A mapped range of a mapping. It keeps its mapping open. May be used by several threads.
pub struct coview_view(View);

/// A walk over a mapping in views of equal length, so that it may be larger than the address space.
pub struct coview_windows {
    mapping: Mapping,
    access: Access,
    len: usize,
    overlap: usize,
    next: Option<u64>,
}

/// Maps `len` bytes from `offset` of the mapping; 0: to its end. Any offset: the view aligns for itself.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_open(
    mapping: Option<&coview_mapping>,
    access: coview_access,
    offset: u64,
    len: u64,
    view: Option<&mut MaybeUninit<Option<Box<coview_view>>>>,
) -> coview_status {
    enter(|| {
        make(view, || {
            let (mapping, access) = (&given(mapping)?.0, self::access(access)?);
            let end = match len {
                0 => mapping.size(),
                len => offset.checked_add(len).ok_or_else(|| misuse("the range ends beyond 2^64"))?,
            };
            Ok(coview_view(mapping.view_range(access, offset..end)?))
        })
    })
}

/// Unmaps it: pointers into it are no longer good. NULL does nothing; closing twice is as freeing twice.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_close(view: Option<Box<coview_view>>) {
    quiet((), || drop(view));
}

/// The address of its first byte; good for `coview_view_len` bytes until it is closed, for writing if it was opened so. Other
/// processes may write there at any time: use atomics or a lock. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_data(view: Option<&coview_view>) -> *mut c_void {
    quiet(std::ptr::null_mut(), || view.map_or(std::ptr::null_mut(), |view| view.0.as_ptr().cast()))
}

/// Bytes it shows. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_len(view: Option<&coview_view>) -> usize {
    quiet(0, || view.map_or(0, |view| view.0.len()))
}

/// Where in the mapping it begins, in bytes. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_offset(view: Option<&coview_view>) -> u64 {
    quiet(0, || view.map_or(0, |view| view.0.range().start))
}

/// Copies `len` bytes out, from `offset` in the view. Refused if they do not lie inside, or are not committed.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_read(
    view: Option<&coview_view>,
    offset: usize,
    mut into: Target,
    len: usize,
) -> coview_status {
    enter(|| Ok(given(view)?.0.read(offset, into.get(len)?)?))
}

/// Copies `len` bytes in, to `offset` in the view. Refused if they do not lie inside, are not committed, or the view is for
/// reading. `from` does not lie in the same view.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_write(
    view: Option<&coview_view>,
    offset: usize,
    from: Source,
    len: usize,
) -> coview_status {
    enter(|| Ok(given(view)?.0.write(offset, from.get(len)?)?))
}

/// Writes `len` bytes from `offset` in the view to the file behind the mapping; 0: to its end. Returns when the device has
/// them. Other views need no flush.
#[unsafe(no_mangle)]
pub extern "C" fn coview_view_flush(view: Option<&coview_view>, offset: usize, len: usize) -> coview_status {
    enter(|| {
        let (view, offset, len) = (&given(view)?.0, offset as u64, len as u64);
        let end = if len == 0 { view.len() as u64 } else { offset.saturating_add(len) };
        Ok(view.flush(offset..end)?)
    })
}

/// Begins a walk over a mapping in views of `len` bytes, each beginning with the last `overlap` bytes of the one before, so that a
/// record of up to `overlap` + 1 bytes lies whole in one of them.
#[unsafe(no_mangle)]
pub extern "C" fn coview_windows_open(
    mapping: Option<&coview_mapping>,
    access: coview_access,
    len: usize,
    overlap: usize,
    windows: Option<&mut MaybeUninit<Option<Box<coview_windows>>>>,
) -> coview_status {
    enter(|| {
        make(windows, || {
            let (mapping, access) = (given(mapping)?.0.try_clone()?, self::access(access)?);
            if len <= overlap {
                return Err(misuse(format!("windows of {len} bytes that overlap by {overlap} leave no step")));
            }
            Ok(coview_windows { mapping, access, len, overlap, next: Some(0) })
        })
    })
}

/// The next window, or `COVIEW_NONE` behind the last one. Close each before the next to have only one mapped.
#[unsafe(no_mangle)]
pub extern "C" fn coview_windows_next(
    windows: Option<&mut coview_windows>,
    view: Option<&mut MaybeUninit<Option<Box<coview_view>>>>,
) -> coview_status {
    enter(|| make(view, || given(windows)?.next()))
}

impl coview_windows {
    fn next(&mut self) -> Result<coview_view, Failure> {
        let found = self.next.take().and_then(|next| {
            let windows = self.mapping.windows(self.access, self.len).overlap(self.overlap);
            windows.starting_at(next).next()
        });
        let view = found.ok_or_else(|| answer(COVIEW_NONE, "that was the last window"))??;
        let end = view.range().end;
        self.next = (end < self.mapping.size()).then(|| end - self.overlap as u64);
        Ok(coview_view(view))
    }
}

/// Ends the walk; its views stay. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_windows_close(windows: Option<Box<coview_windows>>) {
    quiet((), || drop(windows));
}
