//! What bytes are compressed with, by their first few.

use crate::{Compression, Error};

/// How many bytes [`detect`] needs to tell everything it can tell; with fewer it tells what it can.
pub const MAGIC_LEN: usize = 10;

/// What the first bytes of a stream look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detected {
    /// Nothing known: taken for plain.
    Plain,
    /// Gzip.
    Gzip,
    /// Zstd, perhaps with a skippable frame first.
    Zstd,
    /// Xz, which this crate does not read.
    Xz,
    /// Bzip2, which this crate does not read.
    Bzip2,
}

impl Detected {
    /// The compression to decode it with.
    ///
    /// # Errors
    /// [`Error::Unsupported`], naming it, for what this crate does not read.
    pub fn compression(self) -> Result<Compression, Error> {
        match self {
            Self::Plain => Ok(Compression::None),
            Self::Gzip => Ok(Compression::Gzip),
            Self::Zstd => Ok(Compression::Zstd),
            Self::Xz => Err(Error::Unsupported("xz".to_owned())),
            Self::Bzip2 => Err(Error::Unsupported("bzip2".to_owned())),
        }
    }
}

/// Tells a compression by its magic number.
///
/// ```
/// use transship_codec::{Detected, detect};
/// assert_eq!(detect(b"\x1f\x8b\x08\x00"), Detected::Gzip);
/// assert_eq!(detect(b"etc/passwd\0"), Detected::Plain);
/// ```
#[must_use]
pub fn detect(prefix: &[u8]) -> Detected {
    match prefix {
        [0x1f, 0x8b, ..] => Detected::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Detected::Zstd,
        // The sixteen magic numbers of skippable frames, which pzstd and estargz-like formats may put first.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Detected::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Detected::Xz,
        // The level alone would take a tar whose first file is called `BZh1` for bzip2: a block or the end must follow.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Detected::Bzip2,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Detected::Bzip2,
        _ => Detected::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magic_number_is_known() {
        for (prefix, detected) in [
            (&b"\x1f\x8b"[..], Detected::Gzip),
            (b"\x28\xb5\x2f\xfd\x00", Detected::Zstd),
            (b"\x50\x2a\x4d\x18\x00", Detected::Zstd),
            (b"\x5f\x2a\x4d\x18\x00", Detected::Zstd),
            (b"\xfd7zXZ\x00\x00", Detected::Xz),
            (b"BZh91AY&SY", Detected::Bzip2),
            (b"BZh1\x17\x72\x45\x38\x50\x90", Detected::Bzip2),
        ] {
            assert_eq!(detect(prefix), detected, "{prefix:x?}");
        }
    }

    #[test]
    fn what_only_begins_like_a_magic_number_is_plain() {
        for prefix in
            [&b""[..], b"\x1f", b"\x28\xb5\x2f", b"\x60\x2a\x4d\x18", b"BZh1\0\0\0\0\0\0", b"\xfd7zXY\0"]
        {
            assert_eq!(detect(prefix), Detected::Plain, "{prefix:x?}");
        }
    }

    #[test]
    fn case_t20_xz_is_refused_by_name() {
        let error = Detected::Xz.compression().unwrap_err();
        assert_eq!(error.to_string(), "unsupported compression \"xz\"");
        assert_eq!(error.kind(), transship_spec::Kind::Unsupported);
    }
}
