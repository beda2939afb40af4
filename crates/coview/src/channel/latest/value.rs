//! What a latest value may be: plain data of one type, or bytes up to a capacity.

use std::cmp::Ordering;
use std::mem::MaybeUninit;

use crate::error::{Error, ErrorKind, Result};
use crate::region::{Record, Schema};
use crate::shared::{copy_in, copy_value};
pub(super) use sealed::Sizes;

/// The values of a [`Latest`](super::Latest): a [`Record`] `T`, of which a reader gets a `T`; or `[u8]`, of any length up to a
/// capacity or of the length of a [`Schema`], of which it gets a `Vec<u8>`.
pub trait Value: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> Value for T {}

pub(super) mod sealed {
    use super::{Result, Schema};

    /// The values of one that is made or found.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Sizes {
        /// Bytes of the largest value.
        pub size: usize,
        /// They have any length up to that, which stands before them. Or all have that length.
        pub counted: bool,
    }

    impl Sizes {
        /// From copy to copy: what one reads is not in a line that another is written to, nor in its neighbour.
        pub const fn stride(self) -> usize {
            let copy = if self.counted { self.size.saturating_add(size_of::<u64>()) } else { self.size };
            // Of what is too large to be had, some number that is so, too.
            match copy.checked_next_multiple_of(128) {
                Some(stride) => stride,
                None => usize::MAX & !127,
            }
        }
    }

    /// How a value gets into a copy, and out of it.
    pub trait Sealed {
        /// What a reader gets.
        type Owned;
        /// Where it is put together.
        type Room;

        fn schema() -> Option<Schema>;

        /// As they are made, with this capacity.
        fn sizes(capacity: usize) -> Sizes;

        /// Those that were found, or made; a constant where the type says them.
        fn known(found: Sizes) -> Sizes;

        fn check(&self, sizes: Sizes) -> Result<()>;

        fn room() -> Self::Room;

        fn as_room(owned: &mut Self::Owned) -> &mut Self::Room;

        /// # Safety
        /// 1. `get` has filled the room.
        unsafe fn take(room: Self::Room) -> Self::Owned;

        /// # Safety
        /// 1. `copy` is mapped, for `sizes.stride()` bytes, for the length of the call, and aligned to 128.
        /// 2. `check(sizes)` has found no fault.
        unsafe fn put(&self, copy: *mut u8, sizes: Sizes);

        /// # Safety
        /// 1. As (1) of `put`.
        unsafe fn get(copy: *const u8, sizes: Sizes, room: &mut Self::Room);
    }
}

impl<T: Record> sealed::Sealed for T {
    type Owned = T;
    type Room = MaybeUninit<T>;

    fn schema() -> Option<Schema> {
        Some(T::SCHEMA)
    }

    #[inline]
    fn sizes(_: usize) -> Sizes {
        Sizes { size: size_of::<T>(), counted: false }
    }

    #[inline]
    fn known(_: Sizes) -> Sizes {
        T::sizes(0)
    }

    #[inline]
    fn check(&self, _: Sizes) -> Result<()> {
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
    unsafe fn put(&self, copy: *mut u8, _: Sizes) {
        // SAFETY: (1), and `self` is this process's own.
        unsafe { copy_in(self.as_bytes(), copy) }
    }

    #[inline(always)]
    unsafe fn get(copy: *const u8, _: Sizes, room: &mut MaybeUninit<T>) {
        // SAFETY: (1); aligned, as no record is aligned to more than a copy.
        unsafe { room.as_mut_ptr().copy_from_nonoverlapping(copy.cast(), 1) }
    }
}

impl sealed::Sealed for [u8] {
    type Owned = Vec<u8>;
    type Room = Vec<u8>;

    fn schema() -> Option<Schema> {
        None
    }

    fn sizes(capacity: usize) -> Sizes {
        Sizes { size: capacity, counted: true }
    }

    fn known(found: Sizes) -> Sizes {
        found
    }

    fn check(&self, Sizes { size, counted }: Sizes) -> Result<()> {
        let (len, refuse) = (self.len(), |kind, why| Err(Error::new(kind, "set", why).on("the latest value")));
        match len.cmp(&size) {
            Ordering::Less if !counted => {
                refuse(ErrorKind::InvalidInput, format!("{len} bytes are not a value, which has {size}"))
            }
            Ordering::Greater => {
                let why = format!("it has {len} bytes, and the latest value was made for at most {size}");
                refuse(ErrorKind::OutOfRange, why)
            }
            _ => Ok(()),
        }
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

    unsafe fn put(&self, mut copy: *mut u8, sizes: Sizes) {
        if sizes.counted {
            // SAFETY: (1).
            unsafe { copy_in(&(self.len() as u64).to_le_bytes(), copy) };
            copy = copy.wrapping_add(size_of::<u64>());
        }
        // SAFETY: (1) and (2).
        unsafe { copy_in(self, copy) };
    }

    unsafe fn get(mut copy: *const u8, Sizes { size, counted }: Sizes, room: &mut Vec<u8>) {
        let mut len = size;
        if counted {
            // SAFETY: (1).
            let held = u64::from_le(unsafe { copy_value(copy.cast()) });
            // A length that is none belongs to a copy that is being written, or to a hostile one.
            len = usize::try_from(held).map_or(size, |held| held.min(size));
            copy = copy.wrapping_add(size_of::<u64>());
        }
        room.clear();
        room.reserve(len);
        // SAFETY: (1), as `len` is at most `size`; the room has been reserved.
        unsafe { room.as_mut_ptr().copy_from_nonoverlapping(copy, len) };
        // SAFETY: so many bytes were just written.
        unsafe { room.set_len(len) };
    }
}
