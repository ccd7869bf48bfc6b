//! Tiny images and artifacts, the same bytes for the same seed on every run, written into a layout.
//!
//! `name` is what the entry is to be called: a tag, a full reference, or nothing for an entry without a name.

use transship_layout::{IndexEdit, Layout, Name, Session};
use transship_spec::{
    Annotations, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform, referrers,
};

/// The type of the artifacts that are made here.
pub const ARTIFACT: &str = "application/vnd.example.thing.v1";
/// The type of the signatures that are made here.
pub const SIGNATURE: &str = "application/vnd.example.signature.v1";

/// Bytes that look random and do not compress.
#[must_use]
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A layer: a tar of one file of so many bytes.
#[must_use]
pub fn tar(seed: u64, length: usize) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(length as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, format!("file-{seed}"), bytes(seed, length).as_slice()).unwrap();
    archive.into_inner().unwrap()
}

/// What an image is to be like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Tells it from others.
    pub seed: u64,
    /// The bytes of the file in each layer.
    pub layers: Vec<usize>,
    /// For which platform it is, as in `linux/arm64/v8`.
    pub platform: String,
}

impl Default for Shape {
    /// Two layers of 1,000 and 2,000 bytes, for `linux/amd64`.
    fn default() -> Self {
        Self { seed: 0, layers: vec![1000, 2000], platform: "linux/amd64".to_owned() }
    }
}

/// An image that can be unpacked, with two layers.
pub fn image(layout: &Layout, name: &str, seed: u64) -> Document {
    image_like(layout, name, &Shape { seed, ..Shape::default() })
}

/// An image of this shape.
pub fn image_like(layout: &Layout, name: &str, shape: &Shape) -> Document {
    let session = layout.begin().unwrap();
    let image = put_image(&session, shape);
    list(session, name, &image);
    image
}

/// An index of images for `linux/amd64` and `linux/arm64/v8`.
pub fn multi_platform(layout: &Layout, name: &str, seed: u64) -> Document {
    let session = layout.begin().unwrap();
    let index = put_platforms(&session, seed);
    list(session, name, &index);
    index
}

/// An index in an index: its members are [`multi_platform`]s of this seed and the next.
pub fn nested(layout: &Layout, name: &str, seed: u64) -> Document {
    let session = layout.begin().unwrap();
    let members = [seed, seed + 1].map(|seed| put_platforms(&session, seed).descriptor());
    let index = Index::new(members.into()).to_document().unwrap();
    session.put_document(&index).unwrap();
    list(session, name, &index);
    index
}

/// An artifact: one file with a title, and an empty config.
pub fn artifact(layout: &Layout, name: &str, seed: u64) -> Document {
    let session = layout.begin().unwrap();
    let mut file = session.put_bytes(MediaType::OCTET_STREAM, &bytes(seed, 1500)).unwrap();
    file.annotations = note(transship_spec::annotations::TITLE, &format!("file-{seed}"));
    let artifact = put_artifact(&session, ARTIFACT, vec![file], None);
    list(session, name, &artifact);
    artifact
}

/// A signature of something: an artifact that refers to it, in an entry without a name.
pub fn signature(layout: &Layout, subject: &Document, seed: u64) -> Document {
    referrer(layout, subject, SIGNATURE, seed)
}

/// An artifact of this type that refers to something, in an entry without a name.
pub fn referrer(layout: &Layout, subject: &Document, artifact_type: &str, seed: u64) -> Document {
    let session = layout.begin().unwrap();
    let file = session.put_bytes(MediaType::OCTET_STREAM, &bytes(seed, 100)).unwrap();
    let referrer = put_artifact(&session, artifact_type, vec![file], Some(subject.descriptor()));
    list(session, "", &referrer);
    referrer
}

