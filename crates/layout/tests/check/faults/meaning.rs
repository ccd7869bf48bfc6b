//! Faults of documents and configs.

use serde_json::{Value, json};

use super::{Case, ZEROS, after, config, entry, index, layer, manifest, manifest_text};
use crate::bench::{IMAGE, INDEX, Recipe, blob};

pub(super) fn documents() -> Vec<Case> {
    vec![
        (
            "IMG-105 a name twice in a manifest",
            manifest_text(|text| text.replace("\"layers\":", "\"layers\":[],\"layers\":")),
            &["json-malformed"],
        ),
        (
            "M14 a manifest that is not JSON",
            manifest_text(|text| text.replace("\"schemaVersion\":2", "\"schemaVersion\":NaN")),
            &["json-malformed"],
        ),
        (
            "M14 a lone surrogate",
            manifest_text(|text| text.replacen('{', r#"{"x":"\ud800","#, 1)),
            &["json-malformed"],
        ),
        (
            "IMG-50 another schemaVersion",
            manifest(|_, manifest| manifest["schemaVersion"] = 3.into()),
            &["document-invalid"],
        ),
        (
            "M11 Docker's first manifest",
            manifest(|_, manifest| *manifest = json!({"schemaVersion": 1, "fsLayers": []})),
            &["document-unsupported"],
        ),
        (
            "M11 the same, by its type",
            entry(|b, entry| {
                let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
                *entry = b.put(schema1, r#"{"schemaVersion":1}"#);
            }),
            &["document-unsupported"],
        ),
        (
            "IMG-53 no config",
            manifest(|_, manifest| drop(manifest.as_object_mut().unwrap().remove("config"))),
            &["document-invalid"],
        ),
        (
            "IMG-56 layers that are absent",
            manifest(|_, manifest| drop(manifest.as_object_mut().unwrap().remove("layers"))),
            &["document-invalid"],
        ),
        (
            "M1 both layers and manifests",
            manifest(|_, manifest| manifest["manifests"] = json!([])),
            &["document-invalid"],
        ),
        ("a manifest that is an array", manifest(|_, manifest| *manifest = json!([])), &["document-invalid"]),
        (
            "M2 an index that is a manifest",
            entry(|_, entry| entry["mediaType"] = INDEX.into()),
            &["media-type-mismatch"],
        ),
        (
            "IMG-51 a manifest that calls itself an index",
            manifest(|_, manifest| manifest["mediaType"] = INDEX.into()),
            &["media-type-mismatch"],
        ),
        (
            "IMG-51 a manifest without a type",
            manifest(|_, manifest| drop(manifest.as_object_mut().unwrap().remove("mediaType"))),
            &["media-type-missing"],
        ),
        (
            "IMG-76 layers that are null",
            manifest(|b, manifest| {
                manifest["config"] = b.put("text/x-config", "config");
                manifest["layers"] = Value::Null;
            }),
            &["blob-orphan", "layers-empty", "list-null"],
        ),
        (
            "IMG-56 no layers",
            manifest(|b, manifest| {
                manifest["config"] = b.put("text/x-config", "config");
                manifest["layers"] = json!([]);
            }),
            &["blob-orphan", "layers-empty"],
        ),
        (
            "IMG-60 an artifact without a type",
            index(|b, index| {
                index["manifests"]
                    .as_array_mut()
                    .unwrap()
                    .push(b.put_artifact(&json!({"artifactType": null})));
            }),
            &["artifact-type-missing"],
        ),
        (
            "IMG-66 an artifact with the config of an image",
            manifest(|_, manifest| manifest["artifactType"] = "text/x-test".into()),
            &["artifact-config-type"],
        ),
        (
            "M10 a subject that is absent",
            manifest(|_, manifest| {
                manifest["subject"] = json!({"mediaType": IMAGE, "digest": ZEROS, "size": 100});
            }),
            &["subject-absent"],
        ),
        (
            "IMG-77 a nested index",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
                let inner = b.put_index(std::slice::from_ref(entry));
                *entry = b.put_index(&[inner]);
            }),
            &["index-nested"],
        ),
        (
            "M6 indexes that nest too deep",
            entry(|b, entry| {
                entry.as_object_mut().unwrap().remove("annotations");
                entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
                for _ in 0..32 {
                    *entry = b.put_index(std::slice::from_ref(entry));
                }
            }),
            &["depth-exceeded", "index-nested"],
        ),
        (
            "M8 an index that holds itself",
            entry(|b, entry| {
                let itself = json!({"mediaType": INDEX, "digest": ZEROS, "size": 300});
                let text = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [itself]}).to_string();
                b.write(&blob(ZEROS), &text);
                *entry = json!({"mediaType": INDEX, "digest": ZEROS, "size": text.len()});
            }),
            &["blob-corrupt"],
        ),
        (
            "IMG-109 a manifest that is too large",
            manifest_text(|text| format!("{text}{}", " ".repeat(5 << 20))),
            &["limit-exceeded"],
        ),
        (
            "D18 an artifact type that is none",
            manifest(|_, manifest| manifest["artifactType"] = "foo/.bar".into()),
            &["document-invalid"],
        ),
        (
            "D7 a layer without a digest",
            layer(|_, layer| layer["digest"] = "sha256:".into()),
            &["document-invalid"],
        ),
    ]
}

