//! A layout whose files are any bytes: listed, resolved, walked, swept and edited.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::layout_dir::run(bytes));
