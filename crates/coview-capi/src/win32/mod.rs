//! The part of kernel32 that shared-memory programs use, over the library's objects; Linux only.
//!
//! A call goes down one flight: the exported symbol (`exports`) turns a `Result` into Win32's return value and last error;
//! the file of its kind of object does the work; `table` keeps what handles stand for. `docs/win32.md` says call by call
//! what differs from Windows.

#![allow(unsafe_code)]

mod error;
mod exports;
mod file;
mod inherit;
mod mapping;
mod memory;
mod name;
mod object;
mod process;
mod security;
mod sync;
mod system;
mod table;
mod text;
mod thread;
mod view;
mod wait;
