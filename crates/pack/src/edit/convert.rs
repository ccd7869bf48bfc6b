//! Media types of the OCI and of Docker: one content, two ways to call it (IMG-157).

use transship_spec::splice::Object;
use transship_spec::{Manifest, MediaType};

use crate::Error;

/// Whose media types an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The OCI's.
    Oci,
    /// Docker's, second schema: no layers in zstd, and no annotations.
    Docker,
}

impl Dialect {
    /// The dialect of a document.
    pub(super) fn of(media_type: &MediaType) -> Self {
        if media_type.to_oci().is_some() { Self::Docker } else { Self::Oci }
    }

    /// The same content in this dialect.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what Docker has no word for.
    pub(super) fn of_type(self, media_type: &MediaType) -> Result<MediaType, Error> {
        match self {
            Self::Oci => Ok(media_type.to_oci().unwrap_or_else(|| media_type.clone())),
            Self::Docker if media_type.to_oci().is_some() => Ok(media_type.clone()),
            Self::Docker => media_type.to_docker().ok_or_else(|| {
                Error::Unsupported(format!(
                    "Docker's manifests have no word for {media_type}{}",
                    remedy(media_type)
                ))
            }),
        }
    }

    /// # Errors
    /// [`Error::Unsupported`] for what Docker's documents cannot say.
    pub(super) fn check(self, manifest: &Manifest) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::Unsupported(format!("Docker's manifests have no {what}")));
        match self {
            Self::Docker if !manifest.annotations.is_empty() => {
                refuse("annotations; --clear annotation takes them away")
            }
            Self::Docker if manifest.subject.is_some() => refuse("subject, which this one has"),
            Self::Docker if manifest.artifact_type.is_some() => refuse("artifact type, which this one has"),
            _ => Ok(()),
        }
    }
}

fn remedy(media_type: &MediaType) -> &'static str {
    if *media_type == MediaType::OCI_LAYER_ZSTD { "; --recompress gzip gives them one" } else { "" }
}

/// Calls a document what it is now; the OCI's need not say it themselves.
pub(super) fn retype(document: &mut Object, was: &MediaType, is: &MediaType) -> Result<(), Error> {
    let says = document.get("mediaType")?.is_some();
    if was != is && (says || is.to_oci().is_some()) {
        document.set("mediaType", is)?;
    }
    Ok(())
}
