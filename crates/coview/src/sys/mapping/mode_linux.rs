//! Who may open an object, as the mode bits of its file.

use std::io;

use super::Share;
use crate::sys::Refusal;

/// The mode bits that `share` stands for.
pub(crate) fn mode_of(share: &Share) -> io::Result<u32> {
    match share {
        Share::Owner => Ok(0o600),
        Share::Group => Ok(0o660),
        Share::Everyone => Ok(0o666),
        Share::Mode(mode) if mode & !0o666 == 0 => Ok(mode | 0o600),
        Share::Mode(mode) => Err(Refusal::Invalid(format!(
            "mode {mode:o} has bits that mean nothing for memory; use read and write bits, such as 0640"
        ))
        .into()),
        Share::Sddl(text) => mode_of_sddl(text),
    }
}

/// A discretionary list of plain allow entries for the owner, its group and everyone, as a mode.
fn mode_of_sddl(text: &str) -> io::Result<u32> {
    let refuse = |why: &str| -> io::Error {
        Refusal::Unsupported(format!(
            "the security descriptor {text:?} {why}; Linux takes D:(A;;GA;;;WD) and the like: entries that allow (A) \
             GA, GR, GW or GRGW to OW, CO, CG, WD, AU, BU, SY or BA"
        ))
        .into()
    };
    let list = text.strip_prefix("D:").ok_or_else(|| refuse("does not begin with D:"))?;
    let list = list.trim_start_matches(|c: char| c.is_ascii_uppercase()); // flags such as P
    let mut mode = 0o600;
    for entry in list.split_inclusive(')') {
        let entry = entry
            .strip_prefix('(')
            .and_then(|e| e.strip_suffix(')'))
            .ok_or_else(|| refuse("has no list of entries"))?;
        let fields: Vec<&str> = entry.split(';').collect();
        let ["A", _, rights, "", "", who] = fields[..] else {
            return Err(refuse("has an entry of another sort"));
        };
        let bits = match rights {
            "GA" | "GRGW" | "GWGR" => 0o6,
            "GR" => 0o4,
            "GW" => 0o2,
            _ => return Err(refuse("gives rights that a mode cannot say")),
        };
        mode |= match who {
            "WD" | "AU" | "BU" => bits << 3 | bits,
            "CG" => bits << 3,
            "OW" | "CO" | "SY" | "BA" => 0,
            _ => return Err(refuse("names somebody whom a mode cannot name")),
        };
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_descriptors() {
        assert_eq!(mode_of(&Share::Owner).unwrap(), 0o600);
        assert_eq!(mode_of(&Share::Mode(0o640)).unwrap(), 0o640);
        assert!(mode_of(&Share::Mode(0o755)).is_err());
        for (text, mode) in [
            ("D:P(A;;GA;;;OW)", 0o600),
            ("D:(A;;GA;;;WD)", 0o666),
            ("D:(A;;GA;;;OW)(A;;GR;;;AU)", 0o644),
            ("D:P(A;;GRGW;;;CG)", 0o660),
        ] {
            assert_eq!(mode_of(&Share::Sddl(text.into())).unwrap(), mode, "{text}");
        }
        for text in ["", "O:BA", "D:(D;;GA;;;WD)", "D:(A;;GX;;;WD)", "D:(A;;GA;;;S-1-5-7)", "D:(A;;GA;;;WD", "D:x"] {
            assert!(mode_of(&Share::Sddl(text.into())).is_err(), "{text}");
        }
    }
}
