//! Watching on Linux: one `futex_waitv` sleeps on many words, and an eventfd tells who sleeps in `epoll_wait`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::task::{Wake, Waker};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::helper::{Alarm, Helpers, Targets};
use crate::primitive::{AtomicU32, Ordering};
use crate::sys::lock::{Pending, me};
use crate::sys::object::Object;
use crate::sys::wait;

/// As many words as one thread can sleep on, less its bell.
pub(super) const PLACES: usize = wait::WORDS_MAX - 1;
/// The longest sleep where the kernel does not order the stores of others.
const UNFENCED: Duration = Duration::from_millis(1);

/// A futex word and what stands there as long as there is nothing to tell.
///
/// It must be the word of a robust lock or the futex half of a commit word: the kernel may be told of it, so that it
/// passes a wake-up on if the helper is killed with it, and whoever changes it wakes all who should look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    word: *const AtomicU32,
    expected: u32,
    /// A word that says whether the first was changed and changed back. Nobody is woken by it.
    count: Option<(*const AtomicU32, u32)>,
    /// Whoever changes the word may not have seen that somebody sleeps.
    unfenced: bool,
}

// SAFETY: the word is shared between processes and touched atomically alone; that it is mapped is in `Alarm::arm`.
unsafe impl Send for Target {}

impl Target {
    pub(super) fn new(word: &AtomicU32, expected: u32) -> Target {
        Target { word, expected, count: None, unfenced: false }
    }

    /// Whoever changes `word` changes `count` in the same step. The kernel takes this one to sleep behind the other: so it has not been
    /// changed and changed back before we slept on it.
    pub(super) fn counted(self, count: Option<&AtomicU32>, value: u32) -> Target {
        Target { count: count.map(|count| (std::ptr::from_ref(count), value)), ..self }
    }

    /// Is looked at every millisecond.
    pub(super) fn unfenced(self, unfenced: bool) -> Target {
        Target { unfenced, ..self }
    }

    /// How many words it is.
    pub(super) fn places(&self) -> usize {
        1 + usize::from(self.count.is_some())
    }

    /// # Safety
    /// 1. The alarm that it is the target of has not been disarmed.
    unsafe fn word<'a>(&self) -> &'a AtomicU32 {
        // SAFETY: (1), so by the contract of `Alarm::arm` it is mapped.
        unsafe { &*self.word }
    }

    /// What is slept on, and what stands there until then.
    ///
    /// # Safety
    /// As [`Target::word`].
    unsafe fn words<'a>(&self) -> impl Iterator<Item = (&'a AtomicU32, u32)> + use<'a> {
        // SAFETY: (1) of both.
        let first = (unsafe { self.word() }, self.expected);
        // SAFETY: as in `word`.
        std::iter::once(first).chain(self.count.map(|(count, value)| (unsafe { &*count }, value)))
    }

    /// Whether something else stands there; then everybody is woken who sleeps on it: the one who should have woken
    /// them may have died after the first, and that may have been us.
    ///
    /// # Safety
    /// As [`Target::word`].
    unsafe fn has_changed(&self) -> bool {
        // SAFETY: (1) of both.
        let word = unsafe { self.word() };
        // SAFETY: (1) of both.
        let changed = unsafe { self.words() }.any(|(word, expected)| word.load(Ordering::SeqCst) != expected);
        if changed {
            wait::wake(word, u32::MAX >> 1);
        }
        changed
    }
}

