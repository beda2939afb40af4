//! Stands in for `sys/lock/thread_linux.rs`: a thread as it sees itself. List nodes are the addresses of their words.

use std::io;
use std::ptr::null_mut;

use loom::thread::panicking;

use super::robust_linux::Node;
use crate::explore::Fault;
use crate::kernel::{is_broken, person, step, world};
use crate::primitive::AtomicU32;
use crate::sys::wait::Spot;

#[derive(Clone, Copy)]
pub(crate) struct Me(usize);

/// This thread; the dead are not known.
pub(crate) fn known() -> Option<Me> {
    me().ok()
}

/// The dead find nobody there: so guards that unwinding drops do nothing.
pub(crate) fn me() -> io::Result<Me> {
    if panicking() { Err(io::Error::other("dead")) } else { Ok(Me(world(|world| world.current))) }
}

impl Me {
    pub(crate) fn tid(self) -> u32 {
        self.0 as u32
    }

    /// As zeroed words have it: nobody needs to write it down.
    pub(crate) fn namespace(self) -> u64 {
        0
    }

    pub(crate) fn node_of(self, word: &AtomicU32) -> *mut u8 {
        std::ptr::from_ref(word).cast_mut().cast()
    }

    pub(crate) fn word_of(self, node: *mut u8) -> *mut u32 {
        node.cast()
    }

    pub(crate) fn announce(self, node: *mut u8) -> *mut u8 {
        let announced = if is_broken(Fault::Announce) { null_mut() } else { node };
        step(|| person(|me| std::mem::replace(&mut me.pending, announced)))
    }

    pub(crate) fn settle(self, before: *mut u8) {
        step(|| person(|me| me.pending = before));
    }

    pub(crate) unsafe fn link(self, _: Node, node: *mut u8) {
        let linked = (!is_broken(Fault::Link)).then_some(node);
        step(|| person(|me| me.owned.extend(linked)));
    }

    pub(crate) fn unlink(self, _: Node, node: *mut u8) {
        step(|| person(|me| me.owned.retain(|owned| *owned != node)));
    }

    pub(crate) fn pending_on(self, word: &AtomicU32) -> Pending {
        Pending { me: self, before: self.announce(self.node_of(word)) }
    }
}

pub(crate) struct Pending {
    me: Me,
    before: *mut u8,
}

pub(crate) fn announce(spot: Spot<'_>) -> io::Result<Pending> {
    Ok(me()?.pending_on(spot.word()))
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !panicking() {
            self.me.settle(self.before);
        }
    }
}
