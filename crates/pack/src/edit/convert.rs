//! What an edit may call in another dialect, and what it must refuse (IMG-157).

use transship_spec::{Dialect, Manifest, MediaType};

use crate::Error;

/// The type for the same content in this dialect.
///
/// # Errors
/// [`Error::Unsupported`] for what Docker has no word for.
pub(super) fn type_for(dialect: Dialect, media_type: &MediaType) -> Result<MediaType, Error> {
    dialect.type_for(media_type).ok_or_else(|| {
        Error::Unsupported(format!("Docker's manifests have no word for {media_type}{}", remedy(media_type)))
    })
}

/// # Errors
/// [`Error::Unsupported`] for what Docker's documents cannot say.
pub(super) fn check(dialect: Dialect, manifest: &Manifest) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::Unsupported(format!("Docker's manifests have no {what}")));
    if dialect != Dialect::Docker {
        return Ok(());
    }
    if !manifest.annotations.is_empty() {
        return refuse("annotations; --clear annotation takes them away");
    }
    if manifest.subject.is_some() {
        return refuse("subject, which this one has");
    }
    if manifest.artifact_type.is_some() {
        return refuse("artifact type, which this one has");
    }
    Ok(())
}

fn remedy(media_type: &MediaType) -> &'static str {
    if *media_type == MediaType::OCI_LAYER_ZSTD { "; --recompress gzip gives them one" } else { "" }
}
