//! `transship inspect`: what something is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use transship_pack::kinds::{Facts, Held, Kind, Sight, unknown};
use transship_spec::{Descriptor, Digest, Document, ImageConfig, MediaType, platform};

use super::layers::Opened;
use crate::args;
use crate::content::{Content, kind_of};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::place::Place;
use crate::show;

/// `transship.inspect/v1`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    location: String,
    kind: String,
    digest: Digest,
    media_type: MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
    /// Bytes of the manifest or index itself.
    size: u64,
    /// Bytes of all different blobs and manifests of it.
    total_size: u64,
    platforms: Vec<String>,
    /// What its kind knows of it.
    #[serde(flatten)]
    facts: Option<Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<Member>,
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
    referrers: Vec<Referrer>,
}

/// How an image is run, and where it comes from.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exposed_ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    digest: Digest,
    media_type: MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_id: Option<Digest>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    kind: &'static str,
    digest: Digest,
    media_type: MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// Bytes of the member and of what it names; nothing if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_size: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    digest: Digest,
    media_type: MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
    /// The kind that its type tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

pub(crate) fn run(args: &args::Inspect, context: &Context) -> Result<(), Failure> {
    let report = Content::at(&args.location, context, &args.read.reading, &args.read.network)
        .and_then(|(place, content)| look(&place, &content, args, context))
        .cannot(format!("inspect {}", show::plain(&args.location)))?;
    if context.output.is_json() {
        return context.output.json("transship.inspect/v1", &report);
    }
    context.output.raw(text(&report).as_bytes())
}

fn look(
    place: &Place,
    content: &Content,
    args: &args::Inspect,
    context: &Context,
) -> Result<Report, Failure> {
    let descriptor = content.resolve(args.platform.as_ref())?;
    let document = content.document(&descriptor)?;
    let config = content.config(&document)?;
    let mut blobs = Sum::default();
    blobs.add(&descriptor);
    let manifests = members(content, &document, &mut blobs)?;
    let platforms = match &config {
        Some(config) => vec![config.platform.to_string()],
        None => manifests
            .iter()
            .filter(|member| member.kind != "attestation")
            .filter_map(|member| member.platform.clone())
            .collect(),
    };
    let named = |kind: &dyn Kind| kind.name().to_owned();
    let referrers = content.referrers(&descriptor.digest)?.into_iter().map(|referrer| Referrer {
        kind: referrer.artifact_type.as_ref().and_then(|told| context.kinds.of_type(told)).map(named),
        digest: referrer.digest,
        media_type: referrer.media_type,
        artifact_type: referrer.artifact_type,
    });
    let opened = Opened::of(content)?;
    let held = Held::new(sight(place, &descriptor, &document), opened.source());
    let kind = kind_of(&document);
    let known = context.kinds.recognise_inside(&held)?;
    let known = known.or_else(|| (kind == "artifact").then(unknown));
    let facts = known.map(|kind| kind.describe(&held)).transpose()?;
    Ok(Report {
        location: place.location().to_string(),
        kind: known.map_or(kind, |known| known.name()).to_owned(),
        facts,
        artifact_type: document.artifact_type().filter(|_| config.is_none()).cloned(),
        size: descriptor.size,
        total_size: blobs.bytes,
        platforms,
        layers: layers(&document, config.as_ref()),
        config: config.map(summary),
        manifests,
        annotations: document.annotations().clone().into_iter().collect(),
        subject: document.subject().map(|subject| subject.digest.clone()),
        referrers: referrers.collect(),
        digest: descriptor.digest,
        media_type: descriptor.media_type,
    })
}

/// What is seen of it before a blob is read.
fn sight<'a>(place: &'a Place, descriptor: &'a Descriptor, document: &'a Document) -> Sight<'a> {
    let tag = match place {
        Place::Registry(reference) => reference.tag().map(transship_spec::Tag::as_str),
        Place::Layout { reference, .. } | Place::Archive { reference, .. } => reference.as_deref(),
    };
    Sight::of(document).listed(descriptor).named(tag)
}

/// Bytes of different blobs.
#[derive(Debug, Default)]
struct Sum {
    seen: BTreeSet<Digest>,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, descriptor: &Descriptor) {
        if self.seen.insert(descriptor.digest.clone()) {
            self.bytes = self.bytes.saturating_add(descriptor.size);
        }
    }
}

/// The members of an index, each looked at if it is there; what a manifest names is only added up.
fn members(content: &Content, document: &Document, blobs: &mut Sum) -> Result<Vec<Member>, Failure> {
    let Some(index) = document.as_index() else {
        document.children().into_iter().for_each(|child| blobs.add(child));
        return Ok(Vec::new());
    };
    let mut there = Vec::new();
    for descriptor in &index.manifests {
        there.push(descriptor.media_type.is_document() && !content.is_missing(descriptor)?);
    }
    let wanted: Vec<_> =
        index.manifests.iter().zip(&there).filter(|(_, there)| **there).map(|(m, _)| m).collect();
    let mut documents = content.documents(&wanted)?.into_iter();
    let mut members = Vec::new();
    for (descriptor, there) in index.manifests.iter().zip(there) {
        let member = if there { documents.next() } else { None };
        let mut own = Sum::default();
        if let Some(member) = &member {
            for part in member.children().into_iter().chain([descriptor]) {
                own.add(part);
                blobs.add(part);
            }
        }
        members.push(Member {
            kind: match &member {
                _ if platform::is_attestation(descriptor) => "attestation",
                None => "missing",
                Some(member) => kind_of(member),
            },
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            platform: descriptor.platform.as_ref().map(ToString::to_string),
            total_size: member.map(|_| own.bytes),
        });
    }
    Ok(members)
}

