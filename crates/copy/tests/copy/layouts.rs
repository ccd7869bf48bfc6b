//! From layout to layout.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use transship_copy::names::{Choice, Map, Naming};
use transship_copy::{Error, Options, Referrers, Selection, Status, Subset, endpoint, plan, requests};
use transship_layout::Name;
use transship_spec::{Descriptor, Kind, MediaType, Platform};

use crate::support::{self, *};

#[tokio::test]
async fn everything_that_has_a_name_arrives_with_all_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2", "r.example/team/app:v3"]);
    let to = layout(&folder.path().join("to"));
    let told = Arc::new(Told::default());
    let options = Options { events: told.clone(), ..Options::default() };
    let report = copy_with(&[all(endpoint::layout(from.clone()))], &into_layout(&to, ""), &options).await;
    assert_done(&report);
    assert_eq!(blobs(&from), blobs(&to));
    assert_eq!(names(&from), names(&to));
    assert_eq!(report.content.copied.count, 7, "three configs and layers, and the layer that all share once");
    assert_eq!(report.content.manifests.count, 3);
    let load = |what: &std::sync::atomic::AtomicUsize| what.load(Ordering::Relaxed);
    assert_eq!((load(&told.planned), load(&told.started), load(&told.done), load(&told.roots)), (7, 7, 7, 3));
    assert_eq!(load(&told.bytes) as u64, report.content.copied.bytes);

    let index = fs::read(to.path().join("index.json")).unwrap();
    let report = copy(&[all(endpoint::layout(from))], &into_layout(&to, "")).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{:?}", report.roots);
    assert_eq!((report.content.copied.count, report.content.manifests.count), (0, 0));
    assert_eq!(report.content.present.count, 7);
    assert_eq!(fs::read(to.path().join("index.json")).unwrap(), index);
}

#[tokio::test]
async fn a_manifest_with_several_names_is_planned_and_copied_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let image = from.resolve(Some("v1")).unwrap().descriptor;
    from.edit(|index| index.set(&Name::short("latest")?, &image)).unwrap();
    let to = layout(&folder.path().join("to"));
    let source = [all(endpoint::layout(from.clone()))];
    let names_of = requests(&source, &into_layout(&to, ""), &Selection::default()).await.unwrap();
    let plan = plan(names_of, &Options::default()).await;
    assert_eq!(plan.summary().missing.manifests.count, 1);
    let report = plan.run().await;
    assert_eq!(report.content.manifests.count, 1);
    assert_eq!(names(&from), names(&to));
}

#[tokio::test]
async fn one_of_many_is_copied_under_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v2")], &into_layout(&to, "mine")).await);
    let digest = from.resolve(Some("v2")).unwrap().descriptor.digest;
    assert_eq!(names(&to), BTreeSet::from([("mine".to_owned(), digest.to_string())]));
    assert_eq!(blobs(&to).len(), 4);
}

#[tokio::test]
async fn tags_are_chosen_by_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1.0", "v1.1", "v1.1-rc", "v2.0"]);
    let to = into_layout(&layout(&folder.path().join("to")), "");
    let pattern = |text| vec![Choice::parse(text).unwrap()];
    let selection = Selection { tags: pattern("v1.*"), exclude: pattern("*-rc"), ..Selection::default() };
    let source = [all(endpoint::layout(from))];
    let names = requests(&source, &to, &selection).await.unwrap();
    assert_eq!(names.iter().map(|request| request.name.to_string()).collect::<Vec<_>>(), ["v1.0", "v1.1"]);
    let nothing = Selection { tags: pattern("v9"), ..Selection::default() };
    assert_eq!(requests(&source, &to, &nothing).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn law_9_a_plan_says_what_is_missing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v1")], &into_layout(&to, "")).await);
    let before = tree(folder.path());
    let sources = [all(endpoint::layout(from))];
    let requests = requests(&sources, &into_layout(&to, ""), &Selection::default()).await.unwrap();
    let plan = plan(requests, &Options::default()).await;
    let summary = plan.summary();
    assert_eq!(summary.roots.iter().map(|root| root.present).collect::<Vec<_>>(), [true, false]);
    assert_eq!(summary.missing.blobs.count, 2, "the shared layer is there");
    assert_eq!(summary.missing.manifests.count, 1);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["schema"], "transship.copy.plan/1");
    assert_eq!(json["roots"][1]["name"], "v2");
    let text = plan.to_string();
    assert!(text.contains("keep oci:") && text.contains("copy oci:"), "{text}");
    drop(plan);
    assert_eq!(tree(folder.path()), before);
}

