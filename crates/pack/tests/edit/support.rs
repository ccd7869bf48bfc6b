//! Layouts in temporary folders, and what is in them.

use std::collections::BTreeSet;

use tempfile::TempDir;
use transship_layout::{Layout, Name, graph};
use transship_pack::{Member, Take};
use transship_spec::annotations::{DOCKER_REFERENCE_DIGEST, DOCKER_REFERENCE_TYPE};
use transship_spec::{Annotations, Descriptor, Digest, Document, Index, MediaType, Platform};

/// An empty layout.
pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) layout: Layout,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().create(folder.path().join("layout")).unwrap();
        Self { _folder: folder, layout }
    }

    pub(crate) fn resolve(&self, name: &str) -> Descriptor {
        self.layout.resolve(Some(name)).unwrap().descriptor
    }

    pub(crate) fn document(&self, name: &str) -> Document {
        self.layout.read_document(&self.resolve(name)).unwrap()
    }

    /// What is named, to be listed in an index.
    pub(crate) fn member(&self, name: &str, take: Take) -> Member<'_> {
        Member { origin: (&self.layout).into(), descriptor: self.resolve(name), take }
    }

    /// Everything that an entry leads to, all of it there.
    pub(crate) fn closure(&self, descriptor: &Descriptor) -> BTreeSet<Digest> {
        let found = graph::closure(&self.layout, [descriptor]).unwrap();
        let check = |(descriptor, presence): (Descriptor, graph::Presence)| {
            assert_eq!(presence, graph::Presence::Present, "{descriptor}");
            descriptor.digest
        };
        found.into_iter().map(check).collect()
    }

    /// Lists a document that was written by hand.
    pub(crate) fn put(&self, tag: &str, text: &str) -> Descriptor {
        let session = self.layout.begin().unwrap();
        let document = Document::parse(text.to_owned(), None).unwrap();
        let descriptor = session.put_document(&document).unwrap();
        session.commit(|index| index.set(&name(tag), &descriptor)).unwrap();
        descriptor
    }

    /// The index that is named, with an attestation of each of its images, as `BuildKit` writes them.
    pub(crate) fn attest(&self, from: &str, to: &str) -> Document {
        let mut index = self.document(from).as_index().unwrap().clone();
        for image in index.manifests.clone() {
            let session = self.layout.begin().unwrap();
            let statement =
                session.put_bytes(MediaType::OCTET_STREAM, image.digest.encoded().as_bytes()).unwrap();
            let config = session.put_bytes(MediaType::OCI_CONFIG, b"{\"architecture\":\"unknown\",\"os\":\"unknown\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}").unwrap();
            let manifest = transship_spec::Manifest::new(config, vec![statement]).to_document().unwrap();
            let attestation = Descriptor {
                platform: Some(Platform::new("unknown", "unknown")),
                annotations: Annotations::from([
                    (DOCKER_REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
                    (DOCKER_REFERENCE_DIGEST.to_owned(), image.digest.to_string()),
                ]),
                ..session.put_document(&manifest).unwrap()
            };
            session.commit(|_| Ok(())).unwrap();
            index.manifests.push(attestation);
        }
        self.put(to, std::str::from_utf8(Index::to_document(&index).unwrap().bytes()).unwrap());
        self.document(to)
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::short(text).unwrap()
}

/// The platforms of members, `-` for none.
pub(crate) fn platforms(members: &[Descriptor]) -> Vec<String> {
    let text = |member: &Descriptor| member.platform.as_ref().map_or("-".to_owned(), ToString::to_string);
    members.iter().map(text).collect()
}
