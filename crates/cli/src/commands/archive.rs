//! An archive that is copied or packed to: a file, or a pipe.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use transship_copy::Destination;
use transship_copy::endpoint::ArchiveTarget;
use transship_spec::{Reference, quote};

use crate::args::Writing;
use crate::exit::Failure;
use crate::local;
use crate::output::unwritten;
use crate::place::{Form, Place, is_pipe};

/// An archive under way. One for a pipe is made in a temporary folder, and sent when it is whole.
pub(super) struct Tar {
    target: ArchiveTarget,
    name: Option<String>,
    pipe: Option<tempfile::TempDir>,
}

const PIPED: &str = "image.tar";

impl Tar {
    /// Finds out what is there; nothing for a place that is no archive.
    pub(super) fn open(place: &Place, writing: &Writing) -> Result<Option<Self>, Failure> {
        let Place::Archive { path, reference, form } = place else { return Ok(None) };
        let options = local::archives(writing);
        let (target, pipe) = match is_pipe(path) {
            true if std::io::stdout().is_terminal() => {
                return Err(Failure::usage("an archive is not for a terminal")
                    .hint("redirect standard output, or name a file"));
            }
            true => {
                let folder = tempfile::Builder::new().prefix("transship-").tempdir();
                let folder = folder.map_err(|error| Failure::io("making a temporary folder", &error))?;
                (ArchiveTarget::open(folder.path().join(PIPED), options)?, Some(folder))
            }
            false => (ArchiveTarget::open(path, options)?, None),
        };
        Ok(Some(match form {
            Form::Oci => Self { target, name: reference.clone(), pipe },
            Form::Docker => Self { target: target.docker(), name: docker_name(reference.as_deref())?, pipe },
        }))
    }

    pub(super) fn destination(&self) -> Destination {
        Destination::Archive { target: self.target.clone(), name: self.name.clone() }
    }

    pub(super) fn target(&self) -> &ArchiveTarget {
        &self.target
    }

    pub(super) fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// Sends what is to go through a pipe; tells whether there was one, so that nothing else belongs on standard output.
    pub(super) fn send(&self) -> Result<bool, Failure> {
        let Some(folder) = &self.pipe else { return Ok(false) };
        let path = folder.path().join(PIPED);
        if !path.exists() {
            return Ok(true);
        }
        let mut file = std::fs::File::open(&path).map_err(|error| Failure::io(path.display(), &error))?;
        let mut stdout = std::io::stdout().lock();
        std::io::copy(&mut file, &mut stdout).map_err(|error| unwritten(&error))?;
        stdout.flush().map_err(|error| unwritten(&error))?;
        Ok(true)
    }
}

/// Whether the place is standard output.
pub(super) fn is_stdout(place: &Place) -> bool {
    matches!(place, Place::Archive { path, .. } if is_pipe(Path::new(path)))
}

/// Docker knows images by repository and tag only, and takes Docker Hub for granted.
pub(super) fn docker_name(reference: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = reference else { return Ok(None) };
    let reference = Reference::parse(text)?;
    if reference.digest().is_some() {
        return Err(Failure::usage(format!("{} names a digest, and docker load takes tags", quote(text))));
    }
    Ok(Some(reference.or_latest().to_string()))
}
