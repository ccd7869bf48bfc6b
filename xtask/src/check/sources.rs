//! Rules over the source files: what may be named where, and how long a file may be.
//!
//! Lints hold much of this already; here it is held against whoever would allow a lint. Tests within a crate are free but
//! for `unsafe`, length and `testkit`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::Metadata;

use super::tokens::{self, Name};
use crate::Result;

/// Longer files want splitting along a seam that has a name.
const LINES: usize = 600;

/// Modules of std that do I/O or look at the process; of `net`, [`ADDRESSES`] do neither.
const IO: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
];
const ADDRESSES: &[&str] =
    &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];
const PRINTS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
const PRINT_LINTS: &[&str] = &["print_stdout", "print_stderr", "dbg_macro"];
const ENVIRONMENT: &[&str] =
    &["var", "var_os", "vars", "vars_os", "args", "args_os", "set_var", "remove_var", "home_dir"];

/// Who talks to the user and reads the process.
const TALKS: &[&str] = &["transship", "xtask"];
/// Whose `src` would be compiled twice if its unit tests had testkit.
const BELOW_TESTKIT: &[&str] = &["transship-spec", "transship-codec", "transship-layout", "transship-serve"];

/// One source file.
struct File<'a> {
    package: &'a str,
    /// From the root of the workspace.
    path: String,
    /// Whether it belongs to `src`, not to `tests`, `benches` or `examples`.
    inner: bool,
    lines: usize,
    all: Vec<Name>,
    /// Without what is only for tests; nothing if the whole file is.
    shipped: Vec<Name>,
    beside_tour: Vec<(usize, String)>,
}

/// Everything in the sources that a rule does not allow.
pub(super) fn findings(metadata: &Metadata) -> Result<Vec<String>> {
    let root = metadata.workspace_root.as_std_path();
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.as_std_path().parent().unwrap_or(root);
        for file in read(root, folder, &package.name)? {
            findings.extend(check(&file));
        }
    }
    Ok(findings)
}

/// The source files of a package.
fn read<'a>(root: &Path, folder: &Path, package: &'a str) -> Result<Vec<File<'a>>> {
    let mut files = Vec::new();
    let mut for_tests = HashSet::new();
    for path in ["src", "tests", "benches", "examples"].iter().map(|part| folder.join(part)) {
        for path in rust_files(&path)? {
            let text = fs::read_to_string(&path)?;
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let (file, modules) = parse(package, shown, &text)?;
            for_tests.extend(modules.iter().flat_map(|module| places(&file.path, module)));
            files.push(file);
        }
    }
    for file in &mut files {
        let tested = for_tests.iter().any(|place| Path::new(&file.path).starts_with(place));
        if tested {
            file.shipped.clear();
        }
    }
    Ok(files)
}

/// A file's text as what the rules look at, and its modules elsewhere that are only for tests.
fn parse<'a>(package: &'a str, path: String, text: &str) -> Result<(File<'a>, Vec<String>)> {
    let stream: proc_macro2::TokenStream = text.parse().map_err(|error| format!("{path}: {error}"))?;
    let (shipped, modules) = tokens::without_tests(stream.clone());
    let inner = path.split('/').any(|part| part == "src");
    let tour = inner && path.ends_with("src/lib.rs");
    let beside_tour = if tour { tokens::beside_tour(shipped.clone()) } else { Vec::new() };
    let all = tokens::names(stream);
    let shipped = if inner { tokens::names(shipped) } else { Vec::new() };
    let lines = text.lines().count();
    Ok((File { package, path, inner, lines, all, shipped, beside_tour }, modules))
}

/// Where a module declared in `file` may lie: its file or its folder.
fn places(file: &str, module: &str) -> [PathBuf; 2] {
    let file = Path::new(file);
    let folder = file.parent().unwrap_or(file);
    let stem = file.file_stem().unwrap_or_default();
    let own = ["lib", "main", "mod"].iter().any(|name| stem == *name);
    let folder = if own { folder.to_path_buf() } else { folder.join(stem) };
    [folder.join(format!("{module}.rs")), folder.join(module)]
}

/// The Rust files beneath a folder, sorted; none if there is no folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What a file does that it may not.
fn check(file: &File<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut find = |line: usize, text: String| findings.push(format!("{}:{line}: {text}", file.path));
    if file.inner && file.lines > LINES {
        find(
            LINES,
            format!("the file has {} lines; split it along a seam that has a name ({LINES})", file.lines),
        );
    }
    for (line, word) in &file.beside_tour {
        find(*line, format!("lib.rs is a tour of modules and uses, but here is `{word}`"));
    }
    for name in &file.all {
        if let Some(fault) = everywhere(file, name) {
            find(name.line, fault);
        }
    }
    for name in &file.shipped {
        if let Some(fault) = shipped(file.package, name) {
            find(name.line, fault);
        }
    }
    findings
}

/// Rules that hold in tests as well.
fn everywhere(file: &File<'_>, name: &Name) -> Option<String> {
    if name.has("unsafe") {
        return Some("`unsafe` has no place here".to_owned());
    }
    let twice = file.inner && BELOW_TESTKIT.contains(&file.package) && name.has("transship_testkit");
    twice.then(|| "testkit in a unit test compiles this crate twice; move the test to tests/".to_owned())
}

