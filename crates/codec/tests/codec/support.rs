//! Input that is the same on every machine, and short ways there and back.

use std::io::{Read, Write};

use transship_codec::{Compression, Decoder, Encoder, EncoderOptions, Error, Limits};

/// The compressions of this build.
pub(crate) fn compressions() -> Vec<Compression> {
    [Compression::None, Compression::Gzip, Compression::Zstd]
        .into_iter()
        .filter(|c| c.is_supported())
        .collect()
}

/// Text with some noise in it, `length` bytes long; it compresses about as well as a root filesystem.
pub(crate) fn sample(length: usize, seed: u64) -> Vec<u8> {
    let mut sample = Vec::with_capacity(length + 64);
    let mut state = seed | 1;
    while sample.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 5 {
            0 => sample.extend_from_slice(&state.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()),
            1 => sample.extend(std::iter::repeat_n(0, (state >> 32) as usize % 60)),
            _ => {
                sample.extend_from_slice(format!("lib/module_{}/init.py\n", (state >> 20) % 9973).as_bytes());
            }
        }
    }
    sample.truncate(length);
    sample
}

/// Encodes `data` in writes of the sizes given, over and over; none means one write.
pub(crate) fn encode_in(data: &[u8], options: EncoderOptions, writes: &[usize]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), options).unwrap();
    let (mut rest, mut sizes) = (data, writes.iter().cycle());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sizes.next().copied().unwrap_or(rest.len()).min(rest.len()));
        encoder.write_all(now).unwrap();
        rest = later;
    }
    encoder.finish().unwrap()
}

/// Encodes at the default level.
pub(crate) fn encode(data: &[u8], compression: Compression) -> Vec<u8> {
    encode_in(data, EncoderOptions { compression, threads: 2, ..EncoderOptions::default() }, &[])
}

/// Decodes to the end.
pub(crate) fn decode(data: &[u8], compression: Compression) -> Result<Vec<u8>, Error> {
    decode_within(data, compression, Limits::default())
}

/// Decodes to the end within limits.
pub(crate) fn decode_within(data: &[u8], compression: Compression, limits: Limits) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    Decoder::new(data, compression, limits)?.read_to_end(&mut plain)?;
    Ok(plain)
}
