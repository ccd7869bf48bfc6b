//! Changing JSON as text: what is not changed keeps its very bytes, and so do unknown members, the forms of numbers and the
//! order of everything (law 1 of ARCHITECTURE.md).
//!
//! An [`Object`] is changed member by member; an array is taken apart with [`elements`] and put together again with
//! [`array()`]. What is added is set apart as its neighbours are, so that a document written for people stays one.

use serde::Serialize;

use crate::{Descriptor, Error, json};

/// The text of one JSON object, to be changed.
///
/// ```
/// use transship_spec::splice::Object;
///
/// let mut object = Object::new(r#"{ "a": 1.0e0, "mood": [ 1 ] }"#)?;
/// object.set("a", "b")?;
/// object.set("c", &[2])?;
/// assert_eq!(object.text(), r#"{ "a": "b", "mood": [ 1 ], "c": [2] }"#);
/// assert!(object.remove("mood")?);
/// assert_eq!(object.text(), r#"{ "a": "b", "c": [2] }"#);
/// # Ok::<(), transship_spec::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    text: String,
}

impl Object {
    /// Takes a text that must be one object, by the rules of [`json::validate`].
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::Limit`].
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        json::validate(text.as_bytes())?;
        let object = Self { text };
        object.members()?;
        Ok(object)
    }

    /// The text as it is now.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a member's value.
    ///
    /// # Errors
    /// None in practice: the text was found to be an object.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        let member = self.members()?.into_iter().find(|member| member.name == name);
        Ok(member.and_then(|member| self.text.get(member.value)))
    }

    /// Gives a member this value: in its place, or behind all others.
    ///
    /// # Errors
    /// [`Error::Document`] for a value that JSON cannot say.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.set_text(name, &written(value)?)
    }

    /// Gives a member the value that this JSON says.
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::Limit`] when it is none.
    pub fn set_text(&mut self, name: &str, value: &str) -> Result<(), Error> {
        json::validate(value.as_bytes())?;
        let members = self.members()?;
        if let Some(member) = members.iter().find(|member| member.name == name) {
            self.text.replace_range(member.value.clone(), value);
            return Ok(());
        }
        let key = written(name)?;
        let Some((first, last)) = members.first().zip(members.last()) else {
            let end = self.text.rfind('}').unwrap_or_default();
            self.text.insert_str(end, &format!("{key}:{value}"));
            return Ok(());
        };
        let lead = self.between(self.text.find('{').map_or(0, |at| at + 1), first.range.start).to_owned();
        let named = self.between(first.range.start, first.value.start);
        let colon = named.rfind('"').map_or(":", |end| &named[end + 1..]);
        let added = format!(",{lead}{key}{colon}{value}");
        self.text.insert_str(last.range.end, &added);
        Ok(())
    }

    /// Takes a member away; tells whether it was there.
    ///
    /// # Errors
    /// None in practice: the text was found to be an object.
    pub fn remove(&mut self, name: &str) -> Result<bool, Error> {
        let members = self.members()?;
        let Some(at) = members.iter().position(|member| member.name == name) else { return Ok(false) };
        // With the comma before it, or the one after it if it is the first.
        let cut = match (at.checked_sub(1).and_then(|before| members.get(before)), members.get(at + 1)) {
            (Some(before), _) => before.range.end..members[at].range.end,
            (None, Some(after)) => members[at].range.start..after.range.start,
            (None, None) => members[at].range.clone(),
        };
        self.text.replace_range(cut, "");
        Ok(true)
    }

    /// Changes a member that is an object; where it is absent or null, one that is empty. One that the change has emptied
    /// is taken away.
    ///
    /// # Errors
    /// That of `change`, and [`Error::Json`] when the member is no object.
    pub fn within<E: From<Error>>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.get(name)?.filter(|value| *value != "null").unwrap_or("{}").to_owned();
        let mut inner = Self::new(before.clone())?;
        change(&mut inner)?;
        if inner.text == before {
            return Ok(());
        }
        if inner.is_empty()? {
            self.remove(name)?;
        } else {
            self.set_text(name, &inner.text)?;
        }
        Ok(())
    }

    /// Whether there is no member.
    ///
    /// # Errors
    /// None in practice: the text was found to be an object.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.members()?.is_empty())
    }

    fn members(&self) -> Result<Vec<json::Member>, Error> {
        json::members(self.text.as_bytes(), 0..self.text.len())
    }

    fn between(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// The texts of the elements of an array; none of `null`.
///
/// # Errors
/// [`Error::Json`] when it is no array.
pub fn elements(array: &str) -> Result<Vec<&str>, Error> {
    if array == "null" {
        return Ok(Vec::new());
    }
    let ranges = json::elements(array.as_bytes(), 0..array.len())?;
    Ok(ranges.into_iter().filter_map(|range| array.get(range)).collect())
}

/// An array of these elements, set apart as those of `old` are.
///
/// # Errors
/// [`Error::Json`] when `old` is neither an array nor `null`.
///
/// ```
/// use transship_spec::splice::array;
/// assert_eq!(array("[ 1, 2 ]", &["2", "3", "4"])?, "[ 2, 3, 4 ]");
/// assert_eq!(array("null", &["1"])?, "[1]");
/// # Ok::<(), transship_spec::Error>(())
/// ```
pub fn array<T: AsRef<str>>(old: &str, elements: &[T]) -> Result<String, Error> {
    let ranges = if old == "null" { Vec::new() } else { json::elements(old.as_bytes(), 0..old.len())? };
    let part = |start: usize, end: usize| old.get(start..end).unwrap_or_default();
    let (lead, between, tail) = match (ranges.first(), ranges.get(1), ranges.last()) {
        (Some(first), second, Some(last)) => {
            let lead = part(1, first.start);
            let between =
                second.map_or_else(|| format!(",{lead}"), |second| part(first.end, second.start).to_owned());
            (lead, between, part(last.end, old.len() - 1))
        }
        _ => ("", ",".to_owned(), ""),
    };
    if elements.is_empty() {
        return Ok("[]".to_owned());
    }
    let elements: Vec<&str> = elements.iter().map(AsRef::as_ref).collect();
    Ok(format!("[{lead}{}{tail}]", elements.join(&between)))
}

/// A descriptor's text that points at other content; all else that it says stays, less what it embedded.
///
/// # Errors
/// [`Error::Json`] when the text is no object.
pub fn repointed(text: &str, old: &Descriptor, new: &Descriptor) -> Result<String, Error> {
    let mut text = Object::new(text)?;
    text.set("digest", &new.digest)?;
    if new.size != old.size {
        text.set("size", &new.size)?;
    }
    if new.media_type != old.media_type {
        text.set("mediaType", &new.media_type)?;
    }
    text.remove("data")?;
    if let Some(platform) = &new.platform
        && old.platform.as_ref() != Some(platform)
    {
        text.set("platform", platform)?;
    }
    Ok(text.text)
}

fn written<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| Error::Document { what: "JSON value", reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::new(text).unwrap()
    }

    #[test]
    fn img_99_what_is_not_changed_keeps_its_bytes() {
        let text = "{\n  \"b\" : 1.50,\n  \"a\" : { \"x\" : [ ] },\n  \"c\" : null\n}\n";
        let mut changed = object(text);
        changed.set("a", &1).unwrap();
        assert_eq!(changed.text(), text.replace("{ \"x\" : [ ] }", "1"));
        changed.set("d", "e").unwrap();
        assert_eq!(changed.text(), "{\n  \"b\" : 1.50,\n  \"a\" : 1,\n  \"c\" : null,\n  \"d\" : \"e\"\n}\n");
        for name in ["b", "d", "c", "a"] {
            assert!(changed.remove(name).unwrap());
            json::validate(changed.text().as_bytes()).unwrap();
        }
        assert!(changed.is_empty().unwrap());
        assert!(!changed.remove("a").unwrap());
    }

    #[test]
    fn an_object_within_is_made_and_goes_when_it_is_emptied() {
        let put = |inner: &mut Object| inner.set("k", "v");
        let mut changed = object(r#"{"a":null}"#);
        changed.within("a", put).unwrap();
        changed.within("b", put).unwrap();
        assert_eq!(changed.text(), r#"{"a":{"k":"v"},"b":{"k":"v"}}"#);
        changed.within("a", |inner| inner.remove("k").map(drop)).unwrap();
        assert_eq!(changed.text(), r#"{"b":{"k":"v"}}"#);
        let mut untouched = object(r#"{"a":null,"e":{ }}"#);
        for name in ["a", "e", "x"] {
            untouched.within(name, |_| Ok::<_, Error>(())).unwrap();
        }
        assert_eq!(untouched.text(), r#"{"a":null,"e":{ }}"#);
        assert!(object(r#"{"a":3}"#).within("a", put).is_err());
    }

    #[test]
    fn names_are_told_apart_by_what_they_say_and_not_by_how_they_are_written() {
        let mut changed = object(r#"{"\u0061":1}"#);
        changed.set("a", &2).unwrap();
        assert_eq!(changed.text(), r#"{"\u0061":2}"#);
        changed.set("\"", &3).unwrap();
        assert_eq!(changed.text(), r#"{"\u0061":2,"\"":3}"#);
    }

    #[test]
    fn arrays_keep_the_way_in_which_their_elements_are_set_apart() {
        for (old, new, text) in [
            ("[]", vec!["1", "2"], "[1,2]"),
            ("[\n  1\n]", vec!["1", "2"], "[\n  1,\n  2\n]"),
            ("[ 1, 2, 3 ]", vec!["3"], "[ 3 ]"),
            ("[1]", vec![], "[]"),
            ("null", vec![], "[]"),
        ] {
            assert_eq!(array(old, &new).unwrap(), text, "{old}");
        }
        assert_eq!(elements("[ 1, [2] ]").unwrap(), ["1", "[2]"]);
        assert!(
            elements("null").unwrap().is_empty() && elements("{}").is_err() && array("3", &["1"]).is_err()
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["[]", "", "{", r#"{"a":1,"a":2}"#, "3"] {
            assert!(Object::new(bad).is_err(), "{bad}");
        }
        assert!(object("{}").set_text("a", "x").is_err());
    }
}
