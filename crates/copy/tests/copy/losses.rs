//! What users of other tools have lost on the way, each as a test (`u4` and so on).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use transship_copy::endpoint::ArchiveTarget;
use transship_copy::{Destination, Options, Selection, Source, Status, endpoint, requests};
use transship_layout::{Archive, Durability, Layout, Name};
use transship_registry::{Client, Settings};
use transship_spec::{Descriptor, Kind, Manifest, MediaType, Reference};
use transship_testkit::{Fault, TestRegistry, fixtures};

use crate::support::*;

fn served(registry: &TestRegistry, client: &Client, name: &str) -> Arc<dyn transship_copy::Endpoint> {
    endpoint::registry(client.repository(&registry.address(), name).unwrap())
}

fn into_registry(registry: &TestRegistry, client: &Client, rest: &str) -> Destination {
    let reference = Reference::parse(&registry.reference(rest)).unwrap();
    Destination::Registry { client: client.clone(), reference }
}

fn into_archive(path: &Path) -> Destination {
    let target = ArchiveTarget::open(path, Archive::options().durability(Durability::None)).unwrap();
    Destination::Archive { target, name: None }
}

fn tags(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("v{number:03}")).collect()
}

/// A layout with so many small images.
fn many(path: &Path, count: usize) -> Layout {
    let tags = tags(count);
    images(path, &tags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// An image of layers of these sizes under `v1`, and the layers.
fn layered(path: &Path, sizes: &[usize]) -> (Layout, Vec<Descriptor>) {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let layers: Vec<Descriptor> = (1..)
        .zip(sizes)
        .map(|(seed, size)| session.put_bytes(MediaType::OCI_LAYER_TAR, &content(*size, seed)).unwrap())
        .collect();
    let image = put(&session, &Manifest::new(config, layers.clone()));
    session.commit(|index| index.set(&Name::short("v1")?, &image)).unwrap();
    (layout, layers)
}

#[tokio::test]
async fn u4_one_connection_that_ends_early_among_many_images_is_nobodys_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let from = many(&folder.path().join("from"), 40);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let there = into_registry(&registry, &client, "app");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    registry.fault(Fault::on("GET", "/blobs/").nth(17).hang_up());
    registry.fault(Fault::on("GET", "/manifests/").nth(5).cut_after(20));
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(served(&registry, &client, "app"))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn u15_where_every_thirtieth_request_fails_one_command_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let from = many(&folder.path().join("from"), 30);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let fail = |at: usize| {
        let fault = Fault::on("*", "/v2/").nth(30 * at + 7);
        match at % 5 {
            0 => fault.hang_up(),
            1 => fault.status(500),
            2 => fault.status(503).header("retry-after", "0"),
            3 => fault.status(429),
            _ => fault.cut_after(3),
        }
    };
    for at in 0..60 {
        registry.fault(fail(at));
    }
    let there = into_registry(&registry, &client, "app");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(served(&registry, &client, "app"))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
    assert_eq!(names(&to).len(), 30);
}

#[tokio::test]
async fn u6_a_source_that_lets_go_of_a_slow_destination_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (from, layers) = layered(&folder.path().join("from"), &[4 << 20]);
    let source = TestRegistry::start().await;
    let (client, _) = client();
    assert_done(&copy(&[all(endpoint::layout(from))], &into_registry(&source, &client, "app")).await);
    source.forget();
    let slow = TestRegistry::start().await;
    source.fault(Fault::on("GET", &layers[0].digest.encoded()).times(2).cut_after(1_000_000));
    slow.fault(Fault::on("*", "/blobs/uploads/").times(4).delay(Duration::from_millis(200)));
    let there = into_registry(&slow, &client, "mirror");
    assert_done(&copy(&[all(served(&source, &client, "app"))], &there).await);
    assert_eq!(slow.layout().size(&layers[0].digest).unwrap(), Some(layers[0].size));
    let asked = source.requests().iter().filter(|seen| seen.is("GET", &layers[0].digest.encoded())).count();
    assert_eq!(asked, 3);
}

/// Wakes up when so many bytes have moved.
#[derive(Debug, Default)]
struct After {
    bytes: u64,
    moved: AtomicU64,
    reached: Notify,
}

impl transship_copy::Events for After {
    fn blob_progress(&self, _: &Descriptor, bytes: u64) {
        if self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes >= self.bytes {
            self.reached.notify_one();
        }
    }
}

/// Drops a copy when so many bytes have moved; tells whether it was over before.
async fn interrupt(sources: &[Source], destination: &Destination, bytes: u64) -> bool {
    let after = Arc::new(After { bytes, ..After::default() });
    let options = Options { events: after.clone(), ..Options::default() };
    tokio::select! {
        _ = copy_with(sources, destination, &options) => true,
        () = after.reached.notified() => false,
    }
}

