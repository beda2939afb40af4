//! The numbers that say where everything on a board is, and how they come about.

use std::fmt;

use super::{Board, Head, INLINE_MAX};
use crate::channel::content::Content;
use crate::channel::frames::Payload;
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Share;
use crate::primitive::{AtomicU64, Ordering};
use crate::region::{Plan, RegionKind};
use crate::view::View;

const SLOTS_MAX: u64 = 1024;
const SLOTS_MIN: u64 = 4;
const CELLS_MIN: u64 = 256;
const CELLS_MAX: u64 = 1 << 16;

/// What becomes of a message that somebody took and did not finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::channel) enum Mode {
    /// The one it is from is told.
    Service = 0,
    /// It is given to another.
    AtLeastOnce = 1,
    /// It is lost, which another is told.
    AtMostOnce = 2,
}

/// What messages of one kind consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) struct Kind {
    /// Bytes of an element, of which a message has `one` or any number.
    unit: u64,
    one: bool,
    alignment: usize,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(in crate::channel) struct Wanted {
    pub(in crate::channel) slot: Option<usize>,
    pub(in crate::channel) budget: Option<usize>,
    pub(in crate::channel) share: Share,
    pub(in crate::channel) mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) struct Shape {
    /// Bytes of the largest message, and from slot to slot.
    pub(super) slot: u64,
    pub(super) stride: u64,
    /// Of messages and of answers.
    pub(super) kinds: [Kind; 2],
    /// A power of two.
    pub(super) cells: u64,
    pub(super) slots: u64,
    pub(super) mode: Mode,
}

impl Kind {
    pub(in crate::channel) fn of<P: Payload + ?Sized>() -> Kind {
        Kind { unit: P::UNIT as u64, one: P::ONE, alignment: P::ALIGNMENT }
    }

    /// Whether a message can have so many bytes.
    #[inline]
    pub(super) fn fits(self, len: usize) -> bool {
        if self.one { len as u64 == self.unit } else { (len as u64).is_multiple_of(self.unit) }
    }

    /// The most bytes that stand in a cell.
    #[inline]
    pub(super) fn inline_max(self) -> usize {
        if self.alignment <= 16 { INLINE_MAX } else { 0 }
    }

    fn is_inline(self, slot: u64) -> bool {
        let most = if self.one { self.unit } else { slot };
        most <= self.inline_max() as u64
    }

    fn is(self, other: Kind) -> bool {
        (self.unit, self.one) == (other.unit, other.one)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.one { "one value" } else { "slices of values" };
        write!(f, "{what} of {} bytes", self.unit)
    }
}

impl Wanted {
    pub(in crate::channel) fn new(mode: Mode) -> Wanted {
        Wanted { slot: None, budget: None, share: Share::Owner, mode }
    }

    /// The numbers, and how many bytes that makes.
    fn shape(&self, kinds: [Kind; 2]) -> Result<(Shape, usize)> {
        let refuse = |why: String| Err(Error::new(ErrorKind::InvalidInput, "create", why).on(noun(self.mode)));
        if kinds.iter().any(|kind| kind.alignment > 64 || kind.unit == 0) {
            return refuse("a type of it has no bytes, or is aligned to more than 64; take another".to_owned());
        }
        let ones = kinds.iter().all(|kind| kind.one);
        let least = kinds.iter().map(|kind| kind.unit).max().unwrap_or(1);
        let slot = if ones { least } else { (self.slot.unwrap_or(64 << 10) as u64).max(least) };
        let page = if slot < 4096 { 128 } else { 4096 };
        let Some(stride) = slot.checked_next_multiple_of(page).filter(|stride| *stride < 1 << 40) else {
            return refuse(format!("a message of {slot} bytes; give slot() less than 1 TiB"));
        };
        let inline = kinds.iter().all(|kind| kind.is_inline(slot));
        let budget = self.budget.map_or((8 * stride).max(1 << 20), |bytes| bytes as u64);
        let slots = if inline { 0 } else { (budget / stride).clamp(SLOTS_MIN, SLOTS_MAX) };
        let cells = (budget / if inline { 128 } else { 1024 }).clamp(CELLS_MIN, CELLS_MAX).next_power_of_two();
        let shape = Shape { slot, stride, kinds, cells, slots, mode: self.mode };
        match shape.len().and_then(|len| usize::try_from(len).ok()).filter(|len| *len < isize::MAX as usize / 2) {
            Some(len) => Ok((shape, len)),
            None => refuse(format!("{slots} messages of {slot} bytes; give budget() less than the address space has")),
        }
    }

    /// A new board of that name; with `open`, or the live one.
    pub(in crate::channel) fn create(&self, name: &str, kinds: [Kind; 2], open: bool) -> Result<Board> {
        let (shape, len) = self.shape(kinds)?;
        let (plan, init) = (plan(self.mode, len), |view: &View, at| shape.write(view, at));
        let content = match open {
            true => Content::open_or_create(name, &plan, &self.share, init)?,
            false => Content::create(name, &plan, &self.share, init)?,
        };
        Board::of(content, self.mode, kinds)
    }
}

