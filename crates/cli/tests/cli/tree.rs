//! `tree`: what belongs together, in a layout, an archive and a registry.

use serde_json::Value;
use transship_layout::{Layout, Name};
use transship_spec::{Descriptor, Platform};
use transship_testkit::fixtures;

use crate::real::registry;
use crate::support::Sandbox;

/// An index of two images under `v1`, with a referrer that is referred to itself, one of a member, and a digest tag;
/// and one of the images again under `amd`.
fn layout(sandbox: &Sandbox) -> Layout {
    let layout = Layout::options().create(sandbox.path("out")).unwrap();
    let index = fixtures::multi_platform(&layout, "v1", 1);
    let first = index.as_index().unwrap().manifests[0].clone();
    let amd = layout.read_document(&first).unwrap();
    let sbom = fixtures::referrer(&layout, &index, "application/spdx+json", 2);
    fixtures::signature(&layout, &sbom, 3);
    fixtures::signature(&layout, &amd, 4);
    fixtures::digest_tag(&layout, "", &index, 5);
    fixtures::tag(&layout, "amd", &amd);
    layout
}

fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let json = [&["tree"], arguments, &["--format", "json"]].concat();
    serde_json::from_str(&sandbox.ok(&json)).unwrap()
}

/// Every line without digests and sizes: branches, and what is there.
fn shape(drawing: &str) -> Vec<String> {
    let is_digest = |word: &&str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shape = |line: &str| {
        let words: Vec<&str> = line.split("  ").filter(|word| !is_digest(word)).collect();
        words.join("  ").replace("application/vnd.oci.image.", "")
    };
    drawing.lines().map(shape).collect()
}

#[test]
fn a_layout_is_drawn_with_everything_below_what_it_belongs_to() {
    let sandbox = Sandbox::new();
    layout(&sandbox);
    let drawn = sandbox.ok(&["tree", "oci:out", "--no-blobs"]);
    let drawn = shape(&drawn);
    let kinds: Vec<&str> = drawn.iter().map(String::as_str).collect();
    assert_eq!(kinds.len(), 8, "{drawn:#?}");
    assert!(kinds[0].starts_with("v1  index  "), "{drawn:#?}");
    assert!(kinds[1].starts_with("├── image  linux/amd64  ") || kinds[1].contains("image  linux/amd64"));
    assert!(kinds[2].starts_with("│   └── referrer  "), "{drawn:#?}");
    assert!(kinds[3].contains("image  linux/arm64/v8  "), "{drawn:#?}");
    assert!(kinds[4].starts_with("├── tag sig  cosign-signature  "), "{drawn:#?}");
    assert!(kinds[5].starts_with("└── referrer  spdx  "), "{drawn:#?}");
    assert!(kinds[6].starts_with("    └── referrer  "), "{drawn:#?}");
    assert!(kinds[7].starts_with("amd  image  ") && kinds[7].ends_with("(seen above)"), "{drawn:#?}");
    let ascii = sandbox.ok(&["tree", "oci:out", "--ascii"]);
    assert!(ascii.is_ascii() && ascii.contains("|-- config  ") && ascii.contains("`-- "), "{ascii}");
    let long = sandbox.ok(&["discover", "oci:out:amd", "--long", "--annotations"]);
    assert!(long.starts_with("amd  sha256:"), "{long}");
}

