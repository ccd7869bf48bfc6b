//! Which tags are meant: by a pattern, by a range of versions, or by a regular expression.

use std::fmt;

use regex::{Regex, RegexBuilder};
use semver::{BuildMetadata, Version, VersionReq};

use super::Pattern;
use crate::{Error, Result};

/// The largest compiled form of a regular expression, in bytes.
const LARGEST: usize = 1 << 20;

/// A rule that fits some tags: a [`Pattern`], `semver:` and a range of [`version`]s, or `regex:` and a regular expression
/// that must fit the whole tag. No tag holds a colon, so that nothing is meant in two ways.
///
/// A range is written as in Cargo: `>=1.2, <2`, `~1.4`, `^1`, `1.2.*`. A version before a release (`2.0.0-rc1`) is only
/// in a range that names one of the same release.
///
/// ```
/// use transship_copy::names::Choice;
///
/// assert!(Choice::parse("v1.*")?.fits("v1.2-rc3"));
/// assert!(Choice::parse("semver:>=1.2, <2")?.fits("v1.10"));
/// assert!(!Choice::parse("semver:>=1.2, <2")?.fits("2.0.0-rc1"));
/// assert!(Choice::parse("regex:v[0-9]+")?.fits("v12"));
/// # Ok::<(), transship_copy::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Choice {
    /// `*` stands for anything.
    Pattern(Pattern),
    /// The versions of a range.
    Versions(VersionReq),
    /// What a regular expression fits from end to end.
    Regex(Regex),
}

impl Choice {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`Error::Pattern`] and [`Error::Choice`] say what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |reason: String| Error::Choice { text: text.to_owned(), reason };
        if let Some(range) = text.strip_prefix("semver:") {
            let range = VersionReq::parse(range).map_err(|error| refuse(error.to_string()))?;
            return Ok(Self::Versions(range));
        }
        let Some(expression) = text.strip_prefix("regex:") else {
            return Ok(Self::Pattern(Pattern::parse(text)?));
        };
        let build = |expression: &str| RegexBuilder::new(expression).size_limit(LARGEST).build();
        // By itself first: what closes more brackets than it opens must not get at what stands around it.
        let whole = build(expression).and_then(|_| build(&format!("^(?:{expression})$")));
        Ok(Self::Regex(whole.map_err(|error| refuse(last_line(&error)))?))
    }

    /// Whether a tag is meant.
    #[must_use]
    pub fn fits(&self, tag: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(tag),
            Self::Versions(range) => version(tag).is_some_and(|version| range.matches(&version)),
            Self::Regex(expression) => expression.is_match(tag),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Versions(range) => write!(f, "semver:{range}"),
            Self::Regex(expression) => write!(f, "regex:{expression}"),
        }
    }
}

/// What is wrong with a regular expression, without the drawing of where.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The version that a tag names: one to three numbers, maybe after a `v`, maybe with what stands before a release
/// (`-rc1`) or tells a build (`_5`, as charts have it, since no tag holds a `+`). What is not there is zero, and builds
/// make no difference.
///
/// ```
/// use transship_copy::names::version;
///
/// assert_eq!(version("v1.2").map(|version| version.to_string()).as_deref(), Some("1.2.0"));
/// assert!(version("1.2.0-rc1") < version("1.2.0"));
/// assert_eq!(version("latest"), None);
/// ```
#[must_use]
pub fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let end = text.find(['-', '_', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 2usize.checked_sub(numbers.matches('.').count())?;
    let whole = format!("{numbers}{}{}", ".0".repeat(missing), rest.replacen('_', "+", 1));
    let version = Version::parse(&whole).ok()?;
    Some(Version { build: BuildMetadata::EMPTY, ..version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_versions_or_not() {
        for (tag, wanted) in [
            ("1", Some("1.0.0")),
            ("v3.20", Some("3.20.0")),
            ("1.2.3", Some("1.2.3")),
            ("1.2-alpine", Some("1.2.0-alpine")),
            ("1.2.3-rc.1_5", Some("1.2.3-rc.1")),
            ("1.2.3_5", Some("1.2.3")),
            ("20240115", Some("20240115.0.0")),
            ("2024.01.15", None),
            ("1.2.3.4", None),
            ("v", None),
            ("", None),
            ("vv1", None),
            ("latest", None),
            ("1..2", None),
        ] {
            assert_eq!(version(tag).map(|version| version.to_string()).as_deref(), wanted, "{tag}");
        }
    }

    #[test]
    fn rules_fit_whole_tags() {
        for (rule, fits, does_not) in [
            ("semver:>=1.2,<2", &["1.2", "v1.99.1"][..], &["1.1.9", "2", "latest", "1.3.0-rc1"][..]),
            ("semver:~1.4", &["1.4.0", "v1.4.9"], &["1.5"]),
            ("semver:>=1.2.0-rc1", &["1.2.0-rc2", "1.2.0"], &["1.2.0-beta", "1.3.0-rc1"]),
            ("semver:*", &["7"], &["stable"]),
            ("regex:1|2", &["1", "2"], &["12", "1a", "b2"]),
            ("regex:(?i)V[0-9]+", &["v1"], &["v1.0"]),
            ("v*", &["v1"], &["1"]),
        ] {
            let rule = Choice::parse(rule).unwrap();
            assert!(fits.iter().all(|tag| rule.fits(tag)), "{rule}");
            assert!(!does_not.iter().any(|tag| rule.fits(tag)), "{rule}");
        }
    }

    #[test]
    fn rules_that_are_none_say_why() {
        for (rule, words) in [
            ("semver:", "unexpected end of input"),
            ("semver:>=x", "unexpected character"),
            ("regex:(", "unclosed group"),
            ("regex:a)(b", "unopened group"),
            ("regex:(a{1000}){1000}", "size limit"),
            ("", "it is empty"),
        ] {
            let error = Choice::parse(rule).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.kind(), transship_spec::Kind::Usage);
        }
    }
}
