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
    }

    #[test]
    fn what_is_of_another_sort_is_not_told_and_the_rest_is() {
        let read = |text: &str| object::<Sample>(text.as_bytes());
        assert_eq!(read(r#"{"name": 1, "more": {}}"#).unwrap().name.text(), None);
        assert_eq!(read(r#" {"name": "a"}"#).unwrap().name.text(), Some("a"));
        for text in ["", "[]", "[\"a\"]", "{", "{} x", "{\"name\":\"a\",\"name\":\"b\"}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
