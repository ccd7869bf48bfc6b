//! Garbage: what nothing leads to goes, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use transship_layout::{Durability, Error, GcOptions, GcPlan, GcReason, Layout, Session};
use transship_spec::{Annotations, Descriptor, Digest, Document, Index, Kind, Manifest, MediaType};

use crate::support::{blob, index, layout, manifest, put, short, text, tree};

pub(crate) fn at_once() -> GcOptions {
    GcOptions { grace: Duration::ZERO, ..GcOptions::default() }
}

fn blobs(layout: &Layout) -> BTreeSet<Digest> {
    layout.blobs().unwrap().filter_map(|file| file.unwrap().digest).collect()
}

fn sign(layout: &Layout, subject: &Descriptor, salt: &str) -> Descriptor {
    let session = layout.begin().unwrap();
    let signature = manifest(&session, salt, Some(subject.clone()));
    session.commit(|index| index.add(&signature)).unwrap();
    signature
}

#[test]
fn retagging_every_night_does_not_let_a_mirror_grow() {
    let (_folder, layout) = layout();
    let mut sizes = BTreeSet::new();
    for night in 0..8 {
        let image = put_as(&layout, "app", &format!("image of night {night}"));
        let signature = sign(&layout, &image, &format!("signature of night {night}"));
        sign(&layout, &signature, &format!("its countersignature of night {night}"));
        let tag = format!("sha256-{}.sig", image.digest.encoded());
        put_as(&layout, &tag, &format!("cosign of night {night}"));
        layout.gc(&at_once()).unwrap();
        sizes.insert((blobs(&layout).len(), layout.entries().unwrap().len()));
    }
    assert_eq!(sizes, BTreeSet::from([(9, 4)]), "four manifests, their layers, and one config");
}

fn put_as(layout: &Layout, name: &str, salt: &str) -> Descriptor {
    let session = layout.begin().unwrap();
    let image = manifest(&session, salt, None);
    session.commit(|index| index.set(&short(name), &image)).unwrap();
    image
}

#[test]
fn signatures_go_with_what_they_signed_and_stay_with_what_stays() {
    let (_folder, layout) = layout();
    let (old, new) = (put(&layout, "old"), put(&layout, "new"));
    let (of_old, of_new) = (sign(&layout, &old, "a"), sign(&layout, &new, "b"));
    let again = sign(&layout, &of_old, "c");
    let elsewhere = Descriptor::of(MediaType::OCI_MANIFEST, b"an image in another place");
    let of_absent = sign(&layout, &elsewhere, "d");
    layout.edit(|index| index.remove(&short("old"))).unwrap();

    let plan = layout.plan_gc(&at_once()).unwrap();
    let why: Vec<_> = plan.entries.iter().map(|entry| (&entry.digest, &entry.why)).collect();
    let gone = |digest: &Descriptor| GcReason::SubjectGoes(digest.digest.clone());
    assert_eq!(why, [(&of_old.digest, &gone(&old)), (&again.digest, &gone(&of_old))]);
    let done = layout.gc(&at_once()).unwrap();
    assert_eq!(done, plan);
    for (descriptor, stays) in
        [(&old, false), (&new, true), (&of_old, false), (&of_new, true), (&again, false), (&of_absent, true)]
    {
        assert_eq!(layout.has(descriptor).unwrap(), stays, "{descriptor}");
        assert_eq!(index(&layout).contains(&descriptor.digest.to_string()), stays);
    }
}

#[test]
fn fallback_tags_go_with_their_subject_unless_another_name_claims_what_they_list() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let session = layout.begin().unwrap();
    let signature = manifest(&session, "signature", Some(image.clone()));
    let list = Index::new(vec![signature.clone()]).to_document().unwrap();
    let list = session.put_document(&list).unwrap();
    let tag = format!("sha256-{}", image.digest.encoded());
    session.commit(|index| index.set(&short(&tag), &list)).unwrap();
    assert!(layout.gc(&at_once()).unwrap().is_empty());
    layout.edit(|index| index.set(&short("kept"), &signature)).unwrap();
    layout.edit(|index| index.remove(&short("v1"))).unwrap();
    let done = layout.gc(&at_once()).unwrap();
    assert_eq!(done.entries.len(), 1);
    assert_eq!(done.entries[0].name.as_deref(), Some(tag.as_str()));
    assert!(layout.has(&signature).unwrap() && !layout.has(&list).unwrap() && !layout.has(&image).unwrap());
}

