//! A tar that is given as a layer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::layer_input::run(bytes));
