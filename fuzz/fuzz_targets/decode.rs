//! Bytes that claim to be compressed.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use transship_codec::{Decoder, Limits};

const MAX: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_output: MAX, ..Limits::default() };
    let Ok(mut decoder) = Decoder::sniff(bytes, limits) else { return };
    let (mut piece, mut total) = ([0; 4096], 0);
    while let Ok(count @ 1..) = decoder.read(&mut piece) {
        total += count as u64;
        assert!(total <= MAX, "more came out than the limit");
    }
});
