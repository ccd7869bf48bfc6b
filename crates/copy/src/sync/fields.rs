//! Mappings with known keys, and what their values may be. Whatever is wrong is told with its place.

use transship_spec::quote;

use super::yaml::{At, Node, Value};
use crate::Result;
use crate::sync::yaml::Wrong as _;

/// A mapping whose keys are all known.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) at: At,
    entries: &'a [super::yaml::Entry],
}

impl<'a> Fields<'a> {
    /// Takes a mapping, and refuses keys that it cannot have. Those that begin with `x-` are the user's own.
    pub(super) fn of(node: &'a Node, known: &[&str]) -> Result<Self> {
        let fields = Self::any(node)?;
        for entry in fields.entries {
            let key = entry.key.as_str();
            if known.contains(&key) || key.starts_with("x-") {
                continue;
            }
            let reason = format!("there is no key {} here", quote(key));
            let remedy = match nearest(key, known) {
                Some(known) => format!("maybe {known} was meant"),
                None => format!("there are {}", known.join(", ")),
            };
            return Err(entry.at.wrong_but(reason, remedy));
        }
        Ok(fields)
    }

    /// Takes a mapping with whatever keys it has.
    pub(super) fn any(node: &'a Node) -> Result<Self> {
        match &node.value {
            Value::Mapping(entries) => Ok(Self { at: node.at, entries }),
            _ if node.is_nothing() => Ok(Self { at: node.at, entries: &[] }),
            _ => Err(node
                .at
                .wrong(format!("a mapping (key: value) belongs here, and this is {}", node.sort()))),
        }
    }

    /// The value of a key; none where there is nothing.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!entry.node.is_nothing()).then_some(&entry.node)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str) -> Result<&'a Node> {
        self.get(key).ok_or_else(|| self.at.wrong(format!("the key {key} is missing here")))
    }

    /// Where the value of a key stands; without one, where the mapping begins.
    pub(super) fn at_of(&self, key: &str) -> At {
        self.get(key).map_or(self.at, |node| node.at)
    }

    /// All keys that are not the user's own, with their places and values.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, At, &'a Node)> {
        let own = |entry: &&super::yaml::Entry| !entry.key.starts_with("x-");
        self.entries.iter().filter(own).map(|entry| (entry.key.as_str(), entry.at, &entry.node))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(text).transpose()
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<(At, &'a str)>>> {
        self.get(key).map(texts).transpose()
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Scalar(text, true) if text == "true" => Ok(Some(true)),
            Value::Scalar(text, true) if text == "false" => Ok(Some(false)),
            _ => Err(node.at.wrong(format!("{key} is true or false"))),
        }
    }

    /// A whole number of at least one.
    pub(super) fn number(&self, key: &str) -> Result<Option<usize>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let number = text(node).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| node.at.wrong(format!("{key} is a whole number of at least 1")))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| text(node).is_ok_and(|text| text == *word));
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found
            .map(|(_, value)| Some(*value))
            .ok_or_else(|| node.at.wrong(format!("{key} is one of {}", all.join(", "))))
    }
}

/// A text, however it is written.
pub(super) fn text(node: &Node) -> Result<&str> {
    match &node.value {
        Value::Scalar(text, _) if !node.is_nothing() => Ok(text),
        _ => Err(node.at.wrong(format!("a text belongs here, and this is {}", node.sort()))),
    }
}

/// A list of texts, or one alone.
pub(super) fn texts(node: &Node) -> Result<Vec<(At, &str)>> {
    match &node.value {
        Value::Sequence(items) => items.iter().map(|item| Ok((item.at, text(item)?))).collect(),
        Value::Scalar(..) => Ok(vec![(node.at, text(node)?)]),
        Value::Mapping(_) => Err(node.at.wrong("a list of texts belongs here, and this is a mapping")),
    }
}

/// The items of a list.
pub(super) fn items(node: &Node) -> Result<&[Node]> {
    match &node.value {
        Value::Sequence(items) => Ok(items),
        _ => Err(node.at.wrong(format!("a list belongs here, and this is {}", node.sort()))),
    }
}

/// The known key that is meant most likely.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|known| (distance(key, known), *known)).min()?;
    // Of a short word, half would be something else.
    (near.0 <= 2 && near.0 * 2 <= near.1.len() || near.1.trim_end_matches('s') == key.trim_end_matches('s'))
        .then_some(near.1)
}

/// How many letters must be put in, taken out or changed.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(40).flat_map(char::to_lowercase).collect();
    let other: Vec<char> = other.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (to, beside) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != beside);
            corner = row[to + 1];
            row[to + 1] = changed.min(row[to] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::yaml;

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_one() {
        let known = ["tags", "to", "from", "exclude", "platform", "newest-by"];
        for (key, words) in [
            ("tag", "maybe tags was meant"),
            ("Tags", "maybe tags was meant"),
            ("platforms", "maybe platform was meant"),
            ("newest_by", "maybe newest-by was meant"),
            ("form", "maybe from was meant"),
            ("schedule", "there are tags, to, from"),
            ("über", "there are"),
        ] {
            let node = yaml::read(&format!("{key}: 1")).unwrap();
            let error = Fields::of(&node, &known).unwrap_err();
            assert!(error.remedy().unwrap().starts_with(words), "{key}: {error} {:?}", error.remedy());
        }
        let node = yaml::read("x-own: [1]").unwrap();
        assert_eq!(Fields::of(&node, &known).unwrap().all().count(), 0);
    }

    #[test]
    fn values_are_what_they_should_be_or_told() {
        let node = yaml::read("a: yes\nb: 0\nc: {x: 1}\nd: [1, [2]]\ne:\nf: 'true'\ng: 3\n").unwrap();
        let fields = Fields::any(&node).unwrap();
        assert!(fields.flag("a").unwrap_err().to_string().contains("line 1, column 4: a is true or false"));
        assert!(fields.number("b").unwrap_err().to_string().contains("at least 1"));
        assert!(fields.text("c").unwrap_err().to_string().contains("this is a mapping"));
        assert!(fields.texts("d").unwrap_err().to_string().contains("line 4, column 8"));
        assert!(fields.text("e").unwrap().is_none() && fields.need("e").is_err());
        assert!(fields.flag("f").is_err(), "a text is not a flag");
        assert_eq!(fields.number("g").unwrap(), Some(3));
        assert_eq!(fields.texts("g").unwrap().unwrap().len(), 1);
        assert!(fields.word("g", &[("3", ())]).unwrap().is_some());
        assert!(
            fields.word("a", &[("on", 1), ("off", 2)]).unwrap_err().to_string().contains("one of on, off")
        );
    }
}
