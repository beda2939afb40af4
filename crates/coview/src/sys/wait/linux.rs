//! Futexes that processes share.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec, WaitFlags, WaitPtr, WaitvFlags};
use rustix::thread::{MembarrierCommand, membarrier};
use rustix::time::{ClockId, clock_gettime};

use crate::primitive::{AtomicU32, AtomicU64};
use crate::step::back_stop;
use crate::sys::guard;

/// The longest sleep. No protocol here needs it with one death at a time; two at once can strand a waiter
/// (`docs/design.md`), and this is how long.
pub(crate) const BACK_STOP: Duration = back_stop(Duration::from_secs(1));
/// The most words that can be slept on at once (FUTEX_WAITV_MAX).
pub(crate) const WORDS_MAX: usize = 128;

/// Sleeps while every word is what is expected, for `left` at most.
pub(crate) fn sleep(words: &[(&AtomicU32, u32)], left: Duration) -> io::Result<()> {
    // Zeros that took the place of a word change for nobody.
    words.iter().try_for_each(|(word, _)| guard::check(*word))?;
    let left = left.min(BACK_STOP);
    let slept = match words {
        [] => {
            std::thread::sleep(left);
            Ok(())
        }
        [(word, expected)] => futex::wait(word, Flags::empty(), *expected, Some(&timespec(left))),
        several => sleep_on_several(several, left),
    };
    match slept {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
        Err(Errno::FAULT) => Err(guard::vanished().into()),
        Err(error) => Err(error.into()),
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

/// FUTEX_WAITV, whose timeout is a point in time. Before Linux 5.16 there is none: then a slice of a
/// millisecond on the first word, which is polling and is said so in `docs/platforms.md`.
fn sleep_on_several(words: &[(&AtomicU32, u32)], left: Duration) -> rustix::io::Result<()> {
    let mut waits = [futex::Wait::new(); WORDS_MAX];
    for (wait, (word, expected)) in waits.iter_mut().zip(words) {
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(word.as_ptr().cast());
        wait.flags = WaitFlags::SIZE_U32;
    }
    let now = clock_gettime(ClockId::Monotonic);
    let until = now.checked_add(timespec(left)).unwrap_or(now);
    match futex::waitv(&waits[..words.len()], WaitvFlags::empty(), Some(&until), ClockId::Monotonic) {
        Ok(_) => Ok(()),
        Err(Errno::NOSYS) => {
            let (word, expected) = words[0];
            futex::wait(word, Flags::empty(), expected, Some(&timespec(left.min(Duration::from_millis(1)))))
        }
        Err(error) => Err(error),
    }
}

/// Wakes up to `count` who sleep on the word.
pub(crate) fn wake(word: &AtomicU32, count: u32) {
    // It fails only for addresses that are not mapped, and a reference is.
    let _ = futex::wake(word, Flags::empty(), count);
}

/// Whether this process has to order what it does itself.
static ALONE: AtomicBool = AtomicBool::new(true);

/// Asks the kernel that this process take part in the [`heavy_fence`] of others (Linux 4.16). Where it cannot, its own
/// [`light_fence`] is a whole one.
pub(crate) fn join_fences() {
    if ALONE.load(Ordering::Relaxed) {
        let joined = membarrier(MembarrierCommand::RegisterGlobalExpedited);
        ALONE.store(joined.is_err(), Ordering::Relaxed);
    }
}

/// Stands between a store and a load of what another process stores before its [`heavy_fence`] and loads behind it: at least
/// one of the two sees the other's store.
#[inline]
pub(crate) fn light_fence() {
    match ALONE.load(Ordering::Relaxed) {
        true => fence(Ordering::SeqCst),
        false => compiler_fence(Ordering::SeqCst),
    }
}

/// As [`light_fence`], and makes those of all others whole. `false`: the kernel does not.
pub(crate) fn heavy_fence() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

/// Where the sleepers of a commit word are: the half of it that is a futex.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a>(&'a AtomicU32);

impl<'a> Spot<'a> {
    /// Whether `wake_all` wakes all by itself.
    pub(crate) const WAKES_ALL: bool = true;

    /// The later half of the word, as numbers are written here; `id` is for systems without futexes between processes.
    pub(crate) fn of(word: &'a AtomicU64, _id: &'a AtomicU64) -> Spot<'a> {
        let half = if cfg!(target_endian = "little") { 1 } else { 0 };
        let at = word.as_ptr().cast::<u32>().wrapping_add(half);
        // SAFETY: it lies inside the atomic, which lives for 'a, is aligned for it, and is only touched atomically.
        Spot(unsafe { AtomicU32::from_ptr(at) })
    }

    /// The futex.
    pub(crate) fn word(self) -> &'a AtomicU32 {
        self.0
    }

    /// The other half, where the state stands: whoever changes it while a sleeper lies down keeps it awake, also if the futex is
    /// marked again meanwhile.
    pub(crate) fn state(self) -> Option<&'a AtomicU32> {
        let half = if cfg!(target_endian = "little") { -1 } else { 1 };
        // SAFETY: as in `of`, of the same atomic.
        Some(unsafe { AtomicU32::from_ptr(self.0.as_ptr().wrapping_offset(half)) })
    }

    /// Nothing needs to be there before somebody can be woken.
    pub(crate) fn prepare(self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn sleep(self, expected: u32, left: Duration) -> io::Result<()> {
        sleep(&[(self.0, expected)], left)
    }

    pub(crate) fn wake_all(self) {
        wake(self.0, u32::MAX >> 1);
    }
}
