//! What a description may say, and its rules. Whatever breaks one is told with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;
use transship_spec::MediaType;

use super::template::Template;
use crate::Error;
use crate::kinds::input::is_title;
use crate::kinds::list::check_name;
use crate::kinds::reserved;

/// A kind as its file tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Description {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(deserialize_with = "line")]
    pub(super) about: String,
    /// What it takes, as usage says it; else it is made of the rules for inputs.
    #[serde(default, deserialize_with = "some_line")]
    pub(super) usage: Option<String>,
    #[serde(default, deserialize_with = "some_own_type")]
    pub(super) artifact_type: Option<MediaType>,
    pub(super) config: Option<Config>,
    /// Leaves out the manifest's `mediaType`, as Helm and conftest do.
    #[serde(default)]
    pub(super) untyped: bool,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, Template>,
    pub(super) called: Option<Called>,
    #[serde(default)]
    pub(super) input: Vec<InputRule>,
}

/// A config that is not the empty one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    #[serde(rename = "type", deserialize_with = "own_type")]
    pub(super) media_type: MediaType,
    #[serde(default = "empty_object")]
    pub(super) content: String,
    /// Whether the manifest holds the content, too.
    #[serde(default)]
    pub(super) embed: bool,
}

/// The repository's last name and the tag by which it would be pushed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Called {
    pub(super) name: Template,
    pub(super) tag: Template,
}

/// A rule for inputs. The first that fits an input makes its layer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct InputRule {
    /// Whether it is for folders, which become tars in gzip, and not for files.
    #[serde(default)]
    pub(super) folder: bool,
    #[serde(default, rename = "match")]
    pub(super) glob: Option<Glob>,
    #[serde(rename = "type", deserialize_with = "layer_type")]
    pub(super) media_type: MediaType,
    #[serde(default, deserialize_with = "some_line")]
    pub(super) role: Option<String>,
    /// The title of the layer; none for an empty text.
    #[serde(default = "Template::title")]
    pub(super) title: Template,
    /// The name of the file that a layer without a title becomes when it is extracted.
    #[serde(default, deserialize_with = "some_file")]
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, Template>,
    #[serde(default)]
    pub(super) least: usize,
    pub(super) most: Option<Spanned<usize>>,
}

/// A glob of last names.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Glob {
    pub(super) text: String,
    matcher: GlobMatcher,
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') {
            return Err("a glob of last names, which hold no slash".to_owned());
        }
        let glob = GlobBuilder::new(&text).literal_separator(true).build();
        let matcher = glob.map_err(|error| error.kind().to_string())?.compile_matcher();
        Ok(Self { text, matcher })
    }
}

impl InputRule {
    /// Whether it is for an input of this title.
    pub(super) fn fits(&self, title: &str, is_folder: bool) -> bool {
        let name = title.rsplit('/').next().unwrap_or(title);
        self.folder == is_folder && self.glob.as_ref().is_none_or(|glob| glob.matcher.is_match(name))
    }

    /// What it takes, as usage says it.
    pub(super) fn takes(&self) -> String {
        let what = self.glob.as_ref().map(|glob| glob.text.as_str());
        match self.folder {
            true => what.map_or_else(|| "FOLDER".to_owned(), |glob| format!("{glob}/")),
            false => what.unwrap_or("FILE").to_owned(),
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most.as_ref().map_or(usize::MAX, |most| *most.as_ref())
    }
}

impl Description {
    pub(super) fn usage(&self) -> String {
        let rules = || self.input.iter().map(InputRule::takes).collect::<Vec<_>>().join(" | ");
        self.usage.clone().unwrap_or_else(rules)
    }
}

/// A rule that a text breaks, and where: an offset in bytes.
#[derive(Debug)]
pub(super) struct Flaw {
    offset: usize,
    rule: String,
}

impl Flaw {
    pub(super) fn new(offset: usize, rule: impl Into<String>) -> Self {
        Self { offset, rule: rule.into() }
    }

    fn of(span: &Range<usize>, rule: impl Into<String>) -> Self {
        Self::new(span.start, rule)
    }

    /// As an error about a file of this text.
    pub(super) fn at(self, path: &Path, text: &str) -> Error {
        let (line, column) = place(text, self.offset);
        let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        let rule = self.rule.trim().replace('\n', "; ").chars().map(escaped).collect();
        Error::Description { path: path.to_owned(), line, column, rule }
    }
}

/// Line and column of an offset, from 1; columns are characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1)
}

/// Reads a description, and tells line and column of its name.
pub(super) fn read(text: &str) -> Result<(Description, (usize, usize)), Flaw> {
    /// Where the name stands.
    #[derive(Deserialize)]
    struct Named {
        name: Spanned<String>,
    }
    let flaw = |error: toml::de::Error| {
        Flaw::new(error.span().map_or(0, |span| span.start), error.message().to_owned())
    };
    let said: Description = toml::from_str(text).map_err(flaw)?;
    let named: Named = toml::from_str(text).map_err(flaw)?;
    let span = named.name.span();
    if said.artifact_type.is_none() && said.config.is_none() {
        let rule = "a kind needs an artifact-type, or a [config] with a type of its own (IMG-60)";
        return Err(Flaw::of(&span, rule));
    }
    for rule in &said.input {
        match &rule.most {
            Some(most) if *most.as_ref() < rule.least.max(1) => {
                return Err(Flaw::of(&most.span(), "most is less than least, or none at all"));
            }
            _ => {}
        }
    }
    Ok((said, place(text, span.start)))
}

fn empty_object() -> String {
    "{}".to_owned()
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    check_name(&name).map_err(|rule| D::Error::custom(format!("the name of a kind: {rule}")))?;
    Ok(name)
}

