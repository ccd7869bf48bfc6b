//! Faults of blobs and of the descriptors that name them.

use serde_json::{Value, json};
use transship_layout::check::KEPT_PLATFORMS;
use transship_spec::Digest;

use super::{Case, ZEROS, after, entry, fifo, flip, index, instead, layer, manifest};
use crate::bench::{Bench, CONFIG, EMPTY, IMAGE, INDEX, NAME, Recipe, TAR, blob, tar};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub(super) fn blobs() -> Vec<Case> {
    vec![
        (
            "L16 a layer that is missing",
            after(|b| std::fs::remove_file(b.layer()).unwrap()),
            &["blob-missing"],
        ),
        (
            "L16 a manifest that is missing",
            after(|b| std::fs::remove_file(b.manifest()).unwrap()),
            &["blob-missing"],
        ),
        ("L17 a layer with a bit flipped", after(|b| flip(&b.layer())), &["blob-corrupt"]),
        ("L17 a manifest with a bit flipped", after(|b| flip(&b.manifest())), &["blob-corrupt"]),
        ("L17 a layer cut off", after(|b| std::fs::write(b.layer(), b"hello").unwrap()), &["blob-corrupt"]),
        (
            "a corrupt blob that nothing names",
            after(|b| b.write(&blob(ZEROS), "x")),
            &["blob-corrupt", "blob-orphan"],
        ),
        (
            "L18 a blob that leads out",
            after(|b| instead(&b.layer(), |path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap())),
            &["file-unsafe"],
        ),
        ("L19 a blob that is a FIFO", after(|b| instead(&b.layer(), fifo)), &["file-unsafe"]),
        (
            "L19 a blob that is a folder",
            after(|b| instead(&b.layer(), |path| std::fs::create_dir(path).unwrap())),
            &["file-unsafe"],
        ),
        ("IMG-09 an orphan", after(|b| drop(b.put(TAR, "nobody wants me"))), &["blob-orphan"]),
        ("D12 a size that is off by one", layer(|_, layer| layer["size"] = 1537.into()), &["size-mismatch"]),
        (
            "D12 a manifest's size that is off by one",
            entry(|_, entry| entry["size"] = 1.into()),
            &["size-mismatch"],
        ),
        (
            "D10 a size without end",
            layer(|_, layer| layer["size"] = (1_u64 << 62).into()),
            &["size-mismatch"],
        ),
        (
            "D4 a digest of MD5",
            manifest(|b, manifest| {
                b.write("blobs/md5/d41d8cd98f00b204e9800998ecf8427e", "xyz");
                let extra = json!({"mediaType": "text/plain", "digest": "md5:d41d8cd98f00b204e9800998ecf8427e", "size": 3});
                manifest["config"] = b.put("text/x-config", "config");
                manifest["layers"] = json!([extra]);
            }),
            &["blob-orphan", "digest-unverifiable"],
        ),
        (
            "a blob that is only embedded",
            manifest(|b, manifest| {
                let digest = Digest::sha256(b"secret").to_string();
                manifest["config"] = b.put("text/x-config", "config");
                manifest["layers"] =
                    json!([{"mediaType": "text/plain", "digest": digest, "size": 6, "data": "c2VjcmV0"}]);
            }),
            &["blob-only-embedded", "blob-orphan"],
        ),
        (
            "a blob that is embedded in one descriptor, and named by another",
            index(|b, index| {
                let digest = Digest::sha256(b"secret").to_string();
                let there =
                    json!({"mediaType": "text/plain", "digest": digest, "size": 6, "data": "c2VjcmV0"});
                let mut not = b.put("text/plain", "secret");
                std::fs::remove_file(b.path(&blob(&digest))).unwrap();
                not["annotations"] = json!({"a.b": "c"});
                not["mediaType"] = "text/x-plain".into();
                index["manifests"].as_array_mut().unwrap().extend([there, not]);
            }),
            &["blob-missing", "blob-only-embedded"],
        ),
        (
            "embedded content that cannot be verified",
            index(|_, index| {
                let there =
                    json!({"mediaType": "text/plain", "digest": "foo:abc", "size": 6, "data": "c2VjcmV0"});
                index["manifests"].as_array_mut().unwrap().push(there);
            }),
            &["blob-only-embedded", "digest-unverifiable"],
        ),
        (
            "IMG-67 a blob of no bytes",
            manifest(|b, manifest| {
                manifest["config"] = b.put("text/x-config", "config");
                manifest["layers"] = json!([b.put("text/plain", "")]);
            }),
            &["blob-empty", "blob-orphan"],
        ),
        ("a hole that is declared", declared(), &["hole-declared"]),
        (
            "a hole that another entry needs",
            Recipe {
                index: |_, index| {
                    let mut arm = absent();
                    arm["annotations"] = json!({NAME: "arm"});
                    index["manifests"].as_array_mut().unwrap().push(arm);
                },
                ..declared()
            },
            &["blob-missing", "hole-declared"],
        ),
        (
            "a hole below a manifest that is there, and that another entry needs",
            Recipe {
                index: |b, index| {
                    // Its config was left out, and it was not.
                    let mut config = b.put(CONFIG, "a config");
                    std::fs::remove_file(b.path(&blob(config["digest"].as_str().unwrap()))).unwrap();
                    config["size"] = 8.into();
                    let text = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config,
                        "layers": [b.put(TAR, tar(&[]))]});
                    let mut arm = b.put(IMAGE, text.to_string());
                    arm["platform"] = absent()["platform"].clone();
                    let mut listed = b.put_index(std::slice::from_ref(&arm));
                    listed["annotations"] = json!({KEPT_PLATFORMS: "linux/amd64"});
                    *index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed, arm]});
                },
                ..declared()
            },
            &["blob-missing", "blob-orphan"],
        ),
        (
            "a hole of an index that another entry needs whole",
            Recipe {
                index: |_, index| {
                    let mut whole = index["manifests"][0].clone();
                    whole["annotations"] = json!({NAME: "whole"});
                    index["manifests"].as_array_mut().unwrap().push(whole);
                },
                ..declared()
            },
            &["blob-missing"],
        ),
        ("a hole that nobody declared", entry(undeclared), &["blob-missing"]),
        (
            "a hole that nobody declared, and that is meant",
            Recipe { entry: undeclared, options: |options| options.sparse = true, ..Recipe::default() },
            &["hole-declared"],
        ),
        (
            "IMG-150 a foreign layer that is elsewhere",
            manifest(|_, manifest| {
                let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
                manifest["layers"] = json!([{"mediaType": foreign, "digest": ZEROS, "size": 3, "urls": ["https://example.com/x"]}]);
            }),
            &["blob-orphan", "media-type-deprecated", "nondistributable-absent"],
        ),
    ]
}

