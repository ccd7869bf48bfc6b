//! Texts that become digests, tags, references, locations and names: what is read is printed, and read again as the same.

use transship_layout::Name;
use transship_spec::{Digest, Location, Reference, Tag, quote, referrers, split_digest};

/// The body.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    digests(text);
    tags(text);
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
        assert_eq!(reference.clone().or_latest().or_latest(), reference.clone().or_latest());
        let name = Name::full(&reference);
        assert_eq!(Name::parse(name.as_str()).unwrap().as_str(), name.as_str(), "a name is read as it is");
    }
    if let Ok(location) = Location::parse(text) {
        assert_eq!(Location::parse(&location.to_string()), Ok(location.clone()));
        assert_eq!(location.is_remote(), location.path().is_none());
    }
    if let Ok(name) = Name::parse(text) {
        assert_eq!(Name::parse(name.as_str()).unwrap(), name);
        assert!(!name.as_str().chars().any(char::is_control));
    }
    let quoted = quote(text);
    assert!(!quoted.chars().any(char::is_control), "{quoted}");
    assert!(quoted.chars().count() <= 123 * 10, "it is cut");
}

fn digests(text: &str) {
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
        assert!(text.len() <= Digest::MAX_LEN);
        assert!(!digest.encoded().contains(['/', '.']), "it becomes part of a path");
        assert!(!digest.algorithm().contains('/') && !digest.algorithm().starts_with('.'));
        let tag = referrers::fallback_tag(&digest);
        assert!(Tag::parse(tag.as_str()).is_ok());
        if digest.algorithm() == "sha256" {
            assert_eq!(referrers::subject_of_fallback_tag(tag.as_str()), Some(digest));
        }
    }
    if let Some((before, digest)) = split_digest(text) {
        assert_eq!(format!("{before}@{digest}"), text);
    }
}

fn tags(text: &str) {
    if let Ok(tag) = Tag::parse(text) {
        assert_eq!(tag.as_str(), text);
        assert!((1..=128).contains(&text.len()));
    }
    if let Some((digest, suffix)) = referrers::digest_tag(text) {
        assert_eq!(format!("{}.{suffix}", referrers::fallback_tag(&digest)), text);
    }
}
