//! Pairs of private list nodes around the list node of a lock.
//!
//! The kernel finds a lock from its list node, so the node of a lock in a mapping lies in the mapping, where any peer can
//! bend its pointer; and whoever writes over lock words can have two threads take one lock, whose node is then on two lists.
//! Between two nodes of its thread a node stands apart: whoever puts something on the list or takes it
//! off, the C library included, only touches the thread's own. A bent pointer misleads the kernel alone, at the
//! death of this thread: it may then not find the locks behind.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Two list nodes, each a `prev` and a `next`, and what stands between them.
///
/// The first of a thread, its *anchors*, stay on the list: to put a lock between their nodes takes two stores. The pairs of
/// further locks come behind.
#[repr(C)]
pub(super) struct Pair {
    /// Where the kernel looks for the lock words of both nodes: owned by nobody.
    zeros: [u64; 8],
    front_prev: *mut u8,
    /// Points to the enclosed node; of an idle anchor or one that was just taken, to `back`; of a spare pair, nowhere.
    front: AtomicPtr<u8>,
    back_prev: *mut u8,
    back: *mut u8,
    /// Of the anchor and of what it leads to: the pair that this thread enclosed a lock with before, still in use.
    earlier: *mut Pair,
    /// In `PAIRS`.
    older: *mut Pair,
}

/// The newest of all pairs there are; each leads to the one made before it. They are used again, never freed: another thread may
/// look at them. No lock: a fork while some thread had it would keep the child from ever taking a lock or dropping a view.
static PAIRS: AtomicPtr<Pair> = AtomicPtr::new(ptr::null_mut());

/// All pairs there are.
fn pairs() -> impl Iterator<Item = *mut Pair> {
    // Acquire: pairs with the Release in `add`.
    let newest = PAIRS.load(Ordering::Acquire);
    let there = |pair: *mut Pair| Some(pair).filter(|pair| !pair.is_null());
    // SAFETY: a pair in the list was made whole before it came there, is never freed, and `older` does not change any more.
    std::iter::successors(there(newest), move |pair| there(unsafe { (**pair).older }))
}

/// Adds a pair that nobody else knows.
fn add(pair: *mut Pair) {
    let mut newest = PAIRS.load(Ordering::Relaxed);
    loop {
        // SAFETY: nobody else knows it yet.
        unsafe { (*pair).older = newest };
        // Release: pairs with the Acquire in `pairs`; what others added passes along with it.
        match PAIRS.compare_exchange_weak(newest, pair, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => newest = now,
        }
    }
}

impl Pair {
    /// A pair that encloses nothing: a spare one, or a new one.
    #[cold]
    pub(super) fn take() -> *mut Pair {
        let free = |pair: &*mut Pair| {
            // SAFETY: pairs are never freed, and this field is atomic.
            let front = unsafe { &(**pair).front };
            // Acquire: pairs with the Release in `leave`.
            let taken =
                || front.compare_exchange(ptr::null_mut(), Pair::back(*pair), Ordering::Acquire, Ordering::Relaxed);
            front.load(Ordering::Relaxed).is_null() && taken().is_ok()
        };
        if let Some(pair) = pairs().find(free) {
            return pair;
        }
        let pair = Box::into_raw(Box::new(Pair {
            zeros: [0; 8],
            front_prev: ptr::null_mut(),
            front: AtomicPtr::new(ptr::null_mut()),
            back_prev: ptr::null_mut(),
            back: ptr::null_mut(),
            earlier: ptr::null_mut(),
            older: ptr::null_mut(),
        }));
        // SAFETY: nobody else knows it yet.
        unsafe { (*pair).front.store(Pair::back(pair), Ordering::Relaxed) };
        add(pair);
        pair
    }

    /// Makes a pair spare that is on no list any more.
    ///
    /// # Safety
    /// 1. It is this thread's.
    #[cold]
    pub(super) unsafe fn leave(pair: *mut Pair) {
        // SAFETY: (1).
        unsafe { (*pair).front.store(ptr::null_mut(), Ordering::Release) }; // pairs with the Acquire in `take`
    }

