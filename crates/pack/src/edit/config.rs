//! The text of a config, changed where its view was, and only there.

use std::collections::BTreeMap;

use serde::Serialize;
use transship_spec::splice::Object;
use transship_spec::{Extra, ImageConfig, RuntimeConfig};

use crate::Error;

/// Changes of a text, with a line for people about each.
pub(super) struct Splice<'a> {
    text: &'a mut Object,
    changes: &'a mut Vec<String>,
    /// What the members belong to, for people.
    of: &'a str,
}

/// Makes a text say what `new` says where that is something else than `old`; layers and history apart.
pub(super) fn splice(
    text: &mut Object,
    old: &ImageConfig,
    new: &ImageConfig,
    changes: &mut Vec<String>,
) -> Result<(), Error> {
    let mut head = Splice { text, changes, of: "" };
    head.value("created", old.created.as_ref(), new.created.as_ref())?;
    head.value("author", old.author.as_ref(), new.author.as_ref())?;
    let (was, is) = (&old.platform, &new.platform);
    head.value("architecture", Some(&was.architecture), Some(&is.architecture))?;
    head.value("os", Some(&was.os), Some(&is.os))?;
    head.value("os.version", was.os_version.as_ref(), is.os_version.as_ref())?;
    head.value("os.features", filled(&was.os_features), filled(&is.os_features))?;
    head.value("variant", was.variant.as_ref(), is.variant.as_ref())?;
    head.extra(&old.extra, &new.extra)?;
    let nothing = RuntimeConfig::default();
    let (was, is) = (old.config.as_ref().unwrap_or(&nothing), new.config.as_ref().unwrap_or(&nothing));
    text.within("config", |inner| runtime(&mut Splice { text: inner, changes, of: "" }, was, is))
}

fn runtime(inner: &mut Splice<'_>, was: &RuntimeConfig, is: &RuntimeConfig) -> Result<(), Error> {
    inner.value("User", was.user.as_ref(), is.user.as_ref())?;
    inner.set("ExposedPorts", &was.exposed_ports, &is.exposed_ports)?;
    inner.value("Env", filled(&was.env), filled(&is.env))?;
    inner.value("Entrypoint", was.entrypoint.as_ref(), is.entrypoint.as_ref())?;
    inner.value("Cmd", was.cmd.as_ref(), is.cmd.as_ref())?;
    inner.set("Volumes", &was.volumes, &is.volumes)?;
    inner.value("WorkingDir", was.working_dir.as_ref(), is.working_dir.as_ref())?;
    inner.map("Labels", &was.labels, &is.labels)?;
    inner.value("StopSignal", was.stop_signal.as_ref(), is.stop_signal.as_ref())?;
    inner.extra(&was.extra, &is.extra)
}

fn filled(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}

impl Splice<'_> {
    fn value<T: Serialize + PartialEq + ?Sized>(
        &mut self,
        name: &str,
        was: Option<&T>,
        is: Option<&T>,
    ) -> Result<(), Error> {
        if was == is {
            return Ok(());
        }
        self.tell(name, was, is);
        match is {
            Some(value) => self.text.set(name, value)?,
            None => drop(self.text.remove(name)?),
        }
        Ok(())
    }

    /// Names without values, as ports and volumes are written.
    fn set(&mut self, name: &str, was: &[String], is: &[String]) -> Result<(), Error> {
        let map = |names: &[String]| names.iter().map(|name| (name.clone(), Empty {})).collect();
        self.map(name, &map(was), &map(is))
    }

    fn map<T: Serialize + PartialEq>(
        &mut self,
        name: &str,
        was: &BTreeMap<String, T>,
        is: &BTreeMap<String, T>,
    ) -> Result<(), Error> {
        let of = format!("{name} ");
        let Self { text, changes, .. } = self;
        text.within(name, |inner| {
            let mut inner = Splice { text: inner, changes, of: &of };
            for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
                inner.value(key, was.get(key), is.get(key))?;
            }
            Ok(())
        })
    }

    fn extra(&mut self, was: &Extra, is: &Extra) -> Result<(), Error> {
        for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
            let (old, new) = (was.get(key).map(|raw| raw.get()), is.get(key).map(|raw| raw.get()));
            if old == new {
                continue;
            }
            match new {
                Some(value) => {
                    self.changes.push(format!("{key}: {} -> {}", old.unwrap_or("absent"), value));
                    self.text.set_text(key, value)?;
                }
                None => {
                    self.changes.push(format!("{key}: {} -> absent", old.unwrap_or("absent")));
                    self.text.remove(key)?;
                }
            }
        }
        Ok(())
    }

    fn tell<T: Serialize + ?Sized>(&mut self, name: &str, was: Option<&T>, is: Option<&T>) {
        let text = |value: Option<&T>| {
            value
                .map_or_else(|| "absent".to_owned(), |value| serde_json::to_string(value).unwrap_or_default())
        };
        self.changes.push(format!("{}{name}: {} -> {}", self.of, text(was), text(is)));
    }
}

/// What ports and volumes have for a value.
#[derive(PartialEq, Serialize)]
struct Empty {}
