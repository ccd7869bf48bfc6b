//! The CNCF registry.

use super::{Access, Manifests, Mounts, Personality, Referrers, Refusals, TokenServer, Uploads};

impl Personality {
    /// The CNCF registry as it is released, with a token server.
    #[must_use]
    pub fn distribution() -> Self {
        Self {
            name: "distribution",
            access: Access::Token(TokenServer::default()),
            ..Self::distribution_open()
        }
    }

    /// The same, open to everybody: what Debian ships, which the tests hold it against.
    #[must_use]
    pub fn distribution_open() -> Self {
        Self {
            name: "distribution, open",
            plays: &[
                ("DIST-181", "no referrers API"),
                ("DIST-181", "405 UNSUPPORTED for every DELETE of a manifest or blob"),
                ("DIST-181", "upload locations have a _state"),
                ("DIST-181", "giving an upload up needs the right to delete"),
            ],
            uploads: Uploads { state: true, cancel_deletes: true, cancel_names: true, ..Uploads::default() },
            mounts: Mounts::separate(),
            manifests: Manifests { location_by_digest: true, ..Manifests::default() },
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            refusals: Refusals { delete: Some(405), ..Refusals::default() },
            ..Self::default()
        }
    }
}
