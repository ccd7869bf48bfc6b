//! The `Link` header of paged listings (DIST-82, DIST-87; RFC 8288).

/// The target of the first link whose relation is `next`, among the values of all `Link` headers.
///
/// Broken values give nothing: a listing then ends. Nothing is resolved or checked here.
pub(crate) fn next<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<String> {
    values
        .into_iter()
        .find_map(|value| Links { rest: value }.find(Link::is_next).map(|link| link.target.to_owned()))
}

/// One `<target>; name=value; …`.
struct Link<'a> {
    target: &'a str,
    relations: Vec<String>,
}

impl Link<'_> {
    fn is_next(&self) -> bool {
        self.relations.iter().any(|relation| relation.eq_ignore_ascii_case("next"))
    }
}

/// Walks over the links of one header value.
struct Links<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        let start = self.rest.find('<')?;
        let after = &self.rest[start + 1..];
        let end = after.find('>')?;
        let target = after[..end].trim();
        self.rest = &after[end + 1..];
        let mut relations = Vec::new();
        while let Some(after) = self.rest.trim_start().strip_prefix(';') {
            let (name, value, rest) = parameter(after);
            if name.eq_ignore_ascii_case("rel") {
                relations.extend(value.split_ascii_whitespace().map(str::to_owned));
            }
            self.rest = rest;
        }
        Some(Link { target, relations })
    }
}

/// Reads `name`, `name=token` or `name="text"`, and gives what is left.
fn parameter(text: &str) -> (&str, String, &str) {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let name = text[..end].trim();
    let Some(value) = text[end..].strip_prefix('=') else {
        return (name, String::new(), &text[end..]);
    };
    let value = value.trim_start();
    if let Some(quoted) = value.strip_prefix('"') {
        return quoted_value(name, quoted);
    }
    let end = value.find([';', ',']).unwrap_or(value.len());
    (name, value[..end].trim().to_owned(), &value[end..])
}

fn quoted_value<'a>(name: &'a str, quoted: &'a str) -> (&'a str, String, &'a str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (name, value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    (name, value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dist_82_the_next_page_is_found_in_every_form_of_link() {
        for (value, target) in [
            (r#"</v2/a/tags/list?last=x&n=2>; rel="next""#, "/v2/a/tags/list?last=x&n=2"),
            ("<https://r.example/v2/a/tags/list?n=2>;rel=next", "https://r.example/v2/a/tags/list?n=2"),
            (r#"<a>; rel="prev", <b>; title="x, <y>; rel=next"; REL="Next last""#, "b"),
            (r#"<?n=1>; title="quote \" here"; rel="next""#, "?n=1"),
        ] {
            assert_eq!(next([value]).as_deref(), Some(target), "{value}");
        }
    }

    #[test]
    fn dist_82_other_and_broken_links_give_nothing() {
        for value in
            ["", "<", "<a", "<a>", "<a>; rel", r#"<a>; rel="prev""#, r#"<a>; rel="next"#, "a; rel=next"]
        {
            let expected = value.ends_with(r#""next"#).then_some("a");
            assert_eq!(next([value]).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn dist_82_several_headers_are_one_list() {
        assert_eq!(next(["<a>; rel=prev", "<b>; rel=next"]).as_deref(), Some("b"));
    }

    proptest! {
        #[test]
        fn no_link_header_makes_the_parser_panic(value in r#"[<>;,="\\ a-zé]{0,40}"#, any in ".{0,60}") {
            let _ = next([value.as_str(), any.as_str()]);
        }
    }
}
