//! The board under queues and services: messages in a row, each in the hands of one at a time, whoever dies.
//!
//! Position n stands in cell n mod E. The cell's word says in which lap it is, so whether position n has been used, and in whose hands
//! the message is. Every step is one exchange of that word, and the hands have a number that belongs to a process with a lock: what a
//! dead one had is found and handed on by whoever takes its lock. Positions are used in order, one after the other; so a used one
//! says that all before it are.

mod posting;
mod shape;
mod taking;
mod typed;
mod word;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) use posting::Posting;
pub(super) use shape::{Kind, Mode, Shape, Wanted};
pub(super) use taking::{Got, Taking};
pub(super) use typed::{Draft, Held};
use word::*;

use super::end::{Deaths, End, Side};
use super::frames::Payload;
use super::future::Listening;
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::step::is_broken;
use crate::sync::{Commit, Placed};
use crate::sys::wait::{Deadline, spin};
use crate::view::View;

/// The most who post.
pub(super) const POSTERS: usize = 128;
/// The most who take. Few enough to sleep beside all of them, as all do who wait for what they do.
pub(super) const TAKERS: usize = 60;

/// The bytes that stand beside their word: with it, two cache lines.
pub(super) const INLINE_MAX: usize = 8 * WORDS;
const WORDS: usize = 14;
const INLINE: u64 = 1 << 63;
/// Of a message in a slot: its bytes below, its slot from here on.
const SLOT_AT: u32 = 48;

/// So many slots go round as long as readers keep up: few stay in the caches, and the next one is not the one that is still read.
const ROTATION: usize = 4;
/// The longest sleep of one who waits for room: what a poster has comes back without a bell when that dies.
const NAP: Duration = Duration::from_millis(100);
/// Looks before somebody goes to sleep: about a microsecond, well below what waking up costs.
const SPINS: u32 = 100;
/// Looks in vain before one who only polls asks whether somebody has died.
const GLANCES: u32 = 4096;
/// Looks in one poll before others are let run.
const TRIES: u32 = 4;

/// What stands before the cells; `docs/format.md` draws it.
#[derive(Debug)]
#[repr(C)]
struct Head {
    slot: AtomicU64,
    stride: AtomicU64,
    units: [AtomicU64; 2],
    ones: [AtomicU32; 2],
    cells: AtomicU32,
    slots: AtomicU32,
    mode: AtomicU32,
    rare: Rare,
    front: Front,
    /// First those who post.
    ends: [End; POSTERS + TAKERS],
}

/// Read for each message, written when somebody sleeps or dies.
#[derive(Debug)]
#[repr(C, align(128))]
struct Rare {
    posted: Commit,
    freed: Commit,
    poster_deaths: Deaths,
    taker_deaths: Deaths,
    /// How often a message that had been taken was given back.
    returns: AtomicU32,
}

/// Where several who take find the next one.
#[derive(Debug)]
#[repr(C, align(128))]
struct Front {
    /// All before it are taken, but those that were given back.
    at: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(128))]
struct CellWords {
    word: AtomicU64,
    /// Length and `INLINE`, or length and slot.
    what: AtomicU64,
    bytes: [AtomicU64; WORDS],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    /// Who has it on loan: a poster, counted from 1, or behind all of them a taker.
    owner: AtomicU32,
    /// The cell that it was handed to, if that says so too.
    cell: AtomicU32,
}

// SAFETY: (1) to (4): atomics and placed parts, of which any value is some state.
unsafe impl Placed for Head {}

/// The bytes of a small message, as this process has them.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(16))]
pub(super) struct Small([u64; WORDS]);

/// Where a message's bytes are.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Small(Small),
    Slot(usize),
}

/// A message's place and its length in bytes.
pub(super) type Found = (Place, usize);

/// The board, as this process knows it: what was checked once is not asked of shared memory again.
#[derive(Clone)]
pub(super) struct Board {
    view: Arc<View>,
    content: *mut u8,
    shape: Shape,
}

// SAFETY: `content` points into the view, which it owns a part of; bytes there are touched by the protocol.
unsafe impl Send for Board {}
// SAFETY: as above: through `&Board` nothing but atomics is touched.
unsafe impl Sync for Board {}

