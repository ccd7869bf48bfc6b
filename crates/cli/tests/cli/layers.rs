//! `pack layer`, and images of layers that were packed before.

use std::fs;

use serde_json::{Value, json};
use transship_spec::Digest;

use crate::real::registry;
use crate::support::Sandbox;

fn trees() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        sandbox.write(&format!("{name}/{name}"), name);
    }
    sandbox
}

/// Packs a tree into `NAME.layer` and `NAME.json`.
fn layer(sandbox: &Sandbox, name: &str, flags: &[&str]) -> String {
    let (file, descriptor) = (format!("{name}.layer"), format!("{name}.json"));
    let arguments = ["pack", "layer", name, "--to", &file, "--descriptor-file", &descriptor];
    sandbox.ok(&[&arguments, flags].concat())
}

fn read(sandbox: &Sandbox, name: &str) -> Value {
    serde_json::from_str(&sandbox.read(name)).unwrap()
}

#[test]
fn law_8_layers_that_were_packed_before_are_put_among_the_inputs_as_typed() {
    for compression in ["gzip", "zstd", "none"] {
        let sandbox = trees();
        let how = ["--compression", compression];
        let wanted =
            sandbox
                .ok(&[&["pack", "image", "one", "two", "three", "--to", "oci:fresh:v1"][..], &how].concat());
        layer(&sandbox, "one", &how);
        layer(&sandbox, "two", &how);
        for inputs in [
            &["--layer", "one.layer=one.json", "two", "three"][..],
            &["one", "--layer=two.layer=two.json", "three", "--verify"],
            &["--layer", "one.layer=one.json", "--layer", "two.layer=two.json", "three"],
        ] {
            let arguments = [&["pack", "image", "--to", "oci:out:v1"][..], inputs, &how].concat();
            assert_eq!(sandbox.ok(&arguments), wanted, "{arguments:?}");
        }
        let other =
            ["pack", "image", "two", "--layer", "one.layer=one.json", "three", "--to", "oci:out:other"];
        assert_ne!(sandbox.ok(&[&other[..], &how].concat()), wanted, "order is kept");
    }
}

#[test]
fn the_descriptor_tells_what_the_layer_is() {
    let sandbox = trees();
    let digest = layer(&sandbox, "one", &[]);
    let bytes = fs::read(sandbox.path("one.layer")).unwrap();
    assert_eq!(digest, Digest::sha256(&bytes).to_string());
    let plain = layer(&sandbox, "one", &["--compression", "none"]);
    let described = read(&sandbox, "one.json");
    assert_eq!(described["annotations"]["containerd.io/uncompressed"], plain);
    assert_eq!(described["annotations"]["io.github.transship.recipe"], "transship-tar-1+none");
    let report: Value = serde_json::from_str(&layer(&sandbox, "one", &["--format", "json"])).unwrap();
    let described = read(&sandbox, "one.json");
    assert_eq!(
        report,
        json!({
            "schema": "transship.layer/v1", "path": "one.layer", "digest": digest, "size": bytes.len(),
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "diffId": plain,
            "recipe": described["annotations"]["io.github.transship.recipe"], "warnings": []
        })
    );
    assert_eq!((&described["digest"], &described["size"]), (&report["digest"], &report["size"]));
    sandbox.ok(&[
        "pack",
        "image",
        "--layer",
        "one.layer=one.json",
        "--annotate-recipe",
        "--to",
        "oci:out:v1",
    ]);
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:out:v1"])).unwrap();
    assert_eq!(
        manifest["layers"][0]["annotations"],
        json!({ "io.github.transship.recipe": report["recipe"] })
    );
}

#[test]
fn a_layer_that_is_not_made_leaves_no_file() {
    let sandbox = trees();
    let pack = |input: &'static str| ["pack", "layer", input, "--to", "l", "--descriptor-file", "d"];
    sandbox.fails_saying(3, &pack("none"), "cannot pack the layer: \"none\" cannot be read");
    sandbox.fails_saying(2, &pack("oci:one"), "--from oci:one");
    sandbox.fails_saying(2, &["pack", "layer", "one", "--to", "l"], "--descriptor-file <FILE>");
    sandbox.write("one/.wh.x", "");
    sandbox.fails_saying(4, &pack("one"), ".wh.");
    sandbox.write("text", "no tar");
    sandbox.fails_saying(4, &pack("text"), "\"text\"");
    for (to, descriptor) in [("two/l", "d"), ("l", "two/d")] {
        let arguments = ["pack", "layer", "two", "--to", to, "--descriptor-file", descriptor];
        sandbox.fails_saying(2, &arguments, "lies in two, and would be packed into the next layer");
    }
    let same = ["pack", "layer", "two", "--to", "l", "--descriptor-file", "l"];
    sandbox.fails_saying(2, &same, "the layer and its descriptor cannot be one file");
    sandbox.fails_saying(12, &[&pack("two")[..], &["--recipe", "x"]].concat(), "this build cannot give");
}

