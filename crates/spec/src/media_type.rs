//! Media types: what a descriptor says that its content is (IMG-30, IMG-155, IMG-157).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A validated media type, without parameters (RFC 6838, at most 127 characters a side).
///
/// Types that nobody here knows are carried unchanged; only the grammar is enforced.
///
/// ```
/// use transship_spec::MediaType;
///
/// let layer = MediaType::parse("application/vnd.oci.image.layer.v1.tar+zstd")?;
/// assert_eq!(layer, MediaType::OCI_LAYER_ZSTD);
/// assert!(MediaType::parse("application").is_err());
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Cow<'static, str>);

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: MediaType = MediaType(Cow::Borrowed($text));)*
        }
    };
}

known! {
    /// An image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// An image manifest; of an artifact too.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// The config of a runnable image.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The empty JSON object `{}` (IMG-65).
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// A layer as a plain tar.
    OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
    /// A layer as a tar in gzip.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer as a tar in zstd.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// A plain layer that should not be uploaded (deprecated, IMG-150).
    OCI_NONDISTRIBUTABLE_TAR = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    /// A gzip layer that should not be uploaded (deprecated, IMG-150).
    OCI_NONDISTRIBUTABLE_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    /// A zstd layer that should not be uploaded (deprecated, IMG-150).
    OCI_NONDISTRIBUTABLE_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    /// The artifact manifest of the 1.1 release candidates: read and carried, never written.
    OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";
    /// The artifact manifest of early ORAS: read and carried, never written.
    ORAS_ARTIFACT_MANIFEST = "application/vnd.cncf.oras.artifact.manifest.v1+json";
    /// Docker's twin of the image index.
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's twin of the image manifest.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's twin of the image config.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker's twin of the plain layer.
    DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's twin of the gzip layer.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A layer in zstd as containerd calls it where it writes Docker's manifests; Docker itself has no such type.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// Docker's twin of the plain layer that should not be uploaded.
    DOCKER_FOREIGN_TAR = "application/vnd.docker.image.rootfs.foreign.diff.tar";
    /// Docker's twin of the layer that should not be uploaded.
    DOCKER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Docker's first manifest, unsigned: refused with a message of its own.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker's first manifest, signed: refused with a message of its own.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Any bytes.
    OCTET_STREAM = "application/octet-stream";
}

/// OCI types and the Docker types that stand for the same content (IMG-157).
const TWINS: [(MediaType, MediaType); 7] = [
    (MediaType::OCI_INDEX, MediaType::DOCKER_LIST),
    (MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST),
    (MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG),
    (MediaType::OCI_LAYER_TAR, MediaType::DOCKER_LAYER_TAR),
    (MediaType::OCI_LAYER_GZIP, MediaType::DOCKER_LAYER_GZIP),
    (MediaType::OCI_NONDISTRIBUTABLE_TAR, MediaType::DOCKER_FOREIGN_TAR),
    (MediaType::OCI_NONDISTRIBUTABLE_GZIP, MediaType::DOCKER_FOREIGN_GZIP),
];

