//! Media types, with what is told by them, and names of annotations.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::media_type::run(bytes));
