//! Layouts in which other tools marked what belongs to an image: shown, copied and converted.

use std::path::Path;

use serde_json::Value;

use crate::real::registry;
use crate::support::{Run, Sandbox};

/// Layouts of `testdata`, with the image, a referrer and a signature under a digest tag.
const LAYOUTS: [&str; 4] = ["zot", "cosign", "hauler", "singularity"];

fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// What belongs to the one thing at a location: role and digest.
fn belongings(sandbox: &Sandbox, location: &str) -> Vec<(String, String)> {
    let told: Value =
        serde_json::from_str(&sandbox.ok(&["tree", location, "--no-blobs", "--format", "json"])).unwrap();
    let roots = told["roots"].as_array().unwrap();
    assert_eq!((roots.len(), &told["faults"]), (1, &0.into()), "{location}: {told}");
    let text = |node: &Value, key: &str| node[key].as_str().unwrap().to_owned();
    let children = roots[0]["children"].as_array().unwrap();
    children.iter().map(|node| (text(node, "role"), text(node, "digest"))).collect()
}

#[test]
fn img_180_every_dialect_is_shown_and_copied_with_all_that_belongs_to_the_image() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    let expected = belongings(&sandbox, &format!("oci:{}", testdata("zot")));
    assert_eq!(
        expected.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(),
        ["digest-tag", "referrer"]
    );
    for name in LAYOUTS {
        let from = format!("oci:{}", testdata(name));
        assert_eq!(belongings(&sandbox, &from), expected, "{name}");
        let there = format!("docker://{}/{name}/app:v1", registry.address());
        sandbox.ok(&["copy", &from, &there]);
        assert_eq!(belongings(&sandbox, &there), expected, "{name}");
        sandbox.ok(&["copy", &from, &format!("oci:{name}:v1")]);
        assert_eq!(belongings(&sandbox, &format!("oci:{name}")), expected, "{name}");
    }
}

#[test]
fn img_180_a_layout_is_marked_in_another_way_and_peers_read_its_image() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["copy", &format!("oci:{}", testdata("zot")), "oci:out:v1"]);
    let expected = belongings(&sandbox, "oci:out");
    for dialect in ["fallback", "hauler", "cosign", "oras"] {
        let plan = sandbox.ok(&["edit", "oci:out", "--referrers", dialect, "--dry-run"]);
        assert!(plan.starts_with("1 referrer, 1 digest tag: ") && plan.ends_with(" would change"), "{plan}");
        let before = sandbox.read("out/index.json");
        let told = sandbox.ok(&["edit", "oci:out", "--referrers", dialect, "--format", "json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (&told["schema"], &told["dialect"], &told["unsaid"]),
            (&"transship.marks/v1".into(), &dialect.into(), &Value::Array(Vec::new()))
        );
        let index = sandbox.read("out/index.json");
        assert_eq!(told["changed"] == 0, index == before, "{dialect}");
        assert_eq!(belongings(&sandbox, "oci:out"), expected, "{dialect}: {index}");
        sandbox.ok(&["check", "oci:out"]);
        // Other tools take the first entry of a name, or want one alone; the image is there by its place.
        let read = sandbox.command("skopeo").args(["inspect", "--raw", "oci:out:v1"]).output().unwrap();
        assert!(read.status.success(), "{dialect}: {:?}", Run::of(read));
        let listed = Run::of(sandbox.command("umoci").args(["ls", "--layout", "out"]).output().unwrap());
        assert!(listed.code == 0 && listed.stdout.lines().any(|tag| tag == "v1"), "{dialect}: {listed:?}");
    }
}

#[test]
fn marks_are_changed_in_whole_layouts_alone() {
    let (sandbox, registry) = (Sandbox::new(), registry());
    sandbox.ok(&["copy", &format!("oci:{}", testdata("zot")), "oci:out:v1"]);
    sandbox.ok(&["copy", "oci:out:v1", "oci-archive:out.tar:v1"]);
    sandbox.fails_saying(2, &["edit", "oci:out:v1", "--referrers", "oras"], "a whole layout");
    sandbox.fails_saying(12, &["edit", "oci-archive:out.tar", "--referrers", "oras"], "written as a whole");
    let there = format!("docker://{}/app:v1", registry.address());
    sandbox.fails_saying(2, &["edit", &there, "--referrers", "oras"], "is for layouts");
    sandbox.fails_saying(
        2,
        &["edit", "oci:out", "--referrers", "oras", "--env", "A=B"],
        "cannot be used with",
    );
    sandbox.fails_saying(2, &["edit", "oci:out", "--referrers", "oras", "--squash"], "cannot be used with");
    sandbox.artifact("out", "second", "more");
    sandbox.fails_saying(12, &["edit", "oci:out", "--referrers", "cosign"], "holds 2 images");
}