#[tokio::test]
async fn u10_what_an_interrupted_copy_left_is_never_trusted_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = layered(&folder.path().join("from"), &[900_000, 1_700_000, 50_000]);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    assert_done(
        &copy(&[all(endpoint::layout(from.clone()))], &into_registry(&registry, &client, "app")).await,
    );
    let source = [all(served(&registry, &client, "app"))];
    let to = layout(&folder.path().join("to"));
    for at in 0..12 {
        let is_over = interrupt(&source, &into_layout(&to, ""), at * 60_000 + 1).await;
        // Every blob that is there under its name is whole.
        blobs(&to);
        assert_eq!(names(&to).is_empty(), !is_over, "after {at}");
        if is_over {
            break;
        }
    }
    assert_done(&copy(&source, &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn u5_u16_an_interrupted_archive_is_written_anew_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    fixtures::nested(&from, "nested", 1);
    let multi = fixtures::multi_platform(&from, "multi", 5);
    fixtures::signature(&from, &multi, 9);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    assert_done(&copy(&[all(endpoint::layout(from))], &into_registry(&registry, &client, "app")).await);
    let source = [all(served(&registry, &client, "app"))];
    let archives = folder.path().join("archives");
    std::fs::create_dir(&archives).unwrap();
    let (undisturbed, path) = (archives.join("a.tar"), archives.join("b.tar"));
    assert_done(&copy(&source, &into_archive(&undisturbed)).await);
    for bytes in [1, 3000, 9000] {
        assert!(!interrupt(&source, &into_archive(&path), bytes).await);
        assert!(!path.exists());
    }
    assert_done(&copy(&source, &into_archive(&path)).await);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&undisturbed).unwrap());
    assert_eq!(archives.read_dir().unwrap().count(), 2, "nothing half is left");
}

#[tokio::test]
async fn u13_a_push_that_failed_sends_only_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (from, layers) = layered(&folder.path().join("from"), &[30_000, 40_000, 50_000]);
    let registry = TestRegistry::start().await;
    let settings = quick();
    let retry = transship_registry::Retry { tries: 2, ..settings.retry };
    let client = Client::new(Settings { retry, ..settings }).unwrap();
    let there = into_registry(&registry, &client, "app");
    let source = [all(endpoint::layout(from.clone()))];
    registry.fault(Fault::on("PUT", &layers[1].digest.encoded()).status(500));
    let report = copy(&source, &there).await;
    assert_eq!(report.kind(), Some(Kind::Network));
    assert_eq!(registry.counts().manifest_put, 0);
    registry.heal().forget();
    let report = copy(&source, &there).await;
    assert_done(&report);
    let counts = registry.counts();
    assert_eq!((report.content.copied.count, counts.upload_put, counts.manifest_put), (1, 1, 1));
    assert!(counts.received < 40_000 + 5_000, "{}", counts.received);
}

#[tokio::test]
async fn u17_loading_from_an_archive_asks_nothing_of_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let from = many(&folder.path().join("from"), 3);
    let (origin, target) = (TestRegistry::start().await, TestRegistry::start().await);
    let (client, _) = client();
    assert_done(&copy(&[all(endpoint::layout(from))], &into_registry(&origin, &client, "app")).await);
    let path = folder.path().join("bundle.tar");
    assert_done(&copy(&[all(served(&origin, &client, "app"))], &into_archive(&path)).await);
    origin.forget();
    let connections = origin.connections();
    let archive = || all(endpoint::archive(Archive::options().open(&path).unwrap()));
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[archive()], &into_layout(&to, "")).await);
    assert_done(&copy(&[archive()], &into_registry(&target, &client, "mirror")).await);
    assert_eq!((origin.requests().len(), origin.connections()), (0, connections));
}

