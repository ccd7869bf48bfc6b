//! Bytes that claim to be compressed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::decode::run(bytes));
