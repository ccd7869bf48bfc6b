//! Platforms, as a user types them and as documents have them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::platform::run(bytes));
