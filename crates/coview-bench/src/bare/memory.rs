//! Memory that processes share because one made it before it forked the others.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::Result;
use crate::link::{PICTURE, Picture, Pictures, Viewer};

/// A value in memory of its own, for this process and those it forks. It stays until they end.
pub(crate) fn shared<T: Sync + 'static>(value: T) -> io::Result<&'static T> {
    Ok(&slice([value])?[0])
}

/// As [`shared`], many defaults in a row.
pub(crate) fn shared_slice<T: Sync + Default + 'static>(len: usize) -> io::Result<&'static [T]> {
    slice((0..len).map(|_| T::default()))
}

fn slice<T: Sync + 'static>(
    values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> io::Result<&'static [T]> {
    let values = values.into_iter();
    let len = values.len();
    assert!(align_of::<T>() <= 4096, "pages are aligned to that much");
    let (both, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let base = unsafe { mmap_anonymous(std::ptr::null_mut(), (len * size_of::<T>()).max(1), both, flags) }?.cast::<T>();
    let mut written = 0;
    for value in values.take(len) {
        // SAFETY: fewer than `len` were written, for which the mapping has room; it is aligned, and ours alone.
        unsafe { base.wrapping_add(written).write(value) };
        written += 1;
    }
    // SAFETY: so many values were just written; the mapping is never undone. Other processes change them only
    // through `&T`, as threads do: T is Sync.
    Ok(unsafe { std::slice::from_raw_parts(base, written) })
}

/// A value with two cache lines to itself, since the hardware fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

impl<T> Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Copies out of private memory into shared.
pub(crate) struct Copier {
    source: Vec<u8>,
    target: *mut u8,
}

impl Copier {
    pub(crate) fn new(size: usize) -> io::Result<Copier> {
        let source: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let target = shared_slice::<std::sync::atomic::AtomicU8>(size)?;
        Ok(Copier { source, target: target[0].as_ptr() })
    }

    pub(crate) fn copy(&mut self) {
        let (source, len) = (std::hint::black_box(self.source.as_ptr()), self.source.len());
        // SAFETY: both are `len` bytes; the target was made for this copier alone and apart from the source.
        unsafe { std::ptr::copy_nonoverlapping(source, std::hint::black_box(self.target), len) };
    }
}

/// A place for large frames, which only processes that wait for each other's answer may use: the limit for every library that has one
/// process write a frame before another reads it. (Four of them in turn take a half more time: they are not in the caches.)
#[derive(Clone)]
pub(crate) struct Shelf {
    /// Frames that were put there.
    count: &'static Line<AtomicU64>,
    place: &'static [AtomicU64],
}

impl Shelf {
    pub(crate) fn new() -> io::Result<Shelf> {
        Ok(Shelf { count: shared(Line(AtomicU64::new(0)))?, place: shared_slice(PICTURE / 8)? })
    }
}

impl Pictures for Shelf {
    fn sender(self) -> Result<impl FnMut(Picture<'_>) + 'static> {
        let mut count = 0;
        Ok(move |picture: Picture<'_>| {
            count += 1;
            let place = self.place;
            match picture {
                Picture::Untouched(word) => place[0].store(word, Ordering::Relaxed),
                // SAFETY: both are as long; the reader has answered the frame before this one, so nobody reads here.
                Picture::Whole(words) => unsafe {
                    std::ptr::copy_nonoverlapping(words.as_ptr(), place[0].as_ptr(), words.len())
                },
            }
            self.count.store(count, Ordering::Release); // pairs with the Acquire in `receiver`
        })
    }

    fn receiver(self) -> Result<Viewer> {
        let mut count = 0;
        Ok(Box::new(move |read| {
            count += 1;
            while self.count.load(Ordering::Acquire) != count {} // pairs with the Release in `sender`
            let place = self.place;
            // SAFETY: the sender has written it, and writes another only when it was answered.
            read(unsafe { std::slice::from_raw_parts(place[0].as_ptr(), place.len()) });
        }))
    }
}
