//! Answers that say no, in the form of the specification (DIST-100): a status, a code, a message.
//!
//! What the client did is told to it. What failed here is told to the log; the client learns only that it did.

use std::fmt::Display;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode, header};
use transship_layout::Error as LayoutError;
use transship_spec::{Digest, Kind, quote};

use crate::body::{self, Body};

/// A request that is not carried out.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// With a header more, if its value can be one.
    pub(crate) fn with(mut self, name: HeaderName, value: impl Display) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "this is no endpoint of the distribution API")
    }

    pub(crate) fn bad_name(name: &str) -> Self {
        let message = format!("{} is not the name of a repository", quote(name));
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    pub(crate) fn unknown_name(name: &str) -> Self {
        let message = format!("there is no repository {}", quote(name));
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
    }

    pub(crate) fn bad_digest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(crate) fn bad_tag(tag: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("{} is not a tag", quote(tag)))
    }

    pub(crate) fn unknown_manifest(what: impl Display) -> Self {
        let message = format!("there is no manifest {}", quote(&what.to_string()));
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    pub(crate) fn unknown_blob(digest: &Digest) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("there is no blob {digest}"))
    }

    /// Something that a manifest needs is not there (DIST-62).
    pub(crate) fn missing_child(digest: &Digest) -> Self {
        let message = format!("the manifest needs {digest}, which is not here: push it first");
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message)
    }

    pub(crate) fn bad_manifest(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(crate) fn unknown_upload() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "there is no such upload, or it was given up")
    }

    pub(crate) fn bad_upload(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    }

    /// The method is not one of this path, or not one that this server carries out.
    pub(crate) fn not_allowed(allowed: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message).with(header::ALLOW, allowed)
    }

    /// The client stopped sending.
    pub(crate) fn silent() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID", "nothing came for too long")
            .with(header::CONNECTION, "close")
    }

    /// Too much is going on.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).with(header::RETRY_AFTER, 5)
    }

    /// Something failed on our side: the log has it.
    pub(crate) fn internal(error: impl Display) -> Self {
        tracing::error!("a request failed: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the server failed; its log tells why")
    }

    /// Whether this is the absence of what was asked for.
    pub(crate) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let error = serde_json::json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let mut response = body::json(self.status, error.to_string());
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl From<LayoutError> for Refusal {
    fn from(error: LayoutError) -> Self {
        match &error {
            LayoutError::MissingBlob { digest, .. } => Self::unknown_blob(digest),
            LayoutError::Vanished { digests } => match digests.first() {
                Some(digest) => Self::missing_child(digest),
                None => Self::internal(error),
            },
            LayoutError::Full { .. } => {
                tracing::error!("a request failed: {error}");
                let message =
                    "the server has no space left; what it has is unharmed, and the upload can go on";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", message)
            }
            _ if error.kind() == Kind::Busy => {
                tracing::warn!("a request failed: {error}");
                let message = "the layout is being changed by another program";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
                    .with(header::RETRY_AFTER, 1)
            }
            _ => Self::internal(error),
        }
    }
}
