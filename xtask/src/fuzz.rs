//! `cargo xtask fuzz`: each fuzz target for a while, on the same stable compiler as all else.
//!
//! The targets lie in `fuzz/`, apart from the workspace; what they do lies in `fuzz/bodies`, a member of it. A run begins
//! with the inputs that are kept in `fuzz/corpus`, and with those that earlier runs found, which stay in the folder that
//! cargo builds into. The kept ones change only by `--keep`, which adds what reaches further. An input that breaks a
//! promise stays in `fuzz/artifacts`.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{cargo, root, run as execute, shown, succeeds, target};

/// Where temporary folders cost no disk, on Linux.
const MEMORY: &str = "/dev/shm";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The targets; all of them when none is named
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u32,
    /// Add what was found and reaches further to the corpus in the repository
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        return Err("cargo-fuzz is missing; get it with: cargo install cargo-fuzz --locked".into());
    }
    let targets = if args.targets.is_empty() { all()? } else { args.targets.clone() };
    for name in targets {
        let kept = root().join("fuzz/corpus").join(&name);
        let found = target().join("fuzz-corpus").join(&name);
        std::fs::create_dir_all(&found)?;
        // The first folder is the one that is written to.
        fuzz(
            &name,
            [&found, &kept],
            &[&format!("-max_total_time={}", args.seconds), "-print_final_stats=1"],
        )?;
        if args.keep {
            fuzz(&name, [&kept, &found], &["-merge=1"])?;
        }
    }
    Ok(())
}

/// Runs a target with these folders of inputs and options of libFuzzer.
fn fuzz(name: &str, folders: [&Path; 2], options: &[&str]) -> Result {
    let mut command: Command = cargo();
    command.args(["fuzz", "run", "--target-dir"]).arg(target().join("fuzz")).arg(name).args(folders);
    command.args(["--", "-rss_limit_mb=1024", "-timeout=10", "-max_len=32768", "-dict=words.dict"]);
    command.args(options);
    // The instrumentation is an unstable option of a compiler that has it all the same.
    command.current_dir(root().join("fuzz")).env("RUSTC_BOOTSTRAP", "1");
    if Path::new(MEMORY).is_dir() {
        command.env("TMPDIR", MEMORY);
    }
    println!("fuzz: {}", shown(&command));
    execute(&mut command)
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
    fn every_target_has_a_body_and_a_corpus_and_is_named_where_targets_are() {
        let read = |file: &str| std::fs::read_to_string(root().join("fuzz").join(file)).unwrap();
        let (manifest, readme, bodies) =
            (read("Cargo.toml"), read("README.md"), read("bodies/src/targets.rs"));
        for name in all().unwrap() {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(readme.contains(&format!("| `{name}` |")), "{name}");
            assert!(bodies.contains(&format!("(\"{name}\", crate::{name}::run)")), "{name}");
            assert!(read(&format!("fuzz_targets/{name}.rs")).contains(&format!("::{name}::run(bytes)")));
            assert!(root().join("fuzz/corpus").join(&name).is_dir(), "{name}");
        }
        assert_eq!(bodies.matches("::run)").count(), all().unwrap().len(), "a body without a target");
    }

    #[test]
    fn what_is_kept_is_small() {
        for name in all().unwrap() {
            let files = std::fs::read_dir(root().join("fuzz/corpus").join(&name)).unwrap();
            let sizes: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
            assert!(
                sizes.len() <= 160 && sizes.iter().sum::<u64>() <= 320 << 10,
                "{name}: cargo fuzz cmin {name}"
            );
        }
    }
}
