//! What is to be changed in the config and the annotations of an image.

use std::collections::BTreeSet;

use transship_spec::splice::Object;
use transship_spec::{Annotations, ImageConfig, Platform, RuntimeConfig};

use crate::config::{ConfigChanges, overlay, set_healthcheck};
use crate::epoch::created;
use crate::image::{check_annotations, detailed};
use crate::{Error, Warning};

/// Annotations to set and to take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotationChanges {
    /// Whether all that are there are taken away first.
    pub clear: bool,
    /// Keys to take away; one that is not there is no error.
    pub remove: BTreeSet<String>,
    /// What is set.
    pub set: Annotations,
}

impl AnnotationChanges {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_annotations(&self.set).map(drop)
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        check_annotations(&self.set).unwrap_or_default()
    }

    /// Makes the changes in a document.
    pub(super) fn apply(&self, document: &mut Object) -> Result<(), Error> {
        if self.clear && self.set.is_empty() {
            document.remove("annotations")?;
            return Ok(());
        }
        if self.clear {
            document.within("annotations", |inside| {
                *inside = Object::new("{}")?;
                Ok::<_, Error>(())
            })?;
        }
        document.within("annotations", |inside| {
            for key in &self.remove {
                inside.remove(key)?;
            }
            for (key, value) in &self.set {
                if inside.get(key)?.and_then(|have| serde_json::from_str(have).ok()) != Some(value.clone()) {
                    inside.set(key, value)?;
                }
            }
            Ok(())
        })
    }
}

/// A setting of a config that can be taken away as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Setting {
    /// The program.
    Entrypoint,
    /// Its arguments.
    Cmd,
    /// All variables.
    Env,
    /// The folder in which it starts.
    WorkingDir,
    /// The user.
    User,
    /// All ports.
    ExposedPorts,
    /// All volumes.
    Volumes,
    /// All labels.
    Labels,
    /// The signal that asks it to end.
    StopSignal,
    /// The check of its health.
    Healthcheck,
    /// Who made the image.
    Author,
    /// When it was made.
    Created,
    /// How its layers came to be.
    History,
}

/// What is to be changed in a config: settings are taken away, then the file says what it says, then single values are
/// taken away, then changes are made.
#[derive(Debug, Clone, Default)]
pub struct ConfigEdit {
    /// Settings to take away.
    pub clear: BTreeSet<Setting>,
    /// An image config, whole or in part, whose fields take the place of those that are there, also within `config`: the
    /// content of a JSON file.
    pub file: Option<Vec<u8>>,
    /// Variables to take away, by name. One that is not there is no error, and so with the others.
    pub unset_env: Vec<String>,
    /// Labels to take away, by key.
    pub unset_labels: Vec<String>,
    /// Ports to take away: `80` is `80/tcp`.
    pub unset_ports: Vec<String>,
    /// Volumes to take away.
    pub unset_volumes: Vec<String>,
    /// What is set and added.
    pub changes: ConfigChanges,
    /// The check of its health, as a JSON object such as `{"Test":["CMD","/bin/check"]}`.
    pub healthcheck: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// When it was made: a date with time and offset (RFC 3339).
    pub created: Option<String>,
    /// What it runs on.
    pub platform: Option<Platform>,
    /// Features that its operating system must have; none takes them away.
    pub os_features: Option<Vec<String>>,
    /// Entries of history to add, each a JSON object; they stand for no layer, and say so.
    pub history: Vec<String>,
}

impl ConfigEdit {
    pub(super) fn check(&self) -> Result<(), Error> {
        created(self.created.as_deref(), None)?;
        for (what, text) in self
            .healthcheck
            .iter()
            .map(|text| ("a health check", text))
            .chain(self.history.iter().map(|text| ("an entry of history", text)))
        {
            Object::new(text.clone())
                .map_err(|error| Error::option(what, text, format!("it takes a JSON object; {error}")))?;
        }
        for entry in &self.history {
            self.history_entry(entry)?;
        }
        if let Some(file) = &self.file {
            overlay(&mut ImageConfig::default(), file)?;
        }
        self.apply(&mut ImageConfig::default())
    }

