//! `@FILE` in place of arguments: the lines of a file, one argument a line.

use std::ffi::OsString;
use std::io::Read as _;

use transship_spec::Kind;

use crate::exit::Failure;

/// Bytes of one such file.
const MOST: u64 = 4 << 20;

/// The arguments with each `@FILE` replaced by the lines of that file; empty lines are left out. What a file holds is not
/// expanded again, nor is anything after `--`. A file whose name begins with `@` is `./@…`.
pub(crate) fn expand(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, Failure> {
    let mut expanded = Vec::new();
    let mut literal = false;
    for argument in arguments {
        literal |= argument == "--";
        match argument.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(file) if !literal && !file.is_empty() => {
                let text = read(file)?;
                expanded.extend(text.lines().filter(|line| !line.is_empty()).map(OsString::from));
            }
            _ => expanded.push(argument),
        }
    }
    Ok(expanded)
}

fn read(name: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData => Failure::usage(format!("@{name}: it is not text")),
        _ => Failure::io(format!("cannot read the arguments in {name}"), &error),
    };
    let mut text = String::new();
    let file = std::fs::File::open(name).map_err(failed)?;
    file.take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(Failure::new(Kind::Limit, format!("the arguments in {name} exceed the limit of 4 MiB")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &[&str]) -> Result<Vec<OsString>, Failure> {
        expand(arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_file_stands_for_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("args");
        std::fs::write(&path, "--env\nA=b c\r\n\n@other\n").unwrap();
        let at = format!("@{}", path.display());
        assert_eq!(expanded(&["x", &at]).unwrap(), ["x", "--env", "A=b c", "@other"]);
        assert_eq!(expanded(&["--", &at]).unwrap(), ["--", &at]);
        assert_eq!(expanded(&["@"]).unwrap(), ["@"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = expanded(&["@/nowhere/args"]).unwrap_err();
        assert_eq!(failure.code(), 3);
        assert!(failure.to_string().contains("/nowhere/args"), "{failure}");
    }
}
