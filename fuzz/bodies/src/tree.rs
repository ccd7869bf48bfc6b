//! An input that is a tree of files, blobs among them.
//!
//! Each part begins with a line that names a file; the rest is its content. `+` stands for a blob, which is named by its
//! digest. In every content `$d3` becomes the digest of the fourth part that is a blob, and `$s3` its size; only blobs that stand
//! before can be named. A name `-> TARGET NAME` makes a link.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};

use transship_spec::Digest;

use crate::parts::all_parts;

const MOST_FILES: usize = 24;

/// A file of a tree.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the tree, and not out of it.
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    /// A link to what this names, beside it or below.
    target: Option<String>,
}

/// Reads a tree. Names that would lead out of it are passed over.
pub(crate) fn parse(bytes: &[u8]) -> Vec<File> {
    let mut blobs: Vec<(Digest, usize)> = Vec::new();
    let mut files = Vec::new();
    for part in all_parts(bytes, MOST_FILES) {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let Ok(first) = std::str::from_utf8(&part[..end]) else { continue };
        let content = fill(part.get(end + 1..).unwrap_or_default(), &blobs);
        if first == "+" {
            let digest = Digest::sha256(&content);
            blobs.push((digest.clone(), content.len()));
            files.push(File { name: format!("blobs/sha256/{}", digest.encoded()), content, target: None });
            continue;
        }
        let (target, name) = match first.strip_prefix("-> ").and_then(|link| link.split_once(' ')) {
            Some((target, name)) => (Some(target.to_owned()), name),
            None => (None, first),
        };
        if target.iter().map(String::as_str).chain([name]).all(is_inside) {
            let name = String::from_utf8_lossy(&fill(name.as_bytes(), &blobs)).replace("sha256:", "");
            files.push(File { name, content, target });
        }
    }
    files
}

fn is_inside(name: &str) -> bool {
    let parts = || Path::new(name).components();
    name.len() < 200
        && !name.contains('\0')
        && (1..8).contains(&parts().count())
        && parts().all(|part| matches!(part, Component::Normal(_)))
}

/// A content with digests and sizes filled in.
fn fill(content: &[u8], blobs: &[(Digest, usize)]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        filled.extend_from_slice(&rest[..at]);
        let blob = rest.get(at + 2).and_then(|number| blobs.get(usize::from(number.wrapping_sub(b'0'))));
        match (rest.get(at + 1), blob) {
            (Some(b'd'), Some((digest, _))) => filled.extend_from_slice(digest.to_string().as_bytes()),
            (Some(b's'), Some((_, size))) => filled.extend_from_slice(size.to_string().as_bytes()),
            _ => {
                filled.push(b'$');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 3..];
    }
    filled.extend_from_slice(rest);
    filled
}

/// Writes a tree into an empty folder. What cannot be written, as a file beneath a file, is left out.
pub(crate) fn write(files: &[File], folder: &Path) {
    for file in files {
        let path = folder.join(&file.name);
        // Links lead to names that are inside, and so nothing is ever written outside.
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| match &file.target {
            Some(target) => symlink(target, &path),
            None => {
                fs::File::create_new(&path).and_then(|mut new| io::Write::write_all(&mut new, &file.content))
            }
        });
        drop(made);
    }
}

/// A tar of the files of a tree, in order.
pub(crate) fn tar(files: &[File]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for file in files.iter().filter(|file| file.target.is_none()) {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(file.content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(::tar::EntryType::Regular);
        drop(archive.append_data(&mut header, &file.name, file.content.as_slice()));
    }
    archive.into_inner().unwrap()
}
