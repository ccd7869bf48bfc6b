//! A layout whose files are any bytes.
#![no_main]

use std::fs;
use std::io::Read;

use libfuzzer_sys::fuzz_target;
use transship_layout::{Durability, Layout, Name};
use transship_spec::Descriptor;

fuzz_target!(|files: (&[u8], &[u8], bool)| {
    let (index, blob, is_valid) = files;
    let Ok(folder) = tempfile::tempdir() else { return };
    let at = |name: &str| folder.path().join(name);
    let marker: &[u8] = if is_valid { br#"{"imageLayoutVersion":"1.0.0"}"# } else { blob };
    let written = fs::create_dir_all(at("blobs/sha256"))
        .and_then(|()| fs::write(at("oci-layout"), marker))
        .and_then(|()| fs::write(at("index.json"), index));
    if written.is_err() {
        return;
    }
    let Ok(layout) = Layout::options().durability(Durability::None).open(folder.path()) else { return };
    for entry in layout.entries().unwrap_or_default() {
        if let Ok(mut content) = layout.open_blob(&entry.descriptor) {
            let _ = content.read_to_end(&mut Vec::new());
        }
    }
    let _ = layout.resolve(None);
    let Ok(name) = Name::short("v1") else { return };
    if layout.edit(|index| index.set(&name, &Descriptor::empty())).is_ok() {
        assert!(layout.resolve(Some("v1")).is_ok(), "what was named is found");
    }
});
