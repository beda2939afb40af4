//! One file for each command.

pub(crate) mod child;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod gc;
pub(crate) mod list;
pub(crate) mod read;
mod region;
pub(crate) mod source;
pub(crate) mod sync;
pub(crate) mod write;
