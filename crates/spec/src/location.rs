//! Locations: what a user types to say where content is.
//!
//! Reading a location looks at its text only. What a bare path is (a folder is a layout, a file an archive) and whether a
//! bare word is also a path is for the caller to find out, who may look at the disk.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Digest, Error, Reference};

/// Where content is, or is to go.
///
/// | text | meaning |
/// |---|---|
/// | `oci:DIR[:REF]` | an image layout |
/// | `oci-archive:FILE[:REF]` | an image layout in a tar |
/// | `docker-archive:FILE[:REF]` | what `docker save` writes |
/// | `docker://HOST/REPO[:TAG][@DIGEST]`, or without the prefix | a registry |
/// | `./…`, `../…`, `/…` | a path, to be looked at |
///
/// The path ends at the first `:`; one that holds a `:` goes into brackets: `oci:[DIR]:REF`. REF is kept as it was
/// typed: whether `v1@sha256:…` is a name or a name and a digest depends on the names that the layout holds
/// ([`split_digest`]).
///
/// ```
/// use transship_spec::Location;
///
/// let location = Location::parse("oci:out:v1")?;
/// assert_eq!(location, Location::Layout { path: "out".into(), reference: Some("v1".into()) });
/// assert!(matches!(Location::parse("localhost:5000/app:v1")?, Location::Registry(_)));
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// An image layout in a folder.
    Layout {
        /// The folder.
        path: PathBuf,
        /// What in it.
        reference: Option<String>,
    },
    /// An image layout in a tar.
    Archive {
        /// The file; `-` is a pipe.
        path: PathBuf,
        /// What in it.
        reference: Option<String>,
    },
    /// An archive in the form of `docker save`.
    DockerArchive {
        /// The file; `-` is a pipe.
        path: PathBuf,
        /// What in it.
        reference: Option<String>,
    },
    /// A repository of a registry.
    Registry(Reference),
    /// A path that does not say what it is.
    Path(PathBuf),
}

impl Location {
    /// Reads a location.
    ///
    /// # Errors
    /// [`Error::Location`] says what to type instead; the errors of [`Reference::parse`] for a registry.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Location { text: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if let Some(rest) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(Reference::parse(rest)?));
        }
        if let Some(rest) = text.strip_prefix("oci://") {
            return Err(refuse(&format!(
                "oci:// is a registry to some tools and a folder to others; type docker://{rest} or oci:/{rest}"
            )));
        }
        for (prefix, make) in PREFIXES {
            if let Some(rest) = text.strip_prefix(prefix) {
                let (path, reference) = split_path(rest).map_err(refuse)?;
                return Ok(make(path, reference));
            }
        }
        if text == "."
            || text == ".."
            || text.starts_with('/')
            || text.starts_with("./")
            || text.starts_with("../")
            || is_drive(text)
        {
            return Ok(Self::Path(text.into()));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(refuse(&format!("{scheme}:// is not known; registries are docker://HOST/REPO")));
        }
        Ok(Self::Registry(Reference::parse(text)?))
    }

    /// The path of a location on this machine.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Layout { path, .. }
            | Self::Archive { path, .. }
            | Self::DockerArchive { path, .. }
            | Self::Path(path) => Some(path),
            Self::Registry(_) => None,
        }
    }

    /// Whether it lies on another machine, so that using it needs the network.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Registry(_))
    }
}

type Make = fn(PathBuf, Option<String>) -> Location;

const PREFIXES: [(&str, Make); 3] = [
    ("oci:", |path, reference| Location::Layout { path, reference }),
    ("oci-archive:", |path, reference| Location::Archive { path, reference }),
    ("docker-archive:", |path, reference| Location::DockerArchive { path, reference }),
];

/// Whether a path begins with a drive, as paths of Windows may.
fn is_drive(text: &str) -> bool {
    cfg!(windows)
        && matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
}

fn split_path(text: &str) -> Result<(PathBuf, Option<String>), &'static str> {
    let (path, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.rsplit_once(']').ok_or("the bracket is not closed")?,
        None => {
            // In `DIR@sha256:…` the only colon is the digest's own.
            let head = split_digest(text).map_or(text, |(head, _)| head);
            let from = if is_drive(head) { 2 } else { 0 };
            text.split_at(head[from..].find(':').map_or(head.len(), |colon| from + colon))
        }
    };
    let reference = match rest {
        "" => None,
        digest if digest.starts_with('@') && split_digest(digest).is_some() => Some(digest),
        other => Some(other.strip_prefix(':').ok_or("only :REF or @DIGEST may follow the bracket")?),
    };
    match (path, reference) {
        ("", _) => Err("it names no path"),
        (_, Some("")) => Err("nothing follows the colon"),
        (path, _) if path.contains('\0') => Err("its path holds a NUL"),
        (path, reference) => Ok((path.into(), reference.map(str::to_owned))),
    }
}

