//! Stands in for `sys`: sleeping in the modelled kernel, and the real locks above it.

use std::io;

#[path = "lock.rs"]
pub(crate) mod lock;
#[path = "wait.rs"]
pub(crate) mod wait;

#[derive(Debug)]
pub(crate) enum Refusal {
    Unsupported(String),
    Invalid(String),
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::other(format!("{refusal:?}"))
    }
}
