//! Between layouts and the CNCF registry as Debian ships it.

use transship_copy::{Destination, Options, Referrers, Selection, Status, endpoint};
use transship_layout::Name;
use transship_registry::TagOrDigest;
use transship_spec::{Descriptor, Digest, MediaType, Reference, Tag, referrers};
use transship_testkit::{DockerRegistry, TestRegistry};

use crate::support::{self, *};

#[tokio::test]
async fn all_tags_go_there_and_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3"]);
    let there = support::destination(&registry, &client, "team/app");
    let report = copy(&[all(endpoint::layout(from.clone()))], &there).await;
    assert_done(&report);
    assert_eq!((report.content.copied.count, report.content.manifests.count), (7, 3));
    // A tag and a manifest are each asked for once, and a list of tags spares the questions for four layers; blobs need two
    // requests, manifests one.
    assert_eq!(requests.take(), [1, 3 + 3, 7, 7 + 3]);

    // Nothing to do costs one request a root.
    let report = copy(&[all(endpoint::layout(from.clone()))], &there).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present));
    assert_eq!(requests.take(), [0, 3, 0, 0]);

    let to = layout(&folder.path().join("to"));
    let naming = transship_copy::names::Naming { short_names: true, ..Default::default() };
    let selection = Selection { naming, ..Selection::default() };
    let source = [all(support::endpoint(&registry, &client, "team/app"))];
    let asked = transship_copy::requests(&source, &into_layout(&to, ""), &selection).await.unwrap();
    assert_eq!(requests.take(), [1, 0, 0, 0], "one list of tags");
    let plain = Options { referrers: Referrers::None, digest_tags: false, ..Options::default() };
    let report = transship_copy::plan(asked.clone(), &plain).await.run().await;
    assert_done(&report);
    assert_eq!(requests.take(), [3 + 7, 0, 0, 0]);
    assert_eq!(blobs(&to), blobs(&from));
    assert_eq!(names(&to), names(&from));

    let report = transship_copy::plan(asked, &plain).await.run().await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present));
    assert_eq!(requests.take(), [0, 3, 0, 0]);
}

#[tokio::test]
async fn dist_71_referrers_and_digest_tags_go_there_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let root = put(&session, &image(&session, 1, &[]));
    let signature = put(&session, &image(&session, 2, &[]));
    let attached = referrer(&session, &root, 3);
    let nested = referrer(&session, &attached, 4);
    let tag = referrers::fallback_tag(&root.digest);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.set(&Name::short(&format!("{tag}.sig"))?, &signature)?;
            index.add(&attached)?;
            index.add(&nested)
        })
        .unwrap();
    let there = support::destination(&registry, &client, "signed/app");
    let report = copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await;
    assert_done(&report);
    assert_eq!(report.referrers, 3);
    let repository = support::repository(&registry, &client, "signed/app");
    let listed = repository.referrers(&root.digest, None).await.unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.digest).collect::<Vec<_>>(), [&attached.digest]);
    requests.take();

    // The tag, the digest tag, and one list of referrers for each subject.
    let report = copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{:?}", report.roots);
    let [get, head, post, put_] = requests.take();
    assert_eq!((head, post, put_), (2, 0, 0));
    assert_eq!(get, 2, "the fallback tags of both subjects");

    // A second copy into the same repository merges the list.
    let session = from.begin().unwrap();
    let late = referrer(&session, &root, 9);
    session.commit(|index| index.add(&late)).unwrap();
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await);
    let listed = repository.referrers(&root.digest, None).await.unwrap();
    assert_eq!(listed.len(), 2);

    for select in [
        one(support::endpoint(&registry, &client, "signed/app"), "v1"),
        all(support::endpoint(&registry, &client, "signed/app")),
    ] {
        let place = tempfile::tempdir().unwrap();
        let to = layout(&place.path().join("to"));
        let report = copy(&[select], &into_layout(&to, "")).await;
        assert_done(&report);
        assert_eq!(blobs(&to), blobs(&from), "the fallback tags themselves stay");
        let found = transship_layout::graph::referrers_of(&to).unwrap();
        assert_eq!(found.of(&root.digest).len(), 2);
        assert_eq!(found.of(&attached.digest)[0].digest, nested.digest);
    }
}