impl Board {
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: `Board::of` placed it there, and the view lives as long as `self`.
        unsafe { &*self.content.cast() }
    }

    /// The cell of a position.
    #[inline]
    fn cell(&self, at: u64) -> &CellWords {
        let index = (at & (self.shape.cells - 1)) as usize;
        // SAFETY: `Shape::is_possible` saw that all cells lie in the view; aligned to 128; only touched as atomics.
        unsafe { &*self.content.wrapping_add(size_of::<Head>()).cast::<CellWords>().wrapping_add(index) }
    }

    #[inline]
    fn slot(&self, index: usize) -> &Slot {
        assert!((index as u64) < self.shape.slots, "the index was checked");
        let at = size_of::<Head>() + self.shape.cells as usize * size_of::<CellWords>();
        // SAFETY: `Shape::is_possible` saw that all slots lie in the view; aligned to 64; only touched as atomics.
        unsafe { &*self.content.wrapping_add(at).cast::<Slot>().wrapping_add(index) }
    }

    /// The bytes of a slot.
    #[inline]
    fn bytes(&self, index: usize) -> *mut u8 {
        self.content.wrapping_add(self.shape.data() as usize + index * self.shape.stride as usize)
    }

    #[inline]
    fn lap(&self, at: u64) -> u64 {
        at >> self.shape.cells.trailing_zeros()
    }

    /// The position that a cell says it is used up to.
    fn latest(&self, at: u64, word: Word) -> u64 {
        word.lap() << self.shape.cells.trailing_zeros() | at & (self.shape.cells - 1)
    }

    #[inline]
    fn word(&self, at: u64) -> Word {
        Word(self.cell(at).word.load(Ordering::Acquire)) // pairs with the Releases in `word::change` and `word::post`
    }

    #[inline]
    fn is_used(&self, at: u64) -> bool {
        self.word(at).lap() >= self.lap(at)
    }

    /// Changes the word of a cell, if `change` says so; what it was. `Err`: as `change` refused it.
    #[inline]
    fn change(&self, at: u64, change: impl Fn(Word) -> Option<Word>) -> std::result::Result<Word, Word> {
        word::change(&self.cell(at).word, change)
    }

    /// The first position that is not used, given one that is not behind it.
    fn end(&self, from: u64) -> u64 {
        if !self.is_used(from) {
            return from;
        }
        let mut known = self.latest(from, self.word(from)).max(from);
        // Doubling steps, and then halving ones. A peer that writes over the words makes it any position.
        let mut step = 1;
        while step < self.shape.cells && self.is_used(known + step) {
            known += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if self.is_used(known + step) {
                known += step;
            }
        }
        known + 1
    }

    /// The first position of all is at the second lap: zeros say that the first is over.
    fn first(&self) -> u64 {
        self.shape.cells
    }

    /// Puts a message's length and place, and its bytes if it is small, into a cell that is in our hands.
    #[inline]
    fn write(&self, at: u64, place: &Place, len: usize) {
        let cell = self.cell(at);
        match place {
            Place::Small(words) => {
                cell.what.store(INLINE | len as u64, Ordering::Release); // pairs with the Acquire in `is_told_of`
                for (to, from) in cell.bytes.iter().zip(&words.0[..len.div_ceil(8).min(WORDS)]) {
                    to.store(*from, Ordering::Relaxed);
                }
            }
            Place::Slot(slot) => {
                self.slot(*slot).cell.store((at & (self.shape.cells - 1)) as u32, Ordering::Relaxed);
                cell.what.store((*slot as u64) << SLOT_AT | len as u64, Ordering::Release); // as above
            }
        }
    }

    /// The message in a cell that is in our hands: a peer may have written over what says where.
    #[inline]
    fn read(&self, at: u64, kind: Kind) -> Result<Found> {
        let cell = self.cell(at);
        let what = cell.what.load(Ordering::Relaxed);
        if what & INLINE == 0 {
            let (slot, len) = ((what >> SLOT_AT) as usize, (what & ((1 << SLOT_AT) - 1)) as usize);
            let fits = (slot as u64) < self.shape.slots && kind.fits(len) && len as u64 <= self.shape.slot;
            return if fits {
                Ok((Place::Slot(slot), len))
            } else {
                Err(self.corrupt("a message has no possible place", at))
            };
        }
        let len = (what & !INLINE) as usize;
        if len > kind.inline_max() || !kind.fits(len) {
            return Err(self.corrupt("a message has no possible length", at));
        }
        let mut words = Small::default();
        for (to, from) in words.0.iter_mut().zip(&cell.bytes).take(len.div_ceil(8)) {
            *to = from.load(Ordering::Relaxed);
        }
        Ok((Place::Small(words), len))
    }

    #[cold]
    fn corrupt(&self, what: &str, at: u64) -> Error {
        let offset = size_of::<Head>() as u64 + (at & (self.shape.cells - 1)) * size_of::<CellWords>() as u64;
        let why = format!("{what}, at offset {offset}: a peer wrote over it; the next may be well");
        Error::new(ErrorKind::Corrupt, "receive from", why).on(self.shape.noun())
    }

    pub(super) fn listening(&self) -> Listening {
        Listening::new(&self.view)
    }

    fn refused(&self, error: std::io::Error) -> Error {
        explain("use", self.shape.noun(), error)
    }
}

