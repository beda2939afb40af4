//! What may be written as the name of an object, and which name of the library's it is.

use super::error::{Code, Outcome};
use super::text::Text;

/// MAX_PATH: the A calls take names that are shorter.
const MAX_PATH: usize = 260;
/// The longest counted string of the kernel, in UTF-16 code units.
const LONGEST: usize = 32767;

/// The library's name for what a creator wrote; `None`: an object without a name.
///
/// # Safety
/// 1. `text` is null, or readable up to its NUL.
pub(super) unsafe fn to_create(text: Text) -> Outcome<Option<String>> {
    // SAFETY: (1).
    match unsafe { text.read() } {
        None => Ok(None),
        Some(name) if name.is_empty() => Ok(None),
        Some(name) => resolve(&name, text.is_narrow()).map(Some),
    }
}

/// The library's name for what somebody who opens wrote.
///
/// # Safety
/// 1. `text` is null, or readable up to its NUL.
pub(super) unsafe fn to_open(text: Text) -> Outcome<String> {
    // SAFETY: (1).
    let name = unsafe { text.read() }.ok_or(Code::INVALID_PARAMETER)?;
    match name.is_empty() {
        true => Err(Code::INVALID_HANDLE), // the directory of names itself
        false => resolve(&name, text.is_narrow()),
    }
}

fn resolve(written: &str, narrow: bool) -> Outcome<String> {
    let len = written.encode_utf16().count();
    if len > if narrow { MAX_PATH - 1 } else { LONGEST } {
        return Err(Code::FILENAME_EXCED_RANGE);
    }
    if written.starts_with('\\') {
        return Err(Code::BAD_PATHNAME);
    }
    // The words are links in the directory of names, so by themselves they are objects of another kind.
    if matches!(written, "Local" | "Global" | "Session") {
        return Err(Code::INVALID_HANDLE);
    }
    let (global, rest) = match written.split_once('\\') {
        None => (false, written),
        Some((word @ ("Local" | "Global" | "Session"), rest)) => match (word, rest.split_once('\\')) {
            (_, None) if rest.is_empty() => return Err(Code::INVALID_NAME),
            ("Session", Some(("1", rest))) => (false, rest),
            ("Session", _) => return Err(Code::PATH_NOT_FOUND),
            _ => (word == "Global", rest),
        },
        Some((_, "")) => (false, written),
        Some(_) => return Err(Code::PATH_NOT_FOUND),
    };
    let rest = rest.strip_suffix('\\').unwrap_or(rest);
    match rest {
        "" => Err(Code::INVALID_NAME),
        _ if rest.contains('\\') => Err(Code::PATH_NOT_FOUND),
        _ => Ok(format!(r"{}\{}", if global { "Global" } else { "Local" }, shorten(rest))),
    }
}

/// W calls take longer names than the library does: of those the head stays, and the whole stands as a number behind it.
fn shorten(name: &str) -> String {
    if name.encode_utf16().count() <= coview::Name::MAX_LEN {
        return name.to_owned();
    }
    // FNV-1a, 128 bits (RFC 9923).
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    let hash = name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
    let head: String = name.chars().take(100).collect();
    format!("{head}…{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Result<String, u32> {
        resolve(name, false).map_err(|code| code.0)
    }

    #[test]
    fn the_table_of_names() {
        for same in ["x", r"Local\x", r"Session\1\x", r"x\", r"Local\x\"] {
            assert_eq!(of(same).as_deref(), Ok(r"Local\x"), "{same}");
        }
        assert_eq!(of(r"Global\x").as_deref(), Ok(r"Global\x"));
        assert_eq!(of("posix:/x").as_deref(), Ok(r"Local\posix:/x"));
        for (name, code) in [
            (r"local\x", 3),
            (r"GLOBAL\x", 3),
            (r"foo\x", 3),
            (r"Local\foo\x", 3),
            (r"Session\7\x", 3),
            (r"\x", 161),
            (r"\", 161),
            (r"Local\", 123),
            (r"Global\", 123),
            ("Local", 6),
            ("Global", 6),
            ("Session", 6),
        ] {
            assert_eq!(of(name), Err(code), "{name}");
        }
    }

    #[test]
    fn lengths() {
        assert!(resolve(&"x".repeat(259), true).is_ok());
        assert_eq!(resolve(&"x".repeat(260), true), Err(Code::FILENAME_EXCED_RANGE));
        let (long, other) = ("x".repeat(32767), "x".repeat(32766) + "y");
        assert_ne!(of(&long), of(&other));
        assert!(coview::Name::MAX_LEN >= of(&long).unwrap().len() - r"Local\".len());
        assert_eq!(of(&("x".repeat(32768))), Err(206));
    }
}
