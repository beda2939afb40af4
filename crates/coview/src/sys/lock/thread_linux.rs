//! This thread as the kernel sees it: its number, and the list of locks that are marked when it dies.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::anchor_linux::Pair;
use crate::primitive::AtomicU32;
use crate::sys::Refusal;
use crate::sys::wait::Spot;

/// Head of a thread's robust list, as get_robust_list(2) gives it: linux/futex.h, `struct robust_list_head`.
#[repr(C)]
struct Head {
    first: *mut u8,
    futex_offset: isize,
    pending: *mut u8,
}

/// How many forks this process is away from its first ancestor here: what is cached for a thread dies with it.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// What a thread needs to know of itself to take robust locks.
#[derive(Clone, Copy)]
pub(crate) struct Me {
    tid: u32,
    forks: u32,
    head: *mut Head,
    /// From a list node to its lock word, in bytes; negative.
    offset: isize,
    /// The node behind which the locks in memory of others' choice stand; see [`Pair`].
    anchor: *mut Pair,
    /// The PID namespace in which the number means this thread.
    namespace: u64,
}

thread_local! {
    static ME: Cell<Option<Me>> = const { Cell::new(None) };
    static ANCHOR: UnsafeCell<Pair> = const { UnsafeCell::new(Pair::new()) };
}

/// This thread.
///
/// # Errors
/// Unsupported if the C library has registered no robust list.
#[inline]
pub(crate) fn me() -> io::Result<Me> {
    match ME.get() {
        Some(me) if me.forks == FORKS.load(Ordering::Relaxed) => Ok(me),
        _ => find_me(),
    }
}

#[cold]
fn find_me() -> io::Result<Me> {
    static WATCH: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler is an extern "C" function that only adds to an atomic, which is allowed after fork.
    WATCH.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(after_fork)) });
    let mut head: *mut Head = std::ptr::null_mut();
    let mut len = 0usize;
    // SAFETY: both pointers are valid for the one value each that the call writes (get_robust_list(2)).
    let rc = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
    let known = rc == 0 && len == size_of::<Head>() && !head.is_null();
    // SAFETY: the kernel gave the address that this thread's C library registered; it lives as long as the thread.
    let offset = if known { unsafe { (*head).futex_offset } } else { 0 };
    // The lock word stands before the node: so far that a node has room in `Words`, and as `Pair` has zeros.
    if !(-32..=-28).contains(&offset) {
        let why = "this C library registers no robust list, so the death of a lock's owner would go unnoticed";
        return Err(Refusal::Unsupported(why.into()).into());
    }
    let me = Me {
        tid: rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(),
        forks: FORKS.load(Ordering::Relaxed),
        head,
        offset,
        anchor: ANCHOR.with(UnsafeCell::get),
        namespace: pid_namespace(),
    };
    // SAFETY: it is this thread's, which has taken no such lock before, or is a fork child.
    unsafe { Pair::forget_all(me.anchor) };
    // SAFETY: thread-local memory, which outlives the kernel's last look at the list; on no list: this is the thread's
    // first call, or the first after a fork, in which the C library starts with an empty list.
    unsafe { me.link(Pair::front(me.anchor)) };
    ME.set(Some(me));
    Ok(me)
}

impl Me {
    /// The thread's number, in the owner bits of a lock word.
    #[inline]
    pub(crate) fn tid(self) -> u32 {
        self.tid
    }

    /// The list node that belongs to a lock word: the kernel finds the word from the node by a fixed distance.
    #[inline]
    pub(crate) fn node_of(self, word: *const AtomicU32) -> *mut u8 {
        word.cast::<u8>().cast_mut().wrapping_offset(-self.offset)
    }

    /// The lock word that belongs to a list node.
    pub(crate) fn word_of(self, node: *mut u8) -> *mut u32 {
        node.wrapping_offset(self.offset).cast()
    }

    /// The PID namespace in which the number means this thread.
    #[inline]
    pub(crate) fn namespace(self) -> u64 {
        self.namespace
    }

    fn pending(self) -> *mut *mut u8 {
        self.head.cast::<u8>().wrapping_add(std::mem::offset_of!(Head, pending)).cast()
    }

    /// Names the word that this thread is about to change. If it dies before `settle`, the kernel looks at it.
    /// Returns what stood there, since a signal handler may do this in the middle of another.
    #[inline]
    pub(crate) fn announce(self, node: *mut u8) -> *mut u8 {
        // SAFETY: the head belongs to this thread, and only this thread writes to it; the kernel reads it when
        // the thread is dead. Volatile: the compiler may neither drop nor delay it.
        let before = unsafe { self.pending().read_volatile() };
        // SAFETY: as above.
        unsafe { self.pending().write_volatile(node) };
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        before
    }

