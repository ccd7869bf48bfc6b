//! The examples of the help: they work as they stand, one after the other.

use std::process::Stdio;

use crate::real::guarded;
use crate::support::{PROGRAM, Run, Sandbox};

/// Commands in an order in which what one makes is there for the next.
const ORDER: &[&str] = &[
    "init",
    "pack layer",
    "pack image",
    "pack files",
    "blob put",
    "inspect",
    "kinds",
    "kinds list",
    "kinds lint",
    "resolve",
    "copy",
    "sync",
    "diff",
    "unpack",
    "edit",
    "index create",
    "index add",
    "index remove",
    "manifest get",
    "manifest put",
    "tag",
    "untag",
    "ls",
    "check",
    "blob get",
    "rm",
    "gc",
    "login",
    "logout",
    "completions",
];

#[test]
fn every_example_works_as_it_stands() {
    let (sandbox, registry) = (Sandbox::new(), guarded("alice", "wonder"));
    sandbox.write("rootfs/bin/app", "#!/bin/sh\n");
    sandbox.write("rootfs.mtree", "#mtree\n./bin/app mode=0755 content=rootfs/bin/app\n");
    sandbox.write("sbom.json", "{}");
    sandbox.write("README.md", "# read me\n");
    sandbox.write("layer.tar", "anything");
    sandbox.write("password.txt", "wonder\n");
    std::fs::create_dir(sandbox.path("images")).unwrap();
    sandbox.write("program", "");
    sandbox.write(
        "my-kinds/poem.toml",
        "name = 'poem'\nabout = 'poems'\nartifact-type = 'application/vnd.a.b.v1'\n",
    );
    sandbox
        .write("mirror.yaml", "version: 1\nsync: [{from: 'oci:out', all-tags: true, to: 'oci:mirrored'}]\n");
    sandbox.write("regsync.yaml", "sync: [{source: 'r.example/a:1', target: 'ocidir://b', type: image}]\n");
    let login = format!("echo wonder | {PROGRAM} login {} -u alice --password-stdin", registry.address());
    assert_eq!(shell(&sandbox, &login).code, 0);
    for words in ORDER {
        let mut arguments: Vec<&str> = words.split(' ').collect();
        arguments.push("--help");
        let help = sandbox.ok(&arguments);
        let examples = help.split("Examples:\n").nth(1).unwrap();
        let examples = examples.split("\n\n").next().unwrap();
        for line in unwrapped(examples) {
            let line = line.replace("localhost:5000", registry.address());
            // These two ask on a terminal, or for what another example has forgotten; they have tests of their own.
            if line.trim_end() == format!("transship login {}", registry.address())
                || line.contains("auth.json")
            {
                continue;
            }
            let command = line.replacen("transship", PROGRAM, 1);
            let run = shell(&sandbox, &command);
            assert_eq!(run.code, 0, "{line}: {run:?}");
        }
    }
}

/// Lines of examples, with those joined again that were too long for the help.
fn unwrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.trim() {
            begin if begin.starts_with("transship ") => lines.push(begin.to_owned()),
            rest => {
                let last = lines.last_mut().unwrap();
                last.push(' ');
                last.push_str(rest);
            }
        }
    }
    lines
}

fn shell(sandbox: &Sandbox, line: &str) -> Run {
    Run::of(sandbox.command("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap())
}
