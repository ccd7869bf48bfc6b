//! Some platforms of an index.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use transship_copy::endpoint::{self, ArchiveTarget};
use transship_copy::{Destination, Endpoint, Options, Report, Status, Subset, plan, requests};
use transship_layout::check::{self, KEPT_PLATFORMS, Severity};
use transship_layout::{Archive, GcOptions, Layout, Name};
use transship_spec::annotations::{DOCKER_REFERENCE_DIGEST, DOCKER_REFERENCE_TYPE};
use transship_spec::{Annotations, Descriptor, Digest, Document, Index, Kind, MediaType, Platform};
use transship_testkit::{DockerRegistry, TestRegistry};

use crate::support::{self, *};

/// An index for three platforms, `v1`, with what belongs to it.
struct Multi {
    layout: Layout,
    root: Descriptor,
    amd64: Descriptor,
    arm64: Descriptor,
    /// What attests to the image for arm64.
    attestation: Descriptor,
    /// What is signed: the index, and the images for amd64 and arm64.
    signatures: [Descriptor; 3],
}

fn multi(folder: &Path) -> Multi {
    let layout = layout(&folder.join("from"));
    let session = layout.begin().unwrap();
    let member = |seed: u8, platform: &str| Descriptor {
        platform: Some(Platform::parse(platform).unwrap()),
        ..put(&session, &image(&session, seed, &[]))
    };
    let amd64 = member(1, "linux/amd64");
    let arm64 = member(2, "linux/arm64/v8");
    let s390x = member(3, "linux/s390x");
    let attests = |seed: u8, image: &Descriptor| Descriptor {
        annotations: Annotations::from([
            (DOCKER_REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
            (DOCKER_REFERENCE_DIGEST.to_owned(), image.digest.to_string()),
        ]),
        ..member(seed, "unknown/unknown")
    };
    let (first, attestation) = (attests(4, &amd64), attests(5, &arm64));
    let members = vec![amd64.clone(), arm64.clone(), s390x, first, attestation.clone()];
    let plain = Index::new(members).to_document().unwrap();
    // With a member that nobody knows, and set apart in a way of its own.
    let text = String::from_utf8(plain.bytes().to_vec()).unwrap().replacen('{', "{ \"x-mood\": 1.50, ", 1);
    let index = Document::parse(text.into_bytes(), Some(&MediaType::OCI_INDEX)).unwrap();
    let root = session.put_document(&index).unwrap();
    let signatures =
        [(&root, 6), (&amd64, 7), (&arm64, 8)].map(|(subject, seed)| referrer(&session, subject, seed));
    session
        .commit(|index| {
            index.set(&Name::short("v1")?, &root)?;
            signatures.iter().try_for_each(|signature| index.add(signature).map(drop))
        })
        .unwrap();
    Multi { layout, root, amd64, arm64, attestation, signatures }
}

impl Multi {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        endpoint::layout(self.layout.clone())
    }
}

fn platforms(texts: &[&str]) -> Vec<Platform> {
    texts.iter().map(|text| Platform::parse(text).unwrap()).collect()
}

fn sparse(texts: &[&str]) -> Options {
    Options { subset: Some(Subset::Sparse(platforms(texts))), ..Options::default() }
}

fn rewrite(texts: &[&str]) -> Options {
    Options { subset: Some(Subset::Rewrite(platforms(texts))), ..Options::default() }
}

async fn v1(from: Arc<dyn Endpoint>, to: &Destination, options: &Options) -> Report {
    copy_with(&[one(from, "v1")], to, options).await
}

/// What the entry of `v1` declares to be there.
fn declared(layout: &Layout) -> Option<String> {
    layout.resolve(Some("v1")).unwrap().descriptor.annotations.get(KEPT_PLATFORMS).cloned()
}

fn has(layout: &Layout, digest: &Digest) -> bool {
    transship_layout::Source::size(layout, digest).unwrap().is_some()
}

/// What is declared is all that is missing, for `check` and for `gc`.
#[track_caller]
fn assert_sound(layout: &Layout) {
    let mut wrong = Vec::new();
    let mut note = |finding: &check::Finding| {
        // The images hold nothing that could be unpacked.
        let code = finding.code.to_string();
        let is_about_images = code.starts_with("config") || code == "layer-not-tar";
        if finding.severity() == Severity::Error && !is_about_images {
            wrong.push(finding.to_string());
        }
    };
    check::content(layout, &check::Options::default(), &mut note).unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    let plan = layout.gc(&GcOptions { grace: Duration::ZERO, ..GcOptions::default() }).unwrap();
    assert!(plan.blobs.is_empty(), "{:?}", plan.blobs);
}

