//! Where frames stand: the ring that tells of them in order, the slots that hold the large ones, and who needs which.
//!
//! Frame n is told of by entry n of the ring. Its number says what the entry is: 2n, frame n is here; 2n + 1, frame n was here and
//! is no more. A slot is used by whoever has it on loan, by an entry that tells of it, or by the subscribers that say they
//! hold it; what is used by nobody is free. Nothing is counted, so no death can spoil a count.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::entry::{self, here};
use super::growing::Ready;
use super::turn::{Desk, Turn, Turns};
use super::{PUBLISHERS, SLOTS_MAX, SUBSCRIBERS, Shape};
use crate::channel::end::{Deaths, End, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::{AtomicU32, AtomicU64, Ordering, fence};
use crate::shared::{copy_in, copy_out, prefetch, prefetch_write};
use crate::step::is_broken;
use crate::sync::{Commit, Placed};
use crate::view::View;

/// The bytes that stand beside their number: with it, two cache lines.
pub(super) const INLINE_MAX: usize = 8 * WORDS;
const WORDS: usize = 14;
const INLINE: u64 = 1 << 63;
/// Of an entry that tells of a slot: how much of it is ready stands there.
const GROWING: u64 = 1 << 62;
/// Of an entry that tells of a slot: its bytes below, its slot from here on.
const SLOT_AT: u32 = 48;
/// Where the ring begins, behind the head.
pub(super) const RING_AT: usize = size_of::<Head>();
/// So many entries ahead of where it writes a publisher asks for the lines, which subscribers have read a round ago.
const AHEAD: u64 = 4;
/// What of an entry stands in its first cache line.
const FIRST_LINE: usize = 48;

/// The bytes of a small frame, as this process has them.
pub(super) type Small = Aligned<[u64; WORDS]>;

#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(16))]
pub(super) struct Aligned<T>(pub(super) T);

/// What stands before the ring; `docs/format.md` draws it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Head {
    pub(super) slot: AtomicU64,
    pub(super) stride: AtomicU64,
    pub(super) unit: AtomicU64,
    pub(super) slots: AtomicU32,
    pub(super) entries: AtomicU32,
    pub(super) history: AtomicU32,
    pub(super) one: AtomicU32,
    pub(super) publisher_deaths: Deaths,
    subscriber_deaths: Deaths,
    /// How often somebody has subscribed.
    joins: AtomicU32,
    reserved: AtomicU32,
    /// Bit s: seat s is taken.
    joined: AtomicU64,
    bells: Bells,
    pub(super) turns: Turns,
    pub(super) desks: [Desk; PUBLISHERS],
    /// First those who publish.
    pub(super) ends: [End; PUBLISHERS + SUBSCRIBERS],
    seats: [Seat; SUBSCRIBERS],
}

/// Read for each frame, written when somebody sleeps.
#[derive(Debug)]
#[repr(C, align(128))]
struct Bells {
    published: Commit,
    freed: Commit,
}

/// How far a subscriber is, and what it reads: all that it writes while it receives.
#[derive(Debug)]
#[repr(C, align(128))]
struct Seat {
    /// The next frame it takes.
    cursor: AtomicU64,
    policy: AtomicU32,
    reserved: AtomicU32,
    /// A bit for each slot: it reads what is there.
    holds: [AtomicU64; SLOTS_MAX as usize / 64],
    /// How many frames it did not get.
    lost: AtomicU64,
}

/// What there is of every subscriber.
pub(super) const PER_SUBSCRIBER: usize = size_of::<End>() + size_of::<Seat>();

/// A place in the ring.
#[derive(Debug)]
#[repr(C, align(128))]
struct Entry {
    number: AtomicU64,
    /// Length and `INLINE`, or length and slot.
    what: AtomicU64,
    bytes: UnsafeCell<[u64; WORDS]>,
}

