//! Fetching a token from a token server (DIST-106, DIST-107, DIST-111, DIST-113).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::header;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded;

use super::{Credential, Token, realm};
use crate::client::Host;
use crate::error::Error;
use crate::limit::Backoff;
use crate::redact::{self, Secret};
use crate::request;
use crate::target::Target;
use crate::watch::Gauge;
use crate::wire::{self, Answer, Patience};

/// What is asked of a token server.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: Vec<String>,
    pub(super) credential: Option<&'a Credential>,
}

/// What a token server answers. Unknown members are passed over.
#[derive(Deserialize)]
struct Answered {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

/// The name under which token servers know this program.
const CLIENT_ID: &str = "transship";

impl Host {
    /// Asks for a token: with an identity token by POST, else, or where the server does not know that, by GET.
    pub(super) async fn fetch_token(&self, asked: &Asked<'_>) -> Result<Token, Error> {
        let url = self.realm(asked).await?;
        let mut backoff = Backoff::new(&self.shared.settings.retry);
        loop {
            let error = match self.fetch_token_once(&url, asked).await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            match error.is_transient().then(|| backoff.failed()).flatten() {
                Some(wait) => {
                    self.shared.settings.events.retry(&self.name, &error.to_string(), wait);
                    tokio::time::sleep(wait).await;
                }
                None => return Err(error.after(backoff.tries().max(1))),
            }
        }
    }

    async fn fetch_token_once(&self, url: &Url, asked: &Asked<'_>) -> Result<Token, Error> {
        if let Some(Credential::IdentityToken { token, .. }) = asked.credential {
            let answer = self.send_token_request(post(url, asked, token), asked).await?;
            if !matches!(answer.status, 401 | 404 | 405) {
                return self.read_token(answer, asked).await;
            }
            answer.body.drain().await;
        }
        let answer = self.send_token_request(get(url, asked), asked).await?;
        self.read_token(answer, asked).await
    }

    /// The realm as a URL that may be asked: as safe and as public as the registry, and trusted with credentials if
    /// there are any to send.
    async fn realm(&self, asked: &Asked<'_>) -> Result<Url, Error> {
        let target = Target { what: "token realm", text: asked.realm, from: &self.base };
        let url = self.target(&target).await?;
        if asked.credential.is_some() && !realm::may_see_credentials(&self.base, &url, &self.settings.realms)
        {
            return Err(self.refuse(&target, "it is of another domain, and would be sent the credentials"));
        }
        Ok(url)
    }

    async fn send_token_request(
        &self,
        request: reqwest::Request,
        asked: &Asked<'_>,
    ) -> Result<Answer, Error> {
        let settings = &self.shared.settings;
        let http = self.shared.connections(request.url())?;
        let (method, url) = (request.method().clone(), request.url().clone());
        settings.events.request(url.host_str().unwrap_or_default(), method.as_str());
        tracing::debug!(%method, url = redact::url(&url), "asking for a token");
        let gauge = Gauge::new(&settings.timeouts, 0, Arc::clone(&self.shared.rate));
        let sent = wire::send(&http, request, gauge, &settings.timeouts, Patience::Usual).await;
        sent.map_err(|broken| request::failure(broken, &request::exchange(&method, &url), &asked.secrets()))
    }

    async fn read_token(&self, answer: Answer, asked: &Asked<'_>) -> Result<Token, Error> {
        let mut exchange = request::exchange(&http::Method::GET, &answer.url);
        let protocol = |exchange, reason: &str| Error::Protocol {
            exchange: Box::new(exchange),
            reason: reason.to_owned(),
        };
        if answer.status != 200 {
            return Err(self.fault(answer, exchange, &asked.secrets()).await);
        }
        exchange.status = Some(answer.status);
        let body = answer.body.collect(self.shared.settings.limits.token).await;
        let body = body.map_err(|broken| request::failure(broken, &exchange, &asked.secrets()))?;
        match read(&body) {
            Ok((token, lifetime)) => {
                Ok(Token { secret: Secret::new(format!("Bearer {token}")), until: Instant::now() + lifetime })
            }
            Err(reason) => Err(protocol(exchange, reason)),
        }
    }
}

/// The token in the body of an answer, and how long it is used; the error is what is wrong.
pub(crate) fn read(body: &[u8]) -> Result<(String, Duration), &'static str> {
    let answered: Answered =
        serde_json::from_slice(body).map_err(|_| "the answer is not the JSON of a token")?;
    let token = answered.token.filter(|token| !token.is_empty()).or(answered.access_token);
    let token = token.filter(|token| is_token(token)).ok_or("the answer holds no token")?;
    Ok((token, lifetime(answered.expires_in)))
}

