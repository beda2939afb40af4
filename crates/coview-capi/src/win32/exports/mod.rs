//! The symbols behind the headers: `coview_win32_` and Win32's name, so that nothing clashes with other libraries of that name.
//!
//! A call with text is exported three times: `…A`, and `…W16` and `…W32` for the two widths of `wchar_t`; the header picks one.
//! Contract of all: pointers are as the documentation of the Win32 call says, or null where it allows that.

mod files;
mod processes;
mod sharing;
mod system;

use std::ffi::c_char;

use super::text::{Room, Text};

/// How a call spells its text.
trait Spelling {
    /// One character.
    type Unit;
    fn text(text: *const Self::Unit) -> Text;
    fn room(room: *mut Self::Unit) -> Room;
}

type Char<S> = <S as Spelling>::Unit;

struct Narrow;
struct Wide16;
struct Wide32;

impl Spelling for Narrow {
    type Unit = c_char;
    fn text(text: *const c_char) -> Text {
        Text::Narrow(text)
    }
    fn room(room: *mut c_char) -> Room {
        Room::Narrow(room)
    }
}

impl Spelling for Wide16 {
    type Unit = u16;
    fn text(text: *const u16) -> Text {
        Text::Wide16(text)
    }
    fn room(room: *mut u16) -> Room {
        Room::Wide16(room)
    }
}

impl Spelling for Wide32 {
    type Unit = u32;
    fn text(text: *const u32) -> Text {
        Text::Wide32(text)
    }
    fn room(room: *mut u32) -> Room {
        Room::Wide32(room)
    }
}

/// Exports a function that is generic over the spelling `S` under its three names.
macro_rules! spelled {
    ($($inner:ident($($arg:ident: $ty:ty),*) -> $ret:ty: $a:literal $w16:literal $w32:literal;)*) => { $(
        const _: () = {
            type S = super::Narrow;
            #[unsafe(export_name = $a)]
            unsafe extern "C" fn exported($($arg: $ty),*) -> $ret {
                // SAFETY: the contract is the same.
                unsafe { $inner::<S>($($arg),*) }
            }
        };
        const _: () = {
            type S = super::Wide16;
            #[unsafe(export_name = $w16)]
            unsafe extern "C" fn exported($($arg: $ty),*) -> $ret {
                // SAFETY: the contract is the same.
                unsafe { $inner::<S>($($arg),*) }
            }
        };
        const _: () = {
            type S = super::Wide32;
            #[unsafe(export_name = $w32)]
            unsafe extern "C" fn exported($($arg: $ty),*) -> $ret {
                // SAFETY: the contract is the same.
                unsafe { $inner::<S>($($arg),*) }
            }
        };
    )* };
}
use spelled;

/// Writes a result to where the caller wants it, if he wants it.
///
/// # Safety
/// 1. `to` is null or writable.
unsafe fn store<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: (1).
        unsafe { to.write(value) };
    }
}
