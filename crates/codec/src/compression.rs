//! The compressions that a layer may have (IMG-110).

use std::fmt;
use std::str::FromStr;

use transship_spec::MediaType;

use crate::Error;

/// How a layer is compressed.
///
/// ```
/// use transship_codec::Compression;
///
/// let zstd: Compression = "zstd".parse()?;
/// assert_eq!(Compression::from_media_type(&zstd.layer_media_type()), Some(zstd));
/// # Ok::<(), transship_codec::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all: a plain tar.
    None,
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The compression that a layer of this media type has, for the types of OCI and Docker.
    ///
    /// Any other type says nothing, even one that ends in `+gzip`: [`detect`](crate::detect) looks at the bytes.
    #[must_use]
    pub fn from_media_type(media_type: &MediaType) -> Option<Self> {
        let oci = media_type.to_oci();
        let media_type = oci.as_ref().unwrap_or(media_type);
        let is = |one: MediaType, other: MediaType| *media_type == one || *media_type == other;
        if is(MediaType::OCI_LAYER_TAR, MediaType::OCI_NONDISTRIBUTABLE_TAR) {
            Some(Self::None)
        } else if is(MediaType::OCI_LAYER_GZIP, MediaType::OCI_NONDISTRIBUTABLE_GZIP) {
            Some(Self::Gzip)
        } else if is(MediaType::OCI_LAYER_ZSTD, MediaType::OCI_NONDISTRIBUTABLE_ZSTD) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// The OCI media type of a layer compressed so.
    #[must_use]
    pub fn layer_media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::OCI_LAYER_TAR,
            Self::Gzip => MediaType::OCI_LAYER_GZIP,
            Self::Zstd => MediaType::OCI_LAYER_ZSTD,
        }
    }

    /// The word for it: `none`, `gzip` or `zstd`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build can read and write it: zstd needs the feature of that name.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        cfg!(feature = "zstd") || !matches!(self, Self::Zstd)
    }

    /// The level taken when none is given; zero where there are no levels.
    #[must_use]
    pub const fn default_level(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Gzip => crate::gzip::DEFAULT_LEVEL,
            Self::Zstd => crate::zstd::DEFAULT_LEVEL,
        }
    }

    /// The level that stands for `level`, when there is such a one.
    ///
    /// The levels of zstd beyond 19 are left out: their windows take more memory than a reader may be asked for.
    ///
    /// # Errors
    /// [`Error::Level`] when gzip is asked for another than 1 to 9, zstd for another than 1 to 19, or none for any.
    pub fn checked_level(self, level: Option<i32>) -> Result<i32, Error> {
        let (least, most) = match self {
            Self::None => (0, 0),
            Self::Gzip => (1, 9),
            Self::Zstd => (1, 19),
        };
        let level = level.unwrap_or(self.default_level());
        if (least..=most).contains(&level) {
            Ok(level)
        } else {
            Err(Error::Level { compression: self, level, least, most })
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Reads the word of [`Compression::name`]; any other is [`Error::Unsupported`].
    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::None, Self::Gzip, Self::Zstd]
            .into_iter()
            .find(|compression| compression.name() == text)
            .ok_or_else(|| Error::Unsupported(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_110_layer_types_of_oci_and_docker_tell_their_compression() {
        for (media_type, compression) in [
            (MediaType::OCI_LAYER_TAR, Compression::None),
            (MediaType::OCI_LAYER_GZIP, Compression::Gzip),
            (MediaType::OCI_LAYER_ZSTD, Compression::Zstd),
            (MediaType::OCI_NONDISTRIBUTABLE_TAR, Compression::None),
            (MediaType::OCI_NONDISTRIBUTABLE_GZIP, Compression::Gzip),
            (MediaType::OCI_NONDISTRIBUTABLE_ZSTD, Compression::Zstd),
            (MediaType::DOCKER_LAYER_TAR, Compression::None),
            (MediaType::DOCKER_LAYER_GZIP, Compression::Gzip),
            (MediaType::DOCKER_FOREIGN_GZIP, Compression::Gzip),
        ] {
            assert_eq!(Compression::from_media_type(&media_type), Some(compression), "{media_type}");
        }
        assert_eq!(Compression::from_media_type(&MediaType::OCI_CONFIG), None);
        assert_eq!(Compression::from_media_type(&MediaType::OCTET_STREAM), None);
    }

    #[test]
    fn words_lead_there_and_back() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(compression.to_string().parse::<Compression>().unwrap(), compression);
            assert_eq!(Compression::from_media_type(&compression.layer_media_type()), Some(compression));
        }
        assert!(matches!("xz".parse::<Compression>(), Err(Error::Unsupported(_))));
        assert!("GZIP".parse::<Compression>().is_err());
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_with_those_that_do() {
        assert_eq!(Compression::Zstd.checked_level(None).unwrap(), 3);
        assert_eq!(Compression::Gzip.checked_level(Some(9)).unwrap(), 9);
        let error = Compression::Gzip.checked_level(Some(0)).unwrap_err();
        assert_eq!(error.to_string(), "gzip has no level 0; its levels are 1 to 9");
        assert!(Compression::Zstd.checked_level(Some(20)).is_err());
        assert!(Compression::None.checked_level(Some(6)).is_err());
    }
}
