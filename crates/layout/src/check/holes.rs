//! Declared holes: platforms of an index that were left out on purpose (IMG-10, IMG-85).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use transship_spec::{Descriptor, Digest, Platform};

use super::KEPT_PLATFORMS;
use crate::index::Entry;

/// The platforms of an index that were kept, as [`key`]s: hostile entries name a million of them.
pub(crate) type Kept = Arc<HashSet<String>>;

/// The platforms that an entry says were kept.
pub(crate) fn kept_platforms(entry: &Descriptor) -> Option<Kept> {
    let text = entry.annotations.get(KEPT_PLATFORMS)?;
    let platforms = text.split(',').filter_map(|platform| Platform::parse(platform.trim()).ok());
    Some(Arc::new(platforms.map(|platform| key(&platform)).collect()))
}

/// The platforms that are needed of each root of which not all are: those that any of its entries says were kept. Of a
/// root that one entry names without saying so, all are.
pub(super) fn of_roots(entries: &[Entry]) -> HashMap<Digest, Kept> {
    let mut roots: HashMap<Digest, Kept> = HashMap::new();
    let mut whole = HashSet::new();
    for Entry { descriptor, .. } in entries {
        match kept_platforms(descriptor) {
            Some(kept) => {
                let root = roots.entry(descriptor.digest.clone()).or_default();
                Arc::make_mut(root).extend(kept.iter().cloned());
            }
            None => drop(whole.insert(&descriptor.digest)),
        }
    }
    roots.retain(|digest, _| !whole.contains(digest));
    roots
}

/// Whether a member belongs to what was kept. One without a platform does.
pub(crate) fn is_kept(member: &Descriptor, kept: &Kept) -> bool {
    let is_attestation = transship_spec::platform::is_attestation(member);
    match &member.platform {
        Some(platform) if !is_attestation => kept.contains(&key(platform)),
        _ => true,
    }
}

/// The same for platforms that are the same, and for no others.
fn key(platform: &Platform) -> String {
    let platform = platform.normalized();
    let Platform { os, architecture, variant, os_version, os_features, .. } = &platform;
    format!("{:?}", (os, architecture, variant, os_version, os_features))
}
