//! The first bytes of a region, written and read byte by byte; `docs/format.md` draws them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::schema::{self, number};
use crate::sys::process;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"coviewRG");
const REVISION: u32 = 1;
/// Of the [`Once`](crate::sync::Once), which is written by nobody else.
pub(super) const ONCE_AT: usize = 64;
/// What the `Once` sets to 1 when it has happened.
pub(super) const DONE_AT: usize = ONCE_AT + 40;
/// Behind the `Once`, what is written again.
pub(super) const REST_AT: usize = 112;
const PROGRAM_AT: usize = 128;
/// The schema stands here.
pub(super) const LEN: usize = 192;

/// What stands in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionKind {
    /// One value: a [`Region`](super::Region).
    Plain,
    /// A [`Latest`](crate::latest::Latest).
    Latest,
    /// A [`Ring`](crate::ring::Ring).
    Ring,
    /// [`Frames`](crate::frames::Frames).
    Frames,
    /// A [`Queue`](crate::queue::Queue).
    Queue,
    /// A [`Service`](crate::service::Service).
    Service,
    /// Something that a later version knows.
    Other(u32),
}

impl RegionKind {
    /// The number in the head.
    pub fn code(self) -> u32 {
        match self {
            RegionKind::Plain => 1,
            RegionKind::Latest => 2,
            RegionKind::Ring => 3,
            RegionKind::Frames => 4,
            RegionKind::Queue => 5,
            RegionKind::Service => 6,
            RegionKind::Other(code) => code,
        }
    }

    fn of(code: u32) -> RegionKind {
        match code {
            1 => RegionKind::Plain,
            2 => RegionKind::Latest,
            3 => RegionKind::Ring,
            4 => RegionKind::Frames,
            5 => RegionKind::Queue,
            6 => RegionKind::Service,
            code => RegionKind::Other(code),
        }
    }

    /// The word for it: `"region"`.
    pub fn word(self) -> &'static str {
        match self {
            RegionKind::Plain => "region",
            RegionKind::Latest => "latest value",
            RegionKind::Ring => "ring",
            RegionKind::Frames => "channel of frames",
            RegionKind::Queue => "queue",
            RegionKind::Service => "service",
            RegionKind::Other(_) => "region of a kind that this version does not know",
        }
    }
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.word())
    }
}

/// A head whose numbers were found to be possible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    pub(super) kind: RegionKind,
    pub(super) schema_len: usize,
    /// Where the content begins and how many bytes it has.
    pub(super) offset: usize,
    pub(super) size: u64,
    pub(super) created: Option<SystemTime>,
    /// 0: unknown.
    pub(super) process: u32,
    pub(super) program: String,
}

impl Head {
    /// The head of a region that this process makes now.
    pub(super) fn new(kind: RegionKind, schema_len: usize, (offset, size): (usize, u64)) -> Head {
        let process = std::process::id();
        let program = process::program(process);
        Head { kind, schema_len, offset, size, created: Some(SystemTime::now()), process, program }
    }

    pub(super) fn to_bytes(&self) -> [u8; LEN] {
        let since = self.created.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut bytes = [0; LEN];
        let mut put = |at: usize, piece: &[u8]| bytes[at..at + piece.len()].copy_from_slice(piece);
        put(0, &MAGIC.to_le_bytes());
        put(8, &REVISION.to_le_bytes());
        put(12, &self.kind.code().to_le_bytes());
        put(16, &(self.offset as u32).to_le_bytes());
        put(20, &(self.schema_len as u32).to_le_bytes());
        put(24, &self.size.to_le_bytes());
        put(32, &u64::try_from(since.as_nanos()).unwrap_or(0).to_le_bytes());
        put(40, &self.process.to_le_bytes());
        let room = LEN - PROGRAM_AT;
        let fits = (0..=room).rev().find(|len| self.program.is_char_boundary(*len)).unwrap_or(0);
        put(PROGRAM_AT, &self.program.as_bytes()[..fits.min(self.program.len())]);
        bytes
    }