#[test]
fn entries_without_name_and_subject_stay_until_they_are_released() {
    let (_folder, layout) = layout();
    put(&layout, "named");
    let session = layout.begin().unwrap();
    let pinned = manifest(&session, "pinned", None);
    session.commit(|index| index.pin(&pinned)).unwrap();
    let signature = sign(&layout, &pinned, "signature");
    assert!(layout.gc(&at_once()).unwrap().is_empty());
    let done = layout.gc(&GcOptions { untagged: true, ..at_once() }).unwrap();
    let why: Vec<_> = done.entries.iter().map(|entry| &entry.why).collect();
    assert_eq!(why, [&GcReason::Untagged, &GcReason::SubjectGoes(pinned.digest.clone())]);
    assert!(!layout.has(&pinned).unwrap() && !layout.has(&signature).unwrap());
    assert_eq!(layout.entries().unwrap().len(), 1);
}

#[test]
fn what_is_young_stays_with_what_it_leads_to_and_what_speaks_of_it() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    sign(&layout, &image, "signature");
    layout.edit(|index| index.remove(&short("v1"))).unwrap();
    let done = layout.gc(&GcOptions::default()).unwrap();
    assert!(done.is_empty(), "{done:?}");
    assert_eq!(done.young.count, 5);
    let plan = layout.plan_gc(&at_once()).unwrap();
    assert_eq!((plan.entries.len(), plan.blobs.len()), (1, 5));
}

#[test]
fn row_19_what_a_living_lease_names_stays_with_what_it_leads_to() {
    let (_folder, layout) = layout();
    let image = put(&layout, "v1");
    let signature = sign(&layout, &image, "signature");
    layout.edit(|index| index.remove(&short("v1"))).unwrap();
    let writer = layout.begin().unwrap();
    writer.lease(&image.digest).unwrap();
    let done = layout.gc(&at_once()).unwrap();
    assert!(done.is_empty(), "{done:?}");
    assert_eq!(done.leased.count, 5, "the signature waits with what it signed");
    drop(writer);
    assert_eq!(layout.gc(&at_once()).unwrap().blobs.len(), 5);
    assert!(!layout.has(&signature).unwrap());
}

/// What nobody can follow stops everything.
fn stops(layout: &Layout, digest: &Digest, kind: Kind, options: &GcOptions) {
    let orphan = layout.begin().unwrap();
    orphan.put_bytes(text(), b"an orphan").unwrap();
    orphan.commit(|_| Ok(())).unwrap();
    let before = tree(layout.path());
    for result in [layout.plan_gc(options), layout.gc(options)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Unreadable { digest: named, .. } if named == digest), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("nothing may go"), "{error}");
        assert_eq!(tree(layout.path()), before, "{error}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_stops_everything() {
    let damage: [fn(&Layout, &Descriptor); 3] = [
        |layout, image| fs::remove_file(blob(layout, image)).unwrap(),
        |layout, image| {
            let spoilt = fs::read_to_string(blob(layout, image)).unwrap().replace("layers", "lavers");
            fs::write(blob(layout, image), spoilt).unwrap();
        },
        |layout, image| fs::write(blob(layout, image), "short").unwrap(),
    ];
    for damage in damage {
        for by_name in [true, false] {
            let (_folder, layout) = layout();
            let session = layout.begin().unwrap();
            let image = manifest(&session, "image", None);
            session
                .commit(|index| match by_name {
                    true => index.set(&short("v1"), &image).map(drop),
                    false => index.pin(&image).map(drop),
                })
                .unwrap();
            damage(&layout, &image);
            stops(&layout, &image.digest, Kind::Invalid, &at_once());
        }
    }
}

#[test]
fn a_manifest_of_an_unknown_type_stops_everything_if_it_may_lead_somewhere() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let layer = session.put_bytes(text(), b"content").unwrap();
    let unknown = MediaType::parse("application/vnd.example.manifest.v9+json").unwrap();
    let harmless = session.put_bytes(unknown.clone(), br#"{"name":"value"}"#).unwrap();
    let note = session.put_bytes(text(), b"see \"sha256:something\"").unwrap();
    session
        .commit(|index| {
            index.set(&short("harmless"), &harmless)?;
            index.set(&short("note"), &note).map(drop)
        })
        .unwrap();
    assert_eq!(layout.plan_gc(&at_once()).unwrap().blobs.len(), 1);
    let session = layout.begin().unwrap();
    let opaque = format!(r#"{{"parts":["{}"]}}"#, layer.digest);
    let opaque = session.put_bytes(unknown, opaque.as_bytes()).unwrap();
    let list = session.put_document(&Index::new(vec![opaque.clone()]).to_document().unwrap()).unwrap();
    session.commit(|index| index.set(&short("list"), &list)).unwrap();
    stops(&layout, &opaque.digest, Kind::Unsupported, &at_once());
}

#[test]
fn holes_of_a_sparse_layout_are_fine_when_they_are_said_to_be() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let here = manifest(&session, "here", None);
    let not_here = Descriptor::of(MediaType::OCI_MANIFEST, b"for another platform");
    let both = Index::new(vec![not_here.clone(), here.clone()]).to_document().unwrap();
    let both = session.put_document(&both).unwrap();
    session.commit(|index| index.set(&short("v1"), &both)).unwrap();
    stops(&layout, &not_here.digest, Kind::Invalid, &at_once());
    let done = layout.gc(&GcOptions { sparse: true, ..at_once() }).unwrap();
    assert_eq!((done.holes, done.reachable.count, done.blobs.len()), (1, 4, 1));
    assert!(layout.has(&here).unwrap());
}

