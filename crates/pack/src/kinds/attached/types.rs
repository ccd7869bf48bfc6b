//! The media types of what is attached to other content.

pub(super) const SPDX_JSON: &str = "application/spdx+json";
/// SPDX as lines of tags and values; older cosigns use it for JSON, too.
pub(super) const SPDX_TEXT: &str = "text/spdx";
/// Cosign's word for SPDX in JSON.
pub(super) const SPDX_JSON_COSIGN: &str = "text/spdx+json";
pub(super) const CYCLONEDX_JSON: &str = "application/vnd.cyclonedx+json";
pub(super) const CYCLONEDX_XML: &str = "application/vnd.cyclonedx+xml";
/// Cosign's word for either form.
pub(super) const CYCLONEDX: &str = "application/vnd.cyclonedx";
pub(super) const SYFT: &str = "application/vnd.syft+json";
pub(super) const SARIF: &str = "application/sarif+json";
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(super) const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// How the types of sigstore bundles of all versions begin, on layers and inside.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The payload of cosign's signatures.
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

pub(super) const SBOMS: &[&str] =
    &[SPDX_JSON, SPDX_TEXT, SPDX_JSON_COSIGN, CYCLONEDX_JSON, CYCLONEDX_XML, CYCLONEDX, SYFT];