impl Entry {
    /// Copies the bytes of a small frame, or something else if it changes meanwhile: the caller looks. Always as many, of one line or of
    /// both, so that it is a few wide moves.
    #[inline]
    fn copy_out(&self, len: usize, to: &mut Small) {
        let (from, to) = (self.bytes.get().cast_const().cast::<u8>(), to.0.as_mut_bytes());
        match len {
            // SAFETY: (1) all are bytes of this entry.
            ..=FIRST_LINE => unsafe { copy_out(from, &mut to[..FIRST_LINE]) },
            // SAFETY: (1) as above.
            _ => unsafe { copy_out(from, to) },
        }
    }

    /// The reverse, in turn.
    #[inline]
    fn copy_in(&self, from: &Small, len: usize) {
        let (from, to) = (from.0.as_bytes(), self.bytes.get().cast::<u8>());
        match len {
            // SAFETY: (1) all are bytes of this entry; (2) the small frame is memory of this process.
            ..=FIRST_LINE => unsafe { copy_in(&from[..FIRST_LINE], to) },
            // SAFETY: (1) and (2) as above.
            _ => unsafe { copy_in(from, to) },
        }
    }
}

/// What publishers say of a slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    /// The frame that it was published as, if an entry says so too.
    frame: AtomicU64,
    /// The publisher that has it on loan, counted from 1.
    pub(super) owner: AtomicU32,
    reserved: AtomicU32,
    /// How much of a growing frame is ready, and whether that is all.
    pub(super) ready: AtomicU64,
}

// SAFETY: (1) to (4): atomics and placed parts, of which any value is some state.
unsafe impl Placed for Head {}

/// Policies as seats have them.
pub(super) const EVERY: u32 = 1;
pub(super) const OLDEST: u32 = 2;
pub(super) const NEWEST: u32 = 3;

/// Where a frame's bytes are.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Small(Small),
    Slot(usize),
}

/// What a look for a frame shows.
pub(super) enum Look {
    Nothing,
    /// It is here, in this slot, which is held; its length, and whether it may grow.
    Slot(usize, usize, bool),
    /// It is here, and small: have a glance.
    Small,
    Gone,
}

/// Copies of small frames that are in nobody's hands any more: mostly one, which the next frame is copied to.
#[derive(Default)]
pub(super) struct Spare(Cell<Option<Box<Small>>>);

impl Spare {
    #[inline]
    fn take(&self) -> Box<Small> {
        self.0.take().unwrap_or_default()
    }

    #[inline]
    pub(super) fn put(&self, small: Box<Small>) {
        self.0.set(Some(small));
    }
}

/// The frames, as this process knows them: what was checked once is not asked of shared memory again.
#[derive(Clone)]
pub(super) struct Store {
    view: Arc<View>,
    content: *mut u8,
    shape: Shape,
    inline: bool,
    /// A bit for each slot: it has memory, as this process has seen.
    committed: Arc<[AtomicU64; SLOTS_MAX as usize / 64]>,
}

// SAFETY: `content` points into the view, which it owns a part of; bytes there are touched by the protocol.
unsafe impl Send for Store {}
// SAFETY: as above: through `&Store` nothing but atomics is touched.
unsafe impl Sync for Store {}

pub(super) fn refused(error: std::io::Error) -> Error {
    explain("use", "the frames", error)
}

/// The bit for this index, in the word that has it.
fn bit(index: usize) -> u64 {
    1 << (index % 64)
}

/// The set bits of a word.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

impl Store {
    pub(super) fn new(view: Arc<View>, offset: usize, shape: Shape, inline: bool) -> Store {
        let content = view.as_ptr().wrapping_add(offset);
        Store { view, content, shape, inline, committed: Arc::default() }
    }

    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(super) fn frame_max(&self) -> usize {
        self.shape.slot as usize
    }

    pub(super) fn slots(&self) -> usize {
        self.shape.slots as usize
    }

    /// Whether a frame of so many bytes takes no slot.
    #[inline]
    pub(super) fn is_inline(&self, len: usize) -> bool {
        self.inline && len <= INLINE_MAX
    }

    #[inline]
    pub(super) fn head(&self) -> &Head {
        // SAFETY: `Frames::of` placed it there, and the view lives as long as `self`.
        unsafe { &*self.content.cast() }
    }

