//! What a frame may hold: a value of plain data, or a slice of such values.

use zerocopy::IntoBytes;

use crate::region::Record;

/// What frames hold: `T`, or `[T]` of any length, for plain data `T`: a [`Record`]. Bytes are `[u8]`.
pub trait Payload: sealed::Sealed {}

impl<P: sealed::Sealed + ?Sized> Payload for P {}

pub(super) mod sealed {
    use crate::region::Schema;

    /// Bytes as a payload. Every pattern of bytes is one, given the length and the alignment.
    pub trait Sealed {
        /// Bytes of an element, of which a frame has one or any number.
        const UNIT: usize;
        const ALIGNMENT: usize;
        const ONE: bool;
        /// Of an element.
        const SCHEMA: Schema;

        fn bytes(&self) -> &[u8];

        /// # Safety
        /// 1. `at` is aligned to `ALIGNMENT` and `len`, a multiple of `UNIT` and `UNIT` itself if it is `ONE`, bytes from there
        ///    are mapped for `'a`.
        /// 2. Meanwhile nobody who keeps the protocol writes them.
        unsafe fn shared<'a>(at: *const u8, len: usize) -> &'a Self;

        /// # Safety
        /// 1. As of `shared`.
        /// 2. Meanwhile nobody else who keeps the protocol touches them.
        unsafe fn exclusive<'a>(at: *mut u8, len: usize) -> &'a mut Self;
    }
}

impl<T: Record> sealed::Sealed for T {
    const UNIT: usize = size_of::<T>();
    const ALIGNMENT: usize = align_of::<T>();
    const ONE: bool = true;
    const SCHEMA: crate::region::Schema = T::SCHEMA;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    unsafe fn shared<'a>(at: *const u8, _: usize) -> &'a T {
        // SAFETY: the contract, and T has no invalid bytes.
        unsafe { &*at.cast() }
    }

    unsafe fn exclusive<'a>(at: *mut u8, _: usize) -> &'a mut T {
        // SAFETY: the contract, and T has no invalid bytes.
        unsafe { &mut *at.cast() }
    }
}

impl<T: Record> sealed::Sealed for [T] {
    const UNIT: usize = size_of::<T>();
    const ALIGNMENT: usize = align_of::<T>();
    const ONE: bool = false;
    const SCHEMA: crate::region::Schema = T::SCHEMA;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    unsafe fn shared<'a>(at: *const u8, len: usize) -> &'a [T] {
        // SAFETY: the contract, and T has no invalid bytes.
        unsafe { std::slice::from_raw_parts(at.cast(), len.checked_div(size_of::<T>()).unwrap_or(0)) }
    }

    unsafe fn exclusive<'a>(at: *mut u8, len: usize) -> &'a mut [T] {
        // SAFETY: the contract, and T has no invalid bytes.
        unsafe { std::slice::from_raw_parts_mut(at.cast(), len.checked_div(size_of::<T>()).unwrap_or(0)) }
    }
}
