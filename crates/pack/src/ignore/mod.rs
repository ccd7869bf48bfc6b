//! Files of patterns that say what is left out: `.dockerignore` and `.containerignore`.
//!
//! The rules are those by which Docker, BuildKit and Podman read them:
//! - One pattern a line. A line that begins with `#` is a comment; space around a pattern does not count, nor do `.`, `..`
//!   and slashes that are no separators: `/a//b/` is `a/b`.
//! - Patterns are of whole paths from the top: `*.tmp` is a name at the top, `**/*.tmp` one anywhere. `*`, `?` stop at
//!   slashes, `**` does not; `[a-z]` and `[^a-z]` are one character; `\` takes what follows as it is.
//! - A pattern matches a path with all that lies beneath it. One that begins with `!` takes in again, and of all that match
//!   a path the last one counts. Folders that lead to what is taken in again come with it.
//! - `.` and `/` are no patterns of anything.

mod pattern;

use crate::Error;
use pattern::Pattern;

/// A file of patterns that say what is left out.
///
/// ```
/// use transship_pack::{Excludes, Ignore};
///
/// let ignore = Ignore::parse(b"# all but one\nnode_modules\n!node_modules/kept\n")?;
/// let excludes = Excludes::default().and(ignore);
/// assert!(Ignore::parse(b"[a-").is_err());
/// # Ok::<(), transship_pack::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<(Effect, Pattern)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Out,
    In,
}

impl Ignore {
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`Error::Option`] for a pattern that is none, with its line.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let mut patterns = Vec::new();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            patterns.extend(read(text).map_err(|reason| {
                let shown = String::from_utf8_lossy(text);
                Error::option("a pattern", shown.trim(), format!("line {line}: {reason}"))
            })?);
        }
        Ok(Self { patterns })
    }

    /// Whether a path from the top, without a slash at its end, is left out; all that leads to it may be what is matched.
    pub(crate) fn leaves_out(&self, path: &[u8]) -> bool {
        let mut effect = Effect::In;
        for (own, pattern) in &self.patterns {
            if *own != effect && pattern.matches_or_leads(path) {
                effect = *own;
            }
        }
        effect == Effect::Out
    }

    /// Whether something beneath a folder that is left out may be taken in again.
    pub(crate) fn may_take_in_beneath(&self, folder: &[u8]) -> bool {
        self.patterns.iter().any(|(effect, pattern)| *effect == Effect::In && pattern.may_lie_beneath(folder))
    }
}

fn read(line: &[u8]) -> Result<Option<(Effect, Pattern)>, &'static str> {
    let text = line.trim_ascii();
    if line.starts_with(b"#") || text.is_empty() {
        return Ok(None);
    }
    let (effect, text) = match text.strip_prefix(b"!") {
        Some(text) => (Effect::In, text.trim_ascii()),
        None => (Effect::Out, text),
    };
    if text.is_empty() {
        return Err("it takes in nothing; write a pattern behind the !");
    }
    let path = cleaned(text);
    if path.is_empty() { Ok(None) } else { Ok(Some((effect, Pattern::new(&path)?))) }
}

