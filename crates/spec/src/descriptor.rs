//! Descriptors: what points at content (IMG-30…40).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::platform::Extra;
use crate::{Annotations, Digest, Error, MediaType, Platform};

/// A pointer to content: its type, digest and size, with what else is known.
///
/// Unknown fields are kept as they were written (IMG-40). Writing puts the fields in the order in which the OCI's own
/// types write them, so that the same descriptor is always the same bytes.
///
/// ```
/// use transship_spec::{Descriptor, Digest, MediaType};
///
/// let text = r#"{"mediaType":"text/plain","digest":"foo:abc","size":3,"mood":[1]}"#;
/// let descriptor: Descriptor = serde_json::from_str(text)?;
/// assert_eq!(descriptor.media_type.as_str(), "text/plain");
/// assert_eq!(serde_json::to_string(&descriptor)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes, at most 2⁶³−1.
    pub size: u64,
    /// Where else the content can be fetched.
    pub urls: Vec<String>,
    /// Annotations of the descriptor itself.
    pub annotations: Annotations,
    /// The content itself, where it is embedded (IMG-36). Not checked against `digest`; see
    /// [`Descriptor::embedded`].
    pub data: Option<Vec<u8>>,
    /// The platform of the image pointed at.
    pub platform: Option<Platform>,
    /// The type of the artifact pointed at.
    pub artifact_type: Option<MediaType>,
    /// Fields that this version of the specification does not know.
    pub extra: Extra,
}

impl Descriptor {
    /// A descriptor with the three fields that each must have.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: Extra::new(),
        }
    }

    /// A descriptor of these bytes, by SHA-256.
    #[must_use]
    pub fn of(media_type: MediaType, content: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(content), content.len() as u64)
    }

    /// The empty descriptor (IMG-65), with its content `{}` embedded. Registries want the blob all the same.
    #[must_use]
    pub fn empty() -> Self {
        Self { data: Some(b"{}".to_vec()), ..Self::of(MediaType::OCI_EMPTY, b"{}") }
    }

    /// The embedded content, once it was found to match digest and size (IMG-36).
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] or [`Error::DigestMismatch`]: the descriptor contradicts itself, which is corruption
    /// and no reason to fetch the blob instead.
    pub fn embedded(&self) -> Result<Option<&[u8]>, Error> {
        let Some(data) = &self.data else { return Ok(None) };
        let mut verifier = crate::Verifier::new(&self.digest, Some(self.size));
        verifier.update(data)?;
        verifier.finish()?;
        Ok(Some(data))
    }

    /// Whether both point at the same content as the same type.
    #[must_use]
    pub fn is_same_content(&self, other: &Self) -> bool {
        (&self.digest, self.size, &self.media_type) == (&other.digest, other.size, &other.media_type)
    }

    /// This descriptor without annotations, embedded data, and unknown fields: what may be carried into another
    /// document.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            platform: self.platform.clone(),
            artifact_type: self.artifact_type.clone(),
            ..Self::new(self.media_type.clone(), self.digest.clone(), self.size)
        }
    }
}

impl PartialEq for Descriptor {
    /// Equal in everything, unknown fields by their text.
    fn eq(&self, other: &Self) -> bool {
        let extra =
            |d: &Self| d.extra.iter().map(|(k, v)| (k.clone(), v.get().to_owned())).collect::<Vec<_>>();
        self.is_same_content(other)
            && (&self.urls, &self.annotations, &self.data, &self.platform, &self.artifact_type)
                == (&other.urls, &other.annotations, &other.data, &other.platform, &other.artifact_type)
            && extra(self) == extra(other)
    }
}

impl Eq for Descriptor {}

