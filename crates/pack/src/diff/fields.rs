//! Two JSON documents, field by field.
//!
//! Objects are compared by name and arrays by position, once what they begin and end with alike is left out; a list of
//! plain values is one value. Numbers count as they are written, texts as they are read. Fields that nobody knows are
//! compared like all others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use transship_spec::{Digest, Error, json};

use super::Status;

/// A field that differs, and its value on either side; none where the field is not there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FieldChange {
    /// Where it is, as a JSON pointer (RFC 6901). A variable of an environment is `/config/Env/NAME`.
    pub pointer: String,
    /// Its JSON on the left.
    pub left: Option<Box<RawValue>>,
    /// Its JSON on the right.
    pub right: Option<Box<RawValue>>,
}

impl FieldChange {
    /// That all is another, and nothing in it.
    pub(super) fn whole(left: &Digest, right: &Digest) -> Self {
        let digest = |digest: &Digest| text(&digest.to_string());
        Self { pointer: String::new(), left: digest(left), right: digest(right) }
    }

    /// Whether it was added, removed or changed.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.left.is_some(), self.right.is_some())
    }

    /// The parts of the pointer, as they are named in the document.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let parts = self.pointer.split('/').skip(1);
        parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
    }
}

/// A list that is a map in truth: each of its texts is `NAME=VALUE`.
const ENVIRONMENT: &str = "/config/Env";

/// All fields in which two documents differ, in the order of their names, but for those at `except` and beneath.
///
/// # Errors
/// [`Error::Json`] and [`Error::Limit`] for what is not JSON as the specification allows it.
pub(super) fn compare(left: &[u8], right: &[u8], except: &[&str]) -> Result<Vec<FieldChange>, Error> {
    let mut found = Fields { except, changes: Vec::new() };
    found.values("", Some(read(left)?), Some(read(right)?));
    Ok(found.changes)
}

fn read(bytes: &[u8]) -> Result<&RawValue, Error> {
    json::validate(bytes)?;
    serde_json::from_slice(bytes).map_err(|_| Error::Json { offset: 0, reason: "no value" })
}

struct Fields<'a> {
    except: &'a [&'a str],
    changes: Vec<FieldChange>,
}

/// A value, as far as it can be compared piece by piece.
enum Shape<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    /// What is shown as one thing.
    Plain,
}

impl<'a> Shape<'a> {
    fn of(value: &'a RawValue) -> Self {
        let shape = match value.get().as_bytes().first() {
            Some(b'{') => serde_json::from_str(value.get()).map(Self::Object),
            Some(b'[') => serde_json::from_str(value.get()).map(Self::Array),
            _ => Ok(Self::Plain),
        };
        shape.unwrap_or(Self::Plain)
    }
}

