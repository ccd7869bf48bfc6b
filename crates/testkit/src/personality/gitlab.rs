//! The registry of GitLab.

use super::{Access, Manifests, Mounts, Names, Personality, Referrers, TokenServer};

impl Personality {
    /// GitLab's registry: only known types of configs and artifacts, and a tag made of a digest is the digest.
    #[must_use]
    pub fn gitlab() -> Self {
        Self {
            name: "gitlab",
            plays: &[
                ("DIST-178", "400 MANIFEST_INVALID for unknown types of configs and artifacts"),
                ("DIST-178", "a name is GROUP/PROJECT at least"),
                ("DIST-178", "no referrers API"),
                ("DIST-71", "a fallback tag that there is not resolves to the subject itself"),
            ],
            access: Access::Token(TokenServer {
                service: "container_registry",
                path: "/jwt/auth",
                ..TokenServer::default()
            }),
            names: Names { parts: Some((2, 401)), ..Names::default() },
            manifests: Manifests {
                types: Some(&[
                    "application/vnd.oci.image.config.v1+json",
                    "application/vnd.docker.container.image.v1+json",
                    "application/vnd.cncf.helm.config.v1+json",
                    "application/vnd.oci.empty.v1+json",
                    "application/vnd.dev.cosign.artifact.sig.v1+json",
                    "application/vnd.dev.cosign.simplesigning.v1+json",
                ]),
                digest_by_tag: true,
                ..Manifests::default()
            },
            mounts: Mounts::separate(),
            referrers: Referrers { missing: Some(404), ..Referrers::default() },
            ..Self::default()
        }
    }
}
