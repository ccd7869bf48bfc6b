//! One request and its answer, watched: nothing stands still for longer than the settings allow (reliability, 1.5).
//!
//! Time counts only while we wait for the other side. While the source of an upload gives nothing, or the reader of a
//! download takes nothing, no clock runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

use crate::error::BoxError;
use crate::events::Events;
use crate::settings::Timeouts;

/// The largest piece that is handed to the connection at once, so that a slow network still shows progress.
const PIECE: usize = 32 << 10;

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
    let body = Body { response, watch: Watch::new(timeouts), permit: None };
    Ok(Answer { status, headers, url, body })
}

/// The body of an answer, read piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    response: reqwest::Response,
    watch: Watch,
    permit: Option<OwnedSemaphorePermit>,
}

impl Body {
    /// Keeps the place at the host until the body is read or dropped.
    pub(crate) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.permit = permit;
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        let start = Instant::now();
        let piece = or_after(self.watch.timeouts.idle, self.response.chunk()).await;
        let piece = piece.ok_or_else(|| self.watch.idle())?.map_err(broken)?;
        if let Some(piece) = &piece {
            self.watch.moved(piece.len() as u64, start.elapsed()).map_err(Broken::Cut)?;
        }
        Ok(piece)
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

/// Counts time and bytes, and tells when there are too few.
#[derive(Debug)]
struct Watch {
    timeouts: Timeouts,
    waited: Duration,
    bytes: u64,
}

impl Watch {
    fn new(timeouts: &Timeouts) -> Self {
        Self { timeouts: timeouts.clone(), waited: Duration::ZERO, bytes: 0 }
    }

    fn idle(&self) -> Broken {
        Broken::Cut(format!("no byte in {} s", seconds(self.timeouts.idle)))
    }

    /// Notes bytes and the time they took; the words for it when that was too slow over a whole window.
    fn moved(&mut self, bytes: u64, waited: Duration) -> Result<(), String> {
        self.bytes += bytes;
        self.waited += waited;
        let window = self.timeouts.low_speed_window;
        if window.is_zero() || self.waited < window {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = self.bytes as f64 / self.waited.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let is_slow = rate < self.timeouts.low_speed as f64;
        (self.bytes, self.waited) = (0, Duration::ZERO);
        if is_slow {
            Err(format!("only {rate:.0} bytes a second over {} s", seconds(window)))
        } else {
            Ok(())
        }
    }
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { time.as_secs().to_string() } else { format!("{:.3}", time.as_secs_f64()) }
}

/// What the body of a request tells its watcher.
#[derive(Debug)]
pub(crate) struct Gauge(Mutex<Sending>);

#[derive(Debug)]
struct Sending {
    phase: Phase,
    watch: Watch,
    sent: u64,
    failure: Option<BoxError>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The network is to take the last piece.
    Network(Instant),
    /// The source is to give the next piece.
    Source,
    /// All is given; the server is to answer.
    Answer(Instant),
}

impl Gauge {
    /// For a request with the given number of bytes in its body.
    pub(crate) fn new(timeouts: &Timeouts, bytes: u64) -> Arc<Self> {
        let now = Instant::now();
        let phase = if bytes == 0 { Phase::Answer(now) } else { Phase::Network(now) };
        Arc::new(Self(Mutex::new(Sending { phase, watch: Watch::new(timeouts), sent: 0, failure: None })))
    }

    /// How many bytes the connection has taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sending().sent
    }

    fn sending(&self) -> std::sync::MutexGuard<'_, Sending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_failure(&self) -> Option<BoxError> {
        self.sending().failure.take()
    }

    fn fail(&self, error: BoxError) -> std::io::Error {
        self.sending().failure = Some(error);
        std::io::Error::other("the content to upload cannot be read")
    }

    /// The network took the last piece and asks for more.
    fn asked(&self) -> Result<(), String> {
        let mut sending = self.sending();
        let waited = match sending.phase {
            Phase::Network(since) => since.elapsed(),
            Phase::Source | Phase::Answer(_) => Duration::ZERO,
        };
        sending.phase = Phase::Source;
        sending.watch.moved(0, waited)
    }

