//! References: what names an image in a registry (DIST-01…05).
//!
//! A [`Reference`] is always whole: it has a registry and a repository, both of valid form. Its text may be short; the
//! rules by which a short text is completed are Docker's, as users expect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, Error};

/// The registry of references that name none.
pub const DOCKER_HUB: &str = "docker.io";

/// The longest `registry/repository` that is accepted, in bytes (DIST-02).
const MAX_NAME: usize = 255;

/// A validated tag: at most 128 letters, digits, `_`, `.` and `-`, of which the first is none of the last two (DIST-03).
///
/// ```
/// use transship_spec::Tag;
/// assert_eq!(Tag::parse("v1.2_rc-3")?.as_str(), "v1.2_rc-3");
/// assert!(Tag::parse("-v1").is_err());
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// Reads a tag.
    ///
    /// # Errors
    /// [`Error::Tag`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let first = text.bytes().next().is_some_and(word);
        if first && text.len() <= 128 && text.bytes().all(|b| word(b) || b == b'.' || b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(Error::Tag(text.to_owned()))
        }
    }

    /// The tag that is meant where none is named.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether a text is the name of a repository: words of lower-case letters and digits, joined by `.`, `_`, `__` or any
/// number of `-`, in components joined by `/` (DIST-01).
#[must_use]
pub fn is_repository(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let mut rest = text.as_bytes();
    loop {
        let word = rest.iter().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        let dashes = rest.iter().take_while(|b| **b == b'-').count();
        rest = match rest {
            [] => return true,
            _ if dashes > 0 => &rest[dashes..],
            [b'_', b'_', after @ ..] | [b'_' | b'.', after @ ..] => after,
            _ => return false,
        };
    }
}

/// Whether a text is a registry: a host name or address, with or without a port.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                (None, port.strip_prefix(':').map(Some).unwrap_or((!port.is_empty()).then_some("")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    host.is_none_or(is_host)
        && port
            .is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0) && !port.starts_with('+'))
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        edge(label.bytes().next())
            && edge(label.bytes().last())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= MAX_NAME && text.split('.').all(label)
}

/// A whole reference: `registry/repository`, with a tag, a digest, both or none (DIST-05).
///
/// Where it has both, the digest decides what is meant and the tag is only what it is called.
///
/// ```
/// use transship_spec::Reference;
///
/// let short = Reference::parse("alpine")?;
/// assert_eq!(short.to_string(), "docker.io/library/alpine");
/// assert_eq!(short.or_latest().to_string(), "docker.io/library/alpine:latest");
///
/// let local = Reference::parse("localhost:5000/team/app:v1")?;
/// assert_eq!((local.registry(), local.repository()), ("localhost:5000", "team/app"));
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// A reference to a repository.
    ///
    /// # Errors
    /// [`Error::Reference`] for what is not a registry, [`Error::Repository`] for what is not a repository.
    pub fn new(registry: &str, repository: &str) -> Result<Self, Error> {
        if !is_registry(registry) {
            return Err(refuse(registry, "it is not a registry: a host name with or without a port"));
        }
        if !is_repository(repository) {
            return Err(Error::Repository(repository.to_owned()));
        }
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(refuse(repository, "registry and repository together are longer than 255 bytes"));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag: None, digest: None })
    }

    /// Reads a reference. What it leaves out is completed as Docker does it: the registry is `docker.io`, a repository of
    /// one word there lies in `library/`. A tag is not made up; see [`Reference::or_latest`].
    ///
    /// # Errors
    /// [`Error::Reference`], [`Error::Repository`], [`Error::Tag`] or [`Error::Digest`], by the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(refuse(text, "it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, _)) if rest.contains(':') && !rest.contains('/') => {
                return Err(refuse("…", "a user and a password do not belong into a reference; use login"));
            }
            Some((rest, digest)) => {
                (rest, Some(Digest::parse(digest).map_err(|error| in_a_reference(text, rest, error))?))
            }
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(Tag::parse(tag)?)),
            None => (rest, None),
        };
        let library = registry == DOCKER_HUB && !path.contains('/');
        let repository = if library { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { tag, digest, ..Self::new(registry, &repository)? })
    }

    /// The registry, such as `docker.io` or `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, such as `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was named.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one was named. It decides what is meant.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The reference with the tag `latest` where it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(Tag::latest());
        }
        self
    }

    /// The same repository with this tag and no digest.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Self {
        Self { tag: Some(tag), digest: None, ..self.clone() }
    }

    /// The same repository and tag with this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The repository without tag and digest.
    #[must_use]
    pub fn without_version(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }
}

