//! Bundles of the Open Policy Agent: one archive of policies and data, which OPA downloads.
//!
//! OPA takes the first layer of the OCI's type for a tar in gzip, whatever else there is. What is packed has the form of
//! OPA's own guide and of the `policy` program: a config `{}` of an image's type, and the archive under the title
//! `bundle.tar.gz`. A folder becomes an archive by the rules of [`TAR_RECIPE`](crate::TAR_RECIPE), so its bytes are not those
//! of `opa build`; an archive is taken as it is. Data in YAML is not looked into.

use std::io::Read;

use serde::Deserialize;
use serde_json::Value;
use transship_codec::Compression;
use transship_layout::Source as _;
use transship_spec::{Descriptor, Manifest, MediaType, annotations, quote};

use super::tarred::{TarFile, Tarred};
use super::{Extract, Facts, Held, Kind, Made, Making, Packing, Request, Sight, Sign, rego, titled};
use crate::Error;

const REGISTRY_TYPE: &str = "org.openpolicyregistry.type";
const TITLE: &str = "bundle.tar.gz";
const KIND: &str = "OPA bundle";

/// Bundles of the Open Policy Agent.
#[derive(Debug)]
pub(super) struct Opa;

impl Kind for Opa {
    fn name(&self) -> &'static str {
        "opa"
    }

    fn about(&self) -> &'static str {
        "a bundle of the Open Policy Agent"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        let is_titled = |layer: &Descriptor| {
            layer.annotations.get(annotations::TITLE).is_some_and(|title| title == TITLE)
        };
        let is_policy = sight.annotation(REGISTRY_TYPE) == Some("policy");
        (is_policy || archive(sight).is_some_and(is_titled)).then_some(Sign::Annotation)
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        let Some(archive) = archive(held.sight()) else {
            return Ok(facts);
        };
        facts.call(MediaType::OCI_LAYER_GZIP.as_str(), "bundle");
        let bundle = Bundle::read(held.open(archive)?, archive.digest.to_string())?;
        facts.version = facts.version.or_else(|| bundle.manifest.revision.clone());
        let count = |count: u64| (count > 0).then(|| count.to_string());
        facts.add("roots", bundle.manifest.roots.clone().unwrap_or_default());
        facts.add("packages", bundle.packages());
        facts.add("policies", count(bundle.policies.len() as u64));
        facts.add("data files", count(bundle.documents));
        facts.add("wasm modules", count(bundle.modules));
        facts.add("delta", bundle.is_delta.then_some("yes"));
        facts.add("signed", bundle.is_signed.then_some("yes"));
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let mut files = titled(held.sight())?;
        if let Some(archive) = archive(held.sight())
            && !archive.annotations.contains_key(annotations::TITLE)
        {
            let untitled = Extract::blob(archive.digest.to_string().replace(':', "-"), archive);
            files.iter_mut().filter(|file| **file == untitled).for_each(|file| file.path = TITLE.to_owned());
        }
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

impl Packing for Opa {
    fn inputs(&self) -> &'static str {
        "BUNDLE_DIR | BUNDLE.tar.gz"
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let input = request.one_input()?;
        let metadata = std::fs::metadata(&input.path).map_err(|error| Error::read(&input.path, error))?;
        let stored = match metadata.is_dir() {
            true => making.store_folder(&input.path, |options| {
                options.compression = Compression::Gzip;
                // OPA reads regular files, and passes over all else.
                options.tar.hard_links = false;
            })?,
            false => making.store_folder(&input.path, |options| options.tar.normalize = false)?,
        };
        let mut layer = stored.descriptor;
        let what = input.path.to_string_lossy();
        if layer.media_type != MediaType::OCI_LAYER_GZIP {
            return Err(Error::not_of_kind(what, KIND, "it is no tar in gzip"));
        }
        making.session().flush()?;
        Bundle::read(making.layout().open(&layer)?, what)?.check()?;

        layer.annotations.insert(annotations::TITLE.to_owned(), TITLE.to_owned());
        let config = making.store_bytes(MediaType::OCI_CONFIG, b"{}")?;
        let mut manifest = Manifest::new(config, vec![layer]);
        manifest.annotations.clone_from(&request.annotations);
        if let Some(time) = request.created()? {
            manifest.annotations.entry(annotations::CREATED.to_owned()).or_insert(time);
        }
        manifest.subject.clone_from(&request.subject);
        Ok(Made::of(manifest.to_document()?))
    }
}

