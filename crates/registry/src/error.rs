//! The one error of this crate: what went wrong between us and a registry.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use transship_spec::{Kind, MediaType};

use crate::refused;

/// The error of a [`BlobSource`](crate::BlobSource), or any other error that is passed through.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One request that failed, as far as it may be shown: URLs are redacted, texts of the server are made harmless.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The method: `GET`, `PUT` …
    pub method: String,
    /// The URL without user information; values of query parameters that may be secret are `***`.
    pub url: String,
    /// Host and port that were asked, which a redirect may have changed.
    pub host: String,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// The codes of the answer's body (DIST-100), such as `MANIFEST_UNKNOWN`.
    pub codes: Vec<String>,
    /// The first part of what the server said, at most 2,048 characters.
    pub message: String,
    /// How many times the request was sent.
    pub tries: u32,
    /// What was sent, as far as that tells what a refusal means.
    pub(crate) sent: Sent,
}

/// What a request carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing, or what does not matter.
    #[default]
    Other,
    /// A manifest of the media type that it calls itself, if it does.
    Manifest(Option<MediaType>),
}

impl Exchange {
    /// Whether the server's answer holds the error code `code` (DIST-100).
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|have| have == code)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        if let Some(status) = self.status {
            write!(f, " answered {status}")?;
            let status = http::StatusCode::from_u16(status).ok();
            if let Some(reason) = status.and_then(|status| status.canonical_reason()) {
                write!(f, " {reason}")?;
            }
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if self.tries > 1 {
            write!(f, " (after {} tries)", self.tries)?;
        }
        Ok(())
    }
}

