//! WebAssembly: a component or a module, in the form that the CNCF's working group defined and `wkg oci push` writes.
//!
//! The config tells when it was made, whether it is a component (`wasip2`) or a module (`wasip1`), and what a component
//! exports and imports. `wkg` writes its manifest in canonical JSON, and so does this. `wkg` takes the time from the clock;
//! this takes the one that was told, else 1970. Of a package of interfaces, which is a component that only exports types,
//! the exports are told by their short names, where `wkg` tells the full ones. Modules in the form of 2019 are recognised
//! and not packed.

mod binary;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde::{Deserialize, Serialize};
use transship_spec::{Descriptor, Document, Manifest, MediaType, annotations};

use self::binary::{Binary, Flaw};
use super::{Extract, Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign, titled};
use crate::layer::open_regular;
use crate::{Error, UNKNOWN_TIME};

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// What was written before there was a form of the CNCF.
const OLD_CONFIG: &str = "application/vnd.wasm.config.v1+json";
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";

const AUTHOR: &str = "author";
/// The most names that are told of imports, or of exports.
const TOLD: usize = 200;

/// Components and modules of WebAssembly.
#[derive(Debug)]
pub(super) struct Wasm;

/// The config, member by member as `oci-wasm` writes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: String,
    author: Option<String>,
    architecture: String,
    os: String,
    layer_digests: Vec<String>,
    component: Option<Component>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Component {
    exports: Vec<String>,
    imports: Vec<String>,
    target: Option<String>,
}

impl Kind for Wasm {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn about(&self) -> &'static str {
        "a component or a module of WebAssembly"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_type = |types: &[&str]| types.iter().any(|it| sight.is_type(it));
        match () {
            () if is_type(&[CONFIG, LAYER, OLD_CONFIG, OLD_LAYER]) => Some(Sign::ArtifactType),
            () if sight.is_config(CONFIG) || sight.is_config(OLD_CONFIG) => Some(Sign::ConfigType),
            () if sight.layers().iter().any(|layer| is_wasm(layer)) => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        let Some(layer) = held.sight().layers().into_iter().find(|layer| is_wasm(layer)) else {
            return Ok(facts);
        };
        let what = layer.digest.to_string();
        let binary = read(held.open(layer)?, &what)?;
        let role = if binary.is_component() { "component" } else { "module" };
        [LAYER, OLD_LAYER].iter().for_each(|kind| facts.call(kind, role));
        facts.title = facts.title.or_else(|| layer.annotations.get(annotations::TITLE).cloned());
        facts.add("form", [role]);
        if let Some(config) = held.sight().config().filter(|config| config.media_type.as_str() == CONFIG) {
            let config: Config = serde_json::from_slice(&held.small(config)?).map_err(|error| {
                Error::not_of_kind(config.digest.to_string(), "config of wasm", error.to_string())
            })?;
            facts.add("target", [config.os]);
            facts.add("made", [config.created]);
            facts.add("author", config.author);
            facts.add("world", config.component.and_then(|component| component.target));
        }
        let names = |names: Vec<String>, count: u64| match binary.is_component() && count <= TOLD as u64 {
            true => names,
            false => Some(count.to_string()).filter(|_| count > 0).into_iter().collect(),
        };
        facts.add("exports", names(binary.exports.names.clone(), binary.exports.count));
        facts.add("imports", names(binary.imports.names.clone(), binary.imports.count));
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let mut files = titled(held.sight())?;
        let layers = held.sight().layers();
        let Some(layer) = layers.into_iter().find(|layer| is_wasm(layer)) else {
            return Ok(files);
        };
        if !layer.annotations.contains_key(annotations::TITLE) {
            let untitled = Extract::blob(layer.digest.to_string().replace(':', "-"), layer);
            let named = format!("{}.wasm", untitled.path);
            files.iter_mut().filter(|file| **file == untitled).for_each(|file| file.path.clone_from(&named));
        }
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Wasm {
    fn inputs(&self) -> &'static str {
        "FILE.wasm"
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] =
            &[Setting { name: AUTHOR, value: Some("NAME"), help: "Who made it", repeated: false }];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let input = request.one_input()?;
        let what = input.path.to_string_lossy();
        let Some(title) = input.path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::not_of_kind(what, "wasm", "its name is not UTF-8"));
        };
        let binary = read(open_regular(&input.path)?, &what)?;
        let mut layer = Descriptor { media_type: MediaType::parse(LAYER)?, ..making.store(&input.path)? };
        layer.annotations.insert(annotations::TITLE.to_owned(), title.to_owned());

        let config = Config {
            created: request.created()?.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
            author: request.setting(AUTHOR).map(str::to_owned),
            architecture: "wasm".to_owned(),
            os: if binary.is_component() { "wasip2" } else { "wasip1" }.to_owned(),
            layer_digests: vec![layer.digest.to_string()],
            component: binary.is_component().then_some(Component {
                exports: binary.exports.names,
                imports: binary.imports.names,
                target: None,
            }),
        };
        let config = serde_json::to_vec(&config)
            .map_err(|error| Error::not_of_kind(what, "wasm", error.to_string()))?;
        let mut manifest =
            Manifest::new(making.store_bytes(MediaType::parse(CONFIG)?, &config)?, vec![layer]);
        manifest.annotations.clone_from(&request.annotations);
        manifest.subject.clone_from(&request.subject);
        Ok(Made::of(sorted(&manifest.to_document()?)?))
    }
}

fn is_wasm(layer: &Descriptor) -> bool {
    matches!(layer.media_type.as_str(), LAYER | OLD_LAYER)
}

fn read(source: impl Read, what: &str) -> Result<Binary, Error> {
    Binary::read(BufReader::new(source)).map_err(|flaw| match flaw {
        Flaw::Read(error) => transship_layout::Error::from_io(error, "reading", what.to_owned()).into(),
        Flaw::Invalid(reason) => Error::not_of_kind(what, "wasm", reason),
    })
}

/// The same document with the members of every object by their names, as canonical JSON has them.
fn sorted(document: &Document) -> Result<Document, Error> {
    #[derive(Deserialize, Serialize)]
    #[serde(untagged)]
    enum Value {
        Object(BTreeMap<String, Value>),
        Array(Vec<Value>),
        Other(serde_json::Value),
    }
    let wrong = |error: serde_json::Error| Error::not_of_kind("its manifest", "JSON", error.to_string());
    let value: Value = serde_json::from_slice(document.bytes()).map_err(wrong)?;
    let text = serde_json::to_string(&value).map_err(wrong)?;
    Ok(Document::parse(text, Some(document.media_type()))?)
}