#[test]
fn a_file_that_is_not_its_descriptors_layer_is_refused() {
    let sandbox = trees();
    layer(&sandbox, "one", &[]);
    let pack = |layer: &'static str| ["pack", "image", "--to", "oci:out:v1", "--layer", layer];
    sandbox.fails_saying(2, &pack("one.layer"), "it is not FILE=DESCRIPTOR");
    sandbox.fails_saying(
        2,
        &["pack", "image", "one", "--verify", "--to", "oci:out:v1"],
        "--layer and --reuse",
    );
    sandbox.fails_saying(3, &pack("one.layer=none"), "cannot take the layer one.layer: cannot read none");
    sandbox.fails_saying(3, &pack("none=one.json"), "\"none\" cannot be read");
    sandbox.fails_saying(4, &pack("one.layer=one/one"), "one/one is not a descriptor");
    let described = sandbox.read("one.json");
    sandbox.write("bare.json", described.replace("containerd.io/uncompressed", "io.example.other"));
    sandbox.fails_saying(4, &pack("one.layer=bare.json"), "its diff ID is missing");
    let wrong = Digest::sha256(b"wrong").to_string();
    let diff_id = read(&sandbox, "one.json")["annotations"]["containerd.io/uncompressed"].clone();
    sandbox.write("wrong.json", described.replace(diff_id.as_str().unwrap(), &wrong));
    sandbox.fails_saying(4, &[&pack("one.layer=wrong.json")[..], &["--verify"]].concat(), &wrong);
    layer(&sandbox, "two", &[]);
    sandbox.fails_saying(
        4,
        &pack("two.layer=one.json"),
        "cannot pack the image: \"two.layer\" is not the layer that",
    );
}

#[test]
fn an_image_upon_a_base_without_its_layers_goes_to_a_registry_that_has_them() {
    let (sandbox, registry) = (trees(), registry());
    let base = sandbox.ok(&["pack", "image", "one", "two", "--to", "oci:whole:base"]);
    let there = |name: &str| format!("docker://{}/team/app:{name}", registry.address());
    sandbox.ok(&["copy", "oci:whole:base", &there("base")]);
    // As a build system has it: the manifest and the config, and nothing else.
    sandbox.ok(&["copy", "oci:whole:base", "oci:thin"]);
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:thin:base"])).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        fs::remove_file(sandbox.blob("thin", layer["digest"].as_str().unwrap())).unwrap();
    }
    let pack = ["pack", "image", "three", "--from", "oci:thin:base", "--to", "oci:out:v1"];
    let said = sandbox.fails(4, &pack);
    assert!(
        said.contains(manifest["layers"][0]["digest"].as_str().unwrap()) && said.contains("--sparse"),
        "{said}"
    );
    let sparse = [&pack[..], &["--sparse"]].concat();
    let run = sandbox.run(&sparse);
    assert!(run.code == 0 && run.stderr.contains("2 layers of the base image are not there"), "{run:?}");
    let whole = sandbox.ok(&["pack", "image", "three", "--from", "oci:whole:base", "--to", "oci:whole:v1"]);
    assert_eq!(run.stdout.trim(), whole, "the same image, layers or not");
    sandbox.ok(&["copy", "oci:out:v1", &there("v1")]);
    assert_eq!(sandbox.ok(&["resolve", &there("v1")]), whole);
    let json: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", &there("v1")])).unwrap();
    assert_eq!(json["annotations"]["org.opencontainers.image.base.digest"], base);
    sandbox.ok(&["copy", &there("v1"), "oci:back:v1"]);
    sandbox.ok(&["check", "oci:back"]);
    let alone = format!("docker://{}/team/other:v1", registry.address());
    sandbox.fails(4, &["copy", "oci:out:v1", &alone]);
}

#[test]
fn layers_that_images_have_by_the_same_recipe_are_reused_from_anywhere() {
    let (sandbox, registry) = (trees(), registry());
    let cache = format!("docker://{}/team/cache:v1", registry.address());
    let pack = ["pack", "image", "one", "two", "--format", "json"];
    let run = |flags: &[&str]| {
        let run = sandbox.run(&[&pack[..], flags].concat());
        assert_eq!(run.code, 0, "{run:?}");
        (serde_json::from_str::<Value>(&run.stdout).unwrap(), run.stderr)
    };
    let reused = |json: &Value| {
        let layers = json["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["reused"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let (first, said) = run(&["--reuse", "oci:cache", "--annotate-recipe", "--to", "oci:cache:v1"]);
    assert!(said.contains("nothing to reuse: "), "before the first build there is no cache: {said}");
    sandbox.ok(&["copy", "oci:cache:v1", &cache]);
    sandbox.ok(&["copy", "oci:cache:v1", "oci-archive:cache.tar:v1"]);
    let (fresh, _) = run(&["--to", "oci:fresh:v1"]);
    assert_ne!(fresh["digest"], first["digest"], "a recipe in the manifest is told on request only");
    sandbox.write("two/two", "changed");
    let (changed, _) = run(&["--to", "oci:fresh:v1"]);
    for (number, place) in
        ["oci:cache", "oci:cache:v1", "oci-archive:cache.tar", &cache].into_iter().enumerate()
    {
        let (json, _) = run(&["--reuse", place, "--verify", "--to", &format!("oci:out{number}:v1")]);
        assert_eq!((&json["digest"], reused(&json)), (&changed["digest"], vec![true, false]), "{place}");
    }
    sandbox.fails_saying(
        4,
        &[&pack[..], &["--reuse", "./one", "--to", "oci:no:v1"]].concat(),
        "cannot pack the image: cannot reuse layers of ./one: ",
    );
}
