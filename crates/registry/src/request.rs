//! One request to a registry, carried through: credentials, redirects, and tries (DIST-24, DIST-101, DIST-109).
//!
//! [`Host::attempt`] is one try: it sends, proves who we are when asked (once), and follows redirects, none of which is
//! sent our `Authorization` unless it leads to the registry's own scheme, host and port. [`Host::call`] tries again
//! after failures that may pass, and waits as the server and the settings say.

use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::auth::Purpose;
use crate::client::Host;
use crate::error::{BoxError, Error, Exchange};
use crate::host;
use crate::limit::{self, Backoff};
use crate::places::{Lane, Place};
use crate::quota::Quota;
use crate::redact::{self, Secret};
use crate::source::BlobSource;
use crate::watch::{self, Gauge};
use crate::wire::{self, Answer, Broken, Patience};

/// A request as it is meant; it can be sent any number of times.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
    pub(crate) purpose: &'a Purpose,
    pub(crate) patience: Patience,
}

/// What a request carries.
pub(crate) enum Payload<'a> {
    Nothing,
    Bytes(Bytes),
    /// A part of a blob; opened anew for every try.
    Part {
        source: &'a dyn BlobSource,
        range: Range<u64>,
        /// The size of the whole blob: a part that reaches it must be the last of the source, too.
        size: u64,
    },
}

impl Payload<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { range, .. } => range.end - range.start,
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, url: Url, purpose: &'a Purpose) -> Self {
        let (headers, payload) = (HeaderMap::new(), Payload::Nothing);
        Self { method, url, headers, payload, purpose, patience: Patience::Usual }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn payload(self, payload: Payload<'a>) -> Self {
        Self { payload, ..self }
    }

    pub(crate) fn patient(self) -> Self {
        Self { patience: Patience::Closing, ..self }
    }

    fn lane(&self) -> Lane {
        if self.payload.len() == 0 { Lane::Reading } else { Lane::Writing }
    }
}

