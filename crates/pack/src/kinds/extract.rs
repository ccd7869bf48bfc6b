//! The files that are made of an artifact: which, and of what. Who writes them sees to it that none leads out.

use transship_spec::{Descriptor, Digest, MediaType, annotations};

use super::Sight;
use crate::Error;

/// A file or a folder that is made of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    /// Its name below the folder in which all are made: relative, with slashes.
    pub path: String,
    /// Of what it is made.
    pub taken: Taken,
}

/// Of what a file or a folder is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// The bytes of a blob as they are.
    Blob(Descriptor),
    /// These bytes.
    Bytes(Vec<u8>),
    /// The folders, files and links of a tar, which may be compressed.
    Tar {
        /// The blob that is the tar.
        layer: Descriptor,
        /// The digest of the plain tar, where it was told.
        plain: Option<Digest>,
        /// The folder in which all entries of the tar must lie, which is not made; nothing where they lie in none.
        prefix: Option<String>,
    },
}

/// The layers of an artifact by their titles, as ORAS writes them, and those without a title by their digests.
///
/// A folder that was packed as ORAS packs them is a tar that is unpacked. The empty blob is no file.
///
/// # Errors
/// [`Error::Title`] for two files of one title, and [`Error::NotOfKind`] for a title that leads out.
pub fn titled(sight: &Sight<'_>) -> Result<Vec<Extract>, Error> {
    let layers = sight.layers().into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
    let files: Vec<Extract> = layers.map(Extract::of_layer).collect();
    check(sight, &files)?;
    Ok(files)
}

/// Whether all of them can lie in one folder.
pub(crate) fn check(sight: &Sight<'_>, files: &[Extract]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    for file in files {
        if !super::input::is_title(&file.path) {
            let what = sight.document().digest().to_string();
            let reason = format!("{} is no name for a file in a folder", transship_spec::quote(&file.path));
            return Err(Error::not_of_kind(what, "artifact", reason));
        }
        if !seen.insert(&file.path) {
            return Err(Error::Title(file.path.clone()));
        }
    }
    Ok(())
}

impl Extract {
    /// A blob as a file of this name.
    #[must_use]
    pub fn blob(path: impl Into<String>, blob: &Descriptor) -> Self {
        Self { path: path.into(), taken: Taken::Blob(blob.clone()) }
    }

    /// A layer by its title, else by its digest.
    pub(super) fn of_layer(layer: &Descriptor) -> Self {
        let said = |key: &str| layer.annotations.get(key).cloned();
        let Some(title) = said(annotations::TITLE) else {
            return Self::blob(layer.digest.to_string().replace(':', "-"), layer);
        };
        if said(annotations::ORAS_CONTENT_UNPACK).as_deref() != Some("true") {
            return Self::blob(title, layer);
        }
        let plain = said(annotations::ORAS_CONTENT_DIGEST).and_then(|digest| Digest::parse(&digest).ok());
        // What lies in the folder `.` lies in no folder.
        let prefix = (title != ".").then(|| title.clone());
        Self { path: title, taken: Taken::Tar { layer: layer.clone(), plain, prefix } }
    }
}
