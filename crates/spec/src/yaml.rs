//! YAML as a tree that knows where each of its parts stands (feature `yaml`).
//!
//! Bounded whatever the text is: [`LARGEST`] bytes, [`DEEPEST`] collections within one another, and [`NODES`] nodes and
//! [`LARGEST`] bytes of text with all that aliases repeat. A key that is there twice, a tag
//! (`!name`), a key that is no text, and a second document are refused. Scalars stay as they are written: `1.10` is a
//! version, and `on` is a word.
//!
//! Of merges (`<<: *name`) a mapping gets the keys that it does not have itself.
//!
//! ```
//! use transship_spec::yaml::{Value, read};
//!
//! let node = read("version: 1.10")?;
//! let Value::Mapping(entries) = &node.value else { panic!("it is a mapping") };
//! assert!(matches!(&entries[0].node.value, Value::Scalar(text, true) if text == "1.10"));
//! assert_eq!(read("a: 1\na: 2").unwrap_err().at.line, 2);
//! # Ok::<(), transship_spec::yaml::Flaw>(())
//! ```

use std::collections::HashMap;
use std::fmt;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

type Result<T> = std::result::Result<T, Flaw>;

/// The largest file, in bytes.
pub const LARGEST: usize = 4 << 20;
/// Collections within one another.
pub const DEEPEST: usize = 32;
/// Scalars, sequences and mappings, those that aliases repeat included.
pub const NODES: usize = 200_000;

/// A place in a file, both counted from one; columns in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl At {
    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }

    fn wrong(self, reason: impl Into<String>) -> Flaw {
        Flaw { at: self, reason: reason.into(), remedy: None }
    }

    fn wrong_but(self, reason: impl Into<String>, remedy: impl Into<String>) -> Flaw {
        Flaw { at: self, reason: reason.into(), remedy: Some(remedy.into()) }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is no document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct Flaw {
    /// Where it stops to be one.
    pub at: At,
    /// The rule that it breaks.
    pub reason: String,
    /// What to write instead, where that is known.
    pub remedy: Option<String>,
}

/// A part of a document.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a part of a document is.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text as it is written, and whether it was written without quotes.
    Scalar(String, bool),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with what they stand for, in the order of the document; what was merged comes last.
    Mapping(Vec<Entry>),
}

/// A key of a mapping and what it stands for.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Whether the key was written without quotes.
    pub plain: bool,
    /// Where the key stands.
    pub at: At,
    /// What it stands for.
    pub node: Node,
}

impl Node {
    /// Whether there is nothing where a value could be.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, true) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages.
    #[must_use]
    pub fn sort(&self) -> &'static str {
        match &self.value {
            _ if self.is_nothing() => "nothing",
            Value::Scalar(..) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// How much of the budget it takes: nodes and bytes.
    fn weight(&self) -> (usize, usize) {
        match &self.value {
            Value::Scalar(text, _) => (1, text.len()),
            Value::Sequence(items) => sum(items.iter().map(Self::weight)),
            Value::Mapping(entries) => sum(entries.iter().map(|entry| {
                let (nodes, bytes) = entry.node.weight();
                (nodes + 1, bytes + entry.key.len())
            })),
        }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(..) => 0,
            Value::Sequence(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Mapping(entries) => 1 + entries.iter().map(|entry| entry.node.depth()).max().unwrap_or(0),
        }
    }
}

fn sum(parts: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    parts.fold((1, 0), |(nodes, bytes), (more, text)| (nodes + more, bytes + text))
}

/// Reads the one document of a text.
///
/// # Errors
/// [`Flaw`] says where the text stops to be one, or to be within the limits.
pub fn read(text: &str) -> std::result::Result<Node, Flaw> {
    let start = At { line: 1, column: 1 };
    if text.len() > LARGEST {
        return Err(start.wrong(format!("it is larger than {LARGEST} bytes")));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST
    };
    let mut tree = Tree::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| At::of(error.marker()).wrong(error.kind().to_string()))?;
        tree.take(event, At::of(&span.start))?;
    }
    tree.root.ok_or_else(|| start.wrong("the file is empty"))
}