impl Host {
    /// Sends a request until it is answered with success, fails for good, or has failed too often.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut backoff = Backoff::new(&self.shared.settings.retry);
        loop {
            match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.again(&mut backoff, error).await?,
            }
        }
    }

    /// After a failed try: waits and returns when there may be another, else gives the error back.
    pub(crate) async fn again(&self, backoff: &mut Backoff, error: Error) -> Result<(), Error> {
        /// Where there is no connection at all, fewer tries tell as much.
        const CONNECTING: u32 = 5;
        let unconnected = matches!(error, Error::Transport { connected: false, .. });
        let wait = if error.is_transient() { backoff.failed() } else { None };
        let wait = wait.filter(|_| !(unconnected && backoff.tries() >= CONNECTING));
        let Some(wait) = wait else {
            let tries = backoff.tries().max(1);
            return Err(error.after(tries));
        };
        tracing::debug!(host = &*self.name, %error, ?wait, "trying again");
        self.shared.settings.events.retry(&self.name, &error.to_string(), wait);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// One try: an answer with a status of success, or an error. It has one of the host's places until the answer is
    /// read, and tells whether the host keeps up.
    pub(crate) async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.attempt_at(call, self.throttle.enter(call.lane()).await).await
    }

    /// One try, on a place that is there already.
    pub(crate) async fn attempt_at(&self, call: &Call<'_>, place: Place) -> Result<Answer, Error> {
        match self.follow(call).await {
            Ok(mut answer) => {
                place.kept_up();
                answer.body.hold(place);
                Ok(answer)
            }
            Err(error) => {
                if error.is_overload()
                    && let Some(places) = place.overloaded()
                {
                    tracing::debug!(host = &*self.name, places, "fewer requests at once");
                }
                Err(error)
            }
        }
    }

    /// Sends a request to where it leads, with what it takes to be let in.
    async fn follow(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut authorization = match host::same_origin(&call.url, &self.base) {
            true => self.authorization(call.purpose).await?,
            false => None,
        };
        let (mut url, mut renewed, mut hops) = (call.url.clone(), false, 0);
        loop {
            let own = host::same_origin(&url, &self.base);
            let sent = authorization.as_ref().filter(|_| own);
            let answer = self.send(call, &url, sent).await?;
            match answer.status {
                200..=299 => return Ok(answer),
                401 if own && !renewed => {
                    renewed = true;
                    let fresh = self.fresh_authorization(&answer, call.purpose, sent).await?;
                    if fresh.is_none() {
                        return Err(self.fault_of(answer, call, &url, sent).await);
                    }
                    authorization = fresh;
                    answer.body.drain().await;
                }
                301 | 302 | 307 | 308 if answer.header("location").is_some() => {
                    hops += 1;
                    url = self.redirect(&answer, &url, hops).await?;
                    answer.body.drain().await;
                }
                303 if matches!(call.method, Method::GET | Method::HEAD)
                    && answer.header("location").is_some() =>
                {
                    hops += 1;
                    url = self.redirect(&answer, &url, hops).await?;
                }
                _ => return Err(self.fault_of(answer, call, &url, sent).await),
            }
        }
    }

    /// Asks whether there is a registry that takes our credentials (DIST-10).
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let purpose = Purpose { scopes: crate::auth::scope::Scopes::default(), repository: String::new() };
        let url = self.base.join("v2/").unwrap_or_else(|_| self.base.clone());
        self.call(&Call::new(Method::GET, url, &purpose)).await?.body.drain().await;
        Ok(())
    }

    async fn send(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&Secret>,
    ) -> Result<Answer, Error> {
        let settings = &self.shared.settings;
        let own = host::same_origin(url, &self.base);
        let http = if own { self.shared.pool(&self.settings)? } else { self.shared.connections(url)? };
        let gauge = Gauge::new(&settings.timeouts, call.payload.len(), Arc::clone(&self.shared.rate));
        let request = self.request(call, url, authorization, &gauge);
        settings.events.request(&host::authority(url), call.method.as_str());
        tracing::debug!(method = %call.method, url = redact::url(url), "request");
        let sent = Instant::now();
        let answer = wire::send(&http, request, gauge, &settings.timeouts, call.patience).await;
        let answer = answer.map_err(|broken| {
            failure(self.by_proxy(broken), &exchange(&call.method, url), &hidden(authorization))
        })?;
        tracing::debug!(status = answer.status, url = redact::url(url), "answer");
        if own {
            if answer.status < 400 && matches!(call.method, Method::GET | Method::HEAD) {
                self.throttle.answered(sent.elapsed());
            }
            self.heed_quota(&answer.headers);
        }
        self.tell_warnings(&answer.headers, &hidden(authorization));
        Ok(answer)
    }

    /// Names the proxy where it may be the one to blame (row 61).
    fn by_proxy(&self, broken: Broken) -> Broken {
        let Some(proxy) = &self.shared.settings.proxy else { return broken };
        let name = Url::parse(proxy.url.reveal()).map(|url| host::authority(&url)).unwrap_or_default();
        match broken {
            Broken::Connect(reason) => Broken::Connect(format!("{reason} (through the proxy {name})")),
            Broken::Cut(reason) => Broken::Cut(format!("{reason} (through the proxy {name})")),
            other => other,
        }
    }

    fn request(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&Secret>,
        gauge: &Arc<Gauge>,
    ) -> reqwest::Request {
        let mut request = reqwest::Request::new(call.method.clone(), url.clone());
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = authorization {
            authorize(request.headers_mut(), authorization);
        }
        let body = match &call.payload {
            Payload::Nothing => None,
            Payload::Bytes(bytes) => {
                self.shared.rate.moved(bytes.len());
                Some(bytes.clone().into())
            }
            Payload::Part { source, range, size } => {
                let events = (self.shared.settings.events.clone(), self.name.clone());
                let part = watch::Part { bytes: range.end - range.start, is_last: range.end == *size };
                Some(watch::upload(source.open(range.start), &part, gauge.clone(), events))
            }
        };
        if body.is_some() || matches!(call.method, Method::POST | Method::PUT | Method::PATCH) {
            request.headers_mut().insert(header::CONTENT_LENGTH, call.payload.len().into());
        }
        *request.body_mut() = body;
        request
    }

    /// What to send after a 401. Where the registry does not say what it wants, its front door may (DIST-174).
    async fn fresh_authorization(
        &self,
        answer: &Answer,
        purpose: &Purpose,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, Error> {
        if answer.headers.contains_key(header::WWW_AUTHENTICATE) {
            return self.renew(&answer.headers, purpose, refused).await;
        }
        let Ok(url) = self.base.join("v2/") else { return Ok(None) };
        let door = self.send(&Call::new(Method::GET, url.clone(), purpose), &url, None).await?;
        let fresh =
            if door.status == 401 { self.renew(&door.headers, purpose, refused).await } else { Ok(None) };
        door.body.drain().await;
        fresh
    }

    async fn fault_of(&self, answer: Answer, call: &Call<'_>, url: &Url, sent: Option<&Secret>) -> Error {
        self.fault(answer, exchange(&call.method, url), &hidden(sent)).await
    }

    /// The error that an answer without success means. A pause that it asks for holds for the whole host.
    pub(crate) async fn fault(&self, answer: Answer, mut exchange: Exchange, secrets: &[String]) -> Error {
        let status = answer.status;
        exchange.status = Some(status);
        let date = answer.header("date");
        let pause =
            answer.header("retry-after").and_then(|text| limit::retry_after(text, date, SystemTime::now()));
        if let Ok(body) = answer.body.collect(self.shared.settings.limits.error_body).await {
            describe(&mut exchange, &body, secrets);
        }
        let busy = exchange.has_code("TOOMANYREQUESTS") || exchange.has_code("UNAVAILABLE");
        let exchange = Box::new(exchange);
        match status {
            _ if limit::is_transient(status) || busy => match pause {
                Some(wanted) if wanted > self.shared.settings.retry.longest_pause => {
                    let limit = self.shared.settings.retry.longest_pause;
                    Error::Throttled { host: exchange.host, wanted, limit }
                }
                _ => {
                    self.throttle.pause(pause.unwrap_or_default());
                    Error::Unavailable(exchange)
                }
            },
            401 | 403 => Error::Denied(exchange),
            404 | 410 => Error::NotFound(exchange),
            500.. => Error::Unavailable(exchange),
            _ => Error::Refused(exchange),
        }
    }

    /// Waits where the server says that it takes no more requests for now, and tells when few are left for long.
    fn heed_quota(&self, headers: &HeaderMap) {
        let Some(quota) = Quota::read(headers, SystemTime::now()) else { return };
        if let Some(text) = quota.warning() {
            self.warn_once("quota", &text);
        }
        let longest = self.shared.settings.retry.longest_pause;
        let pause = quota.reset.filter(|reset| quota.left == 0 && *reset <= longest);
        if let Some(pause) = pause.filter(|pause| !pause.is_zero() && self.throttle.pause(*pause)) {
            self.shared.settings.events.retry(&self.name, "it takes no more requests for now", pause);
        }
    }

    /// Warns, unless there was a warning of this kind already. There may be only so many kinds.
    fn warn_once(&self, kind: &str, text: &str) {
        const MOST: usize = 256;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST && told.insert(kind.to_owned()) {
            self.shared.settings.events.warning(&self.name, text);
        }
    }

    /// Passes on what the server says to the user (DIST-102): `299 - "text"`, and nothing else, once each.
    fn tell_warnings(&self, headers: &HeaderMap, secrets: &[String]) {
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        for value in headers.get_all(header::WARNING).iter().filter_map(|value| value.to_str().ok()).take(8) {
            if let Some(text) = warning(value) {
                let text = redact::tidy(&redact::scrub(text, &secrets), 512);
                self.warn_once(&text, &text);
            }
        }
    }
}

