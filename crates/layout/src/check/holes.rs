//! Declared holes: platforms of an index that were left out on purpose (IMG-10, IMG-85).

use std::sync::Arc;

use transship_spec::{Descriptor, Platform};

use super::KEPT_PLATFORMS;

/// The platforms that an entry says were kept.
pub(crate) fn kept_platforms(entry: &Descriptor) -> Option<Arc<[Platform]>> {
    let text = entry.annotations.get(KEPT_PLATFORMS)?;
    Some(text.split(',').filter_map(|platform| Platform::parse(platform.trim()).ok()).collect())
}

/// Whether a member belongs to what was kept. One without a platform does.
pub(crate) fn is_kept(member: &Descriptor, kept: &[Platform]) -> bool {
    let is_attestation = transship_spec::platform::is_attestation(member);
    match &member.platform {
        Some(platform) if !is_attestation => {
            kept.iter().any(|kept| kept.normalized() == platform.normalized())
        }
        _ => true,
    }
}
