//! What an error means, shared by every crate of the workspace.
//!
//! Each crate has its own `Error` enum; each of its variants maps to one [`Kind`], and each kind to one exit code of
//! the command line. Programs branch on the kind, people read the message.

/// The meaning of an error, one to one with the exit codes of the `transship` command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A fault of transship itself.
    Unexpected,
    /// The request makes no sense as it was put.
    Usage,
    /// The thing named is not there.
    NotFound,
    /// Content is malformed, incomplete, unsafe, or does not match its digest or size.
    Invalid,
    /// The other side refused: credentials or rights are missing.
    Denied,
    /// The network or the registry failed in a way that another try may mend.
    Network,
    /// Local storage failed: space, permission, read-only, I/O.
    Storage,
    /// A policy or a signature says no.
    Policy,
    /// A limit on size, depth or count was exceeded.
    Limit,
    /// Some items were done and some failed.
    Partial,
    /// Another process holds the lock.
    Busy,
    /// Well-formed, but not something that this build can do.
    Unsupported,
    /// The user or the system asked the program to stop.
    Interrupted,
}

impl Kind {
    /// The exit code of a command that ends with this kind of error.
    ///
    /// ```
    /// use transship_spec::Kind;
    /// assert_eq!(Kind::Invalid.exit_code(), 4);
    /// ```
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Invalid => 4,
            Self::Denied => 5,
            Self::Network => 6,
            Self::Storage => 7,
            Self::Policy => 8,
            Self::Limit => 9,
            Self::Partial => 10,
            Self::Busy => 11,
            Self::Unsupported => 12,
            Self::Interrupted => 130,
        }
    }

    /// The word that stands for this kind in JSON output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Policy => "policy",
            Self::Limit => "limit",
            Self::Partial => "partial",
            Self::Busy => "busy",
            Self::Unsupported => "unsupported",
            Self::Interrupted => "interrupted",
        }
    }

    /// The kind that an error of the operating system has when it strikes local storage.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => Self::NotFound,
            Io::WouldBlock => Self::Busy,
            Io::InvalidData | Io::UnexpectedEof => Self::Invalid,
            Io::Unsupported => Self::Unsupported,
            Io::Interrupted => Self::Interrupted,
            _ => Self::Storage,
        }
    }
}