/// The text of a warning of the form `299 - "text"`.
pub(crate) fn warning(value: &str) -> Option<String> {
    let quoted = value.trim().strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => text.push(chars.next()?),
            c if c.is_control() => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// Adds an `Authorization` that no log shows.
pub(crate) fn authorize(headers: &mut HeaderMap, authorization: &Secret) {
    if let Ok(mut value) = HeaderValue::from_str(authorization.reveal()) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

fn hidden(authorization: Option<&Secret>) -> Vec<String> {
    authorization.map(crate::auth::hidden_parts).unwrap_or_default()
}

/// A request as it may be shown.
pub(crate) fn exchange(method: &Method, url: &Url) -> Exchange {
    Exchange {
        method: method.to_string(),
        url: redact::url(url),
        host: host::authority(url),
        tries: 1,
        ..Exchange::default()
    }
}

/// The error that a broken exchange means.
pub(crate) fn failure(broken: Broken, exchange: &Exchange, secrets: &[String]) -> Error {
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let transport = |reason, connected| Error::Transport {
        exchange: Box::new(exchange.clone()),
        reason: redact::scrub(reason, &secrets),
        connected,
    };
    match broken {
        Broken::Connect(reason) => transport(reason, false),
        Broken::Cut(reason) => transport(reason, true),
        Broken::Tls { reason, certificate } => {
            Error::Tls { host: exchange.host.clone(), reason, certificate }
        }
        Broken::Source(source) => source_error(source),
        Broken::TooMuch(limit) => {
            Error::Limit { what: "the size in bytes", url: exchange.url.clone(), limit: limit as u64 }
        }
    }
}

/// An error of this crate that comes back through a source is itself.
fn source_error(source: BoxError) -> Error {
    match source.downcast::<Error>() {
        Ok(error) => Error::Source(error),
        Err(source) => Error::Source(source),
    }
}

/// The body of an error (DIST-100): members are optional, and `detail` may be anything.
#[derive(Deserialize)]
struct Faults {
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Takes codes and words from the body of an error, whatever it is.
pub(crate) fn describe(exchange: &mut Exchange, body: &[u8], secrets: &[String]) {
    const SHOWN: usize = 2048;
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let faults = serde_json::from_slice::<Faults>(body).map(|faults| faults.errors).unwrap_or_default();
    let text = if faults.is_empty() {
        words(&String::from_utf8_lossy(body))
    } else {
        let line = |fault: &Fault| match (&*fault.code, &*fault.message) {
            ("", message) => message.to_owned(),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        faults.iter().take(8).map(line).collect::<Vec<_>>().join("; ")
    };
    exchange.codes = faults.into_iter().take(8).map(|fault| redact::tidy(&fault.code, 64)).collect();
    exchange.message = redact::tidy(&redact::scrub(text, &secrets), SHOWN);
}

/// The words of a page: what stands between the tags of HTML.
fn words(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    text.split('<')
        .filter_map(|part| part.split_once('>').map(|(_, words)| words))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The error of an answer that has success for a status and is wrong all the same.
pub(crate) fn unexpected(answer: &Answer, method: &Method, reason: impl Into<String>) -> Error {
    let mut exchange = exchange(method, &answer.url);
    exchange.status = Some(answer.status);
    Error::Protocol { exchange: Box::new(exchange), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_body_or_warning_makes_the_readers_panic(body in r#"[{}\[\]":,a-z<> é\\]{0,60}"#, any: Vec<u8>) {
            let _ = (described(&body), warning(&body));
            describe(&mut Exchange::default(), &any, &[]);
        }
    }

    fn described(body: &str) -> Exchange {
        let mut exchange = Exchange::default();
        describe(&mut exchange, body.as_bytes(), &["hunter2".to_owned()]);
        exchange
    }

    #[test]
    fn dist_100_errors_are_read_in_every_form() {
        let exchange =
            described(r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m","detail":[1]},{"code":"X"}]}"#);
        assert_eq!(exchange.codes, ["DENIED", "X"]);
        assert_eq!(exchange.message, "DENIED: no [31m; X");
        assert_eq!(
            described("<html><body><h1>Bad  Gateway</h1>nginx</body></html>").message,
            "Bad Gateway nginx"
        );
        assert_eq!(described("").message, "");
        assert_eq!(described(r#"{"details":"x"}"#).message, r#"{"details":"x"}"#);
        assert!(described(&"x".repeat(60_000)).message.len() < 2100);
        assert_eq!(described("your password hunter2 is wrong").message, "your password *** is wrong");
    }

    #[test]
    fn dist_102_only_the_one_form_of_a_warning_is_passed_on() {
        assert_eq!(warning(r#"299 - "soon \"gone\"""#).as_deref(), Some(r#"soon "gone""#));
        for value in
            [r#"199 - "x""#, r#"299 r.example "x""#, r#"299 - "x" "date""#, "299 - x", r#"299 - "a\"#]
        {
            assert_eq!(warning(value), None, "{value}");
        }
    }
}
