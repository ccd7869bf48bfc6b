//! Documents: manifests and indexes against their specification (IMG-50…85, IMG-105).

use std::collections::HashSet;

use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::platform::is_attestation;
use transship_spec::{Document, Index, Manifest, MediaType, json, quote};

use super::{Code, Place, Sink, descriptor};

/// Reads a document whose bytes are the right ones; `None` after a finding.
pub(super) fn parse(
    bytes: Vec<u8>,
    media_type: &MediaType,
    place: &Place,
    sink: &mut Sink<'_>,
) -> Option<Document> {
    let outline = match json::outline(&bytes) {
        Ok(outline) => outline,
        Err(error) => {
            let code = match error {
                transship_spec::Error::Limit { .. } => Code::LimitExceeded,
                _ if json::validate(&bytes).is_ok() => Code::DocumentInvalid,
                _ => Code::JsonMalformed,
            };
            sink.find(code, place.clone(), error.to_string());
            return None;
        }
    };
    let text = |name: &str| {
        let member = outline.iter().find(|outlined| outlined.member.name == name)?;
        bytes.get(member.member.value.clone())
    };
    let own: Option<String> = text("mediaType").and_then(|text| serde_json::from_slice(text).ok()).flatten();
    let lists = ["manifests", "layers", "blobs"];
    let null: Vec<_> = lists.into_iter().filter(|name| text(name) == Some(b"null")).collect();
    match Document::parse(bytes.clone(), Some(media_type)) {
        Ok(document) => {
            if own.is_none_or(|own| own.is_empty()) {
                sink.find(Code::MediaTypeMissing, place.clone(), "it has no mediaType of its own");
            }
            for name in null {
                sink.find(Code::ListNull, place.part(name), "it is null");
            }
            Some(document)
        }
        Err(error) => {
            let differs = own.is_some_and(|own| !own.is_empty() && own != media_type.as_str());
            // Without the descriptor's word it would be another document: then the word is wrong.
            let code = match &error {
                transship_spec::Error::Unsupported(_) => Code::DocumentUnsupported,
                transship_spec::Error::Limit { .. } => Code::LimitExceeded,
                _ if differs || Document::parse(bytes, None).is_ok() => Code::MediaTypeMismatch,
                transship_spec::Error::Json { .. } => Code::JsonMalformed,
                _ => Code::DocumentInvalid,
            };
            sink.find(code, place.clone(), error.to_string());
            None
        }
    }
}

/// Looks at what a document says.
pub(super) fn check(document: &Document, place: &Place, is_member: bool, sink: &mut Sink<'_>) {
    descriptor::annotations(document.annotations(), place, sink);
    if let Some(manifest) = document.as_manifest() {
        self::manifest(manifest, place, sink);
    }
    if let Some(index) = document.as_index() {
        if is_member {
            sink.find(Code::IndexNested, place.clone(), "another index lists it");
        }
        self::index(index, place, sink);
    }
}

fn manifest(manifest: &Manifest, place: &Place, sink: &mut Sink<'_>) {
    if manifest.layers.is_empty() {
        sink.find(Code::LayersEmpty, place.part("layers"), "it has none");
    }
    let config = &manifest.config.media_type;
    if manifest.artifact_type.is_none() && *config == MediaType::OCI_EMPTY {
        sink.find(
            Code::ArtifactTypeMissing,
            place.clone(),
            "its config is empty, and it has no artifactType",
        );
    }
    if let Some(artifact_type) = manifest.artifact_type.as_ref().filter(|_| config.is_image_config()) {
        let message = format!("it is {artifact_type}, and its config is one of images");
        sink.find(Code::ArtifactConfigType, place.part("config"), message);
    }
}

fn index(index: &Index, place: &Place, sink: &mut Sink<'_>) {
    let digests: HashSet<String> = index.manifests.iter().map(|member| member.digest.to_string()).collect();
    let mut platforms = HashSet::new();
    for (number, member) in index.manifests.iter().enumerate() {
        let place = || place.part(format!("manifests[{number}]"));
        let subject = member.annotations.get(DOCKER_REFERENCE_DIGEST);
        if let Some(subject) = subject.filter(|subject| !digests.contains(*subject)) {
            sink.find(Code::AttestationDangling, place(), format!("it speaks of {}", quote(subject)));
        }
        // Several artifacts may well be for one platform; several images may not.
        let platform = member.platform.as_ref().filter(|_| !is_attestation(member));
        let Some(platform) = platform.filter(|_| member.artifact_type.is_none()) else { continue };
        let normal = platform.normalized();
        let key = (normal.to_string(), normal.os_version.clone(), normal.os_features.clone());
        if !platform.is_unknown() && !platforms.insert(key) {
            sink.find(Code::PlatformDuplicate, place(), format!("it is another one for {platform}"));
        }
    }
}
