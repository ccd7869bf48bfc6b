//! A build without zstd says so.

use transship_codec::{Compression, Decoder, Encoder, EncoderOptions, Limits, recipe};
use transship_spec::Kind;

#[test]
fn zstd_is_unsupported_and_not_mistaken_for_something_else() {
    let frame = b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51";
    let kinds = [
        Decoder::sniff(&frame[..], Limits::default()).err().map(|error| error.kind()),
        Decoder::new(&frame[..], Compression::Zstd, Limits::default()).err().map(|error| error.kind()),
        Encoder::new(Vec::new(), EncoderOptions { compression: Compression::Zstd, ..Default::default() })
            .err()
            .map(|error| error.kind()),
        recipe(Compression::Zstd, None).err().map(|error| error.kind()),
    ];
    assert_eq!(kinds, [Some(Kind::Unsupported); 4]);
    assert!(!Compression::Zstd.is_supported());
}