    /// Makes a pair a chain that encloses nothing.
    ///
    /// # Safety
    /// 1. It came from `take`, and is used from now on as this thread's anchor.
    pub(super) unsafe fn close(pair: *mut Pair) {
        // SAFETY: (1), but for `front`, which is atomic.
        unsafe { (*pair).front.store(Pair::back(pair), Ordering::Release) };
        // SAFETY: (1).
        unsafe { (*pair).earlier = ptr::null_mut() };
    }

    /// Whether an anchor encloses nothing, and no other pair is in use.
    ///
    /// # Safety
    /// 1. It is this thread's.
    pub(super) unsafe fn is_idle(anchor: *mut Pair) -> bool {
        // SAFETY: (1).
        let pair = unsafe { &*anchor };
        pair.front.load(Ordering::Relaxed) == Pair::back(anchor) && pair.earlier.is_null()
    }

    /// Puts a node between the nodes of the anchor, which are on the list. `false`: there is one already.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    /// 2. `node` is writable for 8 bytes.
    #[inline(always)]
    pub(super) unsafe fn put(anchor: *mut Pair, node: *mut u8) -> bool {
        let back = Pair::back(anchor);
        // SAFETY: (1).
        let front = unsafe { &(*anchor).front };
        if front.load(Ordering::Relaxed) != back {
            return false;
        }
        // SAFETY: (2).
        unsafe { node.cast::<*mut u8>().write_unaligned(back) };
        // Release: the list is whole at any moment for the kernel, which sees what this thread had written when it died.
        front.store(node, Ordering::Release);
        true
    }

    /// Takes a node out of the anchor. `false`: it is not there.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    #[inline(always)]
    pub(super) unsafe fn pull(anchor: *mut Pair, node: *mut u8) -> bool {
        // SAFETY: (1).
        let front = unsafe { &(*anchor).front };
        if front.load(Ordering::Relaxed) != node {
            return false;
        }
        front.store(Pair::back(anchor), Ordering::Release);
        true
    }

    /// The list node that stands before the enclosed one.
    #[inline]
    pub(super) fn front(pair: *mut Pair) -> *mut u8 {
        pair.wrapping_byte_add(std::mem::offset_of!(Pair, front)).cast()
    }

    /// The list node that stands behind the enclosed one.
    #[inline]
    pub(super) fn back(pair: *mut Pair) -> *mut u8 {
        pair.wrapping_byte_add(std::mem::offset_of!(Pair, back)).cast()
    }

    /// Makes a chain of a pair and a node between; remembers it at this thread's anchor.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    /// 2. `node` is writable for 8 bytes.
    pub(super) unsafe fn enclose(anchor: *mut Pair, node: *mut u8) -> *mut Pair {
        let pair = Pair::take();
        // SAFETY: a pair that was taken is this thread's alone, but for `front`, which is atomic.
        unsafe { (*pair).front.store(node, Ordering::Release) };
        // SAFETY: (2).
        unsafe { node.cast::<*mut u8>().write_unaligned(Pair::back(pair)) };
        // SAFETY: (1).
        let earlier = unsafe { (*anchor).earlier };
        // SAFETY: as above.
        unsafe { (*pair).earlier = earlier };
        // SAFETY: (1).
        unsafe { (*anchor).earlier = pair };
        pair
    }

    /// The pair around `node`, if this thread made one.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    pub(super) unsafe fn around(anchor: *mut Pair, node: *mut u8) -> Option<*mut Pair> {
        let mut later = anchor;
        loop {
            // SAFETY: (1), and what it leads to are pairs that this thread has in use.
            let pair = unsafe { (*later).earlier };
            if pair.is_null() {
                return None;
            }
            // SAFETY: as above.
            if unsafe { (*pair).front.load(Ordering::Relaxed) } == node {
                // SAFETY: as above.
                let earlier = unsafe { (*pair).earlier };
                // SAFETY: as above.
                unsafe { (*later).earlier = earlier };
                return Some(pair);
            }
            later = pair;
        }
    }
}

/// The addresses in `range` of the list nodes that some thread of this process has enclosed.
pub(super) fn enclosed_in(range: &Range<usize>) -> Vec<*mut u8> {
    let nodes = pairs().map(|pair| {
        // SAFETY: pairs are never freed, and this field is atomic.
        unsafe { (*pair).front.load(Ordering::Acquire) }
    });
    nodes.filter(|node| range.contains(&node.addr())).collect()
}
