//! What a latest value may be: plain data of one type, or bytes up to a capacity.

use std::mem::MaybeUninit;

use crate::error::{Error, ErrorKind, Result};
use crate::region::{Record, Schema};
use crate::shared::{copy_in, copy_value};

/// The values of a [`Latest`](super::Latest): a [`Record`] `T`, of which a reader gets a `T`; or `[u8]`, of any length up to a
/// capacity, of which it gets a `Vec<u8>`.
pub trait Value: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> Value for T {}

pub(super) mod sealed {
    use super::{Result, Schema};

    /// How a value gets into a copy, and out of it.
    pub trait Sealed {
        /// What a reader gets.
        type Owned;
        /// Where it is put together.
        type Room;

        /// Whether its length is written before it.
        const BYTES: bool;

        fn schema() -> Option<Schema>;

        /// Bytes of the largest value.
        fn size(capacity: usize) -> usize;

        fn check(&self, size: usize) -> Result<()>;

        fn room() -> Self::Room;

        fn as_room(owned: &mut Self::Owned) -> &mut Self::Room;

        /// # Safety
        /// 1. `get` has filled the room.
        unsafe fn take(room: Self::Room) -> Self::Owned;

        /// # Safety
        /// 1. `copy` is mapped, for `copied(size)` bytes, for the length of the call, and aligned to 128.
        /// 2. `check(size)` has found no fault.
        unsafe fn put(&self, copy: *mut u8);

        /// # Safety
        /// 1. As (1) of `put`.
        unsafe fn get(copy: *const u8, size: usize, room: &mut Self::Room);
    }
}

/// Bytes of a copy of values of up to `size` bytes.
pub(super) const fn copied<T: sealed::Sealed + ?Sized>(size: usize) -> usize {
    if T::BYTES { size.saturating_add(size_of::<u64>()) } else { size }
}

impl<T: Record> sealed::Sealed for T {
    type Owned = T;
    type Room = MaybeUninit<T>;

    const BYTES: bool = false;

    fn schema() -> Option<Schema> {
        Some(T::SCHEMA)
    }

    fn size(_: usize) -> usize {
        size_of::<T>()
    }

    #[inline]
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn room() -> MaybeUninit<T> {
        MaybeUninit::uninit()
    }

    #[inline]
    fn as_room(owned: &mut T) -> &mut MaybeUninit<T> {
        // SAFETY: a MaybeUninit has the layout of its T (its documentation), and what is written there is a T: `get` writes whole
        // ones, and any bytes are one.
        unsafe { &mut *std::ptr::from_mut(owned).cast() }
    }

    #[inline]
    unsafe fn take(room: MaybeUninit<T>) -> T {
        // SAFETY: (1), and any bytes are a T.
        unsafe { room.assume_init() }
    }

    #[inline]
    unsafe fn put(&self, copy: *mut u8) {
        // SAFETY: (1), and `self` is this process's own.
        unsafe { copy_in(self.as_bytes(), copy) }
    }

    #[inline(always)]
    unsafe fn get(copy: *const u8, _: usize, room: &mut MaybeUninit<T>) {
        // SAFETY: (1); aligned, as no record is aligned to more than a copy.
        unsafe { room.as_mut_ptr().copy_from_nonoverlapping(copy.cast(), 1) }
    }
}

impl sealed::Sealed for [u8] {
    type Owned = Vec<u8>;
    type Room = Vec<u8>;

    const BYTES: bool = true;

    fn schema() -> Option<Schema> {
        None
    }

    fn size(capacity: usize) -> usize {
        capacity
    }

    fn check(&self, size: usize) -> Result<()> {
        if self.len() <= size {
            return Ok(());
        }
        let why = format!("it has {} bytes, and the latest value was made for at most {size}", self.len());
        Err(Error::new(ErrorKind::OutOfRange, "set", why).on("the latest value"))
    }

    fn room() -> Vec<u8> {
        Vec::new()
    }

    fn as_room(owned: &mut Vec<u8>) -> &mut Vec<u8> {
        owned
    }

    unsafe fn take(room: Vec<u8>) -> Vec<u8> {
        room
    }

    unsafe fn put(&self, copy: *mut u8) {
        // SAFETY: (1).
        unsafe { copy_in(&(self.len() as u64).to_le_bytes(), copy) };
        // SAFETY: (1) and (2).
        unsafe { copy_in(self, copy.wrapping_add(size_of::<u64>())) };
    }

    unsafe fn get(copy: *const u8, size: usize, room: &mut Vec<u8>) {
        // SAFETY: (1).
        let len = u64::from_le(unsafe { copy_value(copy.cast()) });
        // A length that is none belongs to a copy that is being written, or to a hostile one.
        let len = usize::try_from(len).map_or(size, |len| len.min(size));
        room.clear();
        room.reserve(len);
        // SAFETY: (1), as `len` is at most `size`; the room has been reserved.
        unsafe { room.as_mut_ptr().copy_from_nonoverlapping(copy.wrapping_add(size_of::<u64>()), len) };
        // SAFETY: so many bytes were just written.
        unsafe { room.set_len(len) };
    }
}
