//! What entries of `index.json` are called: every dialect, in one place (IMG-13, IMG-16…19).
//!
//! * skopeo writes any text into `org.opencontainers.image.ref.name`; umoci, regctl and ORAS a tag.
//! * crane writes a full reference there, with `index.docker.io` for Docker Hub.
//! * buildx and containerd write a short tag there, and the full reference into `io.containerd.image.name`.
//!
//! An entry therefore has a *short* name, a *full* one, both or none. Where both are there and the short one is the tag
//! of the full one, the entry has one name written twice; otherwise it has two.

use std::borrow::Cow;
use std::fmt;

use transship_spec::annotations::{CONTAINERD_NAME, REF_NAME};
use transship_spec::{Annotations, Descriptor, Reference, Tag, referrers};

use crate::{Error, Result};

/// The longest name that is written, in bytes.
const MAX_NAME: usize = 1024;

/// A name to give to an entry.
///
/// ```
/// use transship_layout::Name;
/// use transship_spec::Reference;
///
/// assert_eq!(Name::short("v1")?.to_string(), "v1");
/// let full = Name::full(&Reference::parse("registry.example/app")?);
/// assert_eq!(full.to_string(), "registry.example/app:latest");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Short(String),
    Full(String),
}

impl Name {
    /// A name for a layout that holds one repository: a tag, or any other text, verbatim.
    ///
    /// # Errors
    /// [`Error::Name`] for an empty text, one longer than 1,024 bytes, and one with control characters.
    pub fn short(text: &str) -> Result<Self> {
        let refuse = |reason| Err(Error::Name { name: text.to_owned(), reason });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_NAME {
            return refuse("it is longer than 1024 bytes");
        }
        if text.chars().any(char::is_control) {
            return refuse("it has control characters");
        }
        Ok(Self(Kind::Short(text.to_owned())))
    }

    /// A name for a layout that holds many repositories. Without a tag, `latest` is meant; a digest is left out.
    #[must_use]
    pub fn full(reference: &Reference) -> Self {
        let reference = reference.without_version().with_tag(match reference.tag() {
            Some(tag) => tag.clone(),
            None => Tag::latest(),
        });
        Self(Kind::Full(reference.to_string()))
    }

    /// The name that a user means: a full reference if the text names a registry, else a short name.
    ///
    /// # Errors
    /// As [`Name::short`].
    pub fn parse(text: &str) -> Result<Self> {
        match full_reference(text) {
            Some(reference) => Ok(Self::full(&reference)),
            None => Self::short(text),
        }
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Short(text) | Kind::Full(text) => text,
        }
    }

    /// Writes the name into the annotations of a descriptor, in place of any other name there.
    pub(crate) fn annotate(&self, annotations: &mut Annotations) {
        annotations.insert(REF_NAME.to_owned(), self.as_str().to_owned());
        match &self.0 {
            Kind::Short(_) => annotations.remove(CONTAINERD_NAME),
            Kind::Full(text) => annotations.insert(CONTAINERD_NAME.to_owned(), text.clone()),
        };
    }

    /// As the names of an entry.
    pub(crate) fn names(&self) -> Names<'_> {
        let name = Some(Cow::Borrowed(self.as_str()));
        let containerd = matches!(self.0, Kind::Full(_)).then(|| name.clone()).flatten();
        Names { written: name, containerd }
    }

    /// What entries of this name are found by: the one spelling of the name.
    pub(crate) fn key(&self) -> String {
        spelling(self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names of one entry, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// `org.opencontainers.image.ref.name`
    pub(crate) written: Option<Cow<'a, str>>,
    /// `io.containerd.image.name`
    pub(crate) containerd: Option<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(descriptor: &'a Descriptor) -> Self {
        let get = |key| descriptor.annotations.get(key).filter(|name| !name.is_empty());
        Self {
            written: get(REF_NAME).map(|name| Cow::Borrowed(name.as_str())),
            containerd: get(CONTAINERD_NAME).map(|name| Cow::Borrowed(name.as_str())),
        }
    }

    /// The names that tell this entry from others, each in the one spelling by which it is found.
    ///
    /// Two of them when a short name stands beside a full one of which it is not the tag.
    pub(crate) fn claims(&self) -> Vec<String> {
        let mut claims = Vec::new();
        if let Some(name) = &self.containerd {
            claims.push(spelling(name));
        }
        if let Some(name) = &self.written
            && !(self.containerd.is_some() && self.is_one_name())
        {
            let name = spelling(name);
            if !claims.contains(&name) {
                claims.push(name);
            }
        }
        claims
    }

    /// Whether the short name is but a part, or another spelling, of the full one.
    pub(crate) fn is_one_name(&self) -> bool {
        match (&self.written, &self.containerd) {
            (Some(written), Some(full)) => {
                written == full || tag_of(full) == Some(written) || spelling(written) == spelling(full)
            }
            _ => true,
        }
    }

    /// The full name, in its one spelling.
    pub(crate) fn full(&self) -> Option<String> {
        let names = [&self.containerd, &self.written].into_iter().flatten();
        names.filter_map(|name| full_reference(name)).next().map(|reference| reference.to_string())
    }

    /// The tag: a part of the full name, or the short name if it is one.
    pub(crate) fn tag(&self) -> Option<&str> {
        let names = [&self.written, &self.containerd].into_iter().flatten();
        names.filter_map(|name| tag_of(name)).next()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_none() && self.containerd.is_none()
    }
}

/// The words by one of which every spelling of a name can be looked up: the last one, and `latest` where a tag may have
/// been left out.
pub(crate) fn words(name: &str) -> impl Iterator<Item = &str> {
    let (path, last) = name.rsplit_once(['/', ':']).map_or(("", name), |(path, last)| (path, last));
    let untagged = name.as_bytes().get(path.len()) == Some(&b'/') && !path.is_empty();
    std::iter::once(last).chain(untagged.then_some("latest"))
}

/// The one spelling of a name: full references as [`Reference`] prints them, with a tag; others as they are.
pub(crate) fn spelling(name: &str) -> String {
    full_reference(name).map_or_else(|| name.to_owned(), |reference| reference.to_string())
}

/// The text as a reference, if it names a registry; `latest` where it has neither tag nor digest.
pub(crate) fn full_reference(name: &str) -> Option<Reference> {
    let (registry, _) = name.split_once('/')?;
    if registry != "localhost" && !registry.contains(['.', ':']) {
        return None;
    }
    Reference::parse(name).ok().map(Reference::or_latest)
}

/// The tag in a name: the name itself, or what follows its last colon.
pub(crate) fn tag_of(name: &str) -> Option<&str> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    let tag = match last.split_once(':') {
        Some((_, tag)) => tag,
        None if last.len() == name.len() => name,
        None => return None,
    };
    Tag::parse(tag).is_ok().then_some(tag)
}

