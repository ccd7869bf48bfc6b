//! The members of an index while it is being changed, and what of other indexes becomes one.

use transship_spec::annotations::{CONTAINERD_NAME, DOCKER_REFERENCE_DIGEST, REF_NAME};
use transship_spec::{Descriptor, Digest, Platform, platform};

use super::{Member, Take};
use crate::Error;
use crate::origin::Origin;

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 32;
/// Members of one index that are looked at.
const MAX_MEMBERS: usize = 20_000;

/// One member.
pub(super) struct Slot {
    pub(super) descriptor: Descriptor,
    /// As it is written, where that is to stay.
    text: Option<String>,
}

impl Slot {
    /// A member of an index that is there.
    pub(super) fn kept(descriptor: &Descriptor, text: &str) -> Self {
        Self { descriptor: descriptor.clone(), text: Some(text.to_owned()) }
    }
}

/// All members, in order.
pub(super) struct Slots {
    slots: Vec<Slot>,
    pub(super) added: Vec<Descriptor>,
    pub(super) removed: Vec<Descriptor>,
}

impl Slots {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        Self { slots, added: Vec::new(), removed: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.slots.iter().map(|slot| &slot.descriptor)
    }

    pub(super) fn is_changed(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty())
    }

    /// Whether the same content is listed.
    pub(super) fn holds(&self, descriptor: &Descriptor) -> bool {
        self.descriptors().any(|listed| listed.digest == descriptor.digest)
    }

    /// Adds a member. One of the same platform among the first `before` is an error, or is replaced in its place.
    pub(super) fn insert(&mut self, new: Descriptor, before: usize, replace: bool) -> Result<(), Error> {
        let earlier = self.slots.iter().take(before);
        let same = earlier.map(|slot| &slot.descriptor).position(|listed| is_same_platform(listed, &new));
        self.added.push(new.clone());
        let Some(at) = same else {
            self.slots.push(Slot { descriptor: new, text: None });
            return Ok(());
        };
        let old = &self.slots[at].descriptor;
        if !replace {
            let platform = old.platform.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(Error::Listed { platform, digest: old.digest.clone() });
        }
        let old = std::mem::replace(&mut self.slots[at], Slot { descriptor: new, text: None }).descriptor;
        let digest = old.digest.clone();
        self.removed.push(old);
        self.remove_attestations(&digest);
        Ok(())
    }

    /// Removes the members that fit, with their attestations; tells how many there were.
    pub(super) fn remove(&mut self, fits: impl Fn(&Descriptor) -> bool) -> usize {
        let (gone, kept) =
            std::mem::take(&mut self.slots).into_iter().partition(|slot| fits(&slot.descriptor));
        self.slots = kept;
        let gone: Vec<Descriptor> = gone.into_iter().map(|slot: Slot| slot.descriptor).collect();
        for member in &gone {
            self.removed.push(member.clone());
            self.remove_attestations(&member.digest);
        }
        gone.len()
    }

    /// What speaks of a member that is gone goes with it, unless the same content is still listed (IMG-83).
    fn remove_attestations(&mut self, digest: &Digest) {
        if self.descriptors().any(|listed| listed.digest == *digest) {
            return;
        }
        let (gone, kept) = std::mem::take(&mut self.slots)
            .into_iter()
            .partition(|slot| is_attestation_of(&slot.descriptor, digest));
        self.slots = kept;
        self.removed.extend(gone.into_iter().map(|slot: Slot| slot.descriptor));
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, Error> {
        let text = |slot: &Slot| match &slot.text {
            Some(text) => Ok(text.clone()),
            None => serde_json::to_string(&slot.descriptor).map_err(|error| {
                let reason = error.to_string();
                Error::Spec(transship_spec::Error::Document { what: "descriptor", reason })
            }),
        };
        self.slots.iter().map(text).collect()
    }
}

