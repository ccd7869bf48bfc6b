//! Gzip as it is met in the wild (IMG-95).

use std::io::Read;

use transship_codec::{Compression, Decoder, Error, Limits};
use transship_spec::Kind;

use crate::support::{decode, encode, sample};

const GZIP: Compression = Compression::Gzip;

fn refused(data: &[u8]) -> String {
    let error = decode(data, GZIP).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    error.to_string()
}

/// A header with every optional field, before the deflated data and trailer of an ordinary file.
fn dressed(plain: &[u8]) -> Vec<u8> {
    let mut file = b"\x1f\x8b\x08\x1e\x01\x02\x03\x04\x02\x03\x05\0extraname\0a comment\0\xab\xcd".to_vec();
    file.extend_from_slice(&encode(plain, GZIP)[10..]);
    file
}

#[test]
fn img_95_every_member_of_a_file_is_read() {
    let members = [encode(b"one ", GZIP), encode(b"", GZIP), dressed(b"two "), encode(b"three", GZIP)];
    assert_eq!(decode(&members.concat(), GZIP).unwrap(), b"one two three");
}

#[test]
fn img_95_nul_bytes_after_the_last_member_are_padding() {
    let mut file = encode(b"content", GZIP);
    file.resize(file.len() + 100_000, 0);
    let mut reader = &file[..];
    let mut plain = Vec::new();
    Decoder::new(&mut reader, GZIP, Limits::default()).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!(plain, b"content");
    assert!(reader.is_empty(), "a hash taken underneath covers the padding too");
}

#[test]
fn case_t19_trailing_garbage_is_refused() {
    let file = encode(b"content", GZIP);
    for garbage in [&b"x"[..], b"\0\0\0x", b"\0\x1f\x8b", b"trailing"] {
        assert!(refused(&[&file, garbage].concat()).contains("garbage after the last member"), "{garbage:?}");
    }
    assert!(refused(&[&file[..], b"\x1fx\0\0\0"].concat()).contains("not a gzip header"));
}

#[test]
fn a_file_cut_anywhere_is_truncated_and_not_shorter() {
    let file = [dressed(b"some content, "), encode(b"and more of it", GZIP)].concat();
    let boundary = dressed(b"some content, ").len();
    for length in (0..file.len()).filter(|&length| length != boundary) {
        let error = decode(&file[..length], GZIP).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { offset, .. } if offset == length as u64),
            "{length}: {error}"
        );
    }
}

#[test]
fn what_a_header_may_not_say_is_refused() {
    let mut file = encode(b"content", GZIP);
    file[2] = 7;
    assert!(refused(&file).contains("a compression method other than deflate"));
    file[2] = 8;
    file[3] = 0x80;
    assert!(refused(&file).contains("reserved flags"));
    assert!(refused(b"not gzip at all").contains("not a gzip header"));
}

#[test]
fn a_header_cannot_have_a_name_without_end() {
    let file = [b"\x1f\x8b\x08\x08\0\0\0\0\0\0", &[b'a'; 1 << 17][..]].concat();
    assert_eq!(decode(&file, GZIP).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn a_wrong_checksum_or_size_is_refused() {
    let good = encode(b"content", GZIP);
    let mut wrong = good.clone();
    wrong[good.len() - 8] ^= 1;
    assert!(refused(&wrong).contains("the checksum does not match"));
    let mut wrong = good.clone();
    wrong[good.len() - 1] ^= 1;
    assert!(refused(&wrong).contains("the size does not match"));
}

#[test]
fn a_flipped_bit_anywhere_is_refused_or_changes_nothing() {
    let data = sample(3000, 11);
    let good = encode(&data, GZIP);
    for byte in 10..good.len() {
        let mut wrong = good.clone();
        wrong[byte] ^= 0x10;
        // Another distance can lead to the same bytes, and those behind the end mark mean nothing.
        assert!(
            decode(&wrong, GZIP).is_ok_and(|plain| plain == data) || decode(&wrong, GZIP).is_err(),
            "byte {byte}"
        );
    }
}

/// What another implementation, in another language, makes of our bytes: `gzip` is on every Unix.
#[test]
#[cfg(unix)]
fn gzip_itself_reads_what_we_write() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let data = sample((3 << 20) + 5, 12);
    let mut child =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stored = encode(&data, GZIP);
    let writer = std::thread::spawn(move || stdin.write_all(&stored).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success() && output.stdout == data);
}

#[test]
fn a_reader_that_knows_one_member_only_reads_all_we_write() {
    let data = sample((2 << 20) + 77, 13);
    let stored = encode(&data, GZIP);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&stored[..]).read_to_end(&mut plain).unwrap();
    assert!(plain == data);
}
