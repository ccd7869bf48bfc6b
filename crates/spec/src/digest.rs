//! Digests: names made from content (IMG-20…26).
//!
//! A [`Digest`] exists only when its text fits the grammar, so that it can become part of a path without a look at
//! `..` or `/`. Registered algorithms must have the exact length in lower-case hexadecimal; others pass as long as
//! they fit the grammar and are carried, but cannot be verified here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

use crate::Error;

/// A validated digest: `algorithm:encoded`.
///
/// SHA-256 is held inline (40 bytes in all), so that a million of them are cheap. The order is sha256, then sha512,
/// then others by their text.
///
/// ```
/// use transship_spec::Digest;
///
/// let digest = Digest::sha256(b"{}");
/// assert_eq!(digest.algorithm(), "sha256");
/// assert_eq!(digest, digest.to_string().parse()?);
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Sha256([u8; 32]),
    Sha512(Box<[u8; 64]>),
    Other(Box<str>),
}

impl Digest {
    /// The longest digest accepted, in bytes of text. Four times what any registered algorithm needs; it keeps a
    /// digest usable as a file name.
    pub const MAX_LEN: usize = 512;

    /// Reads a digest from its text.
    ///
    /// # Errors
    /// [`Error::Digest`] names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Err(Error::Digest { text: text.to_owned(), reason });
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return refuse("no colon between algorithm and value");
        };
        if text.len() > Self::MAX_LEN {
            return refuse("it is longer than 512 bytes");
        }
        if !is_algorithm(algorithm) {
            return refuse("the algorithm is not lower-case words joined by one of + . _ -");
        }
        if encoded.is_empty() || !encoded.bytes().all(is_encoded) {
            return refuse("the value has characters outside a-z A-Z 0-9 = _ -");
        }
        match algorithm {
            "sha256" => match unhex(encoded) {
                Some(bytes) => Ok(Self(Repr::Sha256(bytes))),
                None => refuse("sha256 takes exactly 64 lower-case hexadecimal digits"),
            },
            "sha512" => match unhex(encoded) {
                Some(bytes) => Ok(Self(Repr::Sha512(Box::new(bytes)))),
                None => refuse("sha512 takes exactly 128 lower-case hexadecimal digits"),
            },
            "blake3" if unhex::<32>(encoded).is_none() => {
                refuse("blake3 takes exactly 64 lower-case hexadecimal digits")
            }
            _ => Ok(Self(Repr::Other(text.into()))),
        }
    }

    /// The SHA-256 of `content`.
    #[must_use]
    pub fn sha256(content: &[u8]) -> Self {
        Self(Repr::Sha256(Sha256::digest(content).into()))
    }

    /// The SHA-512 of `content`.
    #[must_use]
    pub fn sha512(content: &[u8]) -> Self {
        Self(Repr::Sha512(Box::new(Sha512::digest(content).into())))
    }

    /// The part before the colon, such as `sha256`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        match &self.0 {
            Repr::Sha256(_) => "sha256",
            Repr::Sha512(_) => "sha512",
            Repr::Other(text) => text.split_once(':').map_or("", |(algorithm, _)| algorithm),
        }
    }

    /// The part after the colon. It has no `/` and no `.`, so it is one plain file name.
    #[must_use]
    pub fn encoded(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Sha256(bytes) => hex(bytes).into(),
            Repr::Sha512(bytes) => hex(&bytes[..]).into(),
            Repr::Other(text) => text.split_once(':').map_or("", |(_, encoded)| encoded).into(),
        }
    }

    /// The first twelve characters of the encoded part, for people to read.
    #[must_use]
    pub fn short(&self) -> String {
        self.encoded().chars().take(12).collect()
    }

    /// A hasher of this digest's algorithm; `None` when the algorithm is not built in (IMG-23: unverifiable, not
    /// invalid).
    #[must_use]
    pub fn hasher(&self) -> Option<Hasher> {
        match &self.0 {
            Repr::Sha256(_) => Some(Hasher::sha256()),
            Repr::Sha512(_) => Some(Hasher::sha512()),
            Repr::Other(_) => None,
        }
    }

    /// Whether this build can verify content against the digest.
    #[must_use]
    pub fn is_verifiable(&self) -> bool {
        !matches!(self.0, Repr::Other(_))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Sha256(bytes) => write!(f, "sha256:{}", hex(bytes)),
            Repr::Sha512(bytes) => write!(f, "sha512:{}", hex(&bytes[..])),
            Repr::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Computes a digest piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A hasher for the algorithm that writers should use (IMG-21).
    #[must_use]
    pub fn sha256() -> Self {
        Self(State::Sha256(Sha256::new()))
    }

    /// A hasher for the other algorithm that registries know.
    #[must_use]
    pub fn sha512() -> Self {
        Self(State::Sha512(Box::new(Sha512::new())))
    }

    /// Takes the next piece of the content.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// The digest of all pieces taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest(Repr::Sha256(state.finalize().into())),
            State::Sha512(state) => Digest(Repr::Sha512(Box::new(state.finalize().into()))),
        }
    }
}