#[test]
fn holes_that_an_entry_declares_are_fine_and_others_are_not() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let platform = |text: &str| Some(transship_spec::Platform::parse(text).unwrap());
    let here = Descriptor { platform: platform("linux/amd64"), ..manifest(&session, "here", None) };
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"for another platform");
    let absent = Descriptor { platform: platform("linux/arm64"), ..absent };
    let both = Index::new(vec![absent.clone(), here]).to_document().unwrap();
    let mut both = session.put_document(&both).unwrap();
    let mut list = |kept: &str| {
        both.annotations.insert(transship_layout::check::KEPT_PLATFORMS.to_owned(), kept.to_owned());
        layout.edit(|index| index.set(&short("v1"), &both)).unwrap();
    };
    list("linux/amd64");
    session.commit(|_| Ok(())).unwrap();
    let done = layout.gc(&at_once()).unwrap();
    assert_eq!((done.holes, done.reachable.count), (1, 4));
    list("linux/amd64,linux/arm64");
    stops(&layout, &absent.digest, Kind::Invalid, &at_once());
}

#[test]
fn missing_layers_and_subjects_stop_nothing() {
    let (_folder, layout) = layout();
    let session = layout.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let absent = Descriptor::of(MediaType::OCI_LAYER_TAR, b"left out");
    let thin = Manifest::new(config, vec![absent]).to_document().unwrap();
    let thin = session.put_document(&thin).unwrap();
    session.commit(|index| index.set(&short("thin"), &thin)).unwrap();
    assert_eq!(layout.gc(&at_once()).unwrap().reachable.count, 2);
}