#[tokio::test]
async fn dist_50_within_one_registry_blobs_are_mounted() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let from = images(&folder.path().join("from"), &["v1"]);
    assert_done(
        &copy(&[all(endpoint::layout(from))], &support::destination(&registry, &client, "one")).await,
    );
    requests.take();
    let source = [one(support::endpoint(&registry, &client, "one"), "v1")];
    let report = copy(&source, &support::destination(&registry, &client, "two")).await;
    assert_done(&report);
    assert_eq!((report.content.copied.count, report.content.mounted.count), (0, 3));
    let [_, _, post, put] = requests.take();
    assert_eq!((post, put), (3, 1));
}

#[tokio::test]
async fn a_layer_of_two_repositories_is_sent_to_a_registry_once() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let from = images(&folder.path().join("from"), &["h.example/a:v1", "h.example/b/c:v1"]);
    let report =
        copy(&[all(endpoint::layout(from.clone()))], &support::destination(&registry, &client, "mirror"))
            .await;
    assert_done(&report);
    assert_eq!((report.content.copied.count, report.content.mounted.count), (5, 1));
    for (path, name) in [("mirror/a", "h.example/a:v1"), ("mirror/b/c", "h.example/b/c:v1")] {
        let tag = TagOrDigest::Tag(Tag::parse("v1").unwrap());
        let there = support::repository(&registry, &client, path).manifest_head(&tag).await.unwrap().unwrap();
        assert_eq!(there.digest, from.resolve(Some(name)).unwrap().descriptor.digest);
    }
}

#[tokio::test]
async fn img_150_what_may_not_be_distributed_is_not_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let reference = Reference::parse(&registry.reference("foreign")).unwrap();
    let there = Destination::Registry { client: client.clone(), reference };
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let foreign = MediaType::parse("application/vnd.oci.image.layer.nondistributable.v1.tar").unwrap();
    let mut layer = session.put_bytes(foreign, b"there").unwrap();
    layer.urls = vec!["https://r.example/layer".to_owned()];
    let root = put(&session, &image(&session, 1, &[layer.clone()]));
    session.commit(|index| index.set(&Name::short("v1")?, &root)).unwrap();
    let report = copy(&[all(endpoint::layout(from.clone()))], &there).await;
    assert_done(&report);
    assert_eq!(report.left_out.nondistributable.count, 1);
    let repository = client.repository(&registry.address(), "foreign").unwrap();
    let head = repository.blob_head(&layer.digest).await.unwrap();
    assert_eq!(head, None);
    // Who asks for it gets it there, though a registry has the manifest without.
    let options = Options { nondistributable: true, ..Options::default() };
    let report = copy_with(&[all(endpoint::layout(from))], &there, &options).await;
    assert_done(&report);
    assert_eq!((report.left_out.nondistributable.count, report.content.copied.count), (0, 1));
    assert_eq!(report.roots[0].digest.as_ref(), Some(&root.digest));
    assert!(repository.blob_head(&layer.digest).await.unwrap().is_some());
}

#[tokio::test]
async fn img_150_a_layer_that_one_image_may_not_distribute_is_uploaded_for_another_that_may() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let reference = Reference::parse(&registry.reference("mixed")).unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, b"there").unwrap();
    let foreign = MediaType::parse("application/vnd.oci.image.layer.nondistributable.v1.tar").unwrap();
    let kept_back = Descriptor { media_type: foreign, ..layer.clone() };
    let images = [kept_back, layer.clone()].map(|layer| put(&session, &image(&session, 1, &[layer])));
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &images[0])?;
            index.set(&Name::short("v2")?, &images[1])
        })
        .unwrap();
    let there = Destination::Registry { client: client.clone(), reference };
    assert_done(&copy(&[all(endpoint::layout(from))], &there).await);
    let repository = client.repository(&registry.address(), "mixed").unwrap();
    assert!(repository.blob_head(&layer.digest).await.unwrap().is_some());
}

