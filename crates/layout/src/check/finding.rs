//! One thing that was found, and where.

use std::fmt;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use transship_spec::Digest;

use super::code::{Code, Severity};

/// Something that check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What it is in this case: a fragment in lower case. Texts from outside are escaped and shortened.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, place, message: message.into() }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.code.remedy()
    }
}

impl fmt::Display for Finding {
    /// On one line: severity, code, place and message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.severity(), self.code, self.place, self.message)
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", self.code.name())?;
        map.serialize_entry("severity", self.severity().name())?;
        let Place { path, entry, digest, part } = &self.place;
        if let Some(path) = path {
            map.serialize_entry("path", path)?;
        }
        if let Some(entry) = entry {
            map.serialize_entry("entry", entry)?;
        }
        if let Some(digest) = digest {
            map.serialize_entry("digest", digest)?;
        }
        if let Some(part) = part {
            map.serialize_entry("part", part)?;
        }
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("remedy", self.remedy())?;
        map.end()
    }
}

/// Where something was found: as much of this as there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// A file below the layout's folder.
    pub path: Option<String>,
    /// A position in `index.json`, from zero.
    pub entry: Option<usize>,
    /// The content that it is in.
    pub digest: Option<Digest>,
    /// What in the content: a member of a document, or a path in a layer.
    pub part: Option<String>,
}

impl Place {
    pub(crate) fn path(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    pub(crate) fn entry(position: usize) -> Self {
        Self { entry: Some(position), ..Self::default() }
    }

    pub(crate) fn digest(digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..Self::default() }
    }

    pub(crate) fn part(&self, part: impl Into<String>) -> Self {
        let part = part.into();
        let part = match &self.part {
            Some(before) => format!("{before}.{part}"),
            None => part,
        };
        Self { part: Some(part), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.entry, &self.digest) {
            (Some(path), _, _) => write!(f, "{}", shown(path))?,
            (None, Some(entry), _) => write!(f, "index.json[{entry}]")?,
            (None, None, Some(digest)) => write!(f, "{digest}")?,
            (None, None, None) => f.write_str("index.json")?,
        }
        match &self.part {
            Some(part) => write!(f, " {}", shown(part)),
            None => Ok(()),
        }
    }
}

/// A text from outside on one line; in quotes only where it needs them.
fn shown(text: &str) -> String {
    let quoted = transship_spec::quote(text);
    let plain = !text.is_empty() && quoted.len() == text.len() + 2 && !text.contains(' ');
    if plain { text.to_owned() } else { quoted }
}