/// A tree that grows.
#[derive(Debug, Default)]
struct Tree {
    root: Option<Node>,
    /// Collections that are not closed yet, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next, and whether it was written without quotes.
    key: Option<(String, At, bool)>,
    /// Where each key was met.
    keys: HashMap<String, At>,
    /// What is merged when all keys are known.
    merged: Vec<Entry>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, at: At) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                untagged(tag.is_some(), at)?;
                self.spend(at, (1, text.len()))?;
                let is_plain = matches!(style, ScalarStyle::Plain);
                self.finish(Node { at, value: Value::Scalar(text.into_owned(), is_plain) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                untagged(tag.is_some(), at)?;
                self.open(Node { at, value: Value::Sequence(Vec::new()) }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                untagged(tag.is_some(), at)?;
                self.open(Node { at, value: Value::Mapping(Vec::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    self.finish(open.close(), anchor)
                }
                None => Err(at.wrong("it closes what was not opened")),
            },
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(at.wrong("a second document begins here; a file holds one"))
            }
            _ => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<()> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(at.wrong("an alias lies within what it stands for"));
        };
        let (weight, depth) = (node.weight(), node.depth());
        if self.open.len() + depth > DEEPEST {
            return Err(too_deep(at));
        }
        self.spend(at, weight)?;
        let node = self.anchors.get(&anchor).cloned();
        node.map_or(Ok(()), |node| self.finish(Node { at, ..node }, 0))
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<()> {
        self.spend(node.at, (1, 0))?;
        if self.open.len() >= DEEPEST {
            return Err(too_deep(node.at));
        }
        self.open.push(Open { node, anchor, key: None, keys: HashMap::new(), merged: Vec::new() });
        Ok(())
    }

    fn spend(&mut self, at: At, (nodes, bytes): (usize, usize)) -> Result<()> {
        self.nodes += nodes;
        self.bytes += bytes;
        match self.nodes > NODES || self.bytes > LARGEST {
            true => Err(at.wrong(format!(
                "from here on the file is too much: with what aliases repeat it holds over {NODES} values or {LARGEST} bytes"
            ))),
            false => Ok(()),
        }
    }

    /// Puts what is complete where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<()> {
        if anchor > 0 {
            self.spend(node.at, node.weight())?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(parent) => parent.add(node),
            None => {
                self.root = Some(node);
                Ok(())
            }
        }
    }
}

impl Open {
    fn add(&mut self, node: Node) -> Result<()> {
        let entries = match &mut self.node.value {
            Value::Sequence(items) => {
                items.push(node);
                return Ok(());
            }
            Value::Mapping(entries) => entries,
            Value::Scalar(..) => return Ok(()),
        };
        let Some((key, at, plain)) = self.key.take() else {
            let (at, sort) = (node.at, node.sort());
            let Value::Scalar(key, is_plain) = node.value else {
                return Err(at.wrong(format!("a key is a text, and this is {sort}")));
            };
            self.key = Some((key, at, is_plain));
            return Ok(());
        };
        if plain && key == "<<" {
            return self.merge(node);
        }
        if let Some(first) = self.keys.insert(key.clone(), at) {
            let key = crate::quote(&key);
            return Err(at.wrong(format!("the key {key} is here for the second time, after {first}")));
        }
        entries.push(Entry { key, plain, at, node });
        Ok(())
    }

    /// Takes the keys of a mapping, or of several in a list, of which the first that has a key decides.
    fn merge(&mut self, node: Node) -> Result<()> {
        let parts = match node.value {
            Value::Sequence(items) => items,
            value => vec![Node { at: node.at, value }],
        };
        for part in parts {
            match part.value {
                Value::Mapping(entries) => self.merged.extend(entries),
                _ => {
                    return Err(part
                        .at
                        .wrong(format!("only a mapping can be merged, and this is {}", part.sort())));
                }
            }
        }
        Ok(())
    }

    fn close(mut self) -> Node {
        if let Value::Mapping(entries) = &mut self.node.value {
            for entry in self.merged {
                if !self.keys.contains_key(&entry.key) {
                    self.keys.insert(entry.key.clone(), entry.at);
                    entries.push(entry);
                }
            }
        }
        self.node
    }
}

fn untagged(is_tagged: bool, at: At) -> Result<()> {
    match is_tagged {
        true => Err(at.wrong_but("a tag of YAML has no meaning here", "quotes make a text of anything")),
        false => Ok(()),
    }
}