#[tokio::test]
async fn odd_content_goes_there_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let put_as = |content: &Descriptor, bytes: &[u8]| {
        let mut writer = session.writer(Some(content)).unwrap();
        writer.push(bytes).unwrap();
        writer.commit().unwrap();
    };
    let by_sha512 = |media_type: MediaType, bytes: &[u8]| {
        let content = Descriptor::new(media_type, Digest::sha512(bytes), bytes.len() as u64);
        put_as(&content, bytes);
        content
    };
    let empty = session.put_bytes(MediaType::OCI_LAYER_TAR, b"").unwrap();
    let other = put(&session, &image(&session, 1, &[]));
    let as_layer = Descriptor { media_type: MediaType::OCI_LAYER_TAR, ..other.clone() };
    let long = by_sha512(MediaType::OCI_LAYER_TAR, b"a layer by another digest");
    let document = image(&session, 2, &[empty, as_layer, long]).to_document().unwrap();
    let member = by_sha512(MediaType::OCI_MANIFEST, document.bytes());
    let both = support::index(&session, &[member.clone(), other]);
    let signature = referrer(&session, &member, 9);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &both)?;
            index.set(&Name::short("v2")?, &member)?;
            index.add(&signature)
        })
        .unwrap();

    let all_of = |layout: &transship_layout::Layout| -> std::collections::BTreeSet<String> {
        layout.blobs().unwrap().map(|blob| blob.unwrap().digest.unwrap().to_string()).collect()
    };
    for builder in [TestRegistry::builder(), TestRegistry::builder().no_referrers()] {
        let registry = builder.start().await;
        let (client, _) = client();
        let reference = Reference::parse(&registry.reference("odd")).unwrap();
        let there = Destination::Registry { client: client.clone(), reference };
        assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
        let back = tempfile::tempdir_in(folder.path()).unwrap();
        let to = layout(back.path());
        let source = endpoint::registry(client.repository(&registry.address(), "odd").unwrap());
        assert_done(&copy(&[one(source, "v1")], &into_layout(&to, "v1")).await);
        assert_eq!(all_of(&to), all_of(&from));
    }
}

#[tokio::test]
async fn an_index_and_its_members_go_there_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let members: Vec<_> = (1..4).map(|seed| put(&session, &image(&session, seed, &[]))).collect();
    let root = support::index(&session, &members);
    session
        .commit(|index| {
            index.set(&Name::short("multi")?, &root)?;
            index.set(&Name::short("member")?, &members[0])
        })
        .unwrap();
    let there = support::destination(&registry, &client, "multi");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    requests.take();
    let to = layout(&folder.path().join("to"));
    let source = [
        one(support::endpoint(&registry, &client, "multi"), "multi"),
        one(support::endpoint(&registry, &client, "multi"), "member"),
    ];
    assert_done(&copy(&source, &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_blocks_reads_a_registry_like_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    let from = layout(&folder.path().join("from"));
    let session = from.begin().unwrap();
    let member = put(&session, &image(&session, 1, &[]));
    let root = support::index(&session, std::slice::from_ref(&member));
    let attached = referrer(&session, &member, 2);
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            index.add(&attached)
        })
        .unwrap();
    assert_done(
        &copy(&[all(endpoint::layout(from.clone()))], &support::destination(&registry, &client, "read"))
            .await,
    );
    let ask = endpoint::Ask { referrers: true, ..endpoint::Ask::default() };
    let select = transship_copy::Select::One(Some("v1".to_owned()));
    let runtime = tokio::runtime::Handle::current();
    let source = endpoint::blocking(support::endpoint(&registry, &client, "read"), runtime, select, ask);
    requests.take();
    let (seen, total) = tokio::task::spawn_blocking(move || {
        let entries = transship_layout::Source::entries(&source).unwrap();
        assert_eq!(entries[0].tag(), Some("v1"));
        let roots: Vec<_> = entries.into_iter().map(|entry| entry.descriptor).collect();
        let found = transship_layout::graph::referrers_of(&source).unwrap();
        assert_eq!(found.of(&member.digest)[0].digest, attached.digest);
        let (mut seen, mut total) = (std::collections::BTreeSet::new(), 0);
        transship_layout::graph::walk(&source, &roots, &mut |node| {
            seen.insert(node.descriptor.digest.to_string());
            let mut reader = transship_layout::Source::open(&source, node.descriptor)?;
            total += std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
            Ok(())
        })
        .unwrap();
        (seen, total)
    })
    .await
    .unwrap();
    assert_eq!(seen, blobs(&from));
    let sizes = seen.iter().map(|digest| std::fs::metadata(blob_path(&from, digest)).unwrap().len());
    assert_eq!(total, sizes.sum::<u64>());
    assert_eq!(requests.take()[1], 2, "one for each time that the tag is resolved, and none for blobs");
}
