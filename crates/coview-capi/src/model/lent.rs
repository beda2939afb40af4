//! An end of a channel and what is borrowed of it, in one handle: C has no lifetimes.

use std::ptr::NonNull;

/// `end` lives until this is dropped, and so at least as long as what was borrowed of it.
///
/// Those who use it keep one rule: what they borrow from the `'static` reference is kept beside this, in the same handle,
/// and is dropped before it.
pub(super) struct Lent<E> {
    end: NonNull<E>,
}

impl<E> Lent<E> {
    pub(super) fn new(end: E) -> Lent<E> {
        Lent { end: NonNull::from(Box::leak(Box::new(end))) }
    }

    /// The end.
    ///
    /// # Safety
    /// Nothing that was borrowed by [`alone`](Self::alone) is left, and what is borrowed now is dropped before `self`.
    pub(super) unsafe fn shared(&self) -> &'static E {
        // SAFETY: it lives on the heap until `self` is dropped; nobody has it for himself, by the contract.
        unsafe { self.end.as_ref() }
    }

    /// The end, for oneself.
    ///
    /// # Safety
    /// Nothing that was borrowed is left, and what is borrowed now is dropped before `self`.
    pub(super) unsafe fn alone(&mut self) -> &'static mut E {
        // SAFETY: it lives on the heap until `self` is dropped; nobody else has it, by the contract.
        unsafe { self.end.as_mut() }
    }
}

impl<E> Drop for Lent<E> {
    fn drop(&mut self) {
        // SAFETY: it came from a box, once, and what was borrowed of it is gone, by the contracts above.
        drop(unsafe { Box::from_raw(self.end.as_ptr()) });
    }
}
