//! `SIGBUS`: a handler that knows our ranges, and passes on what is not about them.

use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags};

use super::slots_linux::{NEVER, Slot};
use super::vanished;

/// A mapped range that is guarded, or needs not be.
pub(crate) struct Guard(&'static Slot);

/// What was there before us, to be called for what is not ours.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());
/// Whether any range of this process has ever lost bytes: until then nobody looks further.
static LOST: AtomicBool = AtomicBool::new(false);
/// Bytes of a page. The handler does not ask the C library.
static PAGE: AtomicUsize = AtomicUsize::new(0);

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("lost", &self.lost()).finish()
    }
}

impl Guard {
    pub(crate) fn none() -> Guard {
        Guard(&NEVER)
    }

    /// The first one installs the handler.
    pub(crate) fn over(range: Range<usize>, writable: bool) -> io::Result<Guard> {
        // Acquire: pairs with the Release in `install`.
        if PREVIOUS.load(Ordering::Acquire).is_null() {
            install()?;
        }
        Ok(Guard(Slot::hold(range, writable)))
    }

    /// To be called once, before the range is unmapped.
    pub(crate) fn end(&self) {
        if !std::ptr::eq(self.0, &NEVER) {
            self.0.release();
        }
    }

    #[inline]
    pub(crate) fn lost(&self) -> usize {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Whether nothing before `end` was lost by the accesses before this call.
    #[inline]
    fn kept(&self, end: usize) -> bool {
        // Acquire: pairs with the Release in `absorb`, also of another thread's: who was shown its zeros sees the mark.
        fence(Ordering::Acquire);
        self.lost() >= end
    }

    /// Copies out of the range.
    ///
    /// # Safety
    /// 1. `from` is readable for `to.len()` bytes of the range, and stays mapped during the call.
    #[inline]
    pub(crate) unsafe fn copy_out(&self, from: *const u8, to: &mut [u8]) -> bool {
        // SAFETY: (1); the target is an exclusive slice of this process, so they do not overlap; bytes have no invalid values.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        self.kept(from.addr() + to.len())
    }

    /// Copies into the range.
    ///
    /// # Safety
    /// 1. `to` is writable for `from.len()` bytes of the range, and stays mapped during the call.
    /// 2. `from` is memory of this process alone.
    #[inline]
    pub(crate) unsafe fn copy_in(&self, from: &[u8], to: *mut u8) -> bool {
        // SAFETY: (1), and (2) keeps the two apart.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        self.kept(to.addr() + from.len())
    }
}

/// Whether what stands at an address is still there, as far as anybody has noticed. `Err`: it has vanished.
#[inline]
pub(crate) fn check<T>(at: &T) -> io::Result<()> {
    match has_lost() {
        false => Ok(()),
        true => search(std::ptr::from_ref(at).addr()),
    }
}

/// Whether anything at all has vanished in this process.
#[inline]
pub(crate) fn has_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

#[cold]
fn search(address: usize) -> io::Result<()> {
    let lost = |slot: &Slot| slot.covers(address).is_some() && slot.lost.load(Ordering::Relaxed) <= address;
    if Slot::all().any(lost) { Err(vanished().into()) } else { Ok(()) }
}

/// No lock and no `Once`: a fork in the middle of it must not keep the child from its own views, and a handler that is
/// installed twice is the same handler.
#[cold]
fn install() -> io::Result<()> {
    PAGE.store(rustix::param::page_size(), Ordering::Relaxed);
    let before = action(None)?;
    // SAFETY: for SA_SIGINFO the field holds the address of a function with these three arguments (sigaction(2)).
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
    let mut ours = before;
    ours.sa_sigaction = handler as *const () as usize;
    // What the one before has blocked stays so when it is called from here; and a thread that has a stack for signals may
    // have no room on its own.
    ours.sa_flags = (before.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART)) | libc::SA_SIGINFO | libc::SA_ONSTACK;
    if before.sa_sigaction == ours.sa_sigaction {
        return Ok(());
    }
    let kept = Box::into_raw(Box::new(before));
    // Release: pairs with the Acquires in `over` and `pass_on`. Before the handler can run.
    if PREVIOUS.compare_exchange(null_mut(), kept, Ordering::Release, Ordering::Relaxed).is_err() {
        // SAFETY: it came from a box just now, and nobody else has seen it: another thread installs the same.
        drop(unsafe { Box::from_raw(kept) });
    }
    action(Some(&ours)).map(drop)
}