fn layers(document: &Document, config: Option<&ImageConfig>) -> Vec<Layer> {
    let layers = document.as_manifest().map(|manifest| manifest.layers.as_slice()).unwrap_or_default();
    let diff_ids = config.map(|config| config.diff_ids.as_slice()).unwrap_or_default();
    let diff_id = |number: usize| diff_ids.get(number).cloned();
    let layer = |(number, layer): (usize, &Descriptor)| Layer {
        digest: layer.digest.clone(),
        media_type: layer.media_type.clone(),
        size: layer.size,
        title: layer.annotations.get(transship_spec::annotations::TITLE).cloned(),
        diff_id: diff_id(number),
    };
    layers.iter().enumerate().map(layer).collect()
}

fn summary(config: ImageConfig) -> Config {
    let run = config.config.unwrap_or_default();
    Config {
        created: config.created,
        author: config.author,
        user: run.user.filter(|user| !user.is_empty()),
        entrypoint: run.entrypoint.unwrap_or_default(),
        cmd: run.cmd.unwrap_or_default(),
        working_dir: run.working_dir.filter(|folder| !folder.is_empty()),
        env: run.env,
        exposed_ports: run.exposed_ports,
        volumes: run.volumes,
        stop_signal: run.stop_signal,
        labels: run.labels.into_iter().collect(),
    }
}

/// The report for people: a line a fact, then what there are several of.
fn text(report: &Report) -> String {
    let mut facts = Rows::default();
    facts.add("kind", &report.kind);
    let known = report.facts.as_ref();
    for (name, value) in
        known.into_iter().flat_map(|known| [("title", &known.title), ("version", &known.version)])
    {
        facts.several(name, value.iter());
    }
    for fact in known.into_iter().flat_map(|known| &known.facts) {
        facts.several(&fact.name, &fact.values);
    }
    facts.add("digest", report.digest.to_string());
    facts.add("media type", report.media_type.as_str());
    if let Some(artifact_type) = &report.artifact_type {
        facts.add("artifact type", artifact_type.as_str());
    }
    facts.several("platform", &report.platforms);
    let parts = match report.kind.as_str() {
        "index" => show::count(report.manifests.len(), "manifest", "manifests"),
        "image" => show::count(report.layers.len(), "layer", "layers"),
        _ => show::count(report.layers.len(), "blob", "blobs"),
    };
    facts.add("size", format!("{} in {parts}", show::bytes(report.total_size)));
    if let Some(config) = &report.config {
        config_facts(&mut facts, config);
    }
    if let Some(subject) = &report.subject {
        facts.add("subject", subject.to_string());
    }
    facts.several("annotation", report.annotations.iter().map(|(name, value)| format!("{name}={value}")));
    let mut text = show::table(&facts.rows);
    let layers = report
        .layers
        .iter()
        .map(|layer| vec![layer.digest.to_string(), show::bytes(layer.size), name_of(layer)]);
    section(&mut text, if report.kind == "image" { "layers" } else { "blobs" }, layers);
    let members = report.manifests.iter().map(|member| {
        let size = member.total_size.map_or_else(|| "-".to_owned(), show::bytes);
        let platform = member.platform.as_deref().unwrap_or("-");
        vec![member.digest.to_string(), size, member.kind.to_owned(), show::plain(platform)]
    });
    section(&mut text, "manifests", members);
    let referrers = report.referrers.iter().map(|referrer| {
        let told = referrer.artifact_type.as_ref().unwrap_or(&referrer.media_type);
        let kind = referrer.kind.as_deref().unwrap_or("-");
        vec![referrer.digest.to_string(), show::plain(kind), show::plain(told.as_str())]
    });
    section(&mut text, "referrers", referrers);
    text
}

fn config_facts(facts: &mut Rows, config: &Config) {
    let words = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let single = [
        ("created", config.created.clone()),
        ("author", config.author.clone()),
        ("entrypoint", Some(words(&config.entrypoint)).filter(|_| !config.entrypoint.is_empty())),
        ("cmd", Some(words(&config.cmd)).filter(|_| !config.cmd.is_empty())),
        ("user", config.user.clone()),
        ("workdir", config.working_dir.clone()),
        ("stop signal", config.stop_signal.clone()),
    ];
    for (name, value) in single {
        facts.several(name, value.iter());
    }
    facts.several("env", &config.env);
    facts.several("port", &config.exposed_ports);
    facts.several("volume", &config.volumes);
    facts.several("label", config.labels.iter().map(|(name, value)| format!("{name}={value}")));
}

/// What a layer is called: its title, else its type.
fn name_of(layer: &Layer) -> String {
    let name = layer.title.as_deref().unwrap_or(layer.media_type.as_str());
    show::plain(name)
}

fn section(text: &mut String, title: &str, rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<_> = rows
        .map(|mut row| {
            row.insert(0, String::new());
            row
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{title}\n{}", show::table(&rows)));
    }
}

/// Rows of a name and a value.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Vec<String>>,
}

impl Rows {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.rows.push(vec![name.to_owned(), show::plain(value.as_ref())]);
    }

    /// The name stands before the first of several values.
    fn several(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        for (number, value) in values.into_iter().enumerate() {
            self.add(if number == 0 { name } else { "" }, value);
        }
    }
}