#[test]
fn a_level_is_left_out_and_said_to_be() {
    let sandbox = Sandbox::new();
    layout(&sandbox);
    let top = sandbox.ok(&["tree", "oci:out", "--depth", "0"]);
    assert_eq!(top.lines().count(), 2);
    assert!(top.lines().all(|line| line.ends_with("(not followed)")), "{top}");
    // The digest tag and the referrer of the index are one level below it, what refers to a member two.
    let one = json(&sandbox, &["oci:out:v1", "--depth", "1"]);
    let roles: Vec<&str> = one["roots"][0]["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["member", "member", "digest-tag", "referrer"]);
    assert!(one["roots"][0]["children"].as_array().unwrap().iter().all(|node| node["cut"] == true));
}

#[test]
fn the_same_is_told_of_a_layout_an_archive_and_a_registry() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    layout(&sandbox);
    let there = format!("docker://{}/team/app:v1", registry.address());
    sandbox.ok(&["copy", "oci:out:v1", &there]);
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:out.tar:v1"]);
    let here = json(&sandbox, &["oci:out:v1"]);
    assert_eq!((&here["schema"], &here["faults"]), (&"transship.tree/v1".into(), &0.into()));
    for other in [there.as_str(), "oci-archive:out.tar:v1"] {
        let mut other = json(&sandbox, &[other]);
        // The archive names its entry in full; the rest is the same, down to the last referrer.
        other["roots"][0]["name"] = here["roots"][0]["name"].clone();
        sort(&mut other["roots"][0]);
        let mut here = here["roots"][0].clone();
        sort(&mut here);
        assert_eq!(other["roots"][0], here);
    }
}

/// Members of one role in the order of their digests: registries list referrers as they like.
fn sort(node: &mut Value) {
    if let Some(children) = node["children"].as_array_mut() {
        children.iter_mut().for_each(sort);
        let roles = ["member", "config", "layer", "digest-tag", "referrer"];
        children.sort_by_key(|child| {
            let role = roles.iter().position(|role| child["role"] == *role);
            (role, child["digest"].to_string())
        });
    } else if let Some(node) = node.as_object_mut() {
        node.remove("children");
    }
}

#[test]
fn what_is_not_there_is_a_line_and_ends_nothing() {
    let sandbox = Sandbox::new();
    let layout = layout(&sandbox);
    let index = layout.resolve(Some("v1")).unwrap().descriptor;
    let members = layout.read_document(&index).unwrap().as_index().unwrap().manifests.clone();
    let (first, second) = (members[0].digest.to_string(), &members[1]);
    let layer = layout.read_document(second).unwrap().as_manifest().unwrap().layers[0].digest.to_string();
    std::fs::remove_file(sandbox.blob("out", &first)).unwrap();
    std::fs::write(sandbox.blob("out", &layer), "x").unwrap();
    let run = sandbox.run(&["tree", "oci:out:v1"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("(missing)"), "{run:?}");
    assert!(run.stdout.contains("(broken: it has 1 bytes instead of "), "{run:?}");
    assert!(
        run.stdout.contains("referrer  ") && run.stderr.contains("2 things are missing or broken"),
        "{run:?}"
    );
    // What an entry declares to be left out is no fault.
    std::fs::write(sandbox.blob("out", &layer), fixtures::tar(0, 0)).unwrap();
    let named = Descriptor {
        annotations: [(
            transship_layout::check::KEPT_PLATFORMS.to_owned(),
            Platform::parse("linux/arm64/v8").unwrap().to_string(),
        )]
        .into(),
        ..index
    };
    layout.edit(|index| index.set(&Name::short("v1")?, &named)).unwrap();
    let told = json(&sandbox, &["oci:out:v1", "--no-blobs"]);
    assert_eq!((&told["roots"][0]["children"][0]["state"], &told["faults"]), (&"left-out".into(), &0.into()));
}

#[test]
fn a_referrer_of_what_is_not_here_stands_at_the_top() {
    let sandbox = Sandbox::new();
    let layout = Layout::options().create(sandbox.path("out")).unwrap();
    let image = fixtures::image(&layout, "v1", 1);
    fixtures::signature(&layout, &image, 2);
    fixtures::fallback_referrer(&layout, "", &image, 3);
    layout.edit(|index| index.remove(&Name::short("v1")?)).unwrap();
    let told = json(&sandbox, &["oci:out"]);
    let roots = told["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 2, "{told}");
    assert!(roots.iter().all(|root| root["subject"] == image.digest().to_string()), "{told}");
}
