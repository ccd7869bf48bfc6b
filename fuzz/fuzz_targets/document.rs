//! Bytes that become documents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transship_spec::{Document, ImageConfig, json};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes.to_vec(), None) {
        assert_eq!(&document.bytes()[..], bytes);
        let again = Document::verify(bytes.to_vec(), &document.descriptor());
        assert_eq!(again.map(|again| again.children().len()), Ok(document.children().len()));
    }
    if let Ok(config) = ImageConfig::parse(bytes) {
        let written = config.to_bytes();
        let again = ImageConfig::parse(&written).map(|again| again.to_bytes());
        assert_eq!(again, Ok(written));
    }
    if json::validate(bytes).is_ok() {
        let whole = 0..bytes.len();
        let _ = json::members(bytes, whole.clone());
        let _ = json::elements(bytes, whole);
    }
});
