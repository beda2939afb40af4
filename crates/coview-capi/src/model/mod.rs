//! `coview.h`: the library's own model for C and C++.
//!
//! What stands here is what the header says: `cargo xtask header` makes it of these files, comments included. So comments of
//! exported items speak to C programmers.
//!
//! What C programs promise, and what every safety comment here cites:
//! 1. Text ends with NUL, and buffers have as many bytes as is said beside them; both stay as they are during the call.
//! 2. A handle is one that a function of ours gave, and was not closed; a pointer to a result is NULL or valid for writing.
//! 3. Ends of channels (senders, receivers, writers, readers, publishers, subscribers) are used by one thread at a time.
//!
//! No panic gets to C: every function runs its body in [`status::enter`] or [`status::quiet`].

// They are exported by their names, not by their paths, and have the names that C knows them by.
#![allow(unsafe_code, unreachable_pub, non_camel_case_types)]

mod argument;
mod frames;
mod inspect;
mod latest;
mod layout;
mod lent;
mod mapping;
mod named;
mod region;
mod ring;
mod status;
mod view;
mod wait;
