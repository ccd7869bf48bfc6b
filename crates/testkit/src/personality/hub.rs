//! Docker Hub.

use super::{Access, Mounts, Names, Personality, Referrers, TokenServer};

impl Personality {
    /// Docker Hub: tokens are had on another host, official images are in `library/`, and nobody lists referrers.
    #[must_use]
    pub fn hub() -> Self {
        Self {
            name: "hub",
            plays: &[
                ("DIST-170", "the realm is on another host than the API"),
                ("DIST-170", "a name has two components: official images need library/"),
                ("DIST-170", "no referrers API"),
                ("DIST-72", "OCI-Subject is answered all the same"),
            ],
            access: Access::Token(TokenServer {
                service: "registry.docker.io",
                is_elsewhere: true,
                ..TokenServer::default()
            }),
            names: Names { parts: Some((2, 401)), ..Names::default() },
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), claims: true, ..Referrers::default() },
            ..Self::default()
        }
    }
}
