//! How often a registry was asked for what: what tests hold the client to (design law 10).

use http::Method;

use crate::Seen;

/// Requests by what they are for, and bytes of bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All requests.
    pub requests: usize,
    /// `GET` of the base, `/v2/`.
    pub base: usize,
    /// `GET` of manifests.
    pub manifest_get: usize,
    /// `HEAD` of manifests.
    pub manifest_head: usize,
    /// `PUT` of manifests.
    pub manifest_put: usize,
    /// `DELETE` of manifests and tags.
    pub manifest_delete: usize,
    /// `GET` of blobs.
    pub blob_get: usize,
    /// `HEAD` of blobs.
    pub blob_head: usize,
    /// `DELETE` of blobs.
    pub blob_delete: usize,
    /// `POST` with `mount`.
    pub mount: usize,
    /// `POST` that begins an upload.
    pub upload_post: usize,
    /// `PATCH` of uploads.
    pub upload_patch: usize,
    /// `PUT` that closes uploads.
    pub upload_put: usize,
    /// Questions of how far an upload came, and ends of uploads that were given up.
    pub upload_other: usize,
    /// Lists of tags.
    pub tags: usize,
    /// Lists of referrers.
    pub referrers: usize,
    /// Whatever else.
    pub other: usize,
    /// Bytes of bodies of requests.
    pub received: u64,
    /// Bytes of bodies of answers.
    pub sent: u64,
}

impl Counts {
    /// Counts these requests.
    #[must_use]
    pub fn of<'a>(requests: impl IntoIterator<Item = &'a Seen>) -> Self {
        let mut counts = Self::default();
        for seen in requests {
            counts.requests += 1;
            *counts.place(seen) += 1;
            counts.received += seen.received();
            counts.sent += seen.sent();
        }
        counts
    }

    /// Requests that change something.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.manifest_put
            + self.manifest_delete
            + self.blob_delete
            + self.mount
            + self.upload_post
            + self.upload_patch
            + self.upload_put
    }

    fn place(&mut self, seen: &Seen) -> &mut usize {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let segments: Vec<&str> = path.split('/').collect();
        match (segments.as_slice(), &seen.method) {
            (["", "v2"] | ["", "v2", ""], _) => &mut self.base,
            ([.., "blobs", "uploads"] | [.., "blobs", "uploads", ""], &Method::POST) => {
                if query.split('&').any(|pair| pair.starts_with("mount=")) {
                    &mut self.mount
                } else {
                    &mut self.upload_post
                }
            }
            ([.., "blobs", "uploads", _], &Method::PATCH) => &mut self.upload_patch,
            ([.., "blobs", "uploads", _], &Method::PUT) => &mut self.upload_put,
            ([.., "blobs", "uploads", _], _) => &mut self.upload_other,
            ([.., "blobs", _], &Method::GET) => &mut self.blob_get,
            ([.., "blobs", _], &Method::HEAD) => &mut self.blob_head,
            ([.., "blobs", _], &Method::DELETE) => &mut self.blob_delete,
            ([.., "manifests", _], &Method::GET) => &mut self.manifest_get,
            ([.., "manifests", _], &Method::HEAD) => &mut self.manifest_head,
            ([.., "manifests", _], &Method::PUT) => &mut self.manifest_put,
            ([.., "manifests", _], &Method::DELETE) => &mut self.manifest_delete,
            ([.., "tags", "list"], _) => &mut self.tags,
            ([.., "referrers", _], _) => &mut self.referrers,
            _ => &mut self.other,
        }
    }
}
