//! Text that crosses the border: UTF-8 (A calls), and wide characters of 16 or 32 bits (W calls, as the compiler was told).

use std::ffi::{CStr, c_char};

/// A NUL-terminated text of the caller's, or null.
#[derive(Clone, Copy)]
pub(super) enum Text {
    Narrow(*const c_char),
    Wide16(*const u16),
    Wide32(*const u32),
}

/// Room of the caller's for a text.
#[derive(Clone, Copy)]
pub(super) enum Room {
    Narrow(*mut c_char),
    Wide16(*mut u16),
    Wide32(*mut u32),
}

/// The longest text that is looked at, in characters: Win32 counts them in 16 bits.
const LONGEST: usize = 1 << 16;

/// # Safety
/// 1. `text` is null, or readable up to its NUL.
unsafe fn units<T: Copy + Default + PartialEq>(text: *const T) -> Vec<T> {
    let mut units = Vec::new();
    for at in 0..LONGEST {
        // SAFETY: (1), since no NUL came before.
        let unit = unsafe { text.wrapping_add(at).read() };
        if unit == T::default() {
            break;
        }
        units.push(unit);
    }
    units
}

impl Text {
    /// What it says; `None` for null. Bytes that are not UTF-8 count as Latin-1, wide characters that are none as U+FFFD.
    ///
    /// # Safety
    /// 1. It is null, or readable up to its NUL.
    pub(super) unsafe fn read(self) -> Option<String> {
        match self {
            Text::Narrow(text) if text.is_null() => None,
            Text::Narrow(text) => {
                // SAFETY: (1).
                let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
                Some(of_bytes(bytes))
            }
            Text::Wide16(text) if text.is_null() => None,
            // SAFETY: (1).
            Text::Wide16(text) => Some(String::from_utf16_lossy(&unsafe { units(text) })),
            Text::Wide32(text) if text.is_null() => None,
            Text::Wide32(text) => {
                // SAFETY: (1).
                let units = unsafe { units(text) };
                Some(units.into_iter().map(|unit| char::from_u32(unit).unwrap_or('\u{fffd}')).collect())
            }
        }
    }

    pub(super) fn is_narrow(self) -> bool {
        matches!(self, Text::Narrow(_))
    }

    /// The text that begins `units` further on.
    pub(super) fn skip(self, units: usize) -> Text {
        match self {
            Text::Narrow(text) => Text::Narrow(text.wrapping_add(units)),
            Text::Wide16(text) => Text::Wide16(text.wrapping_add(units)),
            Text::Wide32(text) => Text::Wide32(text.wrapping_add(units)),
        }
    }

    /// Its length in the caller's characters, after [`read`](Text::read) found it.
    pub(super) fn len_of(self, text: &str) -> usize {
        match self {
            Text::Narrow(_) => text.len(),
            Text::Wide16(_) => text.encode_utf16().count(),
            Text::Wide32(_) => text.chars().count(),
        }
    }
}

pub(super) fn of_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

impl Room {
    /// The text as it would be written, with its NUL: bytes, and how many characters.
    fn encode(self, text: &str) -> (Vec<u8>, usize, usize) {
        let with_nul = || text.chars().chain(std::iter::once('\0'));
        match self {
            Room::Narrow(_) => ([text.as_bytes(), b"\0"].concat(), text.len() + 1, 1),
            Room::Wide16(_) => {
                let units: Vec<u16> = with_nul().collect::<String>().encode_utf16().collect();
                (units.iter().flat_map(|unit| unit.to_ne_bytes()).collect(), units.len(), 2)
            }
            Room::Wide32(_) => {
                let units: Vec<u32> = with_nul().map(u32::from).collect();
                (units.iter().flat_map(|unit| unit.to_ne_bytes()).collect(), units.len(), 4)
            }
        }
    }

    /// The characters that `text` needs, with its NUL.
    pub(super) fn needs(self, text: &str) -> usize {
        self.encode(text).1
    }

    /// The bytes that `text` needs, with its NUL.
    pub(super) fn bytes(self, text: &str) -> usize {
        self.encode(text).0.len()
    }

    pub(super) fn pointer(self) -> *mut u8 {
        match self {
            Room::Narrow(room) => room.cast(),
            Room::Wide16(room) => room.cast(),
            Room::Wide32(room) => room.cast(),
        }
    }

    /// The same kind of room elsewhere.
    pub(super) fn at(self, place: *mut u8) -> Room {
        match self {
            Room::Narrow(_) => Room::Narrow(place.cast()),
            Room::Wide16(_) => Room::Wide16(place.cast()),
            Room::Wide32(_) => Room::Wide32(place.cast()),
        }
    }

    /// Writes `text` and its NUL if they fit into `capacity` characters; how many it is without the NUL.
    ///
    /// # Safety
    /// 1. There is room for `capacity` characters.
    pub(super) unsafe fn write(self, text: &str, capacity: usize) -> Option<usize> {
        let (bytes, len, _) = self.encode(text);
        if self.pointer().is_null() || len > capacity {
            return None;
        }
        // SAFETY: (1), and `len` characters are no more.
        unsafe { self.pointer().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(len - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_says_the_same() {
        let said = "Größe 😀";
        let wide16: Vec<u16> = said.encode_utf16().chain([0]).collect();
        let wide32: Vec<u32> = said.chars().map(u32::from).chain([0]).collect();
        let narrow = std::ffi::CString::new(said).unwrap();
        for text in [Text::Narrow(narrow.as_ptr()), Text::Wide16(wide16.as_ptr()), Text::Wide32(wide32.as_ptr())] {
            // SAFETY: all three end in a NUL.
            assert_eq!(unsafe { text.read() }.as_deref(), Some(said));
        }
        let mut room = [9_u32; 16];
        let place = Room::Wide32(room.as_mut_ptr());
        // SAFETY: there are 16 characters.
        assert_eq!(unsafe { place.write(said, 16) }, Some(7));
        assert_eq!(&room[..8], &wide32[..]);
        // SAFETY: as above.
        assert_eq!(unsafe { place.write(said, 7) }, None);
    }

    #[test]
    fn null_and_nonsense_are_told_apart() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { Text::Wide16(std::ptr::null()).read() }, None);
        // SAFETY: it ends in a NUL.
        assert_eq!(unsafe { Text::Wide32([0xd800, 0].as_ptr()).read() }.as_deref(), Some("\u{fffd}"));
        assert_eq!(of_bytes(b"\xe4"), "ä");
    }
}
