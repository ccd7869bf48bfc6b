//! Harbor.

use super::{Access, MadeFirst, Manifests, Mounts, Names, Personality, Referrers, Refusals, TokenServer};

impl Personality {
    /// Harbor, before it listed referrers.
    #[must_use]
    pub fn harbor() -> Self {
        Self {
            name: "harbor",
            plays: &[
                ("DIST-176", "the token endpoint answers 405 to POST"),
                ("DIST-176", "401 and not 404 for referrers"),
                ("DIST-176", "401 for a mount from a project that is not there"),
                ("DIST-176", "the lengths of HEAD and GET differ"),
                ("DIST-176", "every code is UNKNOWN"),
                ("DIST-176", "the project must be made first"),
            ],
            access: Access::Token(TokenServer {
                service: "harbor-registry",
                path: "/service/token",
                post: Some(405),
                ..TokenServer::default()
            }),
            names: Names { made_first: MadeFirst::Project, ..Names::default() },
            mounts: Mounts { unknown_source: Some(401), ..Mounts::separate() },
            manifests: Manifests { head_length_differs: true, ..Manifests::default() },
            referrers: Referrers { missing: Some(401), ..Referrers::default() },
            refusals: Refusals { code: Some("UNKNOWN"), ..Refusals::default() },
            ..Self::default()
        }
    }
}
