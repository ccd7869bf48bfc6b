//! Bad input: a clear error, the right exit code, and nothing changed on disk.

use std::fs;
use std::os::unix::fs::symlink;

use transship_spec::Digest;
use transship_testkit::hostile::Defect;

use crate::scripted::{Scripted, response};
use crate::support::{PROGRAM, Run, Sandbox};

/// A layout that is good until it is spoilt: an artifact `v1`, and the digest of its manifest.
fn good() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let digest = sandbox.artifact("out", "v1", "hello");
    (sandbox, digest)
}

/// Commands that read a layout all fail alike.
fn all_fail(sandbox: &Sandbox, code: i32, words: &str) {
    for arguments in [
        &["ls", "oci:out"][..],
        &["inspect", "oci:out:v1"],
        &["resolve", "oci:out:v1"],
        &["tag", "oci:out:v1", "v2"],
        &["manifest", "get", "oci:out:v1"],
        &["copy", "oci:out:v1", "oci:new"],
        &["copy", "oci:out:v1", "oci:new", "--dry-run"],
        &["pack", "image", "--from", "oci:out:v1", "--to", "oci:new:v1"],
    ] {
        sandbox.fails_saying(code, arguments, words);
    }
}

#[test]
fn not_a_layout() {
    let sandbox = Sandbox::new();
    sandbox.write("out/readme", "no layout");
    all_fail(&sandbox, 4, "out is not an image layout");
    sandbox.write("file", "hello");
    sandbox.fails_saying(4, &["blob", "put", "file", "oci:out"], "is not an image layout");
    sandbox.fails_saying(4, &["ls", "oci:file"], "is not a folder");
    let good = sandbox.artifact("good", "v1", "hello");
    assert!(good.starts_with("sha256:"));
    sandbox.fails_saying(4, &["copy", "oci:good:v1", "oci:out"], "is not an image layout");
    sandbox.fails_saying(4, &["copy", "oci:out:v1", "oci:new"], "is not an image layout");
    sandbox.fails_saying(4, &["serve", "oci:out"], "is not an image layout");
    sandbox.fails_saying(4, &["pack", "files", "file", "--to", "oci:out"], "is not an image layout");
    sandbox.fails_saying(3, &["ls", "oci:nowhere"], "nowhere does not exist");
    sandbox.fails_saying(3, &["ls", "./nowhere"], "there is no");
}

#[test]
fn an_unknown_layout_version() {
    let (sandbox, _) = good();
    sandbox.write("out/oci-layout", r#"{"imageLayoutVersion":"9.9.9"}"#);
    all_fail(&sandbox, 12, r#"layout version "9.9.9""#);
}

#[test]
fn broken_json() {
    let (sandbox, _) = good();
    let index = sandbox.read("out/index.json");
    for (text, words) in [
        ("", "it is empty"),
        (&index[..index.len() / 2], "malformed"),
        (&format!("{index}x"), "malformed"),
        (&format!("\u{feff}{index}"), "malformed"),
        ("[]", "not an object"),
        ("null", "not an object"),
        (r#"{"schemaVersion":2,"manifests":"x"}"#, "not an array"),
        (r#"{"schemaVersion":1,"manifests":[]}"#, "schemaVersion"),
        (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, "malformed"),
    ] {
        sandbox.write("out/index.json", text);
        all_fail(&sandbox, 4, words);
    }
    sandbox.write("out/index.json", &index);
    sandbox.write("out/oci-layout", "{");
    all_fail(&sandbox, 4, "oci-layout");
}

#[test]
fn digests_with_dots_in_upper_case_or_too_short() {
    let (sandbox, digest) = good();
    let index = sandbox.read("out/index.json");
    let hex = digest.strip_prefix("sha256:").unwrap();
    let bad = [
        "../../../etc/passwd".to_owned(),
        hex.to_uppercase(),
        hex[..63].to_owned(),
        format!("{hex}0"),
        "a/b".to_owned(),
    ];
    for bad in &bad {
        sandbox.write("out/index.json", index.replace(hex, bad));
        all_fail(&sandbox, 4, "is not a digest");
    }
    sandbox.write("out/index.json", &index);
    for bad in &bad {
        let location = format!("oci:out@sha256:{bad}");
        sandbox.fails_saying(4, &["resolve", &location], "is not a digest");
        let location = format!("docker://localhost:1/app@sha256:{bad}");
        sandbox.fails_saying(4, &["resolve", &location], "is not a digest");
    }
}

#[test]
fn bytes_that_do_not_match_their_digest_or_size() {
    for (spoilt, words) in
        [("jello", "content has digest"), ("hello!", "has more than 5 bytes"), ("hell", "has 4 bytes")]
    {
        let (sandbox, _) = good();
        let digest = Digest::sha256(b"hello").to_string();
        fs::write(sandbox.blob("out", &digest), spoilt).unwrap();
        let run = sandbox.run(&["blob", "get", &format!("oci:out@{digest}")]);
        assert_eq!(run.code, 4, "{run:?}");
        let _ = words;
    }
    let (sandbox, digest) = good();
    let path = sandbox.blob("out", &digest);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("text/x-test", "text/x-tesT")).unwrap();
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "content has digest");
    sandbox.fails_saying(4, &["manifest", "get", "oci:out:v1"], "content has digest");
    fs::write(&path, text + " ").unwrap();
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "bytes, not");
    fs::remove_file(&path).unwrap();
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "is missing");
}

