//! From a mapping to its content: is it a region, is it ready, whose turn is it to initialise, does the layout agree.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use super::head::{DONE_AT, Head, LEN, MAGIC, ONCE_AT, REST_AT, RegionKind};
use super::schema::{self, Schema};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::{Access, Mapping};
use crate::sync::Once;
use crate::view::View;

/// What a program wants to find or to make.
pub(crate) struct Plan {
    kind: RegionKind,
    /// Of its values, if they have one type.
    schema: Option<Schema>,
    encoded: Vec<u8>,
    /// Bytes of content; without a schema, of a new one.
    size: u64,
    align: usize,
    /// Of a content that says its size itself: so many bytes of a new one have memory, the rest when it is used.
    fixed: Option<u64>,
}

/// The content of a region: where it stands in a view of the whole mapping.
pub(crate) struct Content {
    pub(crate) view: View,
    pub(crate) offset: usize,
}

/// How far a mapping is.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    /// Zeros so far.
    New,
    /// Somebody has begun to initialise it and may be dead.
    Begun,
    Ready,
    /// It holds something, and that is no region.
    Ordinary,
}

/// Looks at the head, which is written while we look.
pub(super) fn state(view: &View) -> Result<State> {
    let mut head = [0; LEN];
    if view.len() < LEN || view.read(0, &mut head).is_err() {
        return Ok(State::Ordinary); // too small, or reserved and without memory
    }
    // Acquire: pairs with the Release in `begin`: if the copy shows what follows the magic, the magic is seen now.
    fence(Ordering::Acquire);
    let magic = u64::from_le(view.load::<AtomicU64>(0, Ordering::Relaxed)?);
    // Acquire: pairs with the Release of `Once`: the head and the content are whole.
    let done = view.load::<AtomicU32>(DONE_AT, Ordering::Acquire)? != 0;
    let blank = [&head[8..ONCE_AT], &head[REST_AT..]].concat().iter().all(|byte| *byte == 0);
    Ok(match magic {
        MAGIC if done => State::Ready,
        MAGIC => State::Begun,
        0 if blank && !done => State::New,
        _ => State::Ordinary,
    })
}

/// The head of a region that is ready, and what its schema says.
pub(super) fn read_head(view: &View, room: u64, mapping: &Mapping) -> Result<(Head, Vec<u8>)> {
    let mut bytes = [0; LEN];
    view.read(0, &mut bytes)?;
    let head = Head::parse(&bytes, room).map_err(|(at, why)| corrupt(mapping, at, why))?;
    let mut encoded = vec![0; head.schema_len];
    match head.schema_len.checked_add(LEN) {
        Some(end) if end > view.len() => {
            mapping.view_range(Access::Read, LEN as u64..end as u64)?.read(0, &mut encoded)?
        }
        _ => view.read(LEN, &mut encoded)?,
    }
    Ok((head, encoded))
}

/// The schema of a region, distrusted.
pub(super) fn parse_schema(encoded: &[u8], mapping: &Mapping) -> Result<Schema> {
    Schema::parse(encoded).map_err(|broken| corrupt(mapping, LEN + broken.at, broken.why))
}

pub(super) fn corrupt(mapping: &Mapping, at: usize, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "open the region", format!("{why}, at offset {at}")).on(&mapping.object)
}

fn refused(kind: ErrorKind, why: String, mapping: &Mapping) -> Error {
    Error::new(kind, "open the region", why).on(&mapping.object)
}

impl Plan {
    /// One value.
    pub(super) fn plain(schema: Schema) -> Plan {
        let (size, align) = (schema.size(), schema.align() as usize);
        Plan::new(RegionKind::Plain, Some(schema), size, align)
    }

    /// `size` bytes of which the first are zeros, aligned to `align`.
    pub(crate) fn new(kind: RegionKind, schema: Option<Schema>, size: u64, align: usize) -> Plan {
        let encoded = schema.as_ref().map(Schema::to_bytes).unwrap_or_default();
        Plan { kind, schema, encoded, size, align, fixed: None }
    }

    /// Of values of which there may be any number, in a reserved mapping that has memory for the first `fixed` bytes.
    pub(crate) fn sparse(self, fixed: u64) -> Plan {
        Plan { fixed: Some(fixed), ..self }
    }

    /// Whether not all of a new one has memory.
    pub(crate) fn is_sparse(&self) -> bool {
        self.fixed.is_some_and(|fixed| fixed < self.size)
    }

    /// Where the content of a new region begins: in a cache line of its own.
    fn offset(&self) -> usize {
        (LEN + self.encoded.len()).next_multiple_of(64).next_multiple_of(self.align)
    }

    /// Bytes that a mapping needs for it.
    pub(crate) fn mapping_size(&self) -> u64 {
        self.offset() as u64 + self.size
    }

    /// Bytes of content.
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// The content, if it is ready and what is wanted. `None`: nobody has initialised it, yet.
    pub(super) fn open(&self, mapping: &Mapping, access: Access) -> Result<Option<Content>> {
        let view = mapping.view(access)?;
        match state(&view)? {
            State::Ready => self.check(view, mapping).map(Some),
            State::New | State::Begun => Ok(None),
            State::Ordinary => Err(self.ordinary(mapping)),
        }
    }

