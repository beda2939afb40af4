//! Stands in for `step.rs`: the broken variants that the sources know by name.

use crate::explore::Fault;
use crate::kernel::world;

pub(crate) fn is_broken(name: &str) -> bool {
    world(|world| matches!(world.fault, Fault::Named(fault) if fault == name))
}