impl MediaType {
    /// Reads a media type.
    ///
    /// # Errors
    /// [`Error::MediaType`] when the text breaks RFC 6838: two parts, each of 1 to 127 letters, digits and
    /// `!#$&^_.+-`, the first of them a letter or a digit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((kind, subtype)) if is_restricted_name(kind) && is_restricted_name(subtype) => {
                Ok(Self(Cow::Owned(text.to_owned())))
            }
            _ => Err(Error::MediaType(text.to_owned())),
        }
    }

    /// Reads the value of a `Content-Type` header, whose parameters are ignored (DIST-17).
    ///
    /// # Errors
    /// As [`MediaType::parse`].
    pub fn parse_content_type(text: &str) -> Result<Self, Error> {
        Self::parse(text.split(';').next().unwrap_or_default().trim())
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An index of any dialect.
    #[must_use]
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_LIST
    }

    /// A manifest with config and layers, of any dialect.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// An artifact manifest of the release candidates.
    #[must_use]
    pub fn is_artifact_manifest(&self) -> bool {
        *self == Self::OCI_ARTIFACT_MANIFEST || *self == Self::ORAS_ARTIFACT_MANIFEST
    }

    /// Content that registries keep as a manifest and that names other content.
    #[must_use]
    pub fn is_document(&self) -> bool {
        self.is_index() || self.is_manifest() || self.is_artifact_manifest()
    }

    /// Docker's first manifest format, which is not supported.
    #[must_use]
    pub fn is_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }

    /// The config of a runnable image, of any dialect.
    #[must_use]
    pub fn is_image_config(&self) -> bool {
        *self == Self::OCI_CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// A layer of a root filesystem, of any dialect and compression.
    #[must_use]
    pub fn is_layer(&self) -> bool {
        self.is_nondistributable()
            || [
                Self::OCI_LAYER_TAR,
                Self::OCI_LAYER_GZIP,
                Self::OCI_LAYER_ZSTD,
                Self::DOCKER_LAYER_TAR,
                Self::DOCKER_LAYER_GZIP,
                Self::DOCKER_LAYER_ZSTD,
            ]
            .contains(self)
    }

    /// A layer that should not be uploaded (IMG-150).
    #[must_use]
    pub fn is_nondistributable(&self) -> bool {
        [
            Self::OCI_NONDISTRIBUTABLE_TAR,
            Self::OCI_NONDISTRIBUTABLE_GZIP,
            Self::OCI_NONDISTRIBUTABLE_ZSTD,
            Self::DOCKER_FOREIGN_TAR,
            Self::DOCKER_FOREIGN_GZIP,
        ]
        .contains(self)
    }

    /// The Docker type for the same content, where there is one that every Docker knows: none for zstd.
    #[must_use]
    pub fn to_docker(&self) -> Option<Self> {
        TWINS.iter().find(|(oci, _)| oci == self).map(|(_, docker)| docker.clone())
    }

    /// The OCI type for the same content, where there is one.
    #[must_use]
    pub fn to_oci(&self) -> Option<Self> {
        // Not a twin: no old Docker takes it, so that nothing is made it.
        let zstd = (*self == Self::DOCKER_LAYER_ZSTD).then_some(Self::OCI_LAYER_ZSTD);
        TWINS.iter().find(|(_, docker)| docker == self).map(|(oci, _)| oci.clone()).or(zstd)
    }
}

fn is_restricted_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
    first && text.len() <= 127 && text.bytes().all(allowed)
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MediaType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_30_the_grammar_of_media_types_is_that_of_rfc_6838() {
        let long = "a".repeat(127);
        for good in ["a/b", "7/9", "application/vnd.oci.empty.v1+json", &format!("{long}/{long}")] {
            assert!(MediaType::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "application",
            ".foo/bar",
            "foo/.bar",
            "a/",
            "/b",
            "a/b/c",
            "a/b;c=d",
            "a /b",
            "a/b\r\nX: y",
            "ä/b",
        ] {
            assert!(MediaType::parse(bad).is_err(), "{bad}");
        }
        assert!(MediaType::parse(&format!("{long}a/b")).is_err());
        assert!(MediaType::parse(&format!("b/{long}a")).is_err());
    }

    #[test]
    fn img_157_docker_twins_lead_there_and_back() {
        for (oci, docker) in TWINS {
            assert_eq!(oci.to_docker(), Some(docker.clone()));
            assert_eq!(docker.to_oci(), Some(oci));
        }
        assert_eq!(MediaType::OCI_LAYER_ZSTD.to_docker(), None);
        assert_eq!(MediaType::DOCKER_LAYER_ZSTD.to_oci(), Some(MediaType::OCI_LAYER_ZSTD));
    }

    #[test]
    fn dist_17_parameters_of_a_content_type_are_ignored() {
        let parsed = MediaType::parse_content_type("application/vnd.oci.image.index.v1+json ; charset=utf-8");
        assert_eq!(parsed.unwrap(), MediaType::OCI_INDEX);
    }

    #[test]
    fn img_155_every_known_type_has_the_role_that_the_spec_gives_it() {
        assert!(MediaType::OCI_INDEX.is_document() && MediaType::DOCKER_LIST.is_index());
        assert!(MediaType::DOCKER_MANIFEST.is_manifest() && !MediaType::OCI_CONFIG.is_document());
        assert!(MediaType::OCI_NONDISTRIBUTABLE_ZSTD.is_layer());
        assert!(MediaType::DOCKER_SCHEMA1_SIGNED.is_schema1() && !MediaType::DOCKER_SCHEMA1.is_document());
    }
}
