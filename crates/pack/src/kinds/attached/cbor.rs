//! CBOR (RFC 8949), as much as it takes to find the payload and the headers of a COSE signature. Only what is of definite
//! length is read, as notation writes it; all else is nothing.

/// The deepest nesting, and the most elements of one list, that are passed over.
const DEPTH: usize = 16;
const MOST: u64 = 4096;

/// A value that is told; all others are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Other,
}

/// The parts of a COSE signature of one signer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sign1<'a> {
    pub(super) protected: Vec<(Value<'a>, Value<'a>)>,
    pub(super) unprotected: Vec<(Value<'a>, Value<'a>)>,
    pub(super) payload: &'a [u8],
}

/// Takes a COSE signature apart.
pub(super) fn sign1(bytes: &[u8]) -> Option<Sign1<'_>> {
    let mut reader = Reader(bytes);
    let mut head = reader.head()?;
    if head == (6, 18) {
        head = reader.head()?;
    }
    if head != (4, 4) {
        return None;
    }
    let protected = reader.bytes()?;
    let unprotected = reader.map()?;
    let payload = reader.bytes()?;
    reader.bytes()?;
    Some(Sign1 { protected: Reader(protected).map()?, unprotected, payload })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The major type of an item, and its number or length.
    fn head(&mut self) -> Option<(u8, u64)> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        let number = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            wide @ 24..=27 => {
                let bytes = self.take(1 << (wide - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some((first >> 5, number))
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.head()? {
            (2, length) => self.take(length),
            _ => None,
        }
    }

    fn map(&mut self) -> Option<Vec<(Value<'a>, Value<'a>)>> {
        match self.head()? {
            (5, count @ 0..=MOST) => {
                (0..count).map(|_| Some((self.value(DEPTH)?, self.value(DEPTH)?))).collect()
            }
            _ => None,
        }
    }

    /// The next item. Of a list the first of its byte strings counts, as for chains of certificates.
    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        let depth = depth.checked_sub(1)?;
        Some(match self.head()? {
            (0, number) => Value::Number(number),
            (1 | 7, _) => Value::Other,
            (2, length) => Value::Bytes(self.take(length)?),
            (3, length) => Value::Text(std::str::from_utf8(self.take(length)?).ok()?),
            (4, count @ 0..=MOST) => {
                let mut first = Value::Other;
                for number in 0..count {
                    let value = self.value(depth)?;
                    if number == 0 && matches!(value, Value::Bytes(_)) {
                        first = value;
                    }
                }
                first
            }
            (5, count @ 0..=MOST) => {
                for _ in 0..count {
                    self.value(depth)?;
                    self.value(depth)?;
                }
                Value::Other
            }
            (6, _) => self.value(depth)?,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The envelope of notation-core-go's signature/cose/testdata/conformance.json, less its signature's bytes.
    fn sample() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/kinds/attached/conformance.cose");
        std::fs::read(path).unwrap()
    }

    #[test]
    fn the_envelope_of_the_conformance_test_tells_its_payload_and_headers() {
        let sample = sample();
        let sign1 = sign1(&sample).unwrap();
        assert_eq!(sign1.payload, b"hello COSE");
        let scheme =
            sign1.protected.iter().find(|(key, _)| *key == Value::Text("io.cncf.notary.signingScheme"));
        assert_eq!(scheme.unwrap().1, Value::Text("notary.x509"));
        assert_eq!(sign1.unprotected[0].1, Value::Text("NotationConformanceTest/1.0.0"));
    }

    #[test]
    fn what_is_cut_or_nested_without_end_is_nothing() {
        let sample = sample();
        for length in 0..sample.len() {
            assert_eq!(sign1(&sample[..length]), None, "{length}");
        }
        let mut deep = vec![0xd2, 0x84, 0x40];
        deep.extend(vec![0xa1; 100_000]);
        assert_eq!(sign1(&deep), None);
        for many in [&[0xd2, 0x84, 0x40, 0xbb, 255, 255, 255, 255, 255, 255, 255, 255][..], &[0x84, 0x5f]] {
            assert_eq!(sign1(many), None);
        }
    }
}