    /// A piece was given, and it was the last or not.
    fn gave(&self, bytes: u64, last: bool) {
        let mut sending = self.sending();
        sending.sent += bytes;
        sending.watch.bytes += bytes;
        let now = Instant::now();
        sending.phase = if last { Phase::Answer(now) } else { Phase::Network(now) };
    }

    /// Ends, with words for it, when the request stands still for too long.
    async fn watch(&self, timeouts: &Timeouts, patience: Patience) -> String {
        let making = timeouts.connect + timeouts.tls;
        let answer = match patience {
            Patience::Usual => timeouts.first_byte,
            Patience::Closing => timeouts.closing,
        };
        let tick = (timeouts.idle.min(answer) / 8).clamp(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            tokio::time::sleep(tick).await;
            let sending = self.sending();
            let connecting = if sending.sent == 0 { making } else { Duration::ZERO };
            match sending.phase {
                Phase::Network(since) if is_over(since, timeouts.idle, connecting) => {
                    return format!("the server took no byte in {} s", seconds(timeouts.idle));
                }
                Phase::Answer(since) if is_over(since, answer, connecting) => {
                    return format!("no answer in {} s", seconds(answer));
                }
                _ => {}
            }
        }
    }
}

fn is_over(since: Instant, limit: Duration, more: Duration) -> bool {
    !limit.is_zero() && since.elapsed() > limit + more
}

/// How much of a source is sent.
pub(crate) struct Part {
    pub(crate) bytes: u64,
    /// Whether the source must end with it.
    pub(crate) is_last: bool,
}

/// The body of a request: a part of `source`, not a byte more or less.
pub(crate) fn upload(
    source: BoxStream<'static, Result<Bytes, BoxError>>,
    part: Part,
    gauge: Arc<Gauge>,
    events: (Arc<dyn Events>, Arc<str>),
) -> reqwest::Body {
    let state =
        Upload { source, piece: Bytes::new(), left: part.bytes, is_last: part.is_last, gauge, events };
    reqwest::Body::wrap_stream(stream::try_unfold(state, |mut state| async move {
        let piece = state.next().await?;
        Ok::<_, std::io::Error>(piece.map(|piece| (piece, state)))
    }))
}

struct Upload {
    source: BoxStream<'static, Result<Bytes, BoxError>>,
    piece: Bytes,
    left: u64,
    is_last: bool,
    gauge: Arc<Gauge>,
    events: (Arc<dyn Events>, Arc<str>),
}

impl Upload {
    async fn next(&mut self) -> Result<Option<Bytes>, std::io::Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.gauge.asked().map_err(std::io::Error::other)?;
        while self.piece.is_empty() {
            self.piece = match self.source.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Err(self.gauge.fail(error)),
                None => return Err(self.gauge.fail(format!("it ends {} bytes early", self.left).into())),
            };
        }
        if self.is_last && self.piece.len() as u64 > self.left {
            let more = format!("it has more than the {} bytes announced", self.gauge.sent() + self.left);
            return Err(self.gauge.fail(more.into()));
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = self.piece.split_to(self.piece.len().min(PIECE).min(left));
        self.left -= piece.len() as u64;
        self.gauge.gave(piece.len() as u64, self.left == 0);
        self.events.0.sent(&self.events.1, piece.len() as u64);
        Ok(Some(piece))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_34_a_trickle_is_too_slow_over_a_window_and_not_before() {
        let mut watch = Watch::new(&Timeouts::default());
        assert!(watch.moved(200, Duration::from_secs(59)).is_ok());
        assert!(watch.moved(200, Duration::from_secs(1)).unwrap_err().contains("bytes a second"));
        assert!(watch.moved(60 << 10, Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn u9_a_limit_of_zero_is_no_limit() {
        let timeouts = Timeouts { low_speed_window: Duration::ZERO, ..Timeouts::default() };
        assert!(Watch::new(&timeouts).moved(0, Duration::from_secs(9999)).is_ok());
        let timeouts = Timeouts { low_speed: 0, ..Timeouts::default() };
        assert!(Watch::new(&timeouts).moved(0, Duration::from_secs(9999)).is_ok());
    }
}
