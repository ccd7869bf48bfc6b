//! Requests to a served layout: paths, queries, ranges and passwords.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transship_fuzz_bodies::serve_request::run(bytes));
