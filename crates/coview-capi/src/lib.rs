//! The C face of coview: `model` is behind `coview.h`, `win32` behind the headers in `include/win32/`.

mod model;
#[cfg(target_os = "linux")]
pub mod win32;
