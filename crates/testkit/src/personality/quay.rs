//! Quay.

use super::{Access, Manifests, Mounts, Personality, TokenServer};

impl Personality {
    /// Quay: it wants to know where a mount comes from, and reads no `delete` in a scope.
    #[must_use]
    pub fn quay() -> Self {
        Self {
            name: "quay",
            plays: &[
                ("DIST-177", "a mount without from fails"),
                ("DIST-177", "the action delete makes a scope unreadable; push is enough for it"),
                ("DIST-177", "415 for the artifact manifest"),
                ("DIST-177", "referrers API"),
            ],
            access: Access::Token(TokenServer {
                service: "quay.io",
                path: "/v2/auth",
                no_delete: true,
                ..TokenServer::default()
            }),
            mounts: Mounts { without_from: Some(400), ..Mounts::separate() },
            manifests: Manifests {
                refused: &[("application/vnd.oci.artifact.manifest.v1+json", 415)],
                ..Manifests::default()
            },
            ..Self::default()
        }
    }

    /// Quay as it was until 2023, and as it may be set up still: only known types of configs are taken.
    #[must_use]
    pub fn quay_with_known_types_only() -> Self {
        let types: &[&str] = &[
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.cncf.helm.config.v1+json",
        ];
        let quay = Self::quay();
        Self { manifests: Manifests { types: Some(types), ..quay.manifests }, ..quay }
    }
}
