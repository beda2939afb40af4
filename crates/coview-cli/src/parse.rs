//! Sizes, protections and access lists as they are written on the command line.

use coview::{Protection, Share};

/// Bytes: `2048`, `2KiB`, `3MB`, `0x1000`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map_err(|e| e.to_string());
    }
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (base, power) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => (1, 0),
        "k" | "kib" => (1024, 1),
        "m" | "mib" => (1024, 2),
        "g" | "gib" => (1024, 3),
        "t" | "tib" => (1024, 4),
        "kb" => (1000, 1),
        "mb" => (1000, 2),
        "gb" => (1000, 3),
        "tb" => (1000, 4),
        _ => {
            return Err(format!("{unit:?} is no unit; use B, KiB, MiB, GiB, TiB or KB, MB, GB, TB"));
        }
    };
    let unit: u64 = u64::pow(base, power);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| format!("{text:?} is no size; write 2048 or 2KiB"))?;
    let mut bytes = whole.checked_mul(unit).ok_or("the size does not fit in 64 bits")?;
    if !part.is_empty() {
        let scale = 10u64.checked_pow(part.len() as u32).ok_or("too many digits behind the point")?;
        let part: u64 = part.parse().map_err(|_| format!("{text:?} is no size"))?;
        let product = u128::from(part) * u128::from(unit);
        if product % u128::from(scale) != 0 {
            return Err(format!("{text:?} is no whole number of bytes"));
        }
        bytes = bytes.checked_add((product / u128::from(scale)) as u64).ok_or("the size does not fit in 64 bits")?;
    }
    Ok(bytes)
}

/// `rw`, `ro`, `wc`.
pub(crate) fn protection(text: &str) -> Result<Protection, String> {
    match text {
        "rw" => Ok(Protection::ReadWrite),
        "ro" => Ok(Protection::ReadOnly),
        "wc" => Ok(Protection::WriteCopy),
        _ => Err("use rw (read-write), ro (read-only) or wc (write-copy)".into()),
    }
}

/// `owner`, `group`, `all`, an octal mode, or a security descriptor.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    match text {
        "owner" => Ok(Share::Owner),
        "group" => Ok(Share::Group),
        "all" => Ok(Share::Everyone),
        mode if !mode.is_empty() && mode.bytes().all(|b| b.is_ascii_digit()) => match u32::from_str_radix(mode, 8) {
            Ok(mode) if mode & !0o666 == 0 => Ok(Share::Mode(mode)),
            _ => Err("a mode has read and write bits for owner, group and others, such as 0640".into()),
        },
        sddl if sddl.contains(':') => Ok(Share::Sddl(sddl.to_owned())),
        _ => Err("use owner, group, all, a mode such as 0640, or a security descriptor such as D:(A;;GA;;;WD)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("2048", 2048),
            ("2KiB", 2048),
            ("2k", 2048),
            ("3MB", 3_000_000),
            ("1.5GiB", 3 << 29),
            ("0x10", 16),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "2XB", "-1", "1.0001KiB", "99999999999TiB", "1.2.3k", "0xg"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share("0640"), Ok(Share::Mode(0o640)));
        assert!(share("0755").is_err() && share("999").is_err() && share("everyone").is_err());
        assert!(matches!(share("D:(A;;GA;;;WD)"), Ok(Share::Sddl(_))));
    }
}
