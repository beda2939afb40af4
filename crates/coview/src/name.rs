//! Names of shared objects: what may be written, and where it is seen.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::namespace;

/// Where a name is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// `Local\x` and plain `x`: one name space a user on Linux, a session on Windows.
    Local,
    /// `Global\x`: one for the machine; the object's access list says who may open it.
    Global,
    /// `posix:/x`: foreign memory made with `shm_open`. Linux only.
    Posix,
    /// `sysv:KEY` or `sysv:id=N`: a foreign System V segment. Linux only.
    SysV,
    /// `file:PATH`: the bytes of an ordinary file.
    File,
}

impl Namespace {
    /// Whether objects there are made by others and follow rules that are not coview's: they are opened as
    /// raw memory, no lifetime is promised, and they cannot be created through coview.
    pub fn is_foreign(self) -> bool {
        !matches!(self, Namespace::Local | Namespace::Global)
    }
}

/// The checked name of a shared object.
///
/// | written | means |
/// | --- | --- |
/// | `Sensor`, `Local\Sensor` | the same object, seen by this user (Linux) or session (Windows) |
/// | `Global\Sensor` | an object of the machine |
/// | `posix:/x`, `sysv:0x1234`, `sysv:id=5`, `file:/tmp/x` | foreign memory, see [`Namespace`] |
///
/// All kinds of objects share one name space. Case matters, also in the keywords. Any character of any script
/// is allowed but the backslash and NUL; at most [`Name::MAX_LEN`] UTF-16 code units, as the ANSI calls of
/// Windows have it. The words `Local`, `Global` and `Session` alone are reserved. A name that begins with the
/// word of a foreign scheme is written `Local\posix:…` when an object of ours is meant.
///
/// # Examples
///
/// ```
/// use coview::{Name, Namespace};
///
/// let name: Name = "Sensor".parse()?;
/// assert_eq!(name.namespace(), Namespace::Local);
/// assert_eq!(name.to_string(), r"Local\Sensor");
/// assert!(r"local\Sensor".parse::<Name>().is_err(), "keywords are case-sensitive");
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    namespace: Namespace,
    text: String,
}

impl Name {
    /// The longest name behind `Local\` or `Global\`, in UTF-16 code units (`MAX_PATH` less its NUL).
    pub const MAX_LEN: usize = 259;

    /// Checks `text` and finds its namespace.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], saying which rule was broken.
    pub fn parse(text: &str) -> Result<Name> {
        let refuse =
            |why: String| Err(Error::new(ErrorKind::InvalidName, "use the name", why).on(format_args!("{text:?}")));
        if text.contains('\0') {
            return refuse("a name cannot contain NUL".into());
        }
        for (scheme, namespace) in
            [("posix:", Namespace::Posix), ("sysv:", Namespace::SysV), ("file:", Namespace::File)]
        {
            if let Some(rest) = text.strip_prefix(scheme) {
                return match check_foreign(namespace, rest) {
                    Ok(()) => Ok(Name { namespace, text: canonical(namespace, rest) }),
                    Err(why) => refuse(why),
                };
            }
        }
        let (namespace, rest) = match text.split_once('\\') {
            Some(("Local", rest)) => (Namespace::Local, rest),
            Some(("Global", rest)) => (Namespace::Global, rest),
            Some(("", _)) => return refuse(r"a name cannot begin with a backslash".into()),
            Some(("Session", _)) => return refuse(r"Session\ is reserved; write Local\ or Global\".into()),
            Some((other, _)) => {
                return refuse(format!(
                    r"there is no namespace {other:?}; a backslash may only follow Local or Global, spelt so"
                ));
            }
            None => (Namespace::Local, text),
        };
        if rest.is_empty() {
            return refuse("it is empty; an object without a name is made by create_unnamed".into());
        }
        if rest.contains('\\') {
            return refuse(r"only one backslash may occur, behind Local or Global".into());
        }
        if !text.contains('\\') && matches!(text, "Local" | "Global" | "Session") {
            return refuse("the word is reserved for a namespace".into());
        }
        let len = rest.encode_utf16().count();
        if len > Name::MAX_LEN {
            return refuse(format!("it has {len} UTF-16 code units, {} are allowed", Name::MAX_LEN));
        }
        Ok(Name { namespace, text: rest.to_owned() })
    }

    /// Where the name is seen.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The name without its namespace.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the name becomes on this system.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for foreign namespaces, where `operation` is not possible.
    pub(crate) fn slot(&self, operation: &'static str) -> Result<namespace::Slot> {
        match self.namespace {
            Namespace::Local => Ok(namespace::Slot::local(&self.text)),
            Namespace::Global => Ok(namespace::Slot::global(&self.text)),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                operation,
                "foreign memory can only be opened; write Local\\ in front if an object of ours is meant",
            )
            .on(self)),
        }
    }
}