/// The same, and nothing says so.
fn undeclared(bench: &Bench, entry: &mut Value) {
    hole(bench, entry);
    entry["annotations"] = json!({NAME: "v1"});
}

/// An index for two platforms, of which one was kept.
fn hole(bench: &Bench, entry: &mut Value) {
    let mut kept = entry.clone();
    kept.as_object_mut().unwrap().remove("annotations");
    kept["platform"] = json!({"os": "linux", "architecture": "amd64"});
    *entry = bench.put_index(&[kept, absent()]);
    entry["annotations"] = json!({NAME: "v1", KEPT_PLATFORMS: "linux/amd64"});
}

/// The member of that index that was left out.
fn absent() -> Value {
    let platform = json!({"os": "linux", "architecture": "arm64"});
    json!({"mediaType": IMAGE, "digest": ZEROS, "size": 300, "platform": platform})
}

fn declared() -> Recipe {
    entry(hole)
}

pub(super) fn descriptors() -> Vec<Case> {
    vec![
        (
            "D13 embedded data that disagrees",
            layer(|_, layer| layer["data"] = "e30=".into()),
            &["data-mismatch"],
        ),
        (
            "D19 an empty descriptor that is not",
            manifest(|b, manifest| {
                manifest["artifactType"] = "text/x-test".into();
                manifest["config"] = b.put(EMPTY, "{ }");
                manifest["layers"] = json!([b.put("text/plain", "text")]);
            }),
            &["blob-orphan", "empty-descriptor-wrong"],
        ),
        (
            "D14 a URL of a file",
            layer(|_, layer| layer["urls"] = json!(["file:///etc/passwd"])),
            &["url-scheme"],
        ),
        ("IMG-34 a URL that is none", layer(|_, layer| layer["urls"] = json!(["value"])), &["url-invalid"]),
        (
            "a manifest that is also a layer",
            index(|b, index| {
                let mut manifest = index["manifests"][0].clone();
                manifest.as_object_mut().unwrap().remove("annotations");
                manifest["mediaType"] = "text/x-other".into();
                let other = b.put_artifact(&json!({"layers": [manifest]}));
                index["manifests"].as_array_mut().unwrap().push(other);
                std::fs::remove_file(b.path(&blob(&Digest::sha256(b"text").to_string()))).unwrap();
            }),
            &["media-type-conflict"],
        ),
        (
            "IMG-150 a layer not to be distributed",
            layer(|_, layer| {
                layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar".into();
            }),
            &["media-type-deprecated"],
        ),
        (
            "IMG-158 a manifest of Docker",
            Recipe {
                manifest: |_, manifest| manifest["mediaType"] = DOCKER.into(),
                entry: |_, entry| entry["mediaType"] = DOCKER.into(),
                ..Recipe::default()
            },
            &["docker-media-type"],
        ),
        (
            "IMG-78 a processor that nobody knows",
            entry(|_, entry| entry["platform"] = json!({"os": "linux", "architecture": "z80"})),
            &["platform-unknown"],
        ),
        (
            "IMG-78 a platform without a processor",
            entry(|_, entry| entry["platform"] = json!({"os": "linux"})),
            &["entry-malformed"],
        ),
        (
            "IMG-39 an image in an index without a platform",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                *entry = b.put_index(std::slice::from_ref(entry));
            }),
            &["platform-missing"],
        ),
        (
            "a config for another platform",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                entry["platform"] = json!({"os": "linux", "architecture": "arm64"});
                *entry = b.put_index(std::slice::from_ref(entry));
            }),
            &["platform-mismatch"],
        ),
        (
            "IMG-80 one platform twice",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
                *entry = b.put_index(&[entry.clone(), entry.clone()]);
            }),
            &["platform-duplicate"],
        ),
        (
            "IMG-83 an attestation of nothing",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
                let mut attestation = b.put_artifact(&json!({}));
                attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
                attestation["annotations"] = json!({
                    "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": ZEROS,
                });
                *entry = b.put_index(&[entry.clone(), attestation]);
            }),
            &["attestation-dangling"],
        ),
        (
            "IMG-166 an annotation beneath the prefix of the OCI",
            manifest(|_, manifest| {
                manifest["annotations"] = json!({"org.opencontainers.image.mood": "good"});
            }),
            &["annotation-reserved"],
        ),
        (
            "IMG-166 an annotation without a domain",
            entry(|_, entry| entry["annotations"]["mood"] = "good".into()),
            &["annotation-key"],
        ),
        (
            "IMG-169 a time that is none",
            entry(|_, entry| {
                entry["annotations"]["org.opencontainers.image.created"] = "yesterday".into();
            }),
            &["annotation-time"],
        ),
    ]
}
