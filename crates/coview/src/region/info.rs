//! What a region says about itself, to those who do not know its type.

use std::ops::Range;
use std::time::SystemTime;

use super::content::{State, parse_schema, read_head, state};
use super::head::{LEN, RegionKind};
use super::schema::Schema;
use crate::error::Result;
use crate::mapping::{Access, Mapping};
use crate::view::View;

/// A region as [`describe`] sees it. Everything in it was written by another program: that may be wrong about who it is and
/// when it was, but offsets and sizes were checked to lie inside.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegionInfo {
    /// What stands in it.
    pub kind: RegionKind,
    /// Whether its content is there. If not, somebody is making it or died while doing so.
    pub initialised: bool,
    /// Where in the mapping the content stands, in bytes.
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

fn read(view: &View, mapping: &Mapping, initialised: bool) -> Result<RegionInfo> {
    let (head, encoded) = read_head(view, mapping.size(), mapping)?;
    let schema = if encoded.is_empty() { None } else { Some(parse_schema(&encoded, mapping)?) };
    let begin = head.offset as u64;
    Ok(RegionInfo {
        kind: head.kind,
        initialised,
        content: begin..begin + head.size,
        schema,
        created: head.created,
        process: Some(head.process).filter(|process| *process != 0),
        program: Some(head.program).filter(|program| !program.is_empty()),
    })
}
