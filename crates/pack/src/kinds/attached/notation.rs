//! Signatures of the Notary Project: an envelope, in JSON (JWS) or in CBOR (COSE), that names the artifact that is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use transship_spec::{Descriptor, MediaType};

use super::cbor::{Value, sign1};
use super::certificate;
use super::names::named;
use super::said::{Said, Target};
use super::told::{List, Told, object};
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

const TYPE: &str = "application/vnd.cncf.notary.signature";
const JWS: &str = "application/jose+json";
const COSE: &str = "application/cose";
const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// Where COSE keeps the chain of certificates.
const CHAIN: u64 = 33;

/// Signatures of notation.
#[derive(Debug)]
pub(super) struct Notation;

impl Kind for Notation {
    fn name(&self) -> &'static str {
        "notation"
    }

    fn about(&self) -> &'static str {
        "a signature of notation"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        match () {
            () if sight.is_type(TYPE) => Some(Sign::ArtifactType),
            () if sight.is_config(TYPE) => Some(Sign::ConfigType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let sight = held.sight();
        let mut facts = Facts::of(sight);
        [JWS, COSE].iter().for_each(|kind| facts.call(kind, "envelope"));
        let (mut said, target) = (Said::unverified(), Target::of(sight));
        if let Some(thumbprints) = sight.annotations().get(THUMBPRINTS) {
            match serde_json::from_str::<Vec<String>>(thumbprints) {
                Ok(chain) => chain.into_iter().for_each(|one| said.say("claims certificate (SHA-256)", one)),
                Err(_) => said.unreadable("thumbprints", "they are no list of texts"),
            }
        }
        let layers = sight.layers().into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
        said.look(held, layers, |said, layer, bytes| match layer.media_type.as_str() {
            JWS => say_jws(bytes, &target, said),
            COSE => say_cose(bytes, &target, said),
            other => said.say("envelope", format!("of the unknown type {other}")),
        })?;
        said.tell(&mut facts);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), |layer: &Descriptor| match layer.media_type.as_str() {
            JWS => Some("signature.jws.sig"),
            COSE => Some("signature.cose.sig"),
            _ => None,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    payload: Told<String>,
    protected: Told<String>,
    header: Told<Header>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    x5c: List<String>,
    #[serde(rename = "io.cncf.notary.SigningAgent", alias = "io.cncf.notary.signingAgent")]
    agent: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Protected {
    alg: Told<String>,
    #[serde(rename = "io.cncf.notary.signingScheme")]
    scheme: Told<String>,
    #[serde(rename = "io.cncf.notary.signingTime")]
    time: Told<String>,
    #[serde(rename = "io.cncf.notary.expiry")]
    expiry: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Payload {
    target_artifact: Told<Artifact>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Artifact {
    digest: Told<String>,
}

fn say_payload(payload: &[u8], target: &Target, said: &mut Said) {
    let artifact = object::<Payload>(payload).ok().and_then(|payload| payload.target_artifact.0);
    match artifact.as_ref().and_then(|artifact| artifact.digest.text()) {
        Some(digest) => said.claims(digest, target),
        None => said.unreadable("payload", "it names no artifact"),
    }
}

fn say_jws(bytes: &[u8], target: &Target, said: &mut Said) {
    said.say("envelope", "JWS");
    let envelope: Envelope = match object(bytes) {
        Ok(envelope) => envelope,
        Err(reason) => return said.unreadable("envelope", &reason),
    };
    let decode = |told: &Told<String>| URL_SAFE_NO_PAD.decode(told.text()?).ok();
    say_payload(&decode(&envelope.payload).unwrap_or_default(), target, said);
    let protected = decode(&envelope.protected).and_then(|bytes| object::<Protected>(&bytes).ok());
    let protected = protected.unwrap_or_default();
    said.say_some("algorithm", protected.alg.text());
    said.say_some("scheme", protected.scheme.text());
    said.say_some("claims time", protected.time.text());
    said.say_some("claims expiry", protected.expiry.text());
    let header = envelope.header.0.unwrap_or_default();
    said.say_some("claims agent", header.agent.text());
    said.count("certificates", header.x5c.count());
    if let Some(der) = header.x5c.each().next().and_then(|first| STANDARD.decode(first).ok()) {
        certificate::say(&der, said);
    }
}

fn say_cose(bytes: &[u8], target: &Target, said: &mut Said) {
    said.say("envelope", "COSE");
    let Some(envelope) = sign1(bytes) else {
        return said.unreadable("envelope", "it is no COSE signature of one signer");
    };
    say_payload(envelope.payload, target, said);
    let names = [
        ("io.cncf.notary.signingScheme", "scheme"),
        ("io.cncf.notary.signingTime", "claims time"),
        ("io.cncf.notary.expiry", "claims expiry"),
        ("io.cncf.notary.signingAgent", "claims agent"),
    ];
    for (key, value) in envelope.protected.iter().chain(&envelope.unprotected) {
        let name = names.iter().find(|(known, _)| *key == Value::Text(known)).map(|(_, name)| *name);
        match (key, name, value) {
            (Value::Number(CHAIN), _, Value::Bytes(der)) => certificate::say(der, said),
            (_, Some(name), Value::Text(text)) => said.say(name, *text),
            (_, Some(name), Value::Number(second)) => said.say(name, time(*second)),
            _ => {}
        }
    }
}

fn time(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    time.map_or_else(|| second.to_string(), |time| time.to_string())
}