    /// What a copy of a head in a mapping of `room` bytes says, or the offset of what cannot be.
    pub(super) fn parse(bytes: &[u8; LEN], room: u64) -> Result<Head, (usize, &'static str)> {
        let [revision, kind, offset, schema_len] = [8, 12, 16, 20].map(|at| number(bytes, at, 4));
        let (size, created) = (number(bytes, 24, 8), number(bytes, 32, 8));
        if number(bytes, 0, 8) != MAGIC {
            return Err((0, "the magic is missing"));
        }
        if revision != REVISION.into() {
            return Err((8, "it was made by another version of coview"));
        }
        if schema_len > schema::MAX_LEN as u64 {
            return Err((20, "the schema has more bytes than a schema can have"));
        }
        if offset % 64 != 0 || offset < LEN as u64 + schema_len || offset > room {
            return Err((16, "the content cannot begin where it says"));
        }
        if size > room - offset {
            return Err((24, "the content cannot have the size that it says"));
        }
        let program = bytes[PROGRAM_AT..].split(|byte| *byte == 0).next().unwrap_or_default();
        let program = String::from_utf8_lossy(program).replace(char::is_control, "\u{fffd}");
        let created = UNIX_EPOCH.checked_add(Duration::from_nanos(created)).filter(|_| created != 0);
        let (kind, process) = (RegionKind::of(kind as u32), number(bytes, 40, 4) as u32);
        let (schema_len, offset) = (schema_len as usize, offset as usize);
        Ok(Head { kind, schema_len, offset, size, created, process, program })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Its time is whole in the 100 ns of Windows, too.
    fn head() -> Head {
        let created = Some(UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_700));
        let (kind, program) = (RegionKind::Plain, "sensor".to_owned());
        Head { kind, schema_len: 40, offset: 256, size: 24, created, process: 4711, program }
    }

    #[test]
    fn a_head_is_as_drawn() {
        let bytes = head().to_bytes();
        let front = [
            &b"coviewRG"[..],
            &[1, 0, 0, 0, 1, 0, 0, 0], // revision, kind
            &[0, 1, 0, 0, 40, 0, 0, 0],
            &[24, 0, 0, 0, 0, 0, 0, 0],
            &1_700_000_000_123_456_700_u64.to_le_bytes(),
            &4711_u64.to_le_bytes(),
        ];
        assert_eq!(bytes[..48], front.concat());
        assert!(bytes[48..128].iter().chain(&bytes[134..]).all(|byte| *byte == 0));
        assert_eq!(&bytes[128..134], b"sensor");
        assert_eq!(Head::parse(&bytes, 4096), Ok(head()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_offset() {
        let with = |at: usize, piece: &[u8], room: u64| {
            let mut bytes = head().to_bytes();
            bytes[at..at + piece.len()].copy_from_slice(piece);
            Head::parse(&bytes, room).map_err(|(at, _)| at)
        };
        assert_eq!(with(0, b"C", 4096), Err(0));
        assert_eq!(with(8, &[2], 4096), Err(8));
        assert_eq!(with(16, &[32], 4096), Err(16)); // not a multiple of 64
        assert_eq!(with(16, &[192, 0], 4096), Err(16)); // into the schema
        assert_eq!(with(16, &[0, 0x20], 4096), Err(16)); // behind the end
        assert_eq!(with(20, &[0xff; 4], 4096), Err(20));
        assert_eq!(with(24, &[0xff; 8], 4096), Err(24));
        assert_eq!(with(24, &[24], 279), Err(24));
        assert_eq!(with(24, &[24], 280), Ok(head()));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let program = format!("{}é", "x".repeat(63));
        let bytes = Head { program, ..head() }.to_bytes();
        assert_eq!(Head::parse(&bytes, 4096).unwrap().program, "x".repeat(63));
    }

    proptest! {
        #[test]
        fn any_head_is_in_range_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), LEN), honest in any::<bool>()) {
            if honest {
                bytes[..12].copy_from_slice(&head().to_bytes()[..12]);
                bytes[18..24].fill(0);
                bytes[26..32].fill(0);
            }
            let bytes: [u8; LEN] = bytes.try_into().unwrap();
            if let Ok(head) = Head::parse(&bytes, 1 << 16) {
                prop_assert!(LEN + head.schema_len <= head.offset && head.offset as u64 + head.size <= 1 << 16);
            }
        }
    }
}
