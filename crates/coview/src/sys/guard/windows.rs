//! In-page errors: a vectored exception handler that knows our copies, and leaves everything else to others.

use std::io;
use std::ops::Range;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use windows_sys::Win32::System::Diagnostics::Debug::AddVectoredExceptionHandler;

/// A mapped range that is guarded, or needs not be.
#[derive(Debug)]
pub(crate) struct Guard {
    guarded: bool,
    lost: AtomicUsize,
}

impl Guard {
    pub(crate) fn none() -> Guard {
        Guard { guarded: false, lost: AtomicUsize::new(usize::MAX) }
    }

    /// The first one installs the handler.
    pub(crate) fn over(_range: Range<usize>, _writable: bool) -> io::Result<Guard> {
        static INSTALLED: Once = Once::new();
        // SAFETY: the handler is a function of this program and keeps to what one may do; before all others, since it only
        // answers for our own copies. It fails without memory, and then faults are what they were.
        INSTALLED.call_once(|| _ = unsafe { AddVectoredExceptionHandler(1, Some(copying::on_exception)) });
        Ok(Guard { guarded: true, ..Guard::none() })
    }

    /// Nobody else knows of it.
    pub(crate) fn end(&self) {}

    #[inline]
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Copies out of the range.
    ///
    /// # Safety
    /// 1. `from` is readable for `to.len()` bytes of the range, and stays mapped during the call.
    #[inline]
    pub(crate) unsafe fn copy_out(&self, from: *const u8, to: &mut [u8]) -> bool {
        if !self.guarded {
            // SAFETY: (1); the target is an exclusive slice of this process, so they do not overlap; bytes have no invalid values.
            unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
            return true;
        }
        // SAFETY: (1) and (2): as above.
        let left = unsafe { copying::copy(from, to.as_mut_ptr(), to.len(), from.addr()) };
        self.note(from.addr() + (to.len() - left), left)
    }

    /// Copies into the range.
    ///
    /// # Safety
    /// 1. `to` is writable for `from.len()` bytes of the range, and stays mapped during the call.
    /// 2. `from` is memory of this process alone.
    #[inline]
    pub(crate) unsafe fn copy_in(&self, from: &[u8], to: *mut u8) -> bool {
        if !self.guarded {
            // SAFETY: (1), and (2) keeps the two apart.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
            return true;
        }
        // SAFETY: (1) and (2): as above.
        let left = unsafe { copying::copy(from.as_ptr(), to, from.len(), to.addr()) };
        self.note(to.addr() + (from.len() - left), left)
    }

    /// Marks what a copy did not reach; no address before that is touched by it.
    fn note(&self, reached: usize, left: usize) -> bool {
        if left > 0 {
            self.lost.fetch_min(reached, Ordering::Relaxed);
        }
        self.lost() >= reached.saturating_add(left)
    }
}

/// Whether what stands at an address is still there: who waits on Windows does so in the kernel's objects.
#[inline]
pub(crate) fn check<T>(_at: &T) -> io::Result<()> {
    Ok(())
}

/// As above.
#[inline]
pub(crate) fn has_lost() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
mod copying {
    use windows_sys::Win32::Foundation::{EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR};
    use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_POINTERS;

    /// In a register while a copy runs, so that no other instruction is taken for it.
    const MARK: u64 = 0x636f_7669_6577_4755;
    const CONTINUE_EXECUTION: i32 = -1;
    const CONTINUE_SEARCH: i32 = 0;

    /// Copies; how many bytes it did not come to because the shared side, which begins at `shared`, could not be had.
    ///
    /// # Safety
    /// 1. `from` is mapped for `len` bytes and `to` mapped writable, but for what has vanished since.
    /// 2. They do not overlap.
    pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize, shared: usize) -> usize {
        let left;
        // SAFETY: (1), (2): copies `len` bytes upwards (the direction flag is clear, by the calling convention). At a fault the
        // registers say how far it came (Intel SDM, REP), and `on_exception` goes on behind it.
        unsafe {
            std::arch::asm!(
                "lea r8, [rip + 2f]",
                "lea r9, [rip + 3f]",
                "2: rep movsb",
                "3:",
                inout("rcx") len => left,
                inout("rsi") from => _,
                inout("rdi") to => _,
                in("rax") MARK,
                in("r10") shared,
                in("r11") shared + len,
                out("r8") _,
                out("r9") _,
                options(nostack, preserves_flags),
            );
        }
        left
    }

    /// Lets a copy of ours end where its shared side could not be had; says nothing about anything else.
    pub(super) unsafe extern "system" fn on_exception(pointers: *mut EXCEPTION_POINTERS) -> i32 {
        // SAFETY: the system gives both structures, whole, for the length of the call (PVECTORED_EXCEPTION_HANDLER).
        let pointers = unsafe { &*pointers };
        // SAFETY: as above.
        let record = unsafe { &*pointers.ExceptionRecord };
        // SAFETY: as above; nobody else has it meanwhile.
        let context = unsafe { &mut *pointers.ContextRecord };
        // Wine says the latter of a file that somebody outside has shortened.
        let is_fault = [EXCEPTION_IN_PAGE_ERROR, EXCEPTION_ACCESS_VIOLATION].contains(&record.ExceptionCode);
        let shared = context.R10 as usize..context.R11 as usize;
        let is_ours = context.Rip == context.R8 && context.Rax == MARK;
        if !is_fault || !is_ours || !shared.contains(&record.ExceptionInformation[1]) {
            return CONTINUE_SEARCH;
        }
        context.Rip = context.R9;
        CONTINUE_EXECUTION
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod copying {
    use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_POINTERS;

    /// Copies all of it: here a fault is what it always was.
    ///
    /// # Safety
    /// 1. `from` is mapped for `len` bytes and `to` mapped writable.
    /// 2. They do not overlap.
    pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize, _shared: usize) -> usize {
        // SAFETY: (1) and (2).
        unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
        0
    }

    /// Has nothing to say.
    pub(super) unsafe extern "system" fn on_exception(_pointers: *mut EXCEPTION_POINTERS) -> i32 {
        0
    }
}