/// Sets what is done on `SIGBUS`, or only asks; what it was.
fn action(new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the new one is null or whole, and there is room for the old one (sigaction(2)). What is installed here keeps to
    // what a handler may do.
    match unsafe { libc::sigaction(libc::SIGBUS, new, before.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has filled it.
        0 => Ok(unsafe { before.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Only system calls and atomics from here on: the thread may have been interrupted anywhere.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel, or whoever calls us as the handler before it, gives a whole siginfo_t.
    let told = unsafe { &*info };
    let code = told.si_code;
    // SAFETY: for the codes of faults there is an address (sigaction(2)); for others the number is not used.
    let address = unsafe { told.si_addr() };
    // Not for a memory module that failed, BUS_MCEERR_AR: that is no truncation.
    if code == libc::BUS_ADRERR && absorb(address.addr()) {
        return;
    }
    pass_on(signal, code, info, context);
}

/// Lays zeros over what was touched, if it lies in a guarded range: from its page to the end, so that there is one fault and not
/// one for each page. `false`: it is not ours, or the kernel lets us not.
///
/// Async-signal-safe: for those too who have a handler of their own.
pub(crate) fn absorb(address: usize) -> bool {
    let Some((slot, (range, writable))) = Slot::all().find_map(|slot| Some((slot, slot.covers(address)?))) else {
        return false;
    };
    let size = PAGE.load(Ordering::Relaxed);
    let page = address & !(size - 1);
    // Where so many zeros cannot be promised, the page alone.
    let ways = [page..range.end, page..page + size];
    ways.into_iter().any(|way| {
        // Release: pairs with the Acquire in `kept`. The mark is there before the zeros are.
        slot.lost.fetch_min(way.start, Ordering::Release);
        LOST.store(true, Ordering::Relaxed);
        zero(way, writable)
    })
}

/// Replaces a range by zeros of this process's own.
fn zero(range: Range<usize>, writable: bool) -> bool {
    let access = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    let start = with_exposed_provenance_mut(range.start);
    // SAFETY: the range lies in one that is mapped by a view or an object and is not unmapped meanwhile, as this thread is
    // inside an access to it. What stood there is gone already. A bare system call, which leaves `errno` as it is.
    unsafe { rustix::mm::mmap_anonymous(start, range.len(), access, flags) }.is_ok()
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, code: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // Acquire: pairs with the Release in `install`.
    let previous = PREVIOUS.load(Ordering::Acquire);
    // SAFETY: it was published whole, before the handler was installed, and is never freed.
    let Some(previous) = (unsafe { previous.as_ref() }) else {
        return by_default(signal);
    };
    let handler = previous.sa_sigaction;
    match handler {
        // What the kernel raises is not ignored, whatever was said.
        libc::SIG_IGN if code <= 0 => return,
        libc::SIG_IGN | libc::SIG_DFL => return by_default(signal),
        _ => {}
    }
    if previous.sa_flags & libc::SA_RESETHAND != 0 {
        reset();
    }
    if previous.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with that flag the field holds such a function (sigaction(2)).
        let handler =
            unsafe { std::mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: without it, such a one.
        let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
        handler(signal);
    }
}

/// Dies of it, as soon as the handler returns and the signal is no longer blocked.
fn by_default(signal: c_int) {
    reset();
    // SAFETY: sends a signal to this thread; async-signal-safe (signal-safety(7)).
    unsafe { libc::raise(signal) };
}

fn reset() {
    // SAFETY: all zeros are a whole sigaction: the default, no flags, nothing blocked.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    let _ = action(Some(&default));
}
