//! Bills of materials: SPDX and `CycloneDX` as referrers, and what cosign keeps under a tag.

use serde::Deserialize;
use serde::de::IgnoredAny;
use transship_spec::{Descriptor, MediaType};

use super::names::named;
use super::said::Said;
use super::told::{List, Told, object};
use super::types;
use crate::Error;
use crate::kinds::{Extract, Facts, Held, Kind, Sight, Sign};

/// SPDX as a referrer.
#[derive(Debug)]
pub(super) struct Spdx;

/// `CycloneDX` as a referrer.
#[derive(Debug)]
pub(super) struct CycloneDx;

impl Kind for Spdx {
    fn name(&self) -> &'static str {
        "spdx"
    }

    fn about(&self) -> &'static str {
        "an SBOM in SPDX"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        super::by_type(sight, &[types::SPDX_JSON, types::SPDX_TEXT, types::SPDX_JSON_COSIGN])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        describe(held)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), name)
    }
}

impl Kind for CycloneDx {
    fn name(&self) -> &'static str {
        "cyclonedx"
    }

    fn about(&self) -> &'static str {
        "an SBOM in CycloneDX"
    }

    fn recognise(&self, sight: &Sight<'_>) -> Option<Sign> {
        super::by_type(sight, &[types::CYCLONEDX_JSON, types::CYCLONEDX_XML, types::CYCLONEDX])
    }

    fn describe(&self, held: &Held<'_>) -> Result<Facts, Error> {
        describe(held)
    }

    fn files(&self, held: &Held<'_>) -> Result<Vec<Extract>, Error> {
        named(held.sight(), name)
    }
}

/// What SBOMs are called: as syft and `CycloneDX` advise.
pub(super) fn name(layer: &Descriptor) -> Option<&'static str> {
    Some(match layer.media_type.as_str() {
        types::SPDX_JSON | types::SPDX_JSON_COSIGN => "sbom.spdx.json",
        types::SPDX_TEXT => "sbom.spdx",
        types::CYCLONEDX_JSON => "sbom.cdx.json",
        types::CYCLONEDX_XML => "sbom.cdx.xml",
        types::CYCLONEDX => "sbom.cdx",
        types::SYFT => "sbom.syft.json",
        _ => return None,
    })
}

