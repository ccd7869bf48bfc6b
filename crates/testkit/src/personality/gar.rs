//! The Artifact Registry of Google.

use super::{Access, Chunks, Mounts, Names, Personality, Referrers, TokenServer, Uploads};

impl Personality {
    /// Google's Artifact Registry: nothing in chunks, names of three parts, and fallback tags beside the lists.
    #[must_use]
    pub fn gar() -> Self {
        Self {
            name: "gar",
            plays: &[
                ("DIST-173", "no chunks: a PATCH with Content-Range is refused"),
                ("DIST-173", "a name is PROJECT/REPOSITORY/IMAGE"),
                ("DIST-173", "sizes in lists of referrers are wrong"),
                ("DIST-173", "the server makes fallback tags, too"),
            ],
            access: Access::Token(TokenServer {
                service: "pkg.dev",
                path: "/v2/token",
                ..TokenServer::default()
            }),
            names: Names { parts: Some((3, 404)), ..Names::default() },
            uploads: Uploads { chunks: Chunks::Refused(400), ..Uploads::default() },
            mounts: Mounts::separate(),
            referrers: Referrers { wrong_sizes: true, tags_too: true, ..Referrers::default() },
            ..Self::default()
        }
    }
}
