//! Policies and data as `conftest push` writes them: each file a layer, by its path.
//!
//! Conftest takes the policies and then the data, each in an order that changes with every run; this takes them by the
//! bytes of their paths. Versions that pack by the first ORAS sort layers by digest, which this does not. The manifest has
//! neither a media type nor annotations. What older versions and others write has a config of its own type, and may be one
//! archive; the types of all of them begin alike.

use std::collections::HashSet;
use std::path::Path;

use transship_spec::{Descriptor, Manifest, MediaType, annotations, quote};

use super::input::File;
use super::{Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign, rego};
use crate::Error;
use crate::artifact::UNKNOWN_CONFIG;

const PREFIX: &str = "application/vnd.cncf.openpolicyagent.";
const POLICY: &str = "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego";
const OTHER_POLICY: &str = "application/vnd.cncf.openpolicyagent.rego.layer.v1+rego";
const DATA: &str = "application/vnd.cncf.openpolicyagent.data.layer.v1+json";
const BUNDLE: &str = "application/vnd.cncf.openpolicyagent.layer.v1.tar+gzip";

/// The setting that names where the data is.
const WHERE: &str = "data";
/// How many folders deep policies may lie.
const DEPTH: usize = 64;
/// Of how many policies the packages are told: each is a blob that is read.
const TOLD: usize = 100;

/// Policies and data, each a file.
#[derive(Debug)]
pub(super) struct Conftest;

impl Kind for Conftest {
    fn name(&self) -> &'static str {
        "conftest"
    }

    fn about(&self) -> &'static str {
        "policies and data of Conftest, a layer each"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_ours = |media_type: &MediaType| media_type.as_str().starts_with(PREFIX);
        let has_layer = || sight.layers().iter().any(|layer| is_ours(&layer.media_type));
        match () {
            () if sight.artifact_type().is_some_and(is_ours) => Some(Sign::ArtifactType),
            () if sight.config_type().is_some_and(is_ours) => Some(Sign::ConfigType),
            // The config's type says "unknown": the layers say more, and that is no weaker.
            () if sight.is_config(UNKNOWN_CONFIG) && has_layer() => Some(Sign::ConfigType),
            () if has_layer() => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        for (media_type, role) in
            [(POLICY, "policy"), (OTHER_POLICY, "policy"), (DATA, "data"), (BUNDLE, "bundle")]
        {
            facts.call(media_type, role);
        }
        let of_role = |role: &str| facts.parts.iter().filter(|part| part.role == role).count();
        let (policies, data) = (of_role("policy"), of_role("data"));
        if policies <= TOLD {
            let layers = facts.parts.iter().filter(|part| part.role == "policy");
            let packages = layers.map(|part| package(held, &part.descriptor));
            let mut packages: Vec<String> = packages.collect::<Result<_, _>>()?;
            packages.sort();
            packages.dedup();
            facts.add("packages", packages);
        }
        facts.add("policies", (policies > 0).then(|| policies.to_string()));
        facts.add("data files", (data > 0).then(|| data.to_string()));
        Ok(facts)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Conftest {
    fn inputs(&self) -> &'static str {
        "POLICY_DIR | POLICY.rego"
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[Setting {
            name: WHERE,
            value: Some("DIR|FILE"),
            help: "Where the data is (.json, .yaml, .yml); default: where the policies are",
            repeated: true,
        }];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let policies = found(&request.inputs, is_policy)?;
        if policies.is_empty() {
            let what = request.inputs.first().map(|input| input.path.to_string_lossy().into_owned());
            return Err(Error::not_of_kind(what.unwrap_or_default(), "policy", "there is no .rego file"));
        }
        let said = request.all(WHERE).iter().map(|path| File::new(path).or_else(|_| File::named_last(path)));
        let said: Vec<File> = said.collect::<Result<_, _>>()?;
        let places = if said.is_empty() { &request.inputs } else { &said };
        let data = found(places, is_data)?;

        let mut seen = HashSet::new();
        let mut layers = Vec::new();
        for (file, media_type) in
            policies.iter().map(|file| (file, POLICY)).chain(data.iter().map(|file| (file, DATA)))
        {
            file.check_title()?;
            if !seen.insert(&file.title) {
                return Err(Error::Title(file.title.clone()));
            }
            let stored = if media_type == POLICY { policy(file, making)? } else { document(file, making)? };
            let mut layer = Descriptor { media_type: MediaType::parse(media_type)?, ..stored };
            layer.annotations.insert(annotations::TITLE.to_owned(), file.title.clone());
            layers.push(layer);
        }
        let config = making.store_bytes(MediaType::parse(UNKNOWN_CONFIG)?, b"{}")?;
        let mut manifest = Manifest::new(config, layers);
        manifest.annotations.clone_from(&request.annotations);
        if let Some(time) = request.created()? {
            manifest.annotations.entry(annotations::CREATED.to_owned()).or_insert(time);
        }
        manifest.subject.clone_from(&request.subject);
        Ok(Made::of(manifest.to_untyped_document()?))
    }
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rego")
}