#[tokio::test]
async fn u19_what_failed_is_listed_and_the_next_run_does_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let from = many(&folder.path().join("from"), 20);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    assert_done(
        &copy(&[all(endpoint::layout(from.clone()))], &into_registry(&registry, &client, "app")).await,
    );
    let lost: BTreeSet<String> = ["v003", "v011"]
        .into_iter()
        .map(|tag| {
            let image = from.resolve(Some(tag)).unwrap().descriptor;
            let own = from.read_document(&image).unwrap().children().last().unwrap().digest.clone();
            registry.fault(Fault::on("GET", &own.encoded()).status(404));
            format!("docker://{}:{tag}", registry.reference("app"))
        })
        .collect();
    let to = layout(&folder.path().join("to"));
    let source = [all(served(&registry, &client, "app"))];
    let report = copy(&source, &into_layout(&to, "")).await;
    let failed: BTreeSet<String> = report.failures().map(|root| root.source.clone()).collect();
    assert_eq!(failed, lost);
    assert_eq!(names(&to).len(), 18);
    registry.heal().forget();
    let report = copy(&source, &into_layout(&to, "")).await;
    assert_done(&report);
    let count = |status| report.roots.iter().filter(|root| root.status == status).count();
    assert_eq!((count(Status::Present), count(Status::Copied)), (18, 2));
    let asked = registry.counts().blob_get;
    assert!(
        (2..=4).contains(&asked),
        "the layers that were missing, and configs that were given up with them: {asked}"
    );
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn u21_row_67_a_flipped_byte_of_an_archive_is_found_or_of_no_account() {
    let folder = tempfile::tempdir().unwrap();
    let from = many(&folder.path().join("from"), 2);
    let path = folder.path().join("a.tar");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &into_archive(&path)).await);
    let whole = std::fs::read(&path).unwrap();
    let (expected, named) = (blobs(&from), names(&from));
    let mut found = 0;
    for (number, at) in (3..whole.len()).step_by(whole.len() / 150).enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        let flipped = folder.path().join("flipped.tar");
        std::fs::write(&flipped, bytes).unwrap();
        let to = layout(&folder.path().join(number.to_string()));
        let Ok(archive) = Archive::options().open(&flipped) else {
            found += 1;
            continue;
        };
        let source = [all(endpoint::archive(archive))];
        let asked = requests(&source, &into_layout(&to, ""), &Selection::default()).await;
        let is_done = match asked {
            Ok(asked) => transship_copy::plan(asked, &Options::default()).await.run().await.kind().is_none(),
            Err(_) => false,
        };
        // What arrives is right in any case; a byte of padding, or of a name, may be another.
        assert!(blobs(&to).is_subset(&expected), "at {at}");
        match is_done {
            true if names(&to) == named => assert_eq!(blobs(&to), expected, "at {at}"),
            true => assert!(names(&to).iter().all(|(_, digest)| expected.contains(digest)), "at {at}"),
            false => found += 1,
        }
        std::fs::remove_dir_all(to.path()).unwrap();
    }
    assert!(found > 50, "{found}");
}

#[tokio::test]
async fn u24_a_name_that_a_registry_cannot_have_is_said_before_anything_moves() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &[".bashrc", "v1"]);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    let there = into_registry(&registry, &client, "app");
    let source = [all(endpoint::layout(from))];
    let error = requests(&source, &there, &Selection::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(error.to_string().contains(".bashrc"), "{error}");
    assert_eq!(registry.requests().len(), 0);
}

#[tokio::test]
async fn u28_a_body_without_a_length_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = layered(&folder.path().join("from"), &[1_500_000, 0, 1]);
    let registry = TestRegistry::start().await;
    let (client, _) = client();
    assert_done(
        &copy(&[all(endpoint::layout(from.clone()))], &into_registry(&registry, &client, "app")).await,
    );
    registry.fault(Fault::on("GET", "/v2/").without("content-length"));
    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(served(&registry, &client, "app"))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
}

/// Names, signatures and indexes are what other tools leave behind.
#[tokio::test]
async fn signatures_tags_and_every_platform_go_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let multi = fixtures::multi_platform(&from, "v1", 1);
    for name in ["v1.0", "v1.0.0", "latest"] {
        fixtures::tag(&from, name, &multi);
    }
    let signature = fixtures::signature(&from, &multi, 2);
    fixtures::signature(&from, &signature, 3);
    let member = from.read_document(multi.children()[1]).unwrap();
    fixtures::signature(&from, &member, 4);
    fixtures::digest_tag(&from, "", &multi, 5);
    fixtures::fallback_referrer(&from, "", &multi, 6);
    let registry = TestRegistry::builder().no_referrers().start().await;
    let (client, _) = client();
    let report =
        copy(&[all(endpoint::layout(from.clone()))], &into_registry(&registry, &client, "app")).await;
    assert_done(&report);
    let path = folder.path().join("bundle.tar");
    assert_done(&copy(&[all(served(&registry, &client, "app"))], &into_archive(&path)).await);
    let to = layout(&folder.path().join("to"));
    let archive = Archive::options().open(&path).unwrap();
    let report = copy(&[all(endpoint::archive(archive))], &into_layout(&to, "")).await;
    assert_done(&report);
    assert_eq!(report.referrers, 4);
    // The list of referrers is made anew by whoever keeps one, and a layout keeps none.
    let list = transship_spec::referrers::fallback_tag(multi.digest());
    let list = from.resolve(Some(list.as_str())).unwrap().descriptor.digest.to_string();
    let expected: BTreeSet<String> = blobs(&from).into_iter().filter(|digest| *digest != list).collect();
    assert_eq!(blobs(&to), expected);
    let tags = |layout: &Layout| -> BTreeSet<String> {
        let entries = layout.entries().unwrap();
        let tags = entries.iter().filter_map(|entry| Some(entry.tag()?.to_owned()));
        tags.filter(|tag| transship_spec::referrers::subject_of_fallback_tag(tag).is_none()).collect()
    };
    assert_eq!(tags(&to), tags(&from));
    assert_eq!(tags(&to).len(), 5);
}
