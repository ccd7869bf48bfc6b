//! What holds for every text and every document, not only for those that somebody thought of.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use transship_spec::{
    Descriptor, Digest, Document, ImageConfig, Index, Location, Manifest, MediaType, Platform, Reference,
    Tag, json, referrers,
};

fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|seed| Digest::sha256(&seed)),
        any::<[u8; 4]>().prop_map(|seed| Digest::sha512(&seed)),
        "[a-z0-9]{1,6}([+._-][a-z0-9]{1,6}){1,2}:[a-zA-Z0-9=_-]{1,80}"
            .prop_filter_map("registered", |text| Digest::parse(&text).ok()),
    ]
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let annotations = prop::collection::btree_map(".{0,8}", ".{0,8}", 0..3);
    (digest(), 0..i64::MAX as u64, "[a-z]{1,9}/[a-z0-9][a-z0-9.+-]{0,20}", annotations).prop_map(
        |(digest, size, media_type, annotations)| Descriptor {
            annotations,
            ..Descriptor::new(MediaType::parse(&media_type).unwrap(), digest, size)
        },
    )
}

/// Texts in which the characters that grammars are made of are frequent.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"[a-zA-Z0-9:/@.\[\]_+=-]{0,60}",
        r"(oci|docker|oci-archive):[a-z:/@.\[\]]{0,20}"
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic_and_what_is_read_is_printed_and_read_again(text in text()) {
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert_eq!(digest.to_string(), &*text);
            prop_assert!(!digest.encoded().contains(['/', '.']));
        }
        if let Ok(tag) = Tag::parse(&text) {
            prop_assert_eq!(tag.as_str(), &*text);
        }
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
        if let Ok(platform) = Platform::parse(&text) {
            prop_assert_eq!(Platform::parse(&platform.to_string()), Ok(platform.clone()));
            let normal = platform.normalized();
            prop_assert_eq!(normal.normalized(), normal);
        }
        if let Ok(location) = Location::parse(&text) {
            prop_assert_eq!(Location::parse(&location.to_string()), Ok(location));
        }
    }

    #[test]
    fn no_bytes_make_a_document_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(bytes.clone(), None);
        let _ = ImageConfig::parse(&bytes);
        if json::validate(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok());
        }
    }

    #[test]
    fn a_descriptor_survives_being_written(descriptor in descriptor()) {
        let text = serde_json::to_string(&descriptor).unwrap();
        prop_assert!(json::validate(text.as_bytes()).is_ok());
        prop_assert_eq!(serde_json::from_str::<Descriptor>(&text).unwrap(), descriptor);
    }

    #[test]
    fn what_we_make_is_read_as_what_it_was_made_of(
        config in descriptor(),
        layers in prop::collection::vec(descriptor(), 0..4),
        subject in prop::option::of(descriptor()),
    ) {
        let manifest = Manifest { subject, ..Manifest::new(config, layers.clone()) };
        let document = manifest.to_document().unwrap();
        prop_assert_eq!(document.as_manifest(), Some(&manifest));
        let again = Document::verify(document.bytes().clone(), &document.descriptor()).unwrap();
        let rewritten = again.as_manifest().unwrap().to_document().unwrap();
        prop_assert_eq!(rewritten.bytes(), document.bytes());
        let index = Index::new(layers);
        let document = index.to_document().unwrap();
        prop_assert_eq!(document.as_index(), Some(&index));
    }

    #[test]
    fn a_flipped_bit_is_always_found(config in descriptor(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let document = Manifest::new(config, vec![]).to_document().unwrap();
        let mut bytes = document.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Document::verify(bytes, &document.descriptor()).is_err());
    }

    #[test]
    fn lists_of_referrers_hold_the_same_whatever_the_order_in_which_they_grew(
        mut all in prop::collection::vec(descriptor(), 1..6),
    ) {
        let grow = |referrers: &[Descriptor]| {
            let list = referrers.iter().fold(None, |list: Option<Document>, referrer| {
                let grown = referrers::merge(list.as_ref(), referrer.clone());
                grown.map(|bytes| Document::parse(bytes, None).unwrap()).or(list)
            });
            let mut digests: Vec<_> = list.unwrap().as_index().unwrap().manifests.iter().map(|d| d.digest.clone()).collect();
            digests.sort();
            digests
        };
        let forwards = grow(&all);
        all.reverse();
        prop_assert_eq!(forwards, grow(&all));
    }
}
