//! Layouts with one thing wrong with them, each of them called by what it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use transship_layout::Layout;
use transship_spec::{Document, Index, MediaType};

use crate::fixtures;

/// What is wrong with a layout. All of them hold an image called `v1` that would be right without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// There is no `oci-layout`.
    NoMarker,
    /// `oci-layout` names a version that nobody knows.
    UnknownVersion,
    /// There is no `index.json`.
    NoIndex,
    /// `index.json` is empty: what is left when its writer was killed.
    EmptyIndex,
    /// `index.json` ends in the middle.
    TornIndex,
    /// `index.json` nests 100,000 levels deep.
    DeepIndex,
    /// The entry's digest is a path out of the layout.
    DigestIsAPath,
    /// The entry's digest has upper-case digits.
    UpperCaseDigest,
    /// The entry's digest has 63 digits.
    ShortDigest,
    /// The entry's size is negative.
    NegativeSize,
    /// The manifest's blob is missing.
    NoManifest,
    /// The manifest is larger than 4 MiB.
    HugeManifest,
    /// A layer is missing.
    NoLayer,
    /// A layer ends early.
    ShortLayer,
    /// A layer has one bit wrong.
    WrongLayer,
    /// A layer is a folder.
    LayerIsAFolder,
    /// A layer is a FIFO: whoever opens it waits for ever.
    LayerIsAFifo,
    /// A layer is a link to a file outside of the layout that has the right content.
    LayerIsALink,
    /// The entry is an index of an index of an index …, 40 levels deep.
    DeepGraph,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NoMarker,
        Self::UnknownVersion,
        Self::NoIndex,
        Self::EmptyIndex,
        Self::TornIndex,
        Self::DeepIndex,
        Self::DigestIsAPath,
        Self::UpperCaseDigest,
        Self::ShortDigest,
        Self::NegativeSize,
        Self::NoManifest,
        Self::HugeManifest,
        Self::NoLayer,
        Self::ShortLayer,
        Self::WrongLayer,
        Self::LayerIsAFolder,
        Self::LayerIsAFifo,
        Self::LayerIsALink,
        Self::DeepGraph,
    ];

    /// Makes a layout with this defect in a folder that is not there yet. What lies outside of it lies beside it.
    pub fn make(self, path: &Path) {
        let layout = Layout::options().create(path).unwrap();
        let image = fixtures::image(&layout, "v1", 7);
        let index = path.join("index.json");
        match self {
            Self::NoMarker => fs::remove_file(path.join("oci-layout")).unwrap(),
            Self::UnknownVersion => {
                fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
            }
            Self::NoIndex => fs::remove_file(index).unwrap(),
            Self::EmptyIndex => fs::write(index, "").unwrap(),
            Self::TornIndex => change(&index, |text| text[..text.len() / 2].to_owned()),
            Self::DeepIndex => fs::write(index, "[".repeat(100_000)).unwrap(),
            Self::DigestIsAPath => {
                let digest = image.digest().to_string();
                change(&index, |text| text.replace(&digest, "sha256:../../../outside"));
            }
            Self::UpperCaseDigest => {
                let encoded = image.digest().encoded().into_owned();
                change(&index, |text| text.replace(&encoded, &encoded.to_uppercase()));
            }
            Self::ShortDigest => {
                let encoded = image.digest().encoded().into_owned();
                change(&index, |text| text.replace(&encoded, &encoded[1..]));
            }
            Self::NegativeSize => change(&index, |text| text.replace("\"size\":", "\"size\":-")),
            Self::NoManifest => fs::remove_file(blob(path, image.digest())).unwrap(),
            Self::HugeManifest => huge(&layout, &image),
            Self::DeepGraph => deep(&layout, &image),
            _ => spoil_layer(self, path, &image),
        }
    }
}

fn spoil_layer(defect: Defect, path: &Path, image: &Document) {
    let layer = blob(path, &image.as_manifest().unwrap().layers[0].digest);
    let content = fs::read(&layer).unwrap();
    let outside = path.with_extension("outside");
    fs::remove_file(&layer).unwrap();
    match defect {
        Defect::ShortLayer => fs::write(&layer, &content[..content.len() - 1]).unwrap(),
        Defect::WrongLayer => {
            let mut wrong = content;
            let middle = wrong.len() / 2;
            wrong[middle] ^= 1;
            fs::write(&layer, wrong).unwrap();
        }
        Defect::LayerIsAFolder => fs::create_dir(&layer).unwrap(),
        Defect::LayerIsAFifo => {
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(rustix::fs::CWD, &layer, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        Defect::LayerIsALink => {
            fs::write(&outside, content).unwrap();
            symlink(fs::canonicalize(&outside).unwrap(), &layer).unwrap();
        }
        _ => {}
    }
}

/// The file of a blob.
#[must_use]
pub fn blob(layout: &Path, digest: &transship_spec::Digest) -> PathBuf {
    layout.join("blobs").join(digest.algorithm()).join(&*digest.encoded())
}

fn change(file: &Path, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(file).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "the defect leaves the file as it was");
    fs::write(file, changed).unwrap();
}

/// The image again, with white space up to five megabytes.
fn huge(layout: &Layout, image: &Document) {
    let mut bytes = image.bytes().to_vec();
    bytes.resize(5_000_000, b' ');
    let session = layout.begin().unwrap();
    let huge = session.put_bytes(MediaType::OCI_MANIFEST, &bytes).unwrap();
    let name = transship_layout::Name::short("v1").unwrap();
    session.commit(|index| index.set(&name, &huge).map(drop)).unwrap();
}

fn deep(layout: &Layout, image: &Document) {
    let session = layout.begin().unwrap();
    let mut top = image.descriptor();
    for _ in 0..40 {
        let index = Index::new(vec![top]).to_document().unwrap();
        top = session.put_document(&index).unwrap();
    }
    let name = transship_layout::Name::short("v1").unwrap();
    session.commit(|index| index.set(&name, &top).map(drop)).unwrap();
}
