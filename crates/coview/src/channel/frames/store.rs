//! Where frames stand: the ring that tells of them in order, the slots that hold the large ones, and who needs which.
//!
//! Frame n is told of by entry n of the ring. Its number says what the entry is: 2n, frame n is here; 2n + 1, frame n was here and
//! is no more. A slot is used by whoever has it on loan, by an entry that tells of it, or by the subscribers whose bits
//! are set in its pins; what is used by nobody is free. Nothing is counted, so no death can spoil a count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{PUBLISHERS, SUBSCRIBERS, Shape};
use crate::channel::end::{Deaths, End, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::primitive::{AtomicU32, AtomicU64, Ordering, fence};
use crate::step::is_broken;
use crate::sync::{Commit, Placed};
use crate::sys::lock::Words;
use crate::sys::wait::Deadline;
use crate::view::View;

/// The bytes that stand beside their number: with it, two cache lines.
pub(super) const INLINE_MAX: usize = 8 * WORDS;
const WORDS: usize = 14;
const INLINE: u64 = 1 << 63;
/// Of an entry that tells of a slot: its bytes below, its slot from here on.
const SLOT_AT: u32 = 48;
/// Where the ring begins, behind the head.
pub(super) const RING_AT: usize = size_of::<Head>();
/// Whoever has the turn is some hundred instructions from giving it back.
const PATIENCE: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(5)];

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
    turns: Turns,
    publishers: [End; PUBLISHERS],
    subscribers: [End; SUBSCRIBERS],
    seats: [Seat; SUBSCRIBERS],
}

/// Read for each frame, written when somebody sleeps.
#[derive(Debug)]
#[repr(C, align(128))]
struct Bells {
    published: Commit,
    freed: Commit,
}

/// What publishers write in turn.
#[derive(Debug)]
#[repr(C, align(128))]
struct Turns {
    turn: Words,
    /// No slot is told of by a frame before this one.
    oldest: AtomicU64,
    reserved: [AtomicU64; 2],
    /// The newest frame, or the one before it.
    newest: AtomicU64,
}

/// How far a subscriber is.
#[derive(Debug)]
#[repr(C, align(64))]
struct Seat {
    /// The next frame it takes.
    cursor: AtomicU64,
    policy: AtomicU32,
}

/// A place in the ring.
#[derive(Debug)]
#[repr(C, align(128))]
struct Entry {
    number: AtomicU64,
    /// Length and `INLINE`, or length and slot.
    what: AtomicU64,
    bytes: [AtomicU64; WORDS],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    /// Bit s: subscriber s reads it.
    pins: AtomicU64,
    /// The frame that it was published as, if an entry says so too.
    frame: AtomicU64,
    /// The publisher that has it on loan, counted from 1.
    owner: AtomicU32,
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
    /// Its bytes and their length; of a slot, pinned.
    Frame(Place, usize),
    Gone,
}

/// The frames, as this process knows them: what was checked once is not asked of shared memory again.
#[derive(Clone)]
pub(super) struct Store {
    view: Arc<View>,
    content: *mut u8,
    shape: Shape,
    inline: bool,
}

// SAFETY: `content` points into the view, which it owns a part of; bytes there are touched by the protocol.
unsafe impl Send for Store {}
// SAFETY: as above: through `&Store` nothing but atomics is touched.
unsafe impl Sync for Store {}

/// This thread's turn to publish, until it is dropped.
pub(super) struct Turn<'a>(&'a Words);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It fails only when a peer wrote over the words.
        let _ = self.0.unlock(false);
    }
}

pub(super) fn refused(error: std::io::Error) -> Error {
    explain("use", "the frames", error)
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
        Store { view, content, shape, inline }
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
    fn slot(&self, index: usize) -> &Slot {
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

    pub(super) fn publishers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.publishers, deaths: &head.publisher_deaths, bell: &head.bells.published }
    }

    pub(super) fn subscribers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.subscribers, deaths: &head.subscriber_deaths, bell: &head.bells.freed }
    }

    /// Waits for the turn. `None`: the time is over.
    pub(super) fn turn(&self, until: Deadline) -> Result<Option<Turn<'_>>> {
        let words = &self.head().turns.turn;
        // Abandoned or not: every step under it leaves what the next one can go on from.
        if words.lock(Some(PATIENCE[0])).map_err(refused)?.is_some() {
            return Ok(Some(Turn(words)));
        }
        let Some(left) = until.left() else { return Ok(None) };
        match words.lock(Some(left.min(PATIENCE[1]))).map_err(refused)? {
            Some(_) => Ok(Some(Turn(words))),
            None if until.left().is_none() => Ok(None),
            None => {
                let why = "a publisher has been standing still in the middle of publishing for seconds; \
                           let it go on or end it, and try again";
                Err(Error::new(ErrorKind::TimedOut, "publish to", why).on("the frames"))
            }
        }
    }
}

