//! What the program says of itself.

use crate::support::{PROGRAM, Sandbox};

/// The commands that can be run, by their words.
const COMMANDS: &[&str] = &[
    "",
    "init",
    "pack",
    "pack image",
    "pack layer",
    "pack files",
    "attach",
    "edit",
    "index create",
    "index add",
    "index remove",
    "unpack",
    "extract",
    "kinds",
    "kinds list",
    "kinds lint",
    "pack sif",
    "pack helm",
    "pack conftest",
    "pack opa",
    "pack wasm",
    "pack flux",
    "pack compose",
    "copy",
    "sync",
    "ls",
    "tree",
    "inspect",
    "diff",
    "resolve",
    "tag",
    "untag",
    "rm",
    "gc",
    "check",
    "manifest get",
    "manifest put",
    "blob get",
    "blob put",
    "serve",
    "login",
    "logout",
];

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_help_of_every_command_is_as_it_was_read_last() {
    let sandbox = Sandbox::new();
    for words in COMMANDS.iter().copied().chain(["completions"]) {
        let mut arguments: Vec<&str> = words.split_whitespace().collect();
        arguments.push("--help");
        let run = sandbox.run(&arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words}");
        let widest = run.stdout.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{words}: a line has {widest} characters");
        let name =
            if words.is_empty() { "help".to_owned() } else { format!("help {words}").replace(' ', "-") };
        snapshot(&name, &run.stdout);
    }
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.artifact("out", "v1", "hello");
    sandbox.write("rootfs/hello", "hello");
    sandbox.write("image.tar", "");
    let mut text = String::new();
    for line in [
        "",
        "frobnicate",
        "push out:v1 registry.example/app",
        "pull registry.example/app:v1 out",
        "resolve out",
        "resolve out:v1",
        "resolve ./out:v1",
        "resolve oci://out",
        "resolve oci:out:v2",
        "resolve oci:nowhere:v1",
        "resolve oci:rootfs",
        "resolve oci:out@sha256:abc",
        "resolve oci-archive:image.tar",
        "resolve ./image.tar",
        "resolve docker-archive:image.tar",
        "resolve registry.example/App:v1",
        "resolve --offline registry.example/app:v1",
        "resolve --insecure=http://x registry.example/app:v1",
        "resolve --authfile none.json registry.example/app:v1",
        "blob get oci:out",
        "tag oci:out:v1",
        "untag oci:out v2",
        "untag oci:out:v1 v1",
        "gc oci:out:v1",
        "gc registry.example/app:v1",
        "gc nowhere",
        "gc out --grace 1",
        "ls oci:out:v1",
        "init out",
        "login registry.example/team --username me --password-stdin",
        "login registry.example",
        "@missing",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = sandbox.run(&arguments);
        assert_eq!(run.stdout, "", "{line}");
        text.push_str(&format!("$ transship {line}\n{}(exit code {})\n\n", run.stderr, run.code));
    }
    snapshot("errors", &text);
}

#[test]
fn a_narrow_terminal_gets_narrow_help() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(PROGRAM).args(["ls", "--help"]).env("COLUMNS", "60").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let options = text.split("Examples:").next().unwrap();
    assert!(options.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn completions_are_made_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.ok(&["completions", shell]);
        assert!(script.contains("transship") && script.contains("resolve"), "{shell}");
    }
    let script = sandbox.write("transship.bash", sandbox.ok(&["completions", "bash"]));
    let checked = sandbox.command("bash").arg("-n").arg(script).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_version_is_one_line() {
    let text = Sandbox::new().ok(&["--version"]);
    assert_eq!(text, format!("transship {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_schema_is_documented() {
    let documented = include_str!("../../JSON.md");
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands");
    let mut seen = 0;
    let mut folders = vec![std::path::PathBuf::from(sources)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for schema in text.split('"').filter(|word| word.starts_with("transship.") && word.contains("/v"))
            {
                assert!(
                    documented.contains(&format!("`{schema}`")),
                    "{schema} of {} is not in JSON.md",
                    path.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}
