//! Ways in which a registry fails, on the requests that a test picks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::Seen;

/// One way to fail, and on which requests. Several faults on one request work together.
///
/// ```
/// use std::time::Duration;
/// use transship_testkit::Fault;
///
/// let overloaded = Fault::on("GET", "/manifests/").times(2).status(429).header("retry-after", "0");
/// let broken = Fault::on("GET", "/blobs/").nth(1).cut_after(1000);
/// let slow = Fault::on("*", "/v2/").delay(Duration::from_millis(10));
/// # let _ = (overloaded, broken, slow);
/// ```
#[derive(Debug)]
#[must_use = "a fault does nothing before it is given to a registry"]
pub struct Fault {
    method: String,
    part: String,
    /// How many requests were met by method and target.
    met: AtomicUsize,
    first: usize,
    last: usize,
    pub(crate) effect: Effect,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effect {
    pub(crate) delay: Option<Duration>,
    pub(crate) hang_up: bool,
    pub(crate) silent: bool,
    pub(crate) status: Option<StatusCode>,
    pub(crate) body: Option<Bytes>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) without: Vec<HeaderName>,
    pub(crate) ignored: Vec<HeaderName>,
    pub(crate) cut: Option<u64>,
    pub(crate) stall: Option<u64>,
    pub(crate) flip: Option<u64>,
    pub(crate) cut_request: Option<u64>,
}

impl Fault {
    /// A fault on requests of this method (`*` is any) that have this text in path and query. On all of them, unless
    /// [`nth`](Self::nth), [`times`](Self::times) or [`after`](Self::after) says which.
    pub fn on(method: &str, part: &str) -> Self {
        Self {
            method: method.to_owned(),
            part: part.to_owned(),
            met: AtomicUsize::new(0),
            first: 1,
            last: usize::MAX,
            effect: Effect::default(),
        }
    }

    /// Only on the n-th such request, counted from one.
    pub fn nth(self, n: usize) -> Self {
        Self { first: n, last: n, ..self }
    }

    /// Only on the first n such requests.
    pub fn times(self, n: usize) -> Self {
        Self { last: n, ..self }
    }

    /// Not on the first n such requests.
    pub fn after(self, n: usize) -> Self {
        Self { first: n + 1, ..self }
    }

    /// Waits before the request is looked at.
    pub fn delay(mut self, time: Duration) -> Self {
        self.effect.delay = Some(time);
        self
    }

    /// Closes the connection without an answer. The request is not carried out.
    pub fn hang_up(mut self) -> Self {
        self.effect.hang_up = true;
        self
    }

    /// Never answers, and holds the connection open. The request is not carried out.
    pub fn silence(mut self) -> Self {
        self.effect.silent = true;
        self
    }

    /// Answers with this status and no more, once the request's body was read. The request is not carried out.
    pub fn status(mut self, status: u16) -> Self {
        self.effect.status = Some(StatusCode::from_u16(status).unwrap());
        self
    }

    /// The body of an answer, in place of the right one.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.effect.body = Some(body.into());
        self
    }

    /// A header of the answer, in place of the right one if there is one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.effect.headers.push((name.parse().unwrap(), value.parse().unwrap()));
        self
    }

    /// Leaves a header out of the answer. Without `Content-Length` the body comes in chunks.
    pub fn without(mut self, name: &str) -> Self {
        self.effect.without.push(name.parse().unwrap());
        self
    }

    /// Overlooks a header of the request.
    pub fn ignore(mut self, name: &str) -> Self {
        self.effect.ignored.push(name.parse().unwrap());
        self
    }

    /// Sends the whole blob, whatever range is asked for.
    pub fn ignore_range(self) -> Self {
        self.ignore("range")
    }

    /// Closes the connection after so many bytes of the answer's body.
    pub fn cut_after(mut self, bytes: u64) -> Self {
        self.effect.cut = Some(bytes);
        self
    }

    /// Stands still after so many bytes of the answer's body, with the connection open.
    pub fn stall_after(mut self, bytes: u64) -> Self {
        self.effect.stall = Some(bytes);
        self
    }

    /// Changes the byte at this place of the answer's body.
    pub fn flip_byte(mut self, at: u64) -> Self {
        self.effect.flip = Some(at);
        self
    }

    /// Closes the connection after so many bytes of the request's body. What came until then is used.
    pub fn cut_request_after(mut self, bytes: u64) -> Self {
        self.effect.cut_request = Some(bytes);
        self
    }

    /// What this fault does to a request, if it is one of its own. Every request must be shown once.
    pub(crate) fn strikes(&self, seen: &Seen) -> Option<&Effect> {
        if !seen.is(&self.method, &self.part) {
            return None;
        }
        let number = self.met.fetch_add(1, Ordering::SeqCst) + 1;
        (self.first..=self.last).contains(&number).then_some(&self.effect)
    }
}

impl Effect {
    /// Both effects; of what both set, the later one counts.
    pub(crate) fn and(mut self, later: &Self) -> Self {
        self.delay = later.delay.or(self.delay);
        self.hang_up |= later.hang_up;
        self.silent |= later.silent;
        self.status = later.status.or(self.status);
        self.body = later.body.clone().or(self.body);
        self.headers.extend(later.headers.iter().cloned());
        self.without.extend(later.without.iter().cloned());
        self.ignored.extend(later.ignored.iter().cloned());
        self.cut = later.cut.or(self.cut);
        self.stall = later.stall.or(self.stall);
        self.flip = later.flip.or(self.flip);
        self.cut_request = later.cut_request.or(self.cut_request);
        self
    }
}