#[test]
fn what_is_no_blob_is_left_alone() {
    let (folder, layout) = layout();
    let outside = folder.path().join("blobs/outside");
    fs::write(&outside, "not in a folder").unwrap();
    fs::write(folder.path().join("blobs/sha256/notes.tmp"), "of another tool").unwrap();
    let link = folder.path().join("blobs/sha256").join(&*Digest::sha256(b"x").encoded());
    std::os::unix::fs::symlink("../outside", &link).unwrap();
    let done = layout.gc(&at_once()).unwrap();
    // Of a link in a blob's place only the link goes.
    assert_eq!((done.strays, done.blobs.len()), (2, 1));
    assert!(link.symlink_metadata().is_err());
    let before = tree(folder.path());
    assert!(layout.gc(&at_once()).unwrap().is_empty());
    assert_eq!(tree(folder.path()), before);

    fs::rename(folder.path().join("blobs/sha256"), folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", folder.path().join("blobs/sha256")).unwrap();
    let error = layout.gc(&at_once()).unwrap_err();
    assert!(error.to_string().contains("a link, which is never written through"), "{error}");
}

#[test]
fn partial_downloads_go_when_they_rest_too_long_or_are_of_no_use() {
    let (folder, layout) = layout();
    let expected = |content: &[u8]| Descriptor::of(text(), content);
    let (resting, in_hand, useless) = (expected(b"resting"), expected(b"in hand"), expected(b"useless"));
    let session = layout.begin().unwrap();
    session.put_bytes(text(), b"useless").unwrap();
    session.commit(|index| index.set(&short("useless"), &useless)).unwrap();
    let session = layout.begin().unwrap();
    for descriptor in [&resting, &useless] {
        let mut partial = session.partial(descriptor).unwrap().unwrap();
        partial.push(&b"resting"[..3]).unwrap_or_else(|error| panic!("{error}"));
        partial.keep();
    }
    let mut held = session.partial(&in_hand).unwrap().unwrap();
    held.push(b"in").unwrap();
    let done = layout.gc(&at_once()).unwrap();
    assert_eq!((done.partials.count, done.resumable.count), (1, 2));
    let partial = |descriptor: &Descriptor| {
        folder.path().join(".transship/partial").join(format!("sha256-{}", descriptor.digest.encoded()))
    };
    assert!(!partial(&useless).exists() && partial(&resting).exists() && partial(&in_hand).exists());
    let done = layout.gc(&GcOptions { partials: Duration::ZERO, ..at_once() }).unwrap();
    assert_eq!((done.partials.count, done.resumable.count), (1, 1));
    assert!(!partial(&resting).exists() && partial(&in_hand).exists());
    held.keep();
}

#[test]
fn what_the_dead_left_is_swept_and_stamps_of_what_is_gone_too() {
    let (folder, layout) = layout();
    let large = vec![7; 2 << 20];
    let session = layout.begin().unwrap();
    let mut writer = session.writer(None).unwrap();
    writer.push(&large).unwrap();
    let stamped = Descriptor::new(text(), writer.commit().unwrap().digest, large.len() as u64);
    session.commit(|index| index.set(&short("large"), &stamped)).unwrap();
    let stamps = folder.path().join(".transship/verified");
    assert!(fs::read_to_string(&stamps).unwrap().contains(&stamped.digest.to_string()));
    for kind in ["leases", "tmp"] {
        fs::create_dir_all(folder.path().join(".transship").join(kind)).unwrap();
    }
    fs::write(folder.path().join(".transship/leases/dead"), "").unwrap();
    fs::write(folder.path().join(".transship/tmp/dead-0"), "left").unwrap();
    layout.edit(|index| index.remove(&short("large"))).unwrap();
    fs::create_dir_all(folder.path().join(".transship/tmp")).unwrap();
    fs::write(folder.path().join(".transship/tmp/dead-1"), "left").unwrap();
    let done = layout.gc(&at_once()).unwrap();
    assert_eq!((done.temporaries.count, done.temporaries.bytes), (1, 4));
    assert_eq!(done.bytes(), 4 + stamped.size);
    assert!(!folder.path().join(".transship").exists(), "no stamp is left");
}

#[test]
fn a_plan_writes_nothing_and_a_layout_opened_for_reading_is_not_swept() {
    let (folder, layout) = layout();
    put(&layout, "v1");
    layout.edit(|index| index.remove(&short("v1"))).unwrap();
    let before = tree(folder.path());
    let reader = Layout::options().open_read_only(folder.path()).unwrap();
    assert_eq!(reader.plan_gc(&at_once()).unwrap().blobs.len(), 3);
    let error = reader.gc(&at_once()).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert_eq!(tree(folder.path()), before);
}

/// One thing of a random graph; numbers are of earlier ones, taken as far round as it needs.
#[derive(Debug, Clone)]
enum Thing {
    Blob,
    Manifest { layers: Vec<usize>, subject: Subject },
    Index { members: Vec<usize>, subject: Subject },
}

#[derive(Debug, Clone)]
enum Subject {
    None,
    Of(usize),
    Absent,
}

#[derive(Debug, Clone)]
enum Listed {
    No,
    Named,
    Untagged,
    DigestTag(Subject),
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![3 => Just(Subject::None), 3 => any::<usize>().prop_map(Subject::Of), 1 => Just(Subject::Absent)]
}

fn thing() -> impl Strategy<Value = (Thing, Listed)> {
    let some = || prop::collection::vec(any::<usize>(), 0..4);
    let thing = prop_oneof![
        2 => Just(Thing::Blob),
        4 => (some(), subject()).prop_map(|(layers, subject)| Thing::Manifest { layers, subject }),
        2 => (some(), subject()).prop_map(|(members, subject)| Thing::Index { members, subject }),
    ];
    let listed = prop_oneof![
        4 => Just(Listed::No),
        1 => Just(Listed::Named),
        3 => Just(Listed::Untagged),
        1 => subject().prop_map(Listed::DigestTag),
    ];
    (thing, listed)
}

/// A graph on disk, and what the model needs to know of it.
#[derive(Default)]
struct Graph {
    children: BTreeMap<Digest, Vec<Digest>>,
    /// Entries: where they lead, whether they have a name of their own, what they speak of.
    entries: Vec<(Digest, bool, Option<Digest>)>,
}

impl Graph {
    fn build(layout: &Layout, things: &[(Thing, Listed)]) -> Self {
        let mut graph = Self::default();
        let session = layout.begin().unwrap();
        let (mut blobs, mut documents): (Vec<Descriptor>, Vec<Descriptor>) = (Vec::new(), Vec::new());
        let mut listed = Vec::new();
        let absent =
            |number: usize| Descriptor::of(MediaType::OCI_MANIFEST, format!("absent {number}").as_bytes());
        for (number, (thing, how)) in things.iter().enumerate() {
            let pick = |from: &[Descriptor], numbers: &[usize]| -> Vec<Descriptor> {
                let pick = |&number: &usize| from.get(number.checked_rem(from.len())?).cloned();
                numbers.iter().filter_map(pick).collect()
            };
            let subject_of = |subject: &Subject| match subject {
                Subject::None => None,
                Subject::Of(of) => pick(&documents, &[*of]).pop(),
                Subject::Absent => Some(absent(number)),
            };
            let annotations = Annotations::from([("number".to_owned(), number.to_string())]);
            let (document, about): (Document, _) = match thing {
                Thing::Blob => {
                    let blob = session.put_bytes(text(), format!("blob {number}").as_bytes()).unwrap();
                    graph.children.insert(blob.digest.clone(), Vec::new());
                    blobs.push(blob);
                    continue;
                }
                Thing::Manifest { layers, subject } => {
                    let config = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
                    graph.children.insert(config.digest.clone(), Vec::new());
                    let (layers, subject) = (pick(&blobs, layers), subject_of(subject));
                    let about = subject.as_ref().map(|subject| subject.digest.clone());
                    let manifest = Manifest { annotations, subject, ..Manifest::new(config, layers) };
                    (manifest.to_document().unwrap(), about)
                }
                Thing::Index { members, subject } => {
                    let (members, subject) = (pick(&documents, members), subject_of(subject));
                    let about = subject.as_ref().map(|subject| subject.digest.clone());
                    let index = Index { annotations, subject, ..Index::new(members) };
                    (index.to_document().unwrap(), about)
                }
            };
            let children = document.children().iter().map(|child| child.digest.clone()).collect();
            graph.children.insert(document.digest().clone(), children);
            let descriptor = session.put_document(&document).unwrap();
            let entry = match how {
                Listed::No => None,
                Listed::Named => Some((format!("n{number}"), true, None)),
                Listed::Untagged => Some((String::new(), false, about)),
                Listed::DigestTag(subject) => subject_of(subject).map(|subject| {
                    let tag = format!("sha256-{}.{number}", subject.digest.encoded());
                    (tag, false, Some(subject.digest))
                }),
            };
            documents.push(descriptor.clone());
            if let Some((name, own, about)) = entry {
                graph.entries.push((descriptor.digest.clone(), own, about));
                listed.push((name, descriptor));
            }
        }
        commit(session, &listed);
        graph
    }

    /// What is to stay, found the simplest way.
    fn live(&self, untagged: bool) -> BTreeSet<Digest> {
        let mut live = BTreeSet::new();
        loop {
            let before = live.len();
            for (digest, own_name, about) in &self.entries {
                let stays = match about {
                    _ if *own_name => true,
                    None => !untagged,
                    Some(subject) => !self.children.contains_key(subject) || live.contains(subject),
                };
                if stays {
                    self.add(digest, &mut live);
                }
            }
            if live.len() == before {
                return live;
            }
        }
    }

    fn add(&self, digest: &Digest, live: &mut BTreeSet<Digest>) {
        if live.insert(digest.clone()) {
            self.children[digest].iter().for_each(|child| self.add(child, live));
        }
    }
}

fn commit(session: Session, listed: &[(String, Descriptor)]) {
    session
        .commit(|index| {
            for (name, descriptor) in listed {
                match name.as_str() {
                    "" => drop(index.pin(descriptor)?),
                    name => drop(index.set(&short(name), descriptor)?),
                }
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_is_reachable_stays(things in prop::collection::vec(thing(), 0..24), untagged: bool) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::options().durability(Durability::None).create(folder.path()).unwrap();
        let graph = Graph::build(&layout, &things);
        let live = graph.live(untagged);
        let options = GcOptions { untagged, ..at_once() };
        let plan: GcPlan = layout.plan_gc(&options).unwrap();
        let done = layout.gc(&options).unwrap();
        prop_assert_eq!(&plan, &done);
        prop_assert_eq!(blobs(&layout), live.clone());
        for (digest, ..) in &graph.entries {
            // An entry stays exactly if what it leads to does, unless that is reached in another way too.
            prop_assert!(live.contains(digest) || !index(&layout).contains(&digest.to_string()));
        }
        prop_assert!(layout.gc(&options).unwrap().is_empty());
        prop_assert!(!folder.path().join(".transship").exists());
    }
}
