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
mod status;

pub use end::Peer;
pub(crate) use future::Listening;
pub(crate) use status::status;
pub use status::{Channel, Receiver, Traffic};
