//! Artifactory.

use super::{Access, Chunks, Mounts, Personality, Referrers, Refusals, Tags, Uploads};

impl Personality {
    /// Artifactory: no `Accept` but for manifests, no chunks but the last, and pages for errors.
    #[must_use]
    pub fn artifactory() -> Self {
        Self {
            name: "artifactory",
            plays: &[
                ("DIST-179", "406 for an Accept on anything but manifests"),
                ("DIST-179", "403 and not 404 for HEAD of what is not there"),
                ("DIST-179", "of chunks the last alone is kept"),
                ("DIST-83", "digests in the list of tags"),
                ("DIST-179", "pages in place of JSON"),
                ("DIST-88", "no referrers API"),
            ],
            access: Access::Basic("Artifactory Realm"),
            uploads: Uploads { chunks: Chunks::LastOnly, ..Uploads::default() },
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            tags: Tags { digests: true, ..Tags::default() },
            refusals: Refusals {
                absent_head: Some(403),
                html: true,
                accept_elsewhere: Some(406),
                ..Refusals::default()
            },
            ..Self::default()
        }
    }
}
