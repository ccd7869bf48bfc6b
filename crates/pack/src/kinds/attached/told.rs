//! JSON of strangers, read as far as it is what one hopes for: a member of another sort is one that is not told.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A member that may be missing, or something else.
#[derive(Debug, Clone)]
pub(super) struct Told<T>(pub(super) Option<T>);

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// A list, whose elements each may be something else.
pub(super) type List<T> = Told<Vec<Told<T>>>;

impl<T> Told<Vec<Told<T>>> {
    /// Those that are what they should be.
    pub(super) fn each(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().filter_map(|element| element.0.as_ref())
    }

    /// How many there are, whatever they are.
    pub(super) fn count(&self) -> Option<usize> {
        self.0.as_ref().map(Vec::len)
    }
}

impl Told<String> {
    /// The text, unless it is empty.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

/// An object; of what it is not, the reason.
pub(super) fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // A struct would be read from a list, too.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        name: Told<String>,
        parts: List<u32>,
    }

    #[test]
    fn what_is_of_another_sort_is_not_told_and_the_rest_is() {
        let read = |text: &str| object::<Sample>(text.as_bytes());
        let sample = read(r#"{"name": 1, "parts": [1, "x", 3], "more": {}}"#).unwrap();
        assert_eq!((sample.name.text(), sample.parts.count()), (None, Some(3)));
        assert_eq!(sample.parts.each().copied().collect::<Vec<_>>(), [1, 3]);
        let sample = read(r#" {"name": "a", "parts": "none"}"#).unwrap();
        assert_eq!((sample.name.text(), sample.parts.count()), (Some("a"), None));
        for text in ["", "[]", "[\"a\"]", "{", "{} x", "{\"name\":\"a\",\"name\":\"b\"}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
