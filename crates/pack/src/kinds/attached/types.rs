//! The media types of what is attached to other content.

pub(super) const SPDX_JSON: &str = "application/spdx+json";
/// SPDX as lines of tags and values.
pub(super) const SPDX_TEXT: &str = "text/spdx";
pub(super) const CYCLONEDX_JSON: &str = "application/vnd.cyclonedx+json";
pub(super) const CYCLONEDX_XML: &str = "application/vnd.cyclonedx+xml";
pub(super) const SARIF: &str = "application/sarif+json";
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(super) const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// How the types of sigstore bundles of all versions begin, on layers and inside.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
