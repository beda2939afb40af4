//! The newest of several copies: readers take it without waiting, a writer fills the oldest, and a death in the middle
//! leaves the one before.
//!
//! A seqlock with more than one buffer (as Linux's `seqcount_latch`): value `n` stands in buffer `n mod count`, and the
//! sequence says which is the newest. A reader may keep its copy unless the writer has come round to its buffer.

use crate::primitive::{AtomicU64, Ordering, fence};

/// Copies `value` into the buffer of the number after the newest. Then the caller stores that number as the sequence with
/// Release. One writer at a time.
pub(crate) fn fill(buffer: &[AtomicU64], value: &[u64]) {
    // Release: pairs with the Acquire fence in `read`: who sees a word of this value also sees the sequence before.
    fence(Ordering::Release);
    for (to, from) in buffer.iter().zip(value) {
        to.store(*from, Ordering::Relaxed);
    }
}

/// Copies the newest value; its number. `None`: the writer came round meanwhile, and the copy may be a mixture. `count`
/// buffers, a power of two, as the numbers wrap.
pub(crate) fn read<'a>(
    sequence: impl Fn(Ordering) -> u32,
    count: u32,
    buffer: impl Fn(u32) -> &'a [AtomicU64],
    copy: &mut [u64],
) -> Option<u32> {
    let newest = sequence(Ordering::Acquire); // pairs with the writer's Release store of the sequence
    for (to, from) in copy.iter_mut().zip(buffer(newest % count)) {
        *to = from.load(Ordering::Relaxed);
    }
    fence(Ordering::Acquire); // pairs with the Release fence in `fill`
    let now = sequence(Ordering::Relaxed);
    // Value newest + count goes into the same buffer, and is begun when newest + count - 1 is out.
    (now.wrapping_sub(newest) < count - 1).then_some(newest)
}
