//! `transship pack`: the same input gives the same layout, and the flags do what they say.

use std::fs;

use serde_json::Value;

use crate::support::{PROGRAM, Run, Sandbox};

/// A small tree.
fn tree() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/bin/app", "#!/bin/sh\necho hello\n");
    sandbox.write("rootfs/etc/motd", "hello\n");
    sandbox.write("rootfs/var/cache/junk.tmp", "junk");
    std::os::unix::fs::symlink("app", sandbox.path("rootfs/bin/link")).unwrap();
    sandbox
}

fn inspect(sandbox: &Sandbox, location: &str) -> Value {
    serde_json::from_str(&sandbox.ok(&["inspect", location, "--format", "json"])).unwrap()
}

#[test]
fn law_8_the_same_input_gives_the_same_folder_byte_for_byte() {
    let sandbox = tree();
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--platform", "linux/amd64", "--to", "oci:one:v1"]);
    let mut command = sandbox.command("sh");
    command.env("TZ", "Asia/Tokyo").env("LC_ALL", "C").env("USER", "somebody");
    let line = format!(
        "umask 077; touch rootfs/etc/motd; exec {PROGRAM} pack image rootfs --platform linux/amd64 --threads 1 --to oci:two:v1"
    );
    let run = Run::of(command.args(["-c", &line]).output().unwrap());
    assert_eq!((run.code, run.stdout.trim()), (0, &*digest), "{run:?}");
    let diff = Run::of(sandbox.command("diff").args(["-r", "one", "two"]).output().unwrap());
    assert_eq!((diff.code, &*diff.stdout), (0, ""), "{diff:?}");
    assert_eq!(sandbox.path("one").read_dir().unwrap().count(), 3, "only the standard names");
}

