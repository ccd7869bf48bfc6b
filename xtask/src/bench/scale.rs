//! A layout of a million blobs and a hundred thousand references: looking, naming, checking and cleaning up in it.
//!
//! There is no peer to hold this against; what counts is that nothing grows with the square of the size.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::measure::time;
use super::{empty, remove};
use crate::Result;

/// Blobs that each artifact has beside its manifest.
const PARTS: u64 = 9;

pub(super) fn bench(transship: &Path, work: &Path, references: u64) -> Result {
    let layout = work.join("scale");
    generate(&layout, references)?;
    let blobs = references * (PARTS + 1) + 1;
    println!("\nscale: {references} references, {blobs} blobs");
    let at = |reference: &str| format!("oci:{}{reference}", layout.display());
    let names = work.join("names");
    fs::write(&names, (0..1000).map(|number| format!("new-{number}\n")).collect::<String>())?;
    let many = format!("@{}", names.display());
    let middle = at(&format!(":v{}", references / 2));
    for (what, words) in [
        ("resolve one reference", vec!["resolve", &middle]),
        ("list all references", vec!["ls", &at("")]),
        ("give one more name", vec!["tag", &middle, "one-more"]),
        ("give 1,000 more names", vec!["tag", &middle, &many]),
        ("plan the removal of what nothing needs", vec!["gc", "--dry-run", &layout.display().to_string()]),
        ("check everything", vec!["check", &at("")]),
    ] {
        let run = time(Command::new(transship).args(words))?;
        println!("  {what:<44} {:8.2} s  {:7.1} MiB", run.seconds, run.memory);
    }
    remove(&layout)
}

/// Writes the layout, file by file: small artifacts, each with blobs of its own and the empty config in common.
fn generate(layout: &Path, references: u64) -> Result {
    let blobs = layout.join("blobs/sha256");
    empty(&blobs)?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let put = |content: &[u8]| -> Result<String> {
        let digest: String = Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        fs::write(blobs.join(&digest), content)?;
        Ok(digest)
    };
    let empty = put(b"{}")?;
    let config =
        format!(r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:{empty}","size":2}}"#);
    let mut entries = Vec::new();
    for number in 0..references {
        let mut layers = Vec::new();
        for part in 0..PARTS {
            let content = format!("part {part} of artifact {number}");
            let digest = put(content.as_bytes())?;
            let size = content.len();
            layers.push(format!(
                r#"{{"mediaType":"application/vnd.example.part","digest":"sha256:{digest}","size":{size}}}"#
            ));
        }
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example.scale","config":{config},"layers":[{}]}}"#,
            layers.join(",")
        );
        let digest = put(manifest.as_bytes())?;
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"v{number}"}},"artifactType":"application/vnd.example.scale"}}"#,
            manifest.len()
        ));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    );
    Ok(fs::write(layout.join("index.json"), index)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::target;

    #[test]
    fn the_layout_has_a_blob_for_each_part_and_manifest_and_the_empty_config() {
        let layout = target().join(format!("scale-test-{}", std::process::id()));
        generate(&layout, 3).unwrap();
        assert_eq!(fs::read_dir(layout.join("blobs/sha256")).unwrap().count() as u64, 3 * (PARTS + 1) + 1);
        let index = fs::read_to_string(layout.join("index.json")).unwrap();
        assert_eq!(index.matches("ref.name").count(), 3);
        fs::remove_dir_all(layout).unwrap();
    }
}
