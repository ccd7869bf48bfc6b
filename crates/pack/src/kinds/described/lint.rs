//! What is doubtful of a description, by the rules for the artifacts that it makes.

use std::collections::BTreeSet;

use transship_spec::{Annotations, Tag, quote};

use super::Described;
use super::read::{Description, InputRule};
use crate::kinds::input::is_title;
use crate::kinds::lint::{Finding, Rule, any_type, keys, own_type};

/// What is doubtful of a description, in the order of its file.
pub(crate) fn lint(kind: &Described) -> Vec<Finding> {
    let mut found = Vec::new();
    let said = &kind.said;
    if let Some(own) = &said.artifact_type {
        own_type("artifact-type", own, &mut found);
    }
    config(said, &mut found);
    if said.untyped {
        found.push(Finding::new(Rule::ManifestUntyped, "untyped", "manifests are to be without mediaType"));
    }
    let names = |keys: &mut dyn Iterator<Item = &String>| -> Annotations {
        keys.map(|key| (key.clone(), String::new())).collect()
    };
    keys("annotations", &names(&mut said.annotations.keys()), &mut found);
    if let Some(tag) = said.called.as_ref().and_then(|called| called.tag.fixed())
        && Tag::parse(&tag).is_err()
    {
        found.push(Finding::new(Rule::TagForm, "called.tag", format!("{} is no tag", quote(&tag))));
    }
    let mut titles = BTreeSet::new();
    for (number, rule) in said.input.iter().enumerate() {
        let place = format!("input[{number}]");
        if !rule.media_type.is_layer() {
            any_type(&format!("{place}.type"), &rule.media_type, false, &mut found);
        }
        keys(&format!("{place}.annotations"), &names(&mut rule.annotations.keys()), &mut found);
        title(&place, rule, &mut titles, &mut found);
        let before = said.input.iter().take(number);
        if before.into_iter().any(|other| other.folder == rule.folder && other.glob.is_none()) {
            let message = "a rule before it takes all that it could";
            found.push(Finding::new(Rule::RuleIdle, place, message));
        }
    }
    found
}

fn config(said: &Description, found: &mut Vec<Finding>) {
    let Some(config) = &said.config else { return };
    own_type("config.type", &config.media_type, found);
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(&config.content).is_ok();
    if config.media_type.as_str().ends_with("+json") && !is_json() {
        let message = "its content is no JSON, which its type says";
        found.push(Finding::new(Rule::ConfigForm, "config.content", message));
    } else if config.content == "{}" && said.artifact_type.is_none() {
        found.push(Finding::new(Rule::ConfigIdle, "config", "its content is {}, so that its type says all"));
    }
}

fn title(place: &str, rule: &InputRule, titles: &mut BTreeSet<String>, found: &mut Vec<Finding>) {
    if rule.title.is_empty() {
        if rule.file.is_none() {
            found.push(Finding::new(
                Rule::TitleMissing,
                place,
                "its layers have no title, and no file is told",
            ));
        }
        return;
    }
    let Some(title) = rule.title.fixed() else { return };
    if !is_title(&title) {
        let message = format!("the title {} leads out, or is no name", quote(&title));
        found.push(Finding::new(Rule::TitleUnsafe, place, message));
    } else if rule.most() != 1 {
        let message = format!("all that it takes has the title {}; say most = 1", quote(&title));
        found.push(Finding::new(Rule::TitleTwice, place, message));
    } else if !titles.insert(title.clone()) {
        let message = format!("another rule gives the title {}", quote(&title));
        found.push(Finding::new(Rule::TitleTwice, place, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(more: &str) -> Vec<&'static str> {
        let text = format!("name = \"poem\"\nabout = \"poems\"\n{more}");
        let kind = Described::parse("poem.toml", &text).unwrap();
        lint(&kind).iter().map(|finding| finding.rule.code()).collect()
    }

    const OWN: &str = "artifact-type = \"application/vnd.example.poem.v1\"\n";

    #[test]
    fn every_rule_for_descriptions_is_found_by_what_breaks_it_and_by_nothing_else() {
        let input = |more: &str| codes(&format!("{OWN}[[input]]\ntype = \"text/plain\"\n{more}"));
        assert_eq!(codes(OWN), [""; 0]);
        assert_eq!(input("match = \"*.txt\"\nfile = \"a\"\ntitle = \"\""), [""; 0]);
        assert_eq!(codes(&OWN.replace(".v1", "")), ["type-version"]);
        assert_eq!(codes(&format!("{OWN}untyped = true")), ["manifest-untyped"]);
        assert_eq!(
            codes("[config]\ntype = \"application/vnd.example.poem.config.v1+json\""),
            ["config-idle"]
        );
        let config = "[config]\ntype = \"application/vnd.example.poem.config.v1+json\"\ncontent = \"{\"";
        assert_eq!(codes(config), ["config-form"]);
        assert_eq!(
            codes(&format!("{OWN}annotations.\"org.opencontainers.mood\" = \"x\"")),
            ["annotation-reserved"]
        );
        assert_eq!(codes(&format!("{OWN}called = {{ name = \"a\", tag = \"a+b\" }}")), ["tag-form"]);
        assert_eq!(input("title = \"\""), ["title-missing"]);
        assert_eq!(input("title = \"../a\""), ["title-unsafe"]);
        assert_eq!(input("title = \"a\""), ["title-twice"]);
        assert_eq!(input("title = \"a\"\nmost = 1"), [""; 0]);
        assert_eq!(input("[[input]]\ntype = \"application/vnd.example.a.v1\""), ["rule-idle"]);
    }
}
