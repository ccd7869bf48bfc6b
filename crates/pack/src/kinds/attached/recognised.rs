//! What a file is that is to be attached to something, by what it says in its first words or members.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use transship_spec::{Annotations, MediaType};

use super::told::Told;
use super::{bundle, types};
use crate::Error;
use crate::layer::open_regular;

/// Bytes of a file that is read to know it.
const LIMIT: u64 = 64 << 20;
/// Bytes of a text that must tell it.
const HEAD: u64 = 64 << 10;

/// What a file is, and in which words that is said where it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recognised {
    /// The name of the kind: `spdx`.
    pub kind: &'static str,
    /// The type of the artifact.
    pub artifact_type: MediaType,
    /// The type of its layer, mostly the same: an envelope is the layer of what is in it, as cosign has it.
    pub media_type: MediaType,
    /// What the kind's own tools write in the manifest.
    pub annotations: Annotations,
}

/// The members by which JSON documents are told apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Members {
    #[serde(rename = "spdxVersion")]
    spdx: Told<String>,
    #[serde(rename = "bomFormat")]
    bom: Told<String>,
    #[serde(rename = "@context")]
    context: Told<String>,
    #[serde(rename = "$schema")]
    schema: Told<String>,
    #[serde(rename = "_type")]
    statement: Told<String>,
    #[serde(rename = "mediaType")]
    media_type: Told<String>,
    #[serde(rename = "payloadType")]
    payload_type: Told<String>,
    version: Told<String>,
    runs: Option<IgnoredAny>,
    payload: Option<IgnoredAny>,
    signatures: Option<IgnoredAny>,
}

/// Finds out what a file is, by its content: an SBOM (of SPDX or of `CycloneDX`), results of a scan (SARIF), an
/// in-toto statement, a DSSE envelope or a sigstore bundle. Nothing for what is none of these.
///
/// Of files larger than 64 MiB nothing is known.
///
/// # Errors
/// [`Error::Read`] and [`Error::Input`] name the file.
///
/// ```
/// use transship_pack::kinds::recognise_file;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("sbom.json");
/// std::fs::write(&path, r#"{"spdxVersion": "SPDX-2.3", "name": "app", "packages": []}"#)?;
/// let found = recognise_file(&path)?.map(|found| (found.kind, found.media_type.to_string()));
/// assert_eq!(found, Some(("spdx", "application/spdx+json".to_owned())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recognise_file(path: &Path) -> Result<Option<Recognised>, Error> {
    let failed = |error| Error::read(path, error);
    let mut file = open_regular(path)?;
    if file.metadata().map_err(failed)?.len() > LIMIT {
        return Ok(None);
    }
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head).map_err(failed)?;
    match head.trim_ascii_start().first() {
        Some(b'{') => {
            file.rewind().map_err(failed)?;
            of_json(file, path)
        }
        Some(b'<') => of_text(&head, is_cyclonedx, "cyclonedx", types::CYCLONEDX_XML),
        _ => of_text(&head, is_tag_value, "spdx", types::SPDX_TEXT),
    }
}

fn of_text(
    head: &[u8],
    is: impl Fn(&[u8]) -> bool,
    kind: &'static str,
    media_type: &str,
) -> Result<Option<Recognised>, Error> {
    match is(head) {
        true => recognised(kind, media_type, Annotations::new()),
        false => Ok(None),
    }
}

fn is_cyclonedx(head: &[u8]) -> bool {
    let holds = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    holds(b"<bom") && holds(b"http://cyclonedx.org/schema/bom/")
}

fn is_tag_value(head: &[u8]) -> bool {
    head.lines().map_while(Result::ok).any(|line| line.starts_with("SPDXVersion: SPDX-"))
}