fn refuse(text: &str, reason: &'static str) -> Error {
    Error::Reference { text: text.to_owned(), reason }
}

/// What stands before an `@` may be a password: then the text is not repeated.
fn in_a_reference(text: &str, before: &str, error: Error) -> Error {
    let looks_like_credentials = before.split_once("//").is_some_and(|(_, rest)| rest.contains(':'));
    if looks_like_credentials || text.matches('@').count() > 1 {
        refuse("…", "what follows the @ is not a digest")
    } else {
        error
    }
}

/// The first component is a registry if it could not be part of a repository's name (DIST-05).
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            let hub = ["index.docker.io", "registry-1.docker.io"].contains(&first);
            (if hub { DOCKER_HUB } else { first }, rest)
        }
        _ => (DOCKER_HUB, text),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn dist_01_the_grammar_of_repositories() {
        for good in ["a", "a__b/c--d", "library/alpine", "a.b_c-d/e0", "a---b", "0/1"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in
            ["", "A", "a___b", "-a", "a-", "a//b", "/a", "a/", ".env", "a..b", "a/../b", "a b", "a_", "ä"]
        {
            assert!(!is_repository(bad), "{bad}");
        }
    }

    #[test]
    fn dist_02_a_name_past_255_bytes_is_refused() {
        let long = |length| format!("a.b/{}", "c".repeat(length));
        assert!(Reference::parse(&long(251)).is_ok());
        assert!(Reference::parse(&long(252)).is_err());
        assert!(Reference::parse(&"x".repeat(300)).is_err());
    }

    #[test]
    fn dist_03_the_grammar_of_tags() {
        for good in ["v1", "_v1", "1.2.3", "a__b", "v1.", &"t".repeat(128)] {
            assert!(Tag::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a:b", "a/b", "a+b", "a b", "ä", &"t".repeat(129)] {
            assert!(Tag::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dist_05_short_references_are_completed_as_docker_does() {
        for (text, whole) in [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("team/app", "docker.io/team/app"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/library/x:tag", "docker.io/library/x:tag"),
            ("registry.example/app", "registry.example/app"),
            ("registry.example:5000/app:v1", "registry.example:5000/app:v1"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("Host/app", "Host/app"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("127.0.0.1:5000/a/manifests/b:t", "127.0.0.1:5000/a/manifests/b:t"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), whole, "{text}");
        }
        let both = Reference::parse(&format!("h.x/a:v1@{HEX}")).unwrap();
        assert_eq!(both.tag().unwrap().as_str(), "v1");
        assert_eq!(both.digest().unwrap().to_string(), HEX);
        assert_eq!(both.clone().or_latest(), both);
    }

    #[test]
    fn dist_04_a_digest_is_told_from_a_tag_by_its_colon() {
        assert!(Reference::parse(&format!("a@{HEX}")).unwrap().tag().is_none());
        assert!(Reference::parse("a@latest").is_err());
    }

    #[test]
    fn cases_r1_to_r9_ill_formed_references_are_refused() {
        for bad in [
            "",
            "UPPER",
            "h.x/UPPER/repo",
            "host:99999/x",
            "host:0/x",
            "host:+80/x",
            "a//b",
            "h.x/.env",
            "h.x/-x",
            "h.x/__",
            "h.x/",
            "h x/a",
            "h.x/a\n",
            "h\u{e4}.x/a",
            "[::1/x",
            "[x]:1/a",
            "[::1]5/a",
            "h.x/a:",
            "h.x/a@",
            "h.x/a:v1:v2",
            "-h.x/a",
            "h..x/a",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn case_r8_credentials_in_a_reference_are_refused_and_not_repeated() {
        for bad in ["user:secret@host/app", "https://user:secret@host/app", "user:secret@host/a@b"] {
            let error = Reference::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_reference() {
        for text in ["alpine", "h.x:1/a/b:t", &format!("h.x/a:t@{HEX}")] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }
    }
}
