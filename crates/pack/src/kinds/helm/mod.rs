//! Charts of Helm: a `.tgz` that stays as it is, what it says of itself as the config, and its provenance.
//!
//! The manifest is the one that `helm push` writes: without a media type, layers sorted by their digests, and annotations
//! made of `Chart.yaml`. The same archive, provenance and time give the same bytes.

mod archive;
mod metadata;
mod plugin;
mod provenance;
mod scalar;
mod version;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use transship_codec::Compression;
use transship_spec::{Annotations, Descriptor, Digest, Hasher, Manifest, MediaType, annotations, quote};

use super::{Extract, Facts, Held, Kind, Made, Making, Packing, Request, Setting, Sight, Sign};
use crate::layer::open_regular;
use crate::{Error, Excludes, ModeRule, MtimeRule, TarOptions, Warning};
use archive::Archive;
use metadata::Metadata;
pub(super) use plugin::Plugin;
use version::Version;

const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What charts were called while Helm tried out registries.
const OLD_CHART: &str = "application/tar+gzip";
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

const AUTHORS: &str = "org.opencontainers.image.authors";
const DESCRIPTION: &str = "org.opencontainers.image.description";
const SOURCE: &str = "org.opencontainers.image.source";
const URL: &str = "org.opencontainers.image.url";

const PROVENANCE_FLAG: &str = "provenance";
/// Bytes of a provenance, and of `.helmignore`.
const SMALL: u64 = 4 << 20;

/// Charts of Helm.
#[derive(Debug)]
pub(super) struct Helm;

impl Kind for Helm {
    fn name(&self) -> &'static str {
        "helm"
    }

    fn about(&self) -> &'static str {
        "a chart of Helm"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        match () {
            () if sight.is_config(CONFIG) => Some(Sign::ConfigType),
            () if sight.layers_of(CHART).next().is_some() => Some(Sign::LayerType),
            () => None,
        }
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        let mut facts = Facts::of(held.sight());
        [CHART, OLD_CHART].iter().for_each(|kind| facts.call(kind, "chart"));
        facts.call(PROVENANCE, "provenance");
        let Some(config) = read_config(held)? else { return Ok(facts) };
        let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        facts.title = text("name").map(str::to_owned).or(facts.title);
        facts.version = text("version").map(str::to_owned).or(facts.version);
        for (name, key) in [
            ("description", "description"),
            ("type", "type"),
            ("app version", "appVersion"),
            ("api version", "apiVersion"),
            ("kubernetes version", "kubeVersion"),
            ("home", "home"),
        ] {
            facts.add(name, text(key));
        }
        if config.get("deprecated").and_then(Value::as_bool) == Some(true) {
            facts.add("deprecated", ["yes"]);
        }
        facts.add("dependencies", listed(&config, "dependencies", &["name", "version", "repository"]));
        facts.add("maintainers", listed(&config, "maintainers", &["name", "email", "url"]));
        let is_signed = held.sight().layers_of(PROVENANCE).next().is_some();
        facts.add("provenance", [if is_signed { "yes" } else { "no" }]);
        Ok(facts)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        let digest = held.sight().document().digest().to_string();
        let refuse = |reason: String| Error::not_of_kind(digest.clone(), "chart", reason);
        let config = read_config(held)?.ok_or_else(|| refuse("it has no config of a chart".to_owned()))?;
        let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}-{}.tgz", text("name"), text("version"));
        if text("name").is_empty() || text("version").is_empty() || name.contains('/') {
            let reason = "is no name of a chart's archive, by the name and version in its config";
            return Err(refuse(format!("{} {reason}", quote(&name))));
        }
        let layers = held.sight().layers();
        let one = |kinds: &[&str]| layers.iter().find(|layer| kinds.contains(&layer.media_type.as_str()));
        let chart =
            one(&[CHART, OLD_CHART]).ok_or_else(|| refuse("it has no layer that is a chart".to_owned()))?;
        let mut files = vec![Extract::blob(&name, chart)];
        files.extend(one(&[PROVENANCE]).map(|layer| Extract::blob(format!("{name}.prov"), layer)));
        Ok(files)
    }

    fn packing(&self) -> Option<&dyn Packing> {
        Some(self)
    }
}

/// The config, where it is one of a chart.
fn read_config(held: &Held<'_>) -> Result<Option<Value>, Error> {
    let Some(config) = held.sight().config().filter(|config| config.media_type.as_str() == CONFIG) else {
        return Ok(None);
    };
    let bytes = held.small(config)?;
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|error| {
        Error::not_of_kind(config.digest.to_string(), "config of a chart", error.to_string())
    })
}

