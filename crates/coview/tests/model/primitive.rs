//! The atomics of the models: loom's, each operation a step before which its thread may die, and weaker than it says if
//! the model is broken that way.

use std::marker::PhantomData;

pub(crate) use loom::sync::atomic::Ordering;

use crate::explore::{Fault, Loads};
use crate::kernel::{changed, is_broken, step, world};

pub(crate) type AtomicU32 = Atomic<u32>;
pub(crate) type AtomicU64 = Atomic<u64>;

/// A word as the kernel sees it. All are 64 bits wide here.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) cell: loom::sync::atomic::AtomicU64,
    /// Where the half that can be slept on begins.
    pub(crate) futex: u32,
}

impl Word {
    /// The newest value: a compare-exchange that fails sees no other.
    pub(crate) fn newest(&self, order: Ordering) -> u64 {
        const NO_VALUE: u64 = u64::MAX;
        let Err(value) = self.cell.compare_exchange(NO_VALUE, NO_VALUE, Ordering::Relaxed, order) else {
            unreachable!("no word here has all bits set")
        };
        value
    }
}

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Atomic<T>(Word, PhantomData<T>);

fn narrow<T: TryFrom<u64>>(value: u64) -> T {
    T::try_from(value).unwrap_or_else(|_| panic!("{value} is wider than its word"))
}

impl<T: Copy + Into<u64> + TryFrom<u64>> Atomic<T> {
    pub(crate) fn new(value: T) -> Atomic<T> {
        let futex = if size_of::<T>() == 8 { 32 } else { 0 };
        Atomic(Word { cell: loom::sync::atomic::AtomicU64::new(value.into()), futex }, PhantomData)
    }

    /// loom takes SeqCst for AcqRel: such a load may miss a change that is before it in the one order of all SeqCst
    /// operations. The newest value it does not miss, and the protocols need no more of SeqCst.
    pub(crate) fn load(&self, order: Ordering) -> T {
        let newest = match order {
            Ordering::SeqCst => !is_broken(Fault::SeqCst),
            _ => world(|world| world.loads == Loads::Newest),
        };
        let order = weaken(if order == Ordering::SeqCst { Ordering::Acquire } else { order });
        narrow(step(|| if newest { self.0.newest(order) } else { self.0.cell.load(order) }))
    }

    pub(crate) fn store(&self, value: T, order: Ordering) {
        step(|| self.0.cell.store(value.into(), weaken(order)));
    }

    pub(crate) fn swap(&self, value: T, order: Ordering) -> T {
        narrow(step(|| self.0.cell.swap(value.into(), weaken(order))))
    }

    pub(crate) fn fetch_add(&self, value: T, order: Ordering) -> T {
        narrow(step(|| self.0.cell.fetch_add(value.into(), weaken(order))))
    }

    pub(crate) fn fetch_or(&self, value: T, order: Ordering) -> T {
        narrow(step(|| self.0.cell.fetch_or(value.into(), weaken(order))))
    }

    /// `value` has the bits that stay.
    pub(crate) fn fetch_and(&self, value: T, order: Ordering) -> T {
        narrow(step(|| self.0.cell.fetch_and(value.into(), weaken(order))))
    }

    pub(crate) fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        mut change: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let change = |value| change(narrow(value)).map(T::into);
        let changed = step(|| self.0.cell.fetch_update(weaken(set), weaken(fetch), change));
        changed.map(narrow).map_err(narrow)
    }

    pub(crate) fn compare_exchange(&self, from: T, to: T, done: Ordering, failed: Ordering) -> Result<T, T> {
        let (done, failed) = (weaken(done), weaken(failed));
        let exchanged = step(|| self.0.cell.compare_exchange(from.into(), to.into(), done, failed));
        exchanged.inspect(|_| changed()).map(narrow).map_err(narrow)
    }

    /// Never fails without a reason here.
    pub(crate) fn compare_exchange_weak(&self, from: T, to: T, done: Ordering, failed: Ordering) -> Result<T, T> {
        self.compare_exchange(from, to, done, failed)
    }
}

impl<T: Copy + Default + Into<u64> + TryFrom<u64>> Default for Atomic<T> {
    fn default() -> Atomic<T> {
        Atomic::new(T::default())
    }
}

impl AtomicU32 {
    /// # Safety
    /// 1. It points to a word of these, which outlives `'a`.
    pub(crate) unsafe fn from_ptr<'a>(word: *mut u32) -> &'a AtomicU32 {
        // SAFETY: (1).
        unsafe { &*word.cast() }
    }

    /// The half of a commit word that can be slept on.
    pub(crate) fn half_of(word: &AtomicU64) -> &AtomicU32 {
        // SAFETY: both are a `Word`, by which the kernel knows the half; nobody else touches it as 32 bits.
        unsafe { &*std::ptr::from_ref(word).cast() }
    }
}

pub(crate) fn fence(order: Ordering) {
    let left_out = match order {
        Ordering::Release => is_broken(Fault::ReleaseFence),
        _ => is_broken(Fault::AcquireFence),
    };
    step(|| {
        if !left_out {
            loom::sync::atomic::fence(order)
        }
    });
}

fn weaken(order: Ordering) -> Ordering {
    match (world(|world| world.fault), order) {
        (Fault::Release, Ordering::Release) | (Fault::Acquire, Ordering::Acquire) => Ordering::Relaxed,
        (Fault::Release, Ordering::AcqRel | Ordering::SeqCst) => Ordering::Acquire,
        (Fault::Acquire, Ordering::AcqRel | Ordering::SeqCst) => Ordering::Release,
        _ => order,
    }
}
