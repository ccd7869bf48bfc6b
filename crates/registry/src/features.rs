//! What a registry turned out to be able to do; remembered, so that it is found out once (DIST-182).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::known::{self, Chunks};

/// What is known of one registry.
#[derive(Debug, Default)]
pub(crate) struct Features {
    /// Whether it lists referrers itself.
    pub(crate) referrers: Known,
    /// Whether it takes a blob in one request.
    pub(crate) whole_uploads: Known,
    /// Whether it takes a blob in chunks, and puts them together.
    pub(crate) chunks: Known,
    /// Whether it takes a blob by one `PATCH`.
    pub(crate) streams: Known,
    /// Whether mounting from another repository is worth asking for.
    pub(crate) mount: Known,
    /// Whether it lets itself be asked to mount from the repository that a blob goes to.
    pub(crate) own_mount: Known,
    /// Whether it gives parts of blobs.
    pub(crate) parts: Known,
    /// Held by the blob that comes by several requests.
    pub(crate) segments: Turn,
    /// Held by who changes an index of referrers.
    pub(crate) fallback: tokio::sync::Mutex<()>,
    /// The least bytes of a chunk, where that is known beforehand.
    pub(crate) least_chunk: u64,
    chunk: AtomicU64,
    pushed: Mutex<VecDeque<String>>,
}

impl Features {
    /// What is known of the registry `name` before it is asked anything.
    pub(crate) fn of(name: &str) -> Self {
        let mut features = Self::default();
        match known::chunks(name) {
            Chunks::Any => {}
            Chunks::AtLeast(bytes) => features.least_chunk = bytes,
            Chunks::Never => features.chunks.set(false),
        }
        features
    }

    /// The size of a chunk that the registry took last, if one was too large for it.
    pub(crate) fn chunk(&self, default: u64) -> u64 {
        match self.chunk.load(Ordering::Relaxed) {
            0 => default,
            smaller => smaller.min(default),
        }
    }

    /// Notes that chunks must not be larger than this.
    pub(crate) fn lower_chunk(&self, bytes: u64) {
        self.chunk.store(bytes, Ordering::Relaxed);
    }

    /// Notes that a manifest was put, by repository and tag or digest; only the last few are remembered.
    pub(crate) fn pushed(&self, name: String) {
        const MOST: usize = 64;
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        if pushed.len() == MOST {
            pushed.pop_front();
        }
        pushed.push_back(name);
    }

    /// Forgets what was put: something was deleted, and to be gone is right for it.
    pub(crate) fn forget_pushed(&self) {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a manifest was put a short while ago.
    pub(crate) fn was_pushed(&self, name: &str) -> bool {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|have| have == name)
    }
}

/// Something that one may have at a time.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turn {
    /// The turn, if nobody has it, until it is dropped.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Yes, no, or not known yet.
#[derive(Debug, Default)]
pub(crate) struct Known(AtomicU8);

impl Known {
    pub(crate) fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            value => Some(value == 1),
        }
    }

    pub(crate) fn set(&self, value: bool) {
        self.0.store(if value { 1 } else { 2 }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_172_dist_173_dist_182_what_is_known_of_a_registry_needs_no_failure_first() {
        assert_eq!(Features::of("1.dkr.ecr.eu-west-1.amazonaws.com").least_chunk, 5 << 20);
        assert_eq!(Features::of("europe-docker.pkg.dev").chunks.get(), Some(false));
        let other = Features::of("registry.example");
        assert_eq!((other.least_chunk, other.chunks.get()), (0, None));
    }
}
