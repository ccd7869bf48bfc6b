//! The private registry of Amazon.

use super::{Access, MadeFirst, Manifests, Mounts, Names, Personality, Referrers, Tags, Uploads};

impl Personality {
    /// Amazon's private registry, of a repository whose tags are immutable.
    #[must_use]
    pub fn ecr() -> Self {
        Self {
            name: "ecr",
            plays: &[
                ("DIST-172", "a repository must be made first: else 404 NAME_UNKNOWN"),
                ("DIST-172", "Basic"),
                ("DIST-172", "PATCH answers 201"),
                ("DIST-172", "Range stays at the first chunk"),
                ("DIST-172", "chunks have at least 5 MiB, but the last"),
                ("DIST-38", "empty blobs are refused"),
                ("DIST-172", "a manifest without mediaType is refused"),
                ("DIST-172", "no Location after PUT of a manifest"),
                ("DIST-172", "n is at most 1000"),
                ("DIST-172", "tags are immutable; the same again is ImageAlreadyExistsException"),
                ("DIST-72", "OCI-Subject without a referrers API, which answers 405"),
            ],
            access: Access::Basic("https://ecr.example/"),
            names: Names { made_first: MadeFirst::Repository, ..Names::default() },
            uploads: Uploads {
                patch_status: 201,
                stuck_range: true,
                chunk_least: 5 << 20,
                empty: false,
                ..Uploads::default()
            },
            manifests: Manifests {
                own_media_type: true,
                location: false,
                immutable: true,
                ..Manifests::default()
            },
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(405), claims: true, ..Referrers::default() },
            tags: Tags { most: Some(1000), ..Tags::default() },
            ..Self::default()
        }
    }
}
