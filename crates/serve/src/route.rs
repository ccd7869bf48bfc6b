//! From a path to what is asked for (DIST-04, DIST-190).
//!
//! Names of repositories may hold `manifests`, `blobs` or `tags`, so a path is read from its end. Every segment is
//! decoded by itself and then has to fit the grammar of what it stands for: nothing of a path ever becomes part of a file
//! name but a valid digest.

use transship_spec::{Digest, Tag, is_repository};

use crate::query::decode;
use crate::refusal::Refusal;

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/…`
    In(String, Thing),
}

/// What a path stands for within a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    /// `manifests/REFERENCE`
    Manifest(Which),
    /// `blobs/DIGEST`
    Blob(Digest),
    /// `blobs/uploads/`
    Uploads,
    /// `blobs/uploads/ID`
    Upload(String),
    /// `tags/list`
    Tags,
    /// `referrers/DIGEST`
    Referrers(Digest),
}

/// A manifest by what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    Tag(Tag),
    Digest(Digest),
    /// Neither: no manifest is called that, and none can be.
    Neither(String),
}

impl Route {
    /// Reads a path as it came, still encoded.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or_else(Refusal::no_such_path)?,
            None => return Err(Refusal::no_such_path()),
        };
        let segments: Option<Vec<String>> = rest.split('/').map(decode).collect();
        let segments = segments.ok_or_else(|| Refusal::bad_name(rest))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (name, thing) = match segments.as_slice() {
            ["_catalog"] => return Ok(Self::Catalog),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => (name, Thing::Uploads),
            [name @ .., "blobs", "uploads", id] => (name, Thing::Upload((*id).to_owned())),
            [name @ .., "blobs", digest] => (name, Thing::Blob(read_digest(digest)?)),
            [name @ .., "manifests", reference] => (name, Thing::Manifest(which(reference)?)),
            [name @ .., "tags", "list"] => (name, Thing::Tags),
            [name @ .., "referrers", digest] => (name, Thing::Referrers(read_digest(digest)?)),
            _ => return Err(Refusal::no_such_path()),
        };
        let name = name.join("/");
        if is_repository(&name) && name.len() <= MAX_NAME {
            Ok(Self::In(name, thing))
        } else {
            Err(Refusal::bad_name(&name))
        }
    }
}

/// The longest name of a repository (DIST-02).
const MAX_NAME: usize = 255;

fn which(reference: &str) -> Result<Which, Refusal> {
    if reference.contains(':') {
        return read_digest(reference).map(Which::Digest);
    }
    Ok(Tag::parse(reference).map_or_else(|_| Which::Neither(reference.to_owned()), Which::Tag))
}

pub(crate) fn read_digest(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text).map_err(|error| Refusal::bad_digest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn named(path: &str) -> (String, Thing) {
        match Route::parse(path).unwrap() {
            Route::In(name, thing) => (name, thing),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn dist_10_the_base_is_known_with_and_without_its_slash() {
        assert_eq!(Route::parse("/v2/").unwrap(), Route::Base);
        assert_eq!(Route::parse("/v2").unwrap(), Route::Base);
        assert!(Route::parse("/v2x").is_err());
        assert!(Route::parse("/v1/").is_err());
    }

    #[test]
    fn dist_04_the_last_keyword_decides() {
        let tag = |text| Thing::Manifest(Which::Tag(Tag::parse(text).unwrap()));
        let digest = Digest::parse(HEX).unwrap();
        for (path, name, thing) in [
            ("/v2/a/manifests/b/manifests/v1".to_owned(), "a/manifests/b", tag("v1")),
            ("/v2/tags/list/manifests/list".to_owned(), "tags/list", tag("list")),
            ("/v2/a/blobs/manifests/uploads".to_owned(), "a/blobs", tag("uploads")),
            ("/v2/a/manifests/tags/list".to_owned(), "a/manifests", Thing::Tags),
            (format!("/v2/blobs/uploads/blobs/{HEX}"), "blobs/uploads", Thing::Blob(digest.clone())),
            (format!("/v2/a/referrers/{}", HEX.replace(':', "%3A")), "a", Thing::Referrers(digest)),
            ("/v2/a/blobs/uploads/".to_owned(), "a", Thing::Uploads),
            ("/v2/a/blobs/uploads/7f".to_owned(), "a", Thing::Upload("7f".to_owned())),
        ] {
            assert_eq!(named(&path), (name.to_owned(), thing), "{path}");
        }
    }

    #[test]
    fn dist_01_case_r20_what_is_no_name_is_refused() {
        for path in [
            "/v2/../../manifests/v1",
            "/v2/%2e%2e/%2e%2e/manifests/v1",
            "/v2/a%2f..%2fb/manifests/v1",
            "/v2/a%00b/manifests/v1",
            "/v2/%ff/manifests/v1",
            "/v2/%/manifests/v1",
            "/v2/UPPER/manifests/v1",
            "/v2/a//b/manifests/v1",
            "/v2/manifests/v1",
            "/v2//tags/list",
            "/v2/a/blobs/sha256:..%2f..%2fetc",
            "/v2/a/blobs/sha256:abc",
            "/v2/a/manifests/sha256:baddigeststring",
            "/v2/a/b/c",
            &format!("/v2/{}/manifests/v1", "a".repeat(300)),
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
    }
}
