//! Taking members out of an index.

use transship_layout::{Layout, Name};
use transship_spec::{Descriptor, Digest, Platform, platform};

use super::{Draft, Indexed, Member};
use crate::Error;

/// What is to be taken out of an index. Each digest and each platform must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Members by their digests.
    pub digests: Vec<Digest>,
    /// Members by their platforms, exactly: `linux/arm/v7` does not take `linux/arm/v6`. The version of an operating
    /// system counts where it is given.
    pub platforms: Vec<Platform>,
}

/// Takes members out of an index, with the attestations that speak of them, and gives the new index its name. Nothing is
/// deleted: the layout keeps the blobs until garbage is collected.
///
/// # Errors
/// [`Error::Missing`] for what is not listed, [`Error::Nothing`] when nothing is to be taken out, [`Error::Image`] for what
/// is no index, and what reading and writing give.
pub fn remove_from_index(
    layout: &Layout,
    name: Option<&Name>,
    index: &Member<'_>,
    removal: &Removal,
) -> Result<Indexed, Error> {
    if removal.digests.is_empty() && removal.platforms.is_empty() {
        return Err(Error::Nothing("a digest or a platform says what is to be taken out of the index"));
    }
    let mut draft = Draft::of(layout, index, true)?;
    let have = listed(draft.slots.descriptors());
    let missing = |what: String| Error::Missing { what, have: have.clone() };
    for digest in &removal.digests {
        // An attestation may have gone with its image already.
        let gone = draft.slots.removed.iter().any(|member| member.digest == *digest);
        if draft.slots.remove(|member| member.digest == *digest) == 0 && !gone {
            return Err(missing(format!("member {digest}")));
        }
    }
    for wanted in &removal.platforms {
        if draft.slots.remove(|member| serves(member, wanted)) == 0 {
            return Err(missing(format!("member for {wanted}")));
        }
    }
    draft.write(name)
}

fn serves(member: &Descriptor, wanted: &Platform) -> bool {
    !platform::is_attestation(member) && member.platform.as_ref().is_some_and(|have| is_for(have, wanted))
}

/// Whether a platform is the one that is asked for, and no other that would serve.
pub(crate) fn is_for(have: &Platform, wanted: &Platform) -> bool {
    let (have, wanted) = (have.normalized(), wanted.normalized());
    (&have.os, &have.architecture, &have.variant) == (&wanted.os, &wanted.architecture, &wanted.variant)
        && (wanted.os_version.is_none() || wanted.os_version == have.os_version)
}

fn listed<'a>(members: impl Iterator<Item = &'a Descriptor>) -> String {
    const SHOWN: usize = 20;
    let label = |member: &Descriptor| match &member.platform {
        Some(platform) => format!("{} ({platform})", member.digest),
        None => member.digest.to_string(),
    };
    let members: Vec<String> =
        members.filter(|member| !platform::is_attestation(member)).take(SHOWN).map(label).collect();
    if members.is_empty() {
        "the index is empty".to_owned()
    } else {
        format!("there are {}", members.join(", "))
    }
}