/// Whether two members are for one platform, so that only the first would ever be chosen (IMG-80).
fn is_same_platform(one: &Descriptor, other: &Descriptor) -> bool {
    let platform = |descriptor: &Descriptor| match &descriptor.platform {
        Some(platform) if !platform.is_unknown() && !platform::is_attestation(descriptor) => {
            Some(platform.normalized())
        }
        _ => None,
    };
    platform(one).is_some() && platform(one) == platform(other)
}

pub(crate) fn is_attestation_of(member: &Descriptor, image: &Digest) -> bool {
    platform::is_attestation(member)
        && member.annotations.get(DOCKER_REFERENCE_DIGEST).is_some_and(|digest| *digest == image.to_string())
}

/// What of a member is to be listed, in order.
pub(super) fn taken(member: &Member<'_>) -> Result<Vec<Descriptor>, Error> {
    match &member.take {
        Take::Itself => Ok(vec![itself(member.origin, &member.descriptor)?]),
        Take::Members => {
            let mut found = Vec::new();
            flatten(member.origin, &member.descriptor, 0, &mut found)?;
            Ok(found)
        }
        Take::Platforms(platforms) => {
            let mut found = Vec::new();
            flatten(member.origin, &member.descriptor, 0, &mut found)?;
            select(&found, platforms)
        }
    }
}

/// The members of an index, and theirs; of anything else, it itself.
fn flatten(
    origin: Origin<'_>,
    descriptor: &Descriptor,
    depth: usize,
    found: &mut Vec<Descriptor>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH || found.len() > MAX_MEMBERS {
        let what =
            if depth > MAX_DEPTH { "the depth of indexes" } else { "the number of members of an index" };
        let limit = if depth > MAX_DEPTH { MAX_DEPTH } else { MAX_MEMBERS };
        return Err(Error::Spec(transship_spec::Error::Limit { what, limit: limit as u64 }));
    }
    if depth > 0 && !descriptor.media_type.is_index() {
        found.push(descriptor.clone());
        return Ok(());
    }
    let document = origin.document(descriptor)?;
    match document.as_index() {
        Some(index) => {
            index.manifests.iter().try_for_each(|member| flatten(origin, member, depth + 1, found))
        }
        None => {
            found.push(itself(origin, descriptor)?);
            Ok(())
        }
    }
}

/// The member for each platform, with its attestations, in the order in which they are listed.
fn select(members: &[Descriptor], platforms: &[Platform]) -> Result<Vec<Descriptor>, Error> {
    let mut chosen = Vec::new();
    for wanted in platforms {
        let found = platform::select(members, wanted).ok_or_else(|| Error::Platform {
            wanted: Box::new(wanted.clone()),
            available: members.iter().filter_map(|member| member.platform.clone()).collect(),
        })?;
        chosen.push(&found.digest);
    }
    let goes = |member: &&Descriptor| {
        chosen.contains(&&member.digest) || chosen.iter().any(|image| is_attestation_of(member, image))
    };
    Ok(members.iter().filter(goes).cloned().collect())
}

/// A descriptor that says what a reader of an index wants to know: the platform of an image, the type of an artifact.
fn itself(origin: Origin<'_>, descriptor: &Descriptor) -> Result<Descriptor, Error> {
    let document = origin.document(descriptor)?;
    let mut annotations = descriptor.annotations.clone();
    // In an index within a layout these name nothing (IMG-13).
    annotations.remove(REF_NAME);
    annotations.remove(CONTAINERD_NAME);
    let itself = Descriptor { annotations, extra: descriptor.extra.clone(), ..document.descriptor() };
    match document.as_manifest() {
        Some(manifest) if manifest.config.media_type.is_image_config() => {
            let platform = origin.config(&manifest.config)?.platform;
            let platform = (!platform.architecture.is_empty()).then_some(platform);
            Ok(Descriptor { platform, artifact_type: manifest.artifact_type.clone(), ..itself })
        }
        _ => Ok(Descriptor {
            platform: descriptor.platform.clone(),
            artifact_type: document.artifact_type().cloned(),
            ..itself
        }),
    }
}
