//! Texts that become digests, tags, references, locations and names: what is read is printed, and read again as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::names::run(bytes));
