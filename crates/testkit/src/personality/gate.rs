//! What a personality refuses before our server sees it.

use http::{Method, Response};
use serde_json::Value;
use transship_serve::Body;

use super::ask::{Ask, Thing};
use super::play::Play;
use super::{Chunks, MadeFirst};
use crate::answer::{answer, refusal};

/// The digest of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

type Refused = Option<Response<Body>>;

impl Play {
    /// The answer to a request that our server does not get to see; its body counts for nothing.
    pub(super) fn refuse(&self, ask: &Ask) -> Refused {
        self.refuse_body(ask)
            .or_else(|| self.let_in(ask))
            .or_else(|| self.refuse_form(ask))
            .or_else(|| self.refuse_name(ask))
            .or_else(|| self.refuse_unmade(ask))
            .or_else(|| match ask.thing {
                Thing::Uploads if ask.method == Method::POST => self.refuse_mount(ask),
                Thing::Upload(_) => self.refuse_upload(ask),
                Thing::Referrers(_) => self.refuse_referrers(),
                Thing::Tags => self.refuse_page(ask),
                Thing::Blob(_) | Thing::Manifest(_) => self.refuse_content(ask),
                _ => None,
            })
    }

    /// The proxy before the registry.
    fn refuse_body(&self, ask: &Ask) -> Refused {
        let (most, status) = self.personality.uploads.body_most?;
        let status = http::StatusCode::from_u16(status).unwrap();
        (ask.length() > most).then(|| answer(status, "text/html", "<h1>Request Entity Too Large</h1>"))
    }

    fn refuse_form(&self, ask: &Ask) -> Refused {
        let refusals = &self.personality.refusals;
        if let Some(status) = refusals.head.filter(|_| ask.method == Method::HEAD) {
            return Some(refusal(status, "UNSUPPORTED", "no HEAD"));
        }
        let is_narrow = ask.header("accept").is_some_and(|accept| accept != "*/*");
        let is_manifest = matches!(ask.thing, Thing::Manifest(_)) && ask.is_read();
        let status = refusals.accept_elsewhere.filter(|_| is_narrow && !is_manifest)?;
        Some(refusal(status, "UNSUPPORTED", "there is nothing of this type"))
    }

    fn refuse_name(&self, ask: &Ask) -> Refused {
        let (parts, status) = self.personality.names.parts?;
        let is_short = !ask.repository.is_empty() && ask.repository.split('/').count() < parts;
        is_short.then(|| refusal(status, "NAME_UNKNOWN", "the name has too few components"))
    }

    fn refuse_unmade(&self, ask: &Ask) -> Refused {
        if ask.repository.is_empty() {
            return None;
        }
        let project = |name: &str| name.split('/').next().map(str::to_owned);
        let is_made = match self.personality.names.made_first {
            MadeFirst::Nothing => true,
            MadeFirst::Repository => self.made.contains(&ask.repository),
            MadeFirst::Project => self.made.iter().any(|made| project(made) == project(&ask.repository)),
        };
        let message = format!("the repository or project of {} does not exist", ask.repository);
        (!is_made).then(|| refusal(404, "NAME_UNKNOWN", &message))
    }

    fn refuse_mount(&self, ask: &Ask) -> Refused {
        let mounts = &self.personality.mounts;
        ask.query("mount")?;
        let Some(from) = ask.query("from") else {
            return mounts.without_from.map(|status| refusal(status, "UNSUPPORTED", "mount from where?"));
        };
        let project = from.split('/').next().unwrap_or_default();
        let is_known = self.made.iter().any(|made| made.split('/').next() == Some(project));
        let status = mounts.unknown_source.filter(|_| !is_known)?;
        Some(refusal(status, "UNAUTHORIZED", "there is no such project"))
    }