fn is_data(path: &Path) -> bool {
    let is_one =
        |extension: &str| ["json", "yaml", "yml"].iter().any(|it| extension.eq_ignore_ascii_case(it));
    path.extension().and_then(|extension| extension.to_str()).is_some_and(is_one)
}

/// The files that are wanted of those given and of the folders given, by the bytes of their titles.
fn found(inputs: &[File], is_wanted: fn(&Path) -> bool) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    for input in inputs {
        gather(input.clone(), DEPTH, is_wanted, &mut files)?;
    }
    files.sort_by(|one, other| one.title.cmp(&other.title));
    Ok(files)
}

fn gather(
    place: File,
    depth: usize,
    is_wanted: fn(&Path) -> bool,
    files: &mut Vec<File>,
) -> Result<(), Error> {
    let metadata = std::fs::metadata(&place.path).map_err(|error| Error::read(&place.path, error))?;
    if !metadata.is_dir() {
        files.extend(is_wanted(&place.path).then_some(place));
        return Ok(());
    }
    if depth == 0 {
        let what = "the depth of folders";
        return Err(Error::Limit { path: place.path, what, limit: DEPTH as u64 });
    }
    let entries = std::fs::read_dir(&place.path).map_err(|error| Error::read(&place.path, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::read(&place.path, error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| Error::read(&path, error))?;
        if !kind.is_dir() && !is_wanted(&path) {
            continue;
        }
        // What a link leads to may lie outside: it is packed by its own name, or not at all.
        if kind.is_symlink() {
            return Err(Error::Input(path));
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Error::not_of_kind(path.to_string_lossy(), "policy", "its name is not UTF-8"));
        };
        let title = if place.title == "." { name.to_owned() } else { format!("{}/{name}", place.title) };
        gather(File { title, path, media_type: None }, depth - 1, is_wanted, files)?;
    }
    Ok(())
}

/// Stores a policy that names its package, which OPA wants of each.
fn policy(file: &File, making: &Making<'_>) -> Result<Descriptor, Error> {
    let bytes = making.read(&file.path, Held::SMALL)?;
    let text = std::str::from_utf8(&bytes).ok();
    if text.and_then(rego::package).is_none() {
        let reason = "it does not begin with the package that it is in";
        return Err(Error::not_of_kind(file.path.to_string_lossy(), "policy", reason));
    }
    making.store_bytes(MediaType::parse(POLICY)?, &bytes)
}

/// Stores data; JSON that is small enough to be looked into is seen to be JSON.
fn document(file: &File, making: &Making<'_>) -> Result<Descriptor, Error> {
    let size = std::fs::metadata(&file.path).map_err(|error| Error::read(&file.path, error))?.len();
    if !is_json(&file.path) || size > Held::SMALL {
        return making.store(&file.path);
    }
    let bytes = making.read(&file.path, Held::SMALL)?;
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        return Err(Error::not_of_kind(file.path.to_string_lossy(), "JSON document", error.to_string()));
    }
    making.store_bytes(MediaType::parse(DATA)?, &bytes)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn package(held: &Held<'_>, layer: &Descriptor) -> Result<String, Error> {
    let bytes = held.small(layer)?;
    let text = std::str::from_utf8(&bytes).ok();
    let Some(parts) = text.and_then(rego::package) else {
        let title = layer.annotations.get(annotations::TITLE).map(|title| quote(title));
        let reason = format!("{} does not begin with a package", title.unwrap_or_else(|| "it".to_owned()));
        return Err(Error::not_of_kind(layer.digest.to_string(), "policy", reason));
    };
    Ok(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_data_are_told_apart_by_their_names() {
        for (name, policy, data) in [
            ("a.rego", true, false),
            ("a_test.rego", true, false),
            (".rego", false, false),
            ("data.json", false, true),
            ("a.YAML", false, true),
            ("a.yml", false, true),
            ("README.md", false, false),
        ] {
            assert_eq!((is_policy(Path::new(name)), is_data(Path::new(name))), (policy, data), "{name}");
        }
    }
}
