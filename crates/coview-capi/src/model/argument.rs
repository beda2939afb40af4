//! Arguments from C: text, buffers, results and options, each checked where it comes in.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;

use coview::{Access, Share};

use super::status::{Failure, misuse};

/// Text from C. Only a C program makes one.
#[repr(transparent)]
pub struct Text(*const c_char);

/// Bytes that C gives us to read. Only a C program makes one.
#[repr(transparent)]
pub struct Source(*const c_void);

/// Bytes that C gives us to write. Only a C program makes one.
#[repr(transparent)]
pub struct Target(*mut c_void);

impl Text {
    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn get(&self, what: &str) -> Result<&str, Failure> {
        if self.0.is_null() {
            return Err(misuse(format!("{what} is NULL")));
        }
        // SAFETY: (1): it ends with NUL and stays as it is during the call, which `self` does not outlive.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map_err(|_| misuse(format!("{what} is not UTF-8")))
    }
}

impl Source {
    pub(super) fn get(&self, len: usize) -> Result<&[u8], Failure> {
        check(self.0, len)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: (1): they are `len` bytes that stay as they are during the call; not NULL, and an object's length.
        Ok(unsafe { std::slice::from_raw_parts(self.0.cast(), len) })
    }
}

impl Target {
    pub(super) fn get(&mut self, len: usize) -> Result<&mut [u8], Failure> {
        check(self.0, len)?;
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: (1): they are `len` bytes that nobody else touches during the call; bytes may be anything, and those that were
        // never written are only written here.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.cast(), len) })
    }

    /// Text with its NUL, cut if it does not fit, as `snprintf` does; its whole length without the NUL.
    pub(super) fn put_text(&mut self, size: usize, text: &str) -> Result<usize, Failure> {
        if size > 0 {
            let room = self.get(size)?;
            let mut end = text.len().min(size - 1);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            room[..end].copy_from_slice(&text.as_bytes()[..end]);
            room[end] = 0;
        }
        Ok(text.len())
    }
}

fn check<T>(at: *const T, len: usize) -> Result<(), Failure> {
    if at.is_null() && len > 0 {
        return Err(misuse(format!("NULL where {len} bytes were to be")));
    }
    if len > isize::MAX as usize {
        return Err(misuse(format!("{len} bytes are more than an object can have: a negative length?")));
    }
    Ok(())
}

/// Where a result goes.
pub(super) type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// A handle that goes out: NULL until there is one.
pub(super) type OutHandle<'a, T> = Out<'a, Option<Box<T>>>;

/// Hands out what `make` makes; NULL if it fails.
pub(super) fn make<T>(out: OutHandle<'_, T>, make: impl FnOnce() -> Result<T, Failure>) -> Result<(), Failure> {
    let out = out.ok_or_else(|| misuse("NULL where the handle was to go"))?;
    out.write(None);
    out.write(Some(Box::new(make()?)));
    Ok(())
}

/// A result that is not wanted may go nowhere.
pub(super) fn put<T>(out: Out<'_, T>, value: T) {
    if let Some(out) = out {
        out.write(value);
    }
}

/// A handle that came in.
pub(super) fn given<T>(handle: Option<T>) -> Result<T, Failure> {
    handle.ok_or_else(|| misuse("NULL where a handle was to be"))
}

/// A struct of options: it begins with its size, and zeros mean what is usual.
///
/// # Safety
/// Zeros are one, so are all numbers in its place, and its first field is a `usize`.
pub(super) unsafe trait Options: Sized {}

/// The options at an address, or what is usual if that is NULL. A program that was built with an older header has fewer of
/// them; with a newer one more, which must then be zero.
///
/// # Safety
/// (1), and the struct has as many bytes as it says.
pub(super) unsafe fn options<T: Options>(from: *const T) -> Result<T, Failure> {
    let mut options = MaybeUninit::<T>::zeroed();
    if !from.is_null() {
        // SAFETY: it begins with its size.
        let size = unsafe { from.cast::<usize>().read() };
        let known = size_of::<T>();
        if size < size_of::<usize>() || size > 4096 {
            return Err(misuse(format!("options of {size} bytes: set struct_size to their sizeof first")));
        }
        // SAFETY: it has that many bytes, and so has what they are copied to.
        unsafe { options.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from.cast(), size.min(known)) };
        let more = from.cast::<u8>().wrapping_add(known);
        // SAFETY: inside its size.
        let more = unsafe { std::slice::from_raw_parts(more, size.saturating_sub(known)) };
        if more.iter().any(|byte| *byte != 0) {
            return Err(misuse("options that this version of the library does not know: update it"));
        }
    }
    // SAFETY: all bytes are written, and any are one.
    Ok(unsafe { options.assume_init() })
}

