//! From what was typed to where it is: text is parsed by [`Location`], what a path is is looked up here.

use std::path::{Path, PathBuf};

use transship_spec::{Digest, Kind, Location, Reference, quote};

use crate::exit::Failure;

/// Where content is, or is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A layout in a folder, and what in it.
    Layout { path: PathBuf, reference: Option<String> },
    /// An archive, and what in it.
    Archive { path: PathBuf, reference: Option<String>, form: Form },
    /// A repository of a registry, and what in it.
    Registry(Reference),
}

/// How an archive is written. Reading tells by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An image layout.
    Oci,
    /// What `docker load` takes, which is a layout, too.
    Docker,
}

/// The path that stands for a pipe.
pub(crate) fn is_pipe(path: &Path) -> bool {
    path == Path::new("-")
}

impl Place {
    /// Finds out what a location means. A path must be there, unless `made` says that it may be made.
    pub(crate) fn find(text: &str, made: Made) -> Result<Self, Failure> {
        let location = Location::parse(text).map_err(|error| rethink(text, error.into()))?;
        match location {
            Location::Layout { path, reference } => {
                check_digest(&path, reference.as_deref())?;
                Ok(Self::Layout { path, reference })
            }
            Location::Registry(reference) => {
                refuse_local(text)?;
                Ok(Self::Registry(reference))
            }
            Location::Path(path) => of_path(text, path, made),
            Location::Archive { path, reference } => {
                check_digest(&path, reference.as_deref())?;
                Ok(Self::Archive { path, reference, form: Form::Oci })
            }
            Location::DockerArchive { path, reference } => {
                check_digest(&path, reference.as_deref())?;
                Ok(Self::Archive { path, reference, form: Form::Docker })
            }
        }
    }

    /// The registry that it lies on.
    pub(crate) fn registry(&self) -> Option<&str> {
        match self {
            Self::Layout { .. } | Self::Archive { .. } => None,
            Self::Registry(reference) => Some(reference.registry()),
        }
    }

    /// What of it is meant, on this machine.
    pub(crate) fn reference(&self) -> Option<&str> {
        match self {
            Self::Layout { reference, .. } | Self::Archive { reference, .. } => reference.as_deref(),
            Self::Registry(_) => None,
        }
    }

    /// An archive is written as a whole: it cannot be changed piece by piece.
    pub(crate) fn unchanged(&self, instead: &str) -> Failure {
        Failure::new(Kind::Unsupported, format!("an archive is written as a whole: it {instead}"))
            .hint(format!("transship copy {self} oci:DIR makes a layout of it, which can be changed"))
    }

    /// As it can be typed again.
    pub(crate) fn location(&self) -> Location {
        match self.clone() {
            Self::Layout { path, reference } => Location::Layout { path, reference },
            Self::Archive { path, reference, form: Form::Oci } => Location::Archive { path, reference },
            Self::Archive { path, reference, form: Form::Docker } => {
                Location::DockerArchive { path, reference }
            }
            Self::Registry(reference) => Location::Registry(reference),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::show::plain(&self.location().to_string()))
    }
}

/// Whether what is named may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It must be there.
    Before,
    /// It is made if it is not there.
    Now,
}

/// Whether a path and a destination are one folder.
pub(crate) fn is_same_folder(path: &Path, dest: &Place) -> bool {
    let Place::Layout { path: dest, .. } = dest else { return false };
    path == dest || path.canonicalize().is_ok_and(|path| dest.canonicalize().is_ok_and(|dest| path == dest))
}

/// In `DIR@sha256:…` with a digest that is none, the path would end at the digest's own colon.
fn check_digest(path: &Path, reference: Option<&str>) -> Result<(), Failure> {
    let path = path.to_string_lossy();
    let algorithm = path.rsplit_once('@').map(|(_, algorithm)| algorithm);
    let named = reference.and_then(|reference| reference.rsplit_once('@')).map(|(_, digest)| digest);
    let digest = match (algorithm, reference) {
        (Some(algorithm @ ("sha256" | "sha512")), Some(encoded)) => format!("{algorithm}:{encoded}"),
        _ => match named.filter(|digest| digest.starts_with("sha256:") || digest.starts_with("sha512:")) {
            Some(digest) => digest.to_owned(),
            None => return Ok(()),
        },
    };
    Ok(Digest::parse(&digest).map(drop)?)
}

