//! What is wanted when an artifact is packed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use transship_spec::{Annotations, Descriptor};

use super::input::File;
use crate::epoch::created;
use crate::{Error, LayerOptions};

/// What is wanted of an artifact that is packed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What it is made of, in the order given.
    pub inputs: Vec<File>,
    /// What was said by the [settings](super::Setting) of the kind, by name. One that is only said has no value.
    pub settings: BTreeMap<String, Vec<String>>,
    /// Annotations of the manifest, which come before those that the kind gives.
    pub annotations: Annotations,
    /// When it was made: a date with time and offset (RFC 3339). Else it is `source_date_epoch`, else what the kind finds in
    /// its input, else nothing.
    pub created: Option<String>,
    /// The value of `SOURCE_DATE_EPOCH`, which this library does not look for.
    pub source_date_epoch: Option<i64>,
    /// The manifest that it refers to.
    pub subject: Option<Descriptor>,
    /// How folders become tars, and who is told how far it is.
    pub layer: LayerOptions,
}

impl Request {
    /// Nothing but inputs, named by their paths.
    ///
    /// # Errors
    /// [`Error::Option`] for a path without a last name.
    pub fn of(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, Error> {
        let inputs = paths.into_iter().map(|path| File::named_last(path.into()));
        Ok(Self { inputs: inputs.collect::<Result<_, _>>()?, ..Self::default() })
    }

    /// The one input of a kind that takes one.
    ///
    /// # Errors
    /// [`Error::Nothing`] without one, [`Error::Option`] for the second of several.
    pub fn one_input(&self) -> Result<&File, Error> {
        match self.inputs.as_slice() {
            [only] => Ok(only),
            [] => Err(Error::Nothing("there is no input")),
            [_, second, ..] => {
                let text = second.path.to_string_lossy();
                Err(Error::option("an input", &text, "this kind takes one; pack one at a time"))
            }
        }
    }

    /// What a setting was given, the last time that it was.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.last().map(String::as_str)
    }

    /// All that a setting was given.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.settings.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a setting was said.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// When it was made, in UTC (RFC 3339), as far as that was told.
    ///
    /// # Errors
    /// [`Error::Option`] for what is no time.
    pub fn created(&self) -> Result<Option<String>, Error> {
        created(self.created.as_deref(), self.source_date_epoch)
    }
}
