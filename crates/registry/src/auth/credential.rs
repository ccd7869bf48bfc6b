//! Who we are to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::redact::Secret;

/// What proves to a registry who we are.
///
/// ```
/// use transship_registry::Credential;
///
/// let credential = Credential::password("me", "hunter2");
/// assert!(!format!("{credential:?}").contains("hunter2"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// A user and a password, or what a registry takes in place of one.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that a token server changes into tokens for the registry (DIST-107, DIST-125).
    IdentityToken {
        /// The user, for servers that take the token as a password only; may be empty.
        username: String,
        /// The refresh token.
        token: Secret,
    },
    /// A token for the registry itself, sent as it is (DIST-125).
    RegistryToken(Secret),
}

impl Credential {
    /// A user and a password.
    pub fn password(username: impl Into<String>, password: impl Into<Box<str>>) -> Self {
        Self::Password { username: username.into(), password: Secret::new(password) }
    }

    /// The value of an `Authorization` header of the scheme Basic; a registry token has none.
    pub(crate) fn basic(&self) -> Option<Secret> {
        let (username, password) = match self {
            Self::Password { username, password } => (username.as_str(), password),
            Self::IdentityToken { username, token } if username.is_empty() => ("<token>", token),
            Self::IdentityToken { username, token } => (username.as_str(), token),
            Self::RegistryToken(_) => return None,
        };
        let pair = STANDARD.encode(format!("{username}:{}", password.reveal()));
        Some(Secret::new(format!("Basic {pair}")))
    }

    /// The secret part, so that it can be hidden where a server echoes it.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Password { password, .. } => password.reveal(),
            Self::IdentityToken { token, .. } | Self::RegistryToken(token) => token.reveal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_176_users_with_a_dollar_sign_are_sent_as_they_are() {
        let basic = Credential::password("robot$ci", "pw").basic().unwrap();
        assert_eq!(basic.reveal(), format!("Basic {}", STANDARD.encode("robot$ci:pw")));
    }
}
