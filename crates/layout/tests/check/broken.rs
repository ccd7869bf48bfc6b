//! Every fault is found, and under its own name.

use std::collections::BTreeSet;

use transship_layout::Archive;
use transship_layout::check::{self, Code, Options};

use crate::bench::{Bench, Recipe, codes};
use crate::faults::cases;

fn found(recipe: &Recipe) -> Vec<&'static str> {
    let mut options = Options::default();
    (recipe.options)(&mut options);
    codes(&Bench::new(recipe).check(&options).0)
}

#[test]
fn each_fault_gives_its_codes_and_no_others() {
    let mut wrong = Vec::new();
    for (name, recipe, expected) in cases() {
        let found = found(&recipe);
        if found != expected {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_case_for_every_code() {
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let covered: BTreeSet<_> = cases.iter().flat_map(|(_, _, codes)| codes.iter().copied()).collect();
    // A disk that fails cannot be had here, nor one that others write to: `unreadable.rs` and `beside.rs` have these.
    let missing: Vec<_> =
        Code::ALL.iter().map(|code| code.name()).filter(|name| !covered.contains(name)).collect();
    assert_eq!(missing, ["file-unreadable", "blob-unreadable", "blob-gone"]);
}

/// What only a folder can have, and what a folder has that a tar may do without.
fn is_of_folders(code: &str) -> bool {
    matches!(
        code,
        "stray-file"
            | "root-file-unknown"
            | "blob-name-case"
            | "blob-name-clash"
            | "blobs-missing"
            | "partial-left"
            | "temporary-left"
            | "quarantined"
    )
}

/// What keeps an archive from being opened as a layout.
fn is_of_heads(code: &str) -> bool {
    ["marker-", "version-", "index-", "file-unsafe", "limit-exceeded", "json-"]
        .iter()
        .any(|start| code.starts_with(start))
}

#[test]
fn each_fault_is_found_in_an_archive_too() {
    let (mut wrong, mut opened) = (Vec::new(), 0);
    for (name, recipe, expected) in cases() {
        let bench = Bench::new(&recipe);
        let file = tempfile::NamedTempFile::new().unwrap();
        let tar = std::process::Command::new("tar")
            .args([
                "-C".as_ref(),
                bench.path("").as_os_str(),
                "-cf".as_ref(),
                file.path().as_os_str(),
                ".".as_ref(),
            ])
            .output()
            .unwrap();
        assert!(tar.status.success(), "{name}: {tar:?}");
        let archive = match Archive::options().open(file.path()) {
            Ok(archive) => archive,
            Err(_) if expected.iter().any(|code| is_of_heads(code)) => continue,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut options = Options::default();
        (recipe.options)(&mut options);
        let mut found = Vec::new();
        check::archive(&archive, &options, &mut |finding| found.push(finding.clone())).unwrap();
        let expected: Vec<_> = match name {
            // The folders of a tar say nothing.
            "L19 a blob that is a folder" => vec!["blob-missing"],
            _ => expected.iter().copied().filter(|code| !is_of_folders(code)).collect(),
        };
        let found = codes(&found);
        opened += 1;
        if found != expected {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(opened >= 100, "{opened}");
}