#[test]
fn a_manifest_over_the_cap() {
    let (sandbox, _) = good();
    sandbox.write("large.json", format!(r#"{{"schemaVersion":2,"manifests":[]{}}}"#, " ".repeat(5 << 20)));
    sandbox.fails_saying(
        9,
        &["manifest", "put", "large.json", "oci:out:large"],
        "exceeds the limit of 4194304 bytes",
    );
    let digest = sandbox.ok(&["blob", "put", "large.json", "oci:out"]);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":5242914}}]}}"#
    );
    let size = fs::metadata(sandbox.path("large.json")).unwrap().len();
    sandbox.write("out/index.json", index.replace("5242914", &size.to_string()));
    sandbox.fails_saying(9, &["inspect", "oci:out"], "exceeds the limit");
    let registry = Scripted::status(
        "200 OK",
        "Content-Type: application/vnd.oci.image.index.v1+json\r\n",
        &sandbox.read("large.json"),
    );
    let location = format!("docker://{}/app:v1", registry.address);
    sandbox.fails_saying(9, &["manifest", "get", &location], "exceeds the limit");
}

#[test]
fn an_unknown_tag() {
    let (sandbox, _) = good();
    sandbox.fails_saying(3, &["resolve", "oci:out:v9"], r#"no entry of out is called "v9"; it holds "v1""#);
    sandbox.fails_saying(3, &["resolve", "oci:out:@7"], "no entry of out");
    let none = Digest::sha256(b"none");
    sandbox.fails_saying(3, &["resolve", &format!("oci:out@{none}")], "no entry of out");
    sandbox.fails_saying(3, &["blob", "get", &format!("oci:out@{none}")], "there is no blob");
}

#[test]
fn a_registry_that_refuses_is_broken_or_says_nothing() {
    let (sandbox, _) = good();
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such thing"}]}"#;
    for (status, headers, body, code, words) in [
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"test\"\r\n",
            "",
            5,
            "hint: log in with: transship login",
        ),
        ("403 Forbidden", "", "", 5, "denied"),
        ("404 Not Found", "", unknown, 3, "no such thing"),
        ("429 Too Many Requests", "", "", 6, "429 Too Many Requests"),
        ("429 Too Many Requests", "Retry-After: 86400\r\n", "", 6, "asks to wait for 86400 s"),
        ("500 Internal Server Error", "", "", 6, "500 Internal Server Error"),
        ("200 OK", "Content-Type: text/html\r\n", "<html>", 4, "manifest"),
    ] {
        let registry = Scripted::status(status, headers, body);
        let location = format!("docker://{}/app:v1", registry.address);
        for command in ["manifest get", "inspect"] {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.extend([&*location, "--retries", "0"]);
            let said = sandbox.fails(code, &arguments);
            // A HEAD has no body to tell of.
            assert!(command == "inspect" || said.contains(words), "{status}: {said}");
        }
        sandbox.fails(code, &["copy", &location, "oci:new", "--retries", "0"]);
        sandbox.fails(code, &["copy", "oci:out:v1", &location, "--retries", "0"]);
    }
    let silent = Scripted::answering("");
    let location = format!("docker://{}/app:v1", silent.address);
    sandbox.fails(6, &["resolve", &location, "--retries", "0"]);
    sandbox.fails(6, &["copy", &location, "oci:new", "--retries", "0"]);
    sandbox.fails(6, &["copy", "oci:out:v1", &location, "--retries", "0"]);
    // Nobody listens there: it was bound, and is free again.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sandbox.fails(6, &["resolve", &format!("docker://{nobody}/app:v1"), "--retries", "0"]);
}

#[test]
fn a_transfer_that_is_cut() {
    let sandbox = Sandbox::new();
    let digest = Digest::sha256(b"hello");
    let registry = Scripted::serving(|request, mut stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        let body = if request.starts_with("HEAD") { "" } else { "he" };
        let _ = std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes());
    });
    let location = format!("docker://{}/app@{digest}", registry.address);
    sandbox.fails(6, &["blob", "get", &location, "-o", "file", "--retries", "0"]);
    let wrong = Scripted::answering(response("200 OK", "", "jello"));
    let location = format!("docker://{}/app@{digest}", wrong.address);
    sandbox.fails_saying(
        4,
        &["blob", "get", &location, "-o", "file", "--retries", "0"],
        "content has digest",
    );
}

