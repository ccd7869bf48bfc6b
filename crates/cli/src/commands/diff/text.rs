//! A comparison for people: a line for each thing that differs, under what it is part of.

use std::fmt::Write as _;

use serde_json::value::RawValue;
use transship_pack::{
    Aspect, Diff, FieldChange, FileChange, FileKind, FileState, LayerChange, PlacedLayer, Status,
};

use crate::show;

/// The most characters that are shown of a value; JSON has all of it.
const LONGEST: usize = 160;

/// All lines; nothing where nothing differs.
pub(super) fn text(diff: &Diff) -> String {
    let mut text = String::new();
    section(&mut text, "index", diff.index.iter().map(field));
    section(&mut text, "manifest", diff.manifest.iter().map(field));
    section(&mut text, "config", diff.config.iter().map(config_field));
    let layers =
        if diff.left.platform.is_some() && diff.right.platform.is_some() { "layers" } else { "blobs" };
    section(&mut text, layers, diff.layers.iter().map(layer));
    section(&mut text, "files", diff.files.iter().flatten().map(file));
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(title);
    text.push('\n');
    for line in lines {
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}

/// `A`, `D` or `M`, as git says it.
fn letter(status: Status) -> char {
    match status {
        Status::Added => 'A',
        Status::Removed => 'D',
        Status::Changed => 'M',
    }
}

fn field(change: &FieldChange) -> String {
    match change.names().as_slice() {
        [] => "M nothing but its form: the same fields in other bytes".to_owned(),
        [list, name] if list == "annotations" => named_field(change, &format!("annotation {name}")),
        _ => named_field(change, &change.pointer),
    }
}

fn config_field(change: &FieldChange) -> String {
    let names = change.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let name = match names.as_slice() {
        ["config", "Env", name] => format!("env {name}"),
        ["config", "Labels", name] => format!("label {name}"),
        ["config", "ExposedPorts", port] => format!("port {port}"),
        ["config", "Volumes", volume] => format!("volume {volume}"),
        ["config", "Entrypoint"] => "entrypoint".to_owned(),
        ["config", "Cmd"] => "cmd".to_owned(),
        ["config", "User"] => "user".to_owned(),
        ["config", "WorkingDir"] => "workdir".to_owned(),
        ["config", "StopSignal"] => "stop signal".to_owned(),
        ["history", number] => format!("history {number}"),
        ["history", number, rest @ ..] => format!("history {number} {}", rest.join("/")),
        [single] => (*single).to_owned(),
        _ => change.pointer.clone(),
    };
    named_field(change, &name)
}

fn named_field(change: &FieldChange, name: &str) -> String {
    let (letter, name) = (letter(change.status()), show::plain(name));
    match (&change.left, &change.right) {
        (Some(left), Some(right)) => format!("{letter} {name}  {} → {}", value(left), value(right)),
        (Some(only), None) | (None, Some(only)) => format!("{letter} {name}  {}", value(only)),
        (None, None) => format!("{letter} {name}"),
    }
}

/// A value on one line, not too long.
fn value(json: &RawValue) -> String {
    let text = show::plain(&json.get().split_whitespace().collect::<Vec<_>>().join(" "));
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn layer(change: &LayerChange) -> String {
    let letter = letter(change.status());
    match (&change.left, &change.right) {
        (Some(left), Some(right)) => {
            let what = layer_changes(change, left, right).join(", ");
            format!("{letter} {}  {what}", layer_name(left))
        }
        (Some(only), None) | (None, Some(only)) => {
            format!("{letter} {}  {}", layer_name(only), show::bytes(only.descriptor.size))
        }
        (None, None) => String::new(),
    }
}

/// A title, else a digest.
fn layer_name(layer: &PlacedLayer) -> String {
    let title = layer.title().filter(|_| layer.diff_id.is_none());
    title.map_or_else(|| layer.descriptor.digest.to_string(), show::plain)
}

fn layer_changes(change: &LayerChange, left: &PlacedLayer, right: &PlacedLayer) -> Vec<String> {
    let mut what = Vec::new();
    if change.is_stored_otherwise() {
        let same = if left.diff_id.is_some() { "same content, " } else { "" };
        what.push(format!("{same}now {}", right.descriptor.digest));
        let (before, now) = (left.descriptor.size, right.descriptor.size);
        if before != now {
            what.push(format!("{} → {}", show::bytes(before), show::bytes(now)));
        }
    }
    if change.moved {
        what.push(format!("moved from {} to {}", left.position, right.position));
    }
    what.extend(change.fields.iter().map(field_change));
    what
}

/// What a descriptor says differently, without a letter.
fn field_change(change: &FieldChange) -> String {
    let name = show::plain(change.pointer.trim_start_matches('/'));
    let shown =
        |side: &Option<Box<RawValue>>| side.as_ref().map_or_else(|| "none".to_owned(), |json| value(json));
    format!("{name} {} → {}", shown(&change.left), shown(&change.right))
}

fn file(change: &FileChange) -> String {
    let what = match (&change.left, &change.right) {
        (Some(left), Some(right)) => {
            let aspects = change.aspects.iter();
            // A file of another size has other content; that is said once.
            let aspects = aspects
                .filter(|aspect| **aspect != Aspect::Content || !change.aspects.contains(&Aspect::Size));
            aspects.map(|aspect| aspect_change(*aspect, left, right)).collect::<Vec<_>>().join(", ")
        }
        (Some(only), None) | (None, Some(only)) => {
            only.target.as_deref().map(bytes).map_or_else(String::new, |target| format!("→ {target}"))
        }
        (None, None) => String::new(),
    };
    format!("{} {}  {what}", letter(change.status()), file_name(change))
}

/// The path, with a slash after that of a folder.
fn file_name(change: &FileChange) -> String {
    let state = change.right.as_ref().or(change.left.as_ref());
    let slash = if state.is_some_and(|state| state.kind == FileKind::Folder) { "/" } else { "" };
    format!("{}{slash}", show::plain(&change.path.to_string_lossy()))
}

fn aspect_change(aspect: Aspect, left: &FileState, right: &FileState) -> String {
    let device = |state: &FileState| {
        state.device.map_or_else(|| "none".to_owned(), |(major, minor)| format!("{major}:{minor}"))
    };
    let target = |state: &FileState| state.target.as_deref().map_or_else(String::new, bytes);
    match aspect {
        Aspect::Kind => format!("{} → {}", kind(left.kind), kind(right.kind)),
        Aspect::Mode => format!("mode {:04o} → {:04o}", left.mode, right.mode),
        Aspect::Owner => format!("owner {}:{} → {}:{}", left.uid, left.gid, right.uid, right.gid),
        Aspect::Size => format!("content, {} → {}", show::bytes(left.size), show::bytes(right.size)),
        Aspect::Content => "content".to_owned(),
        Aspect::Target => format!("target {} → {}", target(left), target(right)),
        Aspect::Device => format!("device {} → {}", device(left), device(right)),
        Aspect::Xattrs => format!("xattrs {}", xattrs(left, right).join(" ")),
        Aspect::Mtime => format!("mtime {} → {}", left.mtime.0, right.mtime.0),
        _ => String::new(),
    }
}

/// The names of extended attributes that differ.
fn xattrs(left: &FileState, right: &FileState) -> Vec<String> {
    let one_sided = |a: &FileState, b: &FileState| -> Vec<Vec<u8>> {
        let of = a.xattrs.iter().filter(|pair| !b.xattrs.contains(pair));
        of.map(|(name, _)| name.clone()).collect()
    };
    let mut names = [one_sided(left, right), one_sided(right, left)].concat();
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| bytes(name)).collect()
}

fn bytes(bytes: &[u8]) -> String {
    show::plain(&String::from_utf8_lossy(bytes))
}

pub(super) fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Folder => "folder",
        FileKind::Symlink => "symlink",
        FileKind::CharDevice => "character-device",
        FileKind::BlockDevice => "block-device",
        FileKind::Fifo => "fifo",
        _ => "other",
    }
}
