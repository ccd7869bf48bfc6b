//! Bytes that are compressed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::encode::run(bytes));
