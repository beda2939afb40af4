//! Where a channel stands: a region that is made once, whoever dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::explain::exists;
use crate::mapping::{Access, Mapping, MappingOptions, Share};
use crate::region::{self, Plan};
use crate::view::View;

/// How long somebody else's initialisation, which takes microseconds, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The content of a channel's mapping.
pub(super) struct Content {
    pub(super) view: Arc<View>,
    pub(super) offset: usize,
}

impl Content {
    /// Those who are at the ends of a channel know each other by locks.
    fn of(region::Content { view, offset }: region::Content) -> Result<Content> {
        Plan::check_namespace(&view)?;
        Ok(Content { view: Arc::new(view), offset })
    }

    /// A new one of that name, which `init` fills.
    pub(super) fn create(
        name: &str,
        plan: &Plan,
        share: &Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let mapping = options(plan, share).create(name)?;
        match plan.open_or_init(&mapping, PATIENCE, init)? {
            (content, true) => Content::of(content),
            // Somebody's `open_or_create` came between.
            (_, false) => Err(exists("create", &mapping.object)),
        }
    }

    /// A new one, or the live one of that name.
    pub(super) fn open_or_create(
        name: &str,
        plan: &Plan,
        share: &Share,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<Content> {
        let (mapping, _) = options(plan, share).open_or_create(name)?;
        Content::of(plan.open_or_init(&mapping, PATIENCE, init)?.0)
    }

    /// The live one of that name.
    pub(super) fn open(name: &str, plan: &Plan) -> Result<Content> {
        Content::of(plan.open_given(&Mapping::open(name, Access::ReadWrite)?, PATIENCE)?)
    }
}

fn options(plan: &Plan, share: &Share) -> MappingOptions {
    MappingOptions::new().size(plan.mapping_size()).reserve(plan.is_sparse()).share(share.clone())
}
