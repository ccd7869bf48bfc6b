//! Patterns of names, and rules that make names of names.

use std::fmt;

use super::Called;
use crate::{Error, Result};

/// A pattern of names: `*` stands for anything within one component of a path, `**` for anything at all.
///
/// ```
/// use transship_copy::names::Pattern;
///
/// assert!(Pattern::parse("v1.*")?.matches("v1.2-rc3"));
/// assert!(!Pattern::parse("v1.*")?.matches("v10"));
/// # Ok::<(), transship_copy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The most stars that a pattern may hold: they decide how long matching can take.
    const MOST_STARS: usize = 8;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`Error::Pattern`] when it is empty or holds more than 8 stars.
    pub fn parse(text: &str) -> Result<Self> {
        match stars(text) {
            _ if text.is_empty() => Err(Error::Pattern { text: text.to_owned(), reason: "it is empty" }),
            stars if stars > Self::MOST_STARS => {
                Err(Error::Pattern { text: text.to_owned(), reason: "it holds more than 8 stars" })
            }
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Whether the pattern fits the whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        fits(&self.0, name, &mut Vec::new())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rule `FROM=TO`. In FROM, `*` stands for anything within one component of a path and `**` for anything at all; in TO,
/// each `*` or `**` is what the one at its place in FROM stood for.
///
/// FROM is compared with the full reference of the source, without its tag unless FROM has one; with the short name where
/// there is nothing else. TO is a path below the destination's prefix, or a full reference in the same registry; where it
/// has no tag, the source's is kept.
///
/// ```
/// use transship_copy::names::{Called, Map};
/// use transship_spec::Reference;
///
/// let map = Map::parse("docker.io/library/*=base/*")?;
/// let called = Called::full(&Reference::parse("alpine:3.20")?);
/// assert_eq!(map.apply(&called).as_deref(), Some("base/alpine"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    from: Pattern,
    to: String,
}

impl Map {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`Error::Map`] and [`Error::Pattern`] say what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |reason| Err(Error::Map { text: text.to_owned(), reason });
        let Some((from, to)) = text.split_once('=') else {
            return refuse("it is not FROM=TO");
        };
        if to.is_empty() {
            return refuse("nothing follows the =");
        }
        if stars(to) > stars(from) {
            return refuse("it has more stars after the = than before");
        }
        Ok(Self { from: Pattern::parse(from)?, to: to.to_owned() })
    }

    /// What the rule makes of a name, if it fits.
    #[must_use]
    pub fn apply(&self, called: &Called) -> Option<String> {
        let tagged = self.from.0.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let text = match &called.full {
            Some(full) if tagged => full.to_string(),
            Some(full) => full.without_version().to_string(),
            None => called.short.clone()?,
        };
        let mut captured = Vec::new();
        fits(&self.from.0, &text, &mut captured).then(|| fill(&self.to, &captured))
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

fn stars(pattern: &str) -> usize {
    pattern.replace("**", "*").matches('*').count()
}

/// Whether the pattern fits the whole text; what its stars stood for is left in `captured`.
fn fits<'a>(pattern: &str, text: &'a str, captured: &mut Vec<&'a str>) -> bool {
    let Some(star) = pattern.find('*') else { return pattern == text };
    let (head, rest) = pattern.split_at(star);
    let Some(text) = text.strip_prefix(head) else { return false };
    let (any, rest) = match rest.strip_prefix("**") {
        Some(rest) => (true, rest),
        None => (false, &rest[1..]),
    };
    let depth = captured.len();
    let longest = if any { text.len() } else { text.find('/').unwrap_or(text.len()) };
    let ends = (0..=longest).rev().filter(|end| text.is_char_boundary(*end));
    for end in ends {
        captured.truncate(depth);
        captured.push(&text[..end]);
        if fits(rest, &text[end..], captured) {
            return true;
        }
    }
    captured.truncate(depth);
    false
}

fn fill(pattern: &str, captured: &[&str]) -> String {
    let pattern = pattern.replace("**", "*");
    let mut captured = captured.iter();
    let parts: Vec<&str> = pattern.split('*').collect();
    let mut text = parts.first().copied().unwrap_or_default().to_owned();
    for part in parts.iter().skip(1) {
        text.push_str(captured.next().unwrap_or(&""));
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use transship_spec::Reference;

    use super::*;

    fn full(text: &str) -> Called {
        Called::full(&Reference::parse(text).unwrap())
    }

    #[test]
    fn ill_formed_maps_are_refused() {
        for bad in ["", "a", "a=", "=b", "a=*", "*a*a*a*a*a*a*a*a*=a", "a*=**/*"] {
            assert!(Map::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stars_stop_at_a_slash_and_two_do_not() {
        let apply = |map: &str, name: &str| Map::parse(map).unwrap().apply(&full(name));
        assert_eq!(apply("h.example/*=x/*", "h.example/a/b:1"), None);
        assert_eq!(apply("h.example/**=x/**", "h.example/a/b:1").as_deref(), Some("x/a/b"));
        assert_eq!(apply("*/*/b=*-*", "h.example/a/b:1").as_deref(), Some("h.example-a"));
        assert_eq!(apply("**:v*=k:*", "h.example/a:v1"), Some("k:h.example/a".into()));
    }
}
