//! JSON as Go writes it: what others' tools wrote can be made anew, byte for byte.
//!
//! Registries, Helm, ORAS and most of their like are written in Go, whose encoder escapes `<`, `>`, `&` and two line
//! separators in every text. All that is valid JSON and means the same; but a digest is of bytes.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// A value as compact JSON by the rules of Go's `encoding/json` since Go 1.22: no blanks, `<`, `>`, `&`, U+2028 and U+2029
/// escaped. Members stand in the order of the value; Go sorts maps, which a `BTreeMap` does, too.
///
/// # Errors
/// What the value cannot say in JSON: maps whose keys are no texts.
///
/// ```
/// let text = transship_spec::go_json(&["a < b & c", "\u{2028}"])?;
/// assert_eq!(text, r#"["a \u003c b \u0026 c","\u2028"]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn go_json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Go))?;
    // What comes of texts and ASCII is a text.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = after.chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        for (text, written) in [
            ("plain ä €", r#""plain ä €""#),
            ("<b>&amp;</b>", r#""\u003cb\u003e\u0026amp;\u003c/b\u003e""#),
            ("\u{2028}x\u{2029}", r#""\u2028x\u2029""#),
            ("\"\\/", r#""\"\\/""#),
            ("\n\r\t\u{8}\u{c}", r#""\n\r\t\b\f""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("", r#""""#),
        ] {
            assert_eq!(go_json(text).unwrap(), written, "{text:?}");
        }
    }

    #[test]
    fn keys_are_escaped_and_what_was_raw_stays_as_it_was() {
        let raw = serde_json::value::RawValue::from_string("[1,  \"<\"]".to_owned()).unwrap();
        assert_eq!(go_json(&BTreeMap::from([("<", raw)])).unwrap(), r#"{"\u003c":[1,  "<"]}"#);
    }
}
