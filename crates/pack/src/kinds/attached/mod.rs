//! What is attached to other content: signatures, attestations, SBOMs, results of scans.
//!
//! Nothing is verified here. What signed content says is told as a claim, beside whether the digest that it speaks of agrees
//! with that to which it is attached. Blobs are read up to [`Held::SMALL`](super::Held::SMALL) bytes, and few of them; what
//! cannot be read is said, and ends nothing.

mod buildkit;
mod bundle;
mod cbor;
mod certificate;
mod cosign;
mod names;
mod notation;
mod recognised;
mod said;
mod sarif;
mod sbom;
mod statement;
mod told;
mod types;

use std::sync::Arc;

use transship_spec::MediaType;

pub use recognised::{Recognised, recognise_file};

use super::{Kind, Sight, Sign};

/// The kinds of this family.
pub(super) fn all() -> impl Iterator<Item = Arc<dyn Kind>> {
    let kinds: [Arc<dyn Kind>; 10] = [
        Arc::new(sbom::Spdx),
        Arc::new(sbom::CycloneDx),
        Arc::new(sarif::Sarif),
        Arc::new(statement::InToto),
        Arc::new(bundle::SigstoreBundle),
        Arc::new(notation::Notation),
        Arc::new(cosign::Signature),
        Arc::new(cosign::Attestation),
        Arc::new(cosign::Sbom),
        Arc::new(buildkit::BuildKit),
    ];
    kinds.into_iter()
}

/// How something that is no image shows to be of one of these types.
fn by_type(sight: &Sight<'_>, types: &[&str]) -> Option<Sign> {
    let is_of = |media_type: &str| types.contains(&media_type);
    let config = sight.config_type();
    match () {
        () if sight.artifact_type().is_some_and(|found| is_of(found.as_str())) => Some(Sign::ArtifactType),
        () if config.is_some_and(MediaType::is_image_config) => None,
        () if config.is_some_and(|config| is_of(config.as_str())) => Some(Sign::ConfigType),
        () if sight.layers().iter().any(|layer| is_of(layer.media_type.as_str())) => Some(Sign::LayerType),
        () => None,
    }
}