/// What the members of a list say under these keys, with blanks between.
fn listed(config: &Value, list: &str, keys: &[&str]) -> Vec<String> {
    let members = config.get(list).and_then(Value::as_array).into_iter().flatten();
    let said = |member: &Value| {
        let texts = keys.iter().filter_map(|key| member.get(key)?.as_str()).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join(" ")
    };
    members.map(said).filter(|text| !text.is_empty()).collect()
}

impl Packing for Helm {
    fn inputs(&self) -> &'static str {
        "CHART.tgz | CHART_DIR"
    }

    fn remarks(&self) -> &'static str {
        "An archive stays as it is, and its manifest is the one that helm push writes at the same --created. A folder becomes an \
         archive that is the same every time, without what .helmignore leaves out, but it is not the one that helm package makes: \
         that holds times, and its provenance does not fit ours. Tags have _ for the + of a version."
    }

    fn settings(&self) -> &[Setting] {
        const SETTINGS: &[Setting] = &[Setting {
            name: PROVENANCE_FLAG,
            value: Some("FILE"),
            help: "The chart's provenance, which must name its digest; default: CHART.tgz.prov, if it is there",
            repeated: false,
        }];
        SETTINGS
    }

    fn pack(&self, request: &Request, making: &mut Making<'_>) -> Result<Made, Error> {
        let path = &request.one_input()?.path;
        let is_folder = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.is_dir();
        let chart =
            if is_folder { Chart::of_folder(path, making)? } else { Chart::of_archive(path, making)? };
        let Metadata { name, version, .. } = &chart.metadata;
        if Version::of(version) == Version::Loose {
            let reason =
                "is not strict semantic versioning: Helm pulls it only where this very version is asked for";
            making.warn(Warning::Doubtful(format!("the version {} {reason}", quote(version))));
        }
        let mut layers = vec![chart.layer.clone()];
        if let Some(file) = provenance_file(request, path, is_folder) {
            layers.push(chart.store_provenance(&file, path, making)?);
        }
        layers.sort_by_key(|layer| layer.digest.to_string());

        let refuse = |reason| Error::not_of_kind(path.to_string_lossy(), "chart", reason);
        let config = chart.metadata.to_config().map_err(refuse)?;
        let config = making.store_bytes(MediaType::parse(CONFIG)?, config.as_bytes())?;
        let mut manifest = Manifest::new(config, layers);
        manifest.annotations = request.annotations.clone();
        for (key, value) in generated(&chart.metadata, request.created()?.or(chart.made)) {
            manifest.annotations.entry(key).or_insert(value);
        }
        manifest.subject.clone_from(&request.subject);
        // Tags have no +.
        let tag = version.replace('+', "_");
        Ok(Made::of(manifest.to_untyped_document()?).called(name, tag))
    }
}

/// The provenance that was named, or lies beside the archive.
fn provenance_file(request: &Request, chart: &Path, is_folder: bool) -> Option<PathBuf> {
    if let Some(file) = request.setting(PROVENANCE_FLAG) {
        return Some(file.into());
    }
    let mut beside = chart.as_os_str().to_owned();
    beside.push(".prov");
    let beside = PathBuf::from(beside);
    (!is_folder && beside.exists()).then_some(beside)
}

/// A chart that is stored.
struct Chart {
    metadata: Metadata,
    layer: Descriptor,
    /// When its archive was written, where that says something.
    made: Option<String>,
}

