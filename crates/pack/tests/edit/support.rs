//! Layouts in temporary folders, and what is in them.

use std::collections::BTreeSet;

use tempfile::TempDir;
use transship_layout::{Layout, Name, graph};
use transship_pack::{Edit, Edited, Error, Member, Take, edit_image};
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
        Member { origin: (&self.layout).into(), descriptor: self.resolve(name), take, there: false }
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

/// Something in a tar.
pub(crate) enum Thing<'a> {
    File(&'a str),
    Folder(u32),
    Symlink(&'a str),
    Link(&'a str),
}

/// A plain tar of these things, in this order.
pub(crate) fn tar(things: &[(&str, Thing<'_>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, thing) in things {
        let mut header = tar::Header::new_ustar();
        header.set_mtime(1_000);
        header.set_mode(0o644);
        let content = match thing {
            Thing::File(content) => content.as_bytes(),
            Thing::Folder(mode) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                b""
            }
            Thing::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).unwrap();
                b""
            }
            Thing::Link(target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_link_name(target).unwrap();
                b""
            }
        };
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// What a plain tar holds: a line an entry.
pub(crate) fn listed(tar: &[u8]) -> Vec<String> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(tar);
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        lines.push(match (entry.header().entry_type(), target) {
            (tar::EntryType::Directory, _) => format!("{path} {:o}", entry.header().mode().unwrap()),
            (tar::EntryType::Link, Some(target)) => format!("{path} => {target}"),
            (_, Some(target)) => format!("{path} -> {target}"),
            _ => format!("{path}: {content}"),
        });
    }
    lines
}

impl Place {
    /// An image of plain tars, with history where it is given.
    pub(crate) fn image(&self, tag: &str, tars: &[Vec<u8>], history: &str) -> Descriptor {
        let session = self.layout.begin().unwrap();
        let layers: Vec<Descriptor> =
            tars.iter().map(|tar| session.put_bytes(MediaType::OCI_LAYER_TAR, tar).unwrap()).collect();
        let ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","mood":1.0e0,"config":{{"Env":["PATH=/bin","A=1"],"Labels":{{"z":"1","a":"2"}},"Healthcheck":{{"Test":["NONE"]}}}},"rootfs":{{"type":"layers","diff_ids":{}}}{history}}}"#,
            serde_json::to_string(&ids).unwrap()
        );
        let config = session.put_bytes(MediaType::OCI_CONFIG, config.as_bytes()).unwrap();
        let manifest = transship_spec::Manifest::new(config, layers).to_document().unwrap();
        let descriptor = session.put_document(&manifest).unwrap();
        session.commit(|index| index.set(&name(tag), &descriptor)).unwrap();
        descriptor
    }

    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Vec<u8> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        self.layout.open_blob(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn manifest(&self, tag: &str) -> transship_spec::Manifest {
        self.document(tag).as_manifest().unwrap().clone()
    }

    /// The text of the config of an image.
    pub(crate) fn config(&self, tag: &str) -> String {
        String::from_utf8(self.blob(&self.manifest(tag).config)).unwrap()
    }

    pub(crate) fn edit(&self, tag: &str, edit: &Edit<'_>) -> Result<Edited, Error> {
        edit_image(&self.layout, Some(&name(tag)), &self.member(tag, Take::Itself), edit)
    }
}
