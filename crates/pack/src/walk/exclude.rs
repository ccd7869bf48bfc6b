//! Which paths of a tree are left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{Error, Ignore};

/// Globs of paths that are left out of a layer, with all that lies beneath them.
///
/// A glob without a slash is a name at any depth (`*.pyc`, `.git`). One with a slash is a path from the top of the tree
/// (`var/cache/*`, `/build`); a slash at its end means folders only. `*` and `?` stop at slashes, `**` does not.
///
/// ```
/// use transship_pack::Excludes;
/// let excludes = Excludes::new(["*.pyc", "/build", "docs/**/draft/"])?;
/// assert!(Excludes::new(["[a"]).is_err());
/// # Ok::<(), transship_pack::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Excludes {
    any: GlobSet,
    folders: GlobSet,
    ignore: Ignore,
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is packed.
    In,
    /// It is left out, with all beneath it.
    Out,
    /// It is a folder that is left out, unless something beneath it is taken in again.
    Unless,
}

impl Excludes {
    /// Reads the globs.
    ///
    /// # Errors
    /// [`Error::Option`] for a glob that is none.
    pub fn new(globs: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let (mut any, mut folders) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            let text = text.as_ref();
            let refuse = |error: globset::Error| Error::option("a glob", text, error.kind().to_string());
            let (glob, builder) = match text.strip_suffix('/') {
                Some(glob) => (glob, &mut folders),
                None => (text, &mut any),
            };
            let glob = match glob.strip_prefix('/') {
                Some(anchored) => anchored.to_owned(),
                None if glob.contains('/') => glob.to_owned(),
                None => format!("**/{glob}"),
            };
            if glob.is_empty() || glob == "**/" {
                return Err(Error::option("a glob", text, "it names nothing"));
            }
            builder.add(GlobBuilder::new(&glob).literal_separator(true).build().map_err(refuse)?);
        }
        let build = |builder: GlobSetBuilder| {
            builder.build().map_err(|error| Error::option("the globs", "", error.to_string()))
        };
        Ok(Self { any: build(any)?, folders: build(folders)?, ignore: Ignore::default() })
    }

    /// Leaves out what a file of patterns says, too. What the globs name is not taken in again by it.
    #[must_use]
    pub fn and(self, ignore: Ignore) -> Self {
        Self { ignore, ..self }
    }

    /// What becomes of a path from the top of the tree, without a slash at its end, none of whose folders is
    /// [`Fate::Out`].
    pub(crate) fn fate(&self, path: &[u8], is_folder: bool) -> Fate {
        if self.names(path, is_folder) {
            Fate::Out
        } else if !self.ignore.leaves_out(path) {
            Fate::In
        } else if is_folder && self.ignore.may_take_in_beneath(path) {
            Fate::Unless
        } else {
            Fate::Out
        }
    }

    /// Whether a path is left out, by itself or with a folder that leads to it.
    pub(crate) fn leave_out(&self, path: &[u8]) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(end, _)| &path[..end]).any(|folder| self.fate(folder, true) == Fate::Out)
            || self.fate(path, false) != Fate::In
    }

    /// Whether a glob names a path or a folder that leads to it.
    pub(crate) fn name_or_hold(&self, path: &[u8], is_folder: bool) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(end, _)| &path[..end]).any(|folder| self.names(folder, true))
            || self.names(path, is_folder)
    }

    /// Whether a glob names it.
    fn names(&self, path: &[u8], is_folder: bool) -> bool {
        if self.any.is_empty() && self.folders.is_empty() {
            return false;
        }
        let candidate = Candidate::new(Path::new(OsStr::from_bytes(path)));
        self.any.is_match_candidate(&candidate) || is_folder && self.folders.is_match_candidate(&candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_name_what_their_documentation_says() {
        for (glob, path, is_folder, named) in [
            ("*.pyc", "a.pyc", false, true),
            ("*.pyc", "deep/er/a.pyc", false, true),
            (".git", "sub/.git", true, true),
            ("*", "a/b", false, true),
            ("/build", "build", true, true),
            ("/build", "sub/build", true, false),
            ("var/cache/*", "var/cache/x", false, true),
            ("var/cache/*", "var/cache/x/y", false, false),
            ("var/cache/**", "var/cache/x/y", false, true),
            ("var/cache/*", "sub/var/cache/x", false, false),
            ("tmp/", "a/tmp", true, true),
            ("tmp/", "a/tmp", false, false),
            ("[ab]?", "bz", false, true),
            ("A", "a", false, false),
            ("\\*", "*", false, true),
        ] {
            let excludes = Excludes::new([glob]).unwrap();
            assert_eq!(excludes.names(path.as_bytes(), is_folder), named, "{glob} {path}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_can_be_left_out() {
        assert!(Excludes::new(["*.tmp"]).unwrap().names(b"\xff.tmp", false));
    }

    #[test]
    fn a_glob_that_is_none_is_refused_by_name() {
        for bad in ["[a", "{a", "", "/", "a["] {
            let error = Excludes::new([bad]).unwrap_err();
            assert_eq!(error.kind(), transship_spec::Kind::Usage, "{bad}");
        }
    }
}
