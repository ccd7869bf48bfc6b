//! A bounded memory of digests, in the order in which they came.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use transship_spec::Digest;

/// How many are remembered; then the oldest are forgotten.
const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    order: VecDeque<Digest>,
    digests: HashSet<Digest>,
}

impl Remembered {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that is done while it is held leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, digest: &Digest) {
        let mut known = self.known();
        if known.digests.insert(digest.clone()) {
            known.order.push_back(digest.clone());
        }
        while known.order.len() > MOST {
            if let Some(oldest) = known.order.pop_front() {
                known.digests.remove(&oldest);
            }
        }
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.known().digests.contains(digest)
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        let mut known = self.known();
        if known.digests.remove(digest) {
            known.order.retain(|other| other != digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let remembered = Remembered::default();
        let digest = |n: usize| Digest::sha256(&n.to_be_bytes());
        for n in 0..=MOST {
            remembered.note(&digest(n));
        }
        assert!(!remembered.has(&digest(0)));
        assert!(remembered.has(&digest(1)));
        remembered.forget(&digest(1));
        assert!(!remembered.has(&digest(1)));
    }
}
