//! This thread as the kernel sees it: its number, and the list of locks that are marked when it dies.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::Refusal;

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
    head: *mut Head,
    forks: u32,
}

thread_local! {
    static ME: Cell<Option<Me>> = const { Cell::new(None) };
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
    let usable = rc == 0 && len == size_of::<Head>() && !head.is_null() && {
        // SAFETY: the kernel gave the address that this thread's C library registered; it lives as long as the thread.
        let offset = unsafe { (*head).futex_offset };
        // The lock word stands before the node, within a mutex.
        (-64..0).contains(&offset)
    };
    if !usable {
        let why = "this C library registers no robust list, so the death of a lock's owner would go unnoticed";
        return Err(Refusal::Unsupported(why.into()).into());
    }
    let me = Me {
        tid: rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned(),
        head,
        forks: FORKS.load(Ordering::Relaxed),
    };
    ME.set(Some(me));
    Ok(me)
}

impl Me {
    /// The thread's number, in the owner bits of a lock word.
    pub(crate) fn tid(self) -> u32 {
        self.tid
    }

    /// The list node that belongs to a lock word: the kernel finds the word from the node by a fixed distance.
    pub(crate) fn node_of(self, word: *const AtomicU32) -> *mut u8 {
        // SAFETY: the head lives as long as this thread, which runs here.
        let offset = unsafe { (*self.head).futex_offset };
        word.cast::<u8>().cast_mut().wrapping_offset(-offset)
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

    /// Puts a node on the list of locks this thread owns. Nodes point to the `next` of their neighbours, and
    /// `prev` stands eight bytes before: so the C library's own locks on the same list have it.
    ///
    /// # Safety
    /// 1. `node` is writable from 8 bytes before to 8 bytes behind, and on no list.
    /// 2. It stays mapped until `unlink`.
    pub(crate) unsafe fn link(self, node: *mut u8) {
        let head = self.head.cast::<u8>();
        // SAFETY: the head belongs to this thread.
        let first = unsafe { (*self.head).first };
        // SAFETY: (1).
        unsafe { node.cast::<*mut u8>().write_unaligned(first) };
        // SAFETY: (1).
        unsafe { before(node).write_unaligned(head) };
        // SAFETY: `first` is a node on this thread's list or the head itself, before which the C library keeps a
        // pointer for this purpose. Low bits mark priority inheritance and are no part of the address.
        unsafe { before(first.map_addr(|a| a & !1)).write_unaligned(node) };
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        // SAFETY: the head belongs to this thread. Its first field, and last of all, so that
        // the list is whole at any moment.
        unsafe { self.head.cast::<*mut u8>().write_volatile(node) };
    }

    /// Takes a node off the list.
    ///
    /// # Safety
    /// 1. This thread has `link`ed it and not unlinked it since.
    pub(crate) unsafe fn unlink(self, node: *mut u8) {
        // SAFETY: (1).
        let next = unsafe { node.cast::<*mut u8>().read_unaligned() };
        // SAFETY: (1).
        let prev = unsafe { before(node).read_unaligned() };
        // SAFETY: the neighbours of a node on this thread's list are nodes of it or its head.
        unsafe { before(next.map_addr(|a| a & !1)).write_unaligned(prev) };
        // SAFETY: as above.
        unsafe { prev.map_addr(|a| a & !1).cast::<*mut u8>().write_unaligned(next) };
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
}

fn before(node: *mut u8) -> *mut *mut u8 {
    node.wrapping_sub(size_of::<*mut u8>()).cast()
}

/// Which PID namespace this process is in. Thread numbers mean something only there.
pub(crate) fn pid_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    static INODE: OnceLock<u64> = OnceLock::new();
    *INODE.get_or_init(|| std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino()))
}
