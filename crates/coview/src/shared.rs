//! Bytes that other processes may write at any time: how they are copied and which atomics may lie there.

#![allow(unsafe_code)]

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};

/// An atomic integer of fixed width that may lie in shared memory.
///
/// Implemented for `AtomicU8` to `AtomicU64` and `AtomicI8` to `AtomicI64`; every bit pattern is a value of
/// them, so whatever a peer writes is read as some number.
pub trait Atomic: sealed::Sealed + Sync + 'static {
    /// The integer inside.
    type Value: Copy;

    /// Reads the value.
    fn load(&self, order: Ordering) -> Self::Value;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! atomic {
    ($($atomic:ty => $value:ty),*) => {$(
        impl sealed::Sealed for $atomic {}
        impl Atomic for $atomic {
            type Value = $value;
            fn load(&self, order: Ordering) -> $value {
                self.load(order)
            }
        }
    )*};
}

atomic!(AtomicU8 => u8, AtomicU16 => u16, AtomicU32 => u32, AtomicU64 => u64,
        AtomicI8 => i8, AtomicI16 => i16, AtomicI32 => i32, AtomicI64 => i64);

/// Copies `to.len()` bytes out of shared memory.
///
/// A peer that writes meanwhile makes the copy a mixture of old and new bytes, nothing else: see "Why is a copy
/// out of shared memory allowed to race?" in `docs/design.md`.
///
/// # Safety
/// 1. `from` is mapped and readable for `to.len()` bytes, and stays so during the call.
#[inline]
pub(crate) unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
    // SAFETY: (1) makes the source readable; the target is an exclusive slice of this process, so they do not
    // overlap; bytes have no invalid values and no alignment.
    unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) }
}

/// As [`copy_out`], a value of any alignment.
///
/// # Safety
/// 1. `from` is mapped and readable for the size of a `T`, and stays so during the call.
#[inline]
pub(crate) unsafe fn copy_value<T: zerocopy::FromBytes>(from: *const T) -> T {
    // SAFETY: (1), and any bytes are a T.
    unsafe { from.read_unaligned() }
}

/// Copies `from` into shared memory.
///
/// # Safety
/// 1. `to` is mapped and writable for `from.len()` bytes, and stays so during the call.
/// 2. `from` is memory of this process alone.
#[inline]
pub(crate) unsafe fn copy_in(from: &[u8], to: *mut u8) {
    // SAFETY: (1) makes the target writable, (2) keeps the two apart; bytes have no alignment.
    unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) }
}

/// Up to so many bytes, copying step by step costs no more than the call of a routine for any length.
const SHORT: usize = 128;

/// As [`copy_in`], for records: a short one is read word by word. What a program has just written as words is still on its way to
/// the cache; loads of the same width are served from there, a wider one waits for all stores before it, and those are to lines
/// that come from another processor.
///
/// # Safety
/// As [`copy_in`], and:
/// 3. `to` is aligned to 8.
#[inline]
pub(crate) unsafe fn copy_record_in(from: &[u8], to: *mut u8) {
    if from.len() > SHORT {
        // SAFETY: (1) and (2) are the caller's.
        return unsafe { copy_in(from, to) };
    }
    let (pairs, rest) = from.as_chunks();
    for (n, pair) in pairs.iter().enumerate() {
        // SAFETY: by (1) and (3): inside the target and aligned.
        unsafe { store_pair(pair, to.wrapping_add(16 * n)) };
    }
    // SAFETY: (1) and (2): behind the pairs, inside the target.
    unsafe { copy_in(rest, to.wrapping_add(16 * pairs.len())) };
}

/// Two words, read one by one and, where that can be, written at once: a processor has room for so many stores on their way.
///
/// # Safety
/// `to` is mapped and writable for 16 bytes, and aligned to 8.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn store_pair(pair: &[u8; 16], to: *mut u8) {
    // SAFETY: reads inside the pair, and writes where the caller says. The compiler would make one load of the two.
    unsafe {
        std::arch::asm!(
            "movq {both}, [{pair}]", "movhps {both}, [{pair} + 8]", "movups [{to}], {both}",
            both = out(xmm_reg) _, pair = in(reg) pair, to = in(reg) to, options(nostack, preserves_flags)
        )
    }
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
unsafe fn store_pair(pair: &[u8; 16], to: *mut u8) {
    let (words, _) = pair.as_chunks();
    for (n, word) in words.iter().enumerate() {
        // SAFETY: inside what the caller says, and aligned; atomic, or the compiler would make one of the two.
        let to = unsafe { AtomicU64::from_ptr(to.wrapping_add(8 * n).cast()) };
        to.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
    }
}

/// As [`prefetch`], to be written.
#[inline]
pub(crate) fn prefetch_write(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `prefetch`; a processor that does not have it does nothing.
    unsafe {
        std::arch::asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags))
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks for the cache line at an address, without waiting for it. Any address will do.
#[inline]
pub(crate) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that touches nothing the program can see, and faults at no address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast())
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