/// Every file below a folder and when it was changed.
fn tree(folder: &std::path::Path) -> BTreeSet<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(tree(&entry.path()));
        } else {
            found.insert((entry.path(), metadata.modified().unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn img_12_entries_of_unknown_types_are_carried() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let xml = session.put_bytes(MediaType::parse("application/xml").unwrap(), b"<a/>").unwrap();
    let xml = Descriptor { annotations: [("mood".to_owned(), "odd".to_owned())].into(), ..xml };
    session.commit(|index| index.set(&Name::short("xml")?, &xml)).unwrap();
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
    assert_eq!(to.entries().unwrap()[0].descriptor, from.entries().unwrap()[0].descriptor);
}

#[tokio::test]
async fn img_107_documents_arrive_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{ }\n").unwrap();
    let text = format!(
        "{{ \"schemaVersion\" : 2,\n\t\"mood\": 1.0e0,\n \"config\": {}, \"layers\": [ ] }}\n\n",
        serde_json::to_string(&config).unwrap()
    );
    let pretty = session.put_bytes(MediaType::OCI_MANIFEST, text.as_bytes()).unwrap();
    session.commit(|index| index.set(&Name::short("pretty")?, &pretty)).unwrap();
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(endpoint::layout(from))], &into_layout(&to, "")).await);
    assert_eq!(fs::read(blob_path(&to, &pretty.digest.to_string())).unwrap(), text.as_bytes());
}

#[tokio::test]
async fn row_51_a_wrong_blob_at_the_destination_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let to = layout(&folder.path().join("to"));
    let destination = into_layout(&to, "");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &destination).await);
    for digest in blobs(&from) {
        // Once of the same size, once cut: a layer, a config, and the manifest itself.
        for wrong in [0, 1] {
            let path = blob_path(&to, &digest);
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            bytes.truncate(bytes.len() - wrong);
            fs::write(&path, bytes).unwrap();
            let report = copy(&[all(endpoint::layout(from.clone()))], &destination).await;
            assert_done(&report);
            assert_eq!(report.roots[0].status, Status::Copied, "{digest}");
            assert_eq!(blobs(&to), blobs(&from));
        }
    }
}

#[tokio::test]
async fn row_52_a_corrupt_source_fails_alone_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let v1 = from.read_document(&from.resolve(Some("v1")).unwrap().descriptor).unwrap();
    let layer = v1.as_manifest().unwrap().layers[1].clone();
    let path = blob_path(&from, &layer.digest.to_string());
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(endpoint::layout(from.clone()))], &into_layout(&to, "")).await;
    assert_eq!(report.kind(), Some(Kind::Partial));
    let failed: Vec<_> = report.failures().collect();
    let failure = failed[0].failure.as_ref().unwrap();
    assert_eq!((failed.len(), failed[0].name.to_string(), failure.kind), (1, "v1".to_owned(), Kind::Invalid));
    assert!(failure.message.contains(&layer.digest.to_string()), "{}", failure.message);
    assert_eq!(names(&to).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["v2"]);
    assert!(!blobs(&to).contains(&layer.digest.to_string()));

    fs::remove_file(&path).unwrap();
    let report = copy(&[one(endpoint::layout(from), "v1")], &into_layout(&to, "")).await;
    assert_eq!(report.kind(), Some(Kind::Invalid), "what is incomplete is invalid");
}

#[tokio::test]
async fn case_d12_who_is_wrong_about_a_size_fails_alone_whichever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    for order in [["right", "wrong"], ["wrong", "right"]] {
        let from = layout(&folder.path().join(order[0]).join("from"));
        let session = from.begin().unwrap();
        let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, b"shared").unwrap();
        let right = put(&session, &image(&session, 1, std::slice::from_ref(&layer)));
        let wrong = put(&session, &image(&session, 2, &[Descriptor { size: 7, ..layer }]));
        session
            .commit(|index| {
                for name in order {
                    let image = if name == "right" { &right } else { &wrong };
                    index.set(&Name::short(name)?, image)?;
                }
                Ok(())
            })
            .unwrap();
        let to = layout(&folder.path().join(order[0]).join("to"));
        let report = copy(&[all(endpoint::layout(from))], &into_layout(&to, "")).await;
        let failed: Vec<_> = report.failures().map(|root| root.name.to_string()).collect();
        assert_eq!(failed, ["wrong"]);
        assert_eq!(names(&to).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["right"]);
    }
}