fn noun(mode: Mode) -> &'static str {
    if mode == Mode::Service { "the service" } else { "the queue" }
}

/// What new ones take; those that are there say their sizes themselves. At a page, so that slots are.
fn plan(mode: Mode, len: usize) -> Plan {
    let kind = if mode == Mode::Service { RegionKind::Service } else { RegionKind::Queue };
    Plan::new(kind, None, len as u64, 4096)
}

impl Shape {
    fn write(self, view: &View, at: usize) -> Result<()> {
        let head: &Head = view.place(at)?;
        let store = |word: &AtomicU64, number| word.store(number, Ordering::Relaxed);
        store(&head.slot, self.slot);
        store(&head.stride, self.stride);
        for (index, kind) in self.kinds.iter().enumerate() {
            store(&head.units[index], kind.unit);
            head.ones[index].store(kind.one.into(), Ordering::Relaxed);
        }
        head.cells.store(self.cells as u32, Ordering::Relaxed);
        head.slots.store(self.slots as u32, Ordering::Relaxed);
        head.mode.store(self.mode as u32, Ordering::Relaxed);
        Ok(())
    }

    /// `kinds`: how this process aligns them.
    fn read(head: &Head, kinds: [Kind; 2]) -> Option<Shape> {
        let read = |index: usize| Kind {
            unit: head.units[index].load(Ordering::Relaxed),
            one: head.ones[index].load(Ordering::Relaxed) != 0,
            ..kinds[index]
        };
        let mode = match head.mode.load(Ordering::Relaxed) {
            0 => Mode::Service,
            1 => Mode::AtLeastOnce,
            2 => Mode::AtMostOnce,
            _ => return None,
        };
        let [cells, slots] = [&head.cells, &head.slots].map(|word| u64::from(word.load(Ordering::Relaxed)));
        let [slot, stride] = [&head.slot, &head.stride].map(|word| word.load(Ordering::Relaxed));
        Some(Shape { slot, stride, kinds: [read(0), read(1)], cells, slots, mode })
    }

    fn is_possible(&self, room: u64) -> bool {
        let counts = self.slots <= SLOTS_MAX && (CELLS_MIN..=CELLS_MAX).contains(&self.cells);
        let sizes = self.slot <= self.stride && self.stride.is_multiple_of(128) && self.stride < 1 << 41;
        let units = self.kinds.iter().all(|kind| kind.unit != 0 && (!kind.one || kind.unit <= self.slot));
        let counts = counts && self.cells.is_power_of_two();
        counts && sizes && units && self.len().is_some_and(|len| len <= room)
    }

    /// Where the bytes of the slots begin, in the content: at a page.
    pub(super) fn data(&self) -> u64 {
        (size_of::<Head>() as u64 + self.cells * 128 + self.slots * 64).next_multiple_of(4096)
    }

    fn len(&self) -> Option<u64> {
        self.stride.checked_mul(self.slots)?.checked_add(self.data())
    }

    pub(super) fn noun(&self) -> &'static str {
        noun(self.mode)
    }

    /// The bytes of the largest message.
    pub(in crate::channel) fn message_max(&self) -> usize {
        self.slot as usize
    }

    pub(in crate::channel) fn mode(&self) -> Mode {
        self.mode
    }

    /// The slots of messages, or those of answers: never all for messages, so that what was asked can be answered.
    pub(super) fn slots_for(&self, answers: bool) -> std::ops::Range<usize> {
        let (all, half) = (self.slots as usize, self.slots as usize / 2);
        match (self.mode, answers) {
            (Mode::Service, true) => half..all,
            (Mode::Service, false) => 0..half,
            _ => 0..all,
        }
    }
}

impl Board {
    /// The live one of that name: a service, or a queue.
    pub(in crate::channel) fn open(name: &str, mode: Mode, kinds: [Kind; 2]) -> Result<Board> {
        Board::of(Content::open(name, &plan(mode, 0))?, mode, kinds)
    }

    fn of(Content { view, offset }: Content, mode: Mode, kinds: [Kind; 2]) -> Result<Board> {
        let refuse = |kind, why| Err(Error::new(kind, "open", why).on(noun(mode)));
        let room = view.len().saturating_sub(offset) as u64;
        let shape = Shape::read(view.place(offset)?, kinds);
        let of_its_kind = |shape: &Shape| (shape.mode == Mode::Service) == (mode == Mode::Service);
        let Some(shape) = shape.filter(|shape| of_its_kind(shape) && shape.is_possible(room)) else {
            return refuse(ErrorKind::Corrupt, format!("its sizes cannot be, at offset {offset}"));
        };
        for (is, asked) in shape.kinds.into_iter().zip(kinds) {
            if !is.is(asked) || asked.alignment > if shape.slots == 0 { 16 } else { 64 } {
                return refuse(ErrorKind::WrongLayout, format!("it holds {is}, and {asked} was asked for"));
            }
        }
        let content = view.as_ptr().wrapping_add(offset);
        Ok(Board { view, content, shape })
    }
}