    /// The content, which `init` is asked for if nobody has given it. `true`: it was.
    pub(crate) fn open_or_init(
        &self,
        mapping: &Mapping,
        timeout: Duration,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<(Content, bool)> {
        if mapping.is_reserved() {
            let size = self.offset() as u64 + self.fixed.unwrap_or(self.size);
            mapping.commit(0, size.min(mapping.size()))?;
        }
        self.open_once(mapping, timeout, |view| {
            self.begin(view, mapping)?;
            init(view, self.offset())
        })
    }

    /// The content, which somebody else gives or has given.
    pub(crate) fn open_given(&self, mapping: &Mapping, timeout: Duration) -> Result<Content> {
        if mapping.is_reserved() {
            mapping.commit(0, LEN as u64)?; // for the head, should its maker not have come to that
        }
        let nobody = |_: &View| {
            let why = "it has no content, and whoever was about to give it some died; open_or_create begins anew";
            Err(refused(ErrorKind::Corrupt, why.to_owned(), mapping))
        };
        self.open_once(mapping, timeout, nobody).map(|(content, _)| content)
    }

    fn open_once(
        &self,
        mapping: &Mapping,
        timeout: Duration,
        init: impl FnOnce(&View) -> Result<()>,
    ) -> Result<(Content, bool)> {
        let view = mapping.view(Access::ReadWrite)?;
        let ours = match state(&view)? {
            State::Ready => false,
            State::Ordinary => return Err(self.ordinary(mapping)),
            State::New | State::Begun => view.place::<Once>(ONCE_AT)?.call_timeout(timeout, || init(&view))?,
        };
        Ok((self.check(view, mapping)?, ours))
    }

    /// Refuses a region whose locks belong to another PID namespace: that of who initialised it.
    pub(crate) fn check_namespace(view: &View) -> Result<()> {
        view.place::<Once>(ONCE_AT)?.check_namespace()
    }

    /// Writes the head, over whatever somebody wrote who died.
    fn begin(&self, view: &View, mapping: &Mapping) -> Result<()> {
        if self.encoded.len() > schema::MAX_LEN || self.mapping_size() > view.len() as u64 {
            let (needs, has) = (self.mapping_size(), view.len());
            let why = format!("{} needs {needs} bytes, and the mapping has {has}", self.what());
            return Err(refused(ErrorKind::OutOfRange, why, mapping));
        }
        let head = Head::new(self.kind, self.encoded.len(), (self.offset(), self.size)).to_bytes();
        view.atomic::<AtomicU64>(0)?.store(MAGIC.to_le(), Ordering::Relaxed);
        fence(Ordering::Release); // pairs with the Acquire in `state`
        view.write(8, &head[8..ONCE_AT])?;
        view.write(REST_AT, &head[REST_AT..])?;
        view.write(LEN, &self.encoded)
    }

    fn check(&self, view: View, mapping: &Mapping) -> Result<Content> {
        let (head, encoded) = read_head(&view, view.len() as u64, mapping)?;
        if head.kind != self.kind {
            let why = format!("it is {}, and {} was asked for", head.kind, self.kind);
            return Err(refused(ErrorKind::WrongKind, why, mapping));
        }
        if let Some(schema) = &self.schema {
            if encoded.is_empty() {
                let why = format!("it holds bytes of no type, and `{schema}` was asked for; open it as bytes");
                return Err(refused(ErrorKind::WrongLayout, why, mapping));
            }
            if encoded != self.encoded {
                // Not the same bytes, but perhaps the same meaning: entries may grow.
                let found = parse_schema(&encoded, mapping)?;
                if let Some(difference) = schema.difference(&found) {
                    let why = format!("it has another layout: {difference}; build both programs from one declaration");
                    return Err(refused(ErrorKind::WrongLayout, why, mapping));
                }
            }
            if self.fixed.is_none() && head.size != self.size {
                return Err(corrupt(mapping, 24, "the content has not the size that its schema says"));
            }
        }
        if !head.offset.is_multiple_of(self.align) {
            return Err(corrupt(mapping, 16, "the content does not begin where its alignment demands"));
        }
        Ok(Content { view, offset: head.offset })
    }

    fn what(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{} of `{schema}`", self.kind),
            None => self.kind.to_string(),
        }
    }

    fn ordinary(&self, mapping: &Mapping) -> Error {
        let why = format!("it is an ordinary mapping, and {} was asked for", self.kind);
        refused(ErrorKind::WrongKind, why, mapping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has no `Once` of ours, such as a reader in C, looks at this word.
    #[test]
    fn the_once_says_in_its_promised_place_that_it_is_done() {
        let mapping = crate::mapping::MappingOptions::new().size(4096).create_unnamed().unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        let done = || view.load::<AtomicU32>(DONE_AT, Ordering::Acquire).unwrap();
        assert_eq!(size_of::<Once>(), REST_AT - ONCE_AT);
        let once: &Once = view.place(ONCE_AT).unwrap();
        assert_eq!(done(), 0);
        once.call(|| Ok(())).unwrap();
        assert_eq!(done(), 1);
    }

    #[test]
    fn the_content_begins_in_a_line_of_its_own() {
        let offset = |schema: Schema| Plan::plain(schema).offset();
        assert_eq!(offset(Schema::unsigned(1)), 256); // 192 + 32 is not a multiple of 64
        assert_eq!(offset(Schema::record("Page", 4096, 4096, &[])), 4096);
    }
}
