//! What a registry asks for: the `WWW-Authenticate` header (DIST-105; RFC 9110, section 11).
//!
//! A tokenizer, because commas, colons and equal signs stand inside of quotes, several challenges stand in one header,
//! and several headers in one answer. Broken input gives what could be read of it, never a panic.

use crate::redact;

/// A challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token of the server at `realm`.
    Bearer {
        /// The address of the token server.
        realm: String,
        /// The name under which the token server knows the registry.
        service: Option<String>,
        /// The scopes that the registry wants, apart.
        scopes: Vec<String>,
    },
    /// User and password.
    Basic,
}

impl Challenge {
    /// Leaves only what holds for every request to the registry.
    pub(crate) fn forget_scopes(&mut self) {
        if let Self::Bearer { scopes, .. } = self {
            scopes.clear();
        }
    }
}

/// The best challenge of all headers: Bearer with a realm, then Basic. If there is none, the names of the schemes that
/// were offered.
pub(crate) fn choose<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Challenge, Vec<String>> {
    let mut basic = false;
    let mut schemes = Vec::new();
    for offer in values.into_iter().flat_map(parse).take(MOST_CHALLENGES) {
        if offer.is("bearer")
            && let Some(realm) = offer.parameter("realm").filter(|realm| !realm.is_empty())
        {
            let scopes = offer.parameter("scope").unwrap_or_default();
            return Ok(Challenge::Bearer {
                realm: realm.to_owned(),
                service: offer.parameter("service").map(str::to_owned),
                scopes: scopes.split_ascii_whitespace().map(str::to_owned).collect(),
            });
        }
        basic |= offer.is("basic");
        schemes.push(redact::tidy(offer.scheme, 32));
    }
    if basic { Ok(Challenge::Basic) } else { Err(schemes) }
}

/// Challenges beyond these are not read (case R15).
const MOST_CHALLENGES: usize = 32;

/// One challenge of a header as it stands there.
#[derive(Debug, PartialEq, Eq)]
struct Offer<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Offer<'_> {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// Reads one header value.
///
/// A word before an equal sign is a parameter of the challenge under way; a word before anything else begins a new
/// challenge. A `token68`, as Negotiate has it, is a word that is followed by nothing or by equal signs only.
fn parse(value: &str) -> Vec<Offer<'_>> {
    let tokens: Vec<Token<'_>> = Tokens { rest: value }.collect();
    let mut offers: Vec<Offer<'_>> = Vec::new();
    let mut at = 0;
    let mut after_comma = true;
    while at < tokens.len() && offers.len() <= MOST_CHALLENGES {
        match (&tokens[at], tokens.get(at + 1), tokens.get(at + 2)) {
            (Token::Word(name), Some(Token::Equals), Some(Token::Word(text))) => {
                push_parameter(&mut offers, name, (*text).to_owned());
                at += 3;
            }
            (Token::Word(name), Some(Token::Equals), Some(Token::Quoted(text))) => {
                push_parameter(&mut offers, name, text.clone());
                at += 3;
            }
            (Token::Word(name), next, _) => {
                let begins = after_comma || matches!(next, Some(Token::Word(_)));
                if begins && !matches!(next, Some(Token::Equals)) {
                    offers.push(Offer { scheme: name, parameters: Vec::new() });
                }
                at += 1;
            }
            _ => at += 1,
        }
        after_comma = matches!(tokens.get(at.wrapping_sub(1)), Some(Token::Comma));
    }
    offers
}

fn push_parameter<'a>(offers: &mut [Offer<'a>], name: &'a str, value: String) {
    const MOST_PARAMETERS: usize = 32;
    if let Some(offer) = offers.last_mut().filter(|offer| offer.parameters.len() < MOST_PARAMETERS) {
        offer.parameters.push((name, value));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(String),
    Equals,
    Comma,
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        match first {
            ',' | '=' => {
                self.rest = &self.rest[1..];
                Some(if first == ',' { Token::Comma } else { Token::Equals })
            }
            '"' => Some(self.quoted()),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '=' | '"');
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(Token::Word(word))
            }
        }
    }
}