fn recognised(
    kind: &'static str,
    media_type: &str,
    annotations: Annotations,
) -> Result<Option<Recognised>, Error> {
    let artifact_type = if media_type == types::DSSE { types::IN_TOTO } else { media_type };
    let (artifact_type, media_type) = (MediaType::parse(artifact_type)?, MediaType::parse(media_type)?);
    Ok(Some(Recognised { kind, artifact_type, media_type, annotations }))
}

fn of_json(file: File, path: &Path) -> Result<Option<Recognised>, Error> {
    let members: Members = match serde_json::from_reader(BufReader::new(file.take(LIMIT))) {
        Ok(members) => members,
        Err(error) if error.is_io() => return Err(Error::read(path, error)),
        Err(_) => return Ok(None),
    };
    let begins = |told: &Told<String>, with: &str| told.text().is_some_and(|text| text.starts_with(with));
    let is_sarif = || {
        let is_schema =
            members.schema.text().is_some_and(|schema| schema.to_ascii_lowercase().contains("sarif"));
        members.runs.is_some() && (is_schema || begins(&members.version, "2."))
    };
    let (kind, media_type) = match () {
        () if begins(&members.spdx, "SPDX-") || begins(&members.context, "https://spdx.org/rdf/") => {
            ("spdx", types::SPDX_JSON)
        }
        () if members.bom.text() == Some("CycloneDX") => ("cyclonedx", types::CYCLONEDX_JSON),
        () if begins(&members.media_type, types::BUNDLE) => return of_bundle(path),
        () if begins(&members.statement, "https://in-toto.io/Statement/") => ("in-toto", types::IN_TOTO),
        () if members.payload_type.text() == Some(types::IN_TOTO)
            && members.payload.is_some()
            && members.signatures.is_some() =>
        {
            ("in-toto", types::DSSE)
        }
        () if is_sarif() => ("sarif", types::SARIF),
        () => return Ok(None),
    };
    recognised(kind, media_type, Annotations::new())
}

/// A sigstore bundle: cosign's annotations tell what is in it.
fn of_bundle(path: &Path) -> Result<Option<Recognised>, Error> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(LIMIT).read_to_end(&mut bytes).map_err(|error| Error::read(path, error))?;
    match bundle::attached(&bytes) {
        Some((media_type, annotations)) => recognised("sigstore-bundle", &media_type, annotations),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(content: &str) -> Option<(&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        recognise_file(&path).unwrap().map(|found| (found.kind, found.media_type.to_string()))
    }

    #[test]
    fn files_are_known_by_what_they_say_and_not_by_their_names() {
        for (content, name, media_type) in [
            (r#"{"packages":[{}],"spdxVersion":"SPDX-2.2"}"#, "spdx", "application/spdx+json"),
            (
                r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}"#,
                "spdx",
                "application/spdx+json",
            ),
            ("# x\nSPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n", "spdx", "text/spdx"),
            (r#"{"bomFormat":"CycloneDX"}"#, "cyclonedx", "application/vnd.cyclonedx+json"),
            (
                "<?xml version=\"1.0\"?>\n<bom xmlns=\"http://cyclonedx.org/schema/bom/1.4\"/>",
                "cyclonedx",
                "application/vnd.cyclonedx+xml",
            ),
            (r#"{"version":"2.1.0","runs":[]}"#, "sarif", "application/sarif+json"),
            (
                r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"x"}"#,
                "in-toto",
                "application/vnd.in-toto+json",
            ),
            (
                r#"{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[]}"#,
                "in-toto",
                "application/vnd.dsse.envelope.v1+json",
            ),
        ] {
            assert_eq!(kind(content), Some((name, media_type.to_owned())), "{content}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not_known() {
        for content in [
            "",
            "{}",
            "{",
            "[1]",
            "plain",
            "<html>",
            r#"{"spdxVersion":2}"#,
            r#"{"nested":{"spdxVersion":"SPDX-2.3"}}"#,
            r#"{"runs":[]}"#,
            "The SPDXVersion: SPDX-2.3",
        ] {
            assert_eq!(kind(content), None, "{content}");
        }
    }
}
