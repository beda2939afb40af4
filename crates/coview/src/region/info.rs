//! What a region says about itself, to those who do not know its type.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use super::content::{State, corrupt, parse_schema, read_head, state};
use super::head::{Head, LEN, RegionKind};
use super::schema::Schema;
use crate::error::Result;
use crate::mapping::{Access, Mapping};
use crate::view::View;

/// In a latest value: its flags, that of bytes, the number of the newest, and the first copy; what uses them is a floor higher.
pub(crate) const LATEST_FLAGS: usize = 16;
pub(crate) const LATEST_BYTES: u32 = 2;
pub(crate) const LATEST_COUNT: usize = 128;
pub(crate) const LATEST_COPIES: u64 = 1280;

/// A region as [`describe`] sees it. Everything in it was written by another program: that may be wrong about who it is and
/// when it was, but offsets and sizes were checked to lie inside.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegionInfo {
    /// What stands in it.
    pub kind: RegionKind,
    /// Whether its content is there. If not, somebody is making it or died while doing so.
    pub initialised: bool,
    /// Where in the mapping the content stands, in bytes; of a latest value, where its newest copy does now.
    pub content: Range<u64>,
    /// The layout of the content, if it has one.
    pub schema: Option<Schema>,
    /// When it was initialised.
    pub created: Option<SystemTime>,
    /// The number of the process that initialised it, in its PID namespace.
    pub process: Option<u32>,
    /// The program that this process ran.
    pub program: Option<String>,
}

/// What the region in a mapping says about itself; `None` if there is no region in it. Reading access is enough.
///
/// # Examples
///
/// ```
/// use coview::{Access, Mapping, Region, region};
///
/// let name = format!("doc-describe-{}", std::process::id());
/// let speed = Region::<f64>::create(&name, &9.81)?;
///
/// // A program that knows nothing of its type:
/// let info = region::describe(&Mapping::open(&name, Access::Read)?)?.expect("it is a region");
/// assert_eq!(info.schema.unwrap().to_string(), "f64");
/// # drop(speed);
/// # Ok::<(), coview::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if its head cannot be right.
pub fn describe(mapping: &Mapping) -> Result<Option<RegionInfo>> {
    let size = mapping.size();
    if size < LEN as u64 {
        return Ok(None);
    }
    let view = mapping.view_range(Access::Read, ..size.min(4096))?;
    match state(&view)? {
        State::New | State::Ordinary => Ok(None),
        State::Begun => Ok(read(&view, mapping, false).ok()), // its head is being written
        State::Ready => read(&view, mapping, true).map(Some),
    }
}

/// What stands in a region that is ready, and where all of it does; `None` if the mapping has none, or not yet.
pub(crate) fn whole_content(mapping: &Mapping) -> Result<Option<(RegionKind, Range<u64>)>> {
    let size = mapping.size();
    if size < LEN as u64 {
        return Ok(None);
    }
    let view = mapping.view_range(Access::Read, ..LEN as u64)?;
    if state(&view)? != State::Ready {
        return Ok(None);
    }
    let (head, _) = read_head(&view, size, mapping)?;
    Ok(Some((head.kind, head.offset as u64..head.offset as u64 + head.size)))
}

fn read(view: &View, mapping: &Mapping, initialised: bool) -> Result<RegionInfo> {
    let (head, encoded) = read_head(view, mapping.size(), mapping)?;
    let schema = if encoded.is_empty() { None } else { Some(parse_schema(&encoded, mapping)?) };
    let content = match head.kind {
        RegionKind::Latest if initialised => newest(mapping, &head)?,
        _ => head.offset as u64..head.offset as u64 + head.size,
    };
    Ok(RegionInfo {
        kind: head.kind,
        initialised,
        content,
        schema,
        created: head.created,
        process: Some(head.process).filter(|process| *process != 0),
        program: Some(head.program).filter(|program| !program.is_empty()),
    })
}

/// Where the newest copy of a latest value stands; before the first, nowhere.
fn newest(mapping: &Mapping, head: &Head) -> Result<Range<u64>> {
    let (begin, end) = (head.offset as u64, head.offset as u64 + head.size);
    let wrong = |why| corrupt(mapping, head.offset, why);
    if head.size < LATEST_COPIES {
        return Err(wrong("it is too small for a latest value"));
    }
    let view = mapping.view_range(Access::Read, begin..begin + LATEST_COPIES)?;
    let word = |at| view.load::<AtomicU64>(at, Ordering::Relaxed).map(u64::from_le);
    let count = u32::from_le(view.load::<AtomicU32>(LATEST_COUNT, Ordering::Acquire)?);
    let (mut size, stride) = (word(0)?, word(8)?);
    let mut at = stride.checked_mul(u64::from(count % 4)).and_then(|at| at.checked_add(begin + LATEST_COPIES));
    let flags = u32::from_le(view.load::<AtomicU32>(LATEST_FLAGS, Ordering::Relaxed)?);
    if let Some(copy) = at.filter(|_| flags & LATEST_BYTES != 0) {
        at = copy.checked_add(8).filter(|bytes| *bytes <= end);
        let Some(bytes) = at else { return Err(wrong("its values cannot have the size that it says")) };
        let view = mapping.view_range(Access::Read, copy..bytes)?;
        size = size.min(u64::from_le(view.load::<AtomicU64>(0, Ordering::Relaxed)?));
    }
    match at.and_then(|at| Some(at..at.checked_add(size)?)).filter(|copy| copy.end <= end) {
        Some(copy) if count == 0 => Ok(copy.start..copy.start),
        Some(copy) => Ok(copy),
        None => Err(wrong("its values cannot have the size that it says")),
    }
}
