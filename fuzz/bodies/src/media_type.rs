//! Media types, with what is told by them, and names of annotations.

use transship_codec::Compression;
use transship_spec::{MediaType, annotations};

/// The body.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(media_type) = MediaType::parse(text) {
        assert_eq!(media_type.as_str(), text);
        assert_eq!(MediaType::parse_content_type(text).as_ref(), Ok(&media_type));
        known(&media_type);
    }
    if let Ok(media_type) = MediaType::parse_content_type(text) {
        assert_eq!(MediaType::parse_content_type(media_type.as_str()), Ok(media_type.clone()));
        assert!(MediaType::parse(media_type.as_str()).is_ok());
    }
    if annotations::is_undefined_reserved(text) {
        assert!(text.starts_with("org.opencontainers."));
    }
    if annotations::is_ref_name(text) {
        assert!(text.is_ascii() && !text.is_empty());
    }
}

fn known(media_type: &MediaType) {
    if let Some(docker) = media_type.to_docker() {
        assert_eq!(docker.to_oci().as_ref(), Some(media_type));
        assert_eq!(docker.is_index(), media_type.is_index());
        assert_eq!(docker.is_manifest(), media_type.is_manifest());
        assert_eq!(docker.is_layer(), media_type.is_layer());
    }
    if media_type.is_index() || media_type.is_manifest() {
        assert!(media_type.is_document() && !media_type.is_layer());
    }
    if let Some(compression) = Compression::from_media_type(media_type) {
        let layer = compression.layer_media_type();
        assert_eq!(Compression::from_media_type(&layer), Some(compression));
    }
}