/// The layer that OPA takes.
fn archive<'a>(sight: &Sight<'a>) -> Option<&'a Descriptor> {
    sight.layers_of(MediaType::OCI_LAYER_GZIP.as_str()).next()
}

/// What an archive holds, as far as OPA looks at it.
#[derive(Debug, Default)]
struct Bundle {
    what: String,
    manifest: BundleManifest,
    /// Where each policy lies, and its package.
    policies: Vec<(String, Vec<String>)>,
    /// Data in JSON, with the folders in which it lies.
    data: Vec<(Vec<String>, Value)>,
    /// Files of data, in JSON and YAML.
    documents: u64,
    modules: u64,
    is_delta: bool,
    is_signed: bool,
}

/// The file `.manifest`, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BundleManifest {
    revision: Option<String>,
    roots: Option<Vec<String>>,
}

impl Bundle {
    fn read(source: impl Read, what: impl Into<String>) -> Result<Self, Error> {
        let mut bundle = Self { what: what.into(), ..Self::default() };
        let mut tarred = Tarred::new(source, bundle.what.clone(), KIND)?;
        while let Some(file) = tarred.next_file()? {
            let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            match name {
                ".manifest" if folder.is_empty() => {
                    let bytes = tarred.content(&file)?.unwrap_or_default();
                    let manifest = serde_json::from_slice(&bytes);
                    bundle.manifest =
                        manifest.map_err(|error| tarred.wrong(format!("its .manifest: {error}")))?;
                }
                "data.json" => {
                    bundle.documents += 1;
                    if let Some(bytes) = tarred.content(&file)? {
                        let data = serde_json::from_slice(&bytes);
                        let data =
                            data.map_err(|error| tarred.wrong(format!("{}: {error}", quote(&file.path))))?;
                        let folders = folder.split('/').filter(|part| !part.is_empty());
                        bundle.data.push((folders.map(str::to_owned).collect(), data));
                    }
                }
                "data.yaml" | "data.yml" => bundle.documents += 1,
                ".signatures.json" if folder.is_empty() => bundle.is_signed = true,
                "patch.json" if folder.is_empty() => bundle.is_delta = true,
                name if name.ends_with(".rego") => bundle.take_policy(&file, &mut tarred)?,
                name if name.ends_with(".wasm") => bundle.modules += 1,
                _ => {}
            }
        }
        Ok(bundle)
    }

    fn take_policy(&mut self, file: &TarFile, tarred: &mut Tarred<impl Read>) -> Result<(), Error> {
        let bytes = tarred.content(file)?.unwrap_or_default();
        let text = std::str::from_utf8(&bytes).ok();
        let Some(package) = text.and_then(rego::package) else {
            return Err(tarred.wrong(format!("{} does not begin with a package", quote(&file.path))));
        };
        self.policies.push((file.path.clone(), package));
        Ok(())
    }

    fn packages(&self) -> Vec<String> {
        let mut packages: Vec<String> = self.policies.iter().map(|(_, package)| package.join(".")).collect();
        packages.sort();
        packages.dedup();
        packages
    }

    /// Whether OPA would load it: there is something to load, and all of it lies under the roots.
    fn check(&self) -> Result<(), Error> {
        self.wrong().map_or(Ok(()), |reason| Err(Error::not_of_kind(self.what.clone(), KIND, reason)))
    }

