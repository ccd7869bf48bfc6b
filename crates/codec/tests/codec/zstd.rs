//! Zstd as it is met in the wild (IMG-95).

use std::io::Read;

use transship_codec::{Compression, Decoder, Error, Limits};
use transship_spec::Kind;

use crate::support::{decode, decode_within, encode, sample};

const ZSTD: Compression = Compression::Zstd;

fn skippable(content: &[u8]) -> Vec<u8> {
    [b"\x53\x2a\x4d\x18", &u32::try_from(content.len()).unwrap().to_le_bytes()[..], content].concat()
}

#[test]
fn img_95_every_frame_is_read_and_skippable_ones_are_passed_over() {
    let file = [
        skippable(b"first"),
        encode(b"one ", ZSTD),
        skippable(b""),
        encode(b"", ZSTD),
        skippable(&[7; 200_000]),
        encode(b"two", ZSTD),
        skippable(b"last"),
    ]
    .concat();
    assert_eq!(decode(&file, ZSTD).unwrap(), b"one two");
    let mut plain = String::new();
    Decoder::sniff(&file[..], Limits::default()).unwrap().read_to_string(&mut plain).unwrap();
    assert_eq!(plain, "one two");
}

#[test]
fn a_file_cut_anywhere_is_truncated_and_not_shorter() {
    let (one, two, three) =
        (encode(b"some content, ", ZSTD), skippable(b"skipped"), encode(b"and more", ZSTD));
    let boundaries = [one.len(), one.len() + two.len()];
    let file = [one, two, three].concat();
    for length in (0..file.len()).filter(|length| !boundaries.contains(length)) {
        let error = decode(&file[..length], ZSTD).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { offset, .. } if offset == length as u64),
            "{length}: {error}"
        );
    }
}

#[test]
fn case_t19_trailing_garbage_is_refused() {
    let file = [&encode(b"content", ZSTD)[..], b"garbage"].concat();
    assert_eq!(decode(&file, ZSTD).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn case_t20_a_window_of_two_gib_is_a_limit_and_not_an_allocation() {
    let window_log_31 = (31_u8 - 10) << 3;
    let file = [&b"\x28\xb5\x2f\xfd\x00"[..], &[window_log_31], &[0; 64]].concat();
    let error = decode(&file, ZSTD).unwrap_err();
    assert!(
        matches!(error, Error::Limit { what: "zstd window in bytes", limit } if limit == 1 << 27),
        "{error}"
    );
}

#[test]
fn a_smaller_window_can_be_asked_for() {
    let file = encode(&sample(9 << 20, 21), ZSTD);
    let small = Limits { max_window_log: 20, ..Limits::default() };
    assert_eq!(decode_within(&file, ZSTD, small).unwrap_err().kind(), Kind::Limit);
    assert!(decode(&file, ZSTD).is_ok());
}

#[test]
fn every_level_we_write_stays_within_the_window_we_read() {
    use transship_codec::EncoderOptions;
    let data = sample(1 << 20, 22);
    let highest = EncoderOptions { compression: ZSTD, level: Some(19), threads: 1 };
    let file = crate::support::encode_in(&data, highest, &[]);
    assert!(decode_within(&file, ZSTD, Limits { max_window_log: 23, ..Limits::default() }).unwrap() == data);
}

#[test]
fn it_is_one_frame() {
    let data = sample(20 << 20, 23);
    let mut plain = Vec::new();
    let stored = encode(&data, ZSTD);
    ::zstd::stream::read::Decoder::with_buffer(&stored[..])
        .unwrap()
        .single_frame()
        .read_to_end(&mut plain)
        .unwrap();
    assert!(plain == data);
}