/// Slots.
impl Board {
    /// One of these, for this owner.
    fn take_slot(&self, owner: u32, mut among: impl Iterator<Item = usize>) -> Option<usize> {
        among.find(|index| {
            let slot = self.slot(*index);
            // Acquire: pairs with the Release in `hand_over`: who finds it without owner finds the cell that tells of it.
            let ours = self.is_idle(*index)
                && slot.owner.compare_exchange(0, owner, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if ours && self.is_told_of(*index) {
                slot.owner.store(0, Ordering::Release);
                return false;
            }
            ours
        })
    }

    /// Whether a message stands in it.
    fn is_told_of(&self, index: usize) -> bool {
        let at = u64::from(self.slot(index).cell.load(Ordering::Relaxed));
        // Acquire: pairs with the Release in `write`: what stood in the slot before has been read.
        let what = self.cell(at).what.load(Ordering::Acquire);
        what & INLINE == 0 && what >> SLOT_AT == index as u64 && self.word(at).state() != FREE
    }

    /// The cell that tells of it has it from now on.
    #[inline]
    fn hand_over(&self, place: &Place) {
        if let Place::Slot(slot) = place {
            self.slot(*slot).owner.store(0, Ordering::Release); // pairs with the Acquire in `take_slot`
        }
    }

    /// A loan for a message of so many bytes, for a poster or, of an answer, for a taker. `None`: the time is over.
    fn loan<P: Payload + ?Sized>(
        &self,
        owner: u32,
        last: &Cell<usize>,
        len: usize,
        timeout: Option<Duration>,
    ) -> Result<Option<Draft<'_, P>>> {
        if let Some(draft) = Draft::small(self, len) {
            return Ok(Some(draft));
        }
        let all = self.shape.slots_for(owner > POSTERS as u32);
        let (first, few) = (all.start, all.len().min(ROTATION));
        let slot = || {
            let going_round = (1..=few).map(|step| first + (last.get() + step) % few);
            let slot = self.take_slot(owner, going_round.chain(first + few..all.end))?;
            last.set(slot - first);
            Some(slot)
        };
        if let Some(slot) = slot() {
            return Ok(Some(Draft::large(self, slot, len)));
        }
        let slot = self.wait(Deadline::after(timeout), || all.clone().any(|slot| self.is_idle(slot)), slot)?;
        Ok(slot.map(|slot| Draft::large(self, slot, len)))
    }

    /// The bytes of a message of `len` elements.
    fn bytes_of<P: Payload + ?Sized>(&self, len: usize) -> Result<usize> {
        let max = self.shape.message_max();
        len.checked_mul(P::UNIT).filter(|bytes| *bytes <= max).ok_or_else(|| {
            let why = format!("{len} elements of {} bytes; the largest message has {max}: give slot() more", P::UNIT);
            Error::new(ErrorKind::OutOfRange, "loan from", why).on(self.shape.noun())
        })
    }

    /// Sleeps until there may be room, and tries to `get` it, until that works or the time is over.
    #[cold]
    fn wait<T>(&self, until: Deadline, ready: impl Fn() -> bool, get: impl Fn() -> Option<T>) -> Result<Option<T>> {
        loop {
            let Some(left) = until.left() else {
                // What the dead had may be it. Once: an end can say for ever that somebody died there, if a peer writes it.
                return Ok(if self.reclaim() { get() } else { None });
            };
            if !spin(&ready) {
                let side = self.takers();
                let known = side.deaths.load(Ordering::Acquire); // pairs with the Release in `reclaim`
                if !self.reclaim() {
                    let nap = Deadline::after(Some(left.min(NAP)));
                    let slept = side.sleep_and(|end| self.bury(end), nap, known, false, &ready);
                    slept.map_err(|error| self.refused(error))?;
                }
            }
            if let Some(got) = get() {
                return Ok(Some(got));
            }
        }
    }

    fn is_idle(&self, slot: usize) -> bool {
        self.slot(slot).owner.load(Ordering::Relaxed) == 0 && !self.is_told_of(slot)
    }

