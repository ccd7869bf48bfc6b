//! When content was made: `SOURCE_DATE_EPOCH` and `created`.
//!
//! This crate never reads the clock or the environment: who calls it gives the time, or there is none. The order is: what
//! was asked for, else `SOURCE_DATE_EPOCH`, else 1970 for images and nothing for artifacts.

use jiff::Timestamp;

use crate::Error;

/// What an image says when nobody told when it was made.
pub const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// 0000-01-01T00:00:00Z, the first second that RFC 3339 can say.
const YEAR_ZERO: i64 = -62_167_219_200;

/// Reads the value of `SOURCE_DATE_EPOCH`: seconds since 1970, as digits and nothing else.
///
/// # Errors
/// [`Error::Option`].
///
/// ```
/// assert_eq!(transship_pack::source_date_epoch("1700000000")?, 1_700_000_000);
/// assert!(transship_pack::source_date_epoch("yesterday").is_err());
/// # Ok::<(), transship_pack::Error>(())
/// ```
pub fn source_date_epoch(text: &str) -> Result<i64, Error> {
    let refuse = || Error::option("SOURCE_DATE_EPOCH", text, "it takes seconds since 1970, in digits");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let seconds = text.parse().map_err(|_| refuse())?;
    Timestamp::from_second(seconds).map_err(|_| refuse())?;
    Ok(seconds)
}

/// When something was made, in UTC (RFC 3339); nothing when nobody told.
///
/// # Errors
/// [`Error::Option`] for a text that is no date with time and offset, or a number of seconds that no date has.
pub(crate) fn created(asked: Option<&str>, epoch: Option<i64>) -> Result<Option<String>, Error> {
    let time = match (asked, epoch) {
        (Some(text), _) => text.parse::<Timestamp>().map_err(|error| {
            Error::option("created", text, format!("it takes a date such as {UNKNOWN_TIME}; {error}"))
        })?,
        (None, Some(seconds)) => Timestamp::from_second(seconds)
            .map_err(|error| Error::option("SOURCE_DATE_EPOCH", &seconds.to_string(), error.to_string()))?,
        (None, None) => return Ok(None),
    };
    if time.as_second() < YEAR_ZERO {
        return Err(Error::option("created", &time.to_string(), "RFC 3339 has no such year"));
    }
    Ok(Some(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img_92_times_are_those_of_rfc_3339_in_utc() {
        for (asked, epoch, time) in [
            (Some("2024-02-29T12:00:00Z"), None, Some("2024-02-29T12:00:00Z")),
            (Some("2024-02-29T12:00:00+02:00"), Some(5), Some("2024-02-29T10:00:00Z")),
            (Some("2024-02-29T12:00:00.5Z"), None, Some("2024-02-29T12:00:00.5Z")),
            (None, Some(1_700_000_000), Some("2023-11-14T22:13:20Z")),
            (None, Some(0), Some(UNKNOWN_TIME)),
            (None, None, None),
        ] {
            assert_eq!(created(asked, epoch).unwrap().as_deref(), time, "{asked:?} {epoch:?}");
        }
        for bad in
            ["yesterday", "", "2024-02-30T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00", "1700000000"]
        {
            assert!(created(Some(bad), None).is_err(), "{bad}");
        }
        assert!(created(None, Some(i64::MAX)).is_err());
        assert!(created(None, Some(-100_000_000_000)).is_err());
    }

    #[test]
    fn source_date_epoch_is_digits_and_nothing_else() {
        assert_eq!(source_date_epoch("0").unwrap(), 0);
        for bad in ["", "-1", "+1", " 1", "1.5", "0x10", "99999999999999999999", "999999999999999"] {
            assert!(source_date_epoch(bad).is_err(), "{bad}");
        }
    }
}
