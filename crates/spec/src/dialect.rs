//! Media types of the OCI and of Docker: one content, two ways to call it (IMG-157).

use crate::splice::Object;
use crate::{Error, MediaType};

/// Whose media types something has.
///
/// The content is the same in both: only what it is called differs, and so do the digests of whatever names it.
///
/// ```
/// use transship_spec::{Dialect, MediaType};
///
/// assert_eq!(Dialect::of(&MediaType::DOCKER_LIST), Dialect::Docker);
/// assert_eq!(Dialect::Oci.type_for(&MediaType::DOCKER_LIST), Some(MediaType::OCI_INDEX));
/// assert_eq!(Dialect::Docker.type_for(&MediaType::OCI_LAYER_ZSTD), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// The OCI's, and whatever nobody here knows.
    Oci,
    /// Docker's, second schema: no layers in zstd, no annotations, and no artifacts.
    Docker,
}

impl Dialect {
    /// What it is called on the command line and in files: `oci` or `docker`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Docker => "docker",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Oci, Self::Docker].into_iter().find(|dialect| dialect.name() == name)
    }

    /// Whose a media type is. Types that are not Docker's twin of another are the OCI's, which carries all.
    #[must_use]
    pub fn of(media_type: &MediaType) -> Self {
        if media_type.to_oci().is_some() { Self::Docker } else { Self::Oci }
    }

    /// What the same content is called in this dialect. The OCI's has a word for everything, since it carries what it does
    /// not know; Docker's has none for what is not its own.
    #[must_use]
    pub fn type_for(self, media_type: &MediaType) -> Option<MediaType> {
        match self {
            Self::Oci => Some(media_type.to_oci().unwrap_or_else(|| media_type.clone())),
            Self::Docker if Self::of(media_type) == Self::Docker => Some(media_type.clone()),
            Self::Docker => media_type.to_docker(),
        }
    }
}

/// Calls a document what it is now; the OCI's need not say it themselves (IMG-51), and Docker's must.
///
/// # Errors
/// None in practice: the text was found to be an object.
pub fn retype(document: &mut Object, was: &MediaType, is: &MediaType) -> Result<(), Error> {
    let says = document.get("mediaType")?.is_some();
    if was != is && (says || Dialect::of(is) == Dialect::Docker) {
        document.set("mediaType", is)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_157_every_type_of_dockers_has_a_name_in_the_ocis_and_unknown_ones_keep_theirs() {
        let unknown = MediaType::parse("a/b").unwrap();
        assert_eq!(Dialect::Oci.type_for(&unknown), Some(unknown.clone()));
        assert_eq!(Dialect::Docker.type_for(&unknown), None);
        assert_eq!(Dialect::Oci.type_for(&MediaType::DOCKER_LAYER_ZSTD), Some(MediaType::OCI_LAYER_ZSTD));
        for kept in [MediaType::DOCKER_LAYER_ZSTD, MediaType::DOCKER_FOREIGN_TAR] {
            assert_eq!(Dialect::Docker.type_for(&kept), Some(kept.clone()), "{kept}");
        }
        assert_eq!(
            Dialect::Docker.type_for(&MediaType::OCI_NONDISTRIBUTABLE_TAR),
            Some(MediaType::DOCKER_FOREIGN_TAR)
        );
    }

    #[test]
    fn img_51_a_document_of_dockers_says_what_it_is_and_one_of_the_ocis_goes_on_to_say_nothing() {
        let (oci, docker) = (&MediaType::OCI_MANIFEST, &MediaType::DOCKER_MANIFEST);
        for (text, was, is, new) in [
            (r#"{"a":1}"#, oci, docker, format!(r#"{{"a":1,"mediaType":"{docker}"}}"#)),
            (r#"{"a":1}"#, docker, oci, r#"{"a":1}"#.to_owned()),
            (r#"{ "mediaType": "x" }"#, docker, oci, format!(r#"{{ "mediaType": "{oci}" }}"#)),
            (r#"{ "mediaType": "x" }"#, oci, oci, r#"{ "mediaType": "x" }"#.to_owned()),
        ] {
            let mut object = Object::new(text).unwrap();
            retype(&mut object, was, is).unwrap();
            assert_eq!(object.text(), new);
        }
    }
}