    #[inline]
    fn entry(&self, number: u64) -> &Entry {
        let index = (number & (self.shape.entries - 1)) as usize;
        // SAFETY: `Shape::possible` saw that all entries lie in the view; aligned to 128; only touched as atomics.
        unsafe { &*self.content.wrapping_add(RING_AT).cast::<Entry>().wrapping_add(index) }
    }

    /// A slot whose index was checked, or is masked by nobody: below `slots`.
    #[inline]
    pub(super) fn slot(&self, index: usize) -> &Slot {
        assert!(index < self.slots(), "the index was checked");
        let at = RING_AT + self.shape.entries as usize * size_of::<Entry>();
        // SAFETY: `Shape::possible` saw that all slots lie in the view; aligned to 64; only touched as atomics.
        unsafe { &*self.content.wrapping_add(at).cast::<Slot>().wrapping_add(index) }
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        (0..self.slots()).map(|index| self.slot(index))
    }

    /// The bytes of a slot.
    #[inline]
    pub(super) fn bytes(&self, index: usize) -> *mut u8 {
        self.content.wrapping_add(self.shape.data() as usize + index * self.shape.stride as usize)
    }

    /// Gives a slot memory if it has none. Asked by each process once: what its peers say is not believed.
    #[inline]
    pub(super) fn commit(&self, index: usize) -> Result<()> {
        // Relaxed: nothing hangs on it but a system call.
        match self.committed[index / 64].load(Ordering::Relaxed) & bit(index) {
            0 => self.commit_first(index),
            _ => Ok(()),
        }
    }

    #[cold]
    fn commit_first(&self, index: usize) -> Result<()> {
        self.view.commit(self.bytes(index).addr() - self.view.as_ptr().addr(), self.shape.stride as usize)?;
        self.committed[index / 64].fetch_or(bit(index), Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn publishers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.ends[..PUBLISHERS], deaths: &head.publisher_deaths, bell: &head.bells.published }
    }

    pub(super) fn subscribers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.ends[PUBLISHERS..], deaths: &head.subscriber_deaths, bell: &head.bells.freed }
    }

    /// All whose deaths make room, as those see them who wait for it.
    pub(super) fn everybody(&self) -> Side<'_> {
        Side { ends: &self.head().ends, ..self.subscribers() }
    }

    /// If nobody is at this end any more, takes back what that one had. Whether that is so.
    pub(super) fn bury(&self, end: &End) -> bool {
        let head = self.head();
        let index = (std::ptr::from_ref(end).addr() - head.ends.as_ptr().addr()) / size_of::<End>();
        match index.checked_sub(PUBLISHERS) {
            None => end.reclaim(&head.publisher_deaths, || self.disown(index)),
            Some(seat) => end.reclaim(&head.subscriber_deaths, || self.leave(seat)),
        }
    }
}

/// In turn.
impl Store {
    /// The newest frame. Who died before it said so had published it all the same.
    #[inline]
    pub(super) fn settle(&self, _: &Turn<'_>) -> u64 {
        entry::settle(&self.head().turns.newest, |number| &self.entry(number).number)
    }

    /// Makes it frame `number`, which follows the newest: before the store that counts it is not there, and after it it is.
    #[inline]
    pub(super) fn publish(&self, _: &Turn<'_>, number: u64, place: &Place, len: usize, growing: bool) {
        let entry = self.entry(number);
        let before = number.wrapping_sub(self.shape.entries);
        let small = entry.what.load(Ordering::Relaxed) & INLINE != 0;
        entry::tell(&entry.number, before, number, small, || match place {
            Place::Small(words) => {
                entry.what.store(INLINE | len as u64, Ordering::Relaxed);
                entry.copy_in(words, len);
            }
            Place::Slot(slot) => {
                let flag = if growing { GROWING } else { 0 };
                self.slot(*slot).ready.store(0, Ordering::Relaxed);
                self.slot(*slot).frame.store(number, Ordering::Relaxed);
                entry.what.store((*slot as u64) << SLOT_AT | len as u64 | flag, Ordering::Relaxed);
            }
        });
        self.head().turns.newest.store(number, Ordering::Release); // pairs with the Acquire in `newest`
        // Who fills it on has it on loan until it is done.
        if let (Place::Slot(slot), false) = (place, growing) {
            self.slot(*slot).owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
        }
        let ahead = std::ptr::from_ref(self.entry(number.wrapping_add(AHEAD))).cast::<u8>();
        prefetch_write(ahead);
        if len > FIRST_LINE {
            prefetch_write(ahead.wrapping_add(64));
        }
    }

