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
    for (number, url) in urls.iter().enumerate() {
        if let Some(code) = wrong_url(url) {
            sink.find(code, place.part(format!("urls[{number}]")), quote(url));
        }
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
    for key in annotations.keys().filter(|key| !key.contains('.')) {
        sink.find(Code::AnnotationKey, place.part("annotations"), quote(key));
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

/// What is wrong with a URL, if anything is (IMG-34).
fn wrong_url(text: &str) -> Option<Code> {
    let is_word = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_word(scheme)) else {
        return Some(Code::UrlInvalid);
    };
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_whole = if is_web { host.is_some_and(|host| !host.is_empty()) } else { !rest.is_empty() };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    match is_whole && is_plain {
        false => Some(Code::UrlInvalid),
        true => (!is_web).then_some(Code::UrlScheme),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_34_case_d14_urls_lead_to_the_web() {
        for good in ["https://e.com/x", "HTTP://e.com:80/?a=b%20c", "https://[::1]/"] {
            assert_eq!(wrong_url(good), None, "{good}");
        }
        for elsewhere in ["file:///etc/passwd", "ftp://e.com", "urn:x"] {
            assert_eq!(wrong_url(elsewhere), Some(Code::UrlScheme), "{elsewhere}");
        }
        for bad in ["value", "/x", "https://", "https:x", "https:///x", "https://e.com/a b", "1a:b", "x:", ""]
        {
            assert_eq!(wrong_url(bad), Some(Code::UrlInvalid), "{bad}");
        }
    }
}
