//! `cargo xtask fuzz`: each fuzz target for a while, on the same stable compiler as all else.
//!
//! The targets lie in `fuzz/`, apart from the workspace. What they found before is kept in `fuzz/corpus`, which is not
//! part of the repository; an input that breaks a promise stays in `fuzz/artifacts`.

use crate::Result;
use crate::process::{cargo, root, run as execute, shown, succeeds, target};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The targets; all of them when none is named
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u32,
}

pub(crate) fn run(args: &Args) -> Result {
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        return Err("cargo-fuzz is missing; get it with: cargo install cargo-fuzz --locked".into());
    }
    let targets = if args.targets.is_empty() { all()? } else { args.targets.clone() };
    for name in targets {
        let mut command = cargo();
        command.args(["fuzz", "run", "--target-dir"]).arg(target().join("fuzz")).arg(&name);
        command.args(["--", &format!("-max_total_time={}", args.seconds), "-rss_limit_mb=1024"]);
        // The instrumentation is an unstable option of a compiler that has it all the same.
        command.current_dir(root().join("fuzz")).env("RUSTC_BOOTSTRAP", "1");
        println!("fuzz: {}", shown(&command));
        execute(&mut command)?;
    }
    Ok(())
}

/// The targets that there are, by their files.
fn all() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_named_in_the_manifest_and_told_of_in_the_readme() {
        let read = |file: &str| std::fs::read_to_string(root().join("fuzz").join(file)).unwrap();
        let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
        for name in all().unwrap() {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
