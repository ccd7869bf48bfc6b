//! A tar that is given as a layer.

use std::io::Read;

use transship_codec::{Compression, Decoder, Limits};
use transship_layout::check::{Code, Options};
use transship_layout::{Durability, Layout};
use transship_pack::{LayerOptions, pack_layer};
use transship_spec::Digest;

use crate::single::Single;
use crate::tars;

/// The body: the bytes of the tar, compressed or not.
pub fn run(bytes: &[u8]) {
    pack(bytes);
    let mended = tars::mend(bytes);
    if mended != bytes {
        pack(&mended);
    }
}

fn pack(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("layer.tar");
    std::fs::write(&input, bytes).unwrap();
    let layout = folder.path().join("layout");
    let layout = Layout::options().durability(Durability::None).create(layout).unwrap();
    let session = layout.begin().unwrap();
    let options = LayerOptions { compression: Compression::None, ..LayerOptions::default() };
    let Ok(layer) = pack_layer(&session, &input, &options) else { return };

    let mut stored = Vec::new();
    layout.open_blob(&layer.descriptor).unwrap().read_to_end(&mut stored).unwrap();
    assert_eq!(stored, bytes, "a tar is a layer as it is");
    let mut plain = Vec::new();
    Decoder::sniff(bytes, Limits::default()).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!(layer.diff_id, Digest::sha256(&plain));
    let findings = Single::new(layer.descriptor.media_type, bytes, usize::MAX).findings(&Options::default());
    let refused = findings.iter().find(|finding| finding.code == Code::LayerNotTar);
    assert!(refused.is_none(), "what is packed is a tar to a check, too: {refused:?}");
}