    fn wrong(&self) -> Option<String> {
        let has_content = !self.policies.is_empty() || self.documents > 0 || self.modules > 0;
        match (self.is_delta, has_content) {
            (true, true) => {
                return Some("beside a patch.json there can be no policies and no data".to_owned());
            }
            (false, false) => {
                return Some(
                    "it holds no policy (.rego, .wasm) and no data (data.json, data.yaml)".to_owned(),
                );
            }
            _ => {}
        }
        let roots = self.manifest.roots.as_ref()?;
        let roots: Vec<Vec<&str>> = roots.iter().map(|root| parts(root)).collect();
        for (count, root) in roots.iter().enumerate() {
            let earlier = roots.iter().take(count);
            if let Some(other) =
                earlier.into_iter().find(|other| root.starts_with(other) || other.starts_with(root))
            {
                let (one, other) = (quote(&other.join("/")), root.join("/"));
                return Some(format!("its roots {one} and {} overlap", quote(&other)));
            }
        }
        for (path, package) in &self.policies {
            let package: Vec<&str> = package.iter().map(String::as_str).collect();
            if !roots.iter().any(|root| package.starts_with(root)) {
                let package = package.join(".");
                return Some(format!(
                    "{} is in the package {}, which is under none of its roots",
                    quote(path),
                    quote(&package)
                ));
            }
        }
        self.data.iter().find_map(|(folders, data)| {
            let path: Vec<&str> = folders.iter().map(String::as_str).collect();
            let at = outside(&roots, &path, data)?;
            Some(format!("it holds data at {}, which is under none of its roots", quote(&at)))
        })
    }
}

fn parts(root: &str) -> Vec<&str> {
    root.split('/').filter(|part| !part.is_empty()).collect()
}

/// The first place of data that lies under no root. JSON is only so deep, and so is this.
fn outside(roots: &[Vec<&str>], path: &[&str], data: &Value) -> Option<String> {
    if roots.iter().any(|root| path.starts_with(root)) {
        return None;
    }
    match data {
        Value::Object(members) if path.is_empty() || roots.iter().any(|root| root.starts_with(path)) => {
            members.iter().find_map(|(name, value)| {
                let below: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
                outside(roots, &below, value)
            })
        }
        _ => Some(path.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tarred::tests::{gzip, tar};

    fn wrong(files: &[(&str, &str)]) -> Option<String> {
        Bundle::read(gzip(&tar(files)).as_slice(), "x").unwrap().wrong()
    }

    #[test]
    fn a_bundle_is_of_policies_or_data_or_a_patch() {
        assert_eq!(wrong(&[("a.rego", "package a")]), None);
        assert_eq!(wrong(&[("deep/data.json", "1")]), None);
        assert_eq!(wrong(&[("policy.wasm", "")]), None);
        assert_eq!(wrong(&[("patch.json", "{}"), (".manifest", "{}")]), None);
        assert!(wrong(&[("README.md", "")]).unwrap().contains("no policy"));
        assert!(wrong(&[("patch.json", "{}"), ("a.rego", "package a")]).unwrap().contains("patch.json"));
    }

    #[test]
    fn policies_and_data_lie_under_the_roots() {
        let roots = (".manifest", r#"{"revision": "7", "roots": ["a/b", "/c/"], "metadata": {"x": 1}}"#);
        for (path, content, is_well) in [
            ("x.rego", "package a.b", true),
            ("x.rego", "package a.b.c", true),
            ("x.rego", "package a.bc", false),
            ("x.rego", "package a", false),
            ("data.json", r#"{"a": {"b": 1}, "c": []}"#, true),
            ("data.json", r#"{"a": {"b": 1, "d": 2}}"#, false),
            ("data.json", r#"{"a": 1}"#, false),
            ("data.json", "1", false),
            ("a/data.json", r#"{"b": {"x": 1}}"#, true),
            ("a/b/data.json", "1", true),
            ("d/data.json", "1", false),
        ] {
            assert_eq!(wrong(&[roots, (path, content)]).is_none(), is_well, "{path} {content}");
        }
        for roots in [r#"["a", "a/b"]"#, r#"["", "a"]"#, r#"["a", "/a/"]"#] {
            let manifest = format!(r#"{{"roots": {roots}}}"#);
            let reason = wrong(&[(".manifest", &manifest), ("x.rego", "package a.b")]).unwrap();
            assert!(reason.contains("overlap"), "{roots}: {reason}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (path, content) in [
            (".manifest", "{"),
            (".manifest", r#"{"roots": 1}"#),
            ("data.json", "{"),
            ("a/x.rego", "deny { true }"),
        ] {
            let error = Bundle::read(gzip(&tar(&[(path, content)])).as_slice(), "x").unwrap_err();
            assert!(error.to_string().contains(path) && error.to_string().contains(KIND), "{error}");
        }
    }
}