#[tokio::test]
async fn img_85_a_sparse_copy_keeps_the_index_and_declares_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let to = layout(&folder.path().join("to"));
    let into = into_layout(&to, "");
    let report = v1(multi.endpoint(), &into, &sparse(&["linux/amd64", "linux/arm64"])).await;
    assert_done(&report);
    assert_eq!(to.resolve(Some("v1")).unwrap().descriptor.digest, multi.root.digest);
    assert_eq!(declared(&to).as_deref(), Some("linux/amd64,linux/arm64/v8"));
    let part = report.roots[0].part.as_ref().unwrap();
    assert_eq!((part.platforms.join(" "), part.left_out), ("linux/amd64 linux/arm64/v8".to_owned(), 1));
    assert_eq!((report.left_out.members, report.left_out.signatures), (1, 0));
    assert_eq!(report.referrers, 3, "signatures of the index, which is the same, and of what is there");
    assert_sound(&to);

    // The same again is nothing to do.
    let before = std::fs::read(to.path().join("index.json")).unwrap();
    let report = v1(multi.endpoint(), &into, &sparse(&["linux/arm64", "linux/amd64"])).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{:?}", report.roots);
    assert_eq!(std::fs::read(to.path().join("index.json")).unwrap(), before);
}

#[tokio::test]
async fn img_83_attestations_and_signatures_stay_with_images_that_stay() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let to = layout(&folder.path().join("to"));
    assert_done(&v1(multi.endpoint(), &into_layout(&to, ""), &sparse(&["linux/amd64"])).await);
    let [index, amd64, arm64] = multi.signatures.each_ref().map(|signature| has(&to, &signature.digest));
    assert_eq!((index, amd64, arm64), (true, true, false));
    assert!(!has(&to, &multi.attestation.digest) && !has(&to, &multi.arm64.digest));
    assert_sound(&to);
    let report = v1(multi.endpoint(), &into_layout(&to, ""), &sparse(&["linux/arm64"])).await;
    assert_eq!(
        report.content.copied.count, 5,
        "config and layer of the image, its attestation and signature"
    );
    assert!(has(&to, &multi.attestation.digest) && has(&to, &multi.signatures[2].digest));
    assert_eq!(declared(&to).as_deref(), Some("linux/amd64,linux/arm64/v8"));
    assert_sound(&to);
}

#[tokio::test]
async fn a_later_copy_fills_the_holes_and_one_of_all_declares_none() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let rest = [("some", sparse(&["linux/s390x", "linux/arm64"])), ("all", Options::default())];
    for (name, rest) in rest {
        let to = layout(&folder.path().join(name));
        let into = into_layout(&to, "");
        assert_done(&v1(multi.endpoint(), &into, &sparse(&["linux/amd64"])).await);
        assert_done(&v1(multi.endpoint(), &into, &rest).await);
        assert_eq!(declared(&to), None);
        assert_eq!(blobs(&to), blobs(&multi.layout));
        assert_sound(&to);
        // What is whole stays so.
        assert_done(&v1(multi.endpoint(), &into, &sparse(&["linux/amd64"])).await);
        assert_eq!(declared(&to), None);
    }
}

#[tokio::test]
async fn two_sparse_copies_at_the_same_time_declare_what_both_have_brought() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let to = layout(&folder.path().join("to"));
    let planned = |platform: &'static str| async {
        let sources = [one(multi.endpoint(), "v1")];
        let (into, selection) = (into_layout(&to, ""), transship_copy::Selection::default());
        let requests = requests(&sources, &into, &selection);
        plan(requests.await.unwrap(), &sparse(&[platform])).await
    };
    let (one, other) = (planned("linux/arm64").await, planned("linux/amd64").await);
    for plan in [one, other] {
        assert_done(&plan.run().await);
    }
    assert_eq!(declared(&to).as_deref(), Some("linux/arm64/v8,linux/amd64"));
    assert_sound(&to);
}

#[tokio::test]
async fn an_archive_declares_and_fills_like_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let path = folder.path().join("a.tar");
    let into = || {
        let options = Archive::options().durability(transship_layout::Durability::None);
        Destination::Archive { target: ArchiveTarget::open(&path, options).unwrap(), name: None }
    };
    let declared = || {
        let entry = Archive::options().open(&path).unwrap().resolve(Some("v1")).unwrap();
        entry.descriptor.annotations.get(KEPT_PLATFORMS).cloned()
    };
    let mut wanted = [Some("linux/amd64"), Some("linux/amd64,linux/arm64/v8"), None].into_iter();
    for options in [sparse(&["linux/amd64"]), sparse(&["linux/arm64"]), Options::default()] {
        assert_done(&v1(multi.endpoint(), &into(), &options).await);
        assert_eq!(declared().as_deref(), wanted.next().unwrap());
    }
    let back = layout(&folder.path().join("back"));
    let archive = endpoint::archive(Archive::options().open(&path).unwrap());
    assert_done(&v1(archive, &into_layout(&back, ""), &Options::default()).await);
    assert_eq!(blobs(&back), blobs(&multi.layout));
}