fn line<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(D::Error::custom("it takes one line of 1 to 200 bytes"));
    }
    Ok(text)
}

fn some_line<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    line(from).map(Some)
}

fn layer_type<'de, D: Deserializer<'de>>(from: D) -> Result<MediaType, D::Error> {
    let text = String::deserialize(from)?;
    let media_type = MediaType::parse(&text).map_err(|error| D::Error::custom(error.to_string()))?;
    match media_type.is_document() || media_type.is_image_config() || media_type == MediaType::OCI_EMPTY {
        true => Err(D::Error::custom(format!("{media_type} is reserved, and no type of a file"))),
        false => Ok(media_type),
    }
}

/// A type that says what an artifact is.
fn own_type<'de, D: Deserializer<'de>>(from: D) -> Result<MediaType, D::Error> {
    let text = String::deserialize(from)?;
    let media_type = MediaType::parse(&text).map_err(|error| D::Error::custom(error.to_string()))?;
    match reserved(&media_type) {
        Some(owner) => Err(D::Error::custom(format!("{media_type} is reserved: {owner}"))),
        None => Ok(media_type),
    }
}

fn some_own_type<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MediaType>, D::Error> {
    own_type(from).map(Some)
}

fn some_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    match name == "." || !is_title(&name) {
        true => Err(D::Error::custom("it takes a relative path with slashes, without . or .. in it")),
        false => Ok(Some(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "name = \"poem\"\nabout = \"poems\"\nartifact-type = \"application/vnd.example.poem.v1\"\n";

    fn error(text: &str) -> String {
        read(text).unwrap_err().at(Path::new("dir/poem.toml"), text).to_string()
    }

    #[test]
    fn what_breaks_a_rule_is_told_with_file_line_column_and_the_rule() {
        let input = |more: &str| format!("{LEAST}[[input]]\n{more}\n");
        for (text, place, rule) in [
            (format!("{LEAST}colour = 1\n"), "line 4, column 1", "colour"),
            (input("typ = \"a/b\""), "line 5, column 1", "typ"),
            (LEAST.replace("poem\"\n", "Poem\"\n"), "line 1, column 8", "lower-case"),
            (LEAST.replace("\"poem\"", "\"image\""), "line 1, column 8", "image"),
            (LEAST.replace("application/vnd", "application vnd"), "line 3, column 17", "media type"),
            (
                LEAST.replace("vnd.example.poem.v1", "vnd.oci.image.config.v1+json"),
                "line 3, column 17",
                "reserved",
            ),
            ("name = \"poem\"\nabout = \"poems\"\n".to_owned(), "line 1, column 8", "IMG-60"),
            (
                "about = \"a\"\nname = \"poem\"\n[config]\ntype = \"application/vnd.oci.empty.v1+json\""
                    .to_owned(),
                "line 4, column 8",
                "reserved",
            ),
            (input("type = \"application/vnd.oci.image.manifest.v1+json\""), "line 5, column 8", "reserved"),
            (input("type = \"a/b\"\nmatch = \"[a\""), "line 6, column 9", "unclosed"),
            (input("type = \"a/b\"\nmatch = \"a/b\""), "line 6, column 9", "slash"),
            (input("type = \"a/b\"\ntitle = \"{titel}\""), "line 6, column 9", "{titel}"),
            (input("type = \"a/b\"\nfile = \"../x\""), "line 6, column 8", "relative"),
            (input("type = \"a/b\"\nleast = 2\nmost = 1"), "line 7, column 8", "most is less"),
            (input("type = \"a/b\"\nmost = 0"), "line 6, column 8", "most is less"),
            (input("type = \"a/b\"\nleast = -1"), "line 6, column 9", "-1"),
            (LEAST.replace("poems", "a\\nb"), "line 2, column 9", "one line"),
            (format!("{LEAST}about = \"again\""), "line 4, column 1", "duplicate"),
            (format!("{LEAST}\"\\u001b\" = 1"), "line 4, column 1", "\\u{1b}"),
            ("name = ".to_owned(), "line 1, column 8", ""),
        ] {
            let error = error(&text);
            assert!(error.contains("dir/poem.toml") && error.contains(place), "{text}: {error}");
            assert!(error.contains(rule) && !error.contains(['\n', '\u{1b}']), "{text}: {error}");
        }
    }

    #[test]
    fn no_text_makes_reading_panic_and_the_shortest_description_is_enough() {
        let whole = format!(
            "{LEAST}untyped = true\n[config]\ntype = \"application/vnd.example.c.v1+json\"\nembed = true\n\
             [annotations]\n\"a.b\" = \"é{{stem}}\"\n[called]\nname = \"{{stem}}\"\ntag = \"v1\"\n\
             [[input]]\nfolder = true\ntype = \"a/b\"\nrole = \"tree\"\ntitle = \"\"\nfile = \"tree\"\nmost = 1\n"
        );
        read(&whole).unwrap();
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            if let Err(flaw) = read(&whole[..end]) {
                assert!(!flaw.at(Path::new("a"), &whole[..end]).to_string().is_empty());
            }
        }
        let (said, place) = read(LEAST).unwrap();
        assert_eq!((said.input.len(), place), (0, (1, 8)));
    }

    #[test]
    fn usage_is_made_of_the_rules_where_none_is_told() {
        let rules =
            "[[input]]\nmatch = \"*.txt\"\ntype = \"a/b\"\n[[input]]\nfolder = true\ntype = \"a/b\"\n";
        assert_eq!(read(&format!("{LEAST}{rules}")).unwrap().0.usage(), "*.txt | FOLDER");
        assert_eq!(read(&format!("{LEAST}usage = \"TEXT\"\n{rules}")).unwrap().0.usage(), "TEXT");
    }
}
