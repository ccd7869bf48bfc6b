//! What stands before an entry and says more of it than its header can: PAX records, and GNU's long names.

use super::{Time, sparse, until_nul};

/// Why an extended header is refused.
#[derive(Debug)]
pub(super) enum Flaw {
    Invalid(&'static str),
    Unsupported(String),
}

/// Extended headers before one entry; of two of a sort the later counts.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) records: Option<Records>,
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
}

/// What PAX records say of an entry. An empty value takes back what an earlier one said.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<sparse::Records>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

/// The records before one entry.
pub(super) fn entry_records(bytes: &[u8]) -> Result<Records, Flaw> {
    let mut records = Records::default();
    for_each(bytes, |key, value| {
        match key {
            b"path" => records.path = Some(value.to_vec()).filter(|path| !path.is_empty()),
            b"linkpath" => records.link = Some(value.to_vec()).filter(|link| !link.is_empty()),
            b"size" => records.size = optional(value, decimal, "a PAX size is no number")?,
            b"uid" => records.uid = optional(value, decimal, "a PAX user ID is no number")?,
            b"gid" => records.gid = optional(value, decimal, "a PAX group ID is no number")?,
            b"mtime" => records.mtime = optional(value, time, "a PAX time is no number")?,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    if name.is_empty() {
                        return Err(Flaw::Invalid("an extended attribute has no name"));
                    }
                    records.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(word) = key.strip_prefix(SPARSE) {
                    records.sparse.get_or_insert_default().take(word, value).map_err(Flaw::Invalid)?;
                }
            }
        }
        Ok(())
    })?;
    // Of one name the later counts; the order among names means nothing.
    records.xattrs.reverse();
    records.xattrs.sort_by(|(a, _), (b, _)| a.cmp(b));
    records.xattrs.dedup_by(|(a, _), (b, _)| a == b);
    Ok(records)
}

/// Records for all entries that follow: none that changes one.
pub(super) fn check_global(bytes: &[u8]) -> Result<(), Flaw> {
    for_each(bytes, |key, _| {
        let changes = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime")
            || key.starts_with(XATTR)
            || key.starts_with(SPARSE);
        match changes {
            true => Err(Flaw::Unsupported(format!(
                "a PAX record for all entries that changes them ({})",
                String::from_utf8_lossy(key)
            ))),
            false => Ok(()),
        }
    })
}

/// A name in GNU's way.
#[expect(clippy::unnecessary_wraps, reason = "it is one of several that read an extended header")]
pub(super) fn long_name(bytes: &[u8]) -> Result<Vec<u8>, Flaw> {
    Ok(until_nul(bytes).to_vec())
}

/// Takes `LENGTH KEY=VALUE\n` apart, strictly.
fn for_each(mut bytes: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Flaw>) -> Result<(), Flaw> {
    const BROKEN: Flaw = Flaw::Invalid("a PAX record is malformed");
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let len = decimal(&bytes[..space]).and_then(|len| usize::try_from(len).ok()).ok_or(BROKEN)?;
        let record = bytes.get(space + 1..len).and_then(|record| record.strip_suffix(b"\n")).ok_or(BROKEN)?;
        let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or(BROKEN)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname" | b"GNU.sparse.name");
        if key.contains(&0) || is_text && value.contains(&0) {
            return Err(Flaw::Invalid("a PAX record holds a NUL"));
        }
        take(key, value)?;
        bytes = &bytes[len..];
    }
    Ok(())
}

fn optional<T>(
    value: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
    reason: &'static str,
) -> Result<Option<T>, Flaw> {
    match value {
        b"" => Ok(None),
        value => parse(value).map(Some).ok_or(Flaw::Invalid(reason)),
    }
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Seconds with a fraction, of which nine digits count.
fn time(text: &[u8]) -> Option<Time> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = dot.map_or((text, &b""[..]), |dot| (&text[..dot], &text[dot + 1..]));
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let digit = |at: usize| u32::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + digit(at));
    Some(match (is_negative, nanos) {
        (false, nanos) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos },
        (true, nanos) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_t23_times_have_fractions_and_may_be_negative() {
        for (text, time) in [
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("1.123456789999", Some((1, 123_456_789))),
            ("-1", Some((-1, 0))),
            ("-1.25", Some((-2, 750_000_000))),
            ("1000000000000000000", Some((1_000_000_000_000_000_000, 0))),
            ("3.", Some((3, 0))),
            ("", None),
            (".5", None),
            ("--1", None),
            ("1e9", None),
            ("1.-5", None),
            ("99999999999999999999", None),
        ] {
            let found = self::time(text.as_bytes()).map(|time| (time.seconds, time.nanos));
            assert_eq!(found, time, "{text}");
        }
    }

    #[test]
    fn case_t14_malformed_records_are_refused() {
        for bad in [
            &b"x"[..],
            b"5 a=",
            b"6 a=b",
            b"7 a=b\n",
            b"4 =\n",
            b"5 =b\n",
            b"5 ab\n",
            b"+6 a=b\n",
            b" 6 a=b\n",
            b"0 \n",
            b"6 a=b\n\0",
            b"99999999999999999999999 a=b\n",
            b"8 a\0=bc\n",
            b"10 path=\0\n",
            b"9 size=x\n",
            b"9 size=-\n",
            b"17 SCHILY.xattr.\n",
            b"18 SCHILY.xattr.=\n",
        ] {
            assert!(entry_records(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert!(entry_records(b"6 a=b\n").is_ok());
    }

    #[test]
    fn an_empty_value_takes_back_what_was_said_but_is_one_of_an_attribute() {
        let records = entry_records(b"9 size=7\n8 size=\n24 SCHILY.xattr.user.a=\n").unwrap();
        assert_eq!(records.size, None);
        assert_eq!(records.xattrs, [(b"user.a".to_vec(), vec![])]);
    }
}
