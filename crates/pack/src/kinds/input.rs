//! How a user names a file of an artifact: `[TITLE=]FILE[:TYPE]`.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use transship_spec::MediaType;

use crate::Error;

/// A file or a folder that becomes part of an artifact.
///
/// As text it is `[TITLE=]FILE[:TYPE]`. What follows the last colon is the type, if it is a media type; what stands before
/// the first `=` is the title. Without one the file's path is its title, as ORAS has it: relative, with slashes, and
/// cleaned of `.` and doubled slashes. A title that leads out of the folder in which the artifact will be unpacked is
/// refused, so an absolute path, or one with `..`, needs a `TITLE=`.
///
/// ```
/// use transship_pack::File;
///
/// let file: File = "docs/readme.txt=./README.md:text/markdown".parse()?;
/// assert_eq!(file.title, "docs/readme.txt");
/// assert_eq!(file.path.to_str(), Some("./README.md"));
/// assert_eq!(file.media_type.map(|kind| kind.to_string()).as_deref(), Some("text/markdown"));
/// assert!("../secret".parse::<File>().is_err());
/// # Ok::<(), transship_pack::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the artifact.
    pub title: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is; without a type it goes by the one that ORAS gives to files, or to folders.
    pub media_type: Option<MediaType>,
}

impl File {
    /// A file that is named by its path.
    ///
    /// # Errors
    /// [`Error::Option`] for a path that is no title: absolute, with `..`, empty, or not UTF-8.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let title = title_of(&path)?;
        Ok(Self { title, path, media_type: None })
    }

    /// A file that is named by the last name of its path, wherever that is.
    ///
    /// # Errors
    /// [`Error::Option`] for a path that has none, or whose name is not UTF-8.
    pub fn named_last(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let reason = "it has no last name in UTF-8; name it: TITLE=FILE";
            return Err(Error::option("the title of a file", &path.to_string_lossy(), reason));
        };
        Ok(Self { title: name.to_owned(), path, media_type: None })
    }

    /// Whether the title is one that may be unpacked.
    pub(crate) fn check_title(&self) -> Result<(), Error> {
        if is_title(&self.title) {
            return Ok(());
        }
        Err(Error::option(
            "a title",
            &self.title,
            "it takes a relative path with slashes, without . or .. in it",
        ))
    }
}

impl FromStr for File {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let typed = text.rsplit_once(':').and_then(|(file, kind)| Some((file, MediaType::parse(kind).ok()?)));
        let (text, media_type) = match typed {
            Some((file, kind)) => (file, Some(kind)),
            None => (text, None),
        };
        let file = match text.split_once('=') {
            Some((title, path)) => Self { title: title.to_owned(), path: path.into(), media_type },
            None => Self { media_type, ..Self::new(text)? },
        };
        if file.path.as_os_str().is_empty() {
            return Err(Error::option("a file", text, "it takes [TITLE=]FILE[:TYPE]"));
        }
        file.check_title()?;
        Ok(file)
    }
}

/// Whether a name leads to something in the folder that it is taken from: relative, with slashes, cleaned.
pub(crate) fn is_title(title: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    (title == "." || title.split('/').all(is_name)) && !title.contains(['\0', '\\'])
}

fn title_of(path: &Path) -> Result<String, Error> {
    let refuse = || {
        let reason = "it is absolute, or leads out of its folder, or is not UTF-8; name it: TITLE=FILE";
        Error::option("the title of a file", &path.to_string_lossy(), reason)
    };
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(refuse)?),
            Component::CurDir => {}
            _ => return Err(refuse()),
        }
    }
    match parts.is_empty() {
        true if path.as_os_str().is_empty() => Err(refuse()),
        true => Ok(".".to_owned()),
        false => Ok(parts.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_file_and_type_are_told_apart() {
        for (text, title, path, media_type) in [
            ("a", "a", "a", None),
            ("./a//b/", "a/b", "./a//b/", None),
            (".", ".", ".", None),
            ("./", ".", "./", None),
            ("a:text/plain", "a", "a", Some("text/plain")),
            ("a:b", "a:b", "a:b", None),
            ("a:b:text/plain", "a:b", "a:b", Some("text/plain")),
            ("C:/x/y", "C:/x/y", "C:/x/y", None),
            ("t=/abs/file", "t", "/abs/file", None),
            ("t=../file:a/b", "t", "../file", Some("a/b")),
            ("d/t=f=g", "d/t", "f=g", None),
            ("t=/abs:1/file:a/b", "t", "/abs:1/file", Some("a/b")),
            ("a:application/vnd.x.v1+json", "a", "a", Some("application/vnd.x.v1+json")),
            ("...", "...", "...", None),
        ] {
            let file: File = text.parse().unwrap();
            let kind = file.media_type.as_ref().map(MediaType::as_str);
            assert_eq!(
                (&*file.title, file.path.to_str().unwrap(), kind),
                (title, path, media_type),
                "{text}"
            );
        }
    }

    #[test]
    fn titles_that_lead_out_are_refused_with_the_remedy() {
        for text in ["/abs", "../a", "a/../b", "..", "", ":text/plain"] {
            let error = text.parse::<File>().unwrap_err();
            assert!(error.to_string().contains("TITLE="), "{text}: {error}");
        }
        for text in [
            "/t=a",
            "../t=a",
            "a/../../t=a",
            "=a",
            "t=",
            "a//b=c",
            "a/=c",
            "./a=c",
            "a/./b=c",
            "a\\b=c",
            "a\0=c",
        ] {
            assert!(text.parse::<File>().is_err(), "{text}");
        }
        use std::os::unix::ffi::OsStrExt;
        assert!(File::new(Path::new(std::ffi::OsStr::from_bytes(b"\xff"))).is_err());
    }
}
