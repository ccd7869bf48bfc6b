//! What goes on, told to whoever wants to know.

use std::time::Duration;

/// Told of requests, bytes, waits and warnings. Every method does nothing unless it is written, must be quick, and is
/// called from many tasks at once.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Debug, Default)]
/// struct Requests(AtomicU64);
///
/// impl transship_registry::Events for Requests {
///     fn request(&self, _host: &str, _method: &str) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Events: Send + Sync + std::fmt::Debug {
    /// A request is being sent.
    fn request(&self, host: &str, method: &str) {
        let _ = (host, method);
    }

    /// Bytes of a blob came.
    fn received(&self, host: &str, bytes: u64) {
        let _ = (host, bytes);
    }

    /// Bytes of a blob went. Those of a try that fails are counted, too.
    fn sent(&self, host: &str, bytes: u64) {
        let _ = (host, bytes);
    }

    /// A request failed, and is sent again after `wait`.
    fn retry(&self, host: &str, reason: &str, wait: Duration) {
        let _ = (host, reason, wait);
    }

    /// Something is odd without being wrong, or the server has something to say to the user (DIST-102).
    fn warning(&self, host: &str, text: &str) {
        let _ = (host, text);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet;

impl Events for Quiet {}