/// Why a registry could not be used.
///
/// Every variant is a meaning; [`Error::kind`] maps it to the exit codes of the command line. No variant ever holds a
/// password, a token or the signature of a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry does not have it (404).
    #[error("not found: {0}")]
    NotFound(Box<Exchange>),
    /// The registry does not let us (401 after a fresh token, 403).
    #[error("denied: {0}")]
    Denied(Box<Exchange>),
    /// The registry asks for credentials of a kind that is not at hand (DIST-112).
    #[error("{host} asks for {wanted}, and there are no credentials for it")]
    NoCredentials {
        /// The registry as the user names it.
        host: String,
        /// What it asks for: `Basic`, or the challenges that are not understood.
        wanted: String,
    },
    /// The settings forbid to use the repository.
    #[error("{name} is blocked by {by}")]
    Blocked {
        /// Registry and repository.
        name: String,
        /// Who says so.
        by: String,
    },
    /// The registry understood the request and will not carry it out (other 4xx).
    #[error("refused: {0}")]
    Refused(Box<Exchange>),
    /// The registry is overloaded or broken (429, 5xx), also after all tries.
    #[error("unavailable: {0}")]
    Unavailable(Box<Exchange>),
    /// The registry asks us to wait for longer than we may (DIST-101).
    #[error("{host} asks to wait for {} s, and the limit is {} s", wanted.as_secs(), limit.as_secs())]
    Throttled {
        /// The host that asked.
        host: String,
        /// How long it wants us to wait.
        wanted: Duration,
        /// The longest wait that the settings allow.
        limit: Duration,
    },
    /// The connection could not be made, broke, or stood still, also after all tries.
    #[error("{exchange}: {reason}")]
    Transport {
        /// The request.
        exchange: Box<Exchange>,
        /// What happened to the connection.
        reason: String,
        /// Whether there was a connection at all.
        connected: bool,
    },
    /// The connection cannot be trusted; trying again does not help.
    #[error("no trustworthy connection to {host}: {reason}")]
    Tls {
        /// Host and port.
        host: String,
        /// What is wrong: with the certificate, or with the server.
        reason: String,
        /// Whether it is the certificate.
        certificate: bool,
    },
    /// The server's answer breaks the protocol.
    #[error("{exchange}: {reason}")]
    Protocol {
        /// The request.
        exchange: Box<Exchange>,
        /// The rule that the answer breaks.
        reason: String,
    },
    /// Content that came is not what its digest, size or media type says.
    #[error("{url}: {source}")]
    Content {
        /// Where it came from, redacted.
        url: String,
        /// What is wrong with it.
        source: transship_spec::Error,
    },
    /// The server names an address that we must not follow: less safe, or more private, than the registry itself.
    #[error("{host} names {target} as its {what}, which is refused: {reason}")]
    Target {
        /// The registry as the user names it.
        host: String,
        /// `redirect`, `upload location`, `token realm` or `next page`.
        what: &'static str,
        /// The address, redacted.
        target: String,
        /// The rule.
        reason: String,
    },
    /// A limit of this program was reached.
    #[error("{what} of {url} exceeds the limit of {limit}")]
    Limit {
        /// What grew too large, with its unit.
        what: &'static str,
        /// Where it came from, redacted.
        url: String,
        /// The limit in that unit.
        limit: u64,
    },
    /// A file of credentials cannot be used.
    #[error("{}: {reason}", path.display())]
    CredentialFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A credential helper cannot be used.
    #[error("the credential helper {name}: {reason}")]
    Helper {
        /// The helper's program: `docker-credential-…`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting, or the name of a host, is wrong.
    #[error("{0}")]
    Settings(String),
    /// The content to upload could not be read.
    #[error("the content to upload cannot be read: {0}")]
    Source(#[source] BoxError),
}

impl Error {
    /// What this error means to a program.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Denied(_) | Self::NoCredentials { .. } | Self::Helper { .. } => Kind::Denied,
            Self::Target { what: "token realm", .. } => Kind::Denied,
            Self::Refused(exchange) => refused::kind(exchange),
            Self::Unavailable(_) | Self::Throttled { .. } | Self::Transport { .. } | Self::Tls { .. } => {
                Kind::Network
            }
            Self::Protocol { .. } | Self::Target { .. } | Self::CredentialFile { .. } => Kind::Invalid,
            Self::Content { source, .. } => source.kind(),
            Self::Limit { .. } => Kind::Limit,
            Self::Settings(_) => Kind::Usage,
            Self::Blocked { .. } => Kind::Policy,
            Self::Source(source) => source.downcast_ref::<Self>().map_or(Kind::Storage, Self::kind),
        }
    }

    /// What to do about it, as a sentence fragment for people, where there is something.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Denied(exchange) => Some(format!("log in with: transship login {}", exchange.host)),
            Self::NoCredentials { host, .. } => Some(format!("log in with: transship login {host}")),
            Self::Target { what: "token realm", target, .. } => Some(format!(
                "if {target} is to be trusted with the credentials, allow it as a realm of this registry"
            )),
            Self::Tls { host, certificate: true, .. } => {
                Some(format!("name the authority that signed the certificate with --ca-file {host}=FILE"))
            }
            Self::Tls { host, .. } => {
                Some(format!("if it speaks plain HTTP, say so with --plain-http={host}"))
            }
            Self::Throttled { .. } => Some("try again later, or log in for a higher limit".to_owned()),
            Self::Refused(exchange) => refused::remedy(exchange).map(str::to_owned),
            Self::NotFound(exchange) => refused::remedy_of_absence(exchange).map(str::to_owned),
            Self::Source(source) => source.downcast_ref::<Self>().and_then(Self::remedy),
            _ => None,
        }
    }

    /// The request that failed, where it was one.
    #[must_use]
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::NotFound(exchange) | Self::Denied(exchange) | Self::Refused(exchange) => Some(exchange),
            Self::Unavailable(exchange) => Some(exchange),
            Self::Transport { exchange, .. } | Self::Protocol { exchange, .. } => Some(exchange),
            _ => None,
        }
    }

    /// Whether the same request may succeed when it is sent again (reliability, section 1.4).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Transport { .. })
    }

    /// Whether the server has too much to do, or says that we ask too much.
    pub(crate) fn is_overload(&self) -> bool {
        let said = |exchange: &Exchange| {
            matches!(exchange.status, Some(429 | 503)) || exchange.has_code("TOOMANYREQUESTS")
        };
        match self {
            Self::Unavailable(exchange) => said(exchange),
            other => matches!(other, Self::Throttled { .. }),
        }
    }

    /// The status of the answer, where there was one.
    pub(crate) fn status(&self) -> Option<u16> {
        self.exchange().and_then(|exchange| exchange.status)
    }

    /// Notes how many times the request was sent.
    pub(crate) fn after(mut self, tries: u32) -> Self {
        match &mut self {
            Self::NotFound(exchange) | Self::Denied(exchange) | Self::Refused(exchange) => {
                exchange.tries = tries;
            }
            Self::Unavailable(exchange) => exchange.tries = tries,
            Self::Transport { exchange, .. } | Self::Protocol { exchange, .. } => exchange.tries = tries,
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(status: u16, code: &str) -> Box<Exchange> {
        let codes = vec![code.to_owned()];
        Box::new(Exchange { status: Some(status), codes, ..Exchange::default() })
    }

    #[test]
    fn an_error_of_the_source_keeps_its_kind() {
        let inner = Error::NotFound(exchange(404, ""));
        assert_eq!(Error::Source(Box::new(inner)).kind(), Kind::NotFound);
        assert_eq!(Error::Source("disk".into()).kind(), Kind::Storage);
    }

    #[test]
    fn a_message_names_method_url_status_words_and_tries() {
        let exchange = Exchange {
            method: "GET".into(),
            url: "https://r.example/v2/a/tags/list".into(),
            status: Some(503),
            message: "busy".into(),
            tries: 8,
            ..Exchange::default()
        };
        assert_eq!(
            Error::Unavailable(Box::new(exchange)).to_string(),
            "unavailable: GET https://r.example/v2/a/tags/list answered 503 Service Unavailable: busy (after 8 tries)"
        );
    }
}