/// What the SBOMs among the layers say; their own names come before those of the manifest's annotations.
pub(super) fn describe(held: &Held<'_>) -> Result<Facts, Error> {
    let mut facts = Facts::of(held.sight());
    types::SBOMS.iter().for_each(|media_type| facts.call(media_type, "sbom"));
    let mut said = Said::default();
    let mut called = None;
    let layers = held.sight().layers().into_iter().filter(|layer| layer.media_type != MediaType::OCI_EMPTY);
    said.look(held, layers, |said, layer, bytes| {
        let name = match (layer.media_type.as_str(), bytes.trim_ascii_start().first()) {
            (types::SPDX_JSON | types::SPDX_JSON_COSIGN, _) | (types::SPDX_TEXT, Some(b'{')) => {
                say_spdx(bytes, said)
            }
            (types::SPDX_TEXT, _) => say_tag_value(bytes, said),
            (types::CYCLONEDX_JSON, _) | (types::CYCLONEDX, Some(b'{')) => say_cyclonedx(bytes, said),
            (types::CYCLONEDX_XML | types::CYCLONEDX, _) => say_xml(bytes, said),
            (types::SYFT, _) => say_syft(bytes, said),
            _ => None,
        };
        called = called.take().or(name);
    })?;
    facts.title = called.or(facts.title.take());
    said.tell(&mut facts);
    Ok(facts)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpdxDocument {
    spdx_version: Told<String>,
    name: Told<String>,
    creation_info: Told<Creation>,
    packages: Told<Vec<IgnoredAny>>,
    files: Told<Vec<IgnoredAny>>,
    /// Of SPDX 3, which is a graph of everything.
    #[serde(rename = "@graph")]
    graph: List<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Creation {
    created: Told<String>,
    creators: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Element {
    #[serde(rename = "type")]
    kind: Told<String>,
    name: Told<String>,
    #[serde(rename = "specVersion")]
    version: Told<String>,
}

/// Says what a document of SPDX in JSON is; gives the name that it has.
pub(super) fn say_spdx(bytes: &[u8], said: &mut Said) -> Option<String> {
    let document: SpdxDocument = match object(bytes) {
        Ok(document) => document,
        Err(reason) => {
            said.unreadable("SPDX document", &reason);
            return None;
        }
    };
    if document.graph.count().is_some() {
        return say_graph(&document.graph, said);
    }
    said.say("format", document.spdx_version.text().unwrap_or("SPDX of unknown version"));
    said.say_some("name", document.name.text());
    said.count("packages", document.packages.0.as_ref().map(Vec::len));
    said.count("files", document.files.0.as_ref().map(Vec::len));
    if let Some(creation) = &document.creation_info.0 {
        said.say_some("created", creation.created.text());
        creation.creators.each().for_each(|creator| said.say("creator", creator));
    }
    document.name.text().map(str::to_owned)
}

fn say_graph(graph: &List<Element>, said: &mut Said) -> Option<String> {
    let of = |kind: &'static str| graph.each().filter(move |element| element.kind.text() == Some(kind));
    let version = of("CreationInfo").find_map(|element| element.version.text()).unwrap_or("3");
    said.say("format", format!("SPDX-{version}"));
    let name = of("SpdxDocument").find_map(|element| element.name.text());
    said.say_some("name", name);
    said.count("packages", Some(of("software_Package").count()));
    said.count("files", Some(of("software_File").count()));
    name.map(str::to_owned)
}

fn say_tag_value(bytes: &[u8], said: &mut Said) -> Option<String> {
    let (mut version, mut name, mut packages, mut files) = (None, None, 0, 0);
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = || String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned();
        match &line[..colon] {
            b"SPDXVersion" => version = version.or_else(|| Some(value())),
            b"DocumentName" => name = name.or_else(|| Some(value())),
            b"PackageName" => packages += 1,
            b"FileName" => files += 1,
            b"Creator" => said.say("creator", value()),
            b"Created" => said.say("created", value()),
            _ => {}
        }
    }
    said.say("format", version.unwrap_or_else(|| "SPDX of unknown version".to_owned()));
    said.say_some("name", name.clone());
    said.count("packages", Some(packages));
    said.count("files", Some(files));
    name
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Bom {
    bom_format: Told<String>,
    spec_version: Told<String>,
    serial_number: Told<String>,
    metadata: Told<Metadata>,
    components: Told<Vec<IgnoredAny>>,
    vulnerabilities: Told<Vec<IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    timestamp: Told<String>,
    component: Told<Component>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Component {
    name: Told<String>,
    version: Told<String>,
}

/// Says what a `CycloneDX` document in JSON is; gives the name of what it describes.
pub(super) fn say_cyclonedx(bytes: &[u8], said: &mut Said) -> Option<String> {
    let bom: Bom = match object(bytes) {
        Ok(bom) => bom,
        Err(reason) => {
            said.unreadable("CycloneDX document", &reason);
            return None;
        }
    };
    let format = bom.bom_format.text().unwrap_or("CycloneDX");
    said.say("format", format!("{format} {}", bom.spec_version.text().unwrap_or("of unknown version")));
    said.say_some("serial number", bom.serial_number.text());
    let metadata = bom.metadata.0.unwrap_or_default();
    let component = metadata.component.0.unwrap_or_default();
    said.say_some("name", component.name.text());
    said.say_some("describes version", component.version.text());
    said.say_some("created", metadata.timestamp.text());
    said.count("packages", Some(bom.components.0.map_or(0, |components| components.len())));
    said.count("vulnerabilities", bom.vulnerabilities.0.as_ref().map(Vec::len));
    component.name.text().map(str::to_owned)
}

/// The same of XML, by its tags alone: the version is that of the name space.
fn say_xml(bytes: &[u8], said: &mut Said) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let version = text.split_once("http://cyclonedx.org/schema/bom/").and_then(|(_, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        rest.get(..end).filter(|version| !version.is_empty())
    });
    said.say("format", format!("CycloneDX {}", version.unwrap_or("of unknown version")));
    let (mut lists, mut packages) = (0_usize, 0_usize);
    for tag in text.split('<').skip(1) {
        let name =
            tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
        match (tag.starts_with('/'), name) {
            (false, "components") if !tag.split('>').next().unwrap_or_default().ends_with('/') => lists += 1,
            (true, _) if tag.starts_with("/components") => lists = lists.saturating_sub(1),
            (false, "component") if lists == 1 => packages += 1,
            _ => {}
        }
    }
    said.count("packages", Some(packages));
    None
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Syft {
    artifacts: Told<Vec<IgnoredAny>>,
    descriptor: Told<Component>,
}

fn say_syft(bytes: &[u8], said: &mut Said) -> Option<String> {
    let Ok(syft) = object::<Syft>(bytes) else {
        said.unreadable("document of syft", "it is no JSON object");
        return None;
    };
    said.say("format", "syft");
    said.count("packages", syft.artifacts.0.as_ref().map(Vec::len));
    let tool = syft.descriptor.0.unwrap_or_default();
    said.say_some(
        "creator",
        tool.name.text().map(|name| format!("{name} {}", tool.version.text().unwrap_or(""))),
    );
    None
}
