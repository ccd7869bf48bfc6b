//! Projects of Docker Compose: its files, embedded in the manifest, as `docker compose publish` pushes them.
//!
//! Compose may rewrite files before it publishes them, and says its own version; this packs them as they are, and says
//! the version that is given.

use transship_spec::{Descriptor, Manifest, MediaType, annotations};

use super::{Extract, Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign, titled};
use crate::Error;

const PROJECT: &str = "application/vnd.docker.compose.project";
/// What registries get that know no artifact types.
const CONFIG: &str = "application/vnd.docker.compose.config.empty.v1+json";
const FILE: &str = "application/vnd.docker.compose.file+yaml";
const ENVIRONMENT: &str = "application/vnd.docker.compose.envfile";

const FILE_NAME: &str = "com.docker.compose.file";
const ENVIRONMENT_NAME: &str = "com.docker.compose.envfile";
const VERSION: &str = "com.docker.compose.version";

const SET_ENVIRONMENT: &str = "env-file";
const SET_VERSION: &str = "compose-version";
/// Bytes of one file, which the manifest embeds.
const LARGEST: u64 = 1 << 20;

/// Projects of Docker Compose.
#[derive(Debug)]
pub(super) struct Compose;

impl Kind for Compose {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn about(&self) -> &'static str {
        "a project of Docker Compose"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        match () {
            () if sight.is_type(PROJECT) => Some(Sign::ArtifactType),
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if sight.layers_of(FILE).next().is_some() => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        facts.call(FILE, "compose file");
        facts.call(ENVIRONMENT, "environment");
        for part in &mut facts.parts {
            part.name = part.name.take().or_else(|| name(&part.descriptor).map(str::to_owned));
        }
        let layers = held.sight().layers();
        let versions = layers.iter().filter_map(|layer| layer.annotations.get(VERSION));
        let mut versions: Vec<&String> = versions.collect();
        versions.sort();
        versions.dedup();
        facts.add("compose version", versions);
        facts.add("made", held.sight().annotation(annotations::CREATED));
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let mut files = titled(held.sight())?;
        for layer in held.sight().layers() {
            let untitled = Extract::blob(layer.digest.to_string().replace(':', "-"), layer);
            let (Some(name), Some(file)) = (name(layer), files.iter_mut().find(|file| **file == untitled))
            else {
                continue;
            };
            name.clone_into(&mut file.path);
        }
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Compose {
    fn inputs(&self) -> &'static str {
        "compose.yaml"
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[
            Setting {
                name: SET_ENVIRONMENT,
                value: Some("FILE"),
                help: "A file of environment variables that goes along",
                repeated: true,
            },
            Setting {
                name: SET_VERSION,
                value: Some("VERSION"),
                help: "The version of Compose that it is said to be published by",
                repeated: false,
            },
        ];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        if request.inputs.is_empty() {
            return Err(Error::Nothing("there is no input"));
        }
        let files = request.inputs.iter().map(|input| (input.path.as_path(), FILE, FILE_NAME));
        let environment = request.all(SET_ENVIRONMENT).iter();
        let environment = environment.map(|path| (path.as_ref(), ENVIRONMENT, ENVIRONMENT_NAME));
        let mut layers = Vec::new();
        for (path, media_type, key) in files.chain(environment) {
            let what = path.to_string_lossy();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Error::not_of_kind(what, "file of Compose", "its name is not UTF-8"));
            };
            let bytes = making.read(path, LARGEST)?;
            if std::str::from_utf8(&bytes).is_err() {
                return Err(Error::not_of_kind(what, "file of Compose", "it is not UTF-8"));
            }
            let mut layer = making.store_bytes(MediaType::parse(media_type)?, &bytes)?;
            layer.annotations.insert(key.to_owned(), name.to_owned());
            if let Some(version) = request.setting(SET_VERSION) {
                layer.annotations.insert(VERSION.to_owned(), version.to_owned());
            }
            layer.data = Some(bytes);
            layers.push(layer);
        }
        let mut manifest = Manifest::new(making.empty()?, layers);
        manifest.artifact_type = Some(MediaType::parse(PROJECT)?);
        manifest.annotations.clone_from(&request.annotations);
        if let Some(time) = request.created()? {
            manifest.annotations.entry(annotations::CREATED.to_owned()).or_insert(time);
        }
        manifest.subject.clone_from(&request.subject);
        Ok(Made::of(manifest.to_document()?))
    }
}

/// The name of the file that a layer is.
fn name(layer: &Descriptor) -> Option<&str> {
    let said = |key| layer.annotations.get(key).map(String::as_str);
    said(FILE_NAME).or_else(|| said(ENVIRONMENT_NAME))
}