/// Takes a trailing `@ALGORITHM:HEX` of full length off a text: what stands before it, and the digest.
///
/// ```
/// use transship_spec::{Digest, split_digest};
/// let digest = Digest::sha256(b"");
/// let text = format!("v1@{digest}");
/// assert_eq!(split_digest(&text), Some(("v1", digest)));
/// assert_eq!(split_digest("v1@latest"), None);
/// ```
#[must_use]
pub fn split_digest(text: &str) -> Option<(&str, Digest)> {
    let (before, digest) = text.rsplit_once('@')?;
    let digest = Digest::parse(digest).ok().filter(Digest::is_verifiable)?;
    Some((before, digest))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, path, reference) = match self {
            Self::Layout { path, reference } => ("oci:", path, reference),
            Self::Archive { path, reference } => ("oci-archive:", path, reference),
            Self::DockerArchive { path, reference } => ("docker-archive:", path, reference),
            Self::Registry(reference) => return write!(f, "docker://{reference}"),
            Self::Path(path) => return path.display().fmt(f),
        };
        let shown = path.to_string_lossy();
        let rest = match reference {
            Some(digest) if digest.starts_with('@') && split_digest(digest).is_some() => digest.clone(),
            Some(reference) => format!(":{reference}"),
            None => String::new(),
        };
        let plain = format!("{shown}{rest}");
        match split_path(&plain) {
            Ok(read) if read == (path.clone(), reference.clone()) => write!(f, "{prefix}{plain}"),
            _ => write!(f, "{prefix}[{shown}]{rest}"),
        }
    }
}

impl FromStr for Location {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn layout(path: &str, reference: Option<&str>) -> Location {
        Location::Layout { path: path.into(), reference: reference.map(str::to_owned) }
    }

    #[test]
    fn a_path_ends_at_the_first_colon_and_all_after_it_is_the_reference() {
        for (text, path, reference) in [
            ("oci:out", "out", None),
            ("oci:out:v1", "out", Some("v1")),
            ("oci:/a/b:registry.example/team/app:v1", "/a/b", Some("registry.example/team/app:v1")),
            ("oci:out:@0", "out", Some("@0")),
            ("oci:[a:b]:v1", "a:b", Some("v1")),
            ("oci:[a:b]", "a:b", None),
            ("oci:[a]b]", "a]b", None),
        ] {
            assert_eq!(Location::parse(text).unwrap(), layout(path, reference), "{text}");
        }
    }

    #[test]
    fn a_digest_may_follow_the_path_or_the_name() {
        let digest = format!("@{HEX}");
        assert_eq!(Location::parse(&format!("oci:out{digest}")).unwrap(), layout("out", Some(&digest)));
        assert_eq!(Location::parse(&format!("oci:out:{digest}")).unwrap(), layout("out", Some(&digest)));
        assert_eq!(
            Location::parse(&format!("oci:out:v1{digest}")).unwrap(),
            layout("out", Some(&format!("v1{digest}")))
        );
        assert_eq!(Location::parse("oci:out@sha256:abc").unwrap(), layout("out@sha256", Some("abc")));
    }

    #[test]
    fn prefixes_tell_archives_and_registries() {
        assert!(matches!(Location::parse("oci-archive:a.tar:v1").unwrap(), Location::Archive { .. }));
        assert!(matches!(Location::parse("oci-archive:-").unwrap(), Location::Archive { .. }));
        assert!(matches!(Location::parse("docker-archive:a.tar").unwrap(), Location::DockerArchive { .. }));
        assert!(matches!(Location::parse("docker://h.x/a:v1").unwrap(), Location::Registry(_)));
        assert!(matches!(Location::parse("alpine").unwrap(), Location::Registry(_)));
        for path in ["./out", "/out", "../out", ".", ".."] {
            assert_eq!(Location::parse(path).unwrap(), Location::Path(path.into()));
        }
    }

    #[test]
    fn what_has_two_meanings_is_refused_with_both() {
        let error = Location::parse("oci://h.x/chart").unwrap_err().to_string();
        assert!(error.contains("docker://h.x/chart") && error.contains("oci:/h.x/chart"), "{error}");
    }

    #[test]
    fn ill_formed_locations_are_refused() {
        for bad in [
            "",
            "oci:",
            "oci::v1",
            "oci:a:",
            "oci:[a",
            "oci:[a]b",
            "oci:[]",
            "http://h.x/a",
            "docker://",
            "oci:a\0b",
        ] {
            assert!(Location::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_location() {
        let digest = format!("@{HEX}");
        for location in [
            layout("out", None),
            layout("out", Some("v1")),
            layout("a:b", Some("v1")),
            layout("[x", Some("@3")),
            layout("out", Some(&digest)),
            layout("o@ut", Some(&digest)),
            layout("o@sha256", Some(&HEX[7..])),
            Location::Archive { path: "-".into(), reference: None },
            Location::Registry(Reference::parse("h.x:1/a:v").unwrap()),
        ] {
            assert_eq!(Location::parse(&location.to_string()).unwrap(), location, "{location}");
        }
    }
}
