//! Channels: how values go from process to process through a region, and what all ways have in common.

#![allow(unsafe_code)]

pub mod frames;
pub mod latest;
pub mod queue;
pub mod ring;
pub mod service;

mod board;
mod content;
mod end;
mod future;
mod presence;

pub use end::Peer;
pub(crate) use future::Listening;