/// How long a token is used: what the server says, at least a minute, less a margin; counted from now by our own
/// clock, since the server's may be wrong.
fn lifetime(expires_in: Option<f64>) -> Duration {
    let said = expires_in.filter(|seconds| seconds.is_finite()).unwrap_or(60.0).clamp(60.0, 86_400.0);
    Duration::from_secs_f64(said * 0.9 - 4.0)
}

/// Whether a token can stand in a header.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

impl Asked<'_> {
    /// What must not be shown, even when the server echoes it.
    fn secrets(&self) -> Vec<String> {
        let Some(credential) = self.credential else { return Vec::new() };
        let basic = credential.basic().map(|basic| basic.reveal().trim_start_matches("Basic ").to_owned());
        basic.into_iter().chain([credential.secret().to_owned()]).collect()
    }
}

fn get(realm: &Url, asked: &Asked<'_>) -> reqwest::Request {
    let mut url = realm.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = asked.service {
            query.append_pair("service", service);
        }
        for scope in &asked.scopes {
            query.append_pair("scope", scope);
        }
        query.append_pair("client_id", CLIENT_ID);
        if let Some(Credential::Password { username, .. }) = asked.credential {
            query.append_pair("account", username);
        }
    }
    let mut request = reqwest::Request::new(http::Method::GET, url);
    if let Some(basic) = asked.credential.and_then(Credential::basic) {
        request::authorize(request.headers_mut(), &basic);
    }
    request
}

fn post(realm: &Url, asked: &Asked<'_>, refresh: &Secret) -> reqwest::Request {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh.reveal());
    form.append_pair("client_id", CLIENT_ID);
    if let Some(service) = asked.service {
        form.append_pair("service", service);
    }
    if !asked.scopes.is_empty() {
        form.append_pair("scope", &asked.scopes.join(" "));
    }
    let mut request = reqwest::Request::new(http::Method::POST, realm.clone());
    let form_type = http::HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form_type);
    *request.body_mut() = Some(form.finish().into());
    request
}

/// The password inside of a Basic header, for hiding it.
pub(crate) fn hidden_parts(authorization: &Secret) -> Vec<String> {
    let Some((scheme, value)) = authorization.reveal().split_once(' ') else { return Vec::new() };
    let mut parts = vec![value.to_owned()];
    if scheme == "Basic"
        && let Ok(pair) = base64::engine::general_purpose::STANDARD.decode(value)
        && let Ok(pair) = String::from_utf8(pair)
        && let Some((_, password)) = pair.split_once(':')
    {
        parts.push(password.to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(credential: Option<&'a Credential>) -> Asked<'a> {
        let scopes = vec!["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        Asked { realm: "", service: Some("registry.example"), scopes, credential }
    }

    #[test]
    fn dist_106_every_scope_is_a_parameter_of_its_own_and_the_realm_keeps_its_query() {
        let realm = Url::parse("https://auth.example/token?x=1").unwrap();
        let request = get(&realm, &asked(Some(&Credential::password("me", "pw"))));
        assert_eq!(
            request.url().query(),
            Some(
                "x=1&service=registry.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull&client_id=transship&account=me"
            )
        );
        assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn dist_111_without_credentials_nothing_is_sent_but_the_question() {
        let request = get(&Url::parse("https://auth.example/token").unwrap(), &asked(None));
        assert!(request.headers().is_empty());
    }

    #[test]
    fn dist_107_an_identity_token_is_posted_with_the_scopes_in_one() {
        let realm = Url::parse("https://auth.example/token").unwrap();
        let request = post(&realm, &asked(None), &Secret::new("r/t"));
        let form = request.body().and_then(reqwest::Body::as_bytes).unwrap();
        let form = String::from_utf8_lossy(form);
        assert!(form.starts_with("grant_type=refresh_token&refresh_token=r%2Ft&"), "{form}");
        assert!(form.ends_with("&scope=repository%3Aa%2Fb%3Apull%2Cpush+repository%3Ac%3Apull"), "{form}");
    }

    #[test]
    fn dist_106_a_token_lives_at_least_a_minute_less_a_margin() {
        assert_eq!(lifetime(None), Duration::from_secs(50));
        assert_eq!(lifetime(Some(0.0)), Duration::from_secs(50));
        assert_eq!(lifetime(Some(f64::NAN)), Duration::from_secs(50));
        assert_eq!(lifetime(Some(300.0)), Duration::from_secs(266));
        assert_eq!(lifetime(Some(1e300)), lifetime(Some(86_400.0)));
    }

    #[test]
    fn r16_a_token_with_a_line_break_is_none() {
        assert!(!is_token("a\r\nX: y"));
        assert!(!is_token(""));
        assert!(is_token("eyJ.a-b_c~+/="));
    }
}