impl<'a> Tokens<'a> {
    /// Reads from a quote to its partner; without one, to the end.
    fn quoted(&mut self) -> Token<'a> {
        let mut text = String::new();
        let inside = &self.rest[1..];
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &inside[at + 1..];
                    return Token::Quoted(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                _ => text.push(c),
            }
        }
        self.rest = "";
        Token::Quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Result<Challenge, Vec<String>> {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Ok(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), scopes })
    }

    #[test]
    fn dist_105_bearer_challenges_are_read_in_every_form() {
        let realm = "https://auth.docker.io/token";
        for (values, expected) in [
            (
                vec![
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                ],
                bearer(realm, Some("registry.docker.io"), &["repository:a/b:pull,push"]),
            ),
            (vec![r#"bearer realm="https://auth.docker.io/token""#], bearer(realm, None, &[])),
            (
                vec![r#"BEARER  realm = "https://auth.docker.io/token" , service=plain"#],
                bearer(realm, Some("plain"), &[]),
            ),
            (
                vec![r#"Bearer realm="a,b",service="x=y, Basic realm=z""#],
                bearer("a,b", Some("x=y, Basic realm=z"), &[]),
            ),
            (
                vec![
                    r#"Bearer realm="r",scope="repository:a:pull repository:b:pull",error="insufficient_scope""#,
                ],
                bearer("r", None, &["repository:a:pull", "repository:b:pull"]),
            ),
            (vec![r#"Basic realm="x""#, r#"Bearer realm="r""#], bearer("r", None, &[])),
            (
                vec![r#"Negotiate, Basic realm="x", Bearer realm="r",service="s""#],
                bearer("r", Some("s"), &[]),
            ),
            (vec![r#"Negotiate YIIZa+/==, Bearer realm="r""#], bearer("r", None, &[])),
            (vec![r#"Bearer realm="a \"quoted\" one""#], bearer(r#"a "quoted" one"#, None, &[])),
            (vec![r#"Bearer service="s",realm=https://h/token"#], bearer("https://h/token", Some("s"), &[])),
            (vec![r#"Bearer realm="r",,service="s""#], bearer("r", Some("s"), &[])),
            (vec![r#"Bearer realm="unterminated"#], bearer("unterminated", None, &[])),
        ] {
            assert_eq!(choose(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn dist_112_basic_is_taken_where_bearer_cannot_be() {
        for value in [
            r#"Basic realm="Registry""#,
            "basic",
            r#"Bearer service="no realm", Basic realm="x""#,
            "NTLM, Basic",
        ] {
            assert_eq!(choose([value]), Ok(Challenge::Basic), "{value}");
        }
    }

    #[test]
    fn dist_105_what_cannot_be_answered_is_named() {
        assert_eq!(choose(["Negotiate, NTLM"]), Err(vec!["Negotiate".to_owned(), "NTLM".to_owned()]));
        assert_eq!(choose([""]), Err(vec![]));
        assert_eq!(choose([r#"Bearer realm="""#]), Err(vec!["Bearer".to_owned()]));
    }

    #[test]
    fn r15_a_hundred_challenges_are_not_all_read() {
        let many = r#"Digest realm="x", "#.repeat(100);
        assert_eq!(choose([many.as_str()]).unwrap_err().len(), MOST_CHALLENGES);
    }

    proptest! {
        #[test]
        fn no_challenge_makes_the_parser_panic(value in r#"[A-Za-z=,"\\ é:/]{0,80}"#, any in ".{0,80}") {
            let _ = choose([value.as_str(), any.as_str()]);
        }

        #[test]
        fn every_quoted_realm_is_read_back(realm in "[ -~]{1,40}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(choose([format!("Bearer realm=\"{quoted}\"").as_str()]), bearer(&realm, None, &[]));
        }
    }
}
