//! Answers that a test registry makes by itself.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use transship_serve::Body;

/// A body from memory.
pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer of this text, with its length.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Body> {
    let text: Bytes = text.into();
    let length = text.len();
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    answer(status, "application/json", body.to_string())
}

/// An error in the form of the specification (DIST-100).
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Response<Body> {
    let error = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    json_answer(StatusCode::from_u16(status).unwrap(), &error)
}
