//! Annotations: names and values that travel with descriptors and documents (IMG-165…173).

use std::collections::BTreeMap;

/// Annotation keys and values, sorted by key, so that they are always written in one order.
pub type Annotations = BTreeMap<String, String>;

/// The name of an entry in `index.json`: a tag or a full reference (IMG-13, IMG-170).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full reference, as containerd and Docker write it beside a short tag (IMG-17).
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// When the content was made, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// A human-readable title; on layers of artifacts, the file's name (IMG-173).
pub const TITLE: &str = "org.opencontainers.image.title";
/// The version of what is packed.
pub const VERSION: &str = "org.opencontainers.image.version";
/// The digest of the base image (IMG-171).
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The full name of the base image (IMG-171).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// Digest of the uncompressed tar of a directory packed as ORAS does.
pub const ORAS_CONTENT_DIGEST: &str = "io.deis.oras.content.digest";
/// `true` on a directory packed as ORAS does: unpack it when pulling.
pub const ORAS_CONTENT_UNPACK: &str = "io.deis.oras.content.unpack";
/// `attestation-manifest` on `BuildKit`'s attestations (IMG-83).
pub const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The digest of the image that an attestation of `BuildKit` speaks of (IMG-83).
pub const DOCKER_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// The diff ID of a layer, beside its descriptor: containerd's label, which `BuildKit` writes as an annotation.
pub const DIFF_ID: &str = "containerd.io/uncompressed";
/// The recipe by which transship made a layer's bytes.
pub const RECIPE: &str = "io.github.transship.recipe";

/// Keys that the image specification defines beneath its reserved prefix (IMG-169).
const DEFINED: [&str; 15] = [
    CREATED,
    "org.opencontainers.image.authors",
    "org.opencontainers.image.url",
    "org.opencontainers.image.documentation",
    "org.opencontainers.image.source",
    VERSION,
    "org.opencontainers.image.revision",
    "org.opencontainers.image.vendor",
    "org.opencontainers.image.licenses",
    REF_NAME,
    TITLE,
    "org.opencontainers.image.description",
    BASE_DIGEST,
    BASE_NAME,
    "org.opencontainers.referrers.filtersApplied",
];

/// Whether a key lies beneath the prefix reserved to the OCI without being defined there (IMG-166): worth a warning.
///
/// ```
/// use transship_spec::annotations::is_undefined_reserved;
/// assert!(is_undefined_reserved("org.opencontainers.image.mood"));
/// assert!(!is_undefined_reserved("org.opencontainers.image.title"));
/// ```
#[must_use]
pub fn is_undefined_reserved(key: &str) -> bool {
    key.starts_with("org.opencontainers.") && !DEFINED.contains(&key)
}

/// Whether a name fits the grammar of [`REF_NAME`] (IMG-170). Names outside of it are stored all the same; the rule is
/// a SHOULD, and valid tags such as `v1__x` break it.
#[must_use]
pub fn is_ref_name(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(is_ref_component)
}

fn is_ref_component(component: &str) -> bool {
    let mut rest = component;
    loop {
        let word = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        rest = match rest.strip_prefix("--") {
            Some(after) => after,
            None => match rest.strip_prefix(['-', '.', '_', ':', '@', '+']) {
                Some(after) => after,
                None => return rest.is_empty(),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_170_the_grammar_of_ref_names() {
        for good in ["v1", "v1--x", "a/b", "registry.example/team/app:v1", "a@sha256:b", "1.2.3+x"] {
            assert!(is_ref_name(good), "{good}");
        }
        for bad in ["", "v1__x", "_v1", "v1.", "a//b", "a b", "v1---x", "/a", "a/"] {
            assert!(!is_ref_name(bad), "{bad}");
        }
    }

    #[test]
    fn img_166_undefined_keys_beneath_the_reserved_prefix_are_told_apart() {
        assert!(is_undefined_reserved("org.opencontainers.image.foo"));
        assert!(is_undefined_reserved("org.opencontainers.foo"));
        assert!(!is_undefined_reserved("com.example.foo"));
        assert!(!is_undefined_reserved(REF_NAME));
    }
}
