//! A tree as a drawing: a line a node, branches before it.

use transship_spec::Digest;

use super::node::{Node, Role, State};
use crate::show;

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) ascii: bool,
    /// Digests in their whole length.
    pub(super) long: bool,
    pub(super) annotations: bool,
}

/// What is put before a line: of a node with others after it, of the last one, and below either.
struct Branches {
    fork: &'static str,
    last: &'static str,
    past: &'static str,
}

const LINES: Branches = Branches { fork: "├── ", last: "└── ", past: "│   " };
const ASCII: Branches = Branches { fork: "|-- ", last: "`-- ", past: "|   " };

/// The drawing of these roots, each at the left.
pub(super) fn draw(roots: &[Node], style: Style) -> String {
    let mut text = String::new();
    for root in roots {
        text.push_str(&format!("{}\n", line(root, style)));
        below(&mut text, root, "", style);
    }
    text
}

/// Annotations, then children.
fn below(text: &mut String, node: &Node, before: &str, style: Style) {
    let branches = if style.ascii { ASCII } else { LINES };
    if style.annotations {
        let trunk = if node.children.is_empty() { "    " } else { branches.past };
        for (name, value) in &node.annotations {
            text.push_str(&format!("{before}{trunk}{}\n", show::plain(&format!("{name}={value}"))));
        }
    }
    for (place, child) in node.children.iter().enumerate() {
        let is_last = place + 1 == node.children.len();
        let (branch, past) = if is_last { (branches.last, "    ") } else { (branches.fork, branches.past) };
        text.push_str(&format!("{before}{branch}{}\n", line(child, style)));
        below(text, child, &format!("{before}{past}"), style);
    }
}

fn line(node: &Node, style: Style) -> String {
    let mut cells = Vec::new();
    match (node.role, &node.name) {
        (Role::DigestTag, Some(tag)) => {
            cells.push(format!(
                "tag {}",
                show::plain(tag.split_once('.').map_or(tag.as_str(), |(_, end)| end))
            ));
        }
        (_, Some(name)) => cells.push(show::plain(name)),
        (Role::Config, None) => cells.push("config".to_owned()),
        (Role::Layer, None) => cells.push("layer".to_owned()),
        (Role::Referrer, None) => cells.push("referrer".to_owned()),
        (Role::Root | Role::Member | Role::DigestTag, None) => {}
    }
    cells.push(digest(&node.digest, style));
    cells.push(what(node));
    cells.extend(node.platform.as_deref().map(show::plain));
    cells.push(show::bytes(node.size));
    cells.extend(node.title.as_deref().map(show::plain));
    cells.extend(node.subject.as_ref().map(|subject| format!("speaks of {}", digest(subject, style))));
    cells.extend(note(node));
    cells.join("  ")
}

fn digest(digest: &Digest, style: Style) -> String {
    if style.long { digest.to_string() } else { digest.short() }
}

/// The kind; of an artifact whose kind is not known its type, as of a blob.
fn what(node: &Node) -> String {
    match (node.kind.as_deref(), &node.artifact_type) {
        (Some("artifact"), Some(artifact_type)) => show::plain(artifact_type.as_str()),
        (Some(kind), _) => kind.to_owned(),
        (None, Some(artifact_type)) => show::plain(artifact_type.as_str()),
        (None, None) => show::plain(node.media_type.as_str()),
    }
}

fn note(node: &Node) -> Option<String> {
    let why = node.error.as_ref().map(|error| format!(": {}", show::plain(error))).unwrap_or_default();
    match node.state {
        Some(State::Missing) => Some("(missing)".to_owned()),
        Some(State::LeftOut) => Some("(left out)".to_owned()),
        Some(State::Broken) => Some(format!("(broken{why})")),
        None if node.seen => Some("(seen above)".to_owned()),
        None if node.cut => Some("(not followed)".to_owned()),
        None => None,
    }
}
