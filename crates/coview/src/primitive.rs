//! The atomics that protocols over shared words are written in: the real ones here, loom's in `tests/model.rs`, which
//! compiles the very same protocol files against its own.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