#[tokio::test]
async fn within_one_layout_the_source_may_be_open_for_reading_only() {
    let folder = tempfile::tempdir().unwrap();
    let layout = images(folder.path(), &["v1"]);
    let source = transship_layout::Layout::options().open_read_only(folder.path()).unwrap();
    let report = copy(&[one(endpoint::layout(source), "v1")], &into_layout(&layout, "v2")).await;
    assert_done(&report);
    let digests: BTreeSet<_> = names(&layout).into_iter().map(|(_, digest)| digest).collect();
    assert_eq!((names(&layout).len(), digests.len()), (2, 1));
}

#[tokio::test]
async fn case_l14_a_name_that_can_be_none_is_refused_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let index = from.path().join("index.json");
    fs::write(&index, fs::read_to_string(&index).unwrap().replace("\"v2\"", r#""v2\u001b[31m""#)).unwrap();
    let to = layout(&folder.path().join("to"));
    let everything = [all(endpoint::layout(from))];
    let refused = requests(&everything, &into_layout(&to, ""), &Selection::default()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage, "{refused}");
    let exclude = vec![Choice::parse("v2*").unwrap()];
    let selection = Selection { exclude, ..Selection::default() };
    let chosen = requests(&everything, &into_layout(&to, ""), &selection).await.unwrap();
    assert_done(&plan(chosen, &Options::default()).await.run().await);
}

#[tokio::test]
async fn img_36_what_a_descriptor_embeds_need_not_be_there_and_must_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let embedding = |seed: u8, data: &[u8]| {
        let image = image(&session, seed, &[]);
        let layer = Descriptor { data: Some(data.to_vec()), ..image.layers[0].clone() };
        put(&session, &transship_spec::Manifest { layers: vec![layer], ..image })
    };
    let (right, wrong) = (embedding(1, &content(1001, 1)), embedding(2, &content(1002, 3)));
    session
        .commit(|index| {
            index.set(&Name::short("right")?, &right)?;
            index.set(&Name::short("wrong")?, &wrong)
        })
        .unwrap();
    let layer = transship_spec::Digest::sha256(&content(1001, 1));
    fs::remove_file(blob_path(&from, &layer.to_string())).unwrap();

    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(endpoint::layout(from.clone()))], &into_layout(&to, "")).await;
    let failed: Vec<_> = report.failures().map(|root| root.name.to_string()).collect();
    assert_eq!((failed, report.kind()), (vec!["wrong".to_owned()], Some(Kind::Partial)));
    assert!(blobs(&to).contains(&layer.to_string()));

    let registry = transship_testkit::TestRegistry::start().await;
    let (client, _) = client();
    let reference = transship_spec::Reference::parse(&registry.reference("app")).unwrap();
    let there = transship_copy::Destination::Registry { client, reference };
    assert_done(&copy(&[one(endpoint::layout(from), "right")], &there).await);
    assert!(registry.layout().size(&layer).unwrap().is_some());
}

#[tokio::test]
async fn fail_fast_begins_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3"]);
    let first = from.resolve(Some("v1")).unwrap().descriptor;
    fs::remove_file(blob_path(&from, &first.digest.to_string())).unwrap();
    let to = layout(&folder.path().join("to"));
    let options = Options { fail_fast: true, concurrency: 1, ..Options::default() };
    let report = copy_with(&[all(endpoint::layout(from))], &into_layout(&to, ""), &options).await;
    assert_eq!(report.failures().count(), 3);
    assert!(names(&to).is_empty());
    assert!(!to.path().join(".transship").exists());
}

