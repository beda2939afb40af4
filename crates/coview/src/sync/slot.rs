//! A value as words of eight bytes: in shared memory they are atomics, outside they are numbers.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use zerocopy::{FromBytes, IntoBytes};

use crate::primitive::AtomicU64;

/// Room for a value, in words.
#[repr(C, align(8))]
pub(crate) struct Slot<T>(UnsafeCell<T>);

// SAFETY: it is only touched as atomics.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// The words of one in shared memory.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `self` is aligned to 8 and a multiple of 8 long; its bytes lie in a cell or are padding, any bytes are
        // a value of an atomic integer, and they are only touched as such.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Slot<T>>() / 8) }
    }
}

/// The words of one that nobody else sees.
#[inline]
fn private<T>(slot: &mut MaybeUninit<Slot<T>>) -> &mut [u64] {
    // SAFETY: as in `Slot::words`; it was zeroed, so every byte has a value.
    unsafe { std::slice::from_raw_parts_mut(slot.as_mut_ptr().cast(), size_of::<Slot<T>>() / 8) }
}

/// A value from the words that `read` writes, and what it returned.
#[inline]
pub(crate) fn load<T: FromBytes, R>(read: impl FnOnce(&mut [u64]) -> Option<R>) -> Option<(T, R)> {
    let mut slot = MaybeUninit::<Slot<T>>::zeroed();
    let result = read(private(&mut slot))?;
    // SAFETY: every byte has a value, and T has no invalid ones.
    Some((unsafe { slot.assume_init() }.0.into_inner(), result))
}

/// Gives the words of a value to `write`.
#[inline]
pub(crate) fn store<T: IntoBytes + zerocopy::Immutable>(value: &T, write: impl FnOnce(&[u64])) {
    let mut slot = MaybeUninit::<Slot<T>>::zeroed();
    let words = private(&mut slot);
    words.as_mut_bytes()[..size_of::<T>()].copy_from_slice(value.as_bytes());
    write(words);
}
