//! What a registry says of how many requests it still takes (Docker Hub: `ratelimit-remaining: 76;w=21600`).
//!
//! Three forms are about: `RateLimit-Remaining` with `-Limit` and `-Reset` beside it, with `X-` before or not; the same
//! in one `RateLimit` header, by words or by letters. The time to the reset is in seconds, or a time since 1970, which
//! is read against the server's own `Date`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) left: u64,
    pub(crate) of: Option<u64>,
    /// Until there is more.
    pub(crate) reset: Option<Duration>,
    /// The time for which the limit is.
    pub(crate) window: Option<Duration>,
}

impl Quota {
    /// The quota that an answer tells of.
    pub(crate) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let either = |name: &str| text(name).or_else(|| text(&format!("x-{name}")));
        if let Some(joined) = text("ratelimit") {
            let left = member(joined, &["r", "remaining"])?;
            let (of, reset) = (member(joined, &["q", "limit"]), member(joined, &["t", "reset"]));
            return Some(Self { left, of, reset: reset.map(Duration::from_secs), window: None });
        }
        let remaining = either("ratelimit-remaining")?;
        let limit = either("ratelimit-limit");
        let window = member(remaining, &["w"]).or_else(|| member(limit?, &["w"]));
        let date = text("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        Some(Self {
            left: first(remaining)?,
            of: limit.and_then(first),
            reset: either("ratelimit-reset").and_then(first).and_then(|reset| until(reset, date)),
            window: window.map(Duration::from_secs),
        })
    }

    /// Words for a quota that is nearly used up, where it takes a minute or more until there is another.
    pub(crate) fn warning(&self) -> Option<String> {
        const LONG: Duration = Duration::from_secs(60);
        let of = self.of.filter(|of| self.left <= of / 10)?;
        let time = self.reset.or(self.window).filter(|time| *time >= LONG)?;
        let when = if self.reset.is_some() { "for the next" } else { "within" };
        Some(format!("only {} of {of} requests are left {when} {}", self.left, words(time)))
    }
}

/// The number that a value begins with; members may follow.
fn first(value: &str) -> Option<u64> {
    value.split([';', ',']).next()?.trim().parse().ok()
}

/// The number behind one of these names, in `"name";r=5;t=30` or `limit=9, remaining=5`.
fn member(value: &str, names: &[&str]) -> Option<u64> {
    let mut members = value.split([';', ',']).filter_map(|member| member.split_once('='));
    let (_, number) = members.find(|(name, _)| names.contains(&name.trim()))?;
    number.trim().parse().ok()
}

/// The time to a reset, in seconds or since 1970.
fn until(reset: u64, now: SystemTime) -> Option<Duration> {
    /// Nobody waits for thirty years.
    const SINCE_1970: u64 = 1_000_000_000;
    match reset {
        0..SINCE_1970 => Some(Duration::from_secs(reset)),
        _ => UNIX_EPOCH.checked_add(Duration::from_secs(reset))?.duration_since(now).ok(),
    }
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 7200.. => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Option<Quota> {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        Quota::read(&headers.collect(), UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    fn quota(left: u64, of: u64, reset: Option<u64>, window: Option<u64>) -> Option<Quota> {
        let seconds = |time: Option<u64>| time.map(Duration::from_secs);
        Some(Quota { left, of: Some(of), reset: seconds(reset), window: seconds(window) })
    }

    #[test]
    fn every_form_of_a_quota_is_read() {
        let hub = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")];
        assert_eq!(read(&hub), quota(76, 100, None, Some(21600)));
        let plain = [("ratelimit-limit", "60"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "7")];
        assert_eq!(read(&plain), quota(0, 60, Some(7), None));
        let since_1970 = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset", "1800000030"),
        ];
        assert_eq!(read(&since_1970), quota(3, 5000, Some(30), None));
        assert_eq!(read(&[("ratelimit", "limit=9, remaining=5, reset=3")]), quota(5, 9, Some(3), None));
        let letters = Some(Quota { left: 5, of: None, reset: Some(Duration::from_secs(30)), window: None });
        assert_eq!(read(&[("ratelimit", "\"default\";r=5;t=30")]), letters);
        for nothing in ["", "many", "-1", ";w=5"] {
            assert_eq!(read(&[("ratelimit-remaining", nothing)]), None, "{nothing}");
        }
        assert_eq!(read(&[("ratelimit-limit", "100")]), None);
    }

    #[test]
    fn a_quota_is_warned_of_when_it_is_nearly_used_up_for_a_while() {
        let warning = |left, reset, window| quota(left, 100, reset, window).unwrap().warning();
        assert_eq!(warning(10, None, Some(21600)).unwrap(), "only 10 of 100 requests are left within 6 h");
        assert_eq!(warning(0, Some(90), None).unwrap(), "only 0 of 100 requests are left for the next 2 min");
        assert_eq!(warning(11, None, Some(21600)), None);
        assert_eq!(warning(0, Some(1), Some(21600)), None);
        assert_eq!(warning(0, None, None), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "[-0-9;,=a-z\" ]{0,40}", number: u64) {
            let number = number.to_string();
            let _ = read(&[("ratelimit", &value), ("ratelimit-remaining", &value)]);
            let _ = read(&[("ratelimit-remaining", &value), ("ratelimit-reset", &number)]);
        }
    }
}