impl Fields<'_> {
    fn values(&mut self, pointer: &str, left: Option<&RawValue>, right: Option<&RawValue>) {
        let (left, right) = (left.filter(|value| !is_null(value)), right.filter(|value| !is_null(value)));
        if self.except.contains(&pointer) {
            return;
        }
        let none = BTreeMap::new();
        match (left.map(Shape::of), right.map(Shape::of)) {
            (Some(Shape::Object(left)), Some(Shape::Object(right))) => self.members(pointer, &left, &right),
            (Some(Shape::Object(left)), None) if !left.is_empty() => self.members(pointer, &left, &none),
            (None, Some(Shape::Object(right))) if !right.is_empty() => self.members(pointer, &none, &right),
            _ if is_same(left, right) => {}
            (Some(Shape::Array(a)), Some(Shape::Array(b))) => {
                if pointer != ENVIRONMENT || !self.variables(&a, &b) {
                    self.elements(pointer, (&a, &b), (left, right));
                }
            }
            (Some(Shape::Array(only)), None) if pointer == ENVIRONMENT && self.variables(&only, &[]) => {}
            (None, Some(Shape::Array(only))) if pointer == ENVIRONMENT && self.variables(&[], &only) => {}
            _ => self.differ(pointer.to_owned(), left, right),
        }
    }

    fn differ(&mut self, pointer: String, left: Option<&RawValue>, right: Option<&RawValue>) {
        let owned = |value: Option<&RawValue>| value.map(ToOwned::to_owned);
        self.changes.push(FieldChange { pointer, left: owned(left), right: owned(right) });
    }

    fn members(
        &mut self,
        pointer: &str,
        left: &BTreeMap<String, &RawValue>,
        right: &BTreeMap<String, &RawValue>,
    ) {
        let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for name in names {
            let pointer = below(pointer, name);
            self.values(&pointer, left.get(name).copied(), right.get(name).copied());
        }
    }

    fn elements(
        &mut self,
        pointer: &str,
        (left, right): (&[&RawValue], &[&RawValue]),
        whole: (Option<&RawValue>, Option<&RawValue>),
    ) {
        let is_plain = |value: &&&RawValue| !value.get().starts_with(['{', '[']);
        if left.iter().chain(right).all(|value| is_plain(&value)) {
            return self.differ(pointer.to_owned(), whole.0, whole.1);
        }
        let same = |(a, b): &(&&RawValue, &&RawValue)| is_same(Some(a), Some(b));
        let begin = left.iter().zip(right).take_while(same).count();
        let (left, right) = (&left[begin..], &right[begin..]);
        let end = left.iter().rev().zip(right.iter().rev()).take_while(same).count();
        let (left, right) = (&left[..left.len() - end], &right[..right.len() - end]);
        for number in 0..left.len().max(right.len()) {
            let pointer = below(pointer, &(begin + number).to_string());
            match (left.get(number), right.get(number)) {
                (Some(a), Some(b)) => self.values(&pointer, Some(a), Some(b)),
                (a, b) => self.differ(pointer, a.copied(), b.copied()),
            }
        }
    }

    /// Compares environments by the names of their variables; false where that does not tell them apart.
    fn variables(&mut self, left: &[&RawValue], right: &[&RawValue]) -> bool {
        let (Some(left), Some(right)) = (environment(left), environment(right)) else { return false };
        let before = self.changes.len();
        let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for name in names {
            let (a, b) = (left.get(name), right.get(name));
            if a != b {
                let pointer = below(ENVIRONMENT, name);
                self.differ(pointer, a.and_then(|a| text(a)).as_deref(), b.and_then(|b| text(b)).as_deref());
            }
        }
        self.changes.len() > before
    }
}

/// The variables of an environment; nothing if one of them has no name, or has it twice.
fn environment(values: &[&RawValue]) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for value in values {
        let variable: String = serde_json::from_str(value.get()).ok()?;
        let (name, value) = variable.split_once('=')?;
        if variables.insert(name.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    Some(variables)
}

fn text(text: &str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(text).ok()
}

/// A null is as good as none (IMG-91).
fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Whether two values say the same, however they are spaced, ordered and escaped.
fn is_same(left: Option<&RawValue>, right: Option<&RawValue>) -> bool {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (left, right) => return left.is_none() && right.is_none(),
    };
    if left.get() == right.get() {
        return true;
    }
    match (Shape::of(left), Shape::of(right)) {
        (Shape::Object(left), Shape::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().all(|name| is_same(left.get(name).copied(), right.get(name).copied()))
        }
        (Shape::Array(left), Shape::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_same(Some(a), Some(b)))
        }
        (Shape::Plain, Shape::Plain) => {
            let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
            text(left).is_some_and(|left| Some(left) == text(right))
        }
        _ => false,
    }
}

/// The pointer of a member or an element.
fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Any JSON, of few names, so that two of them have something in common.
    fn any_json() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_u8).prop_map(Value::from),
            prop::sample::select(vec!["", "A=1", "B=2", "ä"]).prop_map(Value::from),
        ];
        plain.prop_recursive(5, 40, 4, |inner| {
            let names = prop::sample::select(vec!["config", "Env", "history", "a/b", "~"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names.prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn sides(changes: &[FieldChange]) -> Vec<(String, Option<String>, Option<String>)> {
        let text = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| value.get().to_owned());
        changes
            .iter()
            .map(|change| (change.pointer.clone(), text(&change.left), text(&change.right)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_differs_is_told_and_both_ways_alike(left in any_json(), right in any_json()) {
            let (a, b) = (left.to_string(), right.to_string());
            let spaced = serde_json::to_string_pretty(&left).unwrap();
            prop_assert!(compare(a.as_bytes(), spaced.as_bytes(), &[]).unwrap().is_empty());
            let forth = sides(&compare(a.as_bytes(), b.as_bytes(), &[]).unwrap());
            let back = sides(&compare(b.as_bytes(), a.as_bytes(), &[]).unwrap());
            let turned: Vec<_> = back.into_iter().map(|(pointer, left, right)| (pointer, right, left)).collect();
            prop_assert_eq!(&forth, &turned);
            prop_assert!(forth.iter().all(|(_, left, right)| left != right));
            // A null is as good as none.
            let has_null = a.contains("null") || b.contains("null");
            prop_assert!(left == right || !forth.is_empty() || has_null);
        }
    }
}
