//! `push` and `pull`: habits of other tools, answered with the line to type.

use transship_spec::{Location, Reference};

use crate::args::Refused;
use crate::exit::Failure;

/// `push [SOURCE] DEST`
pub(crate) fn push(args: &Refused) -> Failure {
    let (flags, words) = split(args);
    let line = match words.as_slice() {
        [] => "oci:DIR:REF docker://HOST/REPO:TAG".to_owned(),
        [only] => format!("oci:DIR:REF {}", remote(only)),
        [source, dest, ..] => format!("{} {}", local(source), remote(dest)),
    };
    refuse("push", &flags, &line)
}

/// `pull SOURCE [DEST]`
pub(crate) fn pull(args: &Refused) -> Failure {
    let (flags, words) = split(args);
    let line = match words.as_slice() {
        [] => "docker://HOST/REPO:TAG oci:DIR".to_owned(),
        [only] => format!("{} oci:DIR", remote(only)),
        [source, dest, ..] => format!("{} {}", remote(source), local(dest)),
    };
    refuse("pull", &flags, &line)
}

fn refuse(word: &str, flags: &str, line: &str) -> Failure {
    Failure::usage(format!("there is no {word}: copy works in both directions"))
        .hint(format!("type transship copy {flags}{line}"))
}

/// Flags, each with a blank behind it, and locations.
fn split(args: &Refused) -> (String, Vec<&str>) {
    let (flags, words): (Vec<&str>, Vec<&str>) =
        args.arguments.iter().map(String::as_str).partition(|word| word.starts_with('-'));
    (flags.iter().map(|flag| format!("{flag} ")).collect(), words)
}

fn remote(word: &str) -> String {
    match Location::parse(word) {
        Ok(Location::Registry(_)) if !word.starts_with("docker://") => format!("docker://{word}"),
        _ => word.to_owned(),
    }
}

/// A bare word beside a registry is the folder.
fn local(word: &str) -> String {
    let registry = Reference::parse(word).is_ok_and(|reference| word.starts_with(reference.registry()));
    match Location::parse(word) {
        Ok(Location::Registry(_)) if !registry && !word.contains("://") => format!("oci:{word}"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(answer: fn(&Refused) -> Failure, words: &[&str]) -> String {
        let arguments = words.iter().map(|word| (*word).to_owned()).collect();
        answer(&Refused { arguments }).remedy().unwrap_or_default().to_owned()
    }

    #[test]
    fn push_and_pull_answer_with_the_line_to_type() {
        let line = hint(push, &["oci:out:v1", "r.example/app:v1"]);
        assert_eq!(line, "type transship copy oci:out:v1 docker://r.example/app:v1");
        assert_eq!(
            hint(push, &["out:v1", "docker://r.example/a"]),
            "type transship copy oci:out:v1 docker://r.example/a"
        );
        assert_eq!(hint(pull, &["alpine:3"]), "type transship copy docker://alpine:3 oci:DIR");
        assert_eq!(
            hint(pull, &["-q", "r.example/a", "out"]),
            "type transship copy -q docker://r.example/a oci:out"
        );
        assert!(hint(pull, &[]).ends_with("docker://HOST/REPO:TAG oci:DIR"));
    }
}
