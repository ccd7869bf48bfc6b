//! Programs that nobody here wrote: they read what we write, and write what we read.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where a program is.
///
/// # Panics
/// If it is not in the `PATH`: `cargo xtask test` installs what the tests need.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: `cargo xtask test` installs it"))
}

/// Runs a program to its end; what it wrote to its standard output.
///
/// # Panics
/// If it is missing or fails: with its arguments and what it complained about.
pub fn run<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Vec<u8> {
    match attempt(name, arguments) {
        Ok(output) => output,
        Err(complaint) => panic!("{complaint}"),
    }
}

/// Runs a program to its end; what it wrote to its standard output, or what it complained about.
///
/// # Errors
/// What it wrote to its standard error, after its arguments and its exit code.
///
/// # Panics
/// If it is missing.
pub fn attempt<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Result<Vec<u8>, String> {
    let output = Command::new(program(name)).args(arguments).stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} {}: {}\n{said}", words.join(" "), output.status))
}

/// Runs skopeo; what it wrote to its standard output.
///
/// # Panics
/// As [`run`].
pub fn skopeo<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    String::from_utf8(run("skopeo", arguments)).unwrap()
}

/// Runs umoci; what it wrote to its standard output.
///
/// # Panics
/// As [`run`].
pub fn umoci<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    String::from_utf8(run("umoci", arguments)).unwrap()
}
