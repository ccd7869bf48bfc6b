//! Nexus.

use super::{Access, Manifests, Mounts, Personality, Referrers, Tags};

impl Personality {
    /// Nexus, of a version that has indexes.
    #[must_use]
    pub fn nexus() -> Self {
        Self {
            name: "nexus",
            plays: &[("DIST-180", "nulls in the list of tags"), ("DIST-88", "no referrers API")],
            access: Access::Basic("Sonatype Nexus Repository Manager"),
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            tags: Tags { nulls: true, ..Tags::default() },
            ..Self::default()
        }
    }

    /// Nexus, of a version that knows no index of OCI. Then there are no fallback tags, either.
    #[must_use]
    pub fn nexus_without_index() -> Self {
        Self {
            plays: &[("DIST-180", "no OCI index")],
            manifests: Manifests {
                refused: &[("application/vnd.oci.image.index.v1+json", 400)],
                ..Manifests::default()
            },
            ..Self::nexus()
        }
    }
}
