//! Boost.Interprocess: its mutex, semaphore and message queue, through the C functions of `boost.cpp`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::io;

use super::lock::Lock;
use crate::Result;
use crate::link::Link;
use crate::subject::unique;

unsafe extern "C" {
    fn bench_boost_version() -> *const c_char;
    fn bench_boost_mutex() -> *mut c_void;
    fn bench_boost_lock(mutex: *mut c_void);
    fn bench_boost_unlock(mutex: *mut c_void);
    fn bench_boost_semaphore() -> *mut c_void;
    fn bench_boost_post(semaphore: *mut c_void);
    fn bench_boost_wait(semaphore: *mut c_void);
    fn bench_boost_queue(name: *const c_char, depth: usize, size: usize) -> *mut c_void;
    fn bench_boost_send(queue: *mut c_void, message: *const c_void, size: usize);
    fn bench_boost_receive(queue: *mut c_void, message: *mut c_void, size: usize, wait: bool) -> usize;
}

pub(crate) fn version() -> String {
    // SAFETY: it has no preconditions.
    let version = unsafe { bench_boost_version() };
    // SAFETY: a literal of `boost.cpp`.
    format!("Boost {}", unsafe { CStr::from_ptr(version) }.to_string_lossy().replace('_', "."))
}

fn made(pointer: *mut c_void) -> Result<*mut c_void> {
    if pointer.is_null() { Err(io::Error::last_os_error().into()) } else { Ok(pointer) }
}

/// `interprocess_mutex`. Who dies with it keeps it for ever.
#[derive(Clone, Copy)]
pub(crate) struct Mutex(*mut c_void);

// SAFETY: a mutex between processes may be used by any thread.
unsafe impl Sync for Mutex {}

impl Mutex {
    pub(crate) fn new() -> Result<Mutex> {
        // SAFETY: it has no preconditions.
        Ok(Mutex(made(unsafe { bench_boost_mutex() })?))
    }
}

impl Lock for Mutex {
    fn hold(&self, inside: impl FnOnce()) {
        // SAFETY: `new` made it, and it is never unmade.
        unsafe { bench_boost_lock(self.0) };
        inside();
        // SAFETY: as above, and this thread has locked it.
        unsafe { bench_boost_unlock(self.0) };
    }
}

/// `interprocess_semaphore`.
#[derive(Clone)]
pub(crate) struct Semaphore(*mut c_void);

impl Semaphore {
    pub(crate) fn new() -> Result<Semaphore> {
        // SAFETY: it has no preconditions.
        Ok(Semaphore(made(unsafe { bench_boost_semaphore() })?))
    }
}

impl Link<0> for Semaphore {
    fn sender(self) -> Result<impl FnMut(&[u64; 0]) + 'static> {
        // SAFETY: `new` made it, and it is never unmade.
        Ok(move |_: &[u64; 0]| unsafe { bench_boost_post(self.0) })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; 0] + 'static> {
        Ok(move || {
            // SAFETY: `new` made it, and it is never unmade.
            unsafe { bench_boost_wait(self.0) };
            []
        })
    }
}

/// `message_queue`.
#[derive(Clone)]
pub(crate) struct Queue<const N: usize> {
    queue: *mut c_void,
    polling: bool,
}

impl<const N: usize> Queue<N> {
    /// `polling`: its receiver never sleeps.
    pub(crate) fn new(polling: bool) -> Result<Self> {
        let name = CString::new(unique("queue"))?;
        // SAFETY: the name ends with NUL.
        let queue = made(unsafe { bench_boost_queue(name.as_ptr(), 64, N * 8) })?;
        Ok(Queue { queue, polling })
    }
}

impl<const N: usize> Link<N> for Queue<N> {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        // SAFETY: `new` made the queue, for messages of so many bytes; it is never unmade.
        Ok(move |message: &[u64; N]| unsafe { bench_boost_send(self.queue, message.as_ptr().cast(), N * 8) })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        Ok(move || {
            let mut message = [0; N];
            let mut take = || {
                let target = message.as_mut_ptr().cast();
                // SAFETY: as in `sender`; there is room for so many bytes.
                unsafe { bench_boost_receive(self.queue, target, N * 8, !self.polling) }
            };
            let mut got = take();
            while got == 0 {
                got = take();
            }
            assert_eq!(got, N * 8, "a message of another length came");
            message
        })
    }
}
