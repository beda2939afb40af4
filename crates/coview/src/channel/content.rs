//! Where a channel stands: a region of its kind, and the offset of its content.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::mapping::{Access, Mapping, MappingOptions, Share};
use crate::sync::Once;
use crate::view::View;

const AT: usize = 4096;

pub(super) struct Content {
    pub(super) view: Arc<View>,
    pub(super) offset: usize,
}

impl Content {
    pub(super) fn create(
        name: &str,
        kind: u32,
        len: usize,
        share: Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let mapping = MappingOptions::new().size((AT + len) as u64).share(share).create(name)?;
        Content::made(&mapping, kind, init)
    }

    pub(super) fn open_or_create(
        name: &str,
        kind: u32,
        len: usize,
        share: Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let (mapping, _) = MappingOptions::new().size((AT + len) as u64).share(share).open_or_create(name)?;
        Content::made(&mapping, kind, init)
    }

    fn made(mapping: &Mapping, _kind: u32, init: impl FnOnce(&View, usize) -> Result<()>) -> Result<Content> {
        let view = Arc::new(mapping.view(Access::ReadWrite)?);
        view.place::<Once>(64)?.call(|| init(&view, AT))?;
        Ok(Content { view, offset: AT })
    }

    pub(super) fn open(name: &str, _kind: u32) -> Result<Content> {
        let view = Arc::new(Mapping::open(name, Access::ReadWrite)?.view(Access::ReadWrite)?);
        if !view.place::<Once>(64)?.is_done() {
            return Err(Error::new(ErrorKind::Corrupt, "open", "not initialised"));
        }
        Ok(Content { view, offset: AT })
    }
}
