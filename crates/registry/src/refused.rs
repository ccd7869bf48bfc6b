//! What the refusal of a registry means, and what people can do about it (DIST-100, DIST-170…182).
//!
//! Codes decide first, then the status. Words decide only where registries have no code of their own for what they mean,
//! and they never make a success of a failure.

use transship_spec::Kind;

use crate::error::{Exchange, Sent};

/// The sha256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a refusal means: the registry's code decides, then the status.
pub(crate) fn kind(exchange: &Exchange) -> Kind {
    const INVALID: [&str; 7] = [
        "BLOB_UPLOAD_INVALID",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "NAME_INVALID",
        "SIZE_INVALID",
        "TAG_INVALID",
    ];
    match exchange.status {
        _ if exchange.has_code("DENIED") || exchange.has_code("UNAUTHORIZED") => Kind::Denied,
        _ if exchange.has_code("UNSUPPORTED") || is_about_type(exchange) => Kind::Unsupported,
        _ if INVALID.iter().any(|code| exchange.has_code(code)) => Kind::Invalid,
        Some(405 | 406 | 415 | 501) => Kind::Unsupported,
        // Not the registry but the proxy before it.
        Some(407) => Kind::Network,
        Some(413 | 414 | 431) => Kind::Limit,
        _ => Kind::Invalid,
    }
}

/// Whether a manifest was refused because of a media type, its own or that of something in it (DIST-178, DIST-180).
fn is_about_type(exchange: &Exchange) -> bool {
    let words = exchange.message.to_ascii_lowercase();
    let is_type = words.contains("media type") || words.contains("mediatype");
    matches!(exchange.sent, Sent::Manifest(_)) && (exchange.status == Some(415) || is_type)
}

/// What to do about a refusal.
pub(crate) fn remedy(exchange: &Exchange) -> Option<&'static str> {
    let is_upload = exchange.url.contains("/blobs/uploads/");
    match (exchange.status, &exchange.sent) {
        (Some(407), _) => Some("give the proxy its user and password"),
        (Some(413), _) => Some("a proxy before the registry limits the size of requests"),
        // A manifest without its own media type is legal, and some registries want it all the same (DIST-172).
        (_, Sent::Manifest(None)) if kind(exchange) == Kind::Unsupported => Some(
            "the manifest does not say its own mediaType, which this registry may want; with it, the manifest has \
             another digest",
        ),
        (_, Sent::Manifest(Some(media_type))) if media_type.is_index() && is_about_type(exchange) => {
            Some("the registry takes no indexes: copy one image of it with --platform")
        }
        (_, Sent::Manifest(_)) if is_about_type(exchange) => Some(
            "the registry takes only the types of artifacts that it knows: keep this one in another registry",
        ),
        (_, Sent::Manifest(_)) if exchange.has_code("TAG_INVALID") => {
            Some("if the tags of this repository are immutable, take another tag, or let them change there")
        }
        (Some(400), Sent::Other) if is_upload && exchange.url.contains(NOTHING) => {
            Some("the blob has no bytes, and some registries take none that is empty")
        }
        _ => None,
    }
}

/// What to do where a push finds no place: many registries make none by themselves (DIST-172, DIST-176).
pub(crate) fn remedy_of_absence(exchange: &Exchange) -> Option<&'static str> {
    let is_push = match exchange.method.as_str() {
        "POST" => exchange.url.contains("/blobs/uploads/"),
        "PUT" => exchange.url.contains("/manifests/") && !exchange.has_code("MANIFEST_BLOB_UNKNOWN"),
        _ => false,
    };
    is_push.then_some("if the registry does not make repositories by itself, create the repository or its project there first")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(status: u16, code: &str) -> Exchange {
        Exchange { status: Some(status), codes: vec![code.to_owned()], ..Exchange::default() }
    }

    #[test]
    fn refusals_take_their_kind_from_the_code_and_then_from_the_status() {
        assert_eq!(kind(&exchange(400, "DIGEST_INVALID")), Kind::Invalid);
        assert_eq!(kind(&exchange(400, "UNSUPPORTED")), Kind::Unsupported);
        assert_eq!(kind(&exchange(400, "DENIED")), Kind::Denied);
        assert_eq!(kind(&exchange(405, "")), Kind::Unsupported);
        assert_eq!(kind(&exchange(413, "")), Kind::Limit);
    }
}
