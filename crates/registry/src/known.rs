//! Registries that are known by their names, and why: what no answer tells, or tells too late.
//!
//! Everything else is found out from what a registry answers, and [remembered](crate::features::Features). A line here needs
//! a reason.

/// The key of Docker Hub in files of credentials and in helpers (DIST-120): it is no host.
pub(crate) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Whether `name` is one of the names of Docker Hub.
pub(crate) fn is_docker_hub(name: &str) -> bool {
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"]
        .iter()
        .any(|hub| name.eq_ignore_ascii_case(hub))
}

/// Where the registry `name` answers: Docker Hub does it under another name than people use (DIST-170).
pub(crate) fn api_host(name: &str) -> &str {
    if is_docker_hub(name) { "registry-1.docker.io" } else { name }
}

/// Whether `realm` is the token server of the registry `registry` though it is on another host and nothing shows it
/// (DIST-170).
pub(crate) fn is_realm(registry: &str, realm: &str) -> bool {
    is_docker_hub(registry) && realm == "auth.docker.io"
}

/// What a registry takes of blobs in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Any, or it says otherwise.
    Any,
    /// Chunks of at least so many bytes. It says so when all of them are there, and throws them away (DIST-172).
    AtLeast(u64),
    /// None (DIST-173): a first chunk would be sent in vain.
    Never,
}

/// What the registry `name` takes of blobs in chunks.
pub(crate) fn chunks(name: &str) -> Chunks {
    let name = name.to_ascii_lowercase();
    let host = name.split_once(':').map_or(name.as_str(), |(host, _)| host);
    let is_ecr = host.contains(".dkr.ecr.") || host.contains(".dkr.ecr-fips.");
    if is_ecr && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")) {
        Chunks::AtLeast(5 << 20)
    } else if host.ends_with("-docker.pkg.dev") {
        Chunks::Never
    } else {
        Chunks::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_172_dist_173_registries_without_small_chunks_are_known_by_their_hosts() {
        for (name, expected) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Chunks::AtLeast(5 << 20)),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com:443", Chunks::AtLeast(5 << 20)),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Chunks::AtLeast(5 << 20)),
            ("Europe-docker.pkg.dev", Chunks::Never),
            ("ghcr.io", Chunks::Any),
            ("dkr.ecr.example", Chunks::Any),
            ("x.dkr.ecr.amazonaws.com.evil.example", Chunks::Any),
            ("pkg.dev", Chunks::Any),
        ] {
            assert_eq!(chunks(name), expected, "{name}");
        }
    }

    #[test]
    fn dist_170_docker_hub_has_a_host_and_a_token_server_of_its_own() {
        assert_eq!(api_host("docker.io"), "registry-1.docker.io");
        assert_eq!(api_host("ghcr.io"), "ghcr.io");
        assert!(is_realm("registry-1.docker.io", "auth.docker.io"));
        assert!(!is_realm("ghcr.io", "auth.docker.io"));
    }
}
