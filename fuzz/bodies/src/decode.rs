//! Bytes that claim to be compressed.

use std::io::Read;

use transship_codec::{Decoder, Limits};

use crate::single::Pieces;

const MAX: u64 = 1 << 20;

/// The body.
pub fn run(bytes: &[u8]) {
    let (at_once, in_pieces) = (decode(bytes, usize::MAX), decode(bytes, 3));
    let (Some((one, whole)), Some((other, also_whole))) = (&at_once, &in_pieces) else {
        assert_eq!(at_once.is_some(), in_pieces.is_some());
        return;
    };
    assert_eq!(whole, also_whole);
    // How much comes before an error depends on how much is read at once.
    let length = if *whole { one.len().max(other.len()) } else { one.len().min(other.len()) };
    assert!(one.get(..length) == other.get(..length), "what comes out does not depend on how it came in");
}

/// What comes out, and whether that was all.
fn decode(bytes: &[u8], piece: usize) -> Option<(Vec<u8>, bool)> {
    let limits = Limits { max_output: MAX, max_window_log: 20, ..Limits::default() };
    let mut decoder = Decoder::sniff(Pieces { content: bytes, piece }, limits).ok()?;
    let (mut buffer, mut content) = ([0; 4096], Vec::new());
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Some((content, true)),
            Ok(count) => content.extend_from_slice(&buffer[..count]),
            Err(_) => return Some((content, false)),
        }
        assert!(content.len() as u64 <= MAX, "more came out than the limit");
        assert_eq!(decoder.produced(), content.len() as u64);
        assert!(decoder.consumed() <= bytes.len() as u64);
    }
}