#[tokio::test]
async fn what_a_sparse_layout_declares_not_to_have_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let (part, to) = (layout(&folder.path().join("part")), layout(&folder.path().join("to")));
    assert_done(&v1(multi.endpoint(), &into_layout(&part, ""), &sparse(&["linux/amd64"])).await);
    let from = || endpoint::layout(part.clone());
    let report = v1(from(), &into_layout(&to, ""), &Options::default()).await;
    assert_done(&report);
    assert_eq!(report.left_out.members, 3);
    assert_eq!(declared(&to).as_deref(), Some("linux/amd64"));
    assert_eq!(blobs(&to), blobs(&part));
    assert_sound(&to);
    // What is not there cannot be asked for.
    for options in [sparse(&["linux/arm64"]), rewrite(&["linux/arm64"])] {
        let report = v1(from(), &into_layout(&to, ""), &options).await;
        assert_eq!(report.kind(), Some(Kind::NotFound));
        let message = &report.roots[0].failure.as_ref().unwrap().message;
        assert!(message.ends_with("has no image for linux/arm64; it has linux/amd64"), "{message}");
    }
}

#[tokio::test]
async fn img_85_a_registry_that_refuses_a_sparse_index_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let (docker, test) = (DockerRegistry::start().await, TestRegistry::start().await);
    let (client, requests) = client();
    for there in [docker.reference("app:v1"), test.reference("app:v1")] {
        let reference = transship_spec::Reference::parse(&there).unwrap();
        let there = Destination::Registry { client: client.clone(), reference };
        requests.take();
        let report = v1(multi.endpoint(), &there, &sparse(&["linux/amd64"])).await;
        // Whatever depends on the index fails with it; its images are there, and are not sent twice.
        assert_eq!(report.failures().count(), report.roots.len());
        assert_eq!(report.kind(), Some(Kind::Unsupported), "{:?}", report.roots);
        let failure = report.roots[0].failure.as_ref().unwrap();
        assert!(failure.remedy.as_ref().unwrap().contains("--subset rewrite"), "{failure:?}");
        assert_eq!(requests.take()[2], 4, "a config and a layer of the image and of its attestation");

        let report = v1(multi.endpoint(), &there, &rewrite(&["linux/amd64"])).await;
        assert_done(&report);
    }
}

#[tokio::test]
async fn what_a_registry_has_of_a_sparse_index_is_asked_for_and_the_rest_is_put() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let registry = TestRegistry::start().await;
    let there =
        Destination::Layout { layout: registry.layout().clone(), name: Some("localhost/app:v1".to_owned()) };
    assert_done(&v1(multi.endpoint(), &there, &sparse(&["linux/amd64"])).await);
    let (client, requests) = client();
    let reference = transship_spec::Reference::parse(&registry.reference("app:v1")).unwrap();
    let there = Destination::Registry { client: client.clone(), reference };
    let only = |options: Options| Options {
        referrers: transship_copy::Referrers::None,
        digest_tags: false,
        ..options
    };
    let report = v1(multi.endpoint(), &there, &only(sparse(&["linux/amd64"]))).await;
    assert_eq!(report.roots[0].status, Status::Present, "{report:?}");
    assert_eq!(requests.take(), [0, 3, 0, 0], "the tag, the image, its attestation");
    let all = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let report = v1(multi.endpoint(), &there, &only(sparse(&all))).await;
    assert_eq!(report.roots[0].status, Status::Copied, "{report:?}");
    assert_eq!(report.content.manifests.count, 4, "two images, an attestation, and the index again");
    let back = layout(&folder.path().join("back"));
    let source = endpoint::registry(client.repository(&registry.address(), "app").unwrap());
    assert_done(&v1(source, &into_layout(&back, ""), &Options::default()).await);
    assert_sound(&back);
}