impl Chart {
    /// An archive, whose bytes stay as they are.
    fn of_archive(path: &Path, making: &Making<'_>) -> Result<Self, Error> {
        let file = open_regular(path)?;
        let written = file.metadata().and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| Error::read(path, error))?;
        let (metadata, digest) = read(path, file)?;
        let layer = Descriptor { media_type: MediaType::parse(CHART)?, ..making.store(path)? };
        if layer.digest != digest {
            return Err(Error::Changed { path: path.to_owned(), what: "its content" });
        }
        let made =
            Timestamp::try_from(written).ok().and_then(|time| Timestamp::from_second(time.as_second()).ok());
        Ok(Self { metadata, layer, made: made.map(|time| time.to_string()) })
    }

    /// A folder, as the archive that our rules make of it.
    fn of_folder(path: &Path, making: &mut Making<'_>) -> Result<Self, Error> {
        let read_file = |name: &str| match path.join(name) {
            file if file.exists() => making.read(&file, SMALL).map(Some),
            _ => Ok(None),
        };
        let what = path.to_string_lossy();
        let refuse = |reason: String| Error::not_of_kind(what.clone(), "chart", reason);
        let chart =
            read_file("Chart.yaml")?.ok_or_else(|| refuse("there is no Chart.yaml in it".to_owned()))?;
        let metadata = Metadata::read(&chart, read_file("requirements.yaml")?.as_deref()).map_err(refuse)?;
        let excludes = ignored(&read_file(".helmignore")?.unwrap_or_default())?;
        let prefix = metadata.name.clone();
        let layer = making.store_folder(path, |options| {
            (options.compression, options.level) = (Compression::Gzip, None);
            // Helm follows links, and charts have no owners, times and modes that count.
            options.tar = TarOptions {
                excludes,
                prefix,
                mode: ModeRule::Normal,
                mtime: MtimeRule::Zero,
                dereference: true,
                hard_links: false,
                ..TarOptions::default()
            };
        })?;
        let layer = Descriptor { media_type: MediaType::parse(CHART)?, ..layer.descriptor };
        // What was packed is what Helm will read.
        making.session().flush()?;
        let (metadata, _) = read(path, making.layout().open_blob(&layer)?)?;
        Ok(Self { metadata, layer, made: None })
    }

    fn store_provenance(&self, file: &Path, chart: &Path, making: &Making<'_>) -> Result<Descriptor, Error> {
        let bytes = making.read(file, SMALL)?;
        let Metadata { name, version, .. } = &self.metadata;
        let mut names = vec![format!("{name}-{version}.tgz")];
        names.extend(chart.file_name().map(|name| name.to_string_lossy().into_owned()));
        let checked = provenance::check(&bytes, &self.metadata, &self.layer.digest, &names);
        let what = file.to_string_lossy();
        checked.map_err(|reason| Error::not_of_kind(what, "provenance of this chart", reason))?;
        making.store_bytes(MediaType::parse(PROVENANCE)?, &bytes)
    }
}

/// What an archive says of its chart, and its digest.
fn read(path: &Path, reader: impl Read) -> Result<(Metadata, Digest), Error> {
    let mut hashed = Hashed { reader, hasher: Hasher::sha256() };
    let archive = Archive::read(&mut hashed);
    let metadata = archive.and_then(|it| Metadata::read(&it.chart, it.requirements.as_deref()));
    let metadata = metadata.map_err(|reason| Error::not_of_kind(path.to_string_lossy(), "chart", reason))?;
    Ok((metadata, hashed.hasher.finish()))
}

/// Hashes what is read.
struct Hashed<R> {
    reader: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(room)?;
        self.hasher.update(&room[..count]);
        Ok(count)
    }
}

/// The annotations that Helm makes.
fn generated(chart: &Metadata, created: Option<String>) -> Annotations {
    let authors = chart.maintainers.iter().map(|person| match person.email.as_str() {
        "" => person.name.clone(),
        email => format!("{} ({email})", person.name),
    });
    let own = [
        (DESCRIPTION, chart.description.clone()),
        (annotations::TITLE, chart.name.clone()),
        (annotations::VERSION, chart.version.clone()),
        (URL, chart.home.clone()),
        (annotations::CREATED, created.unwrap_or_default()),
        (SOURCE, chart.sources.first().cloned().unwrap_or_default()),
        (AUTHORS, authors.collect::<Vec<_>>().join(", ")),
    ];
    let mut made: Annotations = own
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let is_free = |key: &str| key != annotations::TITLE && key != annotations::VERSION;
    let said = chart.annotations.iter().filter(|(key, _)| is_free(key));
    made.extend(said.map(|(key, value)| (key.clone(), value.clone())));
    made
}

/// What `.helmignore` leaves out, and what Helm does anyway.
fn ignored(text: &[u8]) -> Result<Excludes, Error> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut globs = vec!["templates/.?*"];
    for line in lines {
        let rule = match () {
            () if line.starts_with('!') => {
                "what leaves out all but something is not read; leave out the rest by name"
            }
            () if line.contains("**") => "Helm does not take **",
            () => {
                globs.push(line);
                continue;
            }
        };
        return Err(Error::option("a line of .helmignore", line, rule));
    }
    Excludes::new(globs)
}
