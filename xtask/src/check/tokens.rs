//! Rust source as tokens: enough to see what a file names, without parsing it.
//!
//! Comments and strings are no names, and what is under `#[cfg(test)]` or `#[test]` can be cut off first. Groups of a `use`
//! are spelled out (`std::{fs, io}` gives `std::fs` and `std::io`). Not followed: renames, and names that macros glue together.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path as it stands in the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Its segments; a glob is `*`.
    pub(super) segments: Vec<String>,
    /// Whether a macro is called by it.
    pub(super) called: bool,
    /// Where it begins, counted from 1.
    pub(super) line: usize,
}

impl Name {
    /// Whether it is `path` or lies within it.
    pub(super) fn is_within(&self, path: &[&str]) -> bool {
        self.segments.len() >= path.len()
            && self.segments.iter().zip(path).all(|(segment, part)| segment == part)
    }

    /// Whether a segment of it is `word`.
    pub(super) fn has(&self, word: &str) -> bool {
        self.segments.iter().any(|segment| segment == word)
    }
}

/// All that a file names, in order.
pub(super) fn names(tokens: TokenStream) -> Vec<Name> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(_) => at = name(&tokens, at, &mut names),
            TokenTree::Group(group) => {
                names.extend(self::names(group.stream()));
                at += 1;
            }
            _ => at += 1,
        }
    }
    names
}

/// Reads the path that begins at `at`; returns where it ends.
fn name(tokens: &[TokenTree], mut at: usize, names: &mut Vec<Name>) -> usize {
    let line = tokens[at].span().start().line;
    let mut segments = vec![tokens[at].to_string()];
    at += 1;
    while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                names.extend(self::names(group.stream()).into_iter().map(|name| within(&segments, name)));
                return at + 3;
            }
            _ => break,
        }
        at += 3;
    }
    let called = is_punct(tokens.get(at), '!') && !is_punct(tokens.get(at + 1), '=');
    names.push(Name { segments, called, line });
    at
}

/// A name from the group of a `use`, with what stands before the group.
fn within(prefix: &[String], name: Name) -> Name {
    let own = name.segments.into_iter().filter(|segment| segment != "self");
    Name { segments: prefix.iter().cloned().chain(own).collect(), ..name }
}

/// The file without what is only built for tests, and the modules of other files that only tests have.
pub(super) fn without_tests(tokens: TokenStream) -> (TokenStream, Vec<String>) {
    let mut modules = Vec::new();
    (cut(tokens, &mut modules), modules)
}

fn cut(tokens: TokenStream, modules: &mut Vec<String>) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(attribute) = attribute(&tokens, at)
            && is_for_tests(attribute)
        {
            let end = item_end(&tokens, at);
            modules.extend(module_elsewhere(&tokens[at..end]));
            at = end;
            continue;
        }
        kept.push(match &tokens[at] {
            TokenTree::Group(group) => {
                TokenTree::Group(Group::new(group.delimiter(), cut(group.stream(), modules)))
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept.into_iter().collect()
}

/// The outer attribute at `at`.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<&Group> {
    match (tokens.get(at), tokens.get(at + 1)) {
        (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(group))) if hash.as_char() == '#' => Some(group),
        _ => None,
    }
}

fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "test" || text.ends_with("::test") || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Where the item that begins at `at` ends: after its block or its semicolon.
fn item_end(tokens: &[TokenTree], mut at: usize) -> usize {
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(end) if end.as_char() == ';' => return at + 1,
            TokenTree::Group(block) if block.delimiter() == Delimiter::Brace => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// `x` of `mod x;`.
fn module_elsewhere(item: &[TokenTree]) -> Option<String> {
    let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = item else {
        return None;
    };
    (keyword == "mod").then(|| name.to_string())
}

/// What a tour holds beside documentation, modules of other files and `use`: where, and the word it begins with.
pub(super) fn beside_tour(tokens: TokenStream) -> Vec<(usize, String)> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = start_of_item(&tokens, at);
        let Some(first) = tokens.get(at) else { break };
        let word = first.to_string();
        let end = if word == "use" { semicolon(&tokens, at) } else { item_end(&tokens, at) };
        let elsewhere = word == "mod" && is_punct(tokens.get(at + 2), ';');
        if word != "use" && !elsewhere {
            found.push((first.span().start().line, word));
        }
        at = end;
    }
    found
}

/// Past attributes and visibility.
fn start_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    loop {
        match tokens.get(at) {
            Some(TokenTree::Punct(hash)) if hash.as_char() == '#' => {
                at += if is_punct(tokens.get(at + 1), '!') { 3 } else { 2 };
            }
            Some(TokenTree::Ident(word)) if word == "pub" => {
                let limited = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                at += if limited { 2 } else { 1 };
            }
            _ => return at,
        }
    }
}

fn semicolon(tokens: &[TokenTree], at: usize) -> usize {
    (at..tokens.len()).find(|&at| is_punct(tokens.get(at), ';')).map_or(tokens.len(), |at| at + 1)
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> TokenStream {
        source.parse().unwrap()
    }

    fn paths(source: &str) -> Vec<String> {
        names(tokens(source)).into_iter().map(|name| name.segments.join("::")).collect()
    }

    #[test]
    fn the_group_of_a_use_is_spelled_out() {
        assert_eq!(
            paths("use std::{fs, io::{self, Read}, net::*};"),
            ["use", "std::fs", "std::io", "std::io::Read", "std::net::*"]
        );
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        assert_eq!(
            paths("// std::fs\n/// std::net\nconst A: &str = \"unsafe\";"),
            ["doc", "const", "A", "str"]
        );
    }

    #[test]
    fn names_within_blocks_and_macros_are_found_with_their_line() {
        let found = names(tokens("fn a() {\n    vec![std::fs::read(x)];\n    println!(\"\");\n}"));
        let read = found.iter().find(|name| name.is_within(&["std", "fs"])).unwrap();
        assert_eq!((read.line, read.called), (2, false));
        assert!(found.iter().any(|name| name.called && name.has("println") && name.line == 3));
        assert!(names(tokens("a != b")).iter().all(|name| !name.called));
    }

    #[test]
    fn what_is_for_tests_is_cut_off() {
        let source = "#[cfg(test)] mod far;\nfn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests { use std::fs; }\n\
                      mod inner { #[test] fn b() { std::fs::read(1) } }\n#[cfg(not(test))] fn c() {}";
        let (kept, modules) = without_tests(tokens(source));
        assert_eq!(modules, ["far"]);
        let kept = names(kept);
        assert!(kept.iter().all(|name| !name.has("fs") && !name.has("b")));
        assert!(kept.iter().any(|name| name.has("c")));
        assert_eq!(kept.iter().find(|name| name.has("a")).unwrap().line, 2);
    }

    #[test]
    fn a_tour_has_modules_and_uses_and_nothing_else() {
        let tour = "//! Docs.\n#![deny(missing_docs)]\npub mod a;\nmod b;\npub(crate) use a::{B, C};\n/// D.\npub use b::D;\n";
        assert_eq!(beside_tour(tokens(tour)), []);
        let more = "mod a;\npub fn f() {}\nmod b { }\nstruct S;\nimpl S {}\n";
        let words: Vec<String> = beside_tour(tokens(more)).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["fn", "mod", "struct", "impl"]);
    }
}