/// Rules for what is shipped.
fn shipped(package: &str, name: &Name) -> Option<String> {
    let path = name.segments.join("::");
    if package == "transship-spec" && does_io(name) {
        return Some(format!("spec does no I/O, but here is `{path}`"));
    }
    if package == "transship-copy" && name.has("reqwest") {
        return Some("copy never names reqwest; ask transship-registry".to_owned());
    }
    if TALKS.contains(&package) {
        return None;
    }
    if name.called && name.segments.last().is_some_and(|last| PRINTS.contains(&last.as_str())) {
        return Some(format!("only the command line prints, but here is `{path}!`"));
    }
    if PRINT_LINTS.iter().any(|lint| name.is_within(&["clippy", lint])) {
        return Some(format!("only the command line may allow `{path}`"));
    }
    let reads = ENVIRONMENT
        .iter()
        .any(|verb| name.is_within(&["env", verb]) || name.is_within(&["std", "env", verb]));
    (reads && package != "transship-testkit")
        .then(|| format!("only the command line reads the process's environment, but here is `{path}`"))
}

fn does_io(name: &Name) -> bool {
    let address = name.segments.get(2).is_some_and(|part| ADDRESSES.contains(&part.as_str()));
    let pure = name.is_within(&["std", "net"]) && address;
    !pure && IO.iter().any(|path| name.is_within(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, path: &str, text: &str) -> Vec<String> {
        check(&parse(package, path.to_owned(), text).unwrap().0)
    }

    #[test]
    fn spec_may_speak_of_files_but_not_open_them() {
        let pure = "//! std::fs is not used.\nuse std::net::{IpAddr, Ipv6Addr};\nuse std::io;\n#[cfg(test)] mod tests { use std::fs; }";
        assert_eq!(found("transship-spec", "crates/spec/src/a.rs", pure), Vec::<String>::new());
        let io = "use std::{fmt, fs};\nfn a() { std::env::var(\"HOME\"); }\nuse std::net::TcpStream;";
        let findings = found("transship-spec", "crates/spec/src/a.rs", io);
        assert!(findings[0].starts_with("crates/spec/src/a.rs:1: spec does no I/O"), "{findings:?}");
        assert_eq!(findings.len(), 3);
    }

    #[test]
    fn only_the_command_line_prints_and_reads_the_environment() {
        let text = "fn a() { println!(\"a\"); let home = std::env::var(\"HOME\"); }";
        assert_eq!(found("transship-copy", "crates/copy/src/a.rs", text).len(), 2);
        assert_eq!(found("transship", "crates/cli/src/a.rs", text).len(), 0);
        let allowed = "#![expect(clippy::print_stdout, reason = \"no\")]";
        assert_eq!(found("transship-copy", "crates/copy/src/a.rs", allowed).len(), 1);
        assert_eq!(found("transship-copy", "crates/copy/tests/a.rs", text).len(), 0, "tests may print");
    }

    #[test]
    fn unsafe_is_found_in_tests_too() {
        let text = "#[cfg(test)] mod tests { fn a() { unsafe { b() } } }";
        assert_eq!(found("transship-pack", "crates/pack/src/a.rs", text).len(), 1);
        assert_eq!(found("transship-pack", "crates/pack/tests/a.rs", "unsafe fn a() {}").len(), 1);
    }

    #[test]
    fn testkit_and_reqwest_are_found_where_they_have_no_place() {
        let testkit = "#[cfg(test)] mod tests { use transship_testkit::Registry; }";
        assert_eq!(found("transship-serve", "crates/serve/src/a.rs", testkit).len(), 1);
        assert_eq!(found("transship-copy", "crates/copy/src/a.rs", testkit).len(), 0);
        assert_eq!(found("transship-copy", "crates/copy/src/a.rs", "fn a(_: reqwest::Url) {}").len(), 1);
    }

    #[test]
    fn a_file_may_have_six_hundred_lines_and_a_tour_no_function() {
        assert_eq!(found("transship-pack", "crates/pack/src/a.rs", &"\n".repeat(LINES)).len(), 0);
        assert_eq!(found("transship-pack", "crates/pack/src/a.rs", &"\n".repeat(LINES + 1)).len(), 1);
        assert_eq!(found("transship-pack", "crates/pack/tests/a.rs", &"\n".repeat(LINES + 1)).len(), 0);
        assert_eq!(found("transship-pack", "crates/pack/src/lib.rs", "mod a;\nfn f() {}").len(), 1);
    }

    #[test]
    fn a_module_lies_beside_or_beneath_the_file_that_declares_it() {
        assert_eq!(
            places("src/a/mod.rs", "tests"),
            [PathBuf::from("src/a/tests.rs"), PathBuf::from("src/a/tests")]
        );
        assert_eq!(
            places("src/a.rs", "tests"),
            [PathBuf::from("src/a/tests.rs"), PathBuf::from("src/a/tests")]
        );
        assert_eq!(places("src/lib.rs", "tests")[0], Path::new("src/tests.rs"));
    }
}
