//! Libraries that must not come in, not even through others: looked for in all that is built on this machine.
//!
//! `deny.toml` refuses the same for all targets, for those who have cargo-deny; a test holds the two lists together. The
//! lock file would be no judge: it also names what no feature of ours asks for.

use crate::Result;
use crate::check::trees;

/// What is refused, and what to take instead.
const REFUSED: &[(&str, &str)] = &[
    ("backoff", "the retry of transship-registry"),
    ("chrono", "jiff"),
    ("cmake", "a library that builds without it"),
    ("fs4", "std::fs::File::lock"),
    ("lazy_static", "std::sync::LazyLock"),
    ("native-tls", "rustls"),
    ("openssl", "rustls"),
    ("openssl-sys", "rustls"),
    ("serde_yaml", "a maintained YAML crate"),
    ("tokio-tar", "tar"),
];

/// What of the refused is built for the workspace and its tests.
pub(super) fn findings() -> Result<Vec<String>> {
    let built = trees::names(&["--workspace", "--edges", "normal,build,dev"])?;
    Ok(among(&built))
}

fn among(built: &[String]) -> Vec<String> {
    let refused = built.iter().filter_map(|name| REFUSED.iter().find(|(refused, _)| refused == name));
    refused
        .map(|(name, instead)| format!("{name} is refused: take {instead} (cargo tree -i {name})"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process::root;

    #[test]
    fn a_refused_library_is_found_with_what_to_take_instead() {
        let built = ["serde", "chrono", "openssl-probe"].map(str::to_owned);
        assert_eq!(among(&built), ["chrono is refused: take jiff (cargo tree -i chrono)"]);
    }

    #[test]
    fn cargo_deny_refuses_the_same() {
        let deny = fs::read_to_string(root().join("deny.toml")).unwrap();
        let mut banned: Vec<&str> = deny
            .lines()
            .filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next())
            .collect();
        banned.sort_unstable();
        assert_eq!(banned, REFUSED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
