//! A message's bytes as what they mean: while they are written, and while they are read.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::{Board, Found, Kind, Place, Small};
use crate::channel::frames::Payload;
use crate::shared::copy_in;
use crate::sys::lock::forks;

/// Room for a message, which nobody else reads or writes; dropped, it is given back.
pub(in crate::channel) struct Draft<'a, P: Payload + ?Sized> {
    board: &'a Board,
    pub(super) place: Place,
    pub(super) len: usize,
    /// A fork child gives nothing of its parent's back.
    forks: u32,
    _payload: PhantomData<Box<P>>,
}

/// A message, in place, which nobody writes.
pub(in crate::channel) struct Held<'a, P: Payload + ?Sized> {
    board: &'a Board,
    place: Place,
    len: usize,
    _payload: PhantomData<Box<P>>,
}

impl<'a, P: Payload + ?Sized> Draft<'a, P> {
    /// `None`: a message of so many bytes needs a slot.
    #[inline]
    pub(super) fn small(board: &'a Board, len: usize) -> Option<Draft<'a, P>> {
        let small = len <= Kind::of::<P>().inline_max();
        small.then(|| Draft {
            board,
            place: Place::Small(Small::default()),
            len,
            forks: forks(),
            _payload: PhantomData,
        })
    }

    /// In a slot that is ours, and large enough.
    pub(super) fn large(board: &'a Board, slot: usize, len: usize) -> Draft<'a, P> {
        Draft { board, place: Place::Slot(slot), len, forks: forks(), _payload: PhantomData }
    }

    /// As `message`, whose bytes it has room for.
    #[inline]
    pub(in crate::channel) fn copy(&mut self, message: &P) {
        let (at, bytes) = (self.at(), message.bytes());
        let len = bytes.len().min(self.len);
        // SAFETY: (1) there is room for `len` bytes, ours alone; (2) the message is memory of this process.
        unsafe { copy_in(&bytes[..len], at) }
    }

    /// Leaves all but the first `len` bytes out.
    pub(in crate::channel) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// It was handed over, and is not given back.
    #[inline]
    pub(super) fn sent(&mut self) {
        self.place = Place::Small(Small::default());
        self.len = 0;
    }

    #[inline]
    fn at(&mut self) -> *mut u8 {
        match &mut self.place {
            Place::Small(words) => std::ptr::from_mut(words).cast(),
            Place::Slot(slot) => self.board.bytes(*slot),
        }
    }
}

impl<P: Payload + ?Sized> Deref for Draft<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        let at = match &self.place {
            Place::Small(words) => std::ptr::from_ref(words).cast(),
            Place::Slot(slot) => self.board.bytes(*slot).cast_const(),
        };
        // SAFETY: (1) a slot begins at a multiple of 128 and small bytes at one of 16, for types that are content with it;
        // whoever made it checked the length; (2) they are ours: a slot by its owner, the small ones are in this process.
        unsafe { P::shared(at, self.len) }
    }
}

impl<P: Payload + ?Sized> DerefMut for Draft<'_, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut P {
        let (at, len) = (self.at(), self.len);
        // SAFETY: (1) as in `deref`; (2) as there, and `self` is borrowed.
        unsafe { P::exclusive(at, len) }
    }
}

impl<P: Payload + ?Sized> Drop for Draft<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if let Place::Slot(slot) = self.place
            && self.forks == forks()
        {
            self.board.give_back(slot);
        }
    }
}

impl<'a, P: Payload + ?Sized> Held<'a, P> {
    /// What `Board::read` found, for as long as its cell is in our hands.
    #[inline]
    pub(in crate::channel) fn new(board: &'a Board, (place, len): Found) -> Held<'a, P> {
        Held { board, place, len, _payload: PhantomData }
    }

    /// Whether it is a copy, and needs its cell no more.
    #[inline]
    pub(in crate::channel) fn is_copy(&self) -> bool {
        matches!(self.place, Place::Small(_))
    }
}

impl<P: Payload + ?Sized> Deref for Held<'_, P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        let at = match &self.place {
            Place::Small(words) => std::ptr::from_ref(words).cast(),
            Place::Slot(slot) => self.board.bytes(*slot).cast_const(),
        };
        // SAFETY: (1) as in `Draft::deref`, and `Board::read` checked slot and length; (2) nobody takes a slot that a cell in our
        // hands tells of; small bytes are a copy.
        unsafe { P::shared(at, self.len) }
    }
}