#[tokio::test]
async fn img_180_referrers_come_along_and_so_do_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let member = put(&session, &image(&session, 1, &[]));
    let root = support::index(&session, std::slice::from_ref(&member));
    let of_root = referrer(&session, &root, 2);
    let of_member = referrer(&session, &member, 3);
    let of_referrer = referrer(&session, &of_root, 4);
    let other = put(&session, &image(&session, 5, &[]));
    let of_other = referrer(&session, &other, 6);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.set(&Name::short("other")?, &other)?;
            for referrer in [&of_root, &of_member, &of_referrer, &of_other] {
                index.add(referrer)?;
            }
            Ok(())
        })
        .unwrap();
    let to = layout(&folder.path().join("to"));
    let report = copy(&[one(endpoint::layout(from.clone()), "v1")], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!(report.referrers, 3);
    let found = transship_layout::graph::referrers_of(&to).unwrap();
    assert_eq!(found.of(&root.digest)[0].digest, of_root.digest);
    assert_eq!(found.of(&member.digest)[0].digest, of_member.digest);
    assert_eq!(found.of(&of_root.digest)[0].digest, of_referrer.digest);
    assert_eq!(found.of(&root.digest)[0].annotations["seed"], "2");
    assert!(!blobs(&to).contains(&of_other.digest.to_string()));

    // A signature added to an unchanged image is carried.
    let session = from.begin().unwrap();
    let late = referrer(&session, &root, 7);
    session.commit(|index| index.add(&late)).unwrap();
    let report = copy(&[one(endpoint::layout(from.clone()), "v1")], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!(report.content.copied.count, 1);
    assert_eq!(report.roots[0].status, Status::Present);
    assert_eq!(transship_layout::graph::referrers_of(&to).unwrap().of(&root.digest).len(), 2);

    let third = layout(&folder.path().join("third"));
    let options = Options { referrers: Referrers::None, ..Options::default() };
    let report = copy_with(&[one(endpoint::layout(from), "v1")], &into_layout(&third, ""), &options).await;
    assert_eq!((report.referrers, report.roots.len()), (0, 1));
}

#[tokio::test]
async fn law_11_a_document_that_may_be_a_referrer_and_cannot_be_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let session = from.begin().unwrap();
    let attached = referrer(&session, &from.resolve(Some("v1")).unwrap().descriptor, 3);
    session.commit(|index| index.add(&attached)).unwrap();
    let path = blob_path(&from, &attached.digest.to_string());
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    let to = layout(&folder.path().join("to"));
    let report = copy(&[one(endpoint::layout(from), "v1")], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!((report.warnings.len(), report.referrers), (1, 0));
    assert!(report.warnings[0].contains(&attached.digest.to_string()), "{:?}", report.warnings);
}

#[tokio::test]
async fn digest_tags_come_along_and_fallback_tags_become_referrers() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let root = put(&session, &image(&session, 1, &[]));
    let signature = put(&session, &image(&session, 2, &[]));
    let attached = referrer(&session, &root, 3);
    let list = support::index(&session, std::slice::from_ref(&attached));
    let tag = transship_spec::referrers::fallback_tag(&root.digest);
    session
        .commit(|index| {
            index.set(&Name::parse("r.example/app:v1")?, &root)?;
            index.set(&Name::parse(&format!("r.example/app:{tag}.sig"))?, &signature)?;
            index.set(&Name::parse(&format!("r.example/app:{tag}"))?, &list)
        })
        .unwrap();
    for select in [one(endpoint::layout(from.clone()), "v1"), all(endpoint::layout(from.clone()))] {
        let place = tempfile::tempdir().unwrap();
        let to = layout(&place.path().join("to"));
        assert_done(&copy(&[select], &into_layout(&to, "")).await);
        let names: Vec<_> = names(&to).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [String::new(), format!("r.example/app:{tag}.sig"), "r.example/app:v1".to_owned()]);
        assert!(!blobs(&to).contains(&list.digest.to_string()));
        assert_eq!(transship_layout::graph::referrers_of(&to).unwrap().of(&root.digest).len(), 1);
    }
    let to = layout(&folder.path().join("without"));
    let options = Options { digest_tags: false, referrers: Referrers::None, ..Options::default() };
    let report = copy_with(&[one(endpoint::layout(from), "v1")], &into_layout(&to, ""), &options).await;
    assert_eq!(report.roots.len(), 1);
}

#[tokio::test]
async fn one_platform_is_copied_as_its_manifest_and_what_stays_behind_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let mut members = Vec::new();
    for (seed, architecture) in [(1, "amd64"), (2, "arm64")] {
        let member = put(&session, &image(&session, seed, &[]));
        members.push(Descriptor { platform: Some(Platform::new("linux", architecture)), ..member });
    }
    let root = support::index(&session, &members);
    let signature = referrer(&session, &root, 3);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.add(&signature)
        })
        .unwrap();
    let to = layout(&folder.path().join("to"));
    let platform = Platform::parse("linux/arm64").unwrap();
    let options = Options { subset: Some(Subset::One(platform)), ..Options::default() };
    let report =
        copy_with(&[one(endpoint::layout(from.clone()), "v1")], &into_layout(&to, ""), &options).await;
    assert_done(&report);
    assert_eq!(to.resolve(Some("v1")).unwrap().descriptor.digest, members[1].digest);
    assert_eq!((report.left_out.signatures, report.warnings.len()), (1, 1));
    let subset = Some(Subset::One(Platform::new("linux", "s390x")));
    let options = Options { subset, ..options };
    let report = copy_with(&[one(endpoint::layout(from), "v1")], &into_layout(&to, ""), &options).await;
    assert_eq!(report.kind(), Some(Kind::NotFound));
    assert!(report.roots[0].failure.as_ref().unwrap().message.contains("linux/amd64, linux/arm64"));
}

