//! The steps at a frame's entry: it tells of the frame whole or not at all, and a slot is kept or seen to be gone.
//!
//! Apart from where they stand, so that the models can run these very steps.

use crate::primitive::{AtomicU64, Ordering, fence};
use crate::step::is_broken;

/// What the entry of this frame says while it is there.
#[inline]
pub(crate) fn here(number: u64) -> u64 {
    number.wrapping_mul(2)
}

/// What it says from then on until the next is there.
#[inline]
pub(crate) fn gone(number: u64) -> u64 {
    match number as i64 {
        // Before the first round there was none.
        ..=0 => 0,
        _ => here(number) + 1,
    }
}

/// Makes an entry that told of frame `before` tell of `number`: before the last store it does not, and after it does. `write`
/// writes what it tells. `small`: the one before is in no slot, so that nobody holds it.
#[inline]
pub(crate) fn tell(entry: &AtomicU64, before: u64, number: u64, small: bool, write: impl FnOnce()) {
    if is_broken("frames: the number before the bytes") {
        entry.store(here(number), Ordering::Release);
        (0..100).for_each(|_| std::hint::spin_loop());
    }
    // SeqCst: as in `take_out`.
    entry.store(gone(before), if small { Ordering::Relaxed } else { Ordering::SeqCst });
    // Release: pairs with the Acquire fence in `copy`: who sees a byte of this frame sees that the one before is gone.
    fence(Ordering::Release);
    write();
    entry.store(here(number), Ordering::Release); // pairs with the Acquires in `copy`, `settle` and `Store::look`
}

/// What `copy` takes of a small frame, unless that changed meanwhile or is not there.
#[inline]
pub(crate) fn copy<C>(entry: &AtomicU64, number: u64, copy: impl FnOnce() -> Option<C>) -> Option<C> {
    // Acquire: pairs with the Release in `tell`.
    if entry.load(Ordering::Acquire) != here(number) {
        return None;
    }
    let copied = copy()?;
    fence(Ordering::Acquire); // pairs with the Release fence in `tell`
    (entry.load(Ordering::Relaxed) == here(number)).then_some(copied)
}

/// The newest frame, for whoever is in turn. Who died before it said so had published it all the same.
#[inline]
pub(crate) fn settle<'a>(newest: &AtomicU64, entry: impl FnOnce(u64) -> &'a AtomicU64) -> u64 {
    let known = newest.load(Ordering::Relaxed);
    let next = known.wrapping_add(1);
    // Acquire: pairs with the Release in `tell`.
    if entry(next).load(Ordering::Acquire) != here(next) {
        return known;
    }
    newest.store(next, Ordering::Release); // pairs with the Acquire in `Store::newest`
    next
}

/// Holds the slot that a frame stands in, by a bit of its reader's own. `false`: it is gone.
#[inline]
pub(crate) fn hold(entry: &AtomicU64, number: u64, holds: &AtomicU64, bit: u64) -> bool {
    // SeqCst, both: pair with those in `take_out` and `is_held`: either the publisher sees that we hold it, or we see that it is gone.
    holds.fetch_or(bit, Ordering::SeqCst);
    let is_here = entry.load(Ordering::SeqCst) == here(number) || is_broken("frames: held without a second look");
    if !is_here {
        let_go(holds, bit);
    }
    is_here
}

#[inline]
pub(crate) fn let_go(holds: &AtomicU64, bit: u64) {
    holds.fetch_and(!bit, Ordering::Release); // pairs with the load in `is_held`: what was read there may be written over
}

/// Takes a frame out, before anybody asks whether its slot is held.
#[inline]
pub(crate) fn take_out(entry: &AtomicU64, number: u64) {
    entry.store(gone(number), Ordering::SeqCst); // with the look in `is_held`: see `hold`
}

#[inline]
pub(crate) fn is_held(holds: &AtomicU64, bit: u64) -> bool {
    holds.load(Ordering::SeqCst) & bit != 0 // see `hold`
}
