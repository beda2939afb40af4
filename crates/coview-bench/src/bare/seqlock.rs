//! A value of 64 bytes under a sequence number: readers never block the writer, and take again what changed meanwhile.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::memory::{Line, shared};
use crate::Result;
use crate::link::Latest;

#[derive(Clone)]
pub(crate) struct Seqlock<const SLOTS: usize>(&'static Shared<SLOTS>);

struct Shared<const SLOTS: usize> {
    sequence: Line<AtomicU64>,
    slots: [Line<UnsafeCell<[u64; 8]>>; SLOTS],
}

// SAFETY: slots are read and written by volatile accesses only, and what may be torn is thrown away.
unsafe impl<const SLOTS: usize> Sync for Shared<SLOTS> {}

impl<const SLOTS: usize> Seqlock<SLOTS> {
    pub(crate) fn new() -> io::Result<Self> {
        let slots = [const { Line(UnsafeCell::new([0; 8])) }; SLOTS];
        Ok(Seqlock(shared(Shared { sequence: Line(AtomicU64::new(0)), slots })?))
    }
}

impl<const SLOTS: usize> Shared<SLOTS> {
    fn get(&self, slot: u64) -> [u64; 8] {
        // SAFETY: aligned and mapped; any bits are a value. The writer may be here in another process, as in every
        // seqlock: volatile, so it is read once, and the sequence tells whether it was whole.
        unsafe { self.slots[slot as usize % SLOTS].get().read_volatile() }
    }

    fn set(&self, slot: u64, value: &[u64; 8]) {
        // SAFETY: as in `get`; there is one writer.
        unsafe { self.slots[slot as usize % SLOTS].get().write_volatile(*value) };
    }
}

/// One slot: odd while it is written.
impl Latest for Seqlock<1> {
    fn reader(self) -> Result<impl FnMut() -> [u64; 8] + 'static> {
        Ok(move || {
            loop {
                // Acquire: pairs with the Release of the writer's second store.
                let before = self.0.sequence.load(Ordering::Acquire);
                if before.is_multiple_of(2) {
                    let value = self.0.get(0);
                    fence(Ordering::Acquire); // the value before the second look; pairs with the writer's fence
                    if self.0.sequence.load(Ordering::Relaxed) == before {
                        return value;
                    }
                }
            }
        })
    }

    fn writer(self) -> Result<impl FnMut(&[u64; 8]) + 'static> {
        let mut sequence = 0;
        Ok(move |value: &[u64; 8]| {
            self.0.sequence.store(sequence + 1, Ordering::Relaxed);
            fence(Ordering::Release); // pairs with the reader's fence: who sees some of the value sees the odd number
            self.0.set(0, value);
            sequence += 2;
            self.0.sequence.store(sequence, Ordering::Release);
        })
    }
}

/// Four slots: the writer goes round, so a reader is disturbed only if it takes as long as three writes.
impl Latest for Seqlock<4> {
    fn reader(self) -> Result<impl FnMut() -> [u64; 8] + 'static> {
        Ok(move || {
            loop {
                // Acquire: pairs with the Release of the writer.
                let before = self.0.sequence.load(Ordering::Acquire);
                let value = self.0.get(before);
                fence(Ordering::Acquire); // the value before the second look; pairs with the writer's fence
                // Our slot is written again on the way from `before + 3` to `before + 4`.
                if self.0.sequence.load(Ordering::Relaxed) - before <= 2 {
                    return value;
                }
            }
        })
    }

    fn writer(self) -> Result<impl FnMut(&[u64; 8]) + 'static> {
        let mut sequence = 0;
        Ok(move |value: &[u64; 8]| {
            sequence += 1;
            self.0.set(sequence, value);
            self.0.sequence.store(sequence, Ordering::Release);
            fence(Ordering::Release); // the number before the next value; pairs with the reader's fence
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(latest: impl Latest + Send) {
        let mut read = latest.clone().reader().unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut write = latest.writer().unwrap();
                (1..=100_000u64).for_each(|n| write(&[n; 8]));
            });
            let mut last = 0;
            while !writer.is_finished() {
                let value = read();
                assert!(value.iter().all(|word| *word == value[0]) && value[0] >= last, "{value:?} after {last}");
                last = value[0];
            }
            assert_eq!(read(), [100_000; 8]);
        });
    }

    #[test]
    fn values_are_whole_and_in_order() {
        whole(Seqlock::<1>::new().unwrap());
        whole(Seqlock::<4>::new().unwrap());
    }
}
