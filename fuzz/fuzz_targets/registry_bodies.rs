//! Bodies of answers: errors, and tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::registry_bodies::run(bytes));
