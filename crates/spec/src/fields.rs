//! The members of a JSON object, taken one by one, so that those nobody asked for remain as they were written.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::document::schema1;
use crate::go_json;
use crate::platform::Extra;
use crate::{Error, MediaType, json};

/// The members of one object that were not taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    what: &'static str,
    rest: Extra,
}

impl Fields {
    /// Reads an object, after a look at whether it is the JSON that the specification allows.
    pub(crate) fn read(what: &'static str, bytes: &[u8]) -> Result<Self, Error> {
        json::validate(bytes)?;
        let rest = serde_json::from_slice(bytes)
            .map_err(|_| Error::Document { what, reason: "it is not a JSON object".to_owned() })?;
        Ok(Self { what, rest })
    }

    /// Whether the object has such a member, and it is not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rest.get(name).is_some_and(|value| value.get() != "null")
    }

    /// The member `name`; a null is as good as none (IMG-91).
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.rest.remove(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map_err(|error| self.refuse(&format!("{name}: {}", tidy(&error))))
    }

    /// The member `name`, which must be there.
    pub(crate) fn require<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Error> {
        self.take(name)?.ok_or_else(|| self.refuse(&format!("{name} is missing")))
    }

    /// An array that must be there, but may be null, as Go writes empty ones (IMG-76).
    pub(crate) fn array<T: DeserializeOwned>(&mut self, name: &str) -> Result<Vec<T>, Error> {
        if !self.rest.contains_key(name) {
            return Err(self.refuse(&format!("{name} is missing")));
        }
        Ok(self.take(name)?.unwrap_or_default())
    }

    /// `schemaVersion`, which is the number 2 (IMG-50, IMG-75).
    pub(crate) fn schema_version(&mut self) -> Result<(), Error> {
        match self.take::<serde_json::Value>("schemaVersion")? {
            Some(version) if version.as_u64() == Some(2) => Ok(()),
            Some(version) if version.as_u64() == Some(1) => Err(schema1("schemaVersion 1")),
            Some(_) => Err(self.refuse("schemaVersion is not the number 2")),
            None => Err(self.refuse("schemaVersion is missing")),
        }
    }

    /// `artifactType`; an empty one is none.
    pub(crate) fn artifact_type(&mut self) -> Result<Option<MediaType>, Error> {
        let text: Option<String> = self.take("artifactType")?;
        text.filter(|text| !text.is_empty()).map(|text| MediaType::parse(&text)).transpose()
    }

    pub(crate) fn refuse(&self, reason: &str) -> Error {
        Error::Document { what: self.what, reason: reason.to_owned() }
    }

    /// What is left.
    pub(crate) fn rest(self) -> Extra {
        self.rest
    }
}

/// The position in a part of a document helps nobody.
fn tidy(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

/// Writes an object in a given order, leaving out what is not there; texts are escaped as the tools of others do.
#[derive(Debug, Default)]
pub(crate) struct Writer(String);

impl Writer {
    pub(crate) fn field<T: serde::Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        // Texts, numbers, lists and maps of texts: nothing in these types can fail to be written.
        if let (Ok(name), Ok(value)) = (go_json(name), go_json(value)) {
            self.0.push(if self.0.is_empty() { '{' } else { ',' });
            self.0.push_str(&name);
            self.0.push(':');
            self.0.push_str(&value);
        }
        self
    }

    pub(crate) fn optional<T: serde::Serialize>(self, name: &str, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// A collection, unless it is empty.
    pub(crate) fn filled<'a, C, T>(self, name: &str, value: &'a C) -> Self
    where
        C: serde::Serialize,
        &'a C: IntoIterator<Item = T>,
    {
        if value.into_iter().next().is_some() { self.field(name, value) } else { self }
    }

    pub(crate) fn extra(self, extra: &Extra) -> Self {
        extra.iter().fold(self, |writer, (name, value)| writer.field(name, value))
    }

    pub(crate) fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }

    pub(crate) fn raw(self) -> Box<RawValue> {
        RawValue::from_string(self.finish()).unwrap_or_default()
    }
}
