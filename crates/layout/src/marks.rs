//! Entries that belong to another one by a mark of its tool, and what they mean (IMG-180).
//!
//! `cosign save` and hauler (up to 1.x) do not name signatures by digest tags. The annotation `kind` of an entry tells that
//! it is an image, signatures, attestations or bills of materials of one, or a referrer. hauler gives such entries the names
//! of their image; a layout of cosign holds one image, and they have no name. Here they get the names that they would have
//! in a registry: a digest tag (`sha256-HEX.sig`) beside the image's name, and none for referrers, whose manifest tells
//! what they refer to. So all who read entries see one form. The file keeps its bytes, until a change of it makes a mark
//! lose its meaning: then the meaning is written out.
//!
//! A mark whose image cannot be told (none, or several) means nothing.

use std::collections::HashMap;

use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};
use transship_spec::splice::Object;
use transship_spec::{Annotations, Descriptor, Digest, Reference, referrers};

use crate::names::{Name, Names, full_reference, tag_of};

/// The annotation that holds a mark.
pub(crate) const KIND: &str = "kind";
/// How marks of cosign begin.
pub(crate) const COSIGN: &str = "dev.cosignproject.cosign/";
/// How marks of hauler begin.
pub(crate) const HAULER: &str = "dev.hauler/";

/// What an entry is, as its mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// What others belong to.
    Image,
    /// What a registry has under a digest tag with this end.
    Tagged(&'static str),
    /// A manifest with a subject.
    Referrer,
}

impl Mark {
    pub(crate) fn of(annotations: &Annotations) -> Option<Self> {
        let kind = annotations.get(KIND)?;
        match kind.strip_prefix(HAULER).or_else(|| kind.strip_prefix(COSIGN))? {
            "image" | "imageIndex" => Some(Self::Image),
            "sigs" => Some(Self::Tagged("sig")),
            "atts" => Some(Self::Tagged("att")),
            "sboms" => Some(Self::Tagged("sbom")),
            other => (other == "referrers" || other.starts_with("referrers/")).then_some(Self::Referrer),
        }
    }
}

/// What an entry is called instead of what is written: a digest tag, or nothing.
pub(crate) type Meaning = Option<Name>;

/// Whether a text may hold marks, by a quick look.
pub(crate) fn may_hold(text: &str) -> bool {
    // An escape can hide anything.
    [COSIGN, HAULER].iter().any(|prefix| text.contains(prefix))
        || text.contains("dev.hauler\\/")
        || text.contains("\\u")
}

/// The meanings of all marked entries of an index that have one, by the numbers given.
pub(crate) fn meanings(entries: &[(usize, Descriptor)]) -> HashMap<usize, Meaning> {
    let marked =
        entries.iter().filter_map(|(number, entry)| Some((*number, entry, Mark::of(&entry.annotations)?)));
    let marked: Vec<_> = marked.collect();
    let mut images: HashMap<Written<'_>, Vec<&Descriptor>> = HashMap::new();
    let mut all: Vec<&Descriptor> = Vec::new();
    for (_, entry, _) in marked.iter().filter(|(_, _, mark)| *mark == Mark::Image) {
        images.entry(written(entry)).or_default().push(entry);
        all.push(entry);
    }
    let mut found = HashMap::new();
    for (number, entry, mark) in marked {
        let of = match written(entry) {
            (None, None) => Some(&all),
            names => images.get(&names),
        };
        match mark {
            Mark::Image => {}
            Mark::Referrer => drop(found.insert(number, None)),
            Mark::Tagged(end) => {
                let is_told = Names::of(entry).tag().is_some_and(|tag| referrers::digest_tag(tag).is_some());
                let name = of.filter(|_| !is_told).and_then(|of| digest_tag(of, end));
                found.extend(name.map(|name| (number, Some(name))));
            }
        }
    }
    found
}

type Written<'a> = (Option<&'a str>, Option<&'a str>);

/// The names as they are written.
fn written(entry: &Descriptor) -> Written<'_> {
    let get = |key| entry.annotations.get(key).map(String::as_str).filter(|name| !name.is_empty());
    (get(REF_NAME), get(CONTAINERD_NAME))
}

/// The digest tag of the one image that these entries are, beside its name.
fn digest_tag(images: &[&Descriptor], end: &str) -> Option<Name> {
    let (first, others) = images.split_first()?;
    if others.iter().any(|other| other.digest != first.digest) {
        return None;
    }
    beside(first, &tag(&first.digest, end)?)
}

/// The digest tag that speaks of a digest, where that can be told from the tag again.
pub(crate) fn tag(digest: &Digest, end: &str) -> Option<String> {
    let tag = referrers::fallback_tag(digest);
    let is_clear = referrers::subject_of_fallback_tag(tag.as_str()).as_ref() == Some(digest);
    is_clear.then(|| if end.is_empty() { tag.to_string() } else { format!("{tag}.{end}") })
}

/// The name of a tag in the repository of an entry.
pub(crate) fn beside(entry: &Descriptor, tag: &str) -> Option<Name> {
    let names = Names::of(entry);
    if let Some(full) = names.full().and_then(|full| Reference::parse(&full).ok()) {
        return Name::parse(&format!("{}:{tag}", full.without_version())).ok();
    }
    let name = names.written.as_deref().map(|name| name.split_once('@').map_or(name, |(name, _)| name));
    match name {
        Some(name) if tag_of(name).is_some_and(|tag| tag.len() < name.len()) => {
            let path = name.rsplit_once(':').map_or(name, |(path, _)| path);
            Name::parse(&format!("{path}:{tag}")).ok()
        }
        // hauler leaves out the tag where a digest is given.
        Some(name) if name.contains('/') && full_reference(name).is_none() => {
            Name::parse(&format!("{name}:{tag}")).ok()
        }
        _ => Name::short(tag).ok(),
    }
}

