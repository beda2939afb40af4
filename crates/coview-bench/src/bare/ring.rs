//! A ring for one producer and one consumer of 64-byte messages, both polling.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::{Line, shared, shared_slice};
use crate::Result;
use crate::link::Link;

/// Tried from 64 to 65,536: fewer make the two wait for each other, more leave the second-level cache.
const SLOTS: usize = 4096;
/// The consumer says so often what it has freed: rarely, since each time costs the producer a cache line.
const FREED_EVERY: u64 = SLOTS as u64 / 8;
/// Who finds nothing to do looks again only after so many spins: each look takes the line from the other, and without
/// a pause the two can go in step, a line for each message, at a third of the speed.
const PAUSE: u32 = 64;

/// `batch`: how many messages the producer publishes at once.
#[derive(Clone)]
pub(crate) struct Ring<const N: usize> {
    ends: &'static Ends,
    slots: &'static [Slot<N>],
    batch: u64,
}

struct Ends {
    published: Line<AtomicU64>,
    freed: Line<AtomicU64>,
}

/// A message, and nothing beside it.
struct Slot<const N: usize>(UnsafeCell<[u64; N]>);

impl<const N: usize> Default for Slot<N> {
    fn default() -> Self {
        Slot(UnsafeCell::new([0; N]))
    }
}

// SAFETY: a slot is the producer's until it is published and then the consumer's until it is freed.
unsafe impl<const N: usize> Sync for Slot<N> {}

impl<const N: usize> Ring<N> {
    pub(crate) fn new(batch: u64) -> io::Result<Self> {
        let ends = Ends { published: Line::default(), freed: Line::default() };
        Ok(Ring { ends: shared(ends)?, slots: shared_slice(SLOTS)?, batch })
    }
}

fn pause_if(idle: bool) {
    (0..if idle { PAUSE } else { 0 }).for_each(|_| std::hint::spin_loop());
}

impl<const N: usize> Link<N> for Ring<N> {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let (mut next, mut free_until) = (0u64, SLOTS as u64);
        Ok(move |message: &[u64; N]| {
            while next == free_until {
                // Acquire: pairs with the Release of `freed`: the consumer has read what we now overwrite.
                free_until = self.ends.freed.load(Ordering::Acquire) + SLOTS as u64;
                pause_if(next == free_until);
            }
            // SAFETY: the slot is free and not published.
            unsafe { *self.slots[next as usize % SLOTS].0.get() = *message };
            next += 1;
            if next.is_multiple_of(self.batch) {
                self.ends.published.store(next, Ordering::Release); // pairs with the Acquire of `published`
            }
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let (mut next, mut full_until) = (0u64, 0u64);
        Ok(move || {
            while next == full_until {
                // Acquire: pairs with the Release of `published`: the messages are whole.
                full_until = self.ends.published.load(Ordering::Acquire);
                pause_if(next == full_until);
            }
            // SAFETY: the slot is published and not freed.
            let message = unsafe { *self.slots[next as usize % SLOTS].0.get() };
            next += 1;
            if next.is_multiple_of(FREED_EVERY) {
                self.ends.freed.store(next, Ordering::Release); // pairs with the Acquire of `freed`
            }
            message
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_in_order() {
        for batch in [1, 32] {
            let ring = Ring::<8>::new(batch).unwrap();
            let mut receive = ring.clone().receiver().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut send = ring.sender().unwrap();
                    (0..64_000u64).for_each(|n| send(&[n; 8]));
                });
                (0..64_000u64).for_each(|n| assert_eq!(receive(), [n; 8]));
            });
        }
    }
}
