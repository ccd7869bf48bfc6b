//! The registry of GitHub.

use super::{Access, Mounts, Personality, Referrers, Tags, TokenServer, Uploads};

impl Personality {
    /// GitHub's registry: chunks of at most 4 MiB, tokens that are no JWT, and no list of referrers.
    #[must_use]
    pub fn ghcr() -> Self {
        Self {
            name: "ghcr",
            plays: &[
                (
                    "DIST-171",
                    "416 for a chunk of more than 4 MiB; larger bodies without Content-Range are taken",
                ),
                ("DIST-171", "opaque tokens, had for credentials only by exchange"),
                ("DIST-171", "no referrers API"),
                ("DIST-171", "a relative Link with n=0 to an empty page"),
            ],
            access: Access::Token(TokenServer { service: "ghcr.io", ..TokenServer::default() }),
            uploads: Uploads { chunk_most: Some((4 << 20, 416)), ..Uploads::default() },
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            tags: Tags { empty_page: true, ..Tags::default() },
            ..Self::default()
        }
    }
}
