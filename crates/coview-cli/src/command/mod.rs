//! One file for each command.

mod channel;
pub(crate) mod child;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod gc;
pub(crate) mod list;
pub(crate) mod read;
pub(crate) mod recv;
mod region;
pub(crate) mod send;
pub(crate) mod source;
pub(crate) mod stop;
pub(crate) mod sync;
mod terminal;
pub(crate) mod top;
pub(crate) mod watch;
pub(crate) mod wine;
pub(crate) mod write;
