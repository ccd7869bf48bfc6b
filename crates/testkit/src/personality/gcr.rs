//! The old registry of Google.

use super::{Access, Mounts, Personality, Referrers, TokenServer};

impl Personality {
    /// Google's old registry: only the ping says where tokens are had.
    #[must_use]
    pub fn gcr() -> Self {
        Self {
            name: "gcr",
            plays: &[
                ("DIST-174", "401 without a challenge but at the ping"),
                ("DIST-174", "the token is in access_token only"),
                ("DIST-88", "no referrers API"),
            ],
            access: Access::Token(TokenServer {
                service: "gcr.io",
                path: "/v2/token",
                is_only_at_the_door: true,
                member: "access_token",
                ..TokenServer::default()
            }),
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            ..Self::default()
        }
    }
}
