//! What a copy does when a registry, or the way to it, fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use transship_copy::{Options, Referrers, Report, endpoint, plan, requests};
use transship_layout::{Layout, Name};
use transship_registry::{Client, Retry, Settings, Timeouts};
use transship_spec::{Descriptor, Kind, Manifest, MediaType, Reference};
use transship_testkit::{Fault, TestRegistry};

use crate::support::*;

/// Bytes of the layer: enough that a download of it is kept when it breaks.
const LAYER: usize = 3 << 20;

/// A registry that holds one image of one large layer.
async fn registry(folder: &Path) -> (TestRegistry, Layout, Descriptor) {
    let from = layout(&folder.join("from"));
    let session = from.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, &content(LAYER, 1)).unwrap();
    let image = put(&session, &Manifest::new(config, vec![layer.clone()]));
    session.commit(|index| index.set(&Name::short("v1")?, &image)).unwrap();
    let registry = TestRegistry::start().await;
    assert_done(&push(&registry, &from).await);
    registry.forget();
    (registry, from, layer)
}

fn settings(tries: u32) -> Settings {
    let settings = quick();
    Settings { retry: Retry { tries, ..settings.retry }, ..settings }
}

fn destination(registry: &TestRegistry, client: Client) -> transship_copy::Destination {
    let reference = Reference::parse(&registry.reference("team/app:v1")).unwrap();
    transship_copy::Destination::Registry { client, reference }
}

async fn push(registry: &TestRegistry, from: &Layout) -> Report {
    let client = Client::new(settings(3)).unwrap();
    copy(&[one(endpoint::layout(from.clone()), "v1")], &destination(registry, client)).await
}

fn source(registry: &TestRegistry, tries: u32) -> transship_copy::Source {
    let client = Client::new(settings(tries)).unwrap();
    one(endpoint::registry(client.repository(&registry.address(), "team/app").unwrap()), "v1")
}

/// Copies the image alone, so that every request is one for the image.
async fn pull(registry: &TestRegistry, to: &Layout) -> Report {
    copy_with(&[source(registry, 3)], &into_layout(to, "v1"), &plain()).await
}

fn plain() -> Options {
    Options { referrers: Referrers::None, digest_tags: false, ..Options::default() }
}

fn files(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert((path.clone(), std::fs::read(&path).unwrap()))),
        }
    }
    found
}

#[tokio::test]
async fn law_10_every_blob_is_asked_for_and_sent_once() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, _) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    assert_done(&pull(&registry, &to).await);
    assert_eq!(blobs(&to), blobs(&from));
    let counts = registry.counts();
    assert_eq!((counts.manifest_head, counts.manifest_get, counts.blob_get, counts.requests), (0, 1, 2, 3));
    registry.forget();
    assert_done(&pull(&registry, &to).await);
    let counts = registry.counts();
    assert_eq!((counts.manifest_head, counts.requests), (1, 1));

    let empty = TestRegistry::start().await;
    assert_done(&push(&empty, &from).await);
    let counts = empty.counts();
    assert_eq!((counts.blob_head, counts.upload_post, counts.upload_put), (2, 2, 2));
    assert_eq!((counts.manifest_head, counts.manifest_put), (2, 1), "by tag, and by digest");
    assert_eq!(counts.requests, 9);
    empty.forget();
    assert_done(&push(&empty, &from).await);
    assert_eq!((empty.counts().manifest_head, empty.counts().requests), (1, 1));
}