/// In turn.
impl Store {
    /// The newest frame. Who died before it said so had published it all the same.
    #[inline]
    pub(super) fn settle(&self, _: &Turn<'_>) -> u64 {
        let newest = &self.head().turns.newest;
        let (known, next) = (newest.load(Ordering::Relaxed), newest.load(Ordering::Relaxed).wrapping_add(1));
        // Acquire: pairs with the Release in `publish`.
        if self.entry(next).number.load(Ordering::Acquire) != here(next) {
            return known;
        }
        newest.store(next, Ordering::Release);
        next
    }

    /// Makes it frame `number`, which follows the newest: before the store that counts it is not there, and after it it is.
    #[inline]
    pub(super) fn publish(&self, _: &Turn<'_>, number: u64, place: &Place, len: usize) {
        let entry = self.entry(number);
        let before = number.wrapping_sub(self.shape.entries);
        if is_broken("frames: the number before the bytes") {
            entry.number.store(here(number), Ordering::Release);
            (0..100).for_each(|_| std::hint::spin_loop());
        }
        // SeqCst: with the look at the pins in `is_free`, against the pin and the second look in `look`. Small frames are not pinned.
        let small = entry.what.load(Ordering::Relaxed) & INLINE != 0;
        entry.number.store(gone(before), if small { Ordering::Relaxed } else { Ordering::SeqCst });
        // Release: pairs with the Acquire fence in `look`: who sees a byte of this frame sees that the one before is gone.
        fence(Ordering::Release);
        match place {
            Place::Small(words) => {
                entry.what.store(INLINE | len as u64, Ordering::Relaxed);
                for (to, from) in entry.bytes.iter().zip(&words.0[..len.div_ceil(8).min(WORDS)]) {
                    to.store(*from, Ordering::Relaxed);
                }
            }
            Place::Slot(slot) => {
                self.slot(*slot).frame.store(number, Ordering::Relaxed);
                entry.what.store((*slot as u64) << SLOT_AT | len as u64, Ordering::Relaxed);
            }
        }
        // Release: pairs with the Acquires in `look` and `settle`.
        entry.number.store(here(number), Ordering::Release);
        self.head().turns.newest.store(number, Ordering::Release); // pairs with the Acquire in `newest`
        if let Place::Slot(slot) = place {
            self.slot(*slot).owner.store(0, Ordering::Release);
        }
    }

    /// Whether an entry tells of this slot. Out of turn it may change at once.
    fn told_of(&self, index: usize) -> Option<u64> {
        let frame = self.slot(index).frame.load(Ordering::Relaxed);
        let entry = self.entry(frame);
        let told = frame != 0 && entry.number.load(Ordering::SeqCst) == here(frame);
        (told && entry.what.load(Ordering::Relaxed) >> SLOT_AT == index as u64).then_some(frame)
    }

