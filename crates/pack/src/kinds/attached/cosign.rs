//! What cosign keeps: signatures, attestations and SBOMs, each a layer, under a tag that names the digest that they speak of
//! (`sha256-HEX.sig`, `.att`, `.sbom`), or, since OCI 1.1 and as an experiment, with a subject.

use serde::Deserialize;
use transship_spec::{Descriptor, MediaType, referrers};

use super::names::{Names, named};
use super::said::{Said, Target};
use super::told::{Told, object};
use super::{certificate, sbom, statement, types};
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign, Taken};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Signatures of images.
#[derive(Debug)]
pub(super) struct Signature;

/// Statements about images, in signed envelopes.
#[derive(Debug)]
pub(super) struct Attestation;

/// SBOMs that are not signed.
#[derive(Debug)]
pub(super) struct Sbom;

/// The sign that something is one of these: the type of the 1.1 form, or layers beside an image's config, or the tag.
fn recognise(sight: &Sight<'_>, word: &str, layers: &[&str]) -> Option<Sign> {
    let experimental = format!("application/vnd.dev.cosign.artifact.{word}.v1+json");
    let is_image = sight.config_type().is_some_and(MediaType::is_image_config);
    let is_of = |layer: &&Descriptor| layers.contains(&layer.media_type.as_str());
    let is_all = || !sight.layers().is_empty() && sight.layers().iter().all(is_of);
    let tag = sight.name().and_then(|name| name.rsplit(':').next()).and_then(referrers::digest_tag);
    match () {
        () if sight.is_type(&experimental) => Some(Sign::ArtifactType),
        () if sight.is_config(&experimental) => Some(Sign::ConfigType),
        () if is_image && is_all() => Some(Sign::LayerType),
        () if tag.is_some_and(|(_, suffix)| suffix == word) => Some(Sign::Name),
        () => None,
    }
}

impl Kind for Signature {
    fn name(&self) -> &'static str {
        "cosign-signature"
    }

    fn about(&self) -> &'static str {
        "signatures of cosign"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        recognise(sight, "sig", &[types::SIMPLE_SIGNING])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        facts.call(types::SIMPLE_SIGNING, "payload");
        let (mut said, target) = (Said::unverified(), Target::of(held.sight()));
        let payloads: Vec<&Descriptor> = held.sight().layers_of(types::SIMPLE_SIGNING).collect();
        let signed = payloads.iter().filter(|layer| layer.annotations.contains_key(SIGNATURE)).count();
        said.count("signatures", Some(signed));
        said.look(held, payloads, |said, layer, bytes| {
            say_payload(bytes, &target, said);
            say_annotations(layer, said);
        })?;
        said.tell(&mut facts);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let payload = |layer: &Descriptor| {
            (layer.media_type.as_str() == types::SIMPLE_SIGNING).then_some("payload.json")
        };
        let mut files = named(held.sight(), payload)?;
        files.extend(beside(held.sight()));
        Ok(files)
    }
}

/// What cosign would write beside a payload, out of the annotations of its layer.
fn beside(sight: &Sight<'_>) -> Vec<Extract> {
    let kept = [
        (SIGNATURE, "signature.sig"),
        (CERTIFICATE, "certificate.pem"),
        (CHAIN, "chain.pem"),
        (BUNDLE, "rekor-bundle.json"),
        (TIMESTAMP, "timestamp.json"),
    ];
    let mut files = Vec::new();
    let mut numbered = [const { 0_usize }; 5].map(|_| Names::default());
    for layer in sight.layers_of(types::SIMPLE_SIGNING) {
        for ((key, name), names) in kept.iter().zip(&mut numbered) {
            // Numbers go with those of the payloads, also where one of them has no certificate.
            let path = names.next(name);
            if let Some(value) = layer.annotations.get(*key).filter(|value| !value.is_empty()) {
                files.push(Extract { path, taken: Taken::Bytes(value.clone().into_bytes()) });
            }
        }
    }
    files
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    critical: Told<Critical>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Critical {
    identity: Told<Identity>,
    image: Told<Image>,
    #[serde(rename = "type")]
    kind: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: Told<String>,
}

/// The specification writes the name with capitals, and cosign without.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Told<String>,
    #[serde(rename = "Docker-manifest-digest")]
    written: Told<String>,
}

fn say_payload(bytes: &[u8], target: &Target, said: &mut Said) {
    let payload: Payload = match object(bytes) {
        Ok(payload) => payload,
        Err(reason) => return said.unreadable("payload", &reason),
    };
    let critical = payload.critical.0.unwrap_or_default();
    said.say_some("payload type", critical.kind.text());
    let image = critical.image.0.unwrap_or_default();
    match image.digest.text().or(image.written.text()) {
        Some(digest) => said.claims(digest, target),
        None => said.unreadable("payload", "it does not say what is signed"),
    }
    let identity = critical.identity.0.unwrap_or_default();
    said.say_some("claims reference", identity.reference.text());
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Rekor {
    payload: Told<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    log_index: Told<u64>,
}

fn say_annotations(layer: &Descriptor, said: &mut Said) {
    let told = |key: &str| layer.annotations.get(key).filter(|value| !value.is_empty());
    match told(CERTIFICATE) {
        Some(pem) => certificate::say_pem(pem, said),
        None => said.say("signed with", "a key that is not told"),
    }
    if let Some(Ok(bundle)) = told(BUNDLE).map(|bundle| object::<Rekor>(bundle.as_bytes())) {
        let entry = bundle.payload.0.unwrap_or_default();
        said.say_some("claims entry in the log", entry.log_index.0.map(|index| index.to_string()));
    }
    if told(TIMESTAMP).is_some() {
        said.say("timestamp", "one by RFC 3161, not verified");
    }
}

impl Kind for Attestation {
    fn name(&self) -> &'static str {
        "cosign-attestation"
    }

    fn about(&self) -> &'static str {
        "attestations of cosign"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        recognise(sight, "att", &[types::DSSE])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = statement::describe(held)?;
        let mut said = Said::default();
        for pem in held.sight().layers().into_iter().filter_map(|layer| layer.annotations.get(CERTIFICATE)) {
            certificate::say_pem(pem, &mut said);
        }
        said.tell(&mut facts);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), |layer| {
            (layer.media_type.as_str() == types::DSSE).then_some("attestation.dsse.json")
        })
    }
}

impl Kind for Sbom {
    fn name(&self) -> &'static str {
        "cosign-sbom"
    }

    fn about(&self) -> &'static str {
        "an SBOM that cosign attached"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        recognise(sight, "sbom", types::SBOMS)
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        sbom::describe(held)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), sbom::name)
    }
}
