//! Nothing stands still for longer than the settings allow (reliability, section 1.5).
//!
//! Time counts only while we wait for the other side. While the source of an upload gives nothing, or the reader of a
//! download takes nothing, no clock runs; neither does one while we keep to a rate ourselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::Instant;

use crate::error::BoxError;
use crate::events::Events;
use crate::rate::Rate;
use crate::settings::Timeouts;
use crate::wire::Patience;

/// The largest piece that is handed to the connection at once, so that a slow network still shows progress.
const PIECE: usize = 32 << 10;

/// Counts time and bytes, and tells when there are too few.
#[derive(Debug)]
pub(crate) struct Watch {
    timeouts: Timeouts,
    waited: Duration,
    bytes: u64,
}

impl Watch {
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        Self { timeouts: timeouts.clone(), waited: Duration::ZERO, bytes: 0 }
    }

    pub(crate) fn idle_limit(&self) -> Duration {
        self.timeouts.idle
    }

    /// The words for nothing in so long a time.
    pub(crate) fn idle(&self) -> String {
        format!("no byte in {} s", seconds(self.timeouts.idle))
    }

    /// Notes bytes and the time they took; the words for it when that was too slow over a whole window.
    pub(crate) fn moved(&mut self, bytes: u64, waited: Duration) -> Result<(), String> {
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
pub(crate) struct Gauge {
    sending: Mutex<Sending>,
    rate: Arc<Rate>,
}

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
    pub(crate) fn new(timeouts: &Timeouts, bytes: u64, rate: Arc<Rate>) -> Arc<Self> {
        let now = Instant::now();
        let phase = if bytes == 0 { Phase::Answer(now) } else { Phase::Network(now) };
        let sending = Sending { phase, watch: Watch::new(timeouts), sent: 0, failure: None };
        Arc::new(Self { sending: Mutex::new(sending), rate })
    }

    /// What all that moves has to keep to.
    pub(crate) fn rate(&self) -> &Arc<Rate> {
        &self.rate
    }

    /// How many bytes the connection has taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sending().sent
    }

    fn sending(&self) -> std::sync::MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_failure(&self) -> Option<BoxError> {
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
    pub(crate) async fn watch(&self, timeouts: &Timeouts, patience: Patience) -> String {
        const SLOWEST: Duration = Duration::from_secs(1);
        let making = timeouts.connect + timeouts.tls;
        let answer = match patience {
            Patience::Usual => timeouts.first_byte,
            Patience::Closing => timeouts.closing,
        };
        let limits = [timeouts.idle, answer].into_iter().filter(|limit| !limit.is_zero());
        let tick = limits.min().map_or(SLOWEST, |limit| (limit / 8).clamp(Duration::from_millis(5), SLOWEST));
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
    part: &Part,
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
        self.gauge.rate.ready().await;
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
        self.gauge.rate.moved(piece.len());
        self.gauge.gave(piece.len() as u64, self.left == 0);
        self.events.0.sent(&self.events.1, piece.len() as u64);
        Ok(Some(piece))
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
