//! JSON as it is taken apart, beside another reader of it.

use serde_json::Value;
use transship_spec::{Error, json};

/// The body.
pub fn run(bytes: &[u8]) {
    let whole = 0..bytes.len();
    let outline = json::outline(bytes);
    match json::validate(bytes) {
        Ok(()) => {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(), "both take it");
            let is_object = json::members(bytes, whole.clone()).is_ok();
            let has_much = matches!(outline, Err(Error::Limit { .. }));
            assert!(outline.is_ok() == is_object || has_much);
        }
        Err(error) => {
            assert!(outline.is_err());
            let twice = matches!(error, Error::Json { reason, .. } if reason.contains("twice"));
            let limit = matches!(error, Error::Limit { .. });
            assert!(
                twice || limit || serde_json::from_slice::<Value>(bytes).is_err(),
                "{error}: only one takes it"
            );
            return;
        }
    }
    if let Ok(outline) = outline {
        let members = json::members(bytes, whole.clone()).unwrap();
        assert!(outline.iter().map(|outlined| &outlined.member).eq(&members));
        let mut end = 0;
        for outlined in &outline {
            let json::Member { name, range, value } = &outlined.member;
            assert!(end < range.start && range.start < value.start && value.end == range.end);
            end = range.end;
            assert!(json::validate(&bytes[value.clone()]).is_ok());
            let key: String = serde_json::from_slice(&bytes[key_range(bytes, range.start)]).unwrap();
            assert_eq!(*name, key);
            let elements = json::elements(bytes, value.clone()).ok();
            assert_eq!(outlined.elements, elements);
            for element in elements.into_iter().flatten() {
                assert!(json::validate(&bytes[element]).is_ok());
            }
        }
    }
}

/// The quoted text that begins here.
fn key_range(bytes: &[u8], start: usize) -> std::ops::Range<usize> {
    let mut at = start + 1;
    while bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    start..at + 1
}
