//! One request and its answer on the connection, and what errors of the connection mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::Instant;
use url::Url;

use crate::error::BoxError;
use crate::places::Place;
use crate::rate::Rate;
use crate::settings::Timeouts;
use crate::watch::{Gauge, Watch};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection could not be made.
    Connect(String),
    /// TLS could not be agreed upon; whether because of the certificate.
    Tls { reason: String, certificate: bool },
    /// The connection was there, and broke or stood still.
    Cut(String),
    /// The content to send could not be read.
    Source(BoxError),
    /// More bytes came than were allowed.
    TooMuch(usize),
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Body,
}

impl Answer {
    /// The text of a header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How long the answer to a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Usual,
    /// The server hashes what it got before it answers.
    Closing,
}

/// Sends a request and waits for the head of the answer.
pub(crate) async fn send(
    http: &reqwest::Client,
    request: reqwest::Request,
    gauge: Arc<Gauge>,
    timeouts: &Timeouts,
    patience: Patience,
) -> Result<Answer, Broken> {
    let answered = http.execute(request);
    let response = tokio::select! {
        biased;
        response = answered => response.map_err(|error| gauge.take_failure().map_or_else(|| broken(error), Broken::Source))?,
        reason = gauge.watch(timeouts, patience) => return Err(Broken::Cut(reason)),
    };
    let (status, url, headers) =
        (response.status().as_u16(), response.url().clone(), response.headers().clone());
    let body = Body {
        response,
        watch: Watch::new(timeouts),
        waited: Duration::ZERO,
        rate: Arc::clone(gauge.rate()),
        place: None,
    };
    Ok(Answer { status, headers, url, body })
}

/// The body of an answer, read piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    response: reqwest::Response,
    watch: Watch,
    waited: Duration,
    rate: Arc<Rate>,
    place: Option<Place>,
}

impl Body {
    /// Keeps the place at the host until the body is read or dropped.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        self.rate.ready().await;
        let start = Instant::now();
        let piece = or_after(self.watch.idle_limit(), self.response.chunk()).await;
        let piece = piece.ok_or_else(|| Broken::Cut(self.watch.idle()))?.map_err(broken)?;
        if let Some(piece) = &piece {
            self.rate.moved(piece.len());
            let waited = start.elapsed();
            self.waited += waited;
            self.watch.moved(piece.len() as u64, waited).map_err(Broken::Cut)?;
        }
        Ok(piece)
    }

    /// How long the network was waited for since this was asked last.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// The whole body, at most `limit` bytes; nothing is allocated for what is only announced.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, Broken> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                return Err(Broken::TooMuch(limit));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Reads what is left if it is little, so that the connection can be used again.
    pub(crate) async fn drain(self) {
        let _ = self.collect(64 << 10).await;
    }
}

/// Waits for `work` at most `limit`; zero is for ever.
async fn or_after<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    if limit.is_zero() {
        return Some(work.await);
    }
    tokio::time::timeout(limit, work).await.ok()
}

/// What an error of the connection means, in words without the URL.
fn broken(error: reqwest::Error) -> Broken {
    let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
    let error = error.without_url();
    if let Some(tls) = tls_error(&error) {
        return tls;
    }
    let mut words: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(cause) = next {
        let text = crate::redact::tidy(&cause.to_string(), 256);
        if !text.starts_with("client error") && !words.iter().any(|have| have.contains(&text)) {
            words.push(text);
        }
        next = cause.source();
    }
    let words = if words.is_empty() { error.to_string() } else { words.join(": ") };
    match (is_connect, is_timeout) {
        (true, true) => Broken::Connect("no connection in time".to_owned()),
        (true, false) => Broken::Connect(words),
        _ => Broken::Cut(words),
    }
}

/// What an error of the connection says of TLS, if it does.
fn tls_error(error: &reqwest::Error) -> Option<Broken> {
    let certificate = |reason| Some(Broken::Tls { reason, certificate: true });
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        match find_tls(cause) {
            Some(rustls::Error::InvalidCertificate(reason)) => return certificate(certificate_words(reason)),
            Some(rustls::Error::General(reason)) => return certificate(reason.clone()),
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some(Broken::Tls {
                    reason: "the server does not speak TLS".to_owned(),
                    certificate: false,
                });
            }
            Some(_) => return None,
            None => next = cause.source(),
        }
    }
    None
}

/// An error of rustls, or the one inside of an error of input and output, which may be inside of another.
fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref().or_else(|| find_tls(error.downcast_ref::<std::io::Error>()?.get_ref()?))
}

fn certificate_words(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match reason {
        E::UnknownIssuer => "it is signed by nobody whom this machine trusts".to_owned(),
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another host".to_owned(),
        other => crate::redact::tidy(&other.to_string(), 256),
    }
}