#[tokio::test]
async fn img_85_members_are_asked_for_where_a_registry_may_have_a_sparse_index() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let registry = TestRegistry::start().await;
    let sparse_there =
        Destination::Layout { layout: registry.layout().clone(), name: Some("localhost/app:v1".to_owned()) };
    assert_done(&v1(multi.endpoint(), &sparse_there, &sparse(&["linux/amd64"])).await);
    let (client, requests) = client();
    let reference = transship_spec::Reference::parse(&registry.reference("app:v1")).unwrap();
    let there = Destination::Registry { client: client.clone(), reference };
    let whole = |members| Options {
        referrers: transship_copy::Referrers::None,
        digest_tags: false,
        members,
        ..Options::default()
    };
    let report = v1(multi.endpoint(), &there, &whole(false)).await;
    assert_eq!(report.roots[0].status, Status::Present, "an index that is there is whole: {report:?}");
    requests.take();
    let report = v1(multi.endpoint(), &there, &whole(true)).await;
    assert_eq!(report.roots[0].status, Status::Copied, "{report:?}");
    let back = layout(&folder.path().join("back"));
    let source = endpoint::registry(client.repository(&registry.address(), "app").unwrap());
    assert_done(&v1(source, &into_layout(&back, ""), &Options::default()).await);
    assert_sound(&back);
    let report = v1(multi.endpoint(), &there, &whole(true)).await;
    assert_eq!(report.roots[0].status, Status::Present, "{report:?}");
    assert_eq!(report.content.manifests.count, 0);
}

#[tokio::test]
async fn a_part_of_an_index_is_read_from_a_registry_once() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let registry = DockerRegistry::start().await;
    let (client, requests) = client();
    assert_done(&v1(multi.endpoint(), &destination(&registry, &client, "app:v1"), &Options::default()).await);
    let source = || support::endpoint(&registry, &client, "app");
    for (options, name) in [(sparse(&["linux/amd64"]), "sparse"), (rewrite(&["linux/amd64"]), "rewrite")] {
        let to = layout(&folder.path().join(name));
        let options = Options { referrers: transship_copy::Referrers::None, digest_tags: false, ..options };
        requests.take();
        assert_done(&v1(source(), &into_layout(&to, ""), &options).await);
        assert_eq!(
            requests.take(),
            [7, 0, 0, 0],
            "{name}: the index, two manifests, a config and a layer of each"
        );
        assert_sound(&to);
    }
}

#[tokio::test]
async fn a_rewritten_index_is_spliced_and_tells_what_it_was_and_what_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let to = layout(&folder.path().join("to"));
    let report = v1(multi.endpoint(), &into_layout(&to, ""), &rewrite(&["linux/amd64", "linux/s390x"])).await;
    assert_done(&report);
    let new = to.resolve(Some("v1")).unwrap().descriptor;
    assert!(new.digest != multi.root.digest && declared(&to).is_none());
    let part = report.roots[0].part.as_ref().unwrap();
    assert_eq!(part.original.as_ref(), Some(&multi.root.digest));
    assert_eq!((part.left_out, report.left_out.signatures, report.warnings.len()), (2, 1, 1));
    assert_eq!(report.referrers, 1, "that of the image for amd64");
    let document = to.read_document(&new).unwrap();
    let text = std::str::from_utf8(document.bytes()).unwrap();
    assert!(text.starts_with("{ \"x-mood\": 1.50, "), "{text}");
    let members = &document.as_index().unwrap().manifests;
    assert_eq!(members.len(), 3);
    assert_eq!(members[0], multi.amd64);
    assert!(!has(&to, &multi.arm64.digest) && !has(&to, &multi.root.digest));
    assert_sound(&to);
    // All of it is the index as it was.
    let all = rewrite(&["linux/amd64", "linux/arm64", "linux/s390x"]);
    let report = v1(multi.endpoint(), &into_layout(&to, ""), &all).await;
    assert_eq!((report.roots[0].digest.as_ref(), &report.roots[0].part), (Some(&multi.root.digest), &None));
}

#[tokio::test]
async fn a_platform_that_is_not_there_fails_with_those_that_are_and_what_is_no_index_comes_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let multi = multi(folder.path());
    let to = layout(&folder.path().join("to"));
    let one = Options { subset: Some(Subset::One(Platform::new("plan9", "mips"))), ..Options::default() };
    for options in [one, sparse(&["linux/amd64", "plan9/mips"]), rewrite(&["plan9/mips"])] {
        let report = v1(multi.endpoint(), &into_layout(&to, ""), &options).await;
        assert_eq!(report.kind(), Some(Kind::NotFound));
        let message = &report.roots[0].failure.as_ref().unwrap().message;
        let there = "has no image for plan9/mips; it has linux/amd64, linux/arm64/v8, linux/s390x";
        assert!(message.ends_with(there), "{message}");
    }
    assert!(to.entries().unwrap().is_empty());
    let image = images(&folder.path().join("image"), &["v1"]);
    for options in [sparse(&["plan9/mips"]), rewrite(&["plan9/mips"])] {
        assert_done(&v1(endpoint::layout(image.clone()), &into_layout(&to, ""), &options).await);
        assert_eq!(declared(&to), None);
    }
}
