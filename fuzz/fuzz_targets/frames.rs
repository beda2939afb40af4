//! `cargo fuzz run frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|tape: &[u8]| coview_fuzz::play("frames", tape));
