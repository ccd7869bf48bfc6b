//! in-toto statements, bare and in signed envelopes (DSSE): what is claimed of which content.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde_json::value::RawValue;
use transship_spec::{Descriptor, MediaType};

use super::names::named;
use super::said::{Said, Target};
use super::told::{List, Told, object};
use super::{sbom, types};
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

/// Statements of in-toto as referrers.
#[derive(Debug)]
pub(super) struct InToto;

impl Kind for InToto {
    fn name(&self) -> &'static str {
        "in-toto"
    }

    fn about(&self) -> &'static str {
        "an in-toto statement, bare or in a DSSE envelope"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        super::by_type(sight, &[types::IN_TOTO, types::DSSE])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        describe(held)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), name)
    }
}

fn name(layer: &Descriptor) -> Option<&'static str> {
    match layer.media_type.as_str() {
        types::IN_TOTO => Some("statement.intoto.json"),
        types::DSSE => Some("attestation.dsse.json"),
        _ => None,
    }
}

/// What statements and envelopes among the layers say.
pub(super) fn describe(held: &Held<'_>) -> Result<Facts, Error> {
    let mut facts = Facts::of(held.sight());
    facts.call(types::IN_TOTO, "statement");
    facts.call(types::DSSE, "envelope");
    let (mut said, target) = (Said::unverified(), Target::of(held.sight()));
    let layers = held.sight().layers();
    let envelopes = layers.iter().filter(|layer| layer.media_type.as_str() == types::DSSE).count();
    if envelopes > 0 {
        said.say("envelopes", envelopes.to_string());
    }
    let layers = layers.into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
    said.look(held, layers, |said, layer, bytes| {
        for key in ["predicateType", "in-toto.io/predicate-type"] {
            said.say_some("predicate type", layer.annotations.get(key));
        }
        match layer.media_type.as_str() {
            types::IN_TOTO => say(bytes, &target, said),
            types::DSSE => say_envelope(bytes, &target, said),
            _ => {}
        }
    })?;
    said.tell(&mut facts);
    Ok(facts)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Statement {
    #[serde(rename = "_type")]
    form: Told<String>,
    #[serde(rename = "predicateType")]
    predicate_type: Told<String>,
    subject: List<Subject>,
    predicate: Option<Box<RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    name: Told<String>,
    digest: Told<BTreeMap<String, String>>,
}

/// What builds say of themselves, in both versions of SLSA's provenance.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Provenance {
    build_type: Told<String>,
    builder: Told<Builder>,
    build_definition: Told<Definition>,
    run_details: Told<Run>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Builder {
    id: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Definition {
    build_type: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Run {
    builder: Told<Builder>,
}

/// Says what a statement claims.
pub(super) fn say(bytes: &[u8], target: &Target, said: &mut Said) {
    let statement: Statement = match object(bytes) {
        Ok(statement) => statement,
        Err(reason) => return said.unreadable("statement", &reason),
    };
    said.say_some("statement", statement.form.text());
    let predicate_type = statement.predicate_type.text().unwrap_or_default();
    said.say_some("predicate type", statement.predicate_type.text());
    said.count("claimed subjects", statement.subject.count());
    for subject in statement.subject.each() {
        said.say_some("claims subject", subject.name.text());
        for (algorithm, hex) in subject.digest.0.iter().flatten() {
            match algorithm.as_str() {
                "sha256" => said.claims(&format!("sha256:{hex}"), target),
                other => said.say("claims digest", format!("{other}:{hex}")),
            }
        }
    }
    let Some(predicate) = statement.predicate.as_deref().map(|raw| raw.get().as_bytes()) else { return };
    match predicate_type {
        provenance if provenance.starts_with("https://slsa.dev/provenance/") => {
            say_provenance(predicate, said);
        }
        "https://spdx.dev/Document" => drop(sbom::say_spdx(predicate, said)),
        "https://cyclonedx.org/bom" => drop(sbom::say_cyclonedx(predicate, said)),
        _ => {}
    }
}

fn say_provenance(predicate: &[u8], said: &mut Said) {
    let Ok(provenance) = object::<Provenance>(predicate) else { return };
    let run = provenance.run_details.0.as_ref().and_then(|run| run.builder.0.as_ref());
    let builder = provenance.builder.0.as_ref().or(run);
    said.say_some("claims builder", builder.and_then(|builder| builder.id.text()));
    let definition = provenance.build_definition.0.as_ref();
    let build_type =
        provenance.build_type.text().or_else(|| definition.and_then(|told| told.build_type.text()));
    said.say_some("claims build type", build_type);
}

/// An envelope: something of a type, and signatures of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Envelope {
    payload_type: Told<String>,
    payload: Told<String>,
    signatures: List<Signature>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Signature {
    keyid: Told<String>,
}

impl Envelope {
    /// What it holds, decoded.
    pub(super) fn content(&self) -> Option<Vec<u8>> {
        let payload = self.payload.text()?;
        STANDARD.decode(payload).or_else(|_| URL_SAFE.decode(payload)).ok()
    }

    /// Says what is in it, and by which keys it claims to be signed.
    pub(super) fn say(&self, target: &Target, said: &mut Said) {
        said.count("signatures", self.signatures.count());
        for signature in self.signatures.each() {
            said.say_some("claims key", signature.keyid.text());
        }
        let of = self.payload_type.text().unwrap_or_default();
        said.say_some("payload type", self.payload_type.text());
        match self.content() {
            Some(content) if of == types::IN_TOTO => say(&content, target, said),
            Some(_) => {}
            None => said.unreadable("payload", "it is no base64"),
        }
    }
}

fn say_envelope(bytes: &[u8], target: &Target, said: &mut Said) {
    match object::<Envelope>(bytes) {
        Ok(envelope) => envelope.say(target, said),
        Err(reason) => said.unreadable("envelope", &reason),
    }
}

/// The type of the predicate of a statement.
pub(super) fn predicate_type(bytes: &[u8]) -> Option<String> {
    object::<Statement>(bytes).ok()?.predicate_type.text().map(str::to_owned)
}
