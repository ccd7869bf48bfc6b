//! The query of a request, and percent-encoding.

/// The parameters of a query, decoded, in order. What cannot be decoded is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        };
        Self(pairs.filter_map(pair).collect())
    }

    /// All parameters, in order.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// The first parameter of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All parameters of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes percent-encoding. A plus stays one: media types hold them, and clients send them as they are (DIST-86).
pub(crate) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let digits = text.get(at + 1..at + 3).filter(|digits| !digits.starts_with('+'))?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

/// Encodes what may not stand in the value of a parameter.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_86_a_plus_is_the_same_encoded_or_not() {
        for text in ["artifactType=application/spdx%2Bjson", "x=1&artifactType=application%2Fspdx+json"] {
            assert_eq!(Query::parse(Some(text)).get("artifactType"), Some("application/spdx+json"));
        }
        assert_eq!(decode(&encode("a/b+c d?")).as_deref(), Some("a/b+c d?"));
    }

    #[test]
    fn what_cannot_be_decoded_is_no_text() {
        for bad in ["%", "%f", "%zz", "%+1", "%ff", "a%e4", "%\u{e4}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(Query::parse(Some("a=%ff&b=1&&c")).get("b"), Some("1"));
        assert_eq!(Query::parse(Some("tag=a&tag=b")).all("tag").collect::<Vec<_>>(), ["a", "b"]);
    }
}
