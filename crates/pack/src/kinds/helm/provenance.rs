//! The provenance of a chart: a text with a signature of PGP around it, which names the chart's archive and its digest.
//!
//! Whether it fits the chart is looked at; the signature is not verified, for that takes a key.

use transship_spec::yaml::{Node, Value};
use transship_spec::{Digest, quote};

use super::metadata::Metadata;

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// Whether a provenance speaks of this chart, whose archive has one of these names, and says its digest.
///
/// # Errors
/// The reason why it does not.
pub(super) fn check(text: &[u8], chart: &Metadata, digest: &Digest, names: &[String]) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let message = message(text)?;
    let (about, sums) = message
        .split_once("\n...\n")
        .ok_or("it does not have two parts, the chart's metadata and its digest")?;
    let about = Metadata::read(about.as_bytes(), None)
        .map_err(|reason| format!("its first part is no metadata of a chart: {reason}"))?;
    if (&about.name, &about.version) != (&chart.name, &chart.version) {
        return Err(format!(
            "it speaks of {} {}, and the chart is {} {}",
            quote(&about.name),
            quote(&about.version),
            quote(&chart.name),
            quote(&chart.version)
        ));
    }
    let sums = transship_spec::yaml::read(sums).map_err(|flaw| format!("its second part, {flaw}"))?;
    let files = files(&sums).ok_or("its second part names no files")?;
    let named: Vec<_> = files.iter().filter(|(name, _)| names.contains(name)).collect();
    if named.is_empty() {
        let files: Vec<String> = files.iter().take(3).map(|(name, _)| quote(name)).collect();
        return Err(format!(
            "it names {}, and not {}",
            files.join(", "),
            quote(names.first().map_or("", String::as_str))
        ));
    }
    match named.iter().find(|(_, sum)| *sum != digest.to_string()) {
        Some((name, sum)) => {
            Err(format!("it says that {} is {}, and its digest is {digest}", quote(name), quote(sum)))
        }
        None => Ok(()),
    }
}

/// What is signed, without the escapes of lines that begin with a dash.
fn message(text: &str) -> Result<String, &'static str> {
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| *line != BEGIN);
    lines.next().ok_or("it is no text that PGP has signed")?;
    // Headers, to the first empty line.
    let lines = lines.skip_while(|line| !line.is_empty()).skip(1);
    let mut message = String::new();
    let mut rest = text.lines().map(str::trim_end).skip_while(|line| *line != SIGNATURE);
    if rest.next().is_none() || !rest.any(|line| line == END) {
        return Err("it has no signature");
    }
    for line in lines.take_while(|line| *line != SIGNATURE) {
        message.push_str(line.strip_prefix("- ").unwrap_or(line));
        message.push('\n');
    }
    Ok(message)
}

/// The files of `files: {NAME: sha256:…}`.
fn files(node: &Node) -> Option<Vec<(String, String)>> {
    let Value::Mapping(entries) = &node.value else { return None };
    let files = entries.iter().find(|entry| entry.key == "files")?;
    let Value::Mapping(files) = &files.node.value else { return None };
    let file = |entry: &transship_spec::yaml::Entry| match &entry.node.value {
        Value::Scalar(sum, _) => Some((entry.key.clone(), sum.clone())),
        _ => None,
    };
    files.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sum: &Digest) -> String {
        format!(
            "{BEGIN}\nHash: SHA512\n\napiVersion: v1\nname: c\nversion: 1.0.0\nsources:\n- - x\n\n...\nfiles:\n  c-1.0.0.tgz: {sum}\n{SIGNATURE}\n\nabc\n{END}\n"
        )
        .replace("- - x", "- - https://x")
    }

    #[test]
    fn a_provenance_names_the_chart_its_archive_and_its_digest() {
        let chart = Metadata::read(b"name: c\nversion: 1.0.0\n", None).unwrap();
        let digest = Digest::sha256(b"chart");
        let names = ["c-1.0.0.tgz".to_owned()];
        let whole = text(&digest);
        let refused = |text: &str| check(text.as_bytes(), &chart, &digest, &names).unwrap_err();
        check(whole.as_bytes(), &chart, &digest, &names).unwrap();
        check(whole.replace('\n', "\r\n").as_bytes(), &chart, &digest, &names).unwrap();
        for (text, words) in [
            (whole.replace("name: c", "name: d"), "it speaks of \"d\""),
            (whole.replace("version: 1.0.0", "version: 1.0.1"), "\"1.0.1\""),
            (whole.replace("c-1.0.0.tgz", "d-1.0.0.tgz"), "it names \"d-1.0.0.tgz\""),
            (text(&Digest::sha256(b"other")), "its digest is"),
            (whole.replace(BEGIN, ""), "PGP"),
            (whole.replace(SIGNATURE, ""), "no signature"),
            (whole.replace(END, ""), "no signature"),
            (whole.replace("\n...\n", "\n"), "two parts"),
            (whole.replace("files:", "names:"), "names no files"),
            (whole.replace("  c-1.0.0", "  - c-1.0.0"), "names no files"),
            (whole.replace("apiVersion: v1", "{"), "line"),
            (String::new(), "PGP"),
        ] {
            let reason = refused(&text);
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }
}
