//! Referrers: manifests that refer to another one, and the ways in which they are listed (DIST-70…75, DIST-85…89).
//!
//! One algebra for registries, layouts and servers: the descriptor under which a referrer is listed, the tag under which
//! the list is kept where a registry does not make it, and how a list grows.

use bytes::Bytes;

use crate::{Annotations, Descriptor, Digest, Document, Index, MediaType, Tag};

/// The most bytes of annotations that are copied from a referrer into a list of referrers. A list with larger ones could
/// not be pushed; they are still in the referrer itself.
pub const MAX_ANNOTATIONS: usize = 256 << 10;

/// The descriptor under which a referrer is listed: with the type of the artifact and the annotations of the manifest
/// (DIST-71).
#[must_use]
pub fn descriptor(referrer: &Document) -> Descriptor {
    let annotations = referrer.annotations();
    let length: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    Descriptor {
        artifact_type: referrer.artifact_type().cloned(),
        annotations: if length <= MAX_ANNOTATIONS { annotations.clone() } else { Annotations::new() },
        ..referrer.descriptor()
    }
}

/// The tag under which the referrers of `subject` are kept where the registry does not list them (DIST-75).
///
/// ```
/// use transship_spec::{Digest, referrers};
/// let tag = referrers::fallback_tag(&Digest::sha256(b"{}"));
/// assert_eq!(tag.as_str(), "sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
/// ```
#[must_use]
pub fn fallback_tag(subject: &Digest) -> Tag {
    let clean = |text: &str, length: usize| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.chars().take(length).map(|c| if allowed(c) { c } else { '-' }).collect::<String>()
    };
    let text = format!("{}-{}", clean(subject.algorithm(), 32), clean(&subject.encoded(), 64));
    // An algorithm begins with a letter or a digit, and 32 + 1 + 64 is less than 128: this is a tag.
    Tag::parse(&text).unwrap_or_else(|_| Tag::latest())
}

/// The subject of a fallback tag, as far as it can be told: only `sha256-` and 64 digits are clear.
#[must_use]
pub fn subject_of_fallback_tag(tag: &str) -> Option<Digest> {
    Digest::parse(&format!("sha256:{}", tag.strip_prefix("sha256-")?)).ok()
}

/// A digest tag of cosign and its like: `sha256-HEX.SUFFIX`, with the digest that it speaks of and the suffix (`sig`,
/// `att`, `sbom` …).
#[must_use]
pub fn digest_tag(tag: &str) -> Option<(Digest, &str)> {
    let (subject, suffix) = tag.split_once('.')?;
    Some((subject_of_fallback_tag(subject)?, suffix))
}

/// The list of referrers with one more, or nothing when it is listed already. What was there keeps its order.
///
/// A list that is too large to be a document stays as it is.
#[must_use]
pub fn merge(current: Option<&Document>, referrer: Descriptor) -> Option<Bytes> {
    let mut index = match current {
        Some(document) => document.as_index()?.clone(),
        None => Index::new(Vec::new()),
    };
    if index.manifests.iter().any(|listed| listed.digest == referrer.digest) {
        return None;
    }
    index.media_type = MediaType::OCI_INDEX;
    index.manifests.push(referrer);
    index.to_document().ok().map(|document| document.bytes().clone())
}

/// Those of `referrers` that are of one of these types; all of them when no type is asked for (DIST-86).
pub fn filter<'a>(
    referrers: impl IntoIterator<Item = &'a Descriptor>,
    types: &[MediaType],
) -> impl Iterator<Item = &'a Descriptor> {
    let wanted = |referrer: &&Descriptor| {
        types.is_empty() || referrer.artifact_type.as_ref().is_some_and(|found| types.contains(found))
    };
    referrers.into_iter().filter(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn referrer(annotations: &[(&str, &str)]) -> Document {
        let annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = Descriptor::of(MediaType::parse("x/config").unwrap(), b"c");
        let subject = Some(Descriptor::of(MediaType::OCI_MANIFEST, b"s"));
        Manifest { annotations, subject, ..Manifest::new(config, vec![]) }.to_document().unwrap()
    }

    #[test]
    fn dist_71_a_referrer_is_listed_with_type_and_annotations() {
        let document = referrer(&[("k", "v")]);
        let listed = descriptor(&document);
        assert_eq!(listed.digest, *document.digest());
        assert_eq!(listed.artifact_type.unwrap().as_str(), "x/config");
        assert_eq!(listed.annotations["k"], "v");
    }

    #[test]
    fn case_d17_huge_annotations_are_not_copied_into_the_list() {
        let huge = "x".repeat(MAX_ANNOTATIONS + 1);
        assert!(descriptor(&referrer(&[("k", &huge)])).annotations.is_empty());
    }

    #[test]
    fn dist_75_the_fallback_tag_is_the_digest_cut_and_made_a_tag() {
        let algorithm =
            "test+algorithm+using+algorithm+separators+and+lots+of+characters+to+excercise+truncation";
        let encoded = "alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsOfCharactersToExcerciseTruncation";
        let digest = Digest::parse(&format!("{algorithm}:{encoded}")).unwrap();
        assert_eq!(
            fallback_tag(&digest).as_str(),
            "test-algorithm-using-algorithm-s-alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot"
        );
        let long = Digest::sha512(b"");
        assert_eq!(fallback_tag(&long).as_str(), format!("sha512-{}", &long.encoded()[..64]));
    }

    #[test]
    fn fallback_tags_and_digest_tags_are_told_apart() {
        let digest = Digest::sha256(b"x");
        let tag = fallback_tag(&digest);
        assert_eq!(subject_of_fallback_tag(tag.as_str()), Some(digest.clone()));
        assert_eq!(digest_tag(&format!("{tag}.sig")), Some((digest, "sig")));
        assert_eq!(subject_of_fallback_tag("sha256-abc"), None);
        assert_eq!(subject_of_fallback_tag(&format!("{tag}.sig")), None);
        assert_eq!(digest_tag("v1.2"), None);
    }

    #[test]
    fn dist_71_a_list_grows_at_its_end_and_never_holds_one_twice() {
        let (one, two) = (descriptor(&referrer(&[("n", "1")])), descriptor(&referrer(&[("n", "2")])));
        let first = Document::parse(merge(None, one.clone()).unwrap(), None).unwrap();
        assert_eq!(merge(Some(&first), one.clone()), None);
        let second = Document::parse(merge(Some(&first), two.clone()).unwrap(), None).unwrap();
        assert_eq!(second.as_index().unwrap().manifests, [one, two]);
    }

    #[test]
    fn dist_86_a_filter_keeps_the_types_asked_for() {
        let typed = |text: &str| Descriptor {
            artifact_type: Some(MediaType::parse(text).unwrap()),
            ..Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes())
        };
        let all = [typed("application/spdx+json"), typed("x/y"), Descriptor::of(MediaType::OCI_INDEX, b"")];
        assert_eq!(filter(&all, &[]).count(), 3);
        assert_eq!(filter(&all, &[MediaType::parse("application/spdx+json").unwrap()]).count(), 1);
    }
}
