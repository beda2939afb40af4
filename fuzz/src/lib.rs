//! The bodies of the fuzz targets, which the tests of the library have a short form of.

#![allow(dead_code)] // of what the tests need of Linux, the targets need a part

#[path = "../../crates/coview/tests/common/linux.rs"]
mod linux;
#[path = "../../crates/coview/tests/hostile/targets.rs"]
mod targets;

/// Plays a tape to the target of this name.
pub fn play(target: &str, tape: &[u8]) {
    let (_, play) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("there is such a target");
    play(tape);
}
