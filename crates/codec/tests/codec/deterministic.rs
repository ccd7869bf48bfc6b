//! Law 8: the bytes depend on input and options alone.

use std::io::{self, Write};

use proptest::prelude::*;
use transship_codec::{Compression, Encoder, EncoderOptions, Error, recipe};
use transship_spec::{Digest, Kind};

use crate::support::{compressions, decode, encode, encode_in, sample};

const MIB: usize = 1 << 20;

fn options(compression: Compression, threads: usize) -> EncoderOptions {
    EncoderOptions { compression, threads, ..EncoderOptions::default() }
}

#[test]
fn gzip_gives_the_same_bytes_for_any_number_of_threads() {
    let data = sample(9 * MIB + 12_345, 1);
    let one = encode_in(&data, options(Compression::Gzip, 1), &[]);
    for threads in 2..=8 {
        assert!(one == encode_in(&data, options(Compression::Gzip, threads), &[]), "{threads} threads");
    }
    assert!(decode(&one, Compression::Gzip).unwrap() == data);
}

#[test]
#[cfg(feature = "zstd")]
fn zstd_gives_the_same_bytes_for_any_number_of_threads_and_any_writes() {
    // Several jobs of the library, which are 8 MiB at this level.
    let data = sample(35 * MIB + 1, 2);
    let one = encode_in(&data, options(Compression::Zstd, 1), &[]);
    for (threads, writes) in [(2, &[][..]), (2, &[4096]), (4, &[1 << 20, 7]), (3, &[512, 131_072, 1])] {
        assert!(one == encode_in(&data, options(Compression::Zstd, threads), writes), "{threads} {writes:?}");
    }
    assert!(decode(&one, Compression::Zstd).unwrap() == data);
}

#[test]
fn gzip_blocks_end_where_they_end_whatever_the_writes() {
    for length in [0, 1, 32 << 10, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1] {
        let data = sample(length, 3);
        let whole = encode_in(&data, options(Compression::Gzip, 2), &[]);
        for writes in [&[MIB][..], &[MIB - 1, 1], &[65_537], &[3 * MIB]] {
            assert!(
                whole == encode_in(&data, options(Compression::Gzip, 2), writes),
                "{length} in {writes:?}"
            );
        }
        assert!(decode(&whole, Compression::Gzip).unwrap() == data, "{length}");
    }
}

