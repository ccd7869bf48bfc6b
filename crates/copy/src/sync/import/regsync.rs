//! Files of `regsync`.

use transship_spec::Location;

use super::draft::{Draft, Keys, Said};
use super::fields::{self, Fields};
use super::{At, rules};
use crate::Result;
use crate::sync::yaml::Node;

/// Keys of an entry, or of the defaults, that are read here.
const ENTRY: [&str; 11] = [
    "source",
    "target",
    "type",
    "tags",
    "platform",
    "platforms",
    "digestTags",
    "referrers",
    "referrerFilters",
    "includeExternal",
    "forceRecursive",
];
const CREDENTIAL: [&str; 7] = ["registry", "user", "pass", "tls", "credHelper", "repoAuth", "hostname"];

pub(super) fn read(root: &Node) -> Result<Draft> {
    let top = Fields::any(root)?;
    let mut draft = Draft::default();
    let entries = fields::items(top.need("sync")?)?;
    for (key, at, node) in top.all() {
        match key {
            "version" | "sync" | "defaults" => {}
            "creds" => {
                for node in fields::items(node)? {
                    credential(node, &mut draft)?;
                }
            }
            key => draft.leave_out(at, format!("{key} has no like here")),
        }
    }
    let empty = Node { at: root.at, value: crate::sync::yaml::Value::Mapping(Vec::new()) };
    let defaults = Fields::any(top.get("defaults").unwrap_or(&empty))?;
    for (key, _, node) in defaults.all() {
        match key {
            "parallel" => draft.concurrency = defaults.number(key)?,
            "skipDockerConfig" | "userAgent" => {}
            key if ENTRY.contains(&key) => {}
            key => draft.leave_out(node.at, missing(key)),
        }
    }
    // What regsync does where a file says nothing.
    draft.defaults = vec![("referrers", Said::from("none")), ("digest-tags", Said::Flag(false))];
    for node in entries {
        let own = Fields::any(node)?;
        for (key, _, node) in own.all().filter(|(key, ..)| !ENTRY.contains(key)) {
            draft.leave_out(node.at, missing(key));
        }
        match entry(&own, &defaults) {
            Ok(keys) => draft.copy(own.at, keys),
            Err((at, why)) => draft.leave_out(at, why),
        }
    }
    Ok(draft)
}

fn missing(key: &str) -> String {
    match key {
        "interval" | "schedule" => format!("{key}: a schedule is for cron"),
        key => format!("{key} has no like here"),
    }
}

type Odd<T> = Result<T, (At, String)>;

fn odd<T>(result: Result<T>, at: At) -> Odd<T> {
    result.map_err(|error| (at, error.to_string()))
}

/// An entry, or why it cannot be said.
fn entry(own: &Fields<'_>, defaults: &Fields<'_>) -> Odd<Keys> {
    let by = |key: &str| if own.get(key).is_some() { own } else { defaults };
    let place = |key: &str| -> Odd<String> {
        let node = odd(own.need(key), own.at)?;
        location(odd(fields::text(node), node.at)?).map_err(|why| (node.at, why))
    };
    let kind = odd(own.text("type"), own.at)?.unwrap_or("image");
    let at = own.at_of("type");
    let mut keys: Keys = vec![("from", Said::Text(place("source")?))];
    match kind {
        "image" => {}
        "repository" => keys.extend(tags(own)?),
        kind => return Err((at, format!("type: {kind} cannot be said: name its repositories"))),
    }
    let flag = |key: &str| odd(by(key).flag(key), by(key).at_of(key));
    match (flag("referrers")?, referrer_types(by("referrerFilters"))?) {
        (Some(true), Some(types)) => keys.push(("referrers", Said::List(types))),
        (Some(true), None) => keys.push(("referrers", Said::from("all"))),
        _ => {}
    }
    if flag("digestTags")? == Some(true) {
        keys.push(("digest-tags", Said::Flag(true)));
    }
    if flag("includeExternal")? == Some(true) {
        keys.push(("nondistributable", Said::Flag(true)));
    }
    let one = odd(by("platform").text("platform"), own.at)?;
    let several = odd(by("platforms").texts("platforms"), own.at)?.unwrap_or_default();
    match (one, several.as_slice()) {
        (Some(one), _) => keys.push(("platform", Said::from(one))),
        (None, []) => {}
        (None, several) => {
            let several = several.iter().map(|(_, platform)| (*platform).to_owned()).collect();
            keys.extend([("platform", Said::List(several)), ("subset", Said::from("sparse"))]);
        }
    }
    keys.push(("to", Said::Text(place("target")?)));
    Ok(keys)
}