    /// Whether an entry tells of this slot. Out of turn it may change at once.
    fn told_of(&self, index: usize) -> Option<u64> {
        let frame = self.slot(index).frame.load(Ordering::Relaxed);
        let entry = self.entry(frame);
        let told = frame != 0 && entry.number.load(Ordering::SeqCst) == here(frame);
        (told && slot_in(entry.what.load(Ordering::Relaxed)) == index).then_some(frame)
    }

    fn is_free(&self, index: usize) -> bool {
        let slot = self.slot(index);
        // Acquire: pairs with the Release in `give_back`.
        slot.owner.load(Ordering::Acquire) == 0 && self.told_of(index).is_none() && !self.is_held(index)
    }

    /// Whether somebody reads what is in this slot.
    fn is_held(&self, index: usize) -> bool {
        // Whoever takes a seat does so in turn: in turn, nobody is missing here.
        self.seated().any(|seat| entry::is_held(&seat.holds[index / 64], bit(index)))
    }

    /// The first free of these slots, for a publisher.
    pub(super) fn take(&self, _: &Turn<'_>, publisher: usize, mut among: impl Iterator<Item = usize>) -> Option<usize> {
        let index = among.find(|index| self.is_free(*index))?;
        self.slot(index).owner.store(publisher as u32 + 1, Ordering::Relaxed);
        Some(index)
    }

    /// Takes the frames out that no subscriber will ask for any more, and that are not history.
    pub(super) fn retire(&self, turn: &Turn<'_>) {
        let newest = self.settle(turn);
        let keep = newest.saturating_add(1).saturating_sub(self.shape.history);
        // Acquire: as in `least`. Who gets the newest alone needs no older one.
        let needed = self.seated().map(|seat| match (seat.cursor.load(Ordering::Acquire), &seat.policy) {
            (cursor, policy) if policy.load(Ordering::Relaxed) == NEWEST => cursor.max(newest),
            (cursor, _) => cursor,
        });
        let limit = needed.min().unwrap_or(u64::MAX).min(keep);
        let oldest = &self.head().turns.oldest;
        let from = oldest.load(Ordering::Relaxed).max(newest.saturating_sub(self.shape.entries - 1));
        let frames = (from..from.saturating_add(self.shape.entries)).take_while(|number| *number <= newest);
        let mut to = from;
        for number in frames {
            if self.slot_of(number).is_some() {
                if number >= limit {
                    break;
                }
                entry::take_out(&self.entry(number).number, number);
            }
            to = number.saturating_add(1);
        }
        oldest.store(to, Ordering::Relaxed);
    }

    /// Takes the oldest frame out that nobody is reading and nobody has asked to get in any case. `false`: there is none.
    pub(super) fn evict(&self, turn: &Turn<'_>) -> bool {
        let newest = self.settle(turn);
        let limit = self.least(|policy| policy == EVERY);
        let from = self.head().turns.oldest.load(Ordering::Relaxed).max(newest.saturating_sub(self.shape.entries - 1));
        for number in (from..from.saturating_add(self.shape.entries)).take_while(|number| *number <= newest.min(limit))
        {
            let Some(slot) = self.slot_of(number).filter(|_| number < limit) else { continue };
            if !self.is_held(slot) {
                entry::take_out(&self.entry(number).number, number);
                return true;
            }
        }
        false
    }