#[tokio::test]
async fn law_10_referrers_cost_one_question_a_manifest_and_a_new_one_is_carried() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, _) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    let all = |to: Layout| {
        let source = source(&registry, 3);
        async move { copy(&[source], &into_layout(&to, "v1")).await }
    };
    assert_done(&all(to.clone()).await);
    registry.forget();
    assert_done(&all(to.clone()).await);
    let counts = registry.counts();
    assert_eq!((counts.manifest_head, counts.referrers, counts.tags, counts.requests), (1, 1, 1, 3));

    let session = from.begin().unwrap();
    let root = from.resolve(Some("v1")).unwrap().descriptor;
    let signature = referrer(&session, &root, 7);
    session.commit(|index| index.add(&signature)).unwrap();
    let report = push(&registry, &from).await;
    assert_done(&report);
    assert_eq!(report.content.copied.count, 1, "its config is that of the image");
    registry.forget();
    let report = all(to.clone()).await;
    assert_done(&report);
    assert_eq!((report.referrers, report.content.copied.count), (1, 1));
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn row_24_a_cut_download_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).times(1).cut_after(1_000_000));
    let report = pull(&registry, &to).await;
    assert_done(&report);
    assert_eq!(report.content.resumed.count, 0, "nothing was there before");
    assert_eq!(blobs(&to), blobs(&from));
    assert_eq!(registry.counts().blob_get, 3);
    assert!(registry.counts().sent < LAYER as u64 + 100_000, "{}", registry.counts().sent);
}

#[tokio::test]
async fn row_26_a_server_that_ignores_ranges_is_coped_with() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).times(1).cut_after(1_000_000));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).ignore_range());
    assert_done(&pull(&registry, &to).await);
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn a_download_that_was_given_up_goes_on_in_the_next_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).cut_after(2_000_000));
    let report = copy_with(&[source(&registry, 1)], &into_layout(&to, "v1"), &plain()).await;
    assert_eq!(report.kind(), Some(Kind::Network));
    assert!(names(&to).is_empty());
    registry.heal().forget();
    let report = pull(&registry, &to).await;
    assert_done(&report);
    assert_eq!(blobs(&to), blobs(&from));
    let resumed = report.content.resumed;
    assert!(resumed.count == 1 && resumed.bytes > 1_000_000, "{resumed:?}");
    let moved = report.content.copied.bytes + report.content.manifests.bytes - resumed.bytes;
    assert_eq!(report.content.bytes(), moved);
    let ranges: Vec<String> = registry
        .requests()
        .iter()
        .filter(|seen| seen.is("GET", &layer.digest.encoded()))
        .map(|seen| seen.header("range").unwrap_or_default().to_owned())
        .collect();
    assert!(ranges.len() == 1 && ranges[0].starts_with("bytes=") && ranges[0] != "bytes=0-", "{ranges:?}");
    assert!(!to.path().join(".transship/partial").exists());
}

/// Copies the image with these settings into a new layout.
async fn pull_with(registry: &TestRegistry, to: &Layout, settings: Settings) -> Report {
    let repository = Client::new(settings).unwrap().repository(&registry.address(), "team/app").unwrap();
    copy_with(&[one(endpoint::registry(repository), "v1")], &into_layout(to, "v1"), &plain()).await
}

#[tokio::test]
async fn row_25_a_download_that_is_always_cut_goes_on_while_it_gets_further_and_is_kept_when_not() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let layer = layer.digest.encoded();
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer).cut_after(1_200_000));
    assert_done(&pull_with(&registry, &to, settings(2)).await);
    assert_eq!(blobs(&to), blobs(&from));

    let to = layout(&folder.path().join("stuck"));
    registry.heal().fault(Fault::on("GET", &layer).times(1).cut_after(1_200_000));
    registry.fault(Fault::on("GET", &layer).after(1).cut_after(0));
    let report = pull_with(&registry, &to, settings(3)).await;
    assert_eq!(report.kind(), Some(Kind::Network));
    assert_eq!(std::fs::read_dir(to.path().join(".transship/partial")).unwrap().count(), 1);
    registry.heal().forget();
    assert_done(&pull(&registry, &to).await);
    assert!(registry.counts().sent < LAYER as u64 - 1_000_000, "{}", registry.counts().sent);
}

