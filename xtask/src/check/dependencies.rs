//! The dependencies of the workspace are told: each entry of `[workspace.dependencies]` has its reason in ARCHITECTURE.md,
//! and nothing is told that is not there.

use std::collections::BTreeSet;
use std::fs;

use crate::Result;
use crate::process::root;

/// Entries without a reason, and reasons without an entry.
pub(super) fn findings() -> Result<Vec<String>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let document = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    Ok(compare(&entries(&manifest), &told(&document)))
}

fn compare(entries: &BTreeSet<&str>, told: &BTreeSet<&str>) -> Vec<String> {
    let untold = entries.difference(told);
    let untold =
        untold.map(|name| format!("ARCHITECTURE.md, \"Dependencies\": does not say why {name} is here"));
    let gone = told.difference(entries);
    let gone =
        gone.map(|name| format!("ARCHITECTURE.md, \"Dependencies\": tells of {name}, which is not here"));
    untold.chain(gone).collect()
}

/// The names in `[workspace.dependencies]` of the root manifest, but for our own crates.
fn entries(manifest: &str) -> BTreeSet<&str> {
    let section = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    let names = section.filter_map(|line| Some(line.split_once(" = ")?.0.trim()));
    names.filter(|name| !name.starts_with("transship") && !name.starts_with('#')).collect()
}

/// The names that begin the rows of the tables under "Dependencies".
fn told(document: &str) -> BTreeSet<&str> {
    let section = document.lines().skip_while(|line| *line != "## Dependencies").skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    section.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace]\nresolver = \"3\"\n\n[workspace.dependencies]\ntransship-spec = { path = \"x\" }\n\n\
                            # why\nbytes = \"1\"\ntar = { version = \"0.4\" }\n\n[profile.dev]\ndebug = 1\n";

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let document = "| `x` | no |\n## Dependencies\n\n| crate | why |\n|---|---|\n| `bytes` | shared |\n## More\n| `tar` | no |\n";
        let findings = compare(&entries(MANIFEST), &told(document));
        assert_eq!(findings, ["ARCHITECTURE.md, \"Dependencies\": does not say why tar is here"]);
    }

    #[test]
    fn a_reason_without_a_dependency_is_found() {
        let document = "## Dependencies\n| `bytes` | shared |\n| `tar` | tars |\n| `gone` | once |\n";
        let findings = compare(&entries(MANIFEST), &told(document));
        assert_eq!(findings, ["ARCHITECTURE.md, \"Dependencies\": tells of gone, which is not here"]);
    }
}