/// A referrer that only the fallback tag of its subject leads to (DIST-75); the tag is added to `prefix`, as in
/// `localhost/app:`. What is listed there already stays.
pub fn fallback_referrer(layout: &Layout, prefix: &str, subject: &Document, seed: u64) -> Document {
    let name = format!("{prefix}{}", referrers::fallback_tag(subject.digest()));
    let session = layout.begin().unwrap();
    let file = session.put_bytes(MediaType::OCTET_STREAM, &bytes(seed, 100)).unwrap();
    let referrer = put_artifact(&session, SIGNATURE, vec![file], Some(subject.descriptor()));
    let before =
        layout.resolve(Some(&name)).ok().map(|entry| layout.read_document(&entry.descriptor).unwrap());
    let merged = referrers::merge(before.as_ref(), referrers::descriptor(&referrer)).unwrap();
    let index = Document::parse(merged, Some(&MediaType::OCI_INDEX)).unwrap();
    session.put_document(&index).unwrap();
    list(session, &name, &index);
    referrer
}

/// A signature of cosign's older kind: an image under the tag `sha256-HEX.sig`, which is added to `prefix`.
pub fn digest_tag(layout: &Layout, prefix: &str, subject: &Document, seed: u64) -> Document {
    let name = format!("{prefix}{}.sig", referrers::fallback_tag(subject.digest()));
    image_like(layout, &name, &Shape { seed, layers: vec![64], ..Shape::default() })
}

/// Another name for something that is there.
pub fn tag(layout: &Layout, name: &str, document: &Document) {
    let named = |index: &mut IndexEdit<'_>| index.set(&Name::parse(name)?, &document.descriptor());
    layout.edit(named).unwrap();
}

/// Everything that a document needs, itself included, by digest.
///
/// # Panics
/// If something of it is not there.
#[must_use]
pub fn closure(layout: &Layout, document: &Document) -> Vec<Digest> {
    let nodes = transship_layout::graph::closure(layout, [&document.descriptor()]).unwrap();
    let mut digests: Vec<Digest> = nodes
        .into_iter()
        .map(|(descriptor, presence)| {
            assert_eq!(presence, transship_layout::graph::Presence::Present, "{}", descriptor.digest);
            descriptor.digest
        })
        .collect();
    digests.sort();
    digests
}

fn list(session: Session, name: &str, document: &Document) {
    let descriptor = document.descriptor();
    let listed = session.commit(|index| match name {
        "" => index.add(&descriptor).map(drop),
        _ => index.set(&Name::parse(name)?, &descriptor).map(drop),
    });
    listed.unwrap();
}

fn note(key: &str, value: &str) -> Annotations {
    [(key.to_owned(), value.to_owned())].into()
}

fn put_image(session: &Session, shape: &Shape) -> Document {
    let mut layers = Vec::new();
    for (number, length) in shape.layers.iter().enumerate() {
        let layer = tar(shape.seed * 100 + number as u64, *length);
        layers.push(session.put_bytes(MediaType::OCI_LAYER_TAR, &layer).unwrap());
    }
    let platform = Platform::parse(&shape.platform).unwrap();
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    let mut config = serde_json::to_value(&platform).unwrap();
    config["config"] = serde_json::json!({ "Labels": { "seed": shape.seed.to_string() } });
    config["rootfs"] = serde_json::json!({ "type": "layers", "diff_ids": diff_ids });
    let config = session.put_bytes(MediaType::OCI_CONFIG, config.to_string().as_bytes()).unwrap();
    let image = Manifest::new(config, layers).to_document().unwrap();
    session.put_document(&image).unwrap();
    image
}

fn put_platforms(session: &Session, seed: u64) -> Document {
    let members = ["linux/amd64", "linux/arm64/v8"].iter().zip(0..).map(|(platform, number)| {
        let shape = Shape { seed: seed * 10 + number, platform: (*platform).to_owned(), ..Shape::default() };
        Descriptor {
            platform: Some(Platform::parse(platform).unwrap()),
            ..put_image(session, &shape).descriptor()
        }
    });
    let index = Index::new(members.collect()).to_document().unwrap();
    session.put_document(&index).unwrap();
    index
}

fn put_artifact(
    session: &Session,
    artifact_type: &str,
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
) -> Document {
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let artifact = Manifest {
        artifact_type: Some(MediaType::parse(artifact_type).unwrap()),
        annotations: note("org.example.note", artifact_type),
        subject,
        ..Manifest::new(config, layers)
    };
    let artifact = artifact.to_document().unwrap();
    session.put_document(&artifact).unwrap();
    artifact
}
