//! A cell's word: what it says, and the steps by which a message goes from hand to hand.
//!
//! Apart from where it stands, so that the models can run these very steps.

use crate::primitive::{AtomicU64, Ordering};
use crate::step::is_broken;

/// Nothing stands here, or nothing any more.
pub(crate) const FREE: u64 = 0;
/// Whose hands it is in is about to post.
pub(crate) const FILLING: u64 = 1;
/// It waits for somebody to take it.
pub(crate) const READY: u64 = 2;
pub(crate) const TAKEN: u64 = 3;
/// Of a service: the answer stands here, for the one it is from.
pub(crate) const ANSWERED: u64 = 4;
/// Whoever took it died or gave it up; of a service that is told to the one it is from, of a queue to a taker.
pub(crate) const FAILED: u64 = 5;
/// Of a service: taken, and the one it is from is gone.
pub(crate) const CANCELLED: u64 = 6;

/// What a cell says: its lap, who it is from (of a queue: how often it was handed out before), in whose hands it is, and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    pub(crate) fn new(lap: u64, state: u64) -> Word {
        Word(lap << 20 | state)
    }

    pub(crate) fn lap(self) -> u64 {
        self.0 >> 20
    }

    pub(crate) fn from(self) -> usize {
        (self.0 >> 12 & 0xff) as usize
    }

    pub(crate) fn by(self) -> usize {
        (self.0 >> 4 & 0xff) as usize
    }

    pub(crate) fn state(self) -> u64 {
        self.0 & 0xf
    }

    pub(crate) fn to(self, state: u64) -> Word {
        Word(self.0 & !0xf | state)
    }

    pub(crate) fn sent_by(self, from: usize) -> Word {
        Word(self.0 & !(0xff << 12) | (from as u64 & 0xff) << 12)
    }

    pub(crate) fn held_by(self, by: usize) -> Word {
        Word(self.0 & !(0xff << 4) | (by as u64 & 0xff) << 4)
    }

    pub(crate) fn in_lap(self, lap: u64) -> Word {
        Word(self.0 & 0xf_ffff | lap << 20)
    }

    /// Whether it is in these hands.
    pub(crate) fn is(self, state: u64, by: usize) -> bool {
        self.state() == state && self.by() == by
    }
}

/// Changes a word, if `change` says so; what it was. `Err`: as `change` refused it.
#[inline]
pub(crate) fn change(word: &AtomicU64, change: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
    // Release: pairs with the Acquires here and in `Board::word`: whose hands it comes into sees all that was done to the message.
    let changed = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| change(Word(word)).map(|new| new.0));
    changed.map(Word).map_err(Word)
}

/// Takes a cell to post in it, or passes it over; unless somebody else was faster.
#[inline]
pub(crate) fn claim(word: &AtomicU64, from: Word, to: Word) -> bool {
    // Acquire: pairs with the Release in `change`: what stood here has been read.
    word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// Posts in a cell that is in our hands: `write` writes what it tells.
#[inline]
pub(crate) fn post(word: &AtomicU64, ready: Word, write: impl FnOnce()) {
    if is_broken("board: ready before the bytes") {
        word.store(ready.0, Ordering::Release);
        (0..100).for_each(|_| std::hint::spin_loop());
    }
    write();
    // Release: pairs with the Acquires in `Board::word` and `change`. Nobody else changes it while we fill it.
    word.store(ready.0, Ordering::Release);
}

/// Takes what is ready in this lap. `None`: somebody else was faster.
#[inline]
pub(crate) fn take(word: &AtomicU64, lap: u64, by: usize) -> Option<Word> {
    let ready = |word: Word| word.state() == READY && word.lap() == lap;
    change(word, |word| ready(word).then(|| word.to(TAKEN).held_by(by))).ok()
}

/// What this taker had taken is done.
#[inline]
pub(crate) fn finish(word: &AtomicU64, by: usize) {
    let _ = change(word, |word| word.is(TAKEN, by).then(|| word.to(FREE)));
}

/// This taker does not do what it had taken. `again`: somebody else does, and it is counted how often. `Ok`: it was taken.
pub(crate) fn give_up(word: &AtomicU64, by: usize, again: bool) -> Result<Word, Word> {
    change(word, |word| match word.state() {
        TAKEN if word.by() == by && !is_broken("board: what the dead had taken stays") => Some(match again {
            true => word.to(READY).sent_by((word.from() + 1).min(0xff)),
            false => word.to(FAILED),
        }),
        CANCELLED if word.by() == by => Some(word.to(FREE)),
        _ => None,
    })
}

/// What a poster that is gone was about to post, or waited for the answer of. `is_from`: whether it is from that one.
pub(crate) fn forget(word: &AtomicU64, by: usize, is_from: impl Fn(Word) -> bool) {
    let _ = change(word, |word| match word.state() {
        FILLING if word.by() == by && !is_broken("board: what the dead were posting stays") => Some(word.to(FREE)),
        READY | ANSWERED | FAILED if is_from(word) => Some(word.to(FREE)),
        TAKEN if is_from(word) => Some(word.to(CANCELLED)),
        _ => None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_parts_apart() {
        let word = Word::new(u64::MAX >> 20, FAILED).sent_by(0x3a).held_by(0x7f);
        assert_eq!((word.lap(), word.from(), word.by(), word.state()), (u64::MAX >> 20, 0x3a, 0x7f, FAILED));
        let word = word.in_lap(7).to(READY).sent_by(1).held_by(0);
        assert_eq!((word.lap(), word.from(), word.by(), word.state()), (7, 1, 0, READY));
    }
}