    fn is_free(&self, index: usize) -> bool {
        let slot = self.slot(index);
        // Acquire: pairs with the Release in `give_back`. SeqCst: see `publish`.
        slot.owner.load(Ordering::Acquire) == 0
            && self.told_of(index).is_none()
            && slot.pins.load(Ordering::SeqCst) == 0
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
        let keep = newest.saturating_add(1).saturating_sub(self.shape.history.max(1));
        let limit = self.least(|policy| policy == EVERY || policy == OLDEST).min(keep);
        let oldest = &self.head().turns.oldest;
        let from = oldest.load(Ordering::Relaxed).max(newest.saturating_sub(self.shape.entries - 1));
        let frames = (from..from.saturating_add(self.shape.entries)).take_while(|number| *number <= newest);
        let mut to = from;
        for number in frames {
            if self.slot_of(number).is_some() {
                if number >= limit {
                    break;
                }
                self.entry(number).number.store(gone(number), Ordering::SeqCst); // as in `publish`
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
            if self.slot(slot).pins.load(Ordering::SeqCst) == 0 {
                self.entry(number).number.store(gone(number), Ordering::SeqCst); // as in `publish`
                return true;
            }
        }
        false
    }

    /// The slot that frame `number` stands in, if it is there and has one.
    fn slot_of(&self, number: u64) -> Option<usize> {
        let entry = self.entry(number);
        let (is, what) = (entry.number.load(Ordering::Relaxed), entry.what.load(Ordering::Relaxed));
        let slot = (what >> SLOT_AT) as usize;
        (is == here(number) && what & INLINE == 0 && slot < self.slots()).then_some(slot)
    }
}

/// Out of turn.
impl Store {
    /// The first frame that some subscriber of such a policy has not taken.
    pub(super) fn least(&self, of: impl Fn(u32) -> bool) -> u64 {
        let head = self.head();
        let seats = bits(head.joined.load(Ordering::Acquire)).map(|seat| &head.seats[seat]); // pairs with the Release in `join`
        // Acquire: pairs with the Release in `advance`: what it copied may be written over.
        seats
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
            let slot = self.slot(index);
            let idle = slot.owner.load(Ordering::Acquire) == 0 && slot.pins.load(Ordering::SeqCst) == 0; // as in `is_free`
            idle && self.told_of(index).is_none_or(|frame| frame < limit)
        })
    }

    /// Takes back what the dead had; whether anybody was dead.
    pub(super) fn reclaim(&self) -> bool {
        let head = self.head();
        let (mut owners, mut readers) = (0u64, head.joined.load(Ordering::Relaxed));
        for slot in self.all() {
            let owner = slot.owner.load(Ordering::Relaxed) as usize;
            owners |= if (1..=PUBLISHERS).contains(&owner) { 1 << (owner - 1) } else { 0 };
            // A number of nobody's was written by a peer that breaks the protocol.
            if owner > PUBLISHERS {
                slot.owner.store(0, Ordering::Relaxed);
            }
            readers |= slot.pins.load(Ordering::Relaxed);
        }
        let mut any = false;
        for index in bits(owners) {
            any |= head.publishers[index].reclaim(&head.publisher_deaths, || self.disown(index));
        }
        for seat in bits(readers) {
            any |= head.subscribers[seat].reclaim(&head.subscriber_deaths, || self.leave(seat));
        }
        any
    }

    /// Nothing is on loan to this publisher, who is attached here or dead.
    pub(super) fn disown(&self, publisher: usize) {
        for slot in self.all() {
            if slot.owner.load(Ordering::Relaxed) == publisher as u32 + 1
                && !is_broken("frames: loans of the dead stay")
            {
                slot.owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
            }
        }
    }

    /// Nobody is in this seat and reads: who was is this process, or dead.
    pub(super) fn leave(&self, seat: usize) {
        self.head().joined.fetch_and(!(1 << seat), Ordering::AcqRel);
        for slot in self.all() {
            if slot.pins.load(Ordering::Relaxed) & 1 << seat != 0 && !is_broken("frames: pins of the dead stay") {
                self.unpin_silently(slot, seat);
            }
        }
    }

    fn unpin_silently(&self, slot: &Slot, seat: usize) {
        // Release: pairs with the load in `is_free`: what was read there may be written over.
        slot.pins.fetch_and(!(1 << seat), Ordering::AcqRel);
    }

    /// Gives a loan back.
    pub(super) fn give_back(&self, slot: usize) {
        self.slot(slot).owner.store(0, Ordering::Release); // pairs with the Acquire in `is_free`
        let _ = self.subscribers().ring(); // else they look again by themselves
    }

    /// A subscriber has read what is in this slot.
    #[inline]
    pub(super) fn unpin(&self, slot: usize, seat: usize) {
        self.unpin_silently(self.slot(slot), seat);
        let _ = self.subscribers().ring(); // else they look again by themselves
    }

    /// Seats a subscriber, in turn; its first frame.
    pub(super) fn join(&self, turn: &Turn<'_>, seat: usize, policy: u32) -> u64 {
        let head = self.head();
        let newest = self.settle(turn);
        let from = self.first_from(newest.wrapping_add(1).saturating_sub(self.shape.history).max(1));
        head.seats[seat].cursor.store(from, Ordering::Relaxed);
        head.seats[seat].policy.store(policy, Ordering::Relaxed);
        head.joined.fetch_or(1 << seat, Ordering::Release); // pairs with the Acquire in `least`
        head.joins.fetch_add(1, Ordering::Relaxed);
        from
    }

    /// The subscriber in this seat has taken all before this frame.
    #[inline]
    pub(super) fn advance(&self, seat: usize, to: u64) -> Result<()> {
        self.head().seats[seat].cursor.store(to, Ordering::Release); // pairs with the Acquire in `least`
        self.subscribers().ring().map_err(refused)
    }

    #[inline]
    pub(super) fn newest(&self) -> u64 {
        self.head().turns.newest.load(Ordering::Acquire) // pairs with the Release in `publish`
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

    /// Looks for a frame, for the subscriber in this seat; a slot it is in is pinned.
    #[inline]
    pub(super) fn look(&self, number: u64, seat: usize) -> Result<Look> {
        let entry = self.entry(number);
        let is = entry.number.load(Ordering::Acquire); // pairs with the Release in `publish`
        if is != here(number) {
            return Ok(if is < here(number) { Look::Nothing } else { Look::Gone });
        }
        let what = entry.what.load(Ordering::Relaxed);
        if what & INLINE == 0 {
            return self.look_at_slot(entry, number, what, seat);
        }
        let len = (what & !INLINE) as usize;
        let mut words = Small::default();
        for (to, from) in words.0.iter_mut().zip(&entry.bytes).take(len.div_ceil(8)) {
            *to = from.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire); // pairs with the Release fence in `publish`
        if entry.number.load(Ordering::Relaxed) != here(number) {
            return Ok(Look::Gone);
        }
        self.checked(number, len, if self.inline { INLINE_MAX } else { 0 })?;
        Ok(Look::Frame(Place::Small(words), len))
    }

    fn look_at_slot(&self, entry: &Entry, number: u64, what: u64, seat: usize) -> Result<Look> {
        let (index, len) = ((what >> SLOT_AT) as usize, (what & ((1 << SLOT_AT) - 1)) as usize);
        if index >= self.slots() {
            // Written over, or the next frame's, which is only half told of.
            let gone = entry.number.load(Ordering::Acquire) != here(number);
            return if gone { Ok(Look::Gone) } else { Err(self.corrupt("a frame is in no slot", number)) };
        }
        // SeqCst, both: pair with the store of the number and the look at the pins by publishers: either they see the pin, or we
        // see that the frame is gone.
        self.slot(index).pins.fetch_or(1 << seat, Ordering::SeqCst);
        if entry.number.load(Ordering::SeqCst) != here(number) && !is_broken("frames: pinned without a second look") {
            self.unpin(index, seat);
            return Ok(Look::Gone);
        }
        if let Err(error) = self.checked(number, len, self.frame_max()) {
            self.unpin(index, seat);
            return Err(error);
        }
        Ok(Look::Frame(Place::Slot(index), len))
    }

    /// A length that a peer may have written over.
    #[inline]
    fn checked(&self, number: u64, len: usize, max: usize) -> Result<()> {
        let unit = self.shape.unit;
        let fits = if self.shape.one { len as u64 == unit } else { (len as u64).is_multiple_of(unit) };
        match fits && len <= max {
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

/// What the entry of this frame says while it is there.
#[inline]
fn here(number: u64) -> u64 {
    number.wrapping_mul(2)
}

/// What it says from then on until the next is there.
#[inline]
fn gone(number: u64) -> u64 {
    match number as i64 {
        // Before the first round there was none.
        ..=0 => 0,
        _ => here(number) + 1,
    }
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
        let parts = [offset_of!(Head, bells), offset_of!(Head, turns), offset_of!(Head, publishers)];
        assert_eq!(parts, [128, 256, 384]);
        assert_eq!((offset_of!(Turns, oldest), offset_of!(Turns, newest)), (40, 64));
        assert_eq!([offset_of!(Head, subscribers), offset_of!(Head, seats), RING_AT], [1408, 5504, 9600]);
        assert_eq!((size_of::<Entry>(), size_of::<Slot>(), size_of::<Seat>()), (128, 64, 64));
    }
}
