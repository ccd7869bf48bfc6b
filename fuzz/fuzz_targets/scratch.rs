//! What other processes left in `.transship`: stamps, leases, downloads.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::scratch::run(bytes));