    #[inline]
    pub(crate) fn settle(self, before: *mut u8) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `announce`.
        unsafe { self.pending().write_volatile(before) };
    }

    /// Puts a node of this process's own memory on the list of locks this thread owns, first of all. Nodes point to the
    /// `next` of their neighbours, and `prev` stands eight bytes before: so the C library's own locks on the same
    /// list have it.
    ///
    /// # Safety
    /// 1. `node` is writable from 8 bytes before to 8 bytes behind, and on no list.
    /// 2. It stays mapped until `unlink`.
    pub(crate) unsafe fn link(self, node: *mut u8) {
        // SAFETY: (1) and (2); the head begins with the pointer to the first node.
        unsafe { insert(self.head.cast(), node, node) };
    }

    /// Takes a node off the list.
    ///
    /// # Safety
    /// 1. This thread has `link`ed it and not unlinked it since.
    pub(crate) unsafe fn unlink(self, node: *mut u8) {
        // SAFETY: (1).
        unsafe { remove(node, node) };
    }

    /// As [`link`](Me::link), for a node in memory that other processes write: between two nodes of our own, and behind
    /// all locks whose nodes are private. Nothing is ever read back from the node.
    ///
    /// # Safety
    /// 1. `node` is writable for 8 bytes, and on no list.
    pub(crate) unsafe fn link_placed(self, node: *mut u8) {
        // SAFETY: (1), and the anchor is ours.
        let pair = unsafe { Pair::enclose(self.anchor, node) };
        // SAFETY: both ends are ours and on no list; the anchor is on this thread's list.
        unsafe { insert(Pair::front(self.anchor), Pair::front(pair), Pair::back(pair)) };
    }

    /// Takes a node that stands between two of ours off the list. One that does not is left alone.
    pub(crate) fn unlink_placed(self, node: *mut u8) {
        // SAFETY: the anchor is ours.
        let Some(pair) = (unsafe { Pair::around(self.anchor, node) }) else {
            return;
        };
        // SAFETY: it was put on this thread's list when the lock was taken.
        unsafe { remove(Pair::front(pair), Pair::back(pair)) };
        // SAFETY: it is off the list.
        unsafe { Pair::give_back(pair) };
    }
}

fn before(node: *mut u8) -> *mut *mut u8 {
    node.map_addr(|a| a & !1).wrapping_sub(size_of::<*mut u8>()).cast()
}

/// Puts the chain from `first` to `last` behind `at`.
///
/// # Safety
/// 1. `at` is the head of this thread's list, or its anchor, which is on it.
/// 2. `first` is writable from 8 bytes before, `last` to 8 bytes behind, and they are on no list.
unsafe fn insert(at: *mut u8, first: *mut u8, last: *mut u8) {
    // SAFETY: (1).
    let next = unsafe { at.cast::<*mut u8>().read_unaligned() };
    // SAFETY: (2).
    unsafe { last.cast::<*mut u8>().write_unaligned(next) };
    // SAFETY: (2).
    unsafe { before(first).write_unaligned(at) };
    // SAFETY: `next` is a node on this thread's list or the head itself, before which the C library keeps a
    // pointer for this purpose. Low bits mark priority inheritance and are no part of the address.
    unsafe { before(next).write_unaligned(last) };
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    // SAFETY: (1). Last of all, so that the list is whole at any moment for the kernel, which only follows `next`.
    unsafe { at.cast::<*mut u8>().write_volatile(first) };
}

/// Takes the chain from `first` to `last` off the list.
///
/// # Safety
/// 1. It was put there by `insert`, and the list is this thread's.
unsafe fn remove(first: *mut u8, last: *mut u8) {
    // SAFETY: (1).
    let next = unsafe { last.cast::<*mut u8>().read_unaligned() };
    // SAFETY: (1).
    let prev = unsafe { before(first).read_unaligned() };
    // SAFETY: the neighbours of a chain on this thread's list are nodes of it or its head.
    unsafe { before(next).write_unaligned(prev) };
    // SAFETY: as above.
    unsafe { prev.map_addr(|a| a & !1).cast::<*mut u8>().write_unaligned(next) };
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// A word this thread is about to change or to sleep on is named to the kernel for as long as this lives.
pub(crate) struct Pending {
    me: Me,
    /// What stood there, since a signal handler may do this in the middle of another.
    before: *mut u8,
}

/// Names the word of a spot. If this thread dies before the name is dropped, the kernel wakes one who sleeps there.
#[inline]
pub(crate) fn announce(spot: Spot<'_>) -> io::Result<Pending> {
    Ok(me()?.pending_on(spot.word()))
}

impl Me {
    #[inline]
    pub(crate) fn pending_on(self, word: &AtomicU32) -> Pending {
        Pending { me: self, before: self.announce(self.node_of(word)) }
    }
}

impl Drop for Pending {
    #[inline]
    fn drop(&mut self) {
        self.me.settle(self.before);
    }
}

/// Which PID namespace this thread is in. Thread numbers mean something only there.
fn pid_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}