    /// The slot that frame `number` stands in, if it is there and has one.
    fn slot_of(&self, number: u64) -> Option<usize> {
        let entry = self.entry(number);
        let (is, what) = (entry.number.load(Ordering::Relaxed), entry.what.load(Ordering::Relaxed));
        let slot = slot_in(what);
        (is == here(number) && what & INLINE == 0 && slot < self.slots()).then_some(slot)
    }
}

/// Out of turn.
impl Store {
    /// Who subscribes.
    fn seated(&self) -> impl Iterator<Item = &Seat> {
        let head = self.head();
        bits(head.joined.load(Ordering::Acquire)).map(|seat| &head.seats[seat]) // pairs with the Release in `join`
    }

    /// The first frame that some subscriber of such a policy has not taken.
    pub(super) fn least(&self, of: impl Fn(u32) -> bool) -> u64 {
        // Acquire: pairs with the Release in `advance`: what it copied may be written over.
        self.seated()
            .filter(|seat| of(seat.policy.load(Ordering::Relaxed)))
            .map(|seat| seat.cursor.load(Ordering::Acquire))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// How often somebody has subscribed: only then can `least` become less.
    #[inline]
    pub(super) fn joins(&self) -> u32 {
        self.head().joins.load(Ordering::Relaxed)
    }

    /// The frame that makes room for frame `number`.
    #[inline]
    pub(super) fn displaced(&self, number: u64) -> Option<u64> {
        number.checked_sub(self.shape.entries)
    }

    /// Whether a slot can be had now, perhaps in place of an old frame.
    pub(super) fn has_room(&self) -> bool {
        let limit = self.least(|policy| policy == EVERY);
        (0..self.slots()).any(|index| {
            let idle = self.slot(index).owner.load(Ordering::Acquire) == 0 && !self.is_held(index); // as in `is_free`
            idle && self.told_of(index).is_none_or(|frame| frame < limit)
        })
    }

    /// Takes back what the dead had; whether anybody was dead.
    pub(super) fn reclaim(&self) -> bool {
        let head = self.head();
        let mut owners = 0u64;
        for slot in self.all() {
            let owner = slot.owner.load(Ordering::Relaxed) as usize;
            owners |= if (1..=PUBLISHERS).contains(&owner) { 1 << (owner - 1) } else { 0 };
            // A number of nobody's was written by a peer that breaks the protocol.
            if owner > PUBLISHERS {
                slot.owner.store(0, Ordering::Relaxed);
            }
        }
        let mut any = false;
        for index in bits(owners) {
            any |= self.bury(&head.ends[index]);
        }
        for seat in bits(head.joined.load(Ordering::Relaxed)) {
            any |= self.bury(&head.ends[PUBLISHERS + seat]);
        }
        any
    }

    /// Nothing is on loan to this publisher, who is attached here or dead.
    pub(super) fn disown(&self, publisher: usize) {
        for slot in self.all() {
            if slot.owner.load(Ordering::Relaxed) == publisher as u32 + 1
                && !is_broken("frames: loans of the dead stay")
            {
                slot.abort();
                slot.owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
            }
        }
    }

    /// The slot of this frame, if it may grow.
    pub(super) fn growing(&self, number: u64) -> Option<usize> {
        let slot = self.slot_of(number)?;
        (self.entry(number).what.load(Ordering::Relaxed) & GROWING != 0).then_some(slot)
    }

    /// Nobody is in this seat and reads: who was is this process, or dead.
    pub(super) fn leave(&self, seat: usize) {
        let head = self.head();
        head.joined.fetch_and(!bit(seat), Ordering::AcqRel);
        for holds in &head.seats[seat].holds[..self.slots().div_ceil(64)] {
            if !is_broken("frames: the dead hold their slots") {
                holds.store(0, Ordering::Release); // as in `let_go`
            }
        }
    }

    /// Gives a loan back.
    pub(super) fn give_back(&self, slot: usize) {
        self.slot(slot).owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
        let _ = self.subscribers().ring(); // else they look again by themselves
    }

    /// A subscriber has read what is in this slot.
    #[inline]
    pub(super) fn let_go(&self, slot: usize, seat: usize) {
        entry::let_go(&self.head().seats[seat].holds[slot / 64], bit(slot));
        let _ = self.subscribers().ring(); // else they look again by themselves
    }

    /// Seats a subscriber, in turn; its first frame.
    pub(super) fn join(&self, turn: &Turn<'_>, seat: usize, policy: u32) -> u64 {
        let head = self.head();
        let newest = self.settle(turn);
        let from = self.first_from(newest.wrapping_add(1).saturating_sub(self.shape.history).max(1));
        head.seats[seat].cursor.store(from, Ordering::Relaxed);
        head.seats[seat].policy.store(policy, Ordering::Relaxed);
        head.seats[seat].lost.store(0, Ordering::Relaxed);
        head.joined.fetch_or(bit(seat), Ordering::Release); // pairs with the Acquire in `least`
        head.joins.fetch_add(1, Ordering::Relaxed);
        from
    }

    /// The subscriber in this seat has taken all before this frame.
    #[inline]
    pub(super) fn advance(&self, seat: usize, to: u64) -> Result<()> {
        self.head().seats[seat].cursor.store(to, Ordering::Release); // pairs with the Acquire in `least`
        self.subscribers().ring().map_err(refused)
    }

    /// The subscriber in this seat did not get so many; for those who watch.
    #[cold]
    pub(super) fn lose(&self, seat: usize, frames: u64) {
        let lost = &self.head().seats[seat].lost;
        lost.store(lost.load(Ordering::Relaxed).wrapping_add(frames), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn newest(&self) -> u64 {
        self.head().turns.newest.load(Ordering::Acquire) // pairs with the Release in `entry::tell`
    }

    /// Whether frame `number` has been published.
    #[inline]
    pub(super) fn is_out(&self, number: u64) -> bool {
        self.entry(number).number.load(Ordering::Acquire) >= here(number)
    }

    /// The first frame from this one on that is there, or that will come.
    pub(super) fn first_from(&self, number: u64) -> u64 {
        let newest = self.newest();
        let from = number.max(newest.saturating_sub(self.shape.entries - 1));
        let frames = (from..from.saturating_add(self.shape.entries)).take_while(|number| *number <= newest);
        let mut next = from;
        for number in frames {
            if self.entry(number).number.load(Ordering::Relaxed) == here(number) {
                return number;
            }
            next = number.saturating_add(1);
        }
        next
    }

    /// A copy of a small frame, if it is there, whole, and its length. `None`: have a look.
    #[inline]
    pub(super) fn glance(&self, number: u64, spare: &Spare) -> Option<(Box<Small>, usize)> {
        let entry = self.entry(number);
        entry::copy(&entry.number, number, || {
            let what = entry.what.load(Ordering::Relaxed);
            let len = (what & !INLINE) as usize;
            (what & INLINE != 0 && self.fits(len, self.inline_max())).then(|| {
                let mut small = spare.take();
                entry.copy_out(len, &mut small);
                (small, len)
            })
        })
    }

    /// Looks for a frame, for the subscriber in this seat.
    pub(super) fn look(&self, number: u64, seat: usize, early: bool) -> Result<Look> {
        let entry = self.entry(number);
        let is = entry.number.load(Ordering::Acquire); // pairs with the Release in `entry::tell`
        if is != here(number) {
            return Ok(if is < here(number) { Look::Nothing } else { Look::Gone });
        }
        let what = entry.what.load(Ordering::Relaxed);
        if what & INLINE == 0 {
            return self.look_at_slot(number, what, seat, early);
        }
        let len = (what & !INLINE) as usize;
        fence(Ordering::Acquire); // pairs with the Release fence in `entry::tell`
        if entry.number.load(Ordering::Relaxed) != here(number) {
            return Ok(Look::Gone);
        }
        self.checked(number, len, self.inline_max()).map(|()| Look::Small)
    }

    fn inline_max(&self) -> usize {
        if self.inline { INLINE_MAX } else { 0 }
    }

    fn look_at_slot(&self, number: u64, what: u64, seat: usize, early: bool) -> Result<Look> {
        let (entry, index, len) = (self.entry(number), slot_in(what), (what & ((1 << SLOT_AT) - 1)) as usize);
        if index >= self.slots() {
            // Written over, or the next frame's, which is only half told of.
            let gone = entry.number.load(Ordering::Acquire) != here(number);
            return if gone { Ok(Look::Gone) } else { Err(self.corrupt("a frame is in no slot", number)) };
        }
        prefetch(self.bytes(index)); // its lines and those of the hold come from the publisher at the same time
        if !entry::hold(&entry.number, number, &self.head().seats[seat].holds[index / 64], bit(index)) {
            let _ = self.subscribers().ring(); // else they look again by themselves
            return Ok(Look::Gone);
        }
        let growing = what & GROWING != 0;
        let fits = self.checked(number, len, self.frame_max()).and_then(|()| self.commit(index));
        let ready = fits.and_then(|()| match growing {
            true => self.ready(index, number, len),
            false => Ok(Ready::Whole(len)),
        });
        let look = match ready {
            Ok(Ready::Whole(len)) => return Ok(Look::Slot(index, len, false)),
            Ok(ready) if early => return Ok(Look::Slot(index, ready.bytes(), true)),
            Ok(Ready::Until(_)) => Ok(Look::Nothing),
            Ok(Ready::Aborted(_)) => Ok(Look::Gone),
            Err(error) => Err(error),
        };
        self.let_go(index, seat);
        look
    }

    /// How much of the frame is ready that grows in this slot, of so many bytes at most.
    pub(super) fn ready(&self, slot: usize, number: u64, most: usize) -> Result<Ready> {
        let ready = self.slot(slot).ready();
        let unit = self.shape.unit as usize;
        match ready.bytes() <= most && ready.bytes().is_multiple_of(unit) {
            true => Ok(ready),
            false => Err(self.corrupt("more of a frame is ready than there is", number)),
        }
    }

    /// Whether a frame can have so many bytes.
    #[inline]
    fn fits(&self, len: usize, max: usize) -> bool {
        let unit = self.shape.unit;
        len <= max && if self.shape.one { len as u64 == unit } else { (len as u64).is_multiple_of(unit) }
    }

    fn checked(&self, number: u64, len: usize, max: usize) -> Result<()> {
        match self.fits(len, max) {
            true => Ok(()),
            false => Err(self.corrupt("a frame has no possible length", number)),
        }
    }

    #[cold]
    fn corrupt(&self, what: &str, number: u64) -> Error {
        let at = RING_AT as u64 + (number & (self.shape.entries - 1)) * 128;
        let why = format!("{what}, at offset {at}: a peer wrote over it; the next frame may be well");
        Error::new(ErrorKind::Corrupt, "receive from", why).on("the frames")
    }
}

/// The slot that an entry tells of.
fn slot_in(what: u64) -> usize {
    ((what & !(INLINE | GROWING)) >> SLOT_AT) as usize
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("shape", &self.shape).field("in", &self.view).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// As `docs/format.md` draws it.
    #[test]
    fn the_layout_is_the_promised_one() {
        let first = [
            offset_of!(Head, slots),
            offset_of!(Head, publisher_deaths),
            offset_of!(Head, joins),
            offset_of!(Head, joined),
        ];
        assert_eq!(first, [24, 40, 48, 56]);
        let parts = [offset_of!(Head, bells), offset_of!(Head, turns), offset_of!(Head, desks), offset_of!(Head, ends)];
        assert_eq!(parts, [128, 256, 384, 1408]);
        assert_eq!((offset_of!(Turns, newest), offset_of!(Turns, oldest)), (64, 72));
        let subscribers = offset_of!(Head, ends) + PUBLISHERS * size_of::<End>();
        assert_eq!([subscribers, offset_of!(Head, seats), RING_AT], [2432, 6528, 22912]);
        assert_eq!([offset_of!(Seat, policy), offset_of!(Seat, holds), offset_of!(Seat, lost)], [8, 16, 144]);
        assert_eq!((size_of::<Entry>(), size_of::<Slot>(), size_of::<Seat>()), (128, 64, 256));
    }
}
