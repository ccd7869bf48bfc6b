//! What is copied: layouts whose content no compressor makes smaller, written without any of the contenders.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::bench::empty;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const PIECE: usize = 1 << 20;
/// Of the images: how many, layers that they share, and layers of each alone; with their configs 163 blobs.
pub(super) const IMAGES: usize = 30;
const SHARED: usize = 13;
const OWN: usize = 4;
/// Shared layers that an image has.
const BASE: usize = 5;
/// Bytes of a shared layer, and of another; altogether 1.26 GB.
const SHARED_BYTES: u64 = 30_000_000;
const OWN_BYTES: u64 = 7_250_000;

/// A layout, and how much is in it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) layout: PathBuf,
    /// Roots; each has a name of its own.
    pub(super) roots: usize,
    pub(super) blobs: usize,
    /// Of all blobs that are not manifests.
    pub(super) bytes: u64,
    /// Digests of the manifests, and of the other blobs.
    pub(super) digests: (Vec<String>, Vec<String>),
}

impl Content {
    /// One image of a few large layers.
    pub(super) fn large(layout: PathBuf, mebibytes: u64, layers: u64) -> Result<Self> {
        let mut content = Self::begin(layout)?;
        let mut descriptors = Vec::new();
        for layer in 0..layers {
            descriptors.push(content.layer(&format!("large {layer}"), mebibytes * (1 << 20) / layers)?);
        }
        let image = content.image("large", &descriptors)?;
        content.end(&[image])
    }

    /// Artifacts of one blob each, with the empty config.
    pub(super) fn small(layout: PathBuf, count: usize) -> Result<Self> {
        let mut content = Self::begin(layout)?;
        let config = content.put("application/vnd.oci.empty.v1+json", b"{}")?;
        let mut roots = Vec::new();
        for number in 0..count {
            let bytes = 500 + number as u64 * 7919 % 3500;
            let mut blob =
                content.noise("application/vnd.example.small", &format!("small {number}"), bytes)?;
            blob["annotations"] = json!({ "org.opencontainers.image.title": format!("file-{number}.txt") });
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
                "artifactType": "application/vnd.example.small", "config": config, "layers": [blob] });
            roots.push(content.manifest(&manifest)?);
        }
        // The config is one blob, however often it is named.
        content.end(&roots)
    }

    /// Images that share layers.
    pub(super) fn images(layout: PathBuf) -> Result<Self> {
        let mut content = Self::begin(layout)?;
        let mut shared = Vec::new();
        for number in 0..SHARED {
            shared.push(content.layer(&format!("shared {number}"), SHARED_BYTES)?);
        }
        let mut roots = Vec::new();
        for number in 0..IMAGES {
            let base = (0..BASE).map(|at| shared[(number * 3 + at) % SHARED].clone());
            let mut layers: Vec<Value> = base.collect();
            for own in 0..OWN {
                layers.push(content.layer(&format!("own {number} {own}"), OWN_BYTES)?);
            }
            roots.push(content.image(&format!("image {number}"), &layers)?);
        }
        content.end(&roots)
    }

    fn begin(layout: PathBuf) -> Result<Self> {
        empty(&layout.join("blobs/sha256"))?;
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { layout, roots: 0, blobs: 0, bytes: 0, digests: Default::default() })
    }

    fn image(&mut self, name: &str, layers: &[Value]) -> Result<Value> {
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "author": name,
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = self.put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.manifest(&manifest)
    }

    fn manifest(&mut self, manifest: &Value) -> Result<Value> {
        let text = manifest.to_string();
        let (digest, _) = self.write(&mut std::iter::once(text.as_bytes()))?;
        self.digests.0.push(digest.clone());
        self.roots += 1;
        let name = format!("v{}", self.roots);
        Ok(json!({ "mediaType": MANIFEST, "digest": digest, "size": text.len(),
            "annotations": { "org.opencontainers.image.ref.name": name } }))
    }

    fn layer(&mut self, seed: &str, bytes: u64) -> Result<Value> {
        self.noise("application/vnd.oci.image.layer.v1.tar", seed, bytes)
    }

    /// The same noise over and over, each time beginning with its number: no two pieces are the same.
    fn noise(&mut self, media_type: &str, seed: &str, bytes: u64) -> Result<Value> {
        let mut piece = noise(PIECE.min(usize::try_from(bytes)?));
        let (mut left, mut number) = (bytes, 0u64);
        let blobs = self.layout.join("blobs/sha256");
        let beside = blobs.join("beside");
        let (mut file, mut hash) = (File::create(&beside)?, Sha256::new());
        while left > 0 {
            let begin = format!("{seed} {number} ");
            piece[..begin.len()].copy_from_slice(begin.as_bytes());
            let length = PIECE.min(usize::try_from(left)?);
            file.write_all(&piece[..length])?;
            hash.update(&piece[..length]);
            (left, number) = (left - length as u64, number + 1);
        }
        let digest = hex(&hash.finalize());
        fs::rename(&beside, blobs.join(&digest))?;
        Ok(self.note(media_type, &format!("sha256:{digest}"), bytes))
    }

    fn put(&mut self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let (digest, size) = self.write(&mut std::iter::once(bytes))?;
        Ok(self.note(media_type, &digest, size))
    }

    fn note(&mut self, media_type: &str, digest: &str, size: u64) -> Value {
        self.blobs += 1;
        self.bytes += size;
        self.digests.1.push(digest.to_owned());
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    fn write(&self, pieces: &mut dyn Iterator<Item = &[u8]>) -> Result<(String, u64)> {
        let bytes: Vec<u8> = pieces.flatten().copied().collect();
        let digest = hex(&Sha256::digest(&bytes));
        fs::write(self.layout.join("blobs/sha256").join(&digest), &bytes)?;
        Ok((format!("sha256:{digest}"), bytes.len() as u64))
    }

    fn end(self, roots: &[Value]) -> Result<Self> {
        let index = json!({ "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": roots });
        fs::write(self.layout.join("index.json"), index.to_string())?;
        Ok(self)
    }
}

/// What came back must be what was sent, or the time means nothing.
///
/// # Errors
///
/// If names or sizes of blobs differ.
pub(super) fn same_blobs(source: &Path, back: &Path) -> Result {
    let names = |layout: &Path| -> Result<Vec<(std::ffi::OsString, u64)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(layout.join("blobs/sha256"))? {
            let entry = entry?;
            names.push((entry.file_name(), entry.metadata()?.len()));
        }
        names.sort();
        Ok(names)
    };
    if names(source)? == names(back)? { Ok(()) } else { Err("what came back is not what was sent".into()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes that no compressor makes smaller (xorshift64*).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::target;

    #[test]
    fn a_layout_has_a_blob_for_each_digest_that_is_told() {
        let layout = target().join(format!("content-test-{}", std::process::id()));
        let content = Content::small(layout.clone(), 3).unwrap();
        assert_eq!((content.roots, content.blobs), (3, 4));
        let told = content.digests.0.len() + content.digests.1.len();
        assert_eq!(fs::read_dir(layout.join("blobs/sha256")).unwrap().count(), told);
        same_blobs(&layout, &layout).unwrap();
        fs::remove_dir_all(layout).unwrap();
    }
}