impl fmt::Display for Descriptor {
    /// The digest; what people and messages need.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest.fmt(f)
    }
}

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mediaType", &self.media_type)?;
        map.serialize_entry("digest", &self.digest)?;
        map.serialize_entry("size", &self.size)?;
        if !self.urls.is_empty() {
            map.serialize_entry("urls", &self.urls)?;
        }
        if !self.annotations.is_empty() {
            map.serialize_entry("annotations", &self.annotations)?;
        }
        if let Some(data) = &self.data {
            map.serialize_entry("data", &STANDARD.encode(data))?;
        }
        if let Some(platform) = &self.platform {
            map.serialize_entry("platform", platform)?;
        }
        if let Some(artifact_type) = &self.artifact_type {
            map.serialize_entry("artifactType", artifact_type)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Descriptor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a descriptor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        let (mut media_type, mut digest, mut size) = (None, None, None);
        let (mut urls, mut annotations, mut data) = (None, None, None::<String>);
        let (mut platform, mut artifact_type, mut extra) = (None, None, Extra::new());
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "mediaType" => media_type = Some(map.next_value()?),
                "digest" => digest = Some(map.next_value()?),
                "size" => size = Some(map.next_value::<u64>()?),
                "urls" => urls = map.next_value()?,
                "annotations" => annotations = map.next_value()?,
                "data" => data = map.next_value()?,
                "platform" => platform = map.next_value()?,
                "artifactType" => artifact_type = map.next_value()?,
                _ => drop(extra.insert(name, map.next_value()?)),
            }
        }
        let size = size.ok_or_else(|| A::Error::missing_field("size"))?;
        if size > i64::MAX as u64 {
            return Err(A::Error::custom("size does not fit in 63 bits"));
        }
        let decode =
            |text: String| STANDARD.decode(text).map_err(|_| A::Error::custom("data is not padded base64"));
        Ok(Descriptor {
            media_type: media_type.ok_or_else(|| A::Error::missing_field("mediaType"))?,
            digest: digest.ok_or_else(|| A::Error::missing_field("digest"))?,
            size,
            urls: urls.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
            data: data.map(decode).transpose()?,
            platform,
            artifact_type,
            extra,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Descriptor, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn with(field: &str) -> String {
        format!(r#"{{"mediaType":"a/b","digest":"foo:abc",{field}}}"#)
    }

    #[test]
    fn img_32_the_size_is_a_whole_number_that_is_not_negative() {
        for good in ["0", "7682", "9223372036854775807"] {
            assert!(read(&with(&format!("\"size\":{good}"))).is_ok(), "{good}");
        }
        for bad in ["\"7682\"", "-1", "1.5", "1e3", "18446744073709551616", "9223372036854775808", "null"] {
            assert!(read(&with(&format!("\"size\":{bad}"))).is_err(), "{bad}");
        }
    }

    #[test]
    fn img_30_31_32_each_required_field_is_missed() {
        for missing in [
            r#"{"digest":"foo:abc","size":1}"#,
            r#"{"mediaType":"a/b","size":1}"#,
            r#"{"mediaType":"a/b","digest":"foo:abc"}"#,
        ] {
            assert!(read(missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn img_36_embedded_data_is_checked_against_digest_and_size() {
        let empty = Descriptor::empty();
        assert_eq!(empty.embedded().unwrap(), Some(&b"{}"[..]));
        let wrong = Descriptor { data: Some(b"{ }".to_vec()), ..empty.clone() };
        assert!(wrong.embedded().is_err());
        let flipped = Descriptor { data: Some(b"[]".to_vec()), ..empty };
        assert!(flipped.embedded().is_err());
        assert!(read(&with(r#""size":2,"data":"e30""#)).is_err(), "padding is required");
    }

    #[test]
    fn img_65_the_empty_descriptor_is_the_one_in_the_specification() {
        assert_eq!(
            serde_json::to_string(&Descriptor::empty()).unwrap(),
            "{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\
             \"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,\"data\":\"e30=\"}"
        );
    }

    #[test]
    fn img_35_annotations_map_texts_to_texts() {
        assert!(read(&with(r#""size":1,"annotations":{"a":""}"#)).is_ok());
        assert!(read(&with(r#""size":1,"annotations":null"#)).is_ok());
        for bad in [r#"{"a":1}"#, r#"{"a":null}"#, "[]"] {
            assert!(read(&with(&format!(r#""size":1,"annotations":{bad}"#))).is_err(), "{bad}");
        }
    }

    #[test]
    fn img_38_an_ill_formed_artifact_type_is_refused() {
        assert!(read(&with(r#""size":1,"artifactType":"foo/.bar""#)).is_err());
        assert!(read(&with(r#""size":1,"artifactType":"foo/bar""#)).is_ok());
    }

    #[test]
    fn img_34_40_every_field_known_or_not_survives_a_round_trip() {
        let text = r#"{"mediaType":"a/b","digest":"foo:abc","size":1,"urls":["https://e.com/x"],"annotations":{"a":"b"},"data":"eA==","platform":{"architecture":"arm","os":"linux","variant":"v7"},"artifactType":"c/d","foo":{"z":1.0,"a":[ 1e2 ]}}"#;
        let descriptor = read(text).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), text);
        assert_eq!(descriptor, read(text).unwrap());
    }
}
