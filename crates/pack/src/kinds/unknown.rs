//! What no kind knows: shown by its manifest, extracted by titles and digests.

use super::{Kind, Sight, Sign};

/// The kind of all artifacts that are of no other.
#[must_use]
pub fn unknown() -> &'static dyn Kind {
    &Unknown
}

#[derive(Debug)]
struct Unknown;

impl Kind for Unknown {
    fn name(&self) -> &'static str {
        "artifact"
    }

    fn about(&self) -> &'static str {
        "any artifact, by the titles and digests of its layers"
    }

    fn recognise(&self, _: &Sight<'_>) -> Option<Sign> {
        None
    }
}
