//! JSON as a tree that is written in its canonical form (RFC 8785): the same value is the same bytes, whoever wrote it.
//!
//! Members are sorted by the UTF-16 of their names, there are no blanks, and numbers are written as JavaScript and Go write
//! them, by way of 64 bits. Of two members of one name the last counts, as it does in Go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::kinds::canonical::number;

/// Lists and objects within one another.
const DEEPEST: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Nothing,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a value, at most [`DEEPEST`] deep.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::at(text, DEEPEST)
    }

    fn at(text: &str, left: usize) -> Result<Self, String> {
        let told = |error: serde_json::Error| error.to_string();
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let left = left
            .checked_sub(1)
            .ok_or_else(|| format!("more than {DEEPEST} lists and objects lie within one another"))?;
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(told)?;
                let member =
                    |(name, value): (String, Box<RawValue>)| Ok((name, Self::at(value.get(), left)?));
                Self::Object(members.into_iter().map(member).collect::<Result<_, String>>()?)
            }
            Some(b'[') => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(told)?;
                Self::List(items.iter().map(|item| Self::at(item.get(), left)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text).map_err(told)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text).map_err(told)?),
            Some(b'n') => {
                let () = serde_json::from_str(text).map_err(told)?;
                Self::Nothing
            }
            _ => {
                // Rust reads more than JSON can say, and serde_json reads numbers less exactly.
                let _: serde_json::Number = serde_json::from_str(text).map_err(told)?;
                let value: f64 = text.parse().map_err(|_| "a number is none")?;
                Self::Number(
                    Some(value).filter(|it| it.is_finite()).ok_or("a number is larger than 64 bits hold")?,
                )
            }
        })
    }

    /// The canonical form.
    pub(super) fn to_canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// A member of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The text of a member; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    /// The members of an object that is a member, by their names.
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = (&String, &Self)> {
        let members = match self.get(name) {
            Some(Self::Object(members)) => Some(members),
            _ => None,
        };
        members.into_iter().flatten()
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Nothing => text.push_str("null"),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) => text.push_str(&number(*value).unwrap_or_default()),
            Self::Text(value) => string(value, text),
            Self::List(items) => {
                text.push('[');
                for (count, item) in items.iter().enumerate() {
                    text.push_str(if count > 0 { "," } else { "" });
                    item.write(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
                text.push('{');
                for (count, (name, value)) in members.into_iter().enumerate() {
                    text.push_str(if count > 0 { "," } else { "" });
                    string(name, text);
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
        }
    }
}

fn string(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                // Writing to a text cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 8785, section 3.2.
    #[test]
    fn rfc_8785_values_are_written_in_one_way() {
        let given = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let wanted = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(Json::parse(given).unwrap().to_canonical(), wanted);
    }

    #[test]
    fn rfc_8785_members_are_sorted_by_their_utf_16() {
        let given = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        let text = Json::parse(given).unwrap().to_canonical();
        let order = [":2", ":4", ":6", ":7", ":1", ":5", ":3"].map(|member| text.find(member).unwrap());
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "nul", "[1,]", "01", "+1", "inf", "NaN", "1e999", "\"a", "{} x"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert!(Json::parse(&deep).unwrap_err().contains("64"));
    }
}
