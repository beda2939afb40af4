//! Where a channel stands: a mapping whose head says what it is, initialised once, whoever dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::mapping::{Access, Mapping, MappingOptions, Share};
use crate::sync::Once;
use crate::view::View;

const MAGIC: &[u8; 8] = b"coviewRG";
const REVISION: u32 = 1;
/// Of the [`Once`], in bytes.
const ONCE_AT: usize = 64;
/// Of the content.
const CONTENT_AT: usize = 4096;
/// How long somebody else's initialisation, which takes microseconds, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What stands in a mapping. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Latest = 2,
    Ring = 3,
}

impl Kind {
    fn word(code: u32) -> &'static str {
        match code {
            2 => "a latest value",
            3 => "a ring",
            _ => "of a kind that this version does not know",
        }
    }
}

/// The content of a channel's mapping.
pub(super) struct Content {
    pub(super) view: Arc<View>,
    pub(super) offset: usize,
}

impl Content {
    /// A new one of that name: `len` bytes, which `init` fills.
    pub(super) fn create(
        name: &str,
        kind: Kind,
        len: usize,
        share: &Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let mapping = options(len, share).create(name)?;
        Content::initialised(&mapping, name, kind, init)
    }

    /// A new one, or the live one of that name.
    pub(super) fn open_or_create(
        name: &str,
        kind: Kind,
        len: usize,
        share: &Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let (mapping, _) = options(len, share).open_or_create(name)?;
        Content::initialised(&mapping, name, kind, init)
    }

    /// The live one of that name.
    pub(super) fn open(name: &str, kind: Kind) -> Result<Content> {
        let never = |_: &View, _| {
            let why = "it has no content, and whoever was about to give it some died; open_or_create begins anew";
            Err(Error::new(ErrorKind::Corrupt, "open", why).on(name))
        };
        Content::initialised(&Mapping::open(name, Access::ReadWrite)?, name, kind, never)
    }

    fn initialised(
        mapping: &Mapping,
        name: &str,
        kind: Kind,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let refuse = |kind, why: String| Error::new(kind, "open", why).on(name);
        if mapping.size() < CONTENT_AT as u64 {
            let why = "it is an ordinary mapping, too small to be a channel".to_owned();
            return Err(refuse(ErrorKind::WrongKind, why));
        }
        let view = Arc::new(mapping.view(Access::ReadWrite)?);
        let mut head = [0; 32];
        view.read(0, &mut head)?;
        if head != [0; 32] && &head[..8] != MAGIC {
            return Err(refuse(ErrorKind::WrongKind, "it is an ordinary mapping, and not a channel".to_owned()));
        }
        view.place::<Once>(ONCE_AT)?.call_timeout(PATIENCE, || {
            init(&view, CONTENT_AT)?;
            let numbers = [REVISION, kind as u32, CONTENT_AT as u32, 0];
            let words: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            view.write(8, &words)?;
            view.write(0, MAGIC)
        })?;
        view.read(0, &mut head)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if &head[..8] != MAGIC || number(8) != REVISION || number(16) as usize != CONTENT_AT {
            let why = "its head is damaged or of another version, at offset 0".to_owned();
            return Err(refuse(ErrorKind::Corrupt, why));
        }
        if number(12) != kind as u32 {
            let (is, asked) = (Kind::word(number(12)), Kind::word(kind as u32));
            return Err(refuse(ErrorKind::WrongKind, format!("it is {is}, and {asked} was asked for")));
        }
        Ok(Content { view, offset: CONTENT_AT })
    }
}

fn options(len: usize, share: &Share) -> MappingOptions {
    MappingOptions::new().size((CONTENT_AT + len) as u64).share(share.clone())
}
