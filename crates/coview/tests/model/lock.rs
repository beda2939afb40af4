//! Stands in for `sys/lock/mod.rs`: the real protocols, on threads of the modelled kernel.

#[path = "../../src/sys/lock/commit.rs"]
mod commit;
#[path = "../../src/sys/lock/robust_linux.rs"]
mod robust_linux;
#[path = "thread.rs"]
mod thread_linux;
#[path = "../../src/sys/lock/words.rs"]
mod words;
#[path = "../../src/sys/lock/words_linux.rs"]
mod words_linux;

mod anchor_linux {
    pub(super) fn enclosed_in(_: &std::ops::Range<usize>) -> Vec<*mut u8> {
        Vec::new()
    }
}

pub(crate) use commit::CommitWord;
pub(crate) use thread_linux::announce;
pub(crate) use words::Words;
pub(crate) use words_linux::park;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Clean,
    Abandoned,
}
