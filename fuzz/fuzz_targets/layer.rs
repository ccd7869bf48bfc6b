//! The tar of a layer, as a check looks at it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::layer::run(bytes));