/// A pattern's path without what does not count.
fn cleaned(text: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in text.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if text.starts_with(b"/") => {}
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row is a file, a path, and whether it is left out; documented or tried with moby's patternmatcher.
    #[test]
    fn patterns_leave_out_what_docker_says() {
        for (text, path, out) in [
            // From Docker's documentation of .dockerignore files.
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "somedir/temp", true),
            ("*/temp*", "temporary.txt", false),
            ("*/*/temp*", "somedir/subdir/temporary.txt", true),
            ("*/*/temp*", "somedir/temporary.txt", false),
            ("temp?", "tempa", true),
            ("temp?", "tempab", false),
            ("temp?", "temp", false),
            ("/foo/bar", "foo/bar", true),
            ("foo/bar", "foo/bar", true),
            ("foo/bar/", "foo/bar", true),
            ("**/*.go", "a.go", true),
            ("**/*.go", "d/e/a.go", true),
            ("*.md\n!README.md", "CONTRIBUTING.md", true),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-public.md", false),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("# comment\n*/temp*", "# comment", false),
            // A name without a slash is one at the top.
            ("*.pyc", "a.pyc", true),
            ("*.pyc", "d/a.pyc", false),
            ("node_modules", "node_modules/x/y.js", true),
            ("node_modules", "app/node_modules", false),
            ("**/node_modules", "app/node_modules/x", true),
            // All beneath.
            ("docs", "docs/a/b", true),
            ("docs\n!docs/a", "docs/a/b", false),
            ("docs\n!docs/a", "docs/b", true),
            ("docs\n!docs/a\ndocs/a/b", "docs/a/b/c", true),
            ("!docs\ndocs", "docs", true),
            ("*\n!bin", "bin/app", false),
            ("*\n!bin", "etc", true),
            ("**\n!**/*.md", "a/b/c.md", false),
            ("**\n!**/*.md", "a/b/c.txt", true),
            // Two stars.
            ("**", "a", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/a", "xa", false),
            ("**a", "xa", true),
            ("**a?", "xab", false),
            ("**a", "x/a", true),
            ("a**", "abc/d", true),
            ("**/**/b", "b", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxa", false),
            // Classes and escapes.
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[^a-c]x", "dx", true),
            ("[a\\-b]x", "-x", true),
            ("[\\]]x", "]x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\!a", "!a", true),
            ("a.b", "aXb", false),
            ("a$+(b)", "a$+(b)", true),
            ("?x", "\u{e4}x", true),
            ("[\u{e4}]x", "\u{e4}x", true),
            ("{a,b}", "a", false),
            // Space, slashes and dots that do not count.
            ("  a  ", "a", true),
            ("\ta\r\n", "a", true),
            ("! a\n*\n! b", "b", false),
            ("./a//b/../c/", "a/c", true),
            ("/../a", "a", true),
            ("../a", "a", false),
            (" # a", "# a", true),
            ("#a", "#a", false),
            ("\u{feff}a", "a", true),
            (".", "a", false),
            ("/", "a", false),
            ("a/..", "b", false),
            ("", "a", false),
            ("\n\n\n", "a", false),
            ("A", "a", false),
        ] {
            let ignore = Ignore::parse(text.as_bytes()).unwrap();
            assert_eq!(ignore.leaves_out(path.as_bytes()), out, "{text:?} {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named_with_its_line() {
        for (text, line) in [
            ("a\n[a", "line 2: "),
            ("[]a]", "line 1: "),
            ("[]", "line 1: "),
            ("[a-]", "line 1: "),
            ("[-a]", "line 1: "),
            ("[c-a]", "line 1: "),
            ("a\\", "line 1: "),
            ("\n!\n", "line 2: "),
            ("!  ", "line 1: "),
        ] {
            let error = Ignore::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), transship_spec::Kind::Usage);
            assert!(error.to_string().contains(line), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_folder_is_looked_into_only_where_something_may_be_taken_in() {
        for (text, folder, may) in [
            ("*", "a", false),
            ("*\n!a/b", "a", true),
            ("*\n!a/b", "c", false),
            ("*\n!a/b/c", "a/b", true),
            ("*\n!ab", "a", false),
            ("*\n!**/b", "c", true),
            ("*\n!*/b", "c", true),
        ] {
            let ignore = Ignore::parse(text.as_bytes()).unwrap();
            assert_eq!(ignore.may_take_in_beneath(folder.as_bytes()), may, "{text:?} {folder}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let ignore = Ignore::parse("**/a*b/".repeat(30).as_bytes()).unwrap();
        assert!(!ignore.leaves_out("a/".repeat(2000).as_bytes()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_patterns_or_refused(text: Vec<u8>, path: Vec<u8>) {
            if let Ok(ignore) = Ignore::parse(&text) {
                ignore.leaves_out(&path);
                ignore.may_take_in_beneath(&path);
            }
        }
    }
}
