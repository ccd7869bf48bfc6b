//! Attestations of builds: statements of in-toto that are not signed, in a manifest beside the image in its index.

use transship_spec::{Descriptor, MediaType};

use super::{statement, types};
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

use super::names::named;

const MANIFEST: &str = "application/vnd.docker.attestation.manifest.v1+json";
const CONFIG: &str = "application/vnd.docker.attestation.config.v1+json";
const PREDICATE: &str = "in-toto.io/predicate-type";

/// Attestation manifests of `BuildKit`.
#[derive(Debug)]
pub(super) struct BuildKit;

impl Kind for BuildKit {
    fn name(&self) -> &'static str {
        "buildkit-attestation"
    }

    fn about(&self) -> &'static str {
        "attestations of a build by BuildKit"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let layers = sight.layers();
        let is_statement = |layer: &&Descriptor| layer.media_type.as_str() == types::IN_TOTO;
        let is_image = sight.config_type().is_some_and(MediaType::is_image_config);
        match () {
            () if sight.is_type(MANIFEST) => Some(Sign::ArtifactType),
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if is_image && !layers.is_empty() && layers.iter().all(is_statement) => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        statement::describe(held)
    }

    /// The names that `BuildKit` gives them where it exports files.
    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), |layer: &Descriptor| {
            let predicate = layer.annotations.get(PREDICATE).map(String::as_str).unwrap_or_default();
            match predicate {
                provenance if provenance.starts_with("https://slsa.dev/provenance/") => {
                    Some("provenance.json")
                }
                "https://spdx.dev/Document" => Some("sbom.spdx.json"),
                _ if layer.media_type.as_str() == types::IN_TOTO => Some("attestation.json"),
                _ => None,
            }
        })
    }
}
