//! The newest of several copies: readers take it without waiting, a writer fills the oldest, and a death in the middle
//! leaves the one before.
//!
//! A seqlock with more than one buffer (as Linux's `seqcount_latch`): value `n` stands in buffer `n mod count`, and the
//! sequence says which is the newest. A reader may keep its copy unless the writer has come round to its buffer.

use crate::primitive::{Ordering, fence};

/// Has `write` fill the buffer of the number after the newest. Then the caller stores that number as the sequence with
/// Release. One writer at a time.
#[inline]
pub(crate) fn fill(write: impl FnOnce()) {
    // Release: pairs with the Acquire fence in `read`: who sees a part of this value also sees the sequence before.
    fence(Ordering::Release);
    write();
}

/// Has `copy` take the value of the number it is told out of its buffer, or refuse; with its number. `None` also if the writer
/// came round meanwhile, and the copy may be a mixture. `count` buffers, a power of two, as the numbers wrap.
#[inline(always)]
pub(crate) fn read<C>(
    sequence: impl Fn(Ordering) -> u32,
    count: u32,
    copy: impl FnOnce(u32) -> Option<C>,
) -> Option<(C, u32)> {
    let newest = sequence(Ordering::Acquire); // pairs with the writer's Release store of the sequence
    let value = copy(newest)?;
    fence(Ordering::Acquire); // pairs with the Release fence in `fill`
    let now = sequence(Ordering::Relaxed);
    // Value newest + count goes into the same buffer, and is begun when newest + count - 1 is out.
    (now.wrapping_sub(newest) < count - 1).then_some((value, newest))
}