/// Refuses bits that mean nothing here.
pub(super) fn flags(given: u32, known: u32) -> Result<(), Failure> {
    match given & !known {
        0 => Ok(()),
        unknown => Err(misuse(format!("the flags {unknown:#x} mean nothing here"))),
    }
}

/// What a handle or a view does with the memory: one of the three below.
pub type coview_access = u32;
/// Reads and writes it.
pub const COVIEW_READ_WRITE: coview_access = 0;
/// Reads it.
pub const COVIEW_READ: coview_access = 1;
/// Reads it, and writes to a private copy of each page it touches.
pub const COVIEW_COPY_ON_WRITE: coview_access = 2;

pub(super) fn access(access: coview_access) -> Result<Access, Failure> {
    match access {
        COVIEW_READ_WRITE => Ok(Access::ReadWrite),
        COVIEW_READ => Ok(Access::Read),
        COVIEW_COPY_ON_WRITE => Ok(Access::CopyOnWrite),
        other => Err(misuse(format!("{other} is no access"))),
    }
}

/// Its creator may open it.
pub const COVIEW_SHARE_OWNER: u32 = 0;
/// Also the creator's primary group.
pub const COVIEW_SHARE_GROUP: u32 = 1;
/// All users.
pub const COVIEW_SHARE_EVERYONE: u32 = 2;
/// Whom the bits in `mode` allow, as `chmod` has them: 0640.
pub const COVIEW_SHARE_MODE: u32 = 3;
/// Whom the security descriptor in `sddl` allows, in Windows' text form; Linux takes those that say no more than a mode can.
pub const COVIEW_SHARE_SDDL: u32 = 4;

/// Who may open a named object. Zeros: its creator alone. A `Local\` name is reached by one user only, whatever this says.
#[repr(C)]
pub struct coview_share {
    /// One of `COVIEW_SHARE_...`.
    pub who: u32,
    /// Of `COVIEW_SHARE_MODE`.
    pub mode: u32,
    /// Of `COVIEW_SHARE_SDDL`.
    pub sddl: Text,
}

impl coview_share {
    pub(super) fn get(&self) -> Result<Share, Failure> {
        match self.who {
            COVIEW_SHARE_OWNER => Ok(Share::Owner),
            COVIEW_SHARE_GROUP => Ok(Share::Group),
            COVIEW_SHARE_EVERYONE => Ok(Share::Everyone),
            COVIEW_SHARE_MODE => Ok(Share::Mode(self.mode)),
            COVIEW_SHARE_SDDL => Ok(Share::Sddl(self.sddl.get("share.sddl")?.to_owned())),
            other => Err(misuse(format!("{other} says nothing about whom to share with"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Newer {
        known: Known,
        more: u32,
    }

    #[derive(Debug)]
    #[repr(C)]
    struct Known {
        struct_size: usize,
        first: u32,
        second: u32,
    }

    // SAFETY: numbers.
    unsafe impl Options for Known {}

    fn ask(newer: &Newer) -> Result<(u32, u32), String> {
        // SAFETY: it has at least the bytes that the tests say.
        let known = unsafe { options::<Known>(std::ptr::from_ref(newer).cast()) };
        known.map(|known| (known.first, known.second)).map_err(|_| "refused".to_owned())
    }

    #[test]
    fn options_of_other_versions() {
        let with = |struct_size, more| Newer { known: Known { struct_size, first: 1, second: 2 }, more };
        assert_eq!(ask(&with(16, 9)), Ok((1, 2)));
        assert_eq!(ask(&with(12, 9)), Ok((1, 0))); // an older program
        assert_eq!(ask(&with(20, 0)), Ok((1, 2))); // a newer one that asks for nothing new
        for (size, more) in [(20, 9), (0, 0), (7, 0), (4097, 0), (usize::MAX, 0)] {
            assert!(ask(&with(size, more)).is_err(), "{size}");
        }
    }

    #[test]
    fn text_is_cut_where_a_character_ends() {
        let mut room = [b'x'; 8];
        let mut put = |size| Target(room.as_mut_ptr().cast()).put_text(size, "aé").ok().unwrap();
        assert_eq!((put(0), put(3)), (3, 3));
        assert_eq!(&room[..3], b"a\0x");
        assert_eq!(Target(room.as_mut_ptr().cast()).put_text(8, "aé").ok(), Some(3));
        assert_eq!(&room[..4], "aé\0".as_bytes());
    }
}