    /// The entry as it is written: it makes no layer.
    pub(super) fn history_entry(&self, text: &str) -> Result<String, Error> {
        let mut entry = Object::new(text)?;
        if let Some(time) = entry.get("created")? {
            let time: Option<String> =
                serde_json::from_str(time).map_err(|_| Error::option("created", time, "it takes a text"))?;
            created(time.as_deref(), None)?;
        }
        entry.set("empty_layer", &true)?;
        Ok(entry.text().to_owned())
    }

    /// Makes the changes, history apart.
    pub(super) fn apply(&self, config: &mut ImageConfig) -> Result<(), Error> {
        self.clear(config);
        if let Some(file) = &self.file {
            let before = config.config.take();
            overlay(config, file)?;
            config.config = merged(before, config.config.take());
        }
        if let Some(run) = &mut config.config {
            self.unset(run);
        }
        self.changes.apply(config)?;
        if let Some(check) = &self.healthcheck {
            set_healthcheck(config, check)?;
        }
        if self.author.is_some() {
            config.author.clone_from(&self.author);
        }
        if let Some(time) = created(self.created.as_deref(), None)? {
            config.created = Some(time);
        }
        if let Some(platform) = &self.platform {
            config.platform = detailed(platform.clone(), config.platform.clone());
        }
        if let Some(features) = &self.os_features {
            config.platform.os_features.clone_from(features);
        }
        Ok(())
    }

    fn clear(&self, config: &mut ImageConfig) {
        for setting in &self.clear {
            match setting {
                Setting::Author => config.author = None,
                Setting::Created => config.created = None,
                Setting::History => {}
                setting => {
                    if let Some(run) = &mut config.config {
                        clear(*setting, run);
                    }
                }
            }
        }
    }

    fn unset(&self, run: &mut RuntimeConfig) {
        let name = |variable: &str| variable.split_once('=').map_or(variable, |(name, _)| name).to_owned();
        run.env.retain(|variable| !self.unset_env.contains(&name(variable)));
        run.labels.retain(|key, _| !self.unset_labels.contains(key));
        run.volumes.retain(|volume| !self.unset_volumes.contains(volume));
        let full = |port: &String| if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
        let gone: Vec<String> = self.unset_ports.iter().map(full).collect();
        run.exposed_ports.retain(|port| !gone.contains(&full(port)));
    }
}

/// How an image is run, where a file says only what it says.
fn merged(before: Option<RuntimeConfig>, file: Option<RuntimeConfig>) -> Option<RuntimeConfig> {
    let (Some(mut run), Some(file)) = (before.clone(), file.clone()) else { return file.or(before) };
    run.user = file.user.or(run.user);
    run.entrypoint = file.entrypoint.or(run.entrypoint);
    run.cmd = file.cmd.or(run.cmd);
    run.working_dir = file.working_dir.or(run.working_dir);
    run.stop_signal = file.stop_signal.or(run.stop_signal);
    for (list, told) in [
        (&mut run.env, file.env),
        (&mut run.exposed_ports, file.exposed_ports),
        (&mut run.volumes, file.volumes),
    ] {
        if !told.is_empty() {
            *list = told;
        }
    }
    if !file.labels.is_empty() {
        run.labels = file.labels;
    }
    run.extra.extend(file.extra);
    Some(run)
}

fn clear(setting: Setting, run: &mut RuntimeConfig) {
    match setting {
        Setting::Entrypoint => run.entrypoint = None,
        Setting::Cmd => run.cmd = None,
        Setting::Env => run.env.clear(),
        Setting::WorkingDir => run.working_dir = None,
        Setting::User => run.user = None,
        Setting::ExposedPorts => run.exposed_ports.clear(),
        Setting::Volumes => run.volumes.clear(),
        Setting::Labels => run.labels.clear(),
        Setting::StopSignal => run.stop_signal = None,
        Setting::Healthcheck => drop(run.extra.remove("Healthcheck")),
        Setting::Author | Setting::Created | Setting::History => {}
    }
}