/// Checks content against a digest, and against a size where one is known, while it streams by.
///
/// It fails at the first byte too many (IMG-24), so nobody reads a gigabyte to learn that ten bytes were promised.
/// A digest whose algorithm is not built in is checked by size alone; [`Verifier::is_hashing`] tells.
#[derive(Clone, Debug)]
pub struct Verifier {
    expected: Digest,
    size: Option<u64>,
    seen: u64,
    hasher: Option<Hasher>,
}

impl Verifier {
    /// A verifier for content of this digest and, where it is known, this size in bytes.
    #[must_use]
    pub fn new(expected: &Digest, size: Option<u64>) -> Self {
        Self { expected: expected.clone(), size, seen: 0, hasher: expected.hasher() }
    }

    /// A verifier that checks the size alone, of content of which `held` bytes were taken before: for who passes the
    /// content on to somebody that hashes it, so that it is hashed once.
    #[must_use]
    pub fn of_size(expected: &Digest, size: u64, held: u64) -> Self {
        Self { expected: expected.clone(), size: Some(size), seen: held, hasher: None }
    }

    /// Whether the digest is checked, and not the size alone.
    #[must_use]
    pub fn is_hashing(&self) -> bool {
        self.hasher.is_some()
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] as soon as more bytes came than the size allows.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        if let Some(size) = self.size
            && self.seen > size
        {
            return Err(self.size_mismatch(size));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        Ok(())
    }

    /// Says whether all that came is what was expected.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] or [`Error::DigestMismatch`].
    pub fn finish(self) -> Result<(), Error> {
        if let Some(size) = self.size
            && self.seen != size
        {
            return Err(self.size_mismatch(size));
        }
        match self.hasher.map(Hasher::finish) {
            Some(actual) if actual != self.expected => {
                Err(Error::DigestMismatch { expected: self.expected, actual })
            }
            _ => Ok(()),
        }
    }

    fn size_mismatch(&self, expected: u64) -> Error {
        Error::SizeMismatch { digest: self.expected.clone(), expected, actual: self.seen }
    }
}

fn is_algorithm(text: &str) -> bool {
    let component =
        |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split(['+', '.', '_', '-']).all(component)
}