#[tokio::test]
async fn rows_27_28_an_odd_answer_to_a_range_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let layer = layer.digest.encoded();
    let on_resume = || Fault::on("GET", &layer).nth(2);
    let odd = [
        on_resume().status(416),
        on_resume().header("content-range", "bytes 5-9/3145728"),
        on_resume().header("content-range", "bytes 1000000-3145727/9"),
        on_resume().without("content-range"),
        on_resume().flip_byte(7),
    ];
    for (at, odd) in odd.into_iter().enumerate() {
        let to = layout(&folder.path().join(at.to_string()));
        registry.heal().fault(Fault::on("GET", &layer).times(1).cut_after(1_000_000)).fault(odd);
        assert_done(&pull(&registry, &to).await);
        assert_eq!(blobs(&to), blobs(&from), "{at}");
    }
}

#[tokio::test]
async fn row_32_a_body_without_end_is_left_at_the_first_byte_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, _, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    let endless = content(LAYER * 8, 1);
    registry.fault(Fault::on("GET", &layer.digest.encoded()).without("content-length").body(endless));
    assert_eq!(pull(&registry, &to).await.kind(), Some(Kind::Invalid));
    assert!(!blobs(&to).contains(&layer.digest.to_string()));
}

#[tokio::test]
async fn row_1_a_download_that_was_whole_but_not_named_is_only_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    for (seed, gets) in [(1, 0), (2, 1)] {
        let to = layout(&folder.path().join(seed.to_string()));
        let partial = to.path().join(".transship/partial");
        std::fs::create_dir_all(&partial).unwrap();
        let held = partial.join(format!("sha256-{}", layer.digest.encoded()));
        std::fs::write(held, content(LAYER, seed)).unwrap();
        registry.forget();
        assert_done(&pull(&registry, &to).await);
        assert_eq!(blobs(&to), blobs(&from));
        let asked = registry.requests();
        assert_eq!(asked.iter().filter(|seen| seen.is("GET", &layer.digest.encoded())).count(), gets);
    }
}

#[tokio::test]
async fn row_33_a_stall_is_found_and_the_download_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).times(1).stall_after(1_500_000));
    let timeouts = Timeouts { idle: Duration::from_millis(300), ..Timeouts::default() };
    assert_done(&pull_with(&registry, &to, Settings { timeouts, ..settings(3) }).await);
    assert_eq!(blobs(&to), blobs(&from));
    assert!(registry.counts().sent < 2 * LAYER as u64, "{}", registry.counts().sent);
}

#[tokio::test]
async fn row_39_a_blob_that_is_too_large_for_the_way_is_sent_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from, layer) = registry(folder.path()).await;
    let other = TestRegistry::start().await;
    other
        .fault(Fault::on("PUT", &format!("digest=sha256%3A{}", layer.digest.encoded())).times(1).status(413));
    other.fault(Fault::on("PUT", &format!("digest=sha256:{}", layer.digest.encoded())).times(1).status(413));
    assert_done(&push(&other, &from).await);
    assert_eq!(other.layout().size(&layer.digest).unwrap(), Some(layer.size));
    assert!(other.requests().iter().any(|seen| seen.is("PATCH", "")), "{:?}", other.lines());
}

#[tokio::test]
async fn row_29_a_flipped_byte_is_asked_for_once_more_and_then_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    let before = files(to.path());
    registry.fault(Fault::on("GET", &layer.digest.encoded()).flip_byte(77));
    let report = pull(&registry, &to).await;
    assert_eq!(report.kind(), Some(Kind::Invalid));
    let message = &report.roots[0].failure.as_ref().unwrap().message;
    assert!(message.matches("sha256:").count() >= 2, "both digests: {message}");
    assert_eq!(registry.requests().iter().filter(|seen| seen.is("GET", &layer.digest.encoded())).count(), 2);
    assert_eq!(without_blobs(&to), before);
    assert!(!blobs(&to).contains(&layer.digest.to_string()));

    registry.heal().fault(Fault::on("GET", &layer.digest.encoded()).times(1).flip_byte(77));
    assert_done(&pull(&registry, &to).await);
    assert_eq!(blobs(&to), blobs(&from));
}

