//! Texts of errors, the terminal, time.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::error::{Code, Outcome};
use super::text::Room;

/// Writes `text` as the Get… calls do: the characters written, or how many are needed if they do not fit.
///
/// # Safety
/// 1. There is room for `capacity` characters, or it is null.
pub(super) unsafe fn fill(room: Room, text: &str, capacity: u32) -> Outcome<u32> {
    // SAFETY: (1).
    let len = unsafe { room.write(text, capacity as usize) };
    Ok(len.unwrap_or_else(|| room.needs(text)) as u32)
}

const ALLOCATE_BUFFER: u32 = 0x100;
const FROM_SYSTEM: u32 = 0x1000;
const ONE_LINE: u32 = 0xff;

/// FormatMessage of a system error; how many characters it wrote.
///
/// # Safety
/// 1. With ALLOCATE_BUFFER `room` leads to a pointer; else there is room for `capacity` characters.
pub(super) unsafe fn format_message(room: Room, flags: u32, code: Code, capacity: u32) -> Outcome<u32> {
    if flags & FROM_SYSTEM == 0 {
        return Err(Code::CALL_NOT_IMPLEMENTED);
    }
    if room.pointer().is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    let text = code.text().ok_or(Code::MR_MID_NOT_FOUND)?;
    let text = format!("{text}{}", if flags & ONE_LINE == ONE_LINE { " " } else { "\r\n" });
    if flags & ALLOCATE_BUFFER == 0 {
        // SAFETY: (1).
        let len = unsafe { room.write(&text, capacity as usize) };
        return len.map(|len| len as u32).ok_or(Code::INSUFFICIENT_BUFFER);
    }
    // SAFETY: malloc takes any size.
    let block = unsafe { libc::malloc(room.bytes(&text).max(capacity as usize)) }.cast::<u8>();
    if block.is_null() {
        return Err(Code::NOT_ENOUGH_MEMORY);
    }
    // SAFETY: the block has all the bytes that the text needs.
    let len = unsafe { room.at(block).write(&text, room.needs(&text)) };
    // SAFETY: (1).
    unsafe { room.pointer().cast::<*mut u8>().write_unaligned(block) };
    Ok(len.unwrap_or(0) as u32)
}

/// Has what C wrote before come first.
fn flush_c() {
    // SAFETY: with null it flushes all of the process's streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Shows a message on the terminal; the answer is the button that agrees.
pub(super) fn message_box(text: &str, caption: &str, kind: u32) -> Outcome<i32> {
    flush_c();
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "[{caption}] {text}");
    let _ = out.flush();
    Ok(match kind & 15 {
        2 => 5,     // abort, retry, ignore: IDIGNORE
        3 | 4 => 6, // yes, no: IDYES
        5 => 2,     // retry, cancel: IDCANCEL
        _ => 1,     // IDOK
    })
}

pub(super) fn sleep(milliseconds: u32) {
    match milliseconds {
        0 => thread::yield_now(),
        u32::MAX => loop {
            thread::sleep(Duration::MAX);
        },
        _ => thread::sleep(Duration::from_millis(milliseconds.into())),
    }
}

/// Since some moment in the past, without the time that the machine slept.
pub(super) fn nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

pub(super) fn pause() -> i32 {
    flush_c();
    print!("Press any key to continue . . . ");
    let _ = std::io::stdout().flush();
    key(false);
    println!();
    0
}

pub(super) fn clear() -> i32 {
    flush_c();
    print!("\x1b[2J\x1b[H");
    let _ = std::io::stdout().flush();
    0
}

/// A terminal that gives each key at once; put back when dropped. `None`: standard input is none.
struct Raw(libc::termios);

impl Raw {
    fn enter(echo: bool) -> Option<Raw> {
        let mut old = std::mem::MaybeUninit::uninit();
        // SAFETY: it writes one termios, if it succeeds.
        if unsafe { libc::tcgetattr(0, old.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: it succeeded.
        let old = unsafe { old.assume_init() };
        let mut raw = old;
        raw.c_lflag &= !(libc::ICANON | libc::ECHO);
        raw.c_lflag |= if echo { libc::ECHO } else { 0 };
        // SAFETY: it reads one termios.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const raw) };
        Some(Raw(old))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: it reads one termios.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const self.0) };
    }
}

/// The next key, or byte of standard input; −1 at its end.
pub(super) fn key(echo: bool) -> i32 {
    flush_c();
    let _raw = Raw::enter(echo);
    let mut byte = 0_u8;
    // SAFETY: there is room for one byte.
    match unsafe { libc::read(0, (&raw mut byte).cast(), 1) } {
        1 => byte.into(),
        _ => -1,
    }
}

pub(super) fn has_key() -> i32 {
    let _raw = Raw::enter(false);
    let mut input = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: it reads and writes one pollfd.
    i32::from(unsafe { libc::poll(&raw mut input, 1, 0) } == 1)
}
