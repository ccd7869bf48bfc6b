//! What other processes left in `.transship`: stamps, leases, downloads.

use std::fs;

use transship_layout::check::{self, Options};
use transship_layout::{Durability, GcOptions, Layout, Name};
use transship_spec::{Descriptor, Digest, MediaType};

use crate::parts::parts;

/// The body: stamps, a lease, what is held of a download, and the blob that is downloaded. In the stamps `$d` stands for
/// the digest of a blob that is there.
pub fn run(bytes: &[u8]) {
    let [stamps, lease, held, blob] = parts::<4>(bytes);
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().durability(Durability::None).create(folder.path()).unwrap();
    let session = layout.begin().unwrap();
    let there = session.put_bytes(MediaType::OCTET_STREAM, b"there").unwrap();
    session.commit(|index| index.set(&Name::short("v1")?, &there)).unwrap();

    let wanted = Descriptor::of(MediaType::OCTET_STREAM, blob);
    let scratch = folder.path().join(".transship");
    for (name, content) in [
        ("verified".to_owned(), with_digest(stamps, &there.digest)),
        ("leases/dead".to_owned(), lease.to_vec()),
        (format!("partial/sha256-{}", wanted.digest.encoded()), held.to_vec()),
    ] {
        let path = scratch.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let layout = layout.reopen().unwrap();
    download(&layout, &wanted, (held, blob));
    let mut options = Options::default();
    options.trust_stamps = true;
    let report = check::directory(folder.path(), &Layout::options(), &options, &mut |_| {}).unwrap();
    assert_eq!((report.errors, report.trusted), (0, 0), "no stamp fits that was not written for the file");
    layout.gc(&GcOptions::default()).unwrap();
    assert!(!scratch.join("leases/dead").exists(), "its writer is dead");
    assert!(layout.resolve(Some("v1")).is_ok_and(|entry| layout.open_blob(&entry.descriptor).is_ok()));
}

fn with_digest(stamps: &[u8], digest: &Digest) -> Vec<u8> {
    String::from_utf8_lossy(stamps).replace("$d", &digest.to_string()).into_bytes()
}

/// A download goes on where it ended, and only if what is held was right it comes to an end so.
fn download(layout: &Layout, wanted: &Descriptor, (held, blob): (&[u8], &[u8])) {
    let session = layout.begin().unwrap();
    let mut partial = session.partial(wanted).unwrap().unwrap();
    let from = usize::try_from(partial.held()).unwrap();
    assert!(from == 0 || from == held.len());
    partial.push(&blob[from..]).unwrap();
    let is_right = blob.starts_with(&held[..from]);
    assert_eq!(partial.commit().is_ok(), is_right, "only what is right is named");
    if !is_right {
        let mut partial = session.partial(wanted).unwrap().unwrap();
        assert_eq!(partial.held(), 0, "what was wrong is not kept");
        partial.push(blob).unwrap();
        partial.commit().unwrap();
    }
    session.commit(|index| index.set(&Name::short("v2")?, wanted)).unwrap();
}
