//! Values of flags that are more than a word.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

/// `[HOST=]VALUE`: a value for one registry, or for whichever the command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForHost {
    pub(crate) host: Option<String>,
    pub(crate) value: String,
}

impl FromStr for ForHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, value) = match text.split_once('=') {
            // A path may hold a `=` of its own: what stands before one is a host only if it could be one.
            Some((host, value))
                if transship_spec::is_registry(host) && !std::path::Path::new(text).exists() =>
            {
                (Some(host.to_owned()), value)
            }
            _ => (None, text),
        };
        match value {
            "" => Err("nothing follows the =".to_owned()),
            value => Ok(Self { host, value: value.to_owned() }),
        }
    }
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("nothing stands before the =".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("it is not NAME=VALUE".to_owned()),
    }
}

/// `PREFIX=HOST[/PATH]`: a mirror of all that is below the prefix.
pub(crate) fn mirror(text: &str) -> Result<(String, String), String> {
    let (prefix, location) = pair(text)?;
    let host = |place: &str| place.split('/').next().unwrap_or_default().to_owned();
    let prefix_host = host(&prefix);
    for host in [prefix_host.strip_prefix("*.").unwrap_or(&prefix_host), &*host(&location)] {
        if !transship_spec::is_registry(host) {
            return Err(format!("{} is not the name of a registry", transship_spec::quote(host)));
        }
    }
    Ok((prefix, location))
}

/// A number of things of which there must be one at least.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number @ 1..=1024) => Ok(number),
        _ => Err("it is not a number from 1 to 1024".to_owned()),
    }
}

/// A number of bytes: `4096`, `10MiB`, `256GiB`; `10M` is the same as `10MiB`, as in curl, wget and rsync, and `10MB` is ten
/// million.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const WRONG: &str = "it is not a number of bytes, or one with K, M, G or T after it (10M or 10MiB is 10 × 1024 × 1024, 10MB ten \
        million)";
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = |letter| ["K", "M", "G", "T"].iter().position(|have| *have == letter).map(|at| at as u32 + 1);
    let unit = &text[number.len()..];
    let bytes = match (unit, unit.strip_suffix("iB"), unit.strip_suffix('B')) {
        ("", ..) => Some(1),
        (_, Some(letter), _) => power(letter).map(|power| 1024_u64.pow(power)),
        (_, _, Some(letter)) => power(letter).map(|power| 1000_u64.pow(power)),
        (letter, ..) => power(letter).map(|power| 1024_u64.pow(power)),
    };
    let size = bytes.and_then(|bytes| number.parse::<u64>().ok()?.checked_mul(bytes));
    size.ok_or_else(|| WRONG.to_owned())
}

/// Bytes a second: a number of bytes, with `/s` after it or not. There must be one at least.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    let bytes = size(text.strip_suffix("/s").unwrap_or(text))?;
    NonZeroU64::new(bytes).ok_or_else(|| "nothing would ever move".to_owned())
}

/// A stretch of time: `90s`, `10m`, `1h`, `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "" if number == "0" => 1,
        _ => return Err("it is not a number with s, m, h or d after it".to_owned()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| "it is not a number with s, m, h or d after it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_before_the_equals_sign() {
        let parse = |text: &str| text.parse::<ForHost>();
        let one = parse("r.example:5000=ca.pem").unwrap();
        assert_eq!((one.host.as_deref(), one.value.as_str()), (Some("r.example:5000"), "ca.pem"));
        assert_eq!(parse("/etc/a=b.pem").unwrap().host, None);
        assert_eq!(parse("ca.pem").unwrap(), ForHost { host: None, value: "ca.pem".into() });
        assert!(parse("r.example=").is_err());
    }

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h", 3600), ("2d", 172_800), ("0", 0), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "1", "h", "-1s", "1.5h", "1w", "99999999999999999999d", "9999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_may_have_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("4KiB", 4096),
            ("4K", 4096),
            ("4KB", 4000),
            ("12M", 12 << 20),
            ("256GiB", 256 << 30),
            ("2GB", 2_000_000_000),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in
            ["", "KiB", "M", "4k", "4kib", "4B", "4iB", "4P", "-1", "1.5GiB", "99999999999TiB", "1 GiB"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_sizes_a_second() {
        for (text, bytes) in [("17", 17), ("500KiB", 500 << 10), ("10MiB/s", 10 << 20), ("12M", 12 << 20)] {
            assert_eq!(rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for bad in ["0", "0MiB/s", "/s", "10MiB/m", "10 MiB/s", "unlimited"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mirror_has_a_registry_on_both_sides() {
        for text in
            ["docker.io=m.example", "docker.io/library=m.example:5000/hub", "*.example.com=localhost:1/x"]
        {
            assert_eq!(mirror(text).map(|(a, b)| format!("{a}={b}")).as_deref(), Ok(text));
        }
        for bad in
            ["docker.io", "=m.example", "docker.io=", "no host/app=m.example", "docker.io=https://m.example"]
        {
            assert!(mirror(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_have_a_name() {
        assert_eq!(pair("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert_eq!(pair("A=").unwrap(), ("A".into(), String::new()));
        assert!(pair("=b").is_err() && pair("A").is_err());
    }

    #[test]
    fn none_at_all_is_not_a_number_of_transfers() {
        assert!(at_least_one("0").is_err() && at_least_one("x").is_err() && at_least_one("6").is_ok());
    }
}
