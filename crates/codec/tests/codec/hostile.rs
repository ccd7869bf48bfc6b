//! Whatever the bytes, decoding ends, within its limits, without a panic.

use std::io::Read;

use proptest::prelude::*;
use transship_codec::{Compression, Decoder, Limits};

use crate::support::{compressions, encode, sample};

const LIMITS: Limits = Limits { max_output: 100_000, max_ratio: 50, ratio_grace: 20_000, max_window_log: 20 };

/// Reads in pieces of `piece` bytes until the end or an error; more than the limits is a failure of the test.
fn read_out(stored: &[u8], compression: Compression, piece: usize) {
    let mut decoder = Decoder::new(stored, compression, LIMITS).unwrap();
    let mut buffer = vec![0; piece];
    let mut total = 0;
    while let Ok(count @ 1..) = decoder.read(&mut buffer) {
        total += count as u64;
        assert!(total <= LIMITS.max_output);
        assert!(total <= LIMITS.ratio_grace || total <= LIMITS.max_ratio * decoder.consumed());
    }
    assert!(decoder.produced() <= LIMITS.max_output + 1);
    assert!(decoder.consumed() <= stored.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_no_harm(data in prop::collection::vec(any::<u8>(), 0..2000), piece in 1..4000_usize) {
        for compression in compressions() {
            read_out(&data, compression, piece);
        }
    }

    #[test]
    fn arbitrary_bytes_behind_a_magic_number_do_no_harm(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        piece in 1..4000_usize,
    ) {
        for (magic, compression) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], Compression::Gzip),
            (b"\x1f\x8b\x08", Compression::Gzip),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"\x28\xb5\x2f\xfd\x04\x50", Compression::Zstd),
            (b"\x5a\x2a\x4d\x18", Compression::Zstd),
        ] {
            if compression.is_supported() {
                read_out(&[magic, &data].concat(), compression, piece);
            }
        }
    }

    #[test]
    fn a_damaged_stream_does_no_harm(
        length in 0..60_000_usize,
        seed in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        piece in 1..4000_usize,
    ) {
        for compression in compressions() {
            let mut stored = encode(&sample(length, seed), compression);
            for (at, byte) in &damage {
                if !stored.is_empty() {
                    let at = at.index(stored.len());
                    stored[at] = *byte;
                }
            }
            read_out(&stored, compression, piece);
        }
    }
}
