//! Conversions from and to the types of the crate `oci-spec`, for programs that speak in those (feature `oci-spec`).
//!
//! They are a currency at the edge and never the path that bytes take: those types drop unknown fields, and write the keys
//! of a platform's `os.version` and `os.features` in another way than the specification.

use oci_spec::image as oci;

use crate::{Descriptor, Digest, Error, MediaType, Platform};

impl From<&MediaType> for oci::MediaType {
    fn from(media_type: &MediaType) -> Self {
        Self::from(media_type.as_str())
    }
}

impl TryFrom<&oci::MediaType> for MediaType {
    type Error = Error;
    fn try_from(media_type: &oci::MediaType) -> Result<Self, Error> {
        Self::parse(media_type.as_ref())
    }
}

impl TryFrom<&Digest> for oci::Digest {
    type Error = Error;
    /// A digest that `oci-spec` does not take is unsupported there.
    fn try_from(digest: &Digest) -> Result<Self, Error> {
        digest
            .to_string()
            .parse()
            .map_err(|error: oci_spec::OciSpecError| Error::Unsupported(error.to_string()))
    }
}

impl TryFrom<&oci::Digest> for Digest {
    type Error = Error;
    fn try_from(digest: &oci::Digest) -> Result<Self, Error> {
        Self::parse(digest.as_ref())
    }
}

impl From<&Platform> for oci::Platform {
    fn from(platform: &Platform) -> Self {
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let mut converted = Self::default();
        converted
            .set_architecture(platform.architecture.as_str().into())
            .set_os(platform.os.as_str().into())
            .set_os_version(platform.os_version.clone())
            .set_os_features(list(&platform.os_features))
            .set_variant(platform.variant.clone())
            .set_features(list(&platform.features));
        converted
    }
}

impl From<&oci::Platform> for Platform {
    fn from(platform: &oci::Platform) -> Self {
        Self {
            architecture: platform.architecture().to_string(),
            os: platform.os().to_string(),
            os_version: platform.os_version().clone(),
            os_features: platform.os_features().clone().unwrap_or_default(),
            variant: platform.variant().clone(),
            features: platform.features().clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<&Descriptor> for oci::Descriptor {
    type Error = Error;
    /// Unknown fields have no place there, and are left out.
    fn try_from(descriptor: &Descriptor) -> Result<Self, Error> {
        use base64::Engine as _;
        let digest: oci::Digest = (&descriptor.digest).try_into()?;
        let mut converted = Self::new((&descriptor.media_type).into(), descriptor.size, digest);
        let annotations = descriptor.annotations.clone().into_iter().collect();
        let encode = |data: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(data);
        converted
            .set_urls((!descriptor.urls.is_empty()).then(|| descriptor.urls.clone()))
            .set_annotations((!descriptor.annotations.is_empty()).then_some(annotations))
            .set_platform(descriptor.platform.as_ref().map(Into::into))
            .set_artifact_type(descriptor.artifact_type.as_ref().map(Into::into))
            .set_data(descriptor.data.as_ref().map(encode));
        Ok(converted)
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = Error;
    fn try_from(descriptor: &oci::Descriptor) -> Result<Self, Error> {
        use base64::Engine as _;
        let refuse = |reason: &str| Error::Document { what: "descriptor", reason: reason.to_owned() };
        let decode = |data: &String| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(data);
            decoded.map_err(|_| refuse("data is not padded base64"))
        };
        let size = Some(descriptor.size()).filter(|size| i64::try_from(*size).is_ok());
        Ok(Self {
            urls: descriptor.urls().clone().unwrap_or_default(),
            annotations: descriptor.annotations().clone().unwrap_or_default().into_iter().collect(),
            platform: descriptor.platform().as_ref().map(Into::into),
            artifact_type: descriptor.artifact_type().as_ref().map(TryInto::try_into).transpose()?,
            data: descriptor.data().as_ref().map(decode).transpose()?,
            ..Self::new(
                descriptor.media_type().try_into()?,
                descriptor.digest().try_into()?,
                size.ok_or_else(|| refuse("size does not fit in 63 bits"))?,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations;

    #[test]
    fn img_155_img_169_names_are_spelled_as_in_the_other_crate() {
        for (ours, theirs) in [
            (MediaType::OCI_INDEX, oci::MediaType::ImageIndex),
            (MediaType::OCI_MANIFEST, oci::MediaType::ImageManifest),
            (MediaType::OCI_CONFIG, oci::MediaType::ImageConfig),
            (MediaType::OCI_EMPTY, oci::MediaType::EmptyJSON),
            (MediaType::OCI_LAYER_TAR, oci::MediaType::ImageLayer),
            (MediaType::OCI_LAYER_GZIP, oci::MediaType::ImageLayerGzip),
            (MediaType::OCI_LAYER_ZSTD, oci::MediaType::ImageLayerZstd),
        ] {
            assert_eq!(oci::MediaType::from(&ours), theirs);
            assert_eq!(MediaType::try_from(&theirs).unwrap(), ours);
        }
        for (ours, theirs) in [
            (annotations::REF_NAME, oci::ANNOTATION_REF_NAME),
            (annotations::CREATED, oci::ANNOTATION_CREATED),
            (annotations::TITLE, oci::ANNOTATION_TITLE),
            (annotations::BASE_DIGEST, oci::ANNOTATION_BASE_IMAGE_DIGEST),
            (annotations::BASE_NAME, oci::ANNOTATION_BASE_IMAGE_NAME),
        ] {
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn a_descriptor_comes_back_as_it_went() {
        let windows = Platform { os_version: Some("10.0.1".to_owned()), ..Platform::new("windows", "amd64") };
        let descriptor = Descriptor {
            urls: vec!["https://e.com/x".to_owned()],
            annotations: [("a".to_owned(), "b".to_owned())].into(),
            platform: Some(Platform { os_features: vec!["win32k".to_owned()], ..windows }),
            artifact_type: Some(MediaType::OCTET_STREAM),
            ..Descriptor::empty()
        };
        let theirs = oci::Descriptor::try_from(&descriptor).unwrap();
        assert_eq!(Descriptor::try_from(&theirs).unwrap(), descriptor);
    }
}
