//! The table of guarded ranges: changed by any thread, read by a signal handler, so it has no lock and is never freed.

use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// What the low bits of a version say; the others count the changes.
const STATE: usize = 3;
const FREE: usize = 0;
const CHANGING: usize = 1;
const HELD: usize = 2;
const STEP: usize = 4;

/// A guarded range, in a cache line of its own: each checked copy looks at `lost`.
#[repr(align(64))]
pub(super) struct Slot {
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    writable: AtomicBool,
    /// From this address on bytes have vanished.
    pub(super) lost: AtomicUsize,
}

/// Of ranges that nobody can take away.
pub(super) static NEVER: Slot = Slot::new();

/// Chunk k has `FIRST << k` slots, so there is room for as many as there are addresses.
const FIRST: usize = 64;
static CHUNKS: [AtomicPtr<Slot>; 32] = [const { AtomicPtr::new(null_mut()) }; 32];
/// Where the search for a free one begins.
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Slot {
    const fn new() -> Slot {
        Slot {
            version: AtomicUsize::new(FREE),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            writable: AtomicBool::new(false),
            lost: AtomicUsize::new(usize::MAX),
        }
    }

    /// A slot that holds this range from now on.
    pub(super) fn hold(range: Range<usize>, writable: bool) -> &'static Slot {
        let slot = Slot::take();
        slot.start.store(range.start, Ordering::Relaxed);
        slot.end.store(range.end, Ordering::Relaxed);
        slot.writable.store(writable, Ordering::Relaxed);
        slot.lost.store(usize::MAX, Ordering::Relaxed);
        slot.change(HELD);
        slot
    }

    /// Holds nothing any more.
    pub(super) fn release(&self) {
        self.change(FREE);
    }

    /// By who has taken it alone.
    fn change(&self, state: usize) {
        let version = self.version.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `covers`, and of the next `take`.
        self.version.store((version & !STATE).wrapping_add(STEP) | state, Ordering::Release);
    }

    /// A free one, marked as changing.
    fn take() -> &'static Slot {
        loop {
            let from = NEXT.load(Ordering::Relaxed);
            let behind = (from..).map_while(|index| Some((index, Slot::at(index)?)));
            let before = (0..from).map_while(|index| Some((index, Slot::at(index)?)));
            for (index, slot) in behind.chain(before) {
                let version = slot.version.load(Ordering::Relaxed);
                let taken = (version & !STATE) | CHANGING;
                // Acquire: pairs with the Release in `change`.
                let exchange =
                    || slot.version.compare_exchange(version, taken, Ordering::Acquire, Ordering::Relaxed).is_ok();
                if version & STATE == FREE && exchange() {
                    fence(Ordering::Release); // pairs with the Acquire fence in `covers`
                    NEXT.store(index + 1, Ordering::Relaxed);
                    return slot;
                }
            }
            Slot::grow();
        }
    }

    fn at(index: usize) -> Option<&'static Slot> {
        let chunk = (index / FIRST + 1).ilog2() as usize;
        let offset = index - FIRST * ((1 << chunk) - 1);
        // Acquire: pairs with the Release in `grow`.
        let start = CHUNKS.get(chunk)?.load(Ordering::Acquire);
        // SAFETY: a chunk has `FIRST << chunk` slots, which `offset` is less than, and is never freed.
        (!start.is_null()).then(|| unsafe { &*start.wrapping_add(offset) })
    }

    /// Adds a chunk. No lock: a fork in the middle of it must not keep the child from its own views.
    #[cold]
    fn grow() {
        let Some((index, chunk)) = CHUNKS.iter().enumerate().find(|(_, at)| at.load(Ordering::Relaxed).is_null())
        else {
            unreachable!("no address space has so many ranges")
        };
        let slots: Box<[Slot]> = (0..FIRST << index).map(|_| Slot::new()).collect();
        let slots = Box::into_raw(slots);
        // Release: pairs with the Acquire in `at`.
        if chunk.compare_exchange(null_mut(), slots.cast(), Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: it came from a box just now, and nobody else has seen it: somebody was faster.
            drop(unsafe { Box::from_raw(slots) });
        }
    }

    /// The range that holds an address, and whether it is writable. Only good of a range that does not go meanwhile: one that
    /// the caller has just touched.
    pub(super) fn covers(&self, address: usize) -> Option<(Range<usize>, bool)> {
        let version = self.version.load(Ordering::Acquire); // pairs with the Release in `change`
        let range = self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed);
        let writable = self.writable.load(Ordering::Relaxed);
        // Acquire: pairs with the Release fence in `take`: a number of a later range is not taken for one of this.
        fence(Ordering::Acquire);
        let still = self.version.load(Ordering::Relaxed) == version;
        (version & STATE == HELD && still && range.contains(&address)).then_some((range, writable))
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = &'static Slot> {
        (0..).map_while(Slot::at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_finds_the_range_around_it() {
        // Addresses of no range that other tests of this program have.
        let base = usize::MAX - (1 << 40);
        let held: Vec<_> = (0..1000).map(|i| Slot::hold(base + i * 100..base + i * 100 + 50, i % 2 == 0)).collect();
        let find = |address: usize| Slot::all().find_map(|slot| slot.covers(address));
        for i in 0..1000 {
            let start = base + i * 100;
            assert_eq!(find(start + 49), Some((start..start + 50, i % 2 == 0)));
            assert_eq!(find(start + 50), None);
        }
        held.iter().for_each(|slot| slot.release());
        assert_eq!(find(base), None);
        // What was given back is used again.
        let before = Slot::all().count();
        let again: Vec<_> = (0..1000).map(|i| Slot::hold(base + i..base + i + 1, false)).collect();
        assert!(Slot::all().count() <= before.max(64 + 128 + 256 + 512 + 1024));
        again.iter().for_each(|slot| slot.release());
    }

    #[test]
    fn a_range_that_stays_is_found_while_others_come_and_go() {
        let base = usize::MAX - (1 << 41);
        let stays = Slot::hold(base + 5000..base + 6000, true);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for side in 0..3 {
                let done = &done;
                scope.spawn(move || {
                    // Below it, above it: half of one and half of another would hold it.
                    while !done.load(Ordering::Relaxed) {
                        Slot::hold(base + side..base + 1000, false).release();
                        Slot::hold(base + 8000..base + 9000 + side, false).release();
                    }
                });
            }
            for _ in 0..2_000 {
                let found: Vec<_> = Slot::all().filter_map(|slot| slot.covers(base + 5500)).collect();
                assert_eq!(found, [(base + 5000..base + 6000, true)]);
            }
            done.store(true, Ordering::Relaxed);
        });
        stays.release();
    }
}