#[test]
fn a_blob_that_is_a_fifo_a_folder_or_a_link_out_of_the_layout() {
    let (sandbox, digest) = good();
    let path = sandbox.blob("out", &digest);
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let made = sandbox.command("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "FIFO");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "folder");
    fs::remove_dir(&path).unwrap();
    let elsewhere = sandbox.write("elsewhere", &text);
    symlink(&elsewhere, &path).unwrap();
    sandbox.fails_saying(4, &["inspect", "oci:out:v1"], "--links follow");
    sandbox.ok(&["inspect", "oci:out:v1", "--links", "follow"]);
    fs::remove_file(&path).unwrap();
    sandbox.write("out/inside", &text);
    symlink("../../inside", &path).unwrap();
    sandbox.ok(&["inspect", "oci:out:v1"]);
    sandbox.fails(4, &["inspect", "oci:out:v1", "--links", "refuse"]);
}

#[test]
fn a_copy_of_a_layout_with_a_defect_changes_nothing() {
    for defect in Defect::ALL {
        let sandbox = Sandbox::new();
        defect.make(&sandbox.path("bad"));
        let code = match defect {
            Defect::UnknownVersion => 12,
            Defect::DeepIndex | Defect::HugeManifest | Defect::DeepGraph => 9,
            _ => 4,
        };
        for arguments in
            [&["copy", "oci:bad:v1", "oci:new"][..], &["copy", "--all-tags", "oci:bad", "oci:new"]]
        {
            let said = sandbox.fails(code, arguments);
            assert!(said.lines().count() <= 3, "{defect:?}: {said}");
            assert!(!said.contains('\u{1b}'), "{defect:?}: {said}");
        }
    }
}

#[test]
fn a_tar_that_ends_early_or_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/file", noise(20_000));
    let made = sandbox.command("tar").args(["-cf", "whole.tar", "-C", "rootfs", "."]).status().unwrap();
    assert!(made.success());
    let made = sandbox.command("gzip").args(["-k", "whole.tar"]).status().unwrap();
    assert!(made.success());
    for name in ["whole.tar", "whole.tar.gz"] {
        let whole = fs::read(sandbox.path(name)).unwrap();
        for length in [0, 100, 600, 15_000] {
            sandbox.write("cut.tar", &whole[..length]);
            let said = sandbox.fails(4, &["pack", "image", "cut.tar", "--to", "oci:new:v1"]);
            assert!(said.contains("cut.tar"), "{name} {length}: {said}");
        }
    }
    sandbox.write("cut.tar", noise(4096));
    sandbox.fails_saying(4, &["pack", "image", "cut.tar", "--to", "oci:new:v1"], "is not a valid tar");
    sandbox.ok(&["pack", "image", "whole.tar", "whole.tar.gz", "--to", "oci:new:v1"]);
    sandbox.fails(4, &["pack", "image", "rootfs", "cut.tar", "--to", "oci:other:v1"]);
    assert!(!sandbox.path("other").exists());
}

#[test]
fn a_file_that_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, _) = good();
    let file = sandbox.write("secret", "hello");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let before = sandbox.tree();
    // Root reads everything; without these two capabilities it is held to the modes of its files.
    let run =
        Run::of(as_owner(&sandbox).args([PROGRAM, "blob", "put", "secret", "oci:new"]).output().unwrap());
    assert_eq!(run.code, 7, "{run:?}");
    assert!(run.stderr.contains("secret: Permission denied"), "{run:?}");
    assert_eq!(sandbox.tree(), before);
    sandbox.fails_saying(2, &["blob", "put", "out", "oci:new"], "out is a folder");
}

/// A command that runs another as the owner of its files, without the powers of root.
fn as_owner(sandbox: &Sandbox) -> std::process::Command {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !is_root {
        return sandbox.command("env");
    }
    let mut command = sandbox.command("setpriv");
    let without = "-dac_override,-dac_read_search";
    command.args(["--bounding-set", without, "--inh-caps", without]);
    command
}

#[test]
fn a_full_disk() {
    let (sandbox, _) = good();
    sandbox.write("large", vec![7; 3 << 20]);
    sandbox.write("rootfs/large", noise(3 << 20));
    sandbox.ok(&["pack", "image", "rootfs", "--to", "oci:image:v1"]);
    for line in [
        "copy oci:../image:v1 oci:new",
        "blob put ../large oci:new",
        "pack image ../rootfs --to oci:new:v1",
        "pack files x=../large --to oci:new",
    ] {
        let run = on_small_disk(&sandbox, line);
        assert_eq!(run.code, 7, "{line}: {run:?}");
        assert!(run.stderr.contains("no space left"), "{line}: {run:?}");
    }
}

/// Bytes that no compression makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Runs the program in a folder on a disk of 1 MiB, which must be the same afterwards.
fn on_small_disk(sandbox: &Sandbox, line: &str) -> Run {
    fs::create_dir_all(sandbox.path("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m none small && cd small && before=$(find . | sort) && \
         {PROGRAM} {line}; code=$?; [ \"$before\" = \"$(find . | sort)\" ] || {{ find . >&2; exit 99; }}; exit $code"
    );
    // A name space of its own: the mount ends with it.
    Run::of(
        sandbox
            .command("unshare")
            .args(["--mount", "--map-root-user", "sh", "-c", &script])
            .output()
            .unwrap(),
    )
}
