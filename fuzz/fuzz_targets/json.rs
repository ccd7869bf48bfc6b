//! JSON as it is taken apart, beside another reader of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::json::run(bytes));
