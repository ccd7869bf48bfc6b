//! The one error of this crate: why a server could not be set up. What a client does wrong is answered, not returned.

use std::io;
use std::net::SocketAddr;

use transship_spec::{Kind, quote};

/// An error of whoever answers requests; see [`Answer`](crate::Answer).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a server cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was given to be served.
    #[error("there is no layout to serve")]
    NothingToServe,
    /// A name is not that of a repository (DIST-01).
    #[error("{} cannot be the name of a repository: {reason}", quote(name))]
    Name {
        /// The name as it came.
        name: String,
        /// The rule it breaks, with the remedy.
        reason: &'static str,
    },
    /// A layout cannot be read, or not be written where it should be.
    #[error("{0}")]
    Layout(#[from] transship_layout::Error),
    /// A line of the file of passwords cannot be used.
    #[error("line {line} of the passwords cannot be used: {reason}")]
    Passwords {
        /// Which line, counted from one.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NothingToServe | Self::Name { .. } | Self::Passwords { .. } => Kind::Usage,
            Self::Layout(error) => error.kind(),
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Kind::Busy,
                io::ErrorKind::PermissionDenied => Kind::Denied,
                io::ErrorKind::AddrNotAvailable => Kind::Usage,
                _ => Kind::Network,
            },
        }
    }
}
