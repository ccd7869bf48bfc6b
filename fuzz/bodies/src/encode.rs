//! Bytes that are compressed: a level, how often the rest comes, and the rest.

use std::io::{Read as _, Write as _};

use transship_codec::{Compression, Decoder, Encoder, EncoderOptions, Limits};

/// Plain bytes, at most: more than two of the blocks that gzip is cut into.
const MAX: usize = 9 << 18;

/// The body.
pub fn run(bytes: &[u8]) {
    let Some((&[level, times], rest)) = bytes.split_first_chunk() else { return };
    let level = Some(i32::from(level % 9) + 1);
    // Squared, so that the edges of blocks are reached as well as short inputs.
    let plain = rest.repeat(usize::from(times).pow(2) + 1);
    let plain = &plain[..plain.len().min(MAX)];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let options = EncoderOptions { compression, level, threads: 1 };
        let stored = encode(plain, options, usize::MAX);
        let other = encode(plain, EncoderOptions { threads: 3, ..options }, 4099);
        assert!(stored == other, "the bytes depend on threads or on how they came");
        let mut decoder = Decoder::new(&*stored, compression, Limits::default()).unwrap();
        let mut back = Vec::new();
        decoder.read_to_end(&mut back).unwrap();
        assert!(back == plain, "what was compressed comes out again");
    }
}

fn encode(plain: &[u8], options: EncoderOptions, piece: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), options).unwrap();
    plain.chunks(piece).for_each(|piece| encoder.write_all(piece).unwrap());
    encoder.finish().unwrap()
}
