//! Texts that become names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transship_spec::{Digest, Location, MediaType, Platform, Reference, Tag, referrers};

fuzz_target!(|text: &str| {
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
        assert!(!digest.encoded().contains(['/', '.']));
        assert!(Tag::parse(referrers::fallback_tag(&digest).as_str()).is_ok());
    }
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
    }
    if let Ok(location) = Location::parse(text) {
        assert_eq!(Location::parse(&location.to_string()), Ok(location));
    }
    if let Ok(platform) = Platform::parse(text) {
        let _ = platform.fitness(&platform);
        assert_eq!(platform.normalized().normalized(), platform.normalized());
    }
    let _ = MediaType::parse_content_type(text);
});