fn is_encoded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-')
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn img_20_the_whole_grammar_is_read_and_printed_unchanged() {
        for text in [
            EMPTY,
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
            "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
            "sha256+b64u.unknownlength:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=",
            "sha256.foo-bar:abc",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert_eq!(Digest::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn img_20_texts_outside_the_grammar_are_refused() {
        for text in [
            "",
            ":",
            "sha256",
            ":abc",
            "sha256:",
            "SHA256:abc",
            "sha256+foo+-b:abc",
            "+a:b",
            "a+:b",
            "foo:a b",
            "foo:a:b",
            "foo:ä",
            "foo:a\0b",
            "foo:%2e",
        ] {
            assert!(Digest::parse(text).is_err(), "{text:?}");
        }
        assert!(Digest::parse(&format!("foo:{}", "a".repeat(600))).is_err());
    }

    #[test]
    fn img_22_registered_algorithms_need_exact_lower_case_hex() {
        let hex = "a".repeat(64);
        assert!(Digest::parse(&format!("sha256:{hex}")).is_ok());
        assert!(Digest::parse(&format!("blake3:{hex}")).is_ok());
        assert!(Digest::parse(&format!("sha512:{hex}{hex}")).is_ok());
        for wrong in [&hex[1..], &format!("{hex}a"), &hex.to_uppercase(), &hex.replace('a', "g")] {
            for algorithm in ["sha256", "sha512", "blake3"] {
                assert!(Digest::parse(&format!("{algorithm}:{wrong}")).is_err(), "{algorithm}:{wrong}");
            }
        }
    }

    #[test]
    fn img_23_unknown_algorithms_are_carried_and_unverifiable() {
        let digest = Digest::parse("foo:abc").unwrap();
        assert!(!digest.is_verifiable());
        assert_eq!((digest.algorithm(), &*digest.encoded()), ("foo", "abc"));
        let mut verifier = Verifier::new(&digest, Some(3));
        verifier.update(b"xyz").unwrap();
        assert!(!verifier.is_hashing());
        verifier.finish().unwrap();
    }

    #[test]
    fn img_21_sha256_and_sha512_of_the_empty_object_are_the_known_ones() {
        assert_eq!(Digest::sha256(b"{}").to_string(), EMPTY);
        let sha512 = "sha512:27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9\
                      a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd";
        assert_eq!(Digest::sha512(b"{}").to_string(), sha512);
        assert_eq!(sha512.parse::<Digest>().unwrap().hasher().unwrap().finish(), Digest::sha512(b""));
    }

    #[test]
    fn a_verifier_of_the_size_counts_from_what_is_held() {
        let mut verifier = Verifier::of_size(&Digest::sha256(b"0123456789"), 10, 6);
        assert!(!verifier.is_hashing());
        verifier.update(b"????").unwrap();
        assert!(verifier.clone().finish().is_ok());
        assert!(verifier.update(b"?").is_err());
    }

    #[test]
    fn img_24_a_verifier_stops_at_the_first_byte_too_many() {
        let mut verifier = Verifier::new(&Digest::sha256(b"0123456789"), Some(10));
        verifier.update(b"0123456789").unwrap();
        let error = verifier.update(b"!").unwrap_err();
        assert!(error.to_string().ends_with("has more than 10 bytes, not 10"), "{error}");
    }

    #[test]
    fn img_33_short_and_flipped_content_is_refused() {
        let digest = Digest::sha256(b"0123456789");
        let mut short = Verifier::new(&digest, Some(10));
        short.update(b"012").unwrap();
        assert!(matches!(short.finish(), Err(Error::SizeMismatch { actual: 3, .. })));
        let mut flipped = Verifier::new(&digest, Some(10));
        flipped.update(b"012345678X").unwrap();
        assert!(matches!(flipped.finish(), Err(Error::DigestMismatch { .. })));
    }

    #[test]
    fn img_26_no_digest_can_leave_its_folder() {
        assert!(Digest::parse("sha256:../../etc/passwd").is_err());
        assert!(Digest::parse("foo:..").is_err());
        assert!(Digest::parse("foo/bar:abc").is_err());
        assert!(Digest::parse("..:abc").is_err());
    }

    #[test]
    fn a_sha256_digest_takes_forty_bytes() {
        assert_eq!(std::mem::size_of::<Digest>(), 40);
    }
}
