//! What functions answer, the text of the last failure, and the wall that panics do not pass.

// Most statuses come from `ErrorKind`, and are only named in the header.
#![allow(dead_code)]
// Where threads have no storage of their own by the linker, clippy does not see that LAST is made by a constant.
#![allow(clippy::missing_const_for_thread_local)]

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use coview::Error;

/// What a function came to: `COVIEW_OK`, an error (1 to 99) or one of the answers from 100 on.
pub type coview_status = i32;

/// Done.
pub const COVIEW_OK: coview_status = 0;
/// No live object has the name.
pub const COVIEW_NOT_FOUND: coview_status = 1;
/// A live object has the name already; or the end of a channel is taken.
pub const COVIEW_ALREADY_EXISTS: coview_status = 2;
/// The access list, the protection or the operating system forbids it.
pub const COVIEW_ACCESS_DENIED: coview_status = 3;
/// The name belongs to an object of another kind.
pub const COVIEW_WRONG_KIND: coview_status = 4;
/// The time allowed is over.
pub const COVIEW_TIMED_OUT: coview_status = 5;
/// The name breaks a rule.
pub const COVIEW_INVALID_NAME: coview_status = 6;
/// An argument or an option makes no sense: NULL, a number that means nothing, a loan that is none.
pub const COVIEW_INVALID_INPUT: coview_status = 7;
/// An offset or a length lies outside the object.
pub const COVIEW_OUT_OF_RANGE: coview_status = 8;
/// The memory, space or address range cannot be had.
pub const COVIEW_OUT_OF_MEMORY: coview_status = 9;
/// The bytes behind the object were truncated, moved or removed.
pub const COVIEW_VANISHED: coview_status = 10;
/// What another process left in shared memory is not what its format promises.
pub const COVIEW_CORRUPT: coview_status = 11;
/// This system or this kind of object cannot do it.
pub const COVIEW_UNSUPPORTED: coview_status = 12;
/// Any other refusal by the operating system.
pub const COVIEW_OS: coview_status = 13;
/// A process at the other end of a channel died; told once for each death.
pub const COVIEW_PEER_DIED: coview_status = 14;
/// The object holds values of another layout than was asked for; the text names the first difference.
pub const COVIEW_WRONG_LAYOUT: coview_status = 15;
/// Answer: not now, and waiting was not allowed (a timeout of 0).
pub const COVIEW_WOULD_BLOCK: coview_status = 100;
/// Answer: the mutex is yours, but its last owner died with it: check what it guards.
pub const COVIEW_ABANDONED: coview_status = 101;
/// Answer: there is no room for it; nothing was changed.
pub const COVIEW_FULL: coview_status = 102;
/// Answer: there is nothing (more): no value yet, no further window.
pub const COVIEW_NONE: coview_status = 103;
/// A bug in coview, which went no further; please report its text.
pub const COVIEW_BUG: coview_status = 104;

/// As a timeout: for as long as it takes. 0 looks and does not wait; anything else is milliseconds.
pub const COVIEW_FOREVER: u32 = u32::MAX;

/// Names of the statuses from 0 on, and from 100 on.
const ERRORS: [&CStr; 16] = [
    c"ok",
    c"not found",
    c"already exists",
    c"access denied",
    c"wrong kind",
    c"timed out",
    c"invalid name",
    c"invalid input",
    c"out of range",
    c"out of memory",
    c"vanished",
    c"corrupt",
    c"unsupported",
    c"refused by the system",
    c"peer died",
    c"wrong layout",
];
const ANSWERS: [&CStr; 5] = [c"would block", c"abandoned", c"full", c"none", c"a bug in coview"];

/// Why a function did not do what it was to do.
pub(super) struct Failure {
    status: coview_status,
    text: Cow<'static, str>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        // Kinds are numbered by hand and there are few of them.
        Failure { status: error.kind().code() as coview_status, text: error.to_string().into() }
    }
}

/// The C program is wrong.
pub(super) fn misuse(text: impl Into<Cow<'static, str>>) -> Failure {
    Failure { status: COVIEW_INVALID_INPUT, text: text.into() }
}

/// What was to go somewhere has no room there.
pub(super) fn out_of_range(text: String) -> Failure {
    Failure { status: COVIEW_OUT_OF_RANGE, text: text.into() }
}

/// A normal answer that is not "done".
pub(super) fn answer(status: coview_status, text: &'static str) -> Failure {
    Failure { status, text: text.into() }
}

/// What was waited for has not come.
pub(super) fn not_yet(timeout_ms: u32) -> Failure {
    match timeout_ms {
        0 => answer(COVIEW_WOULD_BLOCK, "not now, and waiting was not allowed"),
        _ => answer(COVIEW_TIMED_OUT, "the time allowed is over"),
    }
}

/// `None`: for ever.
pub(super) fn timeout(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms != COVIEW_FOREVER).then(|| Duration::from_millis(timeout_ms.into()))
}

