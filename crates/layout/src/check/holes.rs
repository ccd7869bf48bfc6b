//! Declared holes: platforms of an index that were left out on purpose (IMG-10, IMG-85).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use transship_spec::annotations::DOCKER_REFERENCE_DIGEST;
use transship_spec::{Descriptor, Digest, Platform};

use super::KEPT_PLATFORMS;

/// The platforms of an index that were kept, as [`key`]s: hostile entries name a million of them.
pub(crate) type Kept = Arc<HashSet<String>>;

/// The members of an index that an entry with these platforms as [`KEPT_PLATFORMS`] declares to be left out. A member
/// without a platform never is; an attestation is with its image (IMG-83).
///
/// ```
/// use transship_layout::check::declared_holes;
/// use transship_spec::{Descriptor, MediaType, Platform};
///
/// let member = |architecture: &str| Descriptor {
///     platform: Some(Platform::new("linux", architecture)),
///     ..Descriptor::of(MediaType::OCI_MANIFEST, architecture.as_bytes())
/// };
/// let members = [member("amd64"), member("arm64")];
/// let holes = declared_holes(&members, "linux/amd64,linux/s390x");
/// assert!(holes.contains(&members[1].digest) && holes.len() == 1);
/// ```
#[must_use]
pub fn declared_holes(members: &[Descriptor], platforms: &str) -> HashSet<Digest> {
    left_out(members, &kept(platforms))
}

/// The platforms that an entry says were kept.
fn kept_platforms(entry: &Descriptor) -> Option<Kept> {
    entry.annotations.get(KEPT_PLATFORMS).map(|platforms| kept(platforms))
}

fn kept(platforms: &str) -> Kept {
    let platforms = platforms.split(',').filter_map(|platform| Platform::parse(platform.trim()).ok());
    Arc::new(platforms.map(|platform| key(&platform)).collect())
}

/// The platforms that are needed of each root of which not all are: those that any of its entries says were kept. Of a
/// root that one entry names without saying so, all are.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    kept: HashMap<Digest, Kept>,
    whole: HashSet<Digest>,
}

impl Roots {
    pub(crate) fn add(&mut self, entry: &Descriptor) {
        match kept_platforms(entry) {
            Some(kept) => {
                let root = self.kept.entry(entry.digest.clone()).or_default();
                Arc::make_mut(root).extend(kept.iter().cloned());
            }
            None if entry.media_type.is_document() => drop(self.whole.insert(entry.digest.clone())),
            None => {}
        }
    }

    pub(crate) fn kept(mut self) -> HashMap<Digest, Kept> {
        self.kept.retain(|digest, _| !self.whole.contains(digest));
        self.kept
    }
}

/// The members of an index that were left out: images for platforms that were not kept, and what attests to these.
pub(crate) fn left_out(members: &[Descriptor], kept: &Kept) -> HashSet<Digest> {
    let images = members.iter().filter(|member| !is_kept(member, kept));
    let mut left_out: HashSet<Digest> = images.map(|member| member.digest.clone()).collect();
    let texts: HashSet<String> = left_out.iter().map(ToString::to_string).collect();
    for member in members {
        if member.annotations.get(DOCKER_REFERENCE_DIGEST).is_some_and(|subject| texts.contains(subject)) {
            left_out.insert(member.digest.clone());
        }
    }
    left_out
}

/// Whether a member belongs to what was kept. One without a platform does.
fn is_kept(member: &Descriptor, kept: &Kept) -> bool {
    let is_attestation = transship_spec::platform::is_attestation(member);
    match &member.platform {
        Some(platform) if !is_attestation => kept.contains(&key(platform)),
        _ => true,
    }
}

/// The same for platforms that are the same, and for no others. Features of a system are not written where platforms are
/// listed, so that they tell none apart.
fn key(platform: &Platform) -> String {
    let platform = platform.normalized();
    let Platform { os, architecture, variant, os_version, .. } = &platform;
    format!("{:?}", (os, architecture, variant, os_version))
}
