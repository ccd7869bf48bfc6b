//! `Chart.yaml` as Helm understands it, and the config that it makes of it.
//!
//! The config is the JSON of Helm's struct: fields in its order, empty ones left out, texts cleaned of what cannot be shown,
//! and what stands in `Chart.yaml` beside is not in it. Where Helm takes the last of two equal keys or the first of two
//! documents, this refuses: nobody could say what was meant.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;
use transship_spec::yaml::{Entry, Flaw, Node, Value};
use transship_spec::{go_json, quote};

use super::scalar::Scalar;
use super::version::Version;
use crate::kinds::canonical;

/// The metadata of a chart, in the order in which Helm writes it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) home: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) keywords: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) maintainers: Vec<Maintainer>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) icon: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) tags: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) app_version: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) deprecated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kube_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) sort: String,
}

/// Who looks after a chart.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Maintainer {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
}

/// Another chart that a chart needs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Dependency {
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    pub(super) repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enabled: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

impl Metadata {
    /// Reads `Chart.yaml`, then `requirements.yaml`, in which charts of the first version keep their dependencies.
    pub(super) fn read(chart: &[u8], requirements: Option<&[u8]>) -> Result<Self, String> {
        let mut metadata = Self::default();
        metadata.take("Chart.yaml", chart)?;
        if metadata.api_version.is_empty() {
            // So were charts before there were versions of their form.
            "v1".clone_into(&mut metadata.api_version);
        }
        if let Some(requirements) = requirements {
            metadata.take("requirements.yaml", requirements)?;
        }
        metadata.clean();
        metadata.check()?;
        Ok(metadata)
    }

    /// The config.
    pub(super) fn to_config(&self) -> Result<String, String> {
        go_json(self).map_err(|error| error.to_string())
    }

