//! Sigstore bundles: a signature, or a signed statement, with all that verifying it takes, in one JSON document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use transship_spec::{Annotations, Descriptor, MediaType};

use super::names::named;
use super::said::{Said, Target};
use super::statement::{Envelope, predicate_type};
use super::told::{List, Told, object};
use super::{certificate, types};
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// Bundles as referrers: the form of cosign 3 and of GitHub.
#[derive(Debug)]
pub(super) struct SigstoreBundle;

impl Kind for SigstoreBundle {
    fn name(&self) -> &'static str {
        "sigstore-bundle"
    }

    fn about(&self) -> &'static str {
        "a signature or attestation as a bundle of sigstore"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_bundle = |media_type: &MediaType| media_type.as_str().starts_with(types::BUNDLE);
        match () {
            () if sight.artifact_type().is_some_and(is_bundle) => Some(Sign::ArtifactType),
            () if sight.config_type().is_some_and(is_bundle) => Some(Sign::ConfigType),
            () if sight.layers().iter().any(|layer| is_bundle(&layer.media_type)) => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for part in facts.parts.iter_mut().filter(|part| is_layer(&part.descriptor)) {
            "bundle".clone_into(&mut part.role);
        }
        let (mut said, target) = (Said::unverified(), Target::of(held.sight()));
        let layers = held.sight().layers().into_iter().filter(|layer| is_layer(layer));
        said.look(held, layers, |said, _, bytes| say(bytes, &target, said))?;
        said.tell(&mut facts);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), |layer| is_layer(layer).then_some("bundle.sigstore.json"))
    }
}

fn is_layer(layer: &Descriptor) -> bool {
    layer.media_type.as_str().starts_with(types::BUNDLE)
}

/// A bundle, as far as it is looked into.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Bundle {
    media_type: Told<String>,
    message_signature: Told<MessageSignature>,
    dsse_envelope: Told<Envelope>,
    verification_material: Told<Material>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Told<MessageDigest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MessageDigest {
    algorithm: Told<String>,
    digest: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Material {
    certificate: Told<Certificate>,
    x509_certificate_chain: Told<Chain>,
    public_key: Told<PublicKey>,
    tlog_entries: List<Entry>,
    timestamp_verification_data: Told<Timestamps>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Certificate {
    raw_bytes: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chain {
    certificates: List<Certificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PublicKey {
    hint: Told<String>,
}

/// Numbers are written as texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    log_index: Told<String>,
    integrated_time: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Timestamps {
    rfc3161_timestamps: List<serde::de::IgnoredAny>,
}

fn say(bytes: &[u8], target: &Target, said: &mut Said) {
    let bundle: Bundle = match object(bytes) {
        Ok(bundle) => bundle,
        Err(reason) => return said.unreadable("bundle", &reason),
    };
    said.say_some("bundle", bundle.media_type.text());
    if let Some(envelope) = &bundle.dsse_envelope.0 {
        said.say("content", "a signed statement");
        envelope.say(target, said);
    }
    if let Some(signature) = &bundle.message_signature.0 {
        said.say("content", "a signature");
        say_digest(signature, target, said);
    }
    say_material(&bundle.verification_material.0.unwrap_or_default(), said);
}

/// The digest of what was signed: in base64, which nobody else writes so.
fn say_digest(signature: &MessageSignature, target: &Target, said: &mut Said) {
    let Some(message) = &signature.message_digest.0 else { return };
    let decoded = message.digest.text().and_then(|digest| STANDARD.decode(digest).ok());
    let hex: Option<String> = decoded.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    match (message.algorithm.text(), hex) {
        (Some("SHA2_256"), Some(hex)) => said.claims(&format!("sha256:{hex}"), target),
        (Some(other), Some(hex)) => said.say("claims digest", format!("{other}:{hex}")),
        _ => said.unreadable("digest of the message", "it is not told"),
    }
}

fn say_material(material: &Material, said: &mut Said) {
    let chain = material.x509_certificate_chain.0.as_ref();
    let first = material.certificate.0.as_ref().or_else(|| chain?.certificates.each().next());
    if let Some(raw) = first.and_then(|first| first.raw_bytes.text()) {
        match STANDARD.decode(raw) {
            Ok(der) => certificate::say(&der, said),
            Err(_) => said.unreadable("certificate", "it is no base64"),
        }
    }
    if let Some(key) = &material.public_key.0 {
        said.say("claims key", key.hint.text().unwrap_or("one that is not told"));
    }
    for entry in material.tlog_entries.each() {
        let time = entry.integrated_time.text().and_then(|second| second.parse().ok());
        let time = time.and_then(|second| jiff::Timestamp::from_second(second).ok());
        let time = time.map(|time| format!(" at {time}")).unwrap_or_default();
        let index = entry.log_index.text().unwrap_or("unknown");
        said.say("claims entry in the log", format!("{index}{time}"));
    }
    let timestamps = material.timestamp_verification_data.0.as_ref();
    said.count("timestamps", timestamps.and_then(|data| data.rfc3161_timestamps.count()));
}

/// The type that a bundle gets where it is attached, and the annotations that cosign writes beside it.
pub(super) fn attached(bytes: &[u8]) -> Option<(String, Annotations)> {
    let bundle: Bundle = object(bytes).ok()?;
    let media_type = media_type(bundle.media_type.text()?)?;
    let mut annotations = Annotations::new();
    let mut say = |key: &str, value: &str| annotations.insert(key.to_owned(), value.to_owned());
    if let Some(envelope) = &bundle.dsse_envelope.0 {
        say(CONTENT, "dsse-envelope");
        if let Some(predicate) = envelope.content().and_then(|payload| predicate_type(&payload)) {
            say(PREDICATE, &predicate);
        }
    } else if bundle.message_signature.0.is_some() {
        say(CONTENT, "message-signature");
    }
    Some((media_type, annotations))
}

/// Inside, older bundles say their version in a way that is no media type of the OCI.
fn media_type(inside: &str) -> Option<String> {
    let rest = inside.strip_prefix(types::BUNDLE)?;
    Some(match rest.strip_prefix("+json;version=") {
        Some(version) => format!("{}.v{version}+json", types::BUNDLE),
        None => inside.to_owned(),
    })
}