pub(super) fn configs() -> Vec<Case> {
    vec![
        (
            "IMG-90 no architecture",
            config(|_, config| drop(config.as_object_mut().unwrap().remove("architecture"))),
            &["config-invalid"],
        ),
        (
            "IMG-90 no rootfs",
            config(|_, config| drop(config.as_object_mut().unwrap().remove("rootfs"))),
            &["config-invalid"],
        ),
        (
            "IMG-93 a root file system of ZFS",
            config(|_, config| config["rootfs"]["type"] = "zfs".into()),
            &["config-invalid"],
        ),
        (
            "IMG-100 a variable without a value",
            config(|_, config| config["config"] = json!({"Env": ["foo"]})),
            &["config-invalid"],
        ),
        (
            "IMG-100 a user that is a number",
            config(|_, config| config["config"] = json!({"User": 1234})),
            &["config-invalid"],
        ),
        (
            "IMG-105 a config that is not JSON",
            Recipe { config_text: |text| text + "}", ..Recipe::default() },
            &["json-malformed"],
        ),
        (
            "IMG-92 a time that is none",
            config(|_, config| config["created"] = "yesterday".into()),
            &["config-time"],
        ),
        (
            "IMG-100 a port that is none",
            config(|_, config| config["config"] = json!({"ExposedPorts": {"http": {}}})),
            &["config-port"],
        ),
        (
            "M12 too few diff IDs",
            config(|_, config| config["rootfs"]["diff_ids"] = json!([])),
            &["diff-id-count"],
        ),
        (
            "IMG-94 a wrong diff ID",
            config(|_, config| config["rootfs"]["diff_ids"] = json!([ZEROS])),
            &["diff-id-mismatch"],
        ),
        (
            "IMG-98 too much history",
            config(|_, config| config["history"] = json!([{}, {}, {"empty_layer": true}])),
            &["history-count"],
        ),
        (
            "a config for no known system",
            config(|_, config| config["os"] = "haiku".into()),
            &["platform-unknown"],
        ),
        (
            "a config that is too large",
            Recipe { config_text: |text| text + &" ".repeat(9 << 20), ..Recipe::default() },
            &["limit-exceeded"],
        ),
        (
            "an unknown diff ID",
            config(|_, config| config["rootfs"]["diff_ids"] = json!(["md5:abc"])),
            &["layer-unverifiable"],
        ),
        (
            "a config that is also missing",
            after(|b| {
                let is_config = |path: &std::path::PathBuf| {
                    std::fs::read(path).unwrap().windows(6).any(|w| w == b"rootfs")
                };
                let config = b.blobs().into_iter().find(is_config).unwrap();
                std::fs::remove_file(config).unwrap();
            }),
            &["blob-missing"],
        ),
    ]
}