/// The files of a layout less the right blobs that a failed copy may leave.
fn without_blobs(layout: &Layout) -> BTreeSet<(PathBuf, Vec<u8>)> {
    blobs(layout);
    files(layout.path())
        .into_iter()
        .filter(|(path, _)| !path.starts_with(layout.path().join("blobs")))
        .collect()
}

#[tokio::test]
async fn rows_30_31_a_body_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, _, layer) = registry(folder.path()).await;
    for length in [LAYER - 1, LAYER + 1] {
        for chunked in [false, true] {
            let to = layout(&folder.path().join(format!("to{length}{chunked}")));
            let before = files(to.path());
            let fault = Fault::on("GET", &layer.digest.encoded()).body(content(length, 1));
            registry.heal().fault(if chunked { fault.without("content-length") } else { fault });
            let report = pull(&registry, &to).await;
            let kind = report.kind().unwrap();
            // A body in chunks that is too short looks like one that was cut, until it is the same again and again.
            let is_cut = chunked && length < LAYER;
            assert!(kind == Kind::Invalid || is_cut && kind == Kind::Network, "{length} {chunked} {kind:?}");
            let left = without_blobs(&to);
            let left = left.into_iter().filter(|(path, _)| !path.starts_with(to.path().join(".transship")));
            assert_eq!(left.collect::<BTreeSet<_>>(), before);
        }
    }
}

#[tokio::test]
async fn row_41_trouble_that_passes_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, _) = registry(folder.path()).await;
    for status in [500, 502, 503, 504, 522] {
        let to = layout(&folder.path().join(status.to_string()));
        registry.heal().fault(Fault::on("*", "/blobs/").times(1).status(status));
        registry.fault(Fault::on("*", "/manifests/").times(1).status(status));
        assert_done(&pull(&registry, &to).await);
        assert_eq!(blobs(&to), blobs(&from));
    }
}

#[tokio::test]
async fn what_does_not_pass_has_its_kind_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, _) = registry(folder.path()).await;
    for (status, kind) in [
        (401, Kind::Denied),
        (403, Kind::Denied),
        (404, Kind::NotFound),
        (429, Kind::Network),
        (500, Kind::Network),
        (503, Kind::Network),
    ] {
        let to = layout(&folder.path().join(status.to_string()));
        let before = files(to.path());
        registry.heal().fault(Fault::on("*", "/v2/").status(status));
        let report = pull(&registry, &to).await;
        assert_eq!(report.kind(), Some(kind), "{status}: {:?}", report.roots[0].failure);
        assert_eq!(files(to.path()), before, "{status}");

        let other = TestRegistry::start().await;
        other.fault(Fault::on("*", "/v2/").status(status));
        let report = push(&other, &from).await;
        // A registry that has nothing is one to push to: the upload is what fails.
        assert_eq!(report.kind(), Some(kind), "{status}: {:?}", report.roots[0].failure);
        assert_eq!(other.counts().manifest_put, 0, "{status}");
    }
}

#[tokio::test]
async fn a_blob_that_a_registry_has_lost_makes_its_image_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, _, layer) = registry(folder.path()).await;
    registry.fault(Fault::on("GET", &layer.digest.encoded()).status(404));
    let to = layout(&folder.path().join("to"));
    let report = pull(&registry, &to).await;
    assert_eq!(report.kind(), Some(Kind::Invalid));
    let message = &report.roots[0].failure.as_ref().unwrap().message;
    assert!(message.contains(&layer.digest.to_string()), "{message}");
}

