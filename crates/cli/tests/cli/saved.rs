//! Plans that are saved and applied, and shards.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Sandbox;

/// A layout with two images, one of which has a referrer.
fn two() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", "hello");
    let one = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.write("rootfs/file", "bye");
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v2"]);
    sandbox.write("sbom.json", "{}");
    sandbox.ok(&["pack", "files", "sbom.json", "--subject", "oci:out:v1", "--to", "oci:out"]);
    (sandbox, one)
}

#[test]
fn a_plan_is_saved_looked_at_and_applied() {
    let (sandbox, one) = two();
    let before = sandbox.tree();
    let run = sandbox.run(&["copy", "oci:out:v1", "oci:new dir", "--plan", "plan.json"]);
    assert_eq!((run.code, &*run.stdout), (0, ""), "{run:?}");
    assert!(run.stderr.starts_with("plan.json has the plan: 2 roots, "), "{run:?}");
    let mut after = sandbox.tree();
    let plan_file = after.remove(&sandbox.path("plan.json")).unwrap();
    assert!(plan_file.starts_with("100644 "), "{plan_file}");
    assert_eq!(after, before);

    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    assert_eq!(plan["schema"], "transship.plan-file/v1");
    assert_eq!(plan["sources"], serde_json::json!(["oci:out"]));
    assert_eq!(plan["destinations"][0]["location"], "oci:new dir");
    assert_eq!(plan["roots"][0]["digest"], *one);
    assert_eq!(plan["roots"][1]["why"], "referrer");
    // The same plan is the same file.
    sandbox.ok(&["copy", "oci:out:v1", "oci:new dir", "--plan", "again.json"]);
    assert_eq!(sandbox.read("again.json"), sandbox.read("plan.json"));

    let dry = sandbox.ok(&["copy", "--apply", "plan.json", "--dry-run"]);
    assert_eq!(dry, sandbox.ok(&["copy", "oci:out:v1", "oci:new dir", "--dry-run"]));
    let run = sandbox.run(&["copy", "--apply", "plan.json", "--report", "report.json"]);
    assert_eq!((run.code, run.stdout.trim()), (0, &*one), "{run:?}");
    assert!(run.stderr.contains("with 1 referrer"), "{run:?}");
    assert_eq!(sandbox.ok(&["resolve", "oci:new dir:v1"]), one);
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["roots"].as_array().unwrap().len(), 2);
    let again = sandbox.run(&["copy", "--apply", "plan.json"]);
    assert!(again.stderr.starts_with("nothing moved"), "{again:?}");
}

#[test]
fn a_plan_whose_source_has_moved_is_refused() {
    let (sandbox, one) = two();
    sandbox.ok(&["copy", "oci:out:v1", "oci:dest", "--plan", "plan.json"]);
    sandbox.write("rootfs/file", "new");
    let new = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    let said = sandbox.fails(4, &["copy", "--apply", "plan.json"]);
    assert!(said.contains(&format!("oci:out:v1 was {one} and is {new}")), "{said}");
    assert!(said.contains("hint: make a new plan"), "{said}");
    let report = sandbox.run(&["copy", "--apply", "plan.json", "--report", "report.json"]);
    assert_eq!(report.code, 4);
    let report: Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report["error"]["kind"], "invalid");

    // A destination that somebody else changed is not replaced unasked.
    sandbox.ok(&["copy", "oci:out:v1", "oci:dest", "--plan", "plan.json"]);
    sandbox.ok(&["copy", "oci:out:v2", "oci:dest:v1"]);
    let said = sandbox.fails(4, &["copy", "--apply", "plan.json"]);
    assert!(said.contains("oci:dest:v1 was not there and is sha256:"), "{said}");
    assert!(said.contains("--force"), "{said}");
    assert_eq!(sandbox.ok(&["copy", "--apply", "plan.json", "--force"]), new);
}

#[test]
fn shards_together_are_one_run() {
    let sandbox = Sandbox::new();
    for at in 0..8 {
        sandbox.write("rootfs/file", at.to_string());
        sandbox.ok(&["pack", "image", "rootfs", "--to", &format!("oci:out:v{at}")]);
    }
    let whole: BTreeSet<String> =
        sandbox.ok(&["copy", "--all-tags", "oci:out", "oci:dest"]).lines().map(str::to_owned).collect();
    sandbox.ok(&["copy", "--all-tags", "oci:out", "oci:dest", "--plan", "plan.json"]);
    let (mut each, mut of_plan) = (Vec::new(), Vec::new());
    for shard in ["0/3", "1/3", "2/3"] {
        let lines = sandbox.ok(&["copy", "--all-tags", "oci:out", "oci:parts", "--shard", shard]);
        each.extend(lines.lines().map(|line| line.replace("oci:parts", "oci:dest")));
        let lines = sandbox.ok(&["copy", "--apply", "plan.json", "--shard", shard]);
        of_plan.extend(lines.lines().map(str::to_owned));
    }
    for mut taken in [each, of_plan] {
        taken.sort();
        assert_eq!(taken, whole.iter().cloned().collect::<Vec<_>>());
    }
    let names =
        |layout: &str| sandbox.ok(&["ls", layout]).lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(names("oci:parts"), names("oci:out"));
    let run = sandbox.run(&["copy", "oci:out:v1", "oci:one", "--shard", "0/64"]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", "nothing of this falls to shard 0/64\n"));
    assert!(!sandbox.path("one").exists());
}

#[test]
fn what_makes_no_plan_is_refused() {
    let (sandbox, _) = two();
    sandbox.fails_saying(2, &["copy", "oci:out:v1", "oci:dest", "--shard", "2/2"], "one too many");
    sandbox.fails_saying(2, &["copy", "--apply", "p", "oci:out:v1", "oci:dest"], "cannot be used with");
    sandbox.fails_saying(2, &["copy", "--apply", "p", "--plan", "q"], "cannot be used with");
    sandbox.fails_saying(2, &["copy", "--apply", "p", "--convert", "oci"], "cannot be used with");
    sandbox.fails_saying(3, &["copy", "--apply", "none.json"], "none.json");
    sandbox.write("plan.json", "{\"schema\": \"transship.plan-file/v9\"}");
    sandbox.fails_saying(12, &["copy", "--apply", "plan.json"], "transship.plan-file/v9");
    sandbox.write("plan.json", "{\"schema\": \"transship.plan-file/v1\"}");
    sandbox.fails_saying(4, &["copy", "--apply", "plan.json"], "not a saved plan");
    sandbox.fails_saying(2, &["copy", "oci-archive:-", "oci:dest", "--plan", "p"], "");
}
