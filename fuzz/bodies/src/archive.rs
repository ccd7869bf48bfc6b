//! Archives: a tar that holds a layout, or what `docker save` wrote.

use std::io::{Read, Write};

use transship_codec::Limits;
use transship_layout::check::{self, Options};
use transship_layout::{Archive, Entry};
use transship_spec::{Descriptor, MediaType};

use crate::{tars, tree};

const MAX: u64 = 16 << 20;

/// The body: the bytes of an archive, or a tree of what is in it.
pub fn run(bytes: &[u8]) {
    open(bytes);
    let mended = tars::mend(bytes);
    if mended != bytes {
        open(&mended);
    }
    let files = tree::parse(bytes);
    if !files.is_empty() {
        open(&tree::tar(&files));
    }
}

/// Opens an archive in both ways, and reads all of it.
fn open(bytes: &[u8]) {
    let limits = Limits { max_output: MAX, max_window_log: 20, ..Limits::default() };
    let options = Archive::options().limits(limits);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let opened = options.open(file.path());
    let streamed = options.spool(std::env::temp_dir()).read(bytes, "stream");
    assert_eq!(opened.is_ok(), streamed.is_ok(), "a stream is as good as a file");
    let (Ok(archive), Ok(streamed)) = (opened, streamed) else { return };
    let entries = archive.entries().unwrap_or_default();
    assert_eq!(entries, streamed.entries().unwrap_or_default());
    for entry in &entries {
        resolve(&archive, entry);
    }
    let _ = archive.resolve(None);
    let _ = archive.head();
    let blobs: Vec<Descriptor> = archive
        .blobs()
        .map(|(digest, size)| Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
        .collect();
    for blob in blobs {
        assert!(blob.size <= MAX.max(bytes.len() as u64), "content lies within the archive");
        let mut content = Vec::new();
        if archive.open_blob(&blob).unwrap().read_to_end(&mut content).is_ok() {
            assert_eq!(content.len() as u64, blob.size);
        }
    }
    let mut options = Options::default();
    options.limits = limits;
    let _ = check::content(&archive, &options, &mut |finding| drop(finding.to_string()));
}

fn resolve(archive: &Archive, entry: &Entry) {
    let at = format!("@{}", entry.position);
    assert_eq!(archive.resolve(Some(&at)).unwrap(), *entry);
    for name in [entry.name(), entry.full_name()].into_iter().flatten() {
        let found = archive.resolve_all(Some(name));
        assert!(found.is_ok_and(|found| !found.is_empty()), "an entry is found by its name: {name:?}");
    }
    if entry.descriptor.media_type.is_document() {
        let _ = archive.read_document(&entry.descriptor);
    }
}