/// Of what may be asked again and again: until it is there, or the time is over.
pub(super) fn wait<T>(
    timeout_ms: u32,
    mut once: impl FnMut(Duration) -> coview::Result<Option<T>>,
) -> Result<T, Failure> {
    loop {
        if let Some(found) = once(timeout(timeout_ms).unwrap_or(Duration::from_secs(3600)))? {
            return Ok(found);
        }
        if timeout_ms != COVIEW_FOREVER {
            return Err(not_yet(timeout_ms));
        }
    }
}

thread_local! {
    static LAST: RefCell<Cow<'static, CStr>> = const { RefCell::new(Cow::Borrowed(c"")) };
}

fn remember(text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // A thread that ends has no last error any more; a destructor of its own may still call us.
    let _ = LAST.try_with(|last| last.replace(text.into()));
}

/// Runs the body of a function. Whatever happens in it, C gets a status.
pub(super) fn enter(body: impl FnOnce() -> Result<(), Failure>) -> coview_status {
    // What a panic leaves half done is not used again, or is memory that other processes write at any time anyway.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => COVIEW_OK,
        Ok(Err(failure)) => {
            remember(&failure.text);
            failure.status
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            remember(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic"));
            COVIEW_BUG
        }
    }
}

/// As [`enter`], of a function that cannot fail: what it gives, or `otherwise` after a panic.
pub(super) fn quiet<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// The text of this thread's last call that did not give `COVIEW_OK`: what was refused, to whom, and what to do next. "" if
/// there was none. Good until this thread's next such call; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_last_error() -> *const c_char {
    quiet(c"".as_ptr(), || LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr()))
}

/// A status in words: "not found". Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_status_name(status: coview_status) -> *const c_char {
    let find = |names: &'static [&'static CStr], from: i32| names.get(usize::try_from(status.checked_sub(from)?).ok()?);
    let name = find(&ERRORS, 0).or_else(|| find(&ANSWERS, COVIEW_WOULD_BLOCK));
    name.unwrap_or(&c"an unknown status").as_ptr()
}

/// The version of the library that runs: "0.1.0". `COVIEW_VERSION` is that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn coview_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: the text ends with NUL and is good until the next failure.
        unsafe { CStr::from_ptr(coview_last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(enter(|| panic!("number {}", 5)), COVIEW_BUG);
        assert_eq!(last(), "number 5");
        assert_eq!(quiet(7, || panic!("again")), 7);
    }

    #[test]
    fn each_thread_has_its_own_last_error() {
        enter(|| Err(misuse("here")));
        std::thread::spawn(|| assert_eq!(last(), "")).join().unwrap();
        enter(|| Ok(()));
        assert_eq!(last(), "here");
        enter(|| Err(misuse("a\0b")));
        assert_eq!(last(), "a b");
    }

    #[test]
    fn statuses_are_the_numbers_of_the_kinds() {
        use coview::ErrorKind;
        let kinds = [
            (ErrorKind::NotFound, COVIEW_NOT_FOUND),
            (ErrorKind::AlreadyExists, COVIEW_ALREADY_EXISTS),
            (ErrorKind::AccessDenied, COVIEW_ACCESS_DENIED),
            (ErrorKind::WrongKind, COVIEW_WRONG_KIND),
            (ErrorKind::TimedOut, COVIEW_TIMED_OUT),
            (ErrorKind::InvalidName, COVIEW_INVALID_NAME),
            (ErrorKind::InvalidInput, COVIEW_INVALID_INPUT),
            (ErrorKind::OutOfRange, COVIEW_OUT_OF_RANGE),
            (ErrorKind::OutOfMemory, COVIEW_OUT_OF_MEMORY),
            (ErrorKind::Vanished, COVIEW_VANISHED),
            (ErrorKind::Corrupt, COVIEW_CORRUPT),
            (ErrorKind::Unsupported, COVIEW_UNSUPPORTED),
            (ErrorKind::Os, COVIEW_OS),
            (ErrorKind::PeerDied, COVIEW_PEER_DIED),
            (ErrorKind::WrongLayout, COVIEW_WRONG_LAYOUT),
        ];
        for (kind, status) in kinds {
            assert_eq!(kind.code() as coview_status, status, "{kind:?}");
        }
        assert_eq!(kinds.len() + 1, ERRORS.len());
    }

    #[test]
    fn every_status_has_a_name() {
        // SAFETY: a constant that ends with NUL.
        let name = |status| unsafe { CStr::from_ptr(coview_status_name(status)) };
        assert_eq!(name(COVIEW_OK), c"ok");
        assert_eq!(name(COVIEW_WRONG_LAYOUT), c"wrong layout");
        assert_eq!(name(COVIEW_BUG), c"a bug in coview");
        for unknown in [i32::MIN, -1, 16, 99, 105, i32::MAX] {
            assert_eq!(name(unknown), c"an unknown status");
        }
    }
}