/// A path is a layout if it is a folder, an archive if it is a file.
fn of_path(text: &str, path: PathBuf, made: Made) -> Result<Place, Failure> {
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(Place::Layout { path, reference: None }),
        Ok(meta) if meta.is_file() => Ok(Place::Archive { path, reference: None, form: Form::Oci }),
        Ok(_) => Err(Failure::new(Kind::Invalid, format!("{} is neither a folder nor a file", quote(text)))),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io(quote(text), &error)),
        Err(_) => match text.split_once(':') {
            Some((folder, rest)) if Path::new(folder).is_dir() || made == Made::Now => {
                Err(Failure::usage(format!("{} is a path, and a path takes no REF", quote(text)))
                    .hint(format!("type oci:{folder}:{rest}")))
            }
            _ if made == Made::Now && !looks_like_tar(&path) => Ok(Place::Layout { path, reference: None }),
            _ if made == Made::Now => Ok(Place::Archive { path, reference: None, form: Form::Oci }),
            _ => Err(Failure::new(Kind::NotFound, format!("there is no {}", quote(text)))),
        },
    }
}

fn looks_like_tar(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar", ".tgz", ".tar.gz", ".tar.zst"].iter().any(|end| name.ends_with(end))
}

/// A word without a prefix that is also a path here could mean either.
fn refuse_local(text: &str) -> Result<(), Failure> {
    if text.starts_with("docker://") {
        return Ok(());
    }
    if Path::new(text).symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} is a path here, and could be a repository, too",
            quote(text)
        ))
        .hint(format!("type ./{text} or docker://{text}")));
    }
    match text.split_once([':', '@']) {
        Some((folder, _)) if Path::new(folder).join("oci-layout").is_file() => {
            let rest = &text[folder.len()..];
            Err(Failure::usage(format!(
                "{} is a layout here, and {} could be in a registry, too",
                quote(folder),
                quote(text)
            ))
            .hint(format!("type oci:{folder}{rest} or docker://{text}")))
        }
        _ => Ok(()),
    }
}

/// A word that is no reference may still be a path that was meant.
fn rethink(text: &str, failure: Failure) -> Failure {
    match Path::new(text).symlink_metadata() {
        Ok(_) if !text.contains(':') => failure.hint(format!("if the path is meant, type ./{text}")),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(failure: &Failure) -> &str {
        failure.remedy().unwrap_or_default()
    }

    #[test]
    fn a_folder_is_a_layout_and_a_file_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        let found = Place::find(text, Made::Before).unwrap();
        assert_eq!(found, Place::Layout { path: folder.path().into(), reference: None });
        std::fs::write(folder.path().join("a.tar"), "").unwrap();
        for (name, made) in [("a.tar", Made::Before), ("new.tar", Made::Now)] {
            let found = Place::find(&format!("{text}/{name}"), made).unwrap();
            let path = folder.path().join(name);
            assert_eq!(found, Place::Archive { path, reference: None, form: Form::Oci });
        }
        assert_eq!(Place::find(&format!("{text}/no"), Made::Before).unwrap_err().code(), 3);
        assert!(Place::find(&format!("{text}/no"), Made::Now).is_ok());
    }

    #[test]
    fn a_path_takes_no_reference_and_the_way_to_give_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}:v1", folder.path().display());
        let failure = Place::find(&text, Made::Before).unwrap_err();
        assert_eq!((failure.code(), hint(&failure)), (2, &*format!("type oci:{text}")));
    }

    #[test]
    fn a_reference_is_in_a_registry() {
        let place = Place::find("registry.example/app:v1", Made::Before).unwrap();
        assert_eq!(place.registry(), Some("registry.example"));
        assert_eq!(place.to_string(), "docker://registry.example/app:v1");
        assert_eq!(Place::find("oci://out", Made::Before).unwrap_err().code(), 2);
    }
}
