//! What a request asks for, as far as a personality looks at it.

use http::request::Parts;
use http::{HeaderMap, Method, Uri};

/// A request, read.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// Empty where there is none in the path.
    pub(crate) repository: String,
    pub(crate) thing: Thing,
}

/// What the path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Door,
    /// By tag or digest.
    Manifest(String),
    Blob(String),
    Uploads,
    Upload(String),
    Tags,
    Referrers(String),
    Other,
}

impl Ask {
    pub(crate) fn of(parts: &Parts) -> Self {
        let (repository, thing) = read(parts.uri.path());
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            repository,
            thing,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn length(&self) -> u64 {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        parameter(self.uri.query().unwrap_or_default(), name)
    }

    /// The first byte of a chunk.
    pub(crate) fn chunk_start(&self) -> Option<u64> {
        self.header("content-range")?.split_once('-')?.0.parse().ok()
    }

    pub(crate) fn is_manifest_put(&self) -> bool {
        self.method == Method::PUT && matches!(self.thing, Thing::Manifest(_))
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD) && !matches!(self.thing, Thing::Upload(_))
    }
}

fn read(path: &str) -> (String, Thing) {
    let path = path.replace("%3A", ":");
    let segments: Vec<&str> = path.split('/').collect();
    let (name, thing) = match segments.as_slice() {
        ["", "v2"] | ["", "v2", ""] => return (String::new(), Thing::Door),
        ["", "v2", name @ .., "blobs", "uploads"] | ["", "v2", name @ .., "blobs", "uploads", ""] => {
            (name, Thing::Uploads)
        }
        ["", "v2", name @ .., "blobs", "uploads", id] => (name, Thing::Upload((*id).to_owned())),
        ["", "v2", name @ .., "blobs", digest] => (name, Thing::Blob((*digest).to_owned())),
        ["", "v2", name @ .., "manifests", which] => (name, Thing::Manifest((*which).to_owned())),
        ["", "v2", name @ .., "tags", "list"] => (name, Thing::Tags),
        ["", "v2", name @ .., "referrers", digest] => (name, Thing::Referrers((*digest).to_owned())),
        _ => return (String::new(), Thing::Other),
    };
    (name.join("/"), thing)
}

/// A parameter of a query, or of a form: the first of this name.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query, name).next()
}

/// All parameters of this name.
pub(crate) fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split('&').filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('=').map(decoded))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