#[test]
fn an_empty_write_and_a_flush_leave_no_trace() {
    for compression in compressions() {
        let mut encoder = Encoder::new(Vec::new(), options(compression, 2)).unwrap();
        for piece in [&b""[..], b"one", b"", b"two"] {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        assert_eq!(encoder.finish().unwrap(), encode(b"onetwo", compression), "{compression}");
        let mut empty = Encoder::new(Vec::new(), options(compression, 1)).unwrap();
        assert_eq!(empty.write(b"").unwrap(), 0);
        assert_eq!(empty.finish().unwrap(), encode(b"", compression), "{compression}");
    }
}

/// When one of these changes, so do the digests of layers that people build anew: a new recipe and a major release.
#[test]
fn golden_bytes_at_the_default_level() {
    let data = sample(3 * MIB + 4321, 4);
    assert_eq!(
        Digest::sha256(&data).to_string(),
        "sha256:1e2ddd2357b438560f7ec506d965a50a1b2eb5e7716b781ebd7d092015ab4a76"
    );
    let gzip = encode(&data, Compression::Gzip);
    assert_eq!(
        Digest::sha256(&gzip).to_string(),
        "sha256:d4fee011ee32d77ea5ccb37d0b1ca115d8f5f4e172243f828c3b73e85da7dff5"
    );
    assert_eq!(recipe(Compression::Gzip, None).unwrap(), "gzip/transship-1/level-6");
    assert_eq!(recipe(Compression::None, None).unwrap(), "none");
}

#[test]
fn golden_bytes_of_gzip_at_every_level() {
    let data = sample(MIB + 54_321, 6);
    let golden = [
        "8692c3168eea97e1",
        "4cb32218885bc672",
        "b854bd4c856d1364",
        "ecab2ec7966c82df",
        "494323632a59f6f1",
        "e1abd4297e5b7bc6",
        "00b1fa0ea0174728",
        "ae72031cdc08f19b",
        "d791e8f81011798b",
    ];
    let made: Vec<String> = (1..=9)
        .map(|level| {
            let level = EncoderOptions { level: Some(level), ..options(Compression::Gzip, 2) };
            Digest::sha256(&encode_in(&data, level, &[])).encoded().chars().take(16).collect()
        })
        .collect();
    assert_eq!(made, golden);
}

#[test]
#[cfg(feature = "zstd")]
fn golden_bytes_of_zstd_at_the_default_level() {
    let zstd = encode(&sample(3 * MIB + 4321, 4), Compression::Zstd);
    assert_eq!(
        Digest::sha256(&zstd).to_string(),
        "sha256:f1167476124a31d8286560ca521a74563ff5d695c1d88697ea842b44296ac623"
    );
    assert_eq!(recipe(Compression::Zstd, None).unwrap(), "zstd/libzstd-1.5.7/level-3");
}

#[test]
fn the_empty_gzip_stream_is_thirty_bytes_or_fewer_and_has_no_time_name_or_system() {
    let empty = encode(b"", Compression::Gzip);
    assert_eq!(empty, b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0");
}

#[test]
fn every_level_round_trips_and_has_a_recipe_of_its_own() {
    let data = sample(MIB + MIB / 2, 5);
    let mut recipes = std::collections::BTreeSet::new();
    for (compression, levels) in [(Compression::Gzip, 1..=9), (Compression::Zstd, 1..=12)] {
        for level in levels.filter(|_| compression.is_supported()) {
            let level = Some(level);
            let stored = encode_in(&data, EncoderOptions { compression, level, threads: 2 }, &[]);
            assert!(decode(&stored, compression).unwrap() == data, "{compression} {level:?}");
            assert!(recipes.insert(recipe(compression, level).unwrap()));
        }
    }
}

#[test]
fn noise_grows_by_little_and_never_past_its_bound() {
    let mut noise = vec![0; 2 * MIB + 17];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for piece in noise.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        piece.copy_from_slice(&state.to_le_bytes()[..piece.len()]);
    }
    for level in 1..=9 {
        let gzip = EncoderOptions { compression: Compression::Gzip, level: Some(level), threads: 2 };
        let stored = encode_in(&noise, gzip, &[]);
        assert!(stored.len() < noise.len() + noise.len() / 16, "level {level}: {}", stored.len());
        assert!(decode(&stored, Compression::Gzip).unwrap() == noise);
    }
}

/// A sink that takes some bytes and then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = data.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_the_error_that_comes_back_and_the_encoder_stays_broken() {
    let data = sample(24 * MIB, 6);
    for compression in compressions() {
        let mut encoder = Encoder::new(Full(1000), options(compression, 2)).unwrap();
        let error = encoder.write_all(&data).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{compression}");
        if compression != Compression::None {
            let again = encoder.write_all(b"more").unwrap_err();
            assert!(matches!(Error::from_io(&again), Some(Error::Encoder { .. })), "{compression}");
            assert_eq!(encoder.finish().err().map(|error| error.kind()), Some(Kind::Unexpected));
        }
    }
    let small = Encoder::new(Full(3), options(Compression::Gzip, 1)).unwrap();
    assert_eq!(small.finish().err().map(|error| error.kind()), Some(Kind::Storage));
}

#[test]
fn an_encoder_may_be_dropped_before_its_end() {
    for compression in compressions() {
        let mut encoder = Encoder::new(Vec::new(), options(compression, 3)).unwrap();
        encoder.write_all(&sample(5 * MIB, 7)).unwrap();
        drop(encoder);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn neither_threads_nor_writes_change_a_byte_of_gzip(
        length in 0..3 * MIB,
        seed in any::<u64>(),
        threads in 1..8_usize,
        writes in prop::collection::vec(1..300_000_usize, 1..8),
    ) {
        let data = sample(length, seed);
        let plain = encode_in(&data, options(Compression::Gzip, 1), &[]);
        prop_assert!(plain == encode_in(&data, options(Compression::Gzip, threads), &writes));
        prop_assert!(decode(&plain, Compression::Gzip).unwrap() == data);
    }

    #[test]
    fn any_bytes_come_back_from_every_compression(data in prop::collection::vec(any::<u8>(), 0..5000)) {
        for compression in compressions() {
            let stored = encode(&data, compression);
            prop_assert!(decode(&stored, compression).unwrap() == data, "{}", compression);
        }
    }
}
