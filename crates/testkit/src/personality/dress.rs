//! What a personality changes in the answers of our server.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LINK, LOCATION, RANGE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use transship_serve::Body;

use super::ask::{Ask, Thing};
use super::play::Play;
use crate::answer::{answer, full, json_answer};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Play {
    /// The answer as this registry gives it.
    pub(super) async fn dress(&self, ask: &Ask, mut response: Response<Body>) -> Response<Body> {
        let is_success = response.status().is_success();
        match &ask.thing {
            Thing::Uploads | Thing::Upload(_) if is_success => self.dress_session(ask, &mut response),
            Thing::Manifest(_) if is_success => self.dress_manifest(ask, &mut response),
            Thing::Tags if is_success => return self.dress_tags(ask, response).await,
            Thing::Referrers(_) if is_success => return self.dress_referrers(ask, response).await,
            _ if response.status().is_client_error() => return self.dress_refusal(ask, response).await,
            _ => {}
        }
        response
    }

    fn dress_session(&self, ask: &Ask, response: &mut Response<Body>) {
        let uploads = &self.personality.uploads;
        if ask.method == Method::PATCH {
            *response.status_mut() = StatusCode::from_u16(uploads.patch_status).unwrap();
        }
        let headers = response.headers_mut();
        if let (Thing::Upload(id), &Method::DELETE, true) = (&ask.thing, &ask.method, uploads.cancel_names) {
            headers.insert("docker-upload-uuid", id.parse().unwrap());
        }
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
        let Some((location, id)) =
            location.and_then(|text| Some((text.clone(), text.rsplit_once("/uploads/")?.1.to_owned())))
        else {
            return;
        };
        if let Some(first) = self.memory().sessions.get(&id).and_then(|session| session.shown_range.clone()) {
            headers.insert(RANGE, first.parse().unwrap());
        }
        let state = if uploads.state { format!("?_state=of%3D{id}") } else { String::new() };
        let host = if uploads.is_elsewhere { format!("http://{}", self.side()) } else { String::new() };
        headers.insert(LOCATION, format!("{host}{location}{state}").parse().unwrap());
    }

    fn dress_manifest(&self, ask: &Ask, response: &mut Response<Body>) {
        let (manifests, referrers) = (&self.personality.manifests, &self.personality.referrers);
        let headers = response.headers_mut();
        if referrers.missing.is_some() && !referrers.claims {
            headers.remove(SUBJECT);
        }
        if !manifests.location {
            headers.remove(LOCATION);
        } else if manifests.location_by_digest && ask.method == Method::PUT {
            let digest = headers["docker-content-digest"].to_str().unwrap();
            let path = format!("/v2/{}/manifests/{digest}", ask.repository);
            headers.insert(LOCATION, path.parse().unwrap());
        }
        if manifests.head_length_differs && ask.method == Method::HEAD {
            let length: u64 = headers[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
            headers.insert(CONTENT_LENGTH, (length + 17).into());
        }
    }

    async fn dress_tags(&self, ask: &Ask, response: Response<Body>) -> Response<Body> {
        let tags = &self.personality.tags;
        if !(tags.nulls || tags.digests || tags.empty_page) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let mut list = read(body).await;
        let is_last = !parts.headers.contains_key(LINK);
        let mut names = list["tags"].as_array().cloned().unwrap_or_default();
        if tags.nulls {
            names.insert(0, Value::Null);
        }
        if tags.digests {
            names.push(json!(format!("sha256:{}", "a".repeat(64))));
        }
        if tags.empty_page && is_last {
            let last = names.last().and_then(Value::as_str).unwrap_or_default();
            let last = ask.query("last").filter(|_| names.is_empty()).unwrap_or_else(|| last.to_owned());
            let link = format!("</v2/{}/tags/list?n=0&last={last}>; rel=\"next\"", ask.repository);
            parts.headers.insert(LINK, link.parse().unwrap());
        }
        list["tags"] = names.into();
        with_json(parts, &list)
    }

    /// Those of this repository, in this registry's sizes.
    async fn dress_referrers(&self, ask: &Ask, response: Response<Body>) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let mut index = read(body).await;
        let listed = index["manifests"].as_array_mut().unwrap();
        listed.retain(|one| !self.is_elsewhere(&ask.repository, one["digest"].as_str().unwrap()));
        for referrer in listed.iter_mut().filter(|_| self.personality.referrers.wrong_sizes) {
            referrer["size"] = json!(referrer["size"].as_u64().unwrap() + 7);
        }
        with_json(parts, &index)
    }

    /// A refusal in this registry's words.
    async fn dress_refusal(&self, ask: &Ask, response: Response<Body>) -> Response<Body> {
        let refusals = &self.personality.refusals;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if parts.status == StatusCode::NOT_FOUND && ask.method == Method::HEAD {
            parts.status = refusals.absent_head.map_or(parts.status, |status| status.try_into().unwrap());
        }
        let mut refused = if refusals.html {
            let text = format!("<html><body><h1>HTTP Status {}</h1></body></html>", parts.status);
            answer(parts.status, "text/html", text)
        } else if let (Some(code), Ok(mut error)) = (refusals.code, serde_json::from_slice::<Value>(&body)) {
            error["errors"][0]["code"] = json!(code);
            json_answer(parts.status, &error)
        } else {
            return Response::from_parts(parts, without_body_of_head(ask, body));
        };
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(http::header::CONTENT_TYPE);
        refused.headers_mut().extend(parts.headers);
        refused.map(|body| if ask.method == Method::HEAD { full(Bytes::new()) } else { body })
    }
}

fn without_body_of_head(ask: &Ask, body: Bytes) -> Body {
    full(if ask.method == Method::HEAD { Bytes::new() } else { body })
}

async fn read(body: Body) -> Value {
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
}

fn with_json(mut parts: http::response::Parts, body: &Value) -> Response<Body> {
    let text = body.to_string();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    Response::from_parts(parts, full(text))
}
