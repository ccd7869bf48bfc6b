//! Doors to the parsers of headers, bodies and files of credentials, for the fuzz targets.
//!
//! No part of the interface: it is there with the feature `fuzzing` only, and changes without notice. Each function is
//! one parser as the client uses it; nothing is done here besides.

use std::time::{Duration, SystemTime};

use http::Method;
use url::Url;

use crate::auth::challenge::{self, Challenge};
use crate::auth::docker_config::{DockerConfig, Form};
use crate::auth::{login, token};
use crate::error::Exchange;
use crate::{Credential, blob, chunked, limit, link, redact, request, sessions};

/// The parts of a Bearer challenge: realm, service, scopes.
pub type Bearer = (String, Option<String>, Vec<String>);

/// The challenge that is answered, of the values of all `WWW-Authenticate` headers; nothing for Basic. The error is the
/// schemes that were offered.
///
/// # Errors
/// If none can be answered.
pub fn challenge(values: &[&str]) -> Result<Option<Bearer>, Vec<String>> {
    challenge::choose(values.iter().copied()).map(|challenge| match challenge {
        Challenge::Bearer { realm, service, scopes } => Some((realm, service, scopes)),
        Challenge::Basic => None,
    })
}

/// The next page, of the values of all `Link` headers.
#[must_use]
pub fn next_link(values: &[&str]) -> Option<String> {
    link::next(values.iter().copied())
}

/// The start and the total of a `Content-Range`.
#[must_use]
pub fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    blob::content_range(value)
}

/// How many bytes the `Range` of an upload says are held.
#[must_use]
pub fn held_bytes(value: &str) -> Option<u64> {
    chunked::held_bytes(value)
}

/// A file that remembers an upload, written anew from what was read of it.
#[must_use]
pub fn remembered_upload(file: &[u8]) -> Option<String> {
    sessions::rewritten(file)
}

/// The pause of a `Retry-After`, given the `Date` of the answer.
#[must_use]
pub fn retry_after(value: &str, date: &str, now: SystemTime) -> Option<Duration> {
    limit::retry_after(value, Some(date), now)
}

/// The text of a `Warning`.
#[must_use]
pub fn warning(value: &str) -> Option<String> {
    request::warning(value)
}

/// A text of a server as it is shown.
#[must_use]
pub fn tidy(text: &str, limit: usize) -> String {
    redact::tidy(text, limit)
}

/// What is told of the body of an error, with a secret that it must not show.
#[must_use]
pub fn error_body(body: &[u8], url: &Url, secret: &str) -> Exchange {
    let mut exchange = request::exchange(&Method::GET, url);
    request::describe(&mut exchange, body, &[secret.to_owned()]);
    exchange
}

/// The token in the answer of a token server, and how long it is used.
///
/// # Errors
/// What is wrong with it.
pub fn token(body: &[u8]) -> Result<(String, Duration), &'static str> {
    token::read(body)
}

/// The forms of files of credentials: Docker's, that of containers, and the one of old.
pub const FORMS: usize = 3;

fn form(number: usize) -> Form {
    [Form::Docker, Form::Containers, Form::Legacy][number % FORMS]
}

/// What a file of credentials says of a repository: the helper that is asked, and the credential that it holds itself.
///
/// # Errors
/// What is wrong with the file or its entry.
pub fn credentials(
    file: &[u8],
    number: usize,
    host: &str,
    repository: &str,
) -> Result<(Option<String>, Option<Credential>), String> {
    let config = DockerConfig::parse(file, form(number))?;
    let credential = config.credential(host, repository)?;
    Ok((config.helper(host).map(str::to_owned), credential))
}

/// A file of credentials with the entry of a host set or removed, nothing where that changes nothing; and whether there was one.
///
/// # Errors
/// What is wrong with the file.
pub fn set_credential(
    file: &[u8],
    number: usize,
    host: &str,
    credential: Option<&Credential>,
) -> Result<(Option<String>, bool), String> {
    let form = form(number);
    login::edited(file, form, &login::key(host, form), credential.map(login::entry).as_deref())
}