/// What wakes a helper to look at its list again.
#[derive(Debug)]
pub(super) struct Bell(AtomicU32);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        Ok(Bell(AtomicU32::new(0)))
    }

    pub(super) fn ring(&self) {
        self.0.store(1, Ordering::Release);
        wait::wake(&self.0, 1);
    }

    pub(super) fn hush(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A helper has slept. Until this is settled its first word stays named to the kernel.
pub(super) struct Slept {
    pending: Option<Pending>,
    failed: bool,
}

/// Sleeps until the bell rings or a word changes, or for the time of the back-stop.
pub(super) fn sleep(bell: &Bell, targets: &Targets) -> Slept {
    let mut words = vec![(&bell.0, 0)];
    // SAFETY: who disarms an alarm that we sleep on waits for the end of this sleep.
    words.extend(targets.iter().flat_map(|(_, target)| unsafe { target.words() }));
    // There is room for one name; the wake-ups of the others come with the back-stop, should this process be killed
    // together with the one that was to wake all.
    let pending = words.get(1).and_then(|(word, _)| Some(me().ok()?.pending_on(word)));
    let unfenced = targets.iter().any(|(_, target)| target.unfenced);
    let slept = wait::sleep(&words, if unfenced { UNFENCED } else { Duration::MAX });
    if slept.is_err() {
        // A word that the kernel does not like, and it does not say which: all look for themselves, at their leisure.
        std::thread::sleep(Duration::from_millis(1));
    }
    Slept { pending, failed: slept.is_err() }
}

impl Slept {
    /// Whether the one whose target this is should look.
    pub(super) fn tells(&mut self, _id: u64, target: &Target) -> bool {
        // SAFETY: it stands on the list of the armed, whose lock we have.
        self.failed || target.unfenced || unsafe { target.has_changed() }
    }

    pub(super) fn settle(self) {
        drop(self.pending);
    }
}

/// Starts a thread with all signals blocked but those that its own faults raise: they are for threads of the program.
pub(super) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: fills the set.
    unsafe { libc::sigfillset(blocked.as_mut_ptr()) };
    for signal in [libc::SIGBUS, libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS] {
        // SAFETY: the set is filled.
        unsafe { libc::sigdelset(blocked.as_mut_ptr(), signal) };
    }
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: reads the set, which is filled, and writes to the other.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr()) };
    let started = start();
    // SAFETY: reads the set that the call above has written; nothing is asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started
}

/// The helpers of this process. Null in a fork child, which has no thread of its parent's and perhaps their lock.
static HELPERS: AtomicPtr<Helpers> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn in_child() {
    HELPERS.store(std::ptr::null_mut(), Ordering::Relaxed);
}

/// Made once a process and never freed.
pub(super) fn helpers() -> &'static Helpers {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    let mut found = HELPERS.load(Ordering::Acquire); // pairs with the exchange below
    if found.is_null() {
        // Before anything is published. No `Once`: a fork in the middle of it would block the child for ever, while
        // a handler that is registered twice does the same twice.
        if !REGISTERED.load(Ordering::Relaxed) {
            // SAFETY: the handler is an extern "C" function that only stores to an atomic, which is allowed after fork.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
            REGISTERED.store(true, Ordering::Relaxed);
        }
        let new = Box::into_raw(Box::new(Helpers::new()));
        // Release: pairs with the load above, and with the Acquire here if somebody else was first.
        found = match HELPERS.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: it came from a box just now, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        };
    }
    // SAFETY: whoever published it made it of a box that is never freed.
    unsafe { &*found }
}

/// An event or a semaphore that somebody wants to have without sleeping.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Before the object, so that it is disarmed before the object can go.
    alarm: Alarm,
    object: Arc<Object>,
}

impl Watch {
    pub(crate) fn new(object: Arc<Object>) -> io::Result<Watch> {
        Ok(Watch { alarm: Alarm::new(), object })
    }

    /// Takes it if it can be had now.
    pub(crate) fn take(&self) -> io::Result<bool> {
        self.object.take(Some(Duration::ZERO)).map(|taken| taken.is_some())
    }

    /// Takes it if it can be had now; if not, `waker` is woken once when it may be.
    pub(crate) fn poll_take(&self, waker: &Waker) -> io::Result<bool> {
        loop {
            if self.take()? {
                return Ok(true);
            }
            // The same step that sees nothing marks that somebody sleeps: what comes later changes the word.
            if let Some((word, expected)) = self.object.expect() {
                // SAFETY: the word is mapped while the object lives, which the alarm does not outlive.
                unsafe { self.alarm.arm(Target::new(word, expected), waker) }?;
                return Ok(false);
            }
        }
    }
}

/// A descriptor that is readable from a wake-up on until it is hushed.
#[derive(Debug)]
pub(crate) struct Ready {
    fd: OwnedFd,
    home: &'static Helpers,
}

impl Ready {
    /// Readable to begin with.
    pub(crate) fn new() -> io::Result<Ready> {
        Ok(Ready { fd: eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?, home: helpers() })
    }

    pub(crate) fn hush(&self) {
        // It fails only if it is not readable.
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }

    /// Whether it was made before a fork: then it is the parent's as well, who would miss what we take from it.
    pub(crate) fn is_inherited(&self) -> bool {
        !std::ptr::eq(self.home, helpers())
    }
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only if nobody has read for 2^64 wake-ups, and then it is readable.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
