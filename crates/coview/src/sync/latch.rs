//! The newest of several copies: readers take it without waiting, a writer fills the oldest, and a death in the middle
//! leaves the one before.
//!
//! A seqlock with more than one buffer (as Linux's `seqcount_latch`): value `n` stands in buffer `n mod count`, and the
//! sequence says which is the newest. A reader may keep its copy unless the writer has come round to its buffer.

use crate::primitive::{AtomicU64, Ordering, fence};

/// Makes `value` the newest. One writer at a time.
pub(crate) fn publish<'a>(sequence: &AtomicU64, buffer: impl Fn(u64) -> &'a [AtomicU64], value: &[u64]) {
    // Relaxed: only a writer changes it, and the writers exclude each other.
    let next = sequence.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the Acquire fence in `read`: who sees a word of this value also sees the sequence before.
    fence(Ordering::Release);
    for (to, from) in buffer(next).iter().zip(value) {
        to.store(*from, Ordering::Relaxed);
    }
    sequence.store(next, Ordering::Release); // pairs with the first Acquire in `read`
}

/// Copies the newest value; its number. `None`: the writer came round meanwhile, and the copy may be a mixture.
pub(crate) fn read<'a>(
    sequence: &AtomicU64,
    count: u64,
    buffer: impl Fn(u64) -> &'a [AtomicU64],
    copy: &mut [u64],
) -> Option<u64> {
    let newest = sequence.load(Ordering::Acquire); // pairs with the Release store in `publish`
    for (to, from) in copy.iter_mut().zip(buffer(newest)) {
        *to = from.load(Ordering::Relaxed);
    }
    fence(Ordering::Acquire); // pairs with the Release fence in `publish`
    let now = sequence.load(Ordering::Relaxed);
    // Value newest + count goes into the same buffer, and is begun when newest + count - 1 is out.
    (now.wrapping_sub(newest) < count - 1).then_some(newest)
}
