//! `cargo xtask check`: everything that must hold before the tests are worth running.
//!
//! The steps go from cheap to dear, all of them are taken even when one fails, and `--only` picks some. What a step finds
//! is printed one finding a line, with the file or crate at fault and the rule.

mod dependencies;
mod floor_plan;
mod refused;
mod sources;
mod tokens;
mod trees;

use std::time::Instant;

use clap::ValueEnum;

use crate::Result;
use crate::process::{cargo, run as execute, succeeds};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    Fmt,
    FloorPlan,
    Sources,
    NoC,
    Licences,
    Clippy,
    Docs,
}

impl Step {
    fn purpose(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted (cargo fmt --check)",
            Self::FloorPlan => "crates depend only on what lies below them",
            Self::Sources => "no unsafe, no print, no I/O where it has no place; files and tours are short",
            Self::NoC => "spec and layout build without a C compiler",
            Self::Licences => "licences, bans and sources of what we link (cargo deny)",
            Self::Clippy => "no lint warns (cargo clippy)",
            Self::Docs => "the documentation has no broken link (cargo doc)",
        }
    }

    fn run(self) -> Result<Verdict> {
        match self {
            Self::Fmt => execute(cargo().args(["fmt", "--all", "--check"])),
            Self::FloorPlan => floor_plan(),
            Self::Sources => report(&sources::findings(&metadata()?)?),
            Self::NoC => no_c(),
            Self::Licences => return licences(),
            Self::Clippy => {
                execute(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
            }
            Self::Docs => {
                execute(cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps"]))
            }
        }?;
        Ok(Verdict::Holds)
    }
}

/// What a step says when it does not fail.
enum Verdict {
    Holds,
    /// The machine lacks something that nobody is obliged to have; the text says what.
    NotChecked(&'static str),
}

pub(crate) fn run(args: &Args) -> Result {
    let steps = if args.only.is_empty() { Step::value_variants() } else { &args.only[..] };
    let mut failed = Vec::new();
    for step in steps {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("check {name}: {}", step.purpose());
        let start = Instant::now();
        match step.run() {
            Ok(Verdict::Holds) => println!("check {name}: ok ({:.1} s)", start.elapsed().as_secs_f32()),
            Ok(Verdict::NotChecked(why)) => println!("check {name}: not checked: {why}"),
            Err(error) => {
                println!("check {name}: FAILED: {error}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("check failed: {}", failed.join(", ")).into()) }
}

fn floor_plan() -> Result {
    let metadata = metadata()?;
    let rooms = floor_plan::rooms(&metadata);
    let mut findings = floor_plan::findings(&rooms);
    findings.extend(trees::without_runtime(&rooms)?);
    findings.extend(refused::findings()?);
    findings.extend(dependencies::findings()?);
    report(&findings)
}

fn no_c() -> Result {
    let packages = ["-p", "transship-spec", "-p", "transship-layout"];
    execute(cargo().args(["check", "--quiet", "--no-default-features"]).args(packages))?;
    report(&trees::without_c()?)
}

/// cargo-deny is a convenience of developers, too large to be built for one check.
fn licences() -> Result<Verdict> {
    if !succeeds(cargo().args(["deny", "--version"])) {
        return Ok(Verdict::NotChecked("cargo-deny is missing (cargo install --locked cargo-deny)"));
    }
    execute(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    Ok(Verdict::Holds)
}

/// The members of the workspace with what their manifests say.
fn metadata() -> Result<cargo_metadata::Metadata> {
    let mut command = cargo();
    let text = crate::process::output(command.args(["metadata", "--format-version", "1", "--no-deps"]))?;
    Ok(cargo_metadata::MetadataCommand::parse(text)?)
}

fn report(findings: &[String]) -> Result {
    for finding in findings {
        println!("  {finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("1 finding".into()),
        count => Err(format!("{count} findings").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_fail_a_step_and_none_pass_it() {
        assert!(report(&[]).is_ok());
        assert_eq!(report(&["a".to_owned(), "b".to_owned()]).unwrap_err().to_string(), "2 findings");
    }
}
