//! What several of these tests need.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use transship_layout::{Layout, Name, Session};
use transship_spec::{Annotations, Descriptor, Manifest, MediaType};

/// A new empty layout in a folder of its own.
pub(crate) fn layout() -> (TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path()).unwrap();
    (folder, layout)
}

pub(crate) fn text() -> MediaType {
    MediaType::parse("text/plain").unwrap()
}

pub(crate) fn short(name: &str) -> Name {
    Name::short(name).unwrap()
}

/// Puts a small manifest with one layer of its own; returns its descriptor.
pub(crate) fn manifest(session: &Session, salt: &str, subject: Option<Descriptor>) -> Descriptor {
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let layer = session.put_bytes(text(), format!("layer of {salt}").as_bytes()).unwrap();
    let annotations = Annotations::from([("salt".to_owned(), salt.to_owned())]);
    let artifact_type = Some(MediaType::parse("application/x.test").unwrap());
    let manifest = Manifest { annotations, artifact_type, subject, ..Manifest::new(config, vec![layer]) };
    session.put_document(&manifest.to_document().unwrap()).unwrap()
}

/// A layout with one manifest called `name`.
pub(crate) fn put(layout: &Layout, name: &str) -> Descriptor {
    let session = layout.begin().unwrap();
    let descriptor = manifest(&session, name, None);
    session.commit(|index| index.set(&short(name), &descriptor)).unwrap();
    descriptor
}

pub(crate) fn blob(layout: &Layout, descriptor: &Descriptor) -> PathBuf {
    let digest = &descriptor.digest;
    layout.path().join("blobs").join(digest.algorithm()).join(&*digest.encoded())
}

pub(crate) fn index(layout: &Layout) -> String {
    std::fs::read_to_string(layout.path().join("index.json")).unwrap()
}

/// Every path below a folder, with its mode and content.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = match metadata.is_dir() {
                true => Vec::new(),
                false => std::fs::read(&path).unwrap(),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), (metadata.mode(), content));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}
