//! Descriptors: what one says by itself (IMG-30…40, IMG-65, IMG-165…170).

use transship_spec::annotations::{CREATED, REF_NAME, is_undefined_reserved};
use transship_spec::{Annotations, Descriptor, Digest, MediaType, Platform, quote};

use super::time::is_rfc3339;
use super::{Code, Place, Sink};

/// The operating systems that Go knows (IMG-78).
const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];
/// The processors that Go knows.
const PROCESSORS: [&str; 22] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390x",
    "sparc64",
    "wasm",
];

/// Looks at one descriptor; `is_entry` says that it stands in `index.json`.
pub(super) fn check(descriptor: &Descriptor, place: &Place, is_entry: bool, sink: &mut Sink<'_>) {
    let Descriptor { media_type, digest, urls, annotations: notes, platform, .. } = descriptor;
    if let Err(error) = descriptor.embedded() {
        sink.find(Code::DataMismatch, place.part("data"), error.to_string());
    }
    let is_empty = *digest == Digest::sha256(b"{}") || *digest == Digest::sha512(b"{}");
    if *media_type == MediaType::OCI_EMPTY && !(is_empty && descriptor.size == 2) {
        let message = format!("it names {digest} with {} bytes", descriptor.size);
        sink.find(Code::EmptyDescriptorWrong, place.clone(), message);
    }
    if media_type.is_nondistributable() || media_type.is_artifact_manifest() {
        sink.find(Code::MediaTypeDeprecated, place.clone(), format!("{media_type} is not for new content"));
    }
    if media_type.is_document() && media_type.to_oci().is_some() {
        sink.find(Code::DockerMediaType, place.clone(), media_type.to_string());
    }
    for (number, url) in urls.iter().enumerate().filter(|(_, url)| !is_web_url(url)) {
        sink.find(Code::UrlInvalid, place.part(format!("urls[{number}]")), quote(url));
    }
    annotations(notes, place, sink);
    if !is_entry && let Some(name) = notes.get(REF_NAME) {
        sink.find(Code::NameNested, place.part("annotations"), format!("{} is no tag here", quote(name)));
    }
    if let Some(platform) = platform {
        self::platform(platform, place, sink);
    }
}

/// Looks at annotations of a descriptor or a document.
pub(super) fn annotations(annotations: &Annotations, place: &Place, sink: &mut Sink<'_>) {
    for key in annotations.keys().filter(|key| is_undefined_reserved(key)) {
        sink.find(
            Code::AnnotationReserved,
            place.part("annotations"),
            format!("{} is not defined", quote(key)),
        );
    }
    if let Some(created) = annotations.get(CREATED).filter(|created| !is_rfc3339(created)) {
        sink.find(Code::AnnotationTime, place.part("annotations"), quote(created));
    }
}

/// Looks at a platform's words (IMG-78, IMG-81).
pub(super) fn platform(platform: &Platform, place: &Place, sink: &mut Sink<'_>) {
    let attestation = platform.os == "unknown" && platform.architecture == "unknown";
    let (os, processor) = (platform.os.as_str(), platform.architecture.as_str());
    if attestation || SYSTEMS.contains(&os) && PROCESSORS.contains(&processor) {
        return;
    }
    sink.find(Code::PlatformUnknown, place.part("platform"), quote(&format!("{os}/{processor}")));
}

/// Whether content that has one type in one place cannot also be what its other type says.
pub(super) fn conflict(descriptor: &Descriptor, other: &MediaType) -> bool {
    let oci = |media_type: &MediaType| media_type.to_oci().unwrap_or_else(|| media_type.clone());
    let (one, other) = (oci(&descriptor.media_type), oci(other));
    // `{}` serves as many things, and what is any bytes is also what it is.
    one != other
        && descriptor.size > 2
        && ![&one, &other].contains(&&MediaType::OCTET_STREAM)
        && (one.is_document() || other.is_document() || one.is_layer() && other.is_layer())
}

/// Whether a text is an absolute URL of the web (IMG-34).
fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_34_case_d14_urls_lead_to_the_web() {
        for good in ["https://e.com/x", "http://e.com:80/?a=b%20c", "https://[::1]/"] {
            assert!(is_web_url(good), "{good}");
        }
        for bad in
            ["value", "file:///etc/passwd", "https://", "https:///x", "https://e.com/a b", "ftp://e.com", ""]
        {
            assert!(!is_web_url(bad), "{bad}");
        }
    }
}