fn too_deep(at: At) -> Flaw {
    at.wrong(format!("more than {DEEPEST} lists and mappings lie within one another"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text).map(|node| format!("{node:?}")).unwrap_err().to_string()
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        let node = read("[1.10, on, 0x10, \"~\", ~, 'a: b', v1.*, null]").unwrap();
        let Value::Sequence(items) = &node.value else { panic!("{node:?}") };
        let texts: Vec<&str> = items
            .iter()
            .map(|item| match &item.value {
                Value::Scalar(text, _) => text.as_str(),
                _ => panic!("{item:?}"),
            })
            .collect();
        assert_eq!(texts, ["1.10", "on", "0x10", "~", "~", "a: b", "v1.*", "null"]);
        let nothing: Vec<bool> = items.iter().map(Node::is_nothing).collect();
        assert_eq!(nothing, [false, false, false, false, true, false, false, true]);
        assert_eq!((items[5].at.line, items[5].at.column), (1, 26));
    }

    #[test]
    fn anchors_are_repeated_and_merged_and_the_own_keys_win() {
        let node = read("a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: *a\nc: *a\n").unwrap();
        let Value::Mapping(entries) = &node.value else { panic!("{node:?}") };
        let Value::Mapping(merged) = &entries[1].node.value else { panic!("{node:?}") };
        let pairs: Vec<(&str, &str)> = merged
            .iter()
            .map(|entry| match &entry.node.value {
                Value::Scalar(text, _) => (entry.key.as_str(), text.as_str()),
                _ => panic!("{entry:?}"),
            })
            .collect();
        assert_eq!(pairs, [("y", "3"), ("x", "1")]);
        assert_eq!(entries[2].node.at, At { line: 5, column: 4 });
    }

    #[test]
    fn what_is_no_settings_is_refused_where_it_stands() {
        for (text, words) in [
            ("", "line 1, column 1: the file is empty"),
            ("# only a comment\n", "the file is empty"),
            (
                "a: 1\nb: 2\na: 3\n",
                "line 3, column 1: the key \"a\" is here for the second time, after line 1, column 1",
            ),
            ("{a: 1, a: 2}", "line 1, column 8: the key \"a\""),
            ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document"),
            ("a: !!binary aGk=\n", "line 1"),
            ("a: !x {}\n", "a tag of YAML has no meaning here"),
            ("[a, b]: c\n", "a key is a text"),
            ("a: *b\n", "line 1, column 4"),
            ("a: &a [*a]\n", "within what it stands for"),
            ("a: [1\n", "line"),
            ("a:\n\t- 1\n", "line 2"),
            ("a: \"b\n", "line"),
            ("a: 1\n b: 2\n", "line 2"),
            ("<<: 1\n", "only a mapping can be merged"),
            ("%TAG ! tag:x,2000:\n---\na: 1\nb: !c d\n", "line 4"),
        ] {
            let message = refused(text);
            assert!(message.contains(words), "{text:?}: {message}");
        }
    }

    #[test]
    fn case_y1_bombs_of_aliases_are_refused_soon() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..30 {
            let one = format!("*a{}", at - 1);
            bomb.push_str(&format!("a{at}: &a{at} [{}]\n", [one.as_str(); 9].join(", ")));
        }
        assert!(refused(&bomb).contains("with what aliases repeat"));
        let mut long = format!("a0: &a0 \"{}\"\n", "x".repeat(100_000));
        for at in 1..100 {
            long.push_str(&format!("b{at}: *a0\n"));
        }
        assert!(refused(&long).contains("with what aliases repeat"));
        let mut merged = "a0: &a0 {k: v}\n".to_owned();
        for at in 1..40 {
            merged.push_str(&format!("a{at}: &a{at}\n  <<: *a{}\n  k{at}: [*a{}]\n", at - 1, at - 1));
        }
        assert!(refused(&merged).contains("line"));
    }

    #[test]
    fn case_y2_depth_and_size_have_limits() {
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)]
        {
            assert!(refused(&deep).contains("line 1"), "{}", refused(&deep));
        }
        let fits = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        assert!(read(&fits).is_ok());
        assert!(refused(&format!("[{fits}]")).contains("line 1"));
        let nested = format!("a: &a {}{}\nb: [*a]\n", "[".repeat(DEEPEST - 1), "]".repeat(DEEPEST - 1));
        assert!(refused(&nested).contains("within one another"));
        assert!(refused(&"a".repeat(LARGEST + 1)).contains("larger than"));
        let many = "- a\n".repeat(NODES);
        assert!(refused(&many).contains("over 200000 values"));
    }
}