fn tags(own: &Fields<'_>) -> Odd<Keys> {
    let Some(node) = own.get("tags") else { return Ok(vec![("all-tags", Said::Flag(true))]) };
    let fields = odd(Fields::of(node, &["allow", "deny", "semverRange"]), node.at)?;
    let mut keys = Keys::new();
    let each = |key: &str, rule: fn(&str) -> Result<Vec<String>, String>| -> Odd<Vec<String>> {
        let mut found = Vec::new();
        for (at, text) in odd(fields.texts(key), node.at)?.unwrap_or_default() {
            found.extend(rule(text).map_err(|why| (at, why))?);
        }
        Ok(found)
    };
    let one = |text: &str| rules::whole(text).map(|rule| vec![rule]);
    let (mut allow, deny) = (each("allow", one)?, each("deny", one)?);
    let ranges = each("semverRange", rules::versions)?;
    if !allow.is_empty() && !ranges.is_empty() {
        return Err((node.at, "allow and semverRange together cannot be said".to_owned()));
    }
    allow.extend(ranges);
    match allow.is_empty() {
        true => keys.push(("all-tags", Said::Flag(true))),
        false => keys.push(("tags", Said::List(allow))),
    }
    if !deny.is_empty() {
        keys.push(("exclude", Said::List(deny)));
    }
    Ok(keys)
}

/// The artifact types of filters; nothing where there are none.
fn referrer_types(fields: &Fields<'_>) -> Odd<Option<Vec<String>>> {
    let Some(node) = fields.get("referrerFilters") else { return Ok(None) };
    let mut types = Vec::new();
    for item in odd(fields::items(node), node.at)? {
        let filter = odd(Fields::of(item, &["artifactType"]), item.at)?;
        types.push(odd(fields::text(odd(filter.need("artifactType"), item.at)?), item.at)?.to_owned());
    }
    Ok((!types.is_empty()).then_some(types))
}

/// Where something is: a registry, or a layout.
fn location(text: &str) -> Result<String, String> {
    let said = match text.strip_prefix("ocidir://") {
        Some(layout) => format!("oci:{layout}"),
        None if text.contains("{{") => {
            return Err(format!("the template {} cannot be said", transship_spec::quote(text)));
        }
        None => format!("docker://{text}"),
    };
    Location::parse(&said).map(|location| location.to_string()).map_err(|error| error.to_string())
}

fn credential(node: &Node, draft: &mut Draft) -> Result<()> {
    let fields = Fields::any(node)?;
    let name = fields::text(fields.need("registry")?)?;
    if !transship_spec::is_registry(name) {
        draft.leave_out(fields.at_of("registry"), "it is not the name of a registry");
        return Ok(());
    }
    for (key, _, node) in fields.all().filter(|(key, ..)| !CREDENTIAL.contains(key)) {
        draft.leave_out(node.at, format!("{key} has no like here"));
    }
    if let Some(host) = fields.text("hostname")?.filter(|host| *host != name) {
        draft.leave_out(fields.at_of("hostname"), format!("hostname: name {host} in the locations"));
    }
    match fields.text("tls")? {
        Some("disabled") => draft.registry(name, "plain-http", Said::Flag(true)),
        Some("insecure") => draft.registry(name, "insecure", Said::Flag(true)),
        _ => {}
    }
    if let Some(helper) = fields.text("credHelper")? {
        let helper = helper.strip_prefix("docker-credential-").unwrap_or(helper);
        draft.credentials(name, vec![("helper", Said::from(helper))]);
    } else if let (Some(user), Some(password)) = (fields.text("user")?, fields.text("pass")?) {
        let user = match template(user) {
            Some(("env", variable)) => ("user-env", Said::from(variable)),
            Some(_) => {
                draft.leave_out(fields.at_of("user"), "a user in a file: write user, or user-env");
                return Ok(());
            }
            None => ("user", Said::from(user)),
        };
        let password = match template(password) {
            Some(("env", variable)) => ("password-env", Said::from(variable)),
            Some((_, file)) => ("password-file", Said::from(file)),
            None => in_clear(draft, fields.at_of("pass"), name),
        };
        draft.credentials(name, vec![user, password]);
    }
    Ok(())
}

/// A password that is not repeated, and where it is to be put instead.
pub(super) fn in_clear(draft: &mut Draft, at: At, registry: &str) -> (&'static str, Said) {
    let upper = registry.to_ascii_uppercase();
    let variable: String = upper.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let variable = format!("PASSWORD_{variable}");
    draft
        .leave_out(at, format!("a password in clear is not taken over: put it into the variable {variable}"));
    ("password-env", Said::Text(variable))
}

/// `{{env "NAME"}}` and `{{file "PATH"}}`.
fn template(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let (what, value) = inner.split_once(char::is_whitespace)?;
    let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    matches!(what, "env" | "file").then_some((what, value))
}
