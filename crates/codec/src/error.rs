//! The one error of this crate, and its way through [`std::io`].

use std::io;
use std::sync::Arc;

use transship_spec::{Kind, quote};

use crate::Compression;

/// Why a stream could not be decoded or encoded.
///
/// [`Read`](io::Read) and [`Write`](io::Write) can only return an [`io::Error`]: there it travels inside, and
/// [`Error::from_io`] finds it again. Errors of the reader or the sink underneath pass through untouched.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream ends before its own end mark.
    #[error("the {format} stream ends early, after {offset} bytes")]
    Truncated {
        /// What the stream is.
        format: Compression,
        /// Compressed bytes that were there.
        offset: u64,
    },
    /// The stream breaks the rules of its format.
    #[error("corrupt {format} stream near byte {offset}: {reason}")]
    Corrupt {
        /// What the stream should be.
        format: Compression,
        /// Compressed bytes read so far.
        offset: u64,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A limit of [`Limits`](crate::Limits) was reached.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What grew too large, with its unit.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A compression that this crate, or this build of it, does not know.
    #[error("unsupported compression {}", quote(.0))]
    Unsupported(String),
    /// A level that the compression does not have.
    #[error("{compression} has no level {level}; its levels are {least} to {most}")]
    Level {
        /// The compression asked for.
        compression: Compression,
        /// The level asked for.
        level: i32,
        /// The lowest level there is.
        least: i32,
        /// The highest level there is.
        most: i32,
    },
    /// The encoder failed, or a worker of it died, or it is used after that.
    #[error("the {format} encoder failed: {reason}")]
    Encoder {
        /// What was to be written.
        format: Compression,
        /// What happened.
        reason: &'static str,
    },
    /// The reader or the sink underneath failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
}

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Truncated { .. } | Self::Corrupt { .. } => Kind::Invalid,
            Self::Limit { .. } => Kind::Limit,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::Level { .. } => Kind::Usage,
            Self::Encoder { .. } => Kind::Unexpected,
            Self::Io(error) => Kind::of_io(error),
        }
    }

    /// The error of this crate that an [`io::Error`] carries, if it carries one.
    ///
    /// ```
    /// use std::io::Read;
    /// use transship_codec::{Compression, Decoder, Error, Limits};
    ///
    /// let mut decoder = Decoder::new(&b"\x1f\x8b"[..], Compression::Gzip, Limits::default())?;
    /// let error = decoder.read(&mut [0; 8]).unwrap_err();
    /// assert!(matches!(Error::from_io(&error), Some(Error::Truncated { offset: 2, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Self::Corrupt { .. } => io::ErrorKind::InvalidData,
            Self::Unsupported(_) => io::ErrorKind::Unsupported,
            Self::Level { .. } => io::ErrorKind::InvalidInput,
            Self::Limit { .. } | Self::Encoder { .. } => io::ErrorKind::Other,
            Self::Io(error) => error.kind(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(inner) => {
                Arc::try_unwrap(inner).unwrap_or_else(|shared| Self::new(shared.kind(), Error::Io(shared)))
            }
            other => Self::new(other.io_kind(), other),
        }
    }
}

impl From<io::Error> for Error {
    /// Takes an error of this crate out again; any other becomes [`Error::Io`].
    fn from(error: io::Error) -> Self {
        match Self::from_io(&error) {
            Some(own) => own.clone(),
            None => Self::Io(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_io() {
        let error = Error::Limit { what: "decompressed bytes", limit: 7 };
        let carried = io::Error::from(error);
        assert_eq!(Error::from_io(&carried).map(Error::kind), Some(Kind::Limit));
        assert_eq!(Error::from(carried).to_string(), "decompressed bytes exceeds the limit of 7");
    }

    #[test]
    fn a_foreign_io_error_stays_what_it_was() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::from(full);
        assert_eq!(error.kind(), Kind::Storage);
        let back = io::Error::from(error);
        assert_eq!(back.kind(), io::ErrorKind::StorageFull);
        assert!(Error::from_io(&back).is_none());
    }

    #[test]
    fn every_meaning_has_its_kind() {
        let format = Compression::Gzip;
        assert_eq!(Error::Truncated { format, offset: 1 }.kind(), Kind::Invalid);
        assert_eq!(Error::Unsupported("xz".to_owned()).kind(), Kind::Unsupported);
        assert_eq!(Error::Encoder { format, reason: "" }.kind(), Kind::Unexpected);
        assert_eq!(Error::Level { compression: format, level: 0, least: 1, most: 9 }.kind(), Kind::Usage);
    }
}