fn check_foreign(namespace: Namespace, rest: &str) -> std::result::Result<(), String> {
    let fine = match namespace {
        Namespace::Posix => {
            let bare = rest.strip_prefix('/').unwrap_or(rest);
            !bare.is_empty() && !bare.contains('/') && bare != "." && bare != ".." && bare.len() <= 255
        }
        Namespace::SysV => parse_sysv(rest).is_some(),
        _ => !rest.is_empty(),
    };
    fine.then_some(()).ok_or_else(|| {
        match namespace {
            Namespace::Posix => "write posix:/name, at most 255 bytes and no further slash",
            Namespace::SysV => "write sysv:KEY (decimal or 0x…) or sysv:id=N; `ipcs -m` lists them",
            _ => "write file:PATH",
        }
        .to_owned()
    })
}

/// One spelling for one object, that of listings.
fn canonical(namespace: Namespace, rest: &str) -> String {
    match (namespace, parse_sysv(rest)) {
        (Namespace::Posix, _) => format!("/{}", rest.trim_start_matches('/')),
        (Namespace::SysV, Some(SysV::Key(key))) => format!("{key:#x}"),
        _ => rest.to_owned(),
    }
}

/// The key or id of a System V segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SysV {
    Key(i32),
    Id(i32),
}

pub(crate) fn parse_sysv(text: &str) -> Option<SysV> {
    if let Some(id) = text.strip_prefix("id=") {
        return id.parse().ok().filter(|id| *id >= 0).map(SysV::Id);
    }
    let key = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?.cast_signed(),
        None => text.parse::<i32>().ok()?,
    };
    (key != 0).then_some(SysV::Key(key)) // key 0 is IPC_PRIVATE: it would make a new segment
}

impl std::str::FromStr for Name {
    type Err = Error;
    fn from_str(text: &str) -> Result<Name> {
        Name::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.namespace {
            Namespace::Local => r"Local\",
            Namespace::Global => r"Global\",
            Namespace::Posix => "posix:",
            Namespace::SysV => "sysv:",
            Namespace::File => "file:",
        };
        write!(f, "{scheme}{}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<ErrorKind> {
        Name::parse(text).err().map(|e| e.kind())
    }

    #[test]
    fn rules_of_the_name_table() {
        assert_eq!(Name::parse("x").unwrap(), Name::parse(r"Local\x").unwrap());
        assert_ne!(Name::parse("x").unwrap(), Name::parse(r"Global\x").unwrap());
        assert_ne!(Name::parse("x").unwrap(), Name::parse("X").unwrap());
        for fine in ["/:*?\"<>|$%{}", " a b ", ".x.", "Ünïcödé", "名前", "$pcars2$", "local", r"Local\posix:/x"] {
            assert_eq!(kind(fine), None, "{fine}");
        }
        for bad in [
            "",
            r"local\x",
            r"global\x",
            r"LOCAL\x",
            r"foo\x",
            r"Local\foo\x",
            r"\x",
            r"\",
            r"x\",
            r"Local\",
            r"Global\",
            "Local",
            "Global",
            "Session",
            r"Session\1\x",
            "a\0b",
        ] {
            assert_eq!(kind(bad), Some(ErrorKind::InvalidName), "{bad}");
        }
    }

    #[test]
    fn the_limit_is_checked_in_utf16() {
        assert_eq!(kind(&"x".repeat(259)), None);
        assert_eq!(kind(&"x".repeat(260)), Some(ErrorKind::InvalidName));
        assert_eq!(kind(&"😀".repeat(129)), None);
        assert_eq!(kind(&"😀".repeat(130)), Some(ErrorKind::InvalidName));
    }

    #[test]
    fn foreign_schemes() {
        assert_eq!(Name::parse("posix:/a").unwrap().namespace(), Namespace::Posix);
        assert_eq!(Name::parse("posix:a").unwrap(), Name::parse("posix:/a").unwrap());
        assert_eq!(Name::parse("sysv:4660").unwrap().to_string(), "sysv:0x1234");
        assert_eq!(parse_sysv("0x1234"), Some(SysV::Key(0x1234)));
        assert_eq!(parse_sysv("0xffffffff"), Some(SysV::Key(-1)));
        assert_eq!(parse_sysv("id=7"), Some(SysV::Id(7)));
        for bad in ["posix:", "posix:/", "posix:/a/b", "posix:..", "sysv:", "sysv:0", "sysv:id=-1", "sysv:x", "file:"] {
            assert_eq!(kind(bad), Some(ErrorKind::InvalidName), "{bad}");
        }
    }
}
