//! How we prove to a registry who we are: challenges, tokens, credentials (DIST-105…126).
//!
//! An [`Authenticator`] belongs to one registry. It remembers the registry's challenge and the tokens that were fetched,
//! so that a second repository costs one request to the token server and none that is refused first. The header it makes
//! is bound to the registry's scheme, host and port: nobody else is ever sent it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::client::Host;
use crate::error::Error;
use crate::redact::Secret;
use challenge::Challenge;
use scope::Scopes;

pub(crate) mod challenge;
mod credential;
pub(crate) mod docker_config;
mod helper;
pub(crate) mod keychain;
pub(crate) mod login;
mod realm;
pub(crate) mod scope;
pub(crate) mod token;

pub use credential::Credential;
pub use login::CredentialStore;
pub(crate) use token::hidden_parts;

/// The state of our standing with one registry.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Arc<Slot>>>,
}

/// The token for one set of scopes; who fetches it holds the lock, and the others wait for it.
type Slot = tokio::sync::Mutex<Option<Token>>;

/// A token and the moment from which it is no longer used.
#[derive(Debug, Clone)]
struct Token {
    secret: Secret,
    until: Instant,
}

/// Whom a request is for: the scopes it needs, and the repository whose credentials count.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    pub(crate) scopes: Scopes,
    pub(crate) repository: String,
}

impl Host {
    /// The `Authorization` to send without being asked: none until the registry has shown what it asks for.
    pub(crate) async fn authorization(&self, purpose: &Purpose) -> Result<Option<Secret>, Error> {
        let challenge = self.auth.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match challenge {
            None => Ok(None),
            Some(challenge) => self.answer(&challenge, purpose, None).await.map(Some),
        }
    }

    /// The `Authorization` to send after the registry answered 401 to `refused`; nothing where it does not say what it
    /// wants, or wants what it just refused.
    pub(crate) async fn renew(
        &self,
        headers: &http::HeaderMap,
        purpose: &Purpose,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, Error> {
        let values =
            headers.get_all(http::header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut challenge = match challenge::choose(values) {
            Ok(challenge) => challenge,
            Err(schemes) if schemes.is_empty() => return Ok(None),
            Err(schemes) => {
                return Err(Error::NoCredentials { host: self.name.to_string(), wanted: schemes.join(", ") });
            }
        };
        let authorization = self.answer(&challenge, purpose, refused).await?;
        // What was demanded belongs to the request that was refused, and to no other.
        challenge.forget_scopes();
        *self.auth.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        Ok((refused != Some(&authorization)).then_some(authorization))
    }

    async fn answer(
        &self,
        challenge: &Challenge,
        purpose: &Purpose,
        refused: Option<&Secret>,
    ) -> Result<Secret, Error> {
        let credential = self.shared.keychain.find(&self.name, &purpose.repository).await?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return Ok(Secret::new(format!("Bearer {}", token.reveal())));
        }
        match challenge {
            Challenge::Basic => {
                credential.as_ref().and_then(Credential::basic).ok_or_else(|| Error::NoCredentials {
                    host: self.name.to_string(),
                    wanted: "a user and a password".to_owned(),
                })
            }
            Challenge::Bearer { realm, service, scopes } => {
                let slot = self.auth.slot(format!("{} {}", purpose.repository, purpose.scopes.key()));
                let mut slot = slot.lock().await;
                if let Some(token) = slot.as_ref().filter(|token| token.until > Instant::now())
                    && refused != Some(&token.secret)
                {
                    return Ok(token.secret.clone());
                }
                let mut asked = token::Asked {
                    realm,
                    service: service.as_deref(),
                    scopes: purpose.scopes.ask_for(scopes),
                    credential: credential.as_ref(),
                };
                let token = match self.fetch_token(&asked).await {
                    // Not every token server reads that action: then pushing is enough for deleting (DIST-177).
                    Err(error) if error.status() == Some(400) && scope::drop_delete(&mut asked.scopes) => {
                        self.fetch_token(&asked).await?
                    }
                    fetched => fetched?,
                };
                let secret = token.secret.clone();
                *slot = Some(token);
                Ok(secret)
            }
        }
    }
}

impl Authenticator {
    fn slot(&self, key: String) -> Arc<Slot> {
        const MOST: usize = 10_000;
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() > MOST {
            tokens.clear();
        }
        Arc::clone(tokens.entry(key).or_default())
    }
}
