//! Commands on layouts: what is put in comes out, and is told of.

use serde_json::Value;

use crate::support::{EMPTY, PROGRAM, Run, Sandbox};

#[test]
fn init_makes_a_layout_that_holds_nothing() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.ok(&["init", "out"]), "");
    assert_eq!(sandbox.read("out/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "");
    assert_eq!(sandbox.path("out").read_dir().unwrap().count(), 3);
    sandbox.fails_saying(2, &["init", "out"], "exists and is not an empty folder");
    sandbox.ok(&["init", "oci:deep/down"]);
    sandbox.ok(&["ls", "./deep/down"]);
}

#[test]
fn what_plumbing_puts_in_comes_out_byte_for_byte() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello\n");
    let manifest = sandbox.ok(&["manifest", "get", "oci:out:v1"]);
    assert_eq!(transship_spec::Digest::sha256(manifest.as_bytes()).to_string(), digest);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let blob = manifest["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(sandbox.run(&["blob", "get", &format!("oci:out@{blob}")]).stdout, "hello\n");
    sandbox.ok(&["blob", "get", &format!("oci:out@{blob}"), "--output", "blob.txt"]);
    assert_eq!(sandbox.read("blob.txt"), "hello\n");
    assert_eq!(sandbox.path("out").read_dir().unwrap().count(), 3, "no scratch folder stays");
}

#[test]
fn every_way_to_name_an_entry_resolves_it() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    assert_eq!(sandbox.ok(&["resolve", "oci:out"]), digest);
    assert_eq!(sandbox.ok(&["resolve", "./out"]), digest);
    sandbox.ok(&["tag", "oci:out:v1", "registry.example/team/app:v2"]);
    for reference in [
        ":v1",
        ":@0",
        ":registry.example/team/app:v2",
        ":v2",
        &format!("@{digest}"),
        &format!(":v1@{digest}"),
        &format!(":{digest}"),
    ] {
        assert_eq!(sandbox.ok(&["resolve", &format!("oci:out{reference}")]), digest, "{reference}");
    }
    assert_eq!(sandbox.ok(&["digest", "oci:[out]:v1"]), digest);
}

#[test]
fn tag_prints_the_digest_or_a_line_for_each_name() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    assert_eq!(sandbox.ok(&["tag", "oci:out:v1", "v2"]), digest);
    assert_eq!(
        sandbox.ok(&["tag", "oci:out:v1", "v3", "r.example/a:b"]),
        format!("{digest}\toci:out:v3\n{digest}\toci:out:r.example/a:b")
    );
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "v1\nv2\nv3\nr.example/a:b");
    let other = sandbox.artifact("out", "other", "bye");
    sandbox.ok(&["tag", "oci:out:other", "v2"]);
    assert_eq!(sandbox.ok(&["resolve", "oci:out:v2"]), other);
}

#[test]
fn ls_tells_digest_size_and_kind() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    let long = sandbox.ok(&["ls", "oci:out", "--long"]);
    let mut lines = long.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["NAME", "DIGEST", "SIZE", "KIND", "PLATFORMS"]
    );
    let words: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(words[..2], ["v1", &*digest]);
    assert_eq!(words[4..], ["text/x-test", "-"]);
    let json: Value = serde_json::from_str(&sandbox.ok(&["ls", "oci:out", "--format", "json"])).unwrap();
    assert_eq!(json["schema"], "transship.ls/v1");
    let reference = &json["references"][0];
    assert_eq!((&reference["name"], &reference["location"]), (&"v1".into(), &"oci:out:v1".into()));
    assert_eq!((&reference["digest"], &reference["kind"]), (&digest.into(), &"artifact".into()));
}

#[test]
fn an_entry_without_a_name_is_shown_so_that_it_can_be_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    sandbox.write("m.json", sandbox.ok(&["manifest", "get", "oci:out:v1"]) + "\n");
    let digest = sandbox.ok(&["manifest", "put", "m.json", "oci:out"]);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), format!("v1\n@{digest}"));
    assert_eq!(sandbox.ok(&["resolve", &format!("oci:out@{digest}")]), digest);
    assert!(sandbox.fails(2, &["resolve", "oci:out"]).contains("say which"));
}

#[test]
fn inspect_tells_what_an_artifact_is_in_text_and_json() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    let text = sandbox.ok(&["inspect", "oci:out:v1"]);
    for words in [
        "kind           files",
        &format!("digest         {digest}"),
        "artifact type  text/x-test",
        "content.txt",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json: Value = serde_json::from_str(&sandbox.ok(&["inspect", "oci:out:v1", "--format=json"])).unwrap();
    assert_eq!(json["schema"], "transship.inspect/v1");
    assert_eq!(json["digest"], digest);
    assert_eq!(json["layers"][0]["title"], "content.txt");
    assert_eq!(json["referrers"], serde_json::json!([]));
}

#[test]
fn case_l14_hostile_names_are_printed_escaped_and_stay_as_they_are_in_json() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let index = sandbox.read("out/index.json").replace("\"v1\"", r#""v1\u001b[31m\nerror: \u202e""#);
    sandbox.write("out/index.json", index);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), r"v1\u{1b}[31m\nerror: \u{202e}");
    let json: Value = serde_json::from_str(&sandbox.ok(&["ls", "oci:out", "--format", "json"])).unwrap();
    assert_eq!(json["references"][0]["name"], "v1\u{1b}[31m\nerror: \u{202e}");
    let said = sandbox.fails(3, &["resolve", "oci:out:v2\u{1b}[31m"]);
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn case_l13_two_entries_of_one_name_are_listed_and_told_apart_by_position() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    let other = sandbox.artifact("out", "v2", "bye");
    let index = sandbox.read("out/index.json").replace("\"v2\"", "\"v1\"");
    sandbox.write("out/index.json", index);
    assert_eq!(sandbox.ok(&["ls", "oci:out"]), "v1\nv1");
    assert!(sandbox.fails(4, &["resolve", "oci:out:v1"]).contains("@1"));
    assert_eq!(sandbox.ok(&["resolve", "oci:out:@1"]), other);
}

#[test]
fn a_manifest_is_refused_while_its_blobs_are_missing() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    sandbox.write("m.json", sandbox.ok(&["manifest", "get", "oci:out:v1"]));
    sandbox.fails_saying(4, &["manifest", "put", "m.json", "oci:new:v1"], "it names what is not there");
    assert!(!sandbox.path("new").exists());
    let wrong = format!("oci:out:v3@{EMPTY}");
    sandbox.fails_saying(4, &["manifest", "put", "m.json", &wrong], "content has digest");
}

#[test]
fn standard_input_serves_as_a_file() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(PROGRAM);
    command
        .args(["blob", "put", "-", "oci:out"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"{}").unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stdout.trim()), (0, EMPTY));
}

#[test]
fn a_file_of_arguments_stands_for_its_lines() {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    sandbox.write("args", "--format\njson\noci:out:v1\n");
    let json: Value = serde_json::from_str(&sandbox.ok(&["resolve", "@args"])).unwrap();
    assert_eq!(json["digest"], digest);
}
