//! Files of `skopeo sync --src yaml`.

use transship_spec::{Digest, Location, is_registry, quote};

use super::draft::{Draft, Keys, Said};
use super::fields::{self, Fields};
use super::{At, regsync, rules};
use crate::Result;
use crate::sync::yaml::Node;
use crate::sync::yaml::Wrong as _;

pub(super) fn read(root: &Node, to: &str) -> Result<Draft> {
    let mut draft = Draft::default();
    draft.notes.extend(NOTES);
    draft.defaults = vec![("referrers", Said::from("none")), ("digest-tags", Said::Flag(false))];
    for (name, at, node) in Fields::any(root)?.all() {
        if !is_registry(name) {
            return Err(at.wrong(format!("{} is not the name of a registry", quote(name))));
        }
        registry(name, &Fields::any(node)?, to, &mut draft)?;
    }
    Ok(draft)
}

const NOTES: [&str; 2] = [
    "skopeo sync copies one platform of an index unless it is told --all; this copies all: platform chooses.",
    "It copies no signatures, SBOMs and the like as referrers: referrers: all does.",
];

fn registry(name: &str, fields: &Fields<'_>, to: &str, draft: &mut Draft) -> Result<()> {
    for (key, _, node) in fields.all() {
        match key {
            "images" => {
                for (repository, at, node) in Fields::any(node)?.all() {
                    images((name, repository), (at, node), to, draft)?;
                }
            }
            "images-by-tag-regex" => by_rule(name, node, to, draft, |text| Ok(vec![rules::anywhere(text)?]))?,
            "images-by-semver" => by_rule(name, node, to, draft, rules::versions)?,
            "tls-verify" => {
                if fields.flag(key)? == Some(false) {
                    draft.registry(name, "insecure", Said::Flag(true));
                    draft.leave_out(
                        node.at,
                        "tls-verify: false also means plain HTTP; if so, write plain-http: true",
                    );
                }
            }
            "credentials" => credentials(name, &Fields::any(node)?, draft)?,
            "cert-dir" => draft.leave_out(node.at, "cert-dir: name its files as ca-file, cert and key"),
            key => draft.leave_out(node.at, format!("{key} has no like here")),
        }
    }
    Ok(())
}

fn credentials(name: &str, fields: &Fields<'_>, draft: &mut Draft) -> Result<()> {
    let (Some(user), Some(_)) = (fields.text("username")?, fields.text("password")?) else { return Ok(()) };
    let password = regsync::in_clear(draft, fields.at_of("password"), name);
    draft.credentials(name, vec![("user", Said::from(user)), password]);
    Ok(())
}

/// All tags of a repository, or some tags and digests.
fn images(
    (name, repository): (&str, &str),
    (at, node): (At, &Node),
    to: &str,
    draft: &mut Draft,
) -> Result<()> {
    let versions = if node.is_nothing() { Vec::new() } else { fields::texts(node)? };
    if versions.is_empty() {
        let keys = vec![("all-tags", Said::Flag(true))];
        add(at, (format!("docker://{name}/{repository}"), target(to, repository, "")), keys, draft);
    }
    for (at, version) in versions {
        let version = match Digest::parse(version) {
            Ok(digest) => format!("@{digest}"),
            Err(_) => format!(":{version}"),
        };
        let from = format!("docker://{name}/{repository}{version}");
        add(at, (from, target(to, repository, &version)), Vec::new(), draft);
    }
    Ok(())
}

fn by_rule(
    name: &str,
    node: &Node,
    to: &str,
    draft: &mut Draft,
    rule: fn(&str) -> Result<Vec<String>, String>,
) -> Result<()> {
    for (repository, _, node) in Fields::any(node)?.all() {
        match rule(fields::text(node)?) {
            Ok(rules) => {
                let keys = vec![("tags", Said::List(rules))];
                add(
                    node.at,
                    (format!("docker://{name}/{repository}"), target(to, repository, "")),
                    keys,
                    draft,
                );
            }
            Err(why) => draft.leave_out(node.at, why),
        }
    }
    Ok(())
}

/// Below a registry, skopeo keeps the last part of a repository's name. A layout takes whole names.
fn target(to: &str, repository: &str, version: &str) -> String {
    let is_local =
        ["oci:", "oci-archive:", "docker-archive:", "./", "/"].iter().any(|prefix| to.starts_with(prefix));
    if is_local {
        return to.to_owned();
    }
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let to = to.strip_prefix("docker://").unwrap_or(to).trim_end_matches('/');
    format!("docker://{to}/{last}{version}")
}

fn add(at: At, (from, to): (String, String), more: Keys, draft: &mut Draft) {
    let said = |text: &str| Location::parse(text).map(|location| location.to_string());
    let (from, to) = match (said(&from), said(&to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(error), _) | (_, Err(error)) => return draft.leave_out(at, error.to_string()),
    };
    let mut keys = vec![("from", Said::Text(from))];
    keys.extend(more);
    keys.push(("to", Said::Text(to)));
    draft.copy(at, keys);
}
