//! This thread as the kernel sees it: its number, and the list of locks that are marked when it dies.

use std::cell::Cell;
use std::io;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::anchor_linux::Pair;
use super::robust_linux::Node;
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

/// How many forks lie between this process and the one that first asked for a lock.
#[inline(always)]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// This thread, by where it keeps what it knows of itself: every lock asks, and a copy each time would cost a tenth of it.
#[derive(Clone, Copy)]
pub(crate) struct Me(*const Known);

/// What a thread needs to know of itself to take robust locks.
#[derive(Clone, Copy)]
struct Known {
    tid: u32,
    forks: u32,
    head: *mut Head,
    /// From a list node to its lock word, in bytes; negative.
    offset: isize,
    /// Between which the nodes of locks stand, by [`Node`]: those that a peer can bend are the last.
    anchors: [*mut Pair; 2],
    /// The PID namespace in which the number means this thread.
    namespace: u64,
}

thread_local! {
    static ME: Cell<Known> = const { Cell::new(Known::NOTHING) };
    static END: End = const { End };
}

/// Of a thread: leaves its anchors to others.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let known = ME.replace(Known::NOTHING);
        if known.forks != FORKS.load(Ordering::Relaxed) {
            return; // a fork child, on whose list they never were
        }
        for anchor in known.anchors {
            // SAFETY: the anchor is this thread's. What encloses a lock that is still held is left alone.
            if unsafe { Pair::is_idle(anchor) } {
                // SAFETY: it is on this thread's list since `find_me`.
                unsafe { remove(anchor) };
                // SAFETY: it is off the list.
                unsafe { Pair::leave(anchor) };
            }
        }
    }
}

impl Known {
    /// Before the thread has asked: no process is so many forks away.
    const NOTHING: Known =
        Known { tid: 0, forks: u32::MAX, head: null_mut(), offset: 0, anchors: [null_mut(); 2], namespace: 0 };
}

/// This thread, if it has been asked for before.
#[inline(always)]
pub(crate) fn known() -> Option<Me> {
    let me = Me(ME.with(Cell::as_ptr));
    (me.known().forks == FORKS.load(Ordering::Relaxed)).then_some(me)
}

/// This thread.
///
/// # Errors
/// Unsupported if the C library has registered no robust list.
#[inline(always)]
pub(crate) fn me() -> io::Result<Me> {
    known().map_or_else(find_me, Ok)
}

#[cold]
fn find_me() -> io::Result<Me> {
    static WATCH: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler is an extern "C" function that only adds to an atomic, which is allowed after fork.
    WATCH.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(after_fork)) });
    let mut head: *mut Head = null_mut();
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
    let namespace = pid_namespace()?;
    // A thread that is ending has no end any more: its anchors are lost then.
    let _ = END.try_with(|_| ());
    // A fork child goes on with its copies: another thread of its parent may just have had the list of spare ones locked.
    let anchors = ME.get().anchors.map(|anchor| if anchor.is_null() { Pair::take() } else { anchor });
    ME.set(Known {
        tid: rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(),
        forks: FORKS.load(Ordering::Relaxed),
        head,
        offset,
        anchors,
        namespace,
    });
    for anchor in anchors.into_iter().rev() {
        // SAFETY: it is this thread's anchor from now on.
        unsafe { Pair::close(anchor) };
        // SAFETY: the head of this thread's list; the pair is on no list, as the C library begins a new one after a fork.
        unsafe { insert(head.cast(), anchor) };
    }
    Ok(Me(ME.with(Cell::as_ptr)))
}

impl Me {
    #[inline]
    fn known<'a>(self) -> &'a Known {
        // SAFETY: `me` gives out this pointer, to memory of this thread that lasts as long as the thread; a `Me` does not leave
        // its thread. It is only written in `find_me`, while no such reference is in use.
        unsafe { &*self.0 }
    }

    /// The thread's number, in the owner bits of a lock word.
    #[inline]
    pub(crate) fn tid(self) -> u32 {
        self.known().tid
    }

