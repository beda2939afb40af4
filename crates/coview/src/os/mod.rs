//! Escape hatches: descriptors on Linux, handles on Windows, and passing mappings to running processes.

#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
mod passed_linux;
#[cfg(target_os = "linux")]
mod watched_linux;
#[cfg(windows)]
pub mod windows;