#[test]
fn the_platform_is_said_when_nobody_gave_one() {
    let sandbox = tree();
    let run = sandbox.run(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    assert!(run.stderr.contains("platform linux/"), "{run:?}");
    let run = sandbox.run(&["pack", "image", "rootfs", "--to", "oci:out:v2", "--platform", "linux/riscv64"]);
    assert!(!run.stderr.contains("platform"), "{run:?}");
    assert_eq!(inspect(&sandbox, "oci:out:v2")["platforms"], serde_json::json!(["linux/riscv64"]));
    let quiet = sandbox.run(&["pack", "image", "rootfs", "--to", "oci:out:v3", "-q"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn flags_of_the_config_are_in_the_config() {
    let sandbox = tree();
    sandbox.write("env", "# settings\nLANG=C.UTF-8\nPORT=1\n");
    sandbox.write("labels", "from=file\n");
    sandbox.ok(&[
        "pack",
        "image",
        "rootfs",
        "--to",
        "oci:out:v1",
        "--entrypoint",
        r#"["/bin/app","-v"]"#,
        "--cmd",
        "run",
        "--cmd",
        "--fast",
        "--env-file",
        "env",
        "--env",
        "PORT=80",
        "--workdir",
        "/srv",
        "--user",
        "1000:1000",
        "--expose",
        "80",
        "--volume",
        "/data",
        "--label",
        "a=b",
        "--label-file",
        "labels",
        "--stop-signal",
        "SIGINT",
        "--annotation",
        "org.example.note=hello",
        "--created",
        "2020-01-02T03:04:05Z",
        "--platform",
        "linux/arm64",
    ]);
    let json = inspect(&sandbox, "oci:out:v1");
    assert_eq!(
        json["config"],
        serde_json::json!({
            "created": "2020-01-02T03:04:05Z", "user": "1000:1000", "entrypoint": ["/bin/app", "-v"],
            "cmd": ["run", "--fast"], "workingDir": "/srv", "env": ["LANG=C.UTF-8", "PORT=80"],
            "exposedPorts": ["80/tcp"], "volumes": ["/data"], "stopSignal": "SIGINT",
            "labels": { "a": "b", "from": "file" }
        })
    );
    assert_eq!(json["annotations"]["org.example.note"], "hello");
    assert_eq!(json["platforms"], serde_json::json!(["linux/arm64"]));
}

#[test]
fn a_base_is_built_upon() {
    let sandbox = tree();
    let base = sandbox.ok(&[
        "pack",
        "image",
        "rootfs",
        "--env",
        "A=1",
        "--platform",
        "linux/arm64",
        "--to",
        "oci:base:v1",
    ]);
    sandbox.write("more/file", "more");
    sandbox.ok(&["pack", "image", "more", "--from", "oci:base:v1", "--env", "B=2", "--to", "oci:out:v1"]);
    let json = inspect(&sandbox, "oci:out:v1");
    assert_eq!(json["layers"].as_array().unwrap().len(), 2);
    assert_eq!(json["layers"][0], inspect(&sandbox, "oci:base:v1")["layers"][0]);
    assert_eq!(json["config"]["env"], serde_json::json!(["A=1", "B=2"]));
    assert_eq!(json["platforms"], serde_json::json!(["linux/arm64"]));
    assert_eq!(json["annotations"]["org.opencontainers.image.base.digest"], base);
    sandbox.fails_saying(2, &["pack", "image", "oci:base:v1", "--to", "oci:x:v1"], "--from oci:base:v1");
}

#[test]
fn excludes_and_compression_and_recipes_are_kept_to() {
    let sandbox = tree();
    sandbox.write("ignore", "# not these\n**/*.tmp\n");
    sandbox.write("again", "*\n!bin\n!etc\n!var/cache\n**/*.tmp\n");
    sandbox.write("bad", "a\n[b");
    let all = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:all"]);
    let some = sandbox.ok(&["pack", "image", "rootfs", "--exclude", "/var", "--to", "oci:out:some"]);
    assert_ne!(all, some);
    let listed =
        sandbox.ok(&["pack", "image", "rootfs", "--ignore-file", "ignore", "--to", "oci:out:listed"]);
    assert!(listed != all && listed != some);
    let again = sandbox.ok(&["pack", "image", "rootfs", "--ignore-file", "again", "--to", "oci:out:again"]);
    assert_eq!(again, listed, "folders that lead to what is taken in again come with it");
    let bad = ["pack", "image", "rootfs", "--ignore-file", "bad", "--to", "oci:out:bad"];
    sandbox.fails_saying(2, &bad, "cannot follow bad: a pattern cannot be \"[b\": line 2: ");
    for (how, media_type) in [("zstd", "tar+zstd"), ("none", "tar"), ("gzip", "tar+gzip")] {
        let location = format!("oci:out:{how}");
        let arguments =
            ["pack", "image", "rootfs", "--compression", how, "--to", &*location, "--format", "json"];
        let json: Value = serde_json::from_str(&sandbox.ok(&arguments)).unwrap();
        assert_eq!(json["schema"], "transship.pack/v1");
        let layer = &json["layers"][0];
        assert!(layer["mediaType"].as_str().unwrap().ends_with(media_type), "{json}");
        let recipe = layer["recipe"].as_str().unwrap();
        sandbox.ok(&["pack", "image", "rootfs", "--compression", how, "--recipe", recipe, "--to", &location]);
        sandbox.fails_saying(
            12,
            &["pack", "image", "rootfs", "--recipe", "other", "--to", &location],
            "this build cannot give",
        );
    }
}

#[test]
fn law_8_a_specification_and_metadata_say_what_a_directory_cannot() {
    let sandbox = tree();
    let pack = |arguments: &[&str], to: &str| {
        let arguments = [&["pack", "image", "--format", "json", "--to", to][..], arguments].concat();
        serde_json::from_str::<Value>(&sandbox.ok(&arguments)).unwrap()
    };
    sandbox
        .write("says", "#mtree\n./bin/app uid=7 mode=04755 time=5\n./bin/null type=char device=native,1,3\n");
    let described = pack(&["rootfs", "--exclude", "var", "--metadata", "says"], "oci:out:described");
    sandbox.write(
        "tree.mtree",
        "#mtree\n/set mode=0755\nbin/ type=dir\netc/ type=dir\n./etc/motd mode=0644 content=rootfs/etc/motd\n\
         ./bin/app uid=7 mode=04755 time=5 content=rootfs/bin/app\n./bin/link type=link link=app\n\
         ./bin/null type=char mode=0644 device=native,1,3\n",
    );
    let whole = pack(&["tree.mtree"], "oci:out:whole");
    assert_eq!(described["layers"][0]["diffId"], whole["layers"][0]["diffId"]);
    assert!(whole["layers"][0]["recipe"].as_str().unwrap().starts_with("transship-tar-1+gzip"));
    let image = ["pack", "image", "--to", "oci:out:no"];
    sandbox.fails_saying(
        2,
        &[&image[..], &["rootfs", "rootfs", "--metadata", "says"]].concat(),
        "one directory",
    );
    sandbox.write("bad", "#mtree\n./bin/app mod=0755\n");
    let bad = [&image[..], &["rootfs", "--metadata", "bad"]].concat();
    sandbox.fails_saying(4, &bad, "line 2, column 11");
    sandbox.write("lost", "#mtree\n./bin/none uid=1\n");
    sandbox.fails_saying(4, &[&image[..], &["rootfs", "--metadata", "lost"]].concat(), "say optional");
    sandbox.fails_saying(4, &[&image[..], &["bad"]].concat(), "not known");
}

#[test]
fn law_8_a_tar_that_is_normalized_has_the_diff_id_of_its_directory() {
    let sandbox = tree();
    let diff_id = |arguments: &[&str]| {
        let common = ["pack", "image", "--format", "json", "--to", "oci:out:v1"];
        let json: Value = serde_json::from_str(&sandbox.ok(&[&common[..], arguments].concat())).unwrap();
        json["layers"][0]["diffId"].as_str().unwrap().to_owned()
    };
    let tar = sandbox.command("tar").args(["-czf", "rootfs.tgz", "-C", "rootfs", "."]).status().unwrap();
    assert!(tar.success());
    let folder = diff_id(&["rootfs"]);
    assert_ne!(diff_id(&["rootfs.tgz"]), folder);
    assert_eq!(diff_id(&["rootfs.tgz", "--normalize"]), folder);
    assert_eq!(diff_id(&["rootfs", "--normalize"]), folder);
    let empty = [&["pack", "image", "--to", "oci:out:no", "--normalize"][..], &["rootfs/etc/motd"]].concat();
    sandbox.fails_saying(4, &empty, "rootfs/etc/motd");
}

#[test]
fn a_difference_is_packed_upon_its_base() {
    let sandbox = tree();
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:base"]);
    assert!(sandbox.command("cp").args(["-a", "rootfs", "new"]).status().unwrap().success());
    sandbox.write("new/etc/motd", "bye\n");
    fs::remove_dir_all(sandbox.path("new/var")).unwrap();
    let diff =
        ["new", "--diff", "rootfs", "--from", "oci:out:base", "--to", "oci:out:v2", "--format", "json"];
    let json: Value = serde_json::from_str(&sandbox.ok(&[&["pack", "image"][..], &diff].concat())).unwrap();
    let digest = json["layers"][0]["digest"].as_str().unwrap();
    let listing = sandbox.command("tar").arg("-tzf").arg(sandbox.blob("out", digest)).output().unwrap();
    assert_eq!(String::from_utf8(listing.stdout).unwrap(), ".wh.var\netc/\netc/motd\n");
    sandbox.ok(&["unpack", "oci:out:v2", "root"]);
    let same = Run::of(sandbox.command("diff").args(["-r", "root", "new"]).output().unwrap());
    assert_eq!((same.code, &*same.stdout), (0, ""), "{same:?}");
    let image = ["pack", "image", "--to", "oci:out:no"];
    sandbox.fails_saying(2, &[&image[..], &["new", "rootfs", "--diff", "rootfs"]].concat(), "one directory");
    sandbox.fails_saying(3, &[&image[..], &["new", "--diff", "none"]].concat(), "none");
    sandbox.fails(2, &[&image[..], &["new", "--diff", "rootfs", "--overlay"]].concat());
    sandbox.ok(&[&image[..], &["new", "--overlay"]].concat());
}

#[test]
fn files_become_an_artifact_and_may_refer_to_something() {
    let sandbox = tree();
    let image = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1"]);
    sandbox.write("sbom.json", "{}");
    let arguments = [
        "pack",
        "files",
        "sbom.json:application/spdx+json",
        "docs/motd=rootfs/etc/motd",
        "--artifact-type",
        "application/spdx+json",
        "--subject",
        "oci:out:v1",
        "--to",
        "oci:out",
        "--descriptor-file",
        "d.json",
    ];
    let digest = sandbox.ok(&arguments);
    let json = inspect(&sandbox, &format!("oci:out@{digest}"));
    assert_eq!((&json["kind"], &json["artifactType"]), (&"spdx".into(), &"application/spdx+json".into()));
    assert_eq!(json["subject"], image);
    assert_eq!(json["layers"][0]["mediaType"], "application/spdx+json");
    assert_eq!(json["layers"][1]["title"], "docs/motd");
    assert_eq!(inspect(&sandbox, "oci:out:v1")["referrers"][0]["digest"], digest);
    let descriptor: Value = serde_json::from_str(&sandbox.read("d.json")).unwrap();
    assert_eq!(descriptor["digest"], digest);
    let second = sandbox.ok(&["pack", "files", "sbom.json", "--subject", "d.json", "--to", "oci:out:x"]);
    assert_eq!(inspect(&sandbox, "oci:out:x")["subject"], digest);
    assert_ne!(second, digest);
    sandbox.fails_saying(
        2,
        &["pack", "files", "a=sbom.json", "a=rootfs/etc/motd", "--to", "oci:x"],
        "TITLE=FILE",
    );
    let run = sandbox.run(&["pack", "files", "/etc/hostname", "--to", "oci:x"]);
    assert!(run.code == 2 && run.stderr.contains("TITLE=FILE"), "{run:?}");
}

#[test]
fn the_digest_file_holds_what_is_printed() {
    let sandbox = tree();
    let digest = sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:out:v1", "--digest-file", "digest"]);
    assert_eq!(sandbox.read("digest"), format!("{digest}\n"));
    fs::remove_file(sandbox.path("digest")).unwrap();
    sandbox.fails(3, &["pack", "image", "nowhere", "--to", "oci:out:v2", "--digest-file", "digest"]);
    assert!(!sandbox.path("digest").exists());
}

#[test]
fn source_date_epoch_is_when_and_the_ceiling_of_times() {
    let sandbox = tree();
    let pack = |flags: &[&str], epoch: &str| {
        let mut command = sandbox.command(PROGRAM);
        command.args(["pack", "image", "rootfs", "--to", "oci:out:v1"]).args(flags);
        Run::of(command.env("SOURCE_DATE_EPOCH", epoch).output().unwrap())
    };
    assert_eq!(pack(&[], "1700000000").code, 0);
    assert_eq!(inspect(&sandbox, "oci:out:v1")["config"]["created"], "2023-11-14T22:13:20Z");
    assert_eq!(pack(&["--mtime", "clamp"], "1700000000").code, 0);
    let run = pack(&[], "yesterday");
    assert!(run.code == 2 && run.stderr.contains("SOURCE_DATE_EPOCH"), "{run:?}");
    sandbox.fails_saying(
        2,
        &["pack", "image", "rootfs", "--mtime", "clamp", "--to", "oci:x:v1"],
        "needs SOURCE_DATE_EPOCH",
    );
}

#[test]
fn packing_nothing_or_for_a_digest_is_refused_before_anything_is_made() {
    let sandbox = tree();
    sandbox.fails(2, &["pack", "image", "--to", "oci:new:v1"]);
    sandbox.fails(2, &["pack", "image", "rootfs", "--env", "novalue", "--to", "oci:new:v1"]);
    sandbox.fails(2, &["pack", "image", "rootfs", "--level", "99", "--to", "oci:new:v1"]);
    let digest = transship_spec::Digest::sha256(b"");
    sandbox.fails_saying(
        2,
        &["pack", "image", "rootfs", "--to", &format!("oci:new@{digest}")],
        "is not known before",
    );
    sandbox.fails_saying(2, &["pack", "image", "rootfs", "--to", "docker://localhost:1/app"], "has no tag");
    sandbox.fails_saying(3, &["pack", "image", "rootfs", "--to", "oci:no/such/folder:v1"], "does not exist");
    assert!(!sandbox.path("new").exists());
}

#[test]
fn a_layout_is_not_packed_into_itself() {
    let sandbox = tree();
    for arguments in
        [&["pack", "image", ".", "--to", "oci:out:v1"][..], &["pack", "files", "all=.", "--to", "oci:out:v1"]]
    {
        sandbox.fails_saying(2, arguments, "--exclude /out");
    }
    sandbox.fails_saying(
        2,
        &["pack", "image", "rootfs", "--to", "oci:rootfs/var/out:v1"],
        "--exclude /var/out",
    );
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:elsewhere:v1"]);
    let arguments = ["pack", "image", "rootfs", "--exclude", "/var/out", "--to", "oci:rootfs/var/out:v1"];
    let first = sandbox.ok(&arguments);
    assert_eq!(sandbox.ok(&arguments), first, "the second time the layout is there, and still left out");
    assert_eq!(sandbox.ok(&["resolve", "oci:elsewhere:v1"]), first);
}

#[test]
fn what_an_image_says_of_itself_is_in_config_history_and_annotations() {
    let sandbox = tree();
    sandbox.write("a.json", r#" {"org.example.one":"1","org.example.two":"from a file"}"#);
    sandbox.write("a.txt", "# more\norg.example.three=3=x\n");
    let base = sandbox.write(
        "base.json",
        r#"{"config":{"Shell":["/bin/sh","-e"],"OnBuild":["RUN x"],"Healthcheck":{"Test":["NONE"]}},"author":"them"}"#,
    );
    let base = ["pack", "image", "rootfs", "--config", base.to_str().unwrap(), "--to", "oci:out:base"];
    sandbox.ok(&base);
    let check = r#"{"Test":["CMD","/bin/app"],"Retries":3}"#;
    sandbox.ok(&[
        "pack",
        "image",
        "rootfs",
        "--from",
        "oci:out:base",
        "--author",
        "us",
        "--created-by",
        "make image",
        "--comment",
        "nightly",
        "--healthcheck",
        check,
        "--stop-signal",
        "term",
        "--platform",
        "linux(5.10)/amd64",
        "--os-feature",
        "fast",
        "--annotation-file",
        "a.json",
        "--annotation-file",
        "a.txt",
        "--annotation",
        "org.example.two=2",
        "--to",
        "oci:out:v1",
    ]);
    let manifest: Value = serde_json::from_str(&sandbox.ok(&["manifest", "get", "oci:out:v1"])).unwrap();
    let annotations = &manifest["annotations"];
    for (key, value) in [("one", "1"), ("two", "2"), ("three", "3=x")] {
        assert_eq!(annotations[format!("org.example.{key}")], value, "{annotations}");
    }
    let config = format!("oci:out@{}", manifest["config"]["digest"].as_str().unwrap());
    let config: Value = serde_json::from_str(&sandbox.ok(&["blob", "get", &config])).unwrap();
    assert_eq!(
        (&config["os.version"], &config["os.features"]),
        (&"5.10".into(), &serde_json::json!(["fast"]))
    );
    assert_eq!(
        config["config"],
        serde_json::json!({
            "Healthcheck": { "Test": ["CMD", "/bin/app"], "Retries": 3 }, "OnBuild": ["RUN x"],
            "Shell": ["/bin/sh", "-e"], "StopSignal": "SIGTERM"
        })
    );
    assert_eq!(config["author"], "us");
    let made = "1970-01-01T00:00:00Z";
    assert_eq!(
        config["history"],
        serde_json::json!([
            { "created": made, "created_by": "transship pack image" },
            { "created": made, "created_by": "make image", "author": "us", "comment": "nightly" }
        ])
    );
}

#[test]
fn what_an_image_cannot_say_is_refused_in_so_many_words() {
    let sandbox = tree();
    sandbox.write("lines", "# annotations\na=b\nno pair\n");
    sandbox.write("numbers", r#"{"a":1}"#);
    sandbox.write("twice", r#"{"a":"1","a":"2"}"#);
    sandbox.write("labels", "=x\n");
    sandbox.write("list", "[]");
    for (code, flag, value, words) in [
        (
            2,
            "--stop-signal",
            "SIGFOO",
            "a stop signal cannot be \"SIGFOO\": it takes a name such as SIGTERM or SIGRTMIN+3",
        ),
        (2, "--healthcheck", "NONE", "a health check cannot be \"NONE\": it takes a JSON object; "),
        (
            2,
            "--healthcheck",
            r#"{"Test":["/x"]}"#,
            "its Test is a list of words, of which NONE, CMD or CMD-SHELL is the first",
        ),
        (2, "--env", "novalue", "a variable cannot be \"novalue\": it takes NAME=VALUE"),
        (2, "--expose", "http", "a port cannot be \"http\": it takes a number from 1 to 65535"),
        (2, "--volume", "", "a volume cannot be \"\": it takes the path of a folder"),
        (2, "--label", "=x", "a label cannot be \"=x\": it takes KEY=VALUE"),
        (2, "--label-file", "labels", "a label cannot be \"=x\": it takes KEY=VALUE"),
        (2, "--annotation", "x", "it is not NAME=VALUE"),
        (2, "--created", "yesterday", "yesterday"),
        (2, "--cmd", "[1]", "--cmd \"[1]\": it is not a JSON array of words"),
        (2, "--platform", "linux", "linux"),
        (3, "--annotation-file", "none", "cannot take annotations from none: "),
        (
            4,
            "--annotation-file",
            "lines",
            "cannot take annotations from lines: \"no pair\": it is not NAME=VALUE",
        ),
        (
            4,
            "--annotation-file",
            "numbers",
            "cannot take annotations from numbers: it is not an object of texts: ",
        ),
        (4, "--annotation-file", "twice", "cannot take annotations from twice: "),
        (4, "--config", "list", "image config"),
        (3, "--env-file", "none", "cannot read none"),
    ] {
        let arguments = ["pack", "image", "rootfs", "--to", "oci:new:v1", flag, value];
        sandbox.fails_saying(code, &arguments, words);
    }
}
