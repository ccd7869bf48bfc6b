//! What may be shown of what must not be seen.
//!
//! Every URL and every text of a server passes through here before it enters an error, an event or a log line:
//! credentials, tokens and signatures of pre-signed URLs are replaced by `***`, control characters are removed, and
//! texts are cut. Values of query parameters are shown only where they are known to be harmless.

use std::fmt;

use url::Url;

/// Query parameters of the distribution and token protocols whose values hold no secret.
const HARMLESS: [&str; 10] =
    ["artifactType", "digest", "digest-algorithm", "from", "last", "mount", "n", "ns", "scope", "service"];

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A text that is never shown: neither `Debug` nor any error or log line holds it.
///
/// ```
/// let secret = transship_registry::Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.reveal(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text` from view.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A URL as it may be shown: no user information, no fragment, unknown query values hidden.
pub(crate) fn url(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    let mut text = shown.to_string();
    for (number, (name, value)) in url.query_pairs().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(&tidy(&name, 64));
        text.push('=');
        text.push_str(&if HARMLESS.contains(&&*name) { tidy(&value, 256) } else { HIDDEN.to_owned() });
    }
    text
}

/// A text of a server as it may be shown: control characters become spaces, runs of blanks one blank, at most `limit`
/// characters.
pub(crate) fn tidy(text: &str, limit: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut shown = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.extend(word.chars().filter(|c| !is_deceptive(*c)));
        if shown.chars().count() > limit {
            return shown.chars().take(limit).chain(['…']).collect();
        }
    }
    shown
}

/// `text` with every one of `secrets` hidden: a server may echo what it was sent.
pub(crate) fn scrub(mut text: String, secrets: &[&str]) -> String {
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        if text.contains(secret) {
            text = text.replace(secret, HIDDEN);
        }
    }
    text
}

/// Characters that turn the direction of text around or take no room, and so can make a message lie.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_an_unknown_parameter_holds_is_never_shown(name in "[a-zA-Z_-]{1,12}", value in "SECRET[a-zA-Z0-9+/=&?;é ]{0,20}") {
            let mut text = Url::parse("https://r.example/x").unwrap();
            text.query_pairs_mut().append_pair(&name, &value);
            prop_assert!(HARMLESS.contains(&&*name) || !url(&text).contains("SECRET"));
        }

        #[test]
        fn what_is_tidied_has_no_control_characters_and_is_short(text: String, limit in 0usize..200) {
            let shown = tidy(&text, limit);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= limit + 1);
        }
    }

    fn shown(text: &str) -> String {
        url(&Url::parse(text).unwrap())
    }

    #[test]
    fn dist_113_signatures_tokens_and_passwords_of_urls_are_hidden() {
        assert_eq!(
            shown("https://u:pw@s3.example/x?X-Amz-Signature=abc&X-Amz-Date=1#frag"),
            "https://s3.example/x?X-Amz-Signature=***&X-Amz-Date=***"
        );
        assert_eq!(
            shown("https://r.example/v2/a/blobs/uploads/1?_state=abc"),
            "https://r.example/v2/a/blobs/uploads/1?_state=***"
        );
        assert_eq!(
            shown("https://r.example/v2/a/blobs/uploads/?mount=sha256:ab&from=b"),
            "https://r.example/v2/a/blobs/uploads/?mount=sha256:ab&from=b"
        );
    }

    #[test]
    fn dist_100_texts_of_servers_lose_their_control_characters_and_are_cut() {
        assert_eq!(tidy("a\u{1b}[31m b\r\n\tc\u{202e}d", 100), "a [31m b cd");
        assert_eq!(tidy(&"x".repeat(50), 10), "xxxxxxxxxx…");
        assert_eq!(tidy("", 10), "");
    }

    #[test]
    fn a_secret_that_a_server_echoes_is_hidden() {
        assert_eq!(scrub("token abcdef is bad".to_owned(), &["abcdef", "is"]), "token *** is bad");
    }
}