    fn refuse_upload(&self, ask: &Ask) -> Refused {
        let uploads = &self.personality.uploads;
        let Thing::Upload(id) = &ask.thing else { return None };
        let unknown = || Some(refusal(404, "BLOB_UPLOAD_INVALID", "the state is not that of the upload"));
        if uploads.state && ask.query("_state").is_none_or(|state| state != format!("of={id}")) {
            return unknown();
        }
        let is_chunk = ask.method == Method::PATCH && ask.headers.contains_key("content-range");
        if is_chunk && let Chunks::Refused(status) = uploads.chunks {
            return Some(refusal(status, "UNSUPPORTED", "chunked uploads are not supported"));
        }
        if let Some((most, status)) = uploads.chunk_most.filter(|(most, _)| is_chunk && ask.length() > *most)
        {
            let message = format!("{} exceeds the maximum permissible limit of {most}B", ask.length());
            return Some(refusal(status, "REQUESTED_RANGE_NOT_SATISFIABLE", &message));
        }
        if ask.method != Method::PUT {
            return None;
        }
        if !uploads.empty && ask.query("digest").is_some_and(|digest| digest.ends_with(NOTHING)) {
            return Some(refusal(400, "BLOB_UPLOAD_INVALID", "a layer has at least one byte"));
        }
        let goes_on = ask.length() > 0;
        let is_small = self.memory().sessions.get(id).is_some_and(|session| session.is_too_small(goes_on));
        is_small.then(|| refusal(400, "LAYER_PART_TOO_SMALL", "a part of the layer is too small"))
    }

    fn refuse_referrers(&self) -> Refused {
        let status = self.personality.referrers.missing?;
        Some(match status {
            404 => answer(http::StatusCode::NOT_FOUND, "text/plain", "404 page not found\n"),
            401 => refusal(401, "UNAUTHORIZED", "unauthorized to list referrers"),
            _ => refusal(status, "UNSUPPORTED", "the operation is unsupported"),
        })
    }

    fn refuse_page(&self, ask: &Ask) -> Refused {
        let most = self.personality.tags.most?;
        let n: usize = ask.query("n")?.parse().ok()?;
        (n > most).then(|| refusal(400, "PAGINATION_NUMBER_INVALID", "n is too large"))
    }

    fn refuse_content(&self, ask: &Ask) -> Refused {
        if ask.method == Method::DELETE {
            let status = self.personality.refusals.delete?;
            return Some(refusal(status, "UNSUPPORTED", "the operation is unsupported"));
        }
        match &ask.thing {
            Thing::Blob(digest) if self.is_elsewhere(&ask.repository, digest) => {
                Some(refusal(404, "BLOB_UNKNOWN", "the blob is in other repositories only"))
            }
            Thing::Manifest(digest) if ask.is_read() && self.is_elsewhere(&ask.repository, digest) => {
                Some(refusal(404, "MANIFEST_UNKNOWN", "the manifest is in other repositories only"))
            }
            _ => None,
        }
    }

    /// The answer to a manifest that our server does not get to see.
    pub(super) fn refuse_manifest(&self, ask: &Ask, body: &[u8]) -> Refused {
        let Thing::Manifest(which) = &ask.thing else { return None };
        let manifests = &self.personality.manifests;
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        let own = document["mediaType"].as_str();
        if manifests.own_media_type && own.is_none() {
            return Some(refusal(405, "UNSUPPORTED", "Invalid JSON syntax"));
        }
        let media_type = own.or_else(|| ask.header("content-type")).unwrap_or_default();
        if let Some((_, status)) = manifests.refused.iter().find(|(refused, _)| *refused == media_type) {
            return Some(refusal(*status, "MANIFEST_INVALID", "the media type of the manifest is unknown"));
        }
        let of_config = document["config"]["mediaType"].as_str();
        for media_type in of_config.into_iter().chain(document["artifactType"].as_str()) {
            if manifests.types.is_some_and(|types| !types.contains(&media_type)) {
                let message = format!("unknown media type: {media_type}");
                return Some(refusal(400, "MANIFEST_INVALID", &message));
            }
        }
        let children = document["layers"].as_array().into_iter().chain(document["manifests"].as_array());
        let children = children.flatten().chain([&document["config"]]);
        let mut digests = children.filter_map(|child| child["digest"].as_str());
        if digests.any(|digest| self.is_elsewhere(&ask.repository, digest)) {
            return Some(refusal(
                404,
                "MANIFEST_BLOB_UNKNOWN",
                "something of it is in other repositories only",
            ));
        }
        if !manifests.immutable || which.contains(':') {
            return None;
        }
        let name = format!("{}:{which}", ask.repository);
        let there = self.memory().tagged.get(&name).cloned()?;
        if there == transship_spec::Digest::sha256(body).to_string() {
            return Some(refusal(400, "ImageAlreadyExistsException", "the image exists already"));
        }
        let message = format!("the image tag {which} already exists and the tags are immutable");
        Some(refusal(400, "TAG_INVALID", &message))
    }
}