    fn take(&mut self, file: &str, bytes: &[u8]) -> Result<(), String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{file} is not UTF-8"))?;
        let node = transship_spec::yaml::read(text).map_err(|flaw| format!("{file}, {flaw}"))?;
        self.set(&node).map_err(|flaw| format!("{file}, {flaw}"))
    }

    fn set(&mut self, node: &Node) -> Result<(), Flaw> {
        for (key, node) in entries(node)? {
            match key.to_ascii_lowercase().as_str() {
                "name" => set_text(&mut self.name, node)?,
                "home" => set_text(&mut self.home, node)?,
                "sources" => set_texts(&mut self.sources, node)?,
                "version" => set_text(&mut self.version, node)?,
                "description" => set_text(&mut self.description, node)?,
                "keywords" => set_texts(&mut self.keywords, node)?,
                "maintainers" => set_list(&mut self.maintainers, node, Maintainer::set)?,
                "icon" => set_text(&mut self.icon, node)?,
                "apiversion" => set_text(&mut self.api_version, node)?,
                "condition" => set_text(&mut self.condition, node)?,
                "tags" => set_text(&mut self.tags, node)?,
                "appversion" => set_text(&mut self.app_version, node)?,
                "deprecated" => set_bool(&mut self.deprecated, node)?,
                "annotations" => set_map(&mut self.annotations, node)?,
                "kubeversion" => set_text(&mut self.kube_version, node)?,
                "dependencies" => set_list(&mut self.dependencies, node, Dependency::set)?,
                "type" => set_text(&mut self.sort, node)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn clean(&mut self) {
        let own = [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ];
        let people = self.maintainers.iter_mut().flat_map(|it| [&mut it.name, &mut it.email, &mut it.url]);
        let needed = self.dependencies.iter_mut().flat_map(|it| {
            let texts = [&mut it.name, &mut it.version, &mut it.repository, &mut it.condition];
            texts.into_iter().chain(&mut it.tags)
        });
        let lists = self.sources.iter_mut().chain(&mut self.keywords);
        for text in own.into_iter().chain(lists).chain(people).chain(needed) {
            *text = cleaned(text);
        }
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, version, sort, .. } = self;
        if name.is_empty() {
            return Err("its Chart.yaml does not say its name".to_owned());
        }
        if name.contains('/') || matches!(name.as_str(), "." | "..") {
            return Err(format!("{} is no name for a chart: it leads to another folder", quote(name)));
        }
        match Version::of(version) {
            _ if version.is_empty() => return Err("its Chart.yaml does not say its version".to_owned()),
            Version::Wrong => {
                let rule = "it takes a semantic version, such as 1.2.3-rc.1+build";
                return Err(format!("{} is no version for a chart: {rule}", quote(version)));
            }
            Version::Strict | Version::Loose => {}
        }
        if !matches!(sort.as_str(), "" | "application" | "library") {
            return Err(format!("{} is no type of charts: there are application and library", quote(sort)));
        }
        let mut names = BTreeSet::new();
        for Dependency { name, alias, .. } in &self.dependencies {
            let is_alias = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if !alias.bytes().all(is_alias) {
                return Err(format!("{} is no alias for a dependency", quote(alias)));
            }
            let key = if alias.is_empty() { name } else { alias };
            if !names.insert(key) {
                return Err(format!("two of its dependencies are called {}; give one an alias", quote(key)));
            }
        }
        Ok(())
    }
}

impl Maintainer {
    fn set(&mut self, node: &Node) -> Result<(), Flaw> {
        for (key, node) in entries(node)? {
            match key.to_ascii_lowercase().as_str() {
                "name" => set_text(&mut self.name, node)?,
                "email" => set_text(&mut self.email, node)?,
                "url" => set_text(&mut self.url, node)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Dependency {
    fn set(&mut self, node: &Node) -> Result<(), Flaw> {
        for (key, node) in entries(node)? {
            match key.to_ascii_lowercase().as_str() {
                "name" => set_text(&mut self.name, node)?,
                "version" => set_text(&mut self.version, node)?,
                "repository" => set_text(&mut self.repository, node)?,
                "condition" => set_text(&mut self.condition, node)?,
                "tags" => set_texts(&mut self.tags, node)?,
                "enabled" => set_bool(&mut self.enabled, node)?,
                "import-values" => self.import_values = values(node)?,
                "alias" => set_text(&mut self.alias, node)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The keys of a mapping as texts, sorted, with their values: in this order they are taken, and the last one counts.
fn entries(node: &Node) -> Result<Vec<(String, &Node)>, Flaw> {
    let Value::Mapping(entries) = &node.value else {
        return Err(wrong(node, "a mapping"));
    };
    let mut found: Vec<_> = entries.iter().map(|entry| (key(entry), &entry.node)).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn key(Entry { key, plain, .. }: &Entry) -> String {
    match plain {
        true => Scalar::of(key).to_text(key).unwrap_or_else(|| key.clone()),
        false => key.clone(),
    }
}

fn wrong(node: &Node, wanted: &str) -> Flaw {
    let reason = format!("{wanted} belongs here, and this is {}", node.sort());
    Flaw { at: node.at, reason, remedy: None }
}

/// A text, also where it looks like something else; nothing for nothing.
fn text(node: &Node) -> Result<Option<String>, Flaw> {
    match &node.value {
        Value::Scalar(text, true) => Ok(Scalar::of(text).to_text(text)),
        Value::Scalar(text, false) => Ok(Some(text.clone())),
        _ => Err(wrong(node, "a text")),
    }
}

fn set_text(place: &mut String, node: &Node) -> Result<(), Flaw> {
    if let Some(text) = text(node)? {
        *place = text;
    }
    Ok(())
}

fn set_bool(place: &mut bool, node: &Node) -> Result<(), Flaw> {
    let scalar = match &node.value {
        Value::Scalar(text, true) => Scalar::of(text),
        _ => Scalar::Text,
    };
    match scalar {
        Scalar::Bool(value) => *place = value,
        Scalar::Nothing => {}
        _ => return Err(wrong(node, "true or false")),
    }
    Ok(())
}

fn set_texts(place: &mut Vec<String>, node: &Node) -> Result<(), Flaw> {
    *place = match &node.value {
        Value::Sequence(items) => {
            items.iter().map(|item| Ok(text(item)?.unwrap_or_default())).collect::<Result<_, Flaw>>()?
        }
        _ if node.is_nothing() => Vec::new(),
        _ => return Err(wrong(node, "a list of texts")),
    };
    Ok(())
}

fn set_map(place: &mut BTreeMap<String, String>, node: &Node) -> Result<(), Flaw> {
    if node.is_nothing() {
        place.clear();
        return Ok(());
    }
    for (key, node) in entries(node)? {
        place.insert(key, text(node)?.unwrap_or_default());
    }
    Ok(())
}

/// A list of mappings. What there was before at the same place of the list keeps what is not said anew, as it does in Go.
fn set_list<T: Default + Clone>(
    place: &mut Vec<T>,
    node: &Node,
    set: impl Fn(&mut T, &Node) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        _ if node.is_nothing() => &[],
        _ => return Err(wrong(node, "a list of mappings")),
    };
    place.resize(items.len(), T::default());
    for (own, item) in place.iter_mut().zip(items) {
        set(own, item)?;
    }
    Ok(())
}

fn values(node: &Node) -> Result<Vec<Box<RawValue>>, Flaw> {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        _ if node.is_nothing() => &[],
        _ => return Err(wrong(node, "a list")),
    };
    let raw = |item| {
        let raw = json(item)?;
        RawValue::from_string(raw).map_err(|_| wrong(item, "a value that JSON can say"))
    };
    items.iter().map(raw).collect()
}

/// Any value as Go writes it when it has read it from JSON without knowing what it would be: numbers are of 64 bits.
fn json(node: &Node) -> Result<String, Flaw> {
    let no_json = || wrong(node, "a value that JSON can say");
    match &node.value {
        Value::Scalar(text, is_plain) => match is_plain.then(|| Scalar::of(text)) {
            Some(Scalar::Nothing) => Ok("null".to_owned()),
            Some(Scalar::Bool(value)) => Ok(value.to_string()),
            #[expect(clippy::cast_precision_loss, reason = "so does Go")]
            Some(Scalar::Integer(value)) => canonical::number(value as f64).ok_or_else(no_json),
            Some(Scalar::Float(value)) => canonical::number(value).ok_or_else(no_json),
            Some(Scalar::Text) | None => go_json(text).map_err(|_| no_json()),
        },
        Value::Sequence(items) => {
            let items = items.iter().map(json).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("[{}]", items.join(",")))
        }
        Value::Mapping(_) => {
            let member = |(key, node): (String, &Node)| {
                Ok(format!("{}:{}", go_json(&key).map_err(|_| no_json())?, json(node)?))
            };
            let members = entries(node)?.into_iter().map(member).collect::<Result<Vec<_>, Flaw>>()?;
            Ok(format!("{{{}}}", members.join(",")))
        }
    }
}

/// A text with blanks for all that is white, and without what cannot be shown.
fn cleaned(text: &str) -> String {
    let shown = |character: char| match character {
        _ if character.is_whitespace() => Some(' '),
        ' '..='~' => Some(character),
        // What Rust would escape behind another character has no shape of its own.
        _ => {
            let text = format!("a{character}");
            text.escape_debug().eq(text.chars()).then_some(character)
        }
    };
    text.chars().filter_map(shown).collect()
}

#[cfg(test)]
mod tests;
