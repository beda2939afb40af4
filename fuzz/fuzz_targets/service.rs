//! `cargo fuzz run service`.
#![no_main]

libfuzzer_sys::fuzz_target!(|tape: &[u8]| coview_fuzz::play("service", tape));