#[tokio::test]
async fn row_49_a_tag_that_moves_during_a_copy_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, _) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    let asked =
        requests(&[source(&registry, 3)], &into_layout(&to, "v1"), &Default::default()).await.unwrap();
    let plan = plan(asked, &plain()).await;
    let old = from.resolve(Some("v1")).unwrap().descriptor.digest;
    let session = from.begin().unwrap();
    let new = put(&session, &image(&session, 9, &[]));
    session.commit(|index| index.set(&Name::short("v1")?, &new)).unwrap();
    assert_done(&push(&registry, &from).await);
    assert_done(&plan.run().await);
    assert_eq!(to.resolve(Some("v1")).unwrap().descriptor.digest, old);
}

#[tokio::test]
async fn row_50_a_registry_that_lies_about_what_it_has_gets_it_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from, layer) = registry(folder.path()).await;
    let other = TestRegistry::start().await;
    let size = layer.size.to_string();
    other.fault(Fault::on("HEAD", &layer.digest.encoded()).status(200).header("content-length", &size));
    assert_done(&push(&other, &from).await);
    assert_eq!((other.counts().upload_put, other.counts().manifest_put), (2, 2));
}

#[tokio::test]
async fn row_52_a_registry_that_refuses_a_blob_makes_us_look_at_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from, layer) = registry(folder.path()).await;
    let path = blob_path(&from, &layer.digest.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let other = TestRegistry::start().await;
    let report = push(&other, &from).await;
    assert_eq!(report.kind(), Some(Kind::Invalid));
    let message = &report.roots[0].failure.as_ref().unwrap().message;
    assert!(message.starts_with("oci:") && message.contains(&layer.digest.to_string()), "{message}");
    assert_eq!(other.counts().manifest_put, 0);
}

#[tokio::test]
async fn an_upload_that_is_cut_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from, _) = registry(folder.path()).await;
    let other = TestRegistry::start().await;
    other.fault(Fault::on("PUT", "/uploads/").times(1).cut_request_after(500_000));
    assert_done(&push(&other, &from).await);
    let to = layout(&folder.path().join("to"));
    assert_done(&pull(&other, &to).await);
    assert_eq!(blobs(&to), blobs(&from));
}

#[tokio::test]
async fn where_mounting_is_not_possible_blobs_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from, _) = registry(folder.path()).await;
    let second = layout(&folder.path().join("second"));
    let other = TestRegistry::builder().mount("second", second).no_mount().start().await;
    assert_done(&push(&other, &from).await);
    let client = Client::new(settings(3)).unwrap();
    let source = one(endpoint::registry(client.repository(&other.address(), "team/app").unwrap()), "v1");
    let reference = Reference::parse(&other.reference("second")).unwrap();
    let report = copy(&[source], &transship_copy::Destination::Registry { client, reference }).await;
    assert_done(&report);
    assert_eq!((report.content.copied.count, report.content.mounted.count), (2, 0));
}

/// Wakes up when bytes have moved.
#[derive(Debug, Default)]
struct Moving(Arc<Notify>);

impl transship_copy::Events for Moving {
    fn blob_progress(&self, blob: &Descriptor, _: u64) {
        if blob.size as usize == LAYER {
            self.0.notify_one();
        }
    }
}

#[tokio::test]
async fn a_copy_that_is_dropped_leaves_no_name_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, from, layer) = registry(folder.path()).await;
    let to = layout(&folder.path().join("to"));
    registry.fault(Fault::on("GET", &layer.digest.encoded()).times(1).stall_after(1_500_000));
    let moving = Moving::default();
    let moved = Arc::clone(&moving.0);
    let options = Options { events: Arc::new(moving), ..plain() };
    let sources = [source(&registry, 3)];
    let destination = into_layout(&to, "v1");
    tokio::select! {
        report = copy_with(&sources, &destination, &options) => panic!("{report:?}"),
        () = moved.notified() => {}
    }
    assert!(names(&to).is_empty());
    assert!(!blobs(&to).contains(&layer.digest.to_string()));
    assert_done(&pull(&registry, &to).await);
    assert_eq!(blobs(&to), blobs(&from));
}
