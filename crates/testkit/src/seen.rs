//! What a registry was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use http::{HeaderMap, Method};

/// One request, as it came, and what became of it.
///
/// The numbers grow while request and answer are under way.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query, as they came.
    pub target: String,
    /// All headers. Credentials are in them: it is a test that reads them.
    pub headers: HeaderMap,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
pub(crate) struct Progress {
    status: AtomicU16,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Progress {
    pub(crate) fn answered(&self, status: http::StatusCode) {
        self.status.store(status.as_u16(), Ordering::SeqCst);
    }

    pub(crate) fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(crate) fn send(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }
}

impl Seen {
    pub(crate) fn new(parts: &http::request::Parts) -> Self {
        Self {
            method: parts.method.clone(),
            target: parts.uri.to_string(),
            headers: parts.headers.clone(),
            progress: Arc::default(),
        }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Method and target, as in `GET /v2/app/tags/list?n=1`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Whether the request has this method (`*` is any) and this text in its target.
    #[must_use]
    pub fn is(&self, method: &str, part: &str) -> bool {
        (method == "*" || self.method.as_str() == method) && self.target.contains(part)
    }

    /// The status of the answer; `None` while there is none, and where the connection was closed instead.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        Some(self.progress.status.load(Ordering::SeqCst)).filter(|status| *status != 0)
    }

    /// Bytes of the request's body that were read.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.progress.received.load(Ordering::SeqCst)
    }

    /// Bytes of the answer's body that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.progress.sent.load(Ordering::SeqCst)
    }
}
