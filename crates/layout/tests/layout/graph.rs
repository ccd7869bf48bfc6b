//! Walking what entries lead to, and finding referrers.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use transship_layout::graph::{self, Presence};
use transship_layout::{Entry, Error, Result, Source};
use transship_spec::{Descriptor, Digest, Index, Kind, Manifest, MediaType, referrers};

use crate::support::{blob, layout, manifest, put, short};

fn list(members: Vec<Descriptor>) -> (Descriptor, Vec<u8>) {
    let document = Index::new(members).to_document().unwrap();
    (document.descriptor(), document.bytes().to_vec())
}

/// A source in memory that counts what is opened.
#[derive(Default)]
struct Memory {
    blobs: HashMap<Digest, Vec<u8>>,
    opened: std::sync::Mutex<BTreeMap<String, usize>>,
}

impl Memory {
    fn put(&mut self, (descriptor, bytes): (Descriptor, Vec<u8>)) -> Descriptor {
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }
}

impl Source for Memory {
    fn entries(&self) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        *self.opened.lock().unwrap().entry(descriptor.digest.to_string()).or_default() += 1;
        match self.blobs.get(&descriptor.digest) {
            Some(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            None => Err(Error::MissingBlob { path: "memory".into(), digest: descriptor.digest.clone() }),
        }
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.blobs.get(digest).map(|bytes| bytes.len() as u64))
    }
}

#[test]
fn everything_is_visited_once_leaves_first_and_subjects_are_not_followed() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let subject = manifest(&session, "subject", None);
    let one = manifest(&session, "one", Some(subject.clone()));
    let two = manifest(&session, "two", None);
    let index = Index::new(vec![one.clone(), two.clone(), one.clone()]).to_document().unwrap();
    let index = session.put_document(&index).unwrap();
    session.commit(|edit| edit.set(&short("v1"), &index)).unwrap();
    let nodes = graph::closure(&layout, [&index, &two]).unwrap();
    let digests: Vec<_> = nodes.iter().map(|(node, _)| node.digest.clone()).collect();
    // The index, two manifests, a layer each, and the empty config that they share.
    assert_eq!(digests.len(), 6);
    assert_eq!(digests.last(), Some(&index.digest));
    let at = |digest: &Digest| digests.iter().position(|other| other == digest).unwrap();
    for manifest in [&one, &two] {
        for child in layout.read_document(manifest).unwrap().children() {
            assert!(at(&child.digest) < at(&manifest.digest));
        }
    }
    assert!(!digests.contains(&subject.digest));
    assert!(nodes.iter().all(|(_, presence)| *presence == Presence::Present));
}

#[test]
fn what_is_absent_is_said_and_ends_nothing() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let document = layout.read_document(&image).unwrap();
    let layer = document.as_manifest().unwrap().layers[0].clone();
    std::fs::write(blob(&layout, &layer), "short").unwrap();
    let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let presence: HashMap<_, _> = graph::closure(&layout, [&image, &missing])
        .unwrap()
        .into_iter()
        .map(|(node, presence)| (node.digest, presence))
        .collect();
    assert_eq!(presence[&layer.digest], Presence::WrongSize(5));
    assert_eq!(presence[&missing.digest], Presence::Absent);
    assert_eq!(presence[&image.digest], Presence::Present);
}

/// Indexes within indexes, each listing the one below `times`.
fn tower(memory: &mut Memory, levels: usize, times: usize) -> Descriptor {
    (0..levels).fold(memory.put(list(vec![])), |below, _| memory.put(list(vec![below; times])))
}

#[test]
fn case_m6_thirty_two_levels_are_walked_and_no_more() {
    let mut memory = Memory::default();
    let fits = tower(&mut memory, 31, 1);
    assert_eq!(graph::closure(&memory, [&fits]).unwrap().len(), 32);
    for levels in [32, 3_000] {
        let deep = tower(&mut memory, levels, 1);
        assert_eq!(graph::closure(&memory, [&deep]).unwrap_err().kind(), Kind::Limit);
    }
}

#[test]
fn case_m7_a_doubling_graph_takes_linear_time() {
    let mut memory = Memory::default();
    let root = tower(&mut memory, 24, 2);
    assert_eq!(graph::closure(&memory, [&root]).unwrap().len(), 25);
    assert!(memory.opened.lock().unwrap().values().all(|count| *count == 1));
}

