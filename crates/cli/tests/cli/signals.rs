//! Ctrl-C and SIGTERM (row 58): the program ends soon, says so by its exit code, and leaves nothing half done.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PROGRAM, Sandbox};

fn signal(child: &Child, name: &str) {
    let kill = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Waits for the end, and gives the exit code and what was said. That it ends in time is for the test runner to see.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let code = child.wait().unwrap().code();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

#[test]
fn row_58_a_command_that_waits_for_a_registry_ends_at_once() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("docker://{}/app:v1", silent.local_addr().unwrap());
    for (name, code, arguments) in [
        ("-INT", 130, vec!["resolve", &location]),
        ("-TERM", 143, vec!["copy", &location, "oci:new"]),
        ("-INT", 130, vec!["copy", "oci:out:v1", &location]),
        ("-TERM", 143, vec!["manifest", "get", &location]),
    ] {
        let before = sandbox.tree();
        let child = sandbox.command(PROGRAM).args(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let (_connection, _) = silent.accept().unwrap();
        signal(&child, name);
        let (ended_with, said) = ended(child);
        assert_eq!(ended_with, Some(code), "{arguments:?}: {said}");
        assert!(said.contains("interrupted"), "{arguments:?}: {said}");
        assert_eq!(sandbox.tree(), before, "{arguments:?}");
    }
}

#[test]
fn row_58_a_pack_that_is_interrupted_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("rootfs/a", "first");
    // A file without end: the packer is in the middle of it when the signal comes.
    let large = std::fs::File::create(sandbox.path("rootfs/z")).unwrap();
    large.set_len(1 << 40).unwrap();
    let before: Vec<_> = sandbox.tree().into_keys().filter(|path| !path.ends_with("z")).collect();
    let image = ["pack", "image", "rootfs", "--to", "oci:out:v1", "--level", "1"];
    let layer = ["pack", "layer", "rootfs", "--to", "layer", "--descriptor-file", "layer.json"];
    for (name, code, arguments) in
        [("-INT", 130, &image), ("-TERM", 143, &image), ("-INT", 130, &layer), ("-TERM", 143, &layer)]
    {
        let child = sandbox.command(PROGRAM).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(|| sandbox.path("").read_dir().unwrap().count() > 1);
        signal(&child, name);
        assert_eq!(ended(child).0, Some(code));
        std::fs::remove_file(sandbox.path("rootfs/z")).unwrap();
        let after: Vec<_> = sandbox.tree().into_keys().collect();
        assert_eq!(after, before);
        std::fs::File::create(sandbox.path("rootfs/z")).unwrap().set_len(1 << 40).unwrap();
    }
}

#[test]
fn row_58_a_second_signal_ends_what_the_first_could_not() {
    let sandbox = Sandbox::new();
    sandbox.write("large", vec![b'x'; 1 << 20]);
    let digest = sandbox.ok(&["blob", "put", "large", "oci:out"]);
    let mut command = sandbox.command(PROGRAM);
    command.args(["blob", "get", &format!("oci:out@{digest}")]);
    // Nobody reads from the pipe, so that writing never ends.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    signal(&child, "-INT");
    signal(&child, "-TERM");
    let stdout = child.stdout.take();
    let code = ended(child).0;
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    drop(stdout);
}

#[test]
fn row_58_what_arrived_before_ctrl_c_is_kept_and_the_copy_goes_on() {
    use crate::scripted::Scripted;
    use std::io::Write as _;

    let sandbox = Sandbox::new();
    let content = vec![b'x'; 3 << 20];
    let digest = transship_spec::Digest::sha256(&content).to_string();
    let config = transship_spec::Digest::sha256(b"{}").to_string();
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"text/x-test","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"text/plain","digest":"{digest}","size":{}}}]}}"#,
        content.len()
    );
    let (begun, half_sent) = std::sync::mpsc::channel();
    let asked_for = digest.clone();
    let registry = Scripted::with_heads(move |head, mut stream| {
        let first = head.lines().next().unwrap_or_default();
        let from = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned))
            .and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        let head_of = |status: &str, length: usize, extra: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n")
        };
        let json = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        if first.contains("/manifests/v1")
            || first.contains("/manifests/sha256:") && !first.contains("sha256-")
        {
            let _ = stream.write_all(head_of("200 OK", manifest.len(), json).as_bytes());
            if !first.starts_with("HEAD") {
                let _ = stream.write_all(manifest.as_bytes());
            }
        } else if first.contains(&asked_for) {
            match from {
                Some(from) => {
                    let range =
                        format!("Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
                    let _ = stream
                        .write_all(head_of("206 Partial Content", content.len() - from, &range).as_bytes());
                    let _ = stream.write_all(&content[from..]);
                    begun.send(Some(from)).unwrap();
                }
                None => {
                    let _ = stream.write_all(head_of("200 OK", content.len(), "").as_bytes());
                    let _ = stream.write_all(&content[..2 << 20]);
                    begun.send(None).unwrap();
                    // The rest never comes, and the connection stays.
                    std::mem::forget(stream);
                }
            }
        } else if first.contains(&config) {
            let _ = stream.write_all(head_of("200 OK", 2, "").as_bytes());
            let _ = stream.write_all(b"{}");
        } else {
            let _ = stream.write_all(head_of("404 Not Found", 0, "").as_bytes());
        }
    });
    let location = format!("docker://{}/app:v1", registry.address);
    let arguments = ["copy", &location, "oci:out:v1"];
    let child = sandbox.command(PROGRAM).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(half_sent.recv().unwrap(), None);
    let partial = sandbox.path("out/.transship/partial").join(digest.replace(':', "-"));
    wait_until(|| partial.metadata().is_ok_and(|meta| meta.len() > 1 << 20));
    signal(&child, "-INT");
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("the same command goes on from there"), "{said}");
    let held = partial.metadata().unwrap().len();
    sandbox.ok(&arguments);
    let from = half_sent.recv().unwrap().unwrap();
    assert_eq!(from as u64, held);
    assert!(!partial.exists(), "what was held is used up");
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}
