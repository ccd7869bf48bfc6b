//! Kinds that are recognised, told and extracted, and not packed: what marks each is data.
//!
//! Modules of Timoni, features and templates of development containers, models in the form of `ModelPack`, and the files in
//! stores of Hauler. The parts of a module of Timoni are archives that it unpacks into one folder; they are extracted as they
//! are, by their roles.

use serde_json::Value;
use transship_spec::{Descriptor, annotations};

use super::{Extract, Facts, Held, Kind, Sight, Sign, titled};
use crate::Error;

/// What a kind is known by, and what is told of it.
#[derive(Debug)]
pub(super) struct Known {
    name: &'static str,
    about: &'static str,
    /// How the types of its manifest, config and layers begin.
    prefixes: &'static [&'static str],
    /// The annotation of a layer by which its part is known.
    role: Option<&'static str>,
    /// The annotation of a layer that says where its file goes.
    path: Option<&'static str>,
    /// Where JSON is that tells of it.
    told: Told,
    /// What of that is told: the name of the fact, and where its value is.
    facts: &'static [(&'static str, &'static str)],
}

#[derive(Debug, Clone, Copy)]
enum Told {
    Nowhere,
    /// In this annotation of the manifest.
    Annotation(&'static str),
    /// In a config of this type.
    Config(&'static str),
}

pub(super) const TIMONI: Known = Known {
    name: "timoni",
    about: "a module of Timoni",
    prefixes: &["application/vnd.timoni."],
    role: Some("sh.timoni.content.type"),
    path: None,
    told: Told::Nowhere,
    facts: &[],
};

pub(super) const DEVCONTAINER: Known = Known {
    name: "devcontainer",
    about: "a feature or a template of development containers",
    prefixes: &["application/vnd.devcontainers"],
    role: None,
    path: None,
    told: Told::Annotation("dev.containers.metadata"),
    facts: &[
        ("id", "/id"),
        ("name", "/name"),
        ("version", "/version"),
        ("documentation", "/documentationURL"),
    ],
};

pub(super) const MODEL: Known = Known {
    name: "model",
    about: "a model in the form of ModelPack",
    prefixes: &["application/vnd.cncf.model."],
    role: None,
    path: Some("org.cncf.model.filepath"),
    told: Told::Config("application/vnd.cncf.model.config.v1+json"),
    facts: &[
        ("name", "/descriptor/name"),
        ("version", "/descriptor/version"),
        ("family", "/descriptor/family"),
        ("made", "/descriptor/createdAt"),
        ("architecture", "/config/architecture"),
        ("format", "/config/format"),
        ("parameters", "/config/paramSize"),
        ("precision", "/config/precision"),
    ],
};

pub(super) const HAULER: Known = Known {
    name: "hauler",
    about: "a file in a store of Hauler",
    prefixes: &["application/vnd.content.hauler."],
    role: None,
    path: None,
    told: Told::Nowhere,
    facts: &[],
};

impl Kind for Known {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        self.about
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_ours = |media_type: &str| self.prefixes.iter().any(|prefix| media_type.starts_with(prefix));
        match () {
            () if sight.artifact_type().is_some_and(|it| is_ours(it.as_str())) => Some(Sign::ArtifactType),
            () if sight.config_type().is_some_and(|it| is_ours(it.as_str())) => Some(Sign::ConfigType),
            () if sight.layers().iter().any(|it| is_ours(it.media_type.as_str())) => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for part in &mut facts.parts {
            if let Some(role) = self.role.and_then(|key| part.descriptor.annotations.get(key)) {
                role.clone_into(&mut part.role);
            }
            part.name = part.name.take().or_else(|| self.path(&part.descriptor));
        }
        let Some(told) = self.told(held)? else { return Ok(facts) };
        for (name, pointer) in self.facts {
            let value = told.pointer(pointer).and_then(|value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            match *name {
                "name" => facts.title = facts.title.take().or(value),
                "version" => facts.version = facts.version.take().or(value),
                name => facts.add(name, value),
            }
        }
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let mut files = titled(held.sight())?;
        for layer in held.sight().layers() {
            let untitled = Extract::blob(layer.digest.to_string().replace(':', "-"), layer);
            if let (Some(path), Some(file)) =
                (self.path(layer), files.iter_mut().find(|file| **file == untitled))
            {
                file.path = path;
            }
        }
        Ok(files)
    }
}

impl Known {
    /// Where the file of a layer goes that has no title: where it says, else by its role.
    fn path(&self, layer: &Descriptor) -> Option<String> {
        if layer.annotations.contains_key(annotations::TITLE) {
            return None;
        }
        let said = |key: Option<&str>| key.and_then(|key| layer.annotations.get(key));
        let of_role = || Some(format!("{}.tar.gz", said(self.role)?.replace('/', "-")));
        said(self.path).cloned().or_else(of_role)
    }

    /// The JSON that tells of it, where there is some.
    fn told(&self, held: &Held<'_>) -> Result<Option<Value>, Error> {
        let (text, what) = match self.told {
            Told::Nowhere => return Ok(None),
            Told::Annotation(key) => {
                let Some(text) = held.sight().annotation(key) else { return Ok(None) };
                (text.as_bytes().to_vec(), held.sight().document().digest().to_string())
            }
            Told::Config(media_type) => {
                let config = held.sight().config().filter(|it| it.media_type.as_str() == media_type);
                let Some(config) = config else { return Ok(None) };
                (held.small(config)?, config.digest.to_string())
            }
        };
        let told = serde_json::from_slice(&text);
        told.map(Some).map_err(|error| Error::not_of_kind(what, self.about, error.to_string()))
    }
}
