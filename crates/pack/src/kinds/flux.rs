//! Artifacts of Flux: a folder of configuration as `flux push artifact` writes it.
//!
//! The manifest and its config are those of the library that Flux uses (go-containerregistry): the size before the digest,
//! and a config that is an empty image's but for the one layer. The archive of a folder follows
//! [`TAR_RECIPE`](crate::TAR_RECIPE), so its bytes are not those of Flux; Flux reads it all the same. Flux leaves out `.git`
//! and pictures unless told otherwise; this packs the folder as it is.

use serde::Serialize;
use transship_codec::Compression;
use transship_spec::{Annotations, Descriptor, Digest, Document, MediaType, annotations, go_json};

use super::{
    Extract, Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign, Taken, titled,
};
use crate::Error;

const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
const CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
/// What begins the types of content; what follows it says how the one file that it is would end.
const STATIC: &str = "application/vnd.cncf.flux.content.v1";

const REVISION: &str = "org.opencontainers.image.revision";
const SOURCE: &str = "org.opencontainers.image.source";
const SET_SOURCE: &str = "source";
const SET_REVISION: &str = "revision";
const SET_STATIC: &str = "static";

/// Artifacts of Flux.
#[derive(Debug)]
pub(super) struct Flux;

impl Kind for Flux {
    fn name(&self) -> &'static str {
        "flux"
    }

    fn about(&self) -> &'static str {
        "a folder of configuration for Flux"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        match () {
            () if sight.is_type(CONFIG) => Some(Sign::ArtifactType),
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if sight.layers().iter().any(|layer| is_content(layer)) => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let sight = held.sight();
        let mut facts = Facts::of(sight);
        for layer in sight.layers().into_iter().filter(|layer| is_content(layer)) {
            facts.call(layer.media_type.as_str(), "content");
        }
        facts.add("source", sight.annotation(SOURCE));
        facts.add("revision", sight.annotation(REVISION));
        facts.add("made", sight.annotation(annotations::CREATED));
        Ok(facts)
    }

    /// What Flux takes is its first layer; a tar lies in no folder.
    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let layers = held.sight().layers();
        match layers.as_slice() {
            [layer] if layer.media_type.as_str() == CONTENT => {
                let taken = Taken::Tar { layer: (*layer).clone(), plain: None, prefix: None };
                Ok(vec![Extract { path: ".".to_owned(), taken }])
            }
            [layer] if is_content(layer) => {
                let end = layer.media_type.as_str().strip_prefix(STATIC).unwrap_or_default();
                Ok(vec![Extract::blob(format!("content{end}"), layer)])
            }
            _ => titled(held.sight()),
        }
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Flux {
    fn inputs(&self) -> &'static str {
        "DIR | TAR | FILE"
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[
            Setting {
                name: SET_SOURCE,
                value: Some("URL"),
                help: "Where it was taken from",
                repeated: false,
            },
            Setting {
                name: SET_REVISION,
                value: Some("REVISION"),
                help: "Which state of it, as BRANCH@sha1:COMMIT",
                repeated: false,
            },
            Setting {
                name: SET_STATIC,
                value: Some("EXTENSION"),
                help: "Pack one file as it is, and say by which extension it is to be known",
                repeated: false,
            },
        ];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let input = request.one_input()?;
        let (layer, diff_id) = match request.setting(SET_STATIC) {
            Some(extension) => {
                let media_type = MediaType::parse(&format!("{STATIC}.{extension}"))?;
                let layer = Descriptor { media_type, ..making.store(&input.path)? };
                let digest = layer.digest.clone();
                (layer, digest)
            }
            None => {
                let stored = making.store_folder(&input.path, |options| {
                    options.compression = Compression::Gzip;
                    options.tar.hard_links = false;
                })?;
                if stored.descriptor.media_type != MediaType::OCI_LAYER_GZIP {
                    let what = input.path.to_string_lossy();
                    return Err(Error::not_of_kind(what, "artifact of Flux", "it is no tar in gzip"));
                }
                (Descriptor { media_type: MediaType::parse(CONTENT)?, ..stored.descriptor }, stored.diff_id)
            }
        };
        let mut said = request.annotations.clone();
        let told = [
            (annotations::CREATED, request.created()?),
            (SOURCE, request.setting(SET_SOURCE).map(str::to_owned)),
            (REVISION, request.setting(SET_REVISION).map(str::to_owned)),
        ];
        for (key, value) in told {
            if let Some(value) = value {
                said.entry(key.to_owned()).or_insert(value);
            }
        }
        let config = making.store_bytes(MediaType::parse(CONFIG)?, config(&diff_id).as_bytes())?;
        Ok(Made::of(document(&config, &layer, &said, request.subject.as_ref())?))
    }
}

fn is_content(layer: &Descriptor) -> bool {
    layer.media_type.as_str().starts_with(STATIC)
}

/// The config that go-containerregistry gives an image that was made of one layer and nothing else.
fn config(diff_id: &Digest) -> String {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    format!(
        r#"{{"architecture":"","created":"{NEVER}","history":[{{"created":"{NEVER}"}}],"os":"","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},"config":{{}}}}"#
    )
}

/// The manifest, member by member as go-containerregistry writes it.
fn document(
    config: &Descriptor,
    layer: &Descriptor,
    annotations: &Annotations,
    subject: Option<&Descriptor>,
) -> Result<Document, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        media_type: &'a str,
        size: u64,
        digest: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written<'a> {
        schema_version: u8,
        media_type: &'a str,
        config: Part<'a>,
        layers: [Part<'a>; 1],
        #[serde(skip_serializing_if = "Annotations::is_empty")]
        annotations: &'a Annotations,
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<Part<'a>>,
    }
    fn part(it: &Descriptor) -> Part<'_> {
        Part { media_type: it.media_type.as_str(), size: it.size, digest: it.digest.to_string() }
    }
    let media_type = MediaType::OCI_MANIFEST;
    let written = Written {
        schema_version: 2,
        media_type: media_type.as_str(),
        config: part(config),
        layers: [part(layer)],
        annotations,
        subject: subject.map(part),
    };
    let text = go_json(&written);
    let text = text.map_err(|error| Error::not_of_kind("its manifest", "JSON", error.to_string()))?;
    Ok(Document::parse(text, Some(&media_type))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The config of the signature in Singularity's test image `hello-world-cosign-manifest`, which the same library wrote.
    #[test]
    fn the_config_is_the_one_that_go_containerregistry_writes() {
        let diff_id = "sha256:bbfb5811b9c372086df099d763e00380ea89957b527694c98327fc1a96bf9464";
        let config = config(&Digest::parse(diff_id).unwrap());
        assert_eq!(config.len(), 233);
        let written = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes()).digest;
        assert_eq!(
            written.to_string(),
            "sha256:8fa40880617d755574fbb0a06c67d69d1efb2ce06bd3a76ef2d06aeefd861d58"
        );
    }
}
