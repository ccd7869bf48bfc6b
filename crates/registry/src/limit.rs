//! When to send again, and when to wait first (reliability, section 1.4; DIST-101).
//!
//! A [`Throttle`] is shared by all requests to one host: when the server says `Retry-After`, all of them wait. A
//! [`Backoff`] belongs to one piece of work: it counts the tries without progress and draws the wait before the next.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::places::{Lane, Place, Places};
use crate::settings::Retry;

/// Statuses of an answer after which the same request may succeed.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524 | 598 | 599)
}

/// What a `Retry-After` says: seconds, or a date, which is read against the server's own `Date` where there is one, so
/// that a wrong clock does not matter. Anything else, and the past, is nothing.
pub(crate) fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    until.duration_since(now).ok()
}

/// The pause and the places of one host.
#[derive(Debug)]
pub(crate) struct Throttle {
    until: Mutex<Option<Instant>>,
    places: Arc<Places>,
}

impl Throttle {
    pub(crate) fn new(places: usize) -> Self {
        Self { until: Mutex::new(None), places: Arc::new(Places::new(places)) }
    }

    /// Makes every request to the host wait for `pause`; a pause under way is made longer, never shorter. Whether there
    /// was none.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let Some(until) = now.checked_add(pause) else { return false };
        let mut current = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let was_paused = current.is_some_and(|current| current > now);
        *current = Some(current.map_or(until, |current| current.max(until)));
        !was_paused
    }

    /// Waits for the end of a pause and for a free place, which is held as long as the permit lives.
    pub(crate) async fn enter(&self, lane: Lane) -> Place {
        let mut place = self.places.take(lane).await;
        while let Some(until) = self.pause_end() {
            tokio::time::sleep_until(until).await;
        }
        place.starts();
        place
    }

    /// A place, if one is free at once.
    pub(crate) fn try_enter(&self, lane: Lane) -> Option<Place> {
        self.pause_end().is_none().then(|| self.places.try_take(lane))?
    }

    /// The time to the quickest answers of late, where there were any.
    pub(crate) fn quickest(&self) -> Option<Duration> {
        self.places.quickest()
    }

    /// Notes the time from a request without content to its answer.
    pub(crate) fn answered(&self, time: Duration) {
        self.places.answered(time);
    }

    fn pause_end(&self) -> Option<Instant> {
        let mut current = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_some_and(|until| until <= Instant::now()) {
            *current = None;
        }
        *current
    }
}

/// Counts the tries of one piece of work.
#[derive(Debug)]
pub(crate) struct Backoff {
    retry: Retry,
    tries: u32,
    progress: u64,
}

impl Backoff {
    pub(crate) fn new(retry: &Retry) -> Self {
        Self { retry: retry.clone(), tries: 0, progress: 0 }
    }

    /// How many tries have failed since there was progress.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Notes bytes that moved; enough of them make the count start again.
    pub(crate) fn progressed(&mut self, bytes: u64) {
        self.progress = self.progress.saturating_add(bytes);
        if self.progress >= self.retry.progress.max(1) {
            self.progress = 0;
            self.tries = 0;
        }
    }

    /// Notes a failed try: the wait before the next, or nothing when there must not be one.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.tries = self.tries.saturating_add(1);
        if self.tries >= self.retry.tries.max(1) {
            return None;
        }
        let doubled = self.retry.base.saturating_mul(1 << (self.tries - 1).min(20));
        Some(doubled.min(self.retry.cap).mul_f64(random_part()))
    }
}

/// A number from 0 to 1. The keys of hash maps are random already, and jitter needs nothing better.
fn random_part() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "both numbers have at most 53 bits")]
    let part = bits as f64 / (1u64 << 53) as f64;
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn after(value: &str) -> Option<u64> {
        retry_after(value, None, httpdate::parse_http_date(NOW).unwrap()).map(|wait| wait.as_secs())
    }

    #[test]
    fn dist_101_retry_after_is_read_in_both_forms() {
        assert_eq!(after("120"), Some(120));
        assert_eq!(after(" 0 "), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(after("Sunday, 06-Nov-94 08:49:38 GMT"), Some(1));
        assert_eq!(after("99999999999999999999999"), Some(u64::MAX));
    }

    #[test]
    fn row_40_a_negative_past_or_garbled_retry_after_is_nothing() {
        for value in ["-1", "1.5", "", "soon", "Sun, 06 Nov 1994 08:49:36 GMT", "1 2"] {
            assert_eq!(after(value), None, "{value}");
        }
    }

    #[test]
    fn row_57_a_date_is_read_against_the_clock_of_the_server() {
        let wait = retry_after("Sun, 06 Nov 1994 08:49:47 GMT", Some(NOW), SystemTime::now());
        assert_eq!(wait, Some(Duration::from_secs(10)));
    }

    #[test]
    fn waits_are_drawn_below_a_doubling_bound_and_end_after_the_last_try() {
        let retry =
            Retry { tries: 4, base: Duration::from_secs(1), cap: Duration::from_secs(3), ..Retry::default() };
        let mut backoff = Backoff::new(&retry);
        for bound in [1, 2, 3] {
            assert!(backoff.failed().unwrap() <= Duration::from_secs(bound));
        }
        assert_eq!(backoff.failed(), None);
        assert_eq!(backoff.tries(), 4);
    }

    #[test]
    fn row_25_progress_makes_the_tries_start_again() {
        let retry = Retry { tries: 2, base: Duration::ZERO, progress: 10, ..Retry::default() };
        let mut backoff = Backoff::new(&retry);
        for _ in 0..50 {
            assert!(backoff.failed().is_some());
            backoff.progressed(6);
            backoff.progressed(6);
        }
        assert!(backoff.failed().is_some());
        assert!(backoff.failed().is_none());
    }

    #[test]
    fn one_try_means_never_again() {
        let mut backoff = Backoff::new(&Retry { tries: 1, ..Retry::default() });
        assert_eq!(backoff.failed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_every_request_to_the_host() {
        let throttle = Throttle::new(3);
        throttle.pause(Duration::from_secs(20));
        throttle.pause(Duration::from_secs(5));
        let start = Instant::now();
        let first = throttle.enter(Lane::Reading).await;
        assert_eq!(start.elapsed().as_secs(), 20);
        let second = throttle.enter(Lane::Reading).await;
        drop((first, second));
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    proptest! {
        #[test]
        fn no_retry_after_makes_the_parser_panic(value in "[-0-9A-Za-z:, ]{0,40}", any in ".{0,40}") {
            let _ = retry_after(&value, Some(&any), SystemTime::UNIX_EPOCH);
            let _ = retry_after(&any, Some(&value), SystemTime::now());
        }
    }
}