#[tokio::test]
async fn case_m6_m7_deep_graphs_are_refused_and_doubling_ones_are_linear() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let leaf = put(&session, &image(&session, 1, &[]));
    let grow = |levels: usize| {
        (0..levels).fold(leaf.clone(), |below, _| support::index(&session, &[below.clone(), below]))
    };
    let (doubling, deep) = (grow(24), grow(32));
    session
        .commit(|index| {
            index.set(&Name::short("doubling")?, &doubling)?;
            index.set(&Name::short("deep")?, &deep)
        })
        .unwrap();
    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(endpoint::layout(from))], &into_layout(&to, "")).await;
    assert_eq!(report.content.manifests.count, 25);
    assert_eq!(report.kind(), Some(Kind::Partial));
    let failed = report.failures().next().unwrap();
    assert_eq!(
        (failed.name.to_string(), failed.failure.as_ref().unwrap().kind),
        ("deep".into(), Kind::Limit)
    );
}

#[tokio::test]
async fn a_short_name_does_not_move_to_the_image_of_another_repository() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["r.example/a:v1", "r.example/b:v1"]);
    let to = layout(&folder.path().join("to"));
    let source = |name: &str| [one(endpoint::layout(from.clone()), name)];
    assert_done(&copy(&source("r.example/a:v1"), &into_layout(&to, "")).await);
    let naming = Naming { short_names: true, ..Naming::default() };
    let selection = Selection { naming, ..Selection::default() };
    let refused = requests(&source("r.example/b:v1"), &into_layout(&to, ""), &selection).await.unwrap_err();
    assert!(matches!(refused, Error::NameMoves { .. }), "{refused}");
    let forced = Selection { force: true, ..selection.clone() };
    assert!(requests(&source("r.example/b:v1"), &into_layout(&to, ""), &forced).await.is_ok());
    let both = [all(endpoint::layout(from.clone()))];
    let refused = requests(&both, &into_layout(&to, ""), &selection).await.unwrap_err();
    assert!(matches!(refused, Error::TwoOnOneName { .. }), "{refused}");
    let maps = vec![Map::parse("r.example/*=new.example/*").unwrap()];
    let mapped = Selection { naming: Naming { maps, short_names: false }, ..Selection::default() };
    let named = requests(&both, &into_layout(&to, ""), &mapped).await.unwrap();
    assert_eq!(named[1].name.to_string(), "new.example/b:v1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_into_one_layout_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    layout(&to);
    let copies = (0..6).map(|at| {
        let (path, to) = (folder.path().join(format!("from{at}")), to.clone());
        tokio::spawn(async move {
            let name = format!("v{at}");
            let from = images(&path, &[name.as_str(), "shared"]);
            let destination = into_layout(&layout(&to), "");
            assert_done(&copy(&[one(endpoint::layout(from), &name)], &destination).await);
        })
    });
    for copy in copies.collect::<Vec<_>>() {
        copy.await.unwrap();
    }
    let to = layout(&to);
    let names: Vec<_> = names(&to).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["v0", "v1", "v2", "v3", "v4", "v5"]);
    blobs(&to);
}

#[tokio::test]
async fn img_150_what_may_not_be_distributed_goes_between_layouts_only() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let foreign = MediaType::parse("application/vnd.oci.image.layer.nondistributable.v1.tar").unwrap();
    let there = session.put_bytes(foreign.clone(), b"there").unwrap();
    let absent = Descriptor::of(foreign, b"absent");
    let root = put(&session, &image(&session, 1, &[there.clone(), absent]));
    session.commit(|index| index.set(&Name::short("v1")?, &root)).unwrap();
    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(endpoint::layout(from))], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!(report.left_out.nondistributable.count, 1);
    assert!(blobs(&to).contains(&there.digest.to_string()));
}
