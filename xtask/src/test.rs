//! `cargo xtask test`: sets up what the tests need, then runs all of them. Nothing is skipped.
//!
//! The tests run against the registry and the readers that Debian ships, so they need its packages; see [`needs`].

use crate::Result;
use crate::needs;
use crate::process::{cargo, run as execute, shown, succeeds};

const PROGRAMS: needs::Programs = &[
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    ("htpasswd", "apache2-utils"),
    ("tar", "tar"),
    ("gzip", "gzip"),
    ("zstd", "zstd"),
    ("podman", "podman"),
    ("busybox", "busybox-static"),
    ("python3", "python3"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run all tests even when some fail, as a machine wants it
    #[arg(long)]
    ci: bool,
    /// Passed on to `cargo nextest run`; a selection leaves out the examples of the documentation
    #[arg(last = true, value_name = "ARG")]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result {
    needs::set_up("test", PROGRAMS)?;
    let tests = if has_nextest() { nextest(args) } else { built_in(args) };
    let examples = if args.rest.is_empty() {
        step(&strings(&["test", "--doc", "--workspace"]))
    } else {
        println!("test: the examples of the documentation are left out, since arguments were given");
        Ok(())
    };
    match (tests, examples) {
        (Err(tests), Err(examples)) => Err(format!("{tests}; {examples}").into()),
        (tests, examples) => tests.and(examples),
    }
}

/// Whether there is a nextest, after trying to get one.
fn has_nextest() -> bool {
    let present = || succeeds(cargo().args(["nextest", "--version"]));
    if present() {
        return true;
    }
    if let Err(error) = step(&strings(&["install", "cargo-nextest", "--locked"])) {
        println!("test: {error}");
    }
    present()
}

fn nextest(args: &Args) -> Result {
    let mut words = strings(&["nextest", "run"]);
    words.extend(scope(&args.rest));
    if args.ci {
        words.extend(strings(&["--profile", "ci"]));
    }
    words.extend_from_slice(&args.rest);
    step(&words)
}

/// The tests without nextest: the same ones, but without a limit on the time that one may take.
fn built_in(args: &Args) -> Result {
    println!(
        "test: there is no cargo-nextest, so cargo's own runner is used: a test that hangs is not ended"
    );
    let mut words = strings(&["test", "--tests"]);
    words.extend(scope(&args.rest));
    if args.ci {
        words.push("--no-fail-fast".to_owned());
    }
    words.extend_from_slice(&args.rest);
    step(&words)
}

/// The whole workspace, unless the arguments name packages.
fn scope(rest: &[String]) -> Option<String> {
    let names_package = |word: &String| word.starts_with("-p") || word.starts_with("--package");
    (!rest.iter().any(names_package)).then(|| "--workspace".to_owned())
}

fn step(words: &[String]) -> Result {
    let mut command = cargo();
    command.args(words);
    println!("test: {}", shown(&command));
    execute(&mut command)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_are_tested_unless_one_is_named() {
        assert_eq!(scope(&[]), Some("--workspace".to_owned()));
        assert_eq!(scope(&strings(&["--no-capture", "dist_45"])), Some("--workspace".to_owned()));
        assert_eq!(scope(&strings(&["-p", "transship-spec"])), None);
        assert_eq!(scope(&strings(&["--package=transship-spec"])), None);
    }
}