/// Whether a name is the tag under which referrers or signatures of a digest are kept: it names no image of its own.
#[must_use]
pub(crate) fn is_about_a_digest(name: &str) -> bool {
    tag_of(name).is_some_and(|tag| {
        referrers::subject_of_fallback_tag(tag).is_some() || referrers::digest_tag(tag).is_some()
    })
}

/// The parts of an entry that finding needs, read without building the rest.
#[derive(serde::Deserialize)]
pub(crate) struct Glance<'a> {
    #[serde(borrow)]
    pub(crate) digest: Cow<'a, str>,
    #[serde(borrow, default)]
    annotations: Option<GlanceNames<'a>>,
}

#[derive(serde::Deserialize)]
struct GlanceNames<'a> {
    #[serde(borrow, default, rename = "org.opencontainers.image.ref.name")]
    written: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "io.containerd.image.name")]
    containerd: Option<Cow<'a, str>>,
}

impl<'a> Glance<'a> {
    pub(crate) fn at(entry: &'a str) -> Option<Self> {
        serde_json::from_str(entry).ok()
    }

    pub(crate) fn names(self) -> Names<'a> {
        let GlanceNames { written, containerd } =
            self.annotations.unwrap_or(GlanceNames { written: None, containerd: None });
        let some = |name: Option<Cow<'a, str>>| name.filter(|name| !name.is_empty());
        Names { written: some(written), containerd: some(containerd) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(written: Option<&'a str>, containerd: Option<&'a str>) -> Names<'a> {
        Names { written: written.map(Cow::Borrowed), containerd: containerd.map(Cow::Borrowed) }
    }

    #[test]
    fn img_17_every_dialect_has_its_full_name_and_tag() {
        let hub = "docker.io/library/x:v1";
        for (written, containerd, full, tag) in [
            (Some("v1"), None, None, Some("v1")),
            (Some("index.docker.io/library/x:v1"), None, Some(hub), Some("v1")),
            (Some("v1"), Some("docker.io/library/x:v1"), Some(hub), Some("v1")),
            (None, Some("docker.io/library/x:v1"), Some(hub), Some("v1")),
            (Some("team/app:v1"), None, None, Some("v1")),
            (Some("localhost:5000/app"), None, Some("localhost:5000/app:latest"), None),
            (Some("any thing"), None, None, None),
            (Some("a/b"), None, None, None),
            (None, None, None, None),
        ] {
            let names = names(written, containerd);
            assert_eq!(names.full().as_deref(), full, "{names:?}");
            assert_eq!(names.tag(), tag, "{names:?}");
        }
    }

    #[test]
    fn a_short_name_beside_a_full_one_is_a_claim_only_if_it_is_not_its_tag() {
        assert_eq!(names(Some("v1"), Some("r.example/x:v1")).claims(), ["r.example/x:v1"]);
        assert_eq!(names(Some("r.example/x:v1"), Some("r.example/x:v1")).claims(), ["r.example/x:v1"]);
        assert_eq!(names(Some("stable"), Some("r.example/x:v1")).claims(), ["r.example/x:v1", "stable"]);
        assert_eq!(names(Some("index.docker.io/library/x:v1"), None).claims(), ["docker.io/library/x:v1"]);
    }

    #[test]
    fn every_spelling_of_a_name_shares_a_word_with_the_one_spelling() {
        for name in
            ["v1", "r.example/x", "r.example/x:v1", "index.docker.io/library/x", "a b:c/d", "", "/", ":"]
        {
            let one = spelling(name);
            assert!(words(name).any(|word| words(&one).next() == Some(word)), "{name}");
        }
    }

    #[test]
    fn names_about_a_digest_are_told_apart() {
        let hex = "a".repeat(64);
        for name in [
            format!("sha256-{hex}"),
            format!("sha256-{hex}.sig"),
            format!("registry.example/app:sha256-{hex}.att"),
        ] {
            assert!(is_about_a_digest(&name), "{name}");
        }
        for name in ["v1", "sha256-abc", "sha256"] {
            assert!(!is_about_a_digest(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_would_harm_a_terminal_is_not_given() {
        for bad in ["", "a\nb", "a\u{1b}[31m", &"x".repeat(1025)] {
            assert!(Name::short(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            Name::parse("r.example/app:v1@sha256:bad").unwrap().as_str(),
            "r.example/app:v1@sha256:bad"
        );
        assert_eq!(Name::parse("index.docker.io/library/x").unwrap().as_str(), "docker.io/library/x:latest");
        assert_eq!(Name::parse("team/app:v1").unwrap().as_str(), "team/app:v1");
    }
}
