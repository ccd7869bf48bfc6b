//! Changes of `index.json`: what is not changed keeps its bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::index::run(bytes));
