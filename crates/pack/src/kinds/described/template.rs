//! Texts with places in which what is known of an input is put: `{title}`, `{name}` and `{stem}`.

/// A text with places to fill.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The title of the input: as it was named, or `TITLE=`.
    Title,
    /// The last name of the title.
    Name,
    /// The last name without what follows its last dot.
    Stem,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (word, after) = after.split_once('}').ok_or("a { without its }")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match word {
                "title" => Part::Title,
                "name" => Part::Name,
                "stem" => Part::Stem,
                _ => {
                    return Err(format!(
                        "there is no {{{word}}}; there are {{title}}, {{name}} and {{stem}}"
                    ));
                }
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err("a } without its {".to_owned());
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }
}

impl Template {
    /// The title of an input, as it is.
    pub(super) fn title() -> Self {
        Self(vec![Part::Title])
    }

    /// The text for an input of this title.
    pub(super) fn fill(&self, title: &str) -> String {
        let name = title.rsplit('/').next().unwrap_or(title);
        let stem = name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty());
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Title => title,
            Part::Name => name,
            Part::Stem => stem.unwrap_or(name),
        });
        parts.collect()
    }

    /// Whether it is no text at all.
    pub(super) fn is_empty(&self) -> bool {
        self.fill("x").is_empty()
    }

    /// The text, where it is the same for every input.
    pub(super) fn fixed(&self) -> Option<String> {
        let is_text = |part: &Part| matches!(part, Part::Text(_));
        self.0.iter().all(is_text).then(|| self.fill(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_by_what_an_input_is_called() {
        let template = Template::try_from("<{title}|{name}|{stem}>".to_owned()).unwrap();
        assert_eq!(template.fill("docs/a.tar.gz"), "<docs/a.tar.gz|a.tar.gz|a.tar>");
        assert_eq!(template.fill(".env"), "<.env|.env|.env>");
        assert_eq!((template.fixed(), Template::title().fill("a/b")), (None, "a/b".to_owned()));
        assert_eq!(Template::try_from("v1".to_owned()).unwrap().fixed().as_deref(), Some("v1"));
    }

    #[test]
    fn places_that_there_are_not_are_refused() {
        for text in ["{", "}", "{titel}", "{}", "a}b", "{title}}"] {
            assert!(Template::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