    /// Gives a loan back.
    fn give_back(&self, slot: usize) {
        self.slot(slot).owner.store(0, Ordering::Release); // as in `hand_over`
        self.tell(&self.head().rare.freed);
    }

    /// Nothing is on loan to this owner, who is attached here or dead.
    fn disown(&self, owner: u32) {
        for index in 0..self.shape.slots as usize {
            let slot = self.slot(index);
            if slot.owner.load(Ordering::Relaxed) == owner && !is_broken("board: loans of the dead stay") {
                slot.owner.store(0, Ordering::Release); // as in `hand_over`
            }
        }
    }
}

/// Who is there, and what the dead had.
impl Board {
    /// Who takes, as those see it who wait for what takers do.
    fn takers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.ends[POSTERS..], deaths: &head.rare.taker_deaths, bell: &head.rare.freed }
    }

    fn posters(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.ends[..POSTERS], deaths: &head.rare.poster_deaths, bell: &head.rare.posted }
    }

    /// All, as those see it who wait for something to take: it may be posted, or given back.
    fn everybody(&self) -> Side<'_> {
        Side { ends: &self.head().ends, ..self.posters() }
    }

    /// Wakes who sleeps on this bell; if that fails they look again by themselves.
    #[inline]
    fn tell(&self, bell: &Commit) {
        let _ = bell.word().ring();
    }

    /// If nobody is at this end any more, what that one had is handed on. Whether that is so.
    fn bury(&self, end: &End) -> bool {
        let head = self.head();
        let index = (std::ptr::from_ref(end).addr() - head.ends.as_ptr().addr()) / size_of::<End>();
        match index.checked_sub(POSTERS) {
            None => end.reclaim(&head.rare.poster_deaths, || self.poster_is_gone(index)),
            Some(taker) => end.reclaim(&head.rare.taker_deaths, || self.taker_is_gone(taker)),
        }
    }

    /// Hands on what the dead had; whether anybody was dead.
    fn reclaim(&self) -> bool {
        let there = self.head().ends.iter().filter(|end| end.peer().is_some());
        there.filter(|end| self.bury(end)).count() > 0
    }

    fn all(&self) -> std::ops::Range<u64> {
        0..self.shape.cells
    }

    /// What a poster had, who is attached here or dead.
    fn poster_is_gone(&self, poster: usize) {
        for at in self.all() {
            word::forget(&self.cell(at).word, poster, |word| self.is_from(word, poster));
        }
        self.disown(posting::owner(poster));
        self.tell(&self.head().rare.posted);
        self.tell(&self.head().rare.freed);
    }

    /// Of a service: whether this poster waits for the answer.
    fn is_from(&self, word: Word, poster: usize) -> bool {
        let service = self.shape.mode == Mode::Service && !is_broken("board: requests of the dead stay");
        service && word.from() == poster
    }

    /// What a taker had, who is attached here or dead.
    fn taker_is_gone(&self, taker: usize) {
        for at in self.all() {
            let _ = self.give_up(at, taker);
        }
        self.disown(taking::owner(taker));
        self.return_all();
    }

    /// A taker does not do what it had taken. `Ok`: it was taken.
    fn give_up(&self, at: u64, taker: usize) -> std::result::Result<Word, Word> {
        word::give_up(&self.cell(at).word, taker, self.shape.mode == Mode::AtLeastOnce)
    }

    /// Tells that something was given back: those who take look at all cells again.
    fn return_all(&self) {
        if !is_broken("board: nobody looks back") {
            self.head().rare.returns.fetch_add(1, Ordering::Release); // pairs with the Acquire in `look`
        }
        self.tell(&self.head().rare.posted);
        self.tell(&self.head().rare.freed);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("shape", &self.shape).field("in", &self.view).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// As `docs/format.md` draws it.
    #[test]
    fn the_layout_is_the_promised_one() {
        let first = [offset_of!(Head, units), offset_of!(Head, ones), offset_of!(Head, cells), offset_of!(Head, slots)];
        assert_eq!((first, offset_of!(Head, mode)), ([16, 32, 40, 44], 48));
        let parts = [offset_of!(Head, rare), offset_of!(Head, front), offset_of!(Head, ends)];
        assert_eq!((parts, size_of::<Head>()), ([128, 256, 384], 12416));
        let rare = [offset_of!(Rare, freed), offset_of!(Rare, poster_deaths), offset_of!(Rare, returns)];
        assert_eq!(rare, [16, 32, 40]);
        assert_eq!((size_of::<CellWords>(), size_of::<Slot>()), (128, 64));
    }
}
