//! Archives: a tar that holds a layout, or what `docker save` wrote.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::archive::run(bytes));
