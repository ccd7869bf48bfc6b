//! Law 6: what comes out is bounded by what was agreed, not by what the stream says.

use std::io::{self, Read, Write};

use transship_codec::{Compression, Decoder, Encoder, EncoderOptions, Error, Limits};
use transship_spec::Kind;

use crate::support::{compressions, decode, decode_within, encode, sample};

const MIB: u64 = 1 << 20;

/// Reads until the end or an error, keeping nothing.
fn drain(stored: &[u8], compression: Compression, limits: Limits) -> (u64, Option<Error>) {
    let mut decoder = Decoder::new(stored, compression, limits).unwrap();
    let error = io::copy(&mut decoder, &mut io::sink()).err().map(Error::from);
    (decoder.produced(), error)
}

fn zeros(length: u64, compression: Compression) -> Vec<u8> {
    let mut encoder =
        Encoder::new(Vec::new(), EncoderOptions { compression, threads: 2, ..EncoderOptions::default() })
            .unwrap();
    io::copy(&mut io::repeat(0).take(length), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn case_t19_a_gib_of_zeros_is_stopped_soon_after_the_grace() {
    for compression in compressions().into_iter().filter(|&compression| compression != Compression::None) {
        let bomb = zeros(1 << 30, compression);
        let (produced, error) = drain(&bomb, compression, Limits::default());
        assert!(produced <= 65 * MIB, "{compression} gave {produced}");
        assert!(matches!(error, Some(Error::Limit { limit: 200, .. })), "{compression}: {error:?}");
        let (produced, error) = drain(&bomb, compression, Limits::TRUSTED);
        assert!(produced == 1 << 30 && error.is_none(), "{compression}: {error:?}");
    }
}

#[test]
fn case_t19_a_bomb_in_many_members_is_one_bomb() {
    let members = zeros(8 * MIB, Compression::Gzip).repeat(16);
    let (produced, error) = drain(&members, Compression::Gzip, Limits::default());
    assert!(produced <= 65 * MIB && error.map(|error| error.kind()) == Some(Kind::Limit));
}

#[test]
fn a_small_file_of_zeros_is_no_bomb() {
    for compression in compressions() {
        let stored = zeros(60 * MIB, compression);
        assert_eq!(drain(&stored, compression, Limits::default()).0, 60 * MIB, "{compression}");
    }
}

#[test]
fn output_as_long_as_its_limit_passes_and_one_byte_more_does_not() {
    let data = sample(100_000, 31);
    for compression in compressions() {
        let stored = encode(&data, compression);
        let limits = |max_output| Limits { max_output, ..Limits::default() };
        assert!(decode_within(&stored, compression, limits(100_000)).unwrap() == data);
        let (produced, error) = drain(&stored, compression, limits(99_999));
        assert_eq!(produced, 100_000, "reading stops one byte past the limit");
        assert!(matches!(error, Some(Error::Limit { limit: 99_999, .. })), "{compression}: {error:?}");
        assert!(decode_within(&encode(b"", compression), compression, limits(0)).unwrap().is_empty());
    }
}

#[test]
fn an_error_is_final() {
    let stored = encode(&sample(50_000, 32), Compression::Gzip);
    let mut decoder =
        Decoder::new(&stored[..stored.len() / 2], Compression::Gzip, Limits::default()).unwrap();
    io::copy(&mut decoder, &mut io::sink()).unwrap_err();
    for _ in 0..3 {
        let again = decoder.read(&mut [0; 10]).unwrap_err();
        assert!(matches!(Error::from_io(&again), Some(Error::Truncated { .. })), "{again}");
    }
}

/// A reader that gives a few bytes at a time, is often interrupted, and fails in the end.
struct Flaky<'a>(&'a [u8], usize);

impl Read for Flaky<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        match self.1 % 3 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ if self.0.is_empty() => Err(io::ErrorKind::ConnectionReset.into()),
            step => {
                let count = (step + 1).min(out.len());
                self.0.read(&mut out[..count])
            }
        }
    }
}

#[test]
fn an_error_of_the_reader_goes_up_as_it_is_and_interruptions_do_not() {
    let data = sample(20_000, 33);
    for compression in compressions() {
        let stored = encode(&data, compression);
        let mut decoder = Decoder::new(Flaky(&stored, 0), compression, Limits::default()).unwrap();
        let mut plain = Vec::new();
        let error = decoder.read_to_end(&mut plain).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(Error::from_io(&error).is_none(), "{compression}: the reader's own error");
        assert!(plain == data, "{compression}");
    }
}

#[test]
fn a_decoder_tells_the_compression_by_the_first_bytes() {
    let data = sample(1000, 34);
    for compression in compressions() {
        let stored = encode(&data, compression);
        let mut decoder =
            Decoder::sniff(Flaky(&stored, 0).take(stored.len() as u64), Limits::default()).unwrap();
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).unwrap();
        assert_eq!((decoder.compression(), plain), (compression, data.clone()));
        assert_eq!((decoder.consumed(), decoder.produced()), (stored.len() as u64, 1000));
    }
    let error = Decoder::sniff(&b"\xfd7zXZ\0\0\0\0\0"[..], Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "unsupported compression \"xz\"");
}

#[test]
fn nothing_at_all_is_plain_but_no_gzip_file() {
    assert!(decode(b"", Compression::None).unwrap().is_empty());
    assert!(matches!(decode(b"", Compression::Gzip), Err(Error::Truncated { offset: 0, .. })));
    let mut decoder = Decoder::sniff(io::empty(), Limits::default()).unwrap();
    assert_eq!(decoder.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn a_read_into_no_room_is_not_the_end() {
    let stored = encode(b"content", Compression::Gzip);
    let mut decoder = Decoder::new(&stored[..], Compression::Gzip, Limits::default()).unwrap();
    assert_eq!(decoder.read(&mut []).unwrap(), 0);
    let mut plain = String::new();
    decoder.read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "content");
    let mut sink = Encoder::new(Vec::new(), EncoderOptions::default()).unwrap();
    assert_eq!(sink.write(&[]).unwrap(), 0);
}
