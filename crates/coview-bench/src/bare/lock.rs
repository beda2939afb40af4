//! Locks over words in shared memory: by hand, and the C library's.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::futex;

use super::memory::shared;

/// Something that one at a time has.
pub(crate) trait Lock: 'static {
    /// Takes it, does what is to be done inside, and gives it back.
    fn hold(&self, inside: impl FnOnce());
}

/// Waits by spinning.
#[derive(Default)]
pub(crate) struct Spin(AtomicU32);

impl Lock for &'static Spin {
    fn hold(&self, inside: impl FnOnce()) {
        // Acquire: pairs with the Release below.
        while self.0.swap(1, Ordering::Acquire) != 0 {
            while self.0.load(Ordering::Relaxed) != 0 {
                std::hint::spin_loop();
            }
        }
        inside();
        self.0.store(0, Ordering::Release);
    }
}

/// 0 free, 1 taken, 2 taken and somebody may sleep: the textbook's futex lock. Who dies with it keeps it for ever.
#[derive(Default)]
pub(crate) struct Futex(AtomicU32);

impl Lock for &'static Futex {
    fn hold(&self, inside: impl FnOnce()) {
        // Acquire, twice: pairs with the Release below.
        if self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.0.swap(2, Ordering::Acquire) != 0 {
                // Changed meanwhile, or a signal: look again.
                let _ = futex::wait(&self.0, futex::Flags::empty(), 2, None);
            }
        }
        inside();
        if self.0.swap(0, Ordering::Release) == 2 {
            futex::wake(&self.0, futex::Flags::empty(), 1).expect("FUTEX_WAKE");
        }
    }
}

/// The C library's mutex between processes.
pub(crate) struct Pthread(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is only touched by the pthread functions, which any thread may call on a shared mutex.
unsafe impl Sync for Pthread {}

impl Pthread {
    /// `robust`: when its owner dies, the next is told.
    pub(crate) fn new(robust: bool) -> io::Result<&'static Pthread> {
        let place = shared(Pthread(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER)))?;
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: room for what it initialises.
        check(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: initialised above.
        check(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        if robust {
            // SAFETY: initialised above.
            check(unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) })?;
        }
        // SAFETY: nobody uses the mutex yet, and it stays at this place until the process ends.
        check(unsafe { libc::pthread_mutex_init(place.0.get(), attributes) })?;
        Ok(place)
    }
}

fn check(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

impl Lock for &'static Pthread {
    fn hold(&self, inside: impl FnOnce()) {
        // SAFETY: `new` initialised it where it is.
        let code = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        assert_eq!(code, 0, "pthread_mutex_lock");
        inside();
        // SAFETY: as above, and this thread has locked it.
        let code = unsafe { libc::pthread_mutex_unlock(self.0.get()) };
        assert_eq!(code, 0, "pthread_mutex_unlock");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(lock: impl Lock + Sync) {
        let count = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        lock.hold(|| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 40_000);
    }

    #[test]
    fn one_at_a_time() {
        excludes(shared(Spin::default()).unwrap());
        excludes(shared(Futex::default()).unwrap());
        excludes(Pthread::new(false).unwrap());
        excludes(Pthread::new(true).unwrap());
        #[cfg(feature = "boost")]
        excludes(crate::bare::boost::Mutex::new().unwrap());
    }
}