#[test]
fn case_m8_a_list_that_holds_itself_ends() {
    // No source that verifies, as all must, has one; this one does not.
    let mut memory = Memory::default();
    let liar = Descriptor::of(MediaType::OCI_INDEX, b"liar");
    let (_, bytes) = list(vec![liar.clone()]);
    let liar = Descriptor { size: bytes.len() as u64, ..liar };
    memory.put((liar.clone(), bytes));
    assert_eq!(graph::closure(&memory, [&liar]).unwrap().len(), 1);
    let odd = Descriptor::new(MediaType::OCI_INDEX, "foo:self".parse().unwrap(), 2);
    assert_eq!(graph::closure(&memory, [&odd]).unwrap().len(), 1, "what cannot be verified is a leaf");
}

#[test]
fn a_digest_met_first_as_a_plain_blob_is_still_walked_as_a_document() {
    let mut memory = Memory::default();
    let inner = memory.put(list(vec![]));
    let outer = memory.put(list(vec![inner]));
    let plain = Descriptor { media_type: MediaType::OCTET_STREAM, ..outer.clone() };
    let nodes = graph::closure(&memory, [&plain, &outer]).unwrap();
    assert_eq!(nodes.len(), 3);
}

#[test]
fn the_number_of_nodes_is_limited() {
    let mut memory = Memory::default();
    let members: Vec<_> = (0..20u8).map(|n| Descriptor::of(MediaType::OCTET_STREAM, &[n])).collect();
    let root = memory.put(list(members));
    let mut limits = graph::Limits::default();
    limits.nodes = 20;
    let error = graph::walk_within(&memory, [&root], limits, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn img_180_referrers_are_found_by_subject_and_by_fallback_tag_once() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let image = manifest(&session, "image", None);
    let untagged = manifest(&session, "untagged", Some(image.clone()));
    let nested = manifest(&session, "nested", Some(image.clone()));
    let second = manifest(&session, "second", Some(untagged.clone()));
    let tagged = manifest(&session, "tagged", None);
    let holder = session.put_document(&Index::new(vec![nested.clone()]).to_document().unwrap()).unwrap();
    let members = vec![tagged.clone(), untagged.clone()];
    let fallback = session.put_document(&Index::new(members).to_document().unwrap()).unwrap();
    let gone = Descriptor::of(MediaType::OCI_MANIFEST, b"gone");
    session
        .commit(|index| {
            index.set(&short("v1"), &image)?;
            index.add(&untagged)?;
            index.add(&holder)?;
            index.add(&second)?;
            index.add(&gone)?;
            index.set(&short(referrers::fallback_tag(&image.digest).as_str()), &fallback)
        })
        .unwrap();
    let found = graph::referrers_of(&layout).unwrap();
    let digests = |of: &Digest| found.of(of).iter().map(|one| one.digest.clone()).collect::<Vec<_>>();
    assert_eq!(digests(&image.digest), [untagged.digest.clone(), nested.digest, tagged.digest]);
    assert_eq!(digests(&untagged.digest), [second.digest]);
    assert_eq!(found.iter().count(), 2);
    let listed = &found.of(&image.digest)[0];
    assert_eq!(listed.artifact_type, Some(MediaType::parse("application/x.test").unwrap()));
    assert_eq!(listed.annotations["salt"], "untagged");
    assert!(matches!(&found.unreadable[..], [(digest, Error::MissingBlob { .. })] if *digest == gone.digest));
}

#[test]
fn case_m9_m10_a_circle_of_subjects_and_a_missing_subject_do_no_harm() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let referrer = manifest(&session, "referrer", Some(missing.clone()));
    session.commit(|index| index.add(&referrer)).unwrap();
    assert_eq!(graph::referrers_of(&layout).unwrap().of(&missing.digest).len(), 1);
    assert_eq!(graph::closure(&layout, [&referrer]).unwrap().len(), 3);
    let empty = Manifest::new(Descriptor::empty(), vec![]).to_document().unwrap();
    let nodes = graph::closure(&Memory::default(), [&empty.descriptor()]).unwrap();
    assert_eq!(nodes[0].1, Presence::Absent);
}
