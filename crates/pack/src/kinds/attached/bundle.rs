//! Sigstore bundles: a signature, or a signed statement, with all that verifying it takes, in one JSON document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use transship_spec::Annotations;

use super::told::{Told, object};
use super::types;

const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// A bundle, as far as it is looked into.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Bundle {
    media_type: Told<String>,
    message_signature: Option<IgnoredAny>,
    dsse_envelope: Told<Envelope>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    payload: Told<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Statement {
    predicate_type: Told<String>,
}

/// The type that a bundle gets where it is attached, and the annotations that cosign writes beside it.
pub(super) fn attached(bytes: &[u8]) -> Option<(String, Annotations)> {
    let bundle: Bundle = object(bytes).ok()?;
    let media_type = media_type(bundle.media_type.text()?)?;
    let mut annotations = Annotations::new();
    let mut say = |key: &str, value: &str| annotations.insert(key.to_owned(), value.to_owned());
    if let Some(envelope) = &bundle.dsse_envelope.0 {
        say(CONTENT, "dsse-envelope");
        let payload = envelope.payload.text().and_then(|payload| STANDARD.decode(payload).ok());
        let statement = payload.and_then(|payload| object::<Statement>(&payload).ok());
        if let Some(predicate) = statement.as_ref().and_then(|statement| statement.predicate_type.text()) {
            say(PREDICATE, predicate);
        }
    } else if bundle.message_signature.is_some() {
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
