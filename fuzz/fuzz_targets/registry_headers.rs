//! Headers of a registry's answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::registry_headers::run(bytes));
