//! A file of settings as it is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{At, Config, Error};

/// What a key stands for.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Text(String),
    List(Vec<String>),
    Flag(bool),
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Keys in their order.
pub(super) type Keys = Vec<(&'static str, Said)>;

/// A file that grows, and what is not in it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What readers should know, before everything else.
    pub(super) notes: Vec<&'static str>,
    pub(super) concurrency: Option<usize>,
    pub(super) defaults: Keys,
    credentials: BTreeMap<String, Keys>,
    registries: BTreeMap<String, Keys>,
    copies: Vec<Keys>,
    pub(super) left_out: Vec<(At, String)>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// Notes that something is not said.
    pub(super) fn leave_out(&mut self, at: At, what: impl Into<String>) {
        self.left_out.push((at, what.into()));
    }

    /// Adds a copy, unless this program would not take it.
    pub(super) fn copy(&mut self, at: At, keys: Keys) {
        let alone = Self { copies: vec![keys.clone()], ..Self::default() };
        match Config::parse(&alone.finish().0, Path::new("")) {
            Ok(_) => self.copies.push(keys),
            Err(Error::Settings { reason, .. }) => self.leave_out(at, reason),
            Err(error) => self.leave_out(at, error.to_string()),
        }
    }

    pub(super) fn registry(&mut self, name: &str, key: &'static str, said: Said) {
        let keys = self.registries.entry(name.to_owned()).or_default();
        // What comes first counts.
        if keys.iter().all(|(known, _)| *known != key) {
            keys.push((key, said));
        }
    }

    /// Credentials for a registry, which are called as it is.
    pub(super) fn credentials(&mut self, registry: &str, keys: Keys) {
        self.registry(registry, "credentials", Said::from(registry));
        self.credentials.insert(registry.to_owned(), keys);
    }

    /// The text, and what is not in it in the order of the places.
    pub(super) fn finish(mut self) -> (String, Vec<(At, String)>) {
        self.left_out.sort_by_key(|(at, _)| *at);
        let mut text = String::new();
        for note in &self.notes {
            line(&mut text, &format!("# {note}"));
        }
        line(&mut text, "version: 1");
        if let Some(concurrency) = self.concurrency {
            line(&mut text, &format!("concurrency: {concurrency}"));
        }
        if !self.defaults.is_empty() {
            line(&mut text, &format!("defaults: {}", flow(&self.defaults)));
        }
        for (name, all) in [("credentials", &self.credentials), ("registries", &self.registries)] {
            if !all.is_empty() {
                line(&mut text, &format!("{name}:"));
            }
            for (name, keys) in all {
                line(&mut text, &format!("  {}: {}", quoted(name), flow(keys)));
            }
        }
        line(&mut text, "sync:");
        for keys in &self.copies {
            for (at, (key, said)) in keys.iter().enumerate() {
                let dash = if at == 0 { "  - " } else { "    " };
                line(&mut text, &format!("{dash}{key}: {}", value(said)));
            }
        }
        (text, self.left_out)
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}

fn flow(keys: &Keys) -> String {
    let pairs: Vec<String> = keys.iter().map(|(key, said)| format!("{key}: {}", value(said))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn value(said: &Said) -> String {
    match said {
        Said::Text(text) => quoted(text),
        Said::List(texts) => {
            format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
        }
        Said::Flag(flag) => flag.to_string(),
    }
}

/// A text as it may stand anywhere: in quotes, unless nobody could take it for something else.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '@');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.strip_prefix("docker://").unwrap_or(text).chars().all(plain)
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    match is_word {
        true => text.to_owned(),
        false if text.chars().any(char::is_control) => {
            let escaped: String = text.chars().flat_map(escape).collect();
            format!("\"{escaped}\"")
        }
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A character between double quotes.
fn escape(c: char) -> Vec<char> {
    match c {
        '"' | '\\' => vec!['\\', c],
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)).chars().collect(),
        c => vec![c],
    }
}
