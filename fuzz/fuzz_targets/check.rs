//! A check of a folder, its repair, and the same check of an archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::check::run(bytes));
