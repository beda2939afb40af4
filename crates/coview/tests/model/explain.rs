//! Stands in for `explain.rs`: the modelled kernel refuses nothing.

use std::io;

pub(crate) fn explain(operation: &'static str, object: &str, source: io::Error) -> crate::error::Error {
    panic!("cannot {operation} {object}: {source}")
}
