//! `GET` and `HEAD` of manifests and blobs (DIST-15…24).

use std::io::Read;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_RANGE,
    RANGE,
};
use http::{Method, Response, StatusCode};
use transship_layout::Layout;
use transship_spec::{Descriptor, Digest, Document, MediaType};

use crate::body::{self, Body};
use crate::range::{Part, part};
use crate::refusal::Refusal;
use crate::route::Which;
use crate::service::{Call, DIGEST, Found, blocking};
use crate::view::Item;

/// Answers with the manifest's exact bytes.
pub(crate) async fn manifest(
    call: Call,
    repository: String,
    which: Which,
) -> Result<Response<Body>, Refusal> {
    blocking(move || {
        let found = call.shared.find(&repository)?;
        let (item, bytes) = find_manifest(&found, &repository, &which)?;
        let mut response = Response::new(body::full(bytes));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, text(item.media_type.as_str())?);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(item.size));
        headers.insert(DIGEST, text(&item.digest.to_string())?);
        headers.insert(ETAG, text(&format!("\"{}\"", item.digest))?);
        Ok(response)
    })
    .await
}

/// The manifest of this name, whole and verified.
///
/// By its digest a manifest is found as long as its blob is there: that an entry no longer names it does not take it from
/// those who pinned its digest. It is gone when it is deleted, or when garbage is collected.
pub(crate) fn find_manifest(
    found: &Found,
    repository: &str,
    which: &Which,
) -> Result<(Item, Bytes), Refusal> {
    let (layout, view) = (&found.opened.layout, &found.opened.view);
    let (item, name) = match which {
        Which::Tag(tag) => (view.tagged(repository, tag), tag.to_string()),
        Which::Digest(digest) => (view.listed(digest), digest.to_string()),
        Which::Neither(name) => (None, name.clone()),
    };
    match (item, which) {
        (Some(item), _) if item.size <= Document::MAX_SIZE as u64 => {
            let bytes = read(layout, &item.descriptor()).map_err(|refusal| absent(refusal, &name))?;
            Ok((item.clone(), bytes))
        }
        (None, Which::Digest(digest)) if !found.mount.withdrawn.has(digest) => unlisted(layout, digest),
        _ => Err(Refusal::unknown_manifest(name)),
    }
}

fn absent(refusal: Refusal, name: &str) -> Refusal {
    if refusal.is_absence() { Refusal::unknown_manifest(name) } else { refusal }
}

/// A blob that no entry lists and that is a manifest all the same: a member of an index, or one whose name moved on.
fn unlisted(layout: &Layout, digest: &Digest) -> Result<(Item, Bytes), Refusal> {
    let unknown = || Refusal::unknown_manifest(digest);
    let size = layout.size(digest)?.ok_or_else(unknown)?;
    if size > Document::MAX_SIZE as u64 || !digest.is_verifiable() {
        return Err(unknown());
    }
    let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
    let bytes = read(layout, &descriptor).map_err(|refusal| absent(refusal, &digest.to_string()))?;
    let document = Document::parse(bytes, None).map_err(|_| unknown())?;
    let item = Item { media_type: document.media_type().clone(), digest: digest.clone(), size };
    Ok((item, document.bytes().clone()))
}

/// A small blob as a whole, verified.
fn read(layout: &Layout, descriptor: &Descriptor) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    layout
        .open_blob(descriptor)?
        .take(Document::MAX_SIZE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| transship_layout::Error::from_io(error, "reading", descriptor.digest.to_string()))?;
    Ok(bytes.into())
}

/// Answers with a blob, or with a range of it. It is not hashed: who asked for it will (design law 5).
pub(crate) async fn blob(call: Call, repository: String, digest: Digest) -> Result<Response<Body>, Refusal> {
    blocking(move || {
        let found = call.shared.find(&repository)?;
        let size = size(&found, &digest)?.ok_or_else(|| Refusal::unknown_blob(&digest))?;
        let etag = format!("\"{digest}\"");
        let mut range = Part::Whole;
        if call.method == Method::GET
            && let Some(header) = call.header(RANGE)
            && call.header(IF_RANGE).is_none_or(|wanted| wanted == etag)
        {
            range = part(header, size);
        }
        let (status, bytes) = match range {
            Part::Whole => (StatusCode::OK, 0..size),
            Part::Bytes(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
            Part::Unsatisfiable => {
                let message = format!("the blob has {size} bytes");
                let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", message);
                return Err(refusal.with(CONTENT_RANGE, format!("bytes */{size}")));
            }
        };
        let content = if call.method == Method::GET {
            let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size);
            body::file(found.opened.layout.open_file(&descriptor)?, bytes.start, bytes.end - bytes.start)
        } else {
            body::empty()
        };
        let mut response = Response::new(content);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(DIGEST, text(&digest.to_string())?);
        headers.insert(ETAG, text(&etag)?);
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            headers.insert(CONTENT_RANGE, text(&range)?);
        }
        Ok(response)
    })
    .await
}

/// The size of a blob, unless it was deleted. Blocking.
pub(crate) fn size(found: &Found, digest: &Digest) -> Result<Option<u64>, Refusal> {
    if found.mount.withdrawn.has(digest) {
        return Ok(None);
    }
    Ok(found.opened.layout.size(digest)?)
}

/// A header's value from a text that our grammars keep free of what must not be in one.
pub(crate) fn text(value: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(value).map_err(Refusal::internal)
}

/// A header to add to an answer.
pub(crate) fn add(response: &mut Response<Body>, name: HeaderName, value: &str) -> Result<(), Refusal> {
    response.headers_mut().append(name, text(value)?);
    Ok(())
}
