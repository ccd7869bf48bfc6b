//! Layouts written by hand, so that they can be wrong in any way.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use transship_layout::Layout;
use transship_layout::check::{self, Finding, Options, Report};
use transship_spec::Digest;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const NAME: &str = "org.opencontainers.image.ref.name";

/// A layout that is being written by hand.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

/// How an image is made; each step may be changed on its way.
pub(crate) struct Recipe {
    /// The tar in the layer.
    pub(crate) tar: fn() -> Vec<u8>,
    /// The layer's blob.
    pub(crate) stored: fn(Vec<u8>) -> Vec<u8>,
    pub(crate) layer: fn(&Bench, &mut Value),
    pub(crate) config: fn(&Bench, &mut Value),
    pub(crate) config_text: fn(String) -> String,
    pub(crate) manifest: fn(&Bench, &mut Value),
    pub(crate) manifest_text: fn(String) -> String,
    pub(crate) entry: fn(&Bench, &mut Value),
    pub(crate) index: fn(&Bench, &mut Value),
    pub(crate) index_text: fn(String) -> String,
    /// Done to the folder at the end.
    pub(crate) after: fn(&Bench),
    pub(crate) options: fn(&mut Options),
}

impl Default for Recipe {
    fn default() -> Self {
        let nothing = |_: &Bench, _: &mut Value| {};
        Self {
            tar: || tar(&[("hello", b'0', b"hello", "")]),
            stored: |tar| tar,
            layer: nothing,
            config: nothing,
            config_text: |text| text,
            manifest: nothing,
            manifest_text: |text| text,
            entry: nothing,
            index: nothing,
            index_text: |text| text,
            after: |_| {},
            options: |_| {},
        }
    }
}

impl Bench {
    /// The layout that a recipe makes.
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        std::fs::create_dir_all(bench.path("blobs/sha256")).unwrap();
        let tar = (recipe.tar)();
        let diff_id = Digest::sha256(&tar);
        let mut layer = bench.put(TAR, (recipe.stored)(tar));
        (recipe.layer)(&bench, &mut layer);
        let mut config = json!({
            "created": "2025-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]},
        });
        (recipe.config)(&bench, &mut config);
        let config = bench.put(CONFIG, (recipe.config_text)(config.to_string()));
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer]});
        (recipe.manifest)(&bench, &mut manifest);
        let mut entry = bench.put(IMAGE, (recipe.manifest_text)(manifest.to_string()));
        entry["annotations"] = json!({NAME: "v1"});
        (recipe.entry)(&bench, &mut entry);
        let mut index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        (recipe.index)(&bench, &mut index);
        bench.write("index.json", (recipe.index_text)(index.to_string()));
        (recipe.after)(&bench);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes a blob; gives its descriptor.
    pub(crate) fn put(&self, media_type: &str, content: impl AsRef<[u8]>) -> Value {
        let content = content.as_ref();
        let digest = Digest::sha256(content);
        self.write(&blob(&digest.to_string()), content);
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": content.len()})
    }

    /// Writes an index of these members; gives its descriptor.
    pub(crate) fn put_index(&self, members: &[Value]) -> Value {
        let text = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": members});
        self.put(INDEX, text.to_string())
    }

    /// Writes an artifact with an empty config and these members besides; gives its descriptor.
    pub(crate) fn put_artifact(&self, more: &Value) -> Value {
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "text/x-test",
            "config": self.put(EMPTY, "{}"), "layers": [self.put("text/plain", "text")],
        });
        let more = more.as_object().unwrap().clone();
        manifest.as_object_mut().unwrap().extend(more);
        self.put(IMAGE, manifest.to_string())
    }

    /// The files of all blobs, in order.
    pub(crate) fn blobs(&self) -> Vec<std::path::PathBuf> {
        let mut found: Vec<_> = std::fs::read_dir(self.path("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        found.sort();
        found
    }

    /// The file of the layer, which is found by what its tar begins with.
    pub(crate) fn layer(&self) -> std::path::PathBuf {
        let is_layer = |path: &std::path::PathBuf| std::fs::read(path).unwrap().starts_with(b"hello\0");
        self.blobs().into_iter().find(is_layer).unwrap()
    }

    /// The file of the first entry's manifest.
    pub(crate) fn manifest(&self) -> std::path::PathBuf {
        let index: Value = serde_json::from_slice(&std::fs::read(self.path("index.json")).unwrap()).unwrap();
        self.path(&blob(index["manifests"][0]["digest"].as_str().unwrap()))
    }

    pub(crate) fn check(&self, options: &Options) -> (Vec<Finding>, Report) {
        check(self.folder.path(), options)
    }
}

pub(crate) fn check(path: &Path, options: &Options) -> (Vec<Finding>, Report) {
    let mut found = Vec::new();
    let report =
        check::directory(path, &Layout::options(), options, &mut |finding| found.push(finding.clone()))
            .unwrap();
    (found, report)
}

/// The path of a blob.
pub(crate) fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// The codes of findings, sorted, each once.
pub(crate) fn codes(found: &[Finding]) -> Vec<&'static str> {
    let mut codes: Vec<_> = found.iter().map(|finding| finding.code.name()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// A tar of entries: path, kind, content, link.
pub(crate) fn tar(entries: &[(&str, u8, &[u8], &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, content, link) in entries {
        let mut block = vec![0; 512];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[156] = *kind;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend_from_slice(&block);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Bytes in gzip.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let options = transship_codec::EncoderOptions { threads: 1, ..Default::default() };
    let mut encoder = transship_codec::Encoder::new(Vec::new(), options).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
