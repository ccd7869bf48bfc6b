//! Faults of layers and of the tars in them.

use serde_json::json;
use transship_spec::Digest;

use super::{Case, layer, tarred};
use crate::bench::{CONFIG, GZIP, IMAGE, Recipe, TAR, blob, gzip, tar};

pub(super) fn layers() -> Vec<Case> {
    vec![
        (
            "a layer of an unknown type that is its own diff ID",
            layer(|_, layer| layer["mediaType"] = "application/x-layer".into()),
            &[],
        ),
        (
            "IMG-110 a layer that is not compressed",
            layer(|_, layer| layer["mediaType"] = GZIP.into()),
            &["layer-compression"],
        ),
        (
            "IMG-110 a layer that is compressed",
            Recipe { stored: |tar| gzip(&tar), ..Recipe::default() },
            &["layer-compression"],
        ),
        (
            "IMG-110 a layer that one manifest calls compressed, and another does not",
            Recipe {
                index: |b, index| {
                    let path = b.path(&blob(index["manifests"][0]["digest"].as_str().unwrap()));
                    let manifest = std::fs::read_to_string(path).unwrap();
                    let other = b.put(IMAGE, manifest.replace(TAR, GZIP));
                    index["manifests"].as_array_mut().unwrap().push(other);
                },
                ..Recipe::default()
            },
            &["layer-compression", "media-type-conflict"],
        ),
        (
            "a layer in xz",
            Recipe { stored: |_| b"\xfd7zXZ\0....".to_vec(), ..Recipe::default() },
            &["layer-compression"],
        ),
        (
            "T16 a stream cut off",
            Recipe {
                stored: |tar| {
                    let mut stored = gzip(&tar);
                    stored.truncate(stored.len() - 4);
                    stored
                },
                layer: |_, layer| layer["mediaType"] = GZIP.into(),
                ..Recipe::default()
            },
            &["layer-undecodable"],
        ),
        (
            "T19 a bomb",
            Recipe {
                stored: |tar| gzip(&tar),
                layer: |_, layer| layer["mediaType"] = GZIP.into(),
                options: |options| options.limits.max_output = 100,
                ..Recipe::default()
            },
            &["limit-exceeded"],
        ),
        ("a layer that is no tar", tarred(|| b"this is no tar".to_vec()), &["layer-not-tar"]),
        (
            "T16 a tar cut off",
            tarred(|| tar(&[("a", b'0', &[1; 600], "")])[..600].to_vec()),
            &["layer-not-tar"],
        ),
        (
            "T16 a tar without an end",
            tarred(|| tar(&[("a", b'5', b"", "")])[..512].to_vec()),
            &["layer-end-missing"],
        ),
        (
            "T16 something after the end",
            tarred(|| {
                let mut tar = tar(&[]);
                tar.extend(b"more");
                tar
            }),
            &["layer-trailing"],
        ),
        ("T1 a path that leads out", tarred(|| tar(&[("../x", b'0', b"", "")])), &["layer-path-unsafe"]),
        (
            "T6 a link that leads out",
            tarred(|| tar(&[("x", b'1', b"", "../../etc/passwd")])),
            &["layer-path-unsafe"],
        ),
        ("IMG-117 a link to nothing", tarred(|| tar(&[("x", b'1', b"", "y")])), &["layer-link-dangling"]),
        (
            "IMG-111 a path twice",
            tarred(|| tar(&[("a", b'0', b"1", ""), ("./a", b'0', b"2", "")])),
            &["layer-entry-duplicate"],
        ),
        ("IMG-112 an unknown kind", tarred(|| tar(&[("a", b'D', b"", "")])), &["layer-entry-type"]),
        ("IMG-114 a sparse file", tarred(|| tar(&[("a", b'S', b"", "")])), &["layer-sparse-file"]),
        ("IMG-136 a whiteout of nothing", tarred(|| tar(&[("a/.wh.", b'0', b"", "")])), &["layer-whiteout"]),
        (
            "IMG-135 a whiteout with content",
            tarred(|| tar(&[(".wh.a", b'0', b"content", "")])),
            &["layer-whiteout"],
        ),
        ("IMG-129 a root that is a link", tarred(|| tar(&[("./", b'2', b"", "/etc")])), &["layer-root"]),
        (
            "a layer of an unknown type with a diff ID of its own",
            Recipe {
                layer: |_, layer| layer["mediaType"] = "application/x-layer".into(),
                stored: |tar| gzip(&tar),
                ..Recipe::default()
            },
            &["layer-unverifiable"],
        ),
        (
            "a config of another type is opaque",
            Recipe {
                config_text: |_| "no JSON".to_owned(),
                manifest: |_, manifest| manifest["config"]["mediaType"] = "text/x-config".into(),
                ..Recipe::default()
            },
            &[],
        ),
        (
            "the config type alone",
            Recipe {
                manifest: |_, manifest| manifest["config"]["mediaType"] = CONFIG.into(),
                ..Recipe::default()
            },
            &[],
        ),
        (
            "an artifact whose files have the type of layers, as ORAS gives it",
            Recipe {
                index: |b, index| {
                    let file = b.put(TAR, "no tar at all");
                    let artifact = b.put_artifact(&json!({"layers": [file]}));
                    std::fs::remove_file(b.path(&blob(&Digest::sha256(b"text").to_string()))).unwrap();
                    index["manifests"].as_array_mut().unwrap().push(artifact);
                },
                ..Recipe::default()
            },
            &[],
        ),
    ]
}
