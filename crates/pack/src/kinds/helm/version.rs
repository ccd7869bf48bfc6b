//! Versions as Helm takes them, which is more than semantic versioning allows.

/// How well a version fits semantic versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `MAJOR.MINOR.PATCH` with what may follow.
    Strict,
    /// Helm takes it, with a `v`, with less than three numbers or with zeros before one; but lists of versions, which Helm
    /// makes of tags, go without.
    Loose,
    /// Helm does not take it.
    Wrong,
}

impl Version {
    pub(super) fn of(text: &str) -> Self {
        if text.len() > 256 || !text.is_ascii() {
            return Self::Wrong;
        }
        let (has_v, rest) = text.strip_prefix('v').map_or((false, text), |rest| (true, rest));
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(rest, pre)| (rest, Some(pre)));
        let numbers: Vec<&str> = numbers.split('.').collect();
        let is_number = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse::<u64>().is_ok()
        };
        let is_fine = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_pre = |part: &str| is_fine(part) && !has_zero(part);
        let fits = numbers.len() <= 3
            && numbers.iter().all(is_number)
            && pre.is_none_or(|pre| pre.split('.').all(is_pre))
            && build.is_none_or(|build| build.split('.').all(is_fine));
        match (fits, !has_v && numbers.len() == 3 && !numbers.iter().any(|part| has_zero(part))) {
            (false, _) => Self::Wrong,
            (true, true) => Self::Strict,
            (true, false) => Self::Loose,
        }
    }
}

/// Whether a number has a zero before it.
fn has_zero(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_strict_loose_or_wrong() {
        use Version::{Loose, Strict, Wrong};
        for (text, version) in [
            ("1.2.3", Strict),
            ("0.0.0-rc.1+build.01", Strict),
            ("1.2.3-0a.-", Strict),
            ("1.2.3--", Strict),
            ("v1.2.3", Loose),
            ("1.2", Loose),
            ("1", Loose),
            ("01.2.3", Loose),
            ("1.2-rc", Loose),
            ("", Wrong),
            ("1.2.3.4", Wrong),
            ("1.2.3-", Wrong),
            ("1.2.3+", Wrong),
            ("1.2.3-01", Wrong),
            ("1.2.3-a..b", Wrong),
            ("1.2.3+a b", Wrong),
            ("1.2.x", Wrong),
            ("V1.2.3", Wrong),
            ("latest", Wrong),
            ("99999999999999999999.0.0", Wrong),
            ("1.2.3+a+b", Wrong),
        ] {
            assert_eq!(Version::of(text), version, "{text:?}");
        }
    }
}
