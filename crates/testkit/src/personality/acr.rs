//! The registry of Azure.

use super::{Access, Mounts, Personality, TokenServer, Uploads};

impl Personality {
    /// Azure's registry: refresh tokens are changed by POST, and uploads go to another host.
    #[must_use]
    pub fn acr() -> Self {
        Self {
            name: "acr",
            plays: &[
                ("DIST-175", "a refresh token is changed into an access token by POST /oauth2/token"),
                ("DIST-175", "or is the password of the user 00000000-0000-0000-0000-000000000000"),
                ("DIST-175", "upload locations are on another host, with a state"),
                ("DIST-175", "referrers API"),
            ],
            access: Access::Token(TokenServer {
                service: "acr",
                path: "/oauth2/token",
                post: None,
                member: "access_token",
                ..TokenServer::default()
            }),
            uploads: Uploads { state: true, is_elsewhere: true, ..Uploads::default() },
            mounts: Mounts::separate(),
            ..Self::default()
        }
    }
}
