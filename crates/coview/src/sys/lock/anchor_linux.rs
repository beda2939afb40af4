//! Pairs of private list nodes around the list node of a lock in memory that other processes write.
//!
//! The kernel finds a lock from its list node, so the node of a lock in a mapping lies in the mapping, where any peer can
//! bend its pointer. Between two nodes of our own it stands apart: whoever puts something on the list or takes it
//! off, the C library included, only touches the private ones. A bent pointer misleads the kernel alone, at the
//! death of this thread: it may then not find the locks of this kind that the thread took before.

use std::cell::RefCell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// Two list nodes, each a `prev` and a `next`, and what stands between them.
#[repr(C)]
pub(super) struct Pair {
    /// Where the kernel looks for the lock words of both nodes: owned by nobody.
    zeros: [u64; 8],
    front_prev: *mut u8,
    /// Points to the enclosed node, or nowhere.
    front: AtomicPtr<u8>,
    back_prev: *mut u8,
    back: *mut u8,
    /// The pair this thread enclosed a lock with before, that is still in use.
    earlier: *mut Pair,
}

/// All pairs there are, for `holds_within`. They are used again, never freed: another thread may look at them.
static PAIRS: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Those left by threads that ended.
static SPARE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The spare pairs of a thread.
struct Purse(RefCell<Vec<*mut Pair>>);

impl Drop for Purse {
    fn drop(&mut self) {
        let left = self.0.take().into_iter().map(|pair| pair.expose_provenance());
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }
}

thread_local! {
    static PURSE: Purse = const { Purse(RefCell::new(Vec::new())) };
}

impl Pair {
    pub(super) const fn new() -> Pair {
        Pair {
            zeros: [0; 8],
            front_prev: ptr::null_mut(),
            front: AtomicPtr::new(ptr::null_mut()),
            back_prev: ptr::null_mut(),
            back: ptr::null_mut(),
            earlier: ptr::null_mut(),
        }
    }

    /// A pair that encloses nothing: the thread's, or one that a dead thread left, or a new one.
    fn spare() -> *mut Pair {
        if let Ok(Some(pair)) = PURSE.try_with(|purse| purse.0.borrow_mut().pop()) {
            return pair;
        }
        if let Some(address) = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return ptr::with_exposed_provenance_mut(address);
        }
        let pair = Box::into_raw(Box::new(Pair::new()));
        PAIRS.lock().unwrap_or_else(PoisonError::into_inner).push(pair.expose_provenance());
        pair
    }

    /// The list node that stands before the enclosed one.
    pub(super) fn front(pair: *mut Pair) -> *mut u8 {
        pair.wrapping_byte_add(std::mem::offset_of!(Pair, front)).cast()
    }

    /// The list node that stands behind the enclosed one.
    pub(super) fn back(pair: *mut Pair) -> *mut u8 {
        pair.wrapping_byte_add(std::mem::offset_of!(Pair, back)).cast()
    }

    /// Makes a chain of a spare pair and a node between; remembers it at `first`, this thread's anchor.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    /// 2. `node` is writable for 8 bytes.
    pub(super) unsafe fn enclose(anchor: *mut Pair, node: *mut u8) -> *mut Pair {
        let pair = Pair::spare();
        // SAFETY: a spare pair is this thread's alone, but for `front`, which is atomic.
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

    /// Forgets what this thread encloses: it is a fork child, and the locks are its parent's.
    ///
    /// # Safety
    /// 1. `anchor` is this thread's.
    pub(super) unsafe fn forget_all(anchor: *mut Pair) {
        // SAFETY: (1).
        unsafe { (*anchor).earlier = ptr::null_mut() };
    }

    /// Makes a pair that is off the list spare again.
    ///
    /// # Safety
    /// 1. It came from `around`, just now.
    pub(super) unsafe fn give_back(pair: *mut Pair) {
        // SAFETY: (1): it is this thread's.
        unsafe { (*pair).front.store(ptr::null_mut(), Ordering::Release) };
        // A thread that is ending has no purse any more: the pair is lost then.
        let _ = PURSE.try_with(|purse| purse.0.borrow_mut().push(pair));
    }
}

/// The addresses in `range` of the list nodes that some thread of this process has enclosed.
pub(super) fn enclosed_in(range: &Range<usize>) -> Vec<*mut u8> {
    let pairs = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
    let nodes = pairs.iter().map(|address| {
        let pair: *mut Pair = ptr::with_exposed_provenance_mut(*address);
        // SAFETY: pairs are never freed, and this field is atomic.
        unsafe { (*pair).front.load(Ordering::Acquire) }
    });
    nodes.filter(|node| range.contains(&node.addr())).collect()
}
