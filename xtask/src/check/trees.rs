//! What is linked in the end: rules over `cargo tree`, which follows dependencies of dependencies.

use super::floor_plan::{BLOCKING, RUNTIME, Room, of_family};
use crate::Result;
use crate::process::{cargo, output};

/// Crates that call a compiler of another language when they are built.
const C: &[&str] = &["cc", "cmake", "zstd-sys"];

/// Blocking crates that link a runtime after all, through another crate.
pub(super) fn without_runtime(rooms: &[Room]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for room in rooms.iter().filter(|room| BLOCKING.contains(&room.name.as_str())) {
        let linked = linked(&room.name, &[])?;
        let mut runtime = linked.iter().filter(|name| RUNTIME.iter().any(|library| of_family(name, library)));
        findings.extend(runtime.next().map(|name| {
            format!("{0}: links {name} (cargo tree -e normal,build -p {0} -i {name})", room.name)
        }));
    }
    Ok(findings)
}

/// Crates that need a C compiler though they are built without default features.
pub(super) fn without_c() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in ["transship-spec", "transship-layout"] {
        let linked = linked(package, &["--no-default-features"])?;
        let compiled = linked.iter().filter(|name| C.contains(&name.as_str()));
        findings.extend(compiled.map(|name| format!("{package}: needs {name} without default features")));
    }
    Ok(findings)
}

/// The names of all that is built for a package.
fn linked(package: &str, features: &[&str]) -> Result<Vec<String>> {
    names(&[&["--edges", "normal,build", "--package", package], features].concat())
}

/// The names of all that is in a tree of this machine, sorted, each once.
pub(super) fn names(tree: &[&str]) -> Result<Vec<String>> {
    let text = output(cargo().args(["tree", "--prefix", "none", "--format", "{p}"]).args(tree))?;
    Ok(first_words(&text))
}

fn first_words(tree: &str) -> Vec<String> {
    let words = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<String> = words.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_names() {
        let tree =
            "transship-spec v0.1.0 (/w/crates/spec)\nserde v1.0.2\n\nserde v1.0.2 (*)\nbytes v1.12.2\n";
        assert_eq!(first_words(tree), ["bytes", "serde", "transship-spec"]);
    }
}