    /// The list node that belongs to a lock word: the kernel finds the word from the node by a fixed distance.
    #[inline]
    pub(crate) fn node_of(self, word: *const AtomicU32) -> *mut u8 {
        word.cast::<u8>().cast_mut().wrapping_offset(-self.known().offset)
    }

    /// The lock word that belongs to a list node.
    pub(crate) fn word_of(self, node: *mut u8) -> *mut u32 {
        node.wrapping_offset(self.known().offset).cast()
    }

    /// The PID namespace in which the number means this thread.
    #[inline]
    pub(crate) fn namespace(self) -> u64 {
        self.known().namespace
    }

    #[inline]
    fn pending(self) -> *mut *mut u8 {
        self.known().head.cast::<u8>().wrapping_add(std::mem::offset_of!(Head, pending)).cast()
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

    /// Puts a node on the list of the locks that this thread has: between two nodes of its own, so that nothing is ever read
    /// back from it.
    ///
    /// # Safety
    /// 1. `node` is writable for 8 bytes.
    #[inline(always)]
    pub(crate) unsafe fn link(self, of: Node, node: *mut u8) {
        // SAFETY: (1), and the anchor is ours.
        if !unsafe { Pair::put(self.known().anchors[of as usize], node) } {
            // SAFETY: (1).
            unsafe { self.link_another(of, node) };
        }
    }

    /// # Safety
    /// As [`Me::link`].
    #[cold]
    unsafe fn link_another(self, of: Node, node: *mut u8) {
        let anchor = self.known().anchors[of as usize];
        // SAFETY: (1), and the anchor is ours.
        let pair = unsafe { Pair::enclose(anchor, node) };
        // SAFETY: the anchor is on this thread's list, the pair is ours and on none.
        unsafe { insert(Pair::back(anchor), pair) };
    }

    /// Takes a node off the list, if it is there.
    #[inline(always)]
    pub(crate) fn unlink(self, of: Node, node: *mut u8) {
        // SAFETY: the anchor is ours.
        if !unsafe { Pair::pull(self.known().anchors[of as usize], node) } {
            self.unlink_another(of, node);
        }
    }

    #[cold]
    fn unlink_another(self, of: Node, node: *mut u8) {
        // SAFETY: the anchor is ours.
        let Some(pair) = (unsafe { Pair::around(self.known().anchors[of as usize], node) }) else {
            return;
        };
        // SAFETY: it was put on this thread's list when the lock was taken.
        unsafe { remove(pair) };
        // SAFETY: it is off the list.
        unsafe { Pair::leave(pair) };
    }
}

fn before(node: *mut u8) -> *mut *mut u8 {
    node.map_addr(|a| a & !1).wrapping_sub(size_of::<*mut u8>()).cast()
}

/// Puts a pair, and what stands between its nodes, behind `at`. Nodes point to the `next` of their neighbours, and `prev`
/// stands eight bytes before: so the C library's own locks on the same list have it.
///
/// # Safety
/// 1. `at` is the head of this thread's list, or the back of an anchor, which is on it.
/// 2. `pair` is this thread's, and on no list.
unsafe fn insert(at: *mut u8, pair: *mut Pair) {
    let (first, last) = (Pair::front(pair), Pair::back(pair));
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

/// Takes a pair, and what stands between its nodes, off the list.
///
/// # Safety
/// 1. It was put there by `insert`, and the list is this thread's.
unsafe fn remove(pair: *mut Pair) {
    // SAFETY: (1).
    let next = unsafe { Pair::back(pair).cast::<*mut u8>().read_unaligned() };
    // SAFETY: (1).
    let prev = unsafe { before(Pair::front(pair)).read_unaligned() };
    // SAFETY: the neighbours of a pair on this thread's list are nodes of it or its head.
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
/// Where there is no /proc, 0.
fn pid_namespace() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata("/proc/self/ns/pid") {
        Ok(meta) => Ok(meta.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