/// Gives an entry the name that its mark means.
pub(crate) fn give(meaning: &Meaning, annotations: &mut Annotations) {
    annotations.remove(KIND);
    match meaning {
        Some(name) => name.annotate(annotations),
        None => {
            annotations.remove(REF_NAME);
            annotations.remove(CONTAINERD_NAME);
        }
    }
}

/// The text of an entry with what its mark means in the place of the mark; all else keeps its bytes.
pub(crate) fn write_out(text: &str, meaning: &Meaning) -> Result<String, transship_spec::Error> {
    let mut names = Annotations::new();
    give(meaning, &mut names);
    let name = |key: &'static str| (key, names.get(key).map(String::as_str));
    annotated(text, &[name(REF_NAME), name(CONTAINERD_NAME), (KIND, None)])
}

/// The text of an entry with some annotations set, or taken away.
pub(crate) fn annotated(
    text: &str,
    changes: &[(&str, Option<&str>)],
) -> Result<String, transship_spec::Error> {
    let mut entry = Object::new(text)?;
    entry.within("annotations", |annotations| {
        changes.iter().try_for_each(|(key, value)| match value {
            Some(value) => annotations.set(key, value),
            None => annotations.remove(key).map(drop),
        })
    })?;
    Ok(entry.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use transship_spec::MediaType;

    fn entry(content: &str, annotations: &[(&str, &str)]) -> Descriptor {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Descriptor {
            annotations: annotations.collect(),
            ..Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes())
        }
    }

    fn names(entries: &[Descriptor]) -> Vec<Option<Option<String>>> {
        let numbered: Vec<_> = entries.iter().cloned().enumerate().collect();
        let found = meanings(&numbered);
        (0..entries.len()).map(|at| found.get(&at).map(|name| name.as_ref().map(Name::to_string))).collect()
    }

    #[test]
    fn img_180_signatures_of_cosign_save_belong_to_the_one_image() {
        let image = entry("image", &[(KIND, "dev.cosignproject.cosign/image")]);
        let [sigs, atts] = ["sigs", "atts"].map(|kind| entry(kind, &[(KIND, &format!("{COSIGN}{kind}"))]));
        let tag = |end| Some(tag(&image.digest, end));
        let mut all = [image.clone(), sigs, atts];
        assert_eq!(names(&all), [None, tag("sig"), tag("att")]);
        all[0] =
            entry("image", &[(KIND, "dev.cosignproject.cosign/imageIndex"), (REF_NAME, "r.example/app:v1")]);
        let full = format!("r.example/app:{}", tag("sig").unwrap().unwrap());
        assert_eq!(names(&all)[1], Some(Some(full)));
        // Of two images nobody knows which is meant.
        all[2] = entry("another", &[(KIND, "dev.cosignproject.cosign/image")]);
        assert_eq!(names(&all), [None, None, None]);
    }

    #[test]
    fn img_180_entries_of_hauler_belong_to_the_image_whose_names_they_have() {
        let called = |content: &str, kind: &str, name: &str| {
            let full = format!("index.docker.io/{name}");
            entry(content, &[(KIND, kind), (REF_NAME, name), (CONTAINERD_NAME, &full)])
        };
        let all = [
            called("a", "dev.hauler/image", "library/a:v1"),
            called(
                "b",
                "dev.hauler/imageIndex",
                "library/b@sha256:498a000f370d8c37927118ed80afe8adc38d1edcbfc071627d17b25c88efcab0",
            ),
            called("c", "dev.hauler/sigs", "library/a:v1"),
            called(
                "d",
                "dev.hauler/sboms",
                "library/b@sha256:498a000f370d8c37927118ed80afe8adc38d1edcbfc071627d17b25c88efcab0",
            ),
            called("e", "dev.hauler/referrers/0123", "library/a:v1"),
            called("f", "dev.hauler/atts", "library/nothing:v1"),
            called("g", "dev.cosignproject.cosign/referrers/0123", "library/a:v1"),
        ];
        let tag = |of: usize, name: &str, end| {
            Some(Some(format!("docker.io/library/{name}:{}", tag(&all[of].digest, end).unwrap())))
        };
        assert_eq!(
            names(&all),
            [None, None, tag(0, "a", "sig"), tag(1, "b", "sbom"), Some(None), None, Some(None)]
        );
    }

    #[test]
    fn what_has_a_digest_tag_already_and_other_kinds_mean_what_they_say() {
        let image = entry("image", &[(KIND, "dev.hauler/image"), (REF_NAME, "v1")]);
        let tagged = tag(&image.digest, "sig").unwrap();
        let told = entry("sigs", &[(KIND, "dev.hauler/sigs"), (REF_NAME, &tagged)]);
        let other = entry("other", &[(KIND, "org.example/sigs"), (REF_NAME, "v1")]);
        assert_eq!(names(&[image, told, other]), [None, None, None]);
    }

    #[test]
    fn a_meaning_is_written_out_and_all_else_keeps_its_bytes() {
        let text = r#"{ "digest" : "x", "annotations" : { "kind" : "dev.hauler/sigs", "a" : "b", "org.opencontainers.image.ref.name" : "v1" } }"#;
        let name = Some(Name::short("sha256-x.sig").unwrap());
        assert_eq!(
            write_out(text, &name).unwrap(),
            r#"{ "digest" : "x", "annotations" : { "a" : "b", "org.opencontainers.image.ref.name" : "sha256-x.sig" } }"#
        );
        let bare = r#"{"digest":"x","annotations":{"kind":"dev.hauler/sigs"}}"#;
        assert_eq!(write_out(bare, &None).unwrap(), r#"{"digest":"x"}"#);
    }
}
