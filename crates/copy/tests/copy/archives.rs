//! Archives as endpoints.

use std::path::Path;

use transship_copy::endpoint::{self, ArchiveTarget};
use transship_copy::{Destination, Status};
use transship_layout::{Archive, graph};
use transship_spec::Kind;
use transship_testkit::{DockerRegistry, fixtures};

use crate::support::{self, *};

fn into(path: &Path) -> Destination {
    let options = Archive::options().durability(transship_layout::Durability::None);
    Destination::Archive { target: ArchiveTarget::open(path, options).unwrap(), name: None }
}

fn open(path: &Path) -> Archive {
    Archive::options().open(path).unwrap()
}

/// Everything that the roots of an archive lead to is there and right.
fn check(archive: &Archive) {
    let roots: Vec<_> = archive.entries().unwrap().into_iter().map(|entry| entry.descriptor).collect();
    for (blob, presence) in graph::closure(archive, &roots).unwrap() {
        assert_eq!(presence, graph::Presence::Present, "{blob}");
        std::io::copy(&mut archive.open_blob(&blob).unwrap(), &mut std::io::sink()).unwrap();
    }
}

#[tokio::test]
async fn fixtures_of_every_sort_go_through_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    let image = fixtures::image(&from, "image", 1);
    fixtures::nested(&from, "nested", 2);
    fixtures::artifact(&from, "artifact", 3);
    fixtures::multi_platform(&from, "multi", 4);
    let signature = fixtures::signature(&from, &image, 5);
    fixtures::signature(&from, &signature, 6);
    let path = folder.path().join("a.tar");
    let report = copy(&[all(endpoint::layout(from.clone()))], &into(&path)).await;
    assert_done(&report);
    assert_eq!(report.referrers, 2);
    check(&open(&path));

    let to = layout(&folder.path().join("to"));
    assert_done(&copy(&[all(endpoint::archive(open(&path)))], &into_layout(&to, "")).await);
    assert_eq!(blobs(&to), blobs(&from));
    // The same again is the same file, whatever came first.
    let again = folder.path().join("b.tar");
    assert_done(&copy(&[all(endpoint::layout(to))], &into(&again)).await);
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&path).unwrap());
}

#[tokio::test]
async fn a_registry_is_copied_into_an_archive_and_back_and_the_second_time_nothing_moves() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start().await;
    let (client, _) = client();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3"]);
    let there = support::destination(&registry, &client, "app");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &there).await);

    let path = folder.path().join("a.tar");
    let repository = || endpoint::registry(support::repository(&registry, &client, "app"));
    assert_done(&copy(&[all(repository())], &into(&path)).await);
    let archive = open(&path);
    check(&archive);
    for tag in ["v1", "v2", "v3"] {
        let ours = archive.resolve(Some(tag)).unwrap().descriptor;
        assert_eq!(ours.digest, from.resolve(Some(tag)).unwrap().descriptor.digest);
    }
    let inode = || std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
    let before = inode();
    let report = copy(&[all(repository())], &into(&path)).await;
    assert_done(&report);
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{report:?}");
    assert_eq!(report.content.copied.count, 0);
    assert_eq!(inode(), before);

    let elsewhere = support::destination(&registry, &client, "elsewhere");
    assert_done(&copy(&[all(endpoint::archive(archive))], &elsewhere).await);
}

#[tokio::test]
async fn a_wrong_blob_of_an_archive_is_mended_by_the_next_copy() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let path = folder.path().join("a.tar");
    assert_done(&copy(&[all(endpoint::layout(from.clone()))], &into(&path)).await);
    let whole = std::fs::read(&path).unwrap();
    let mut broken = whole.clone();
    // The last blob ends before the padding.
    let at = broken.iter().rposition(|byte| *byte != 0).unwrap();
    broken[at] ^= 1;
    std::fs::write(&path, &broken).unwrap();
    let report = copy(&[all(endpoint::layout(from))], &into(&path)).await;
    assert_done(&report);
    assert_eq!(report.content.healed.count, 1);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn what_is_added_one_by_one_makes_the_archive_that_is_made_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3"]);
    let (once, bit_by_bit) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
    let source = || endpoint::layout(from.clone());
    assert_done(&copy(&[all(source())], &into(&once)).await);
    for name in ["v1", "v2", "v3"] {
        assert_done(&copy(&[one(source(), name)], &into(&bit_by_bit)).await);
    }
    assert_eq!(std::fs::read(&once).unwrap(), std::fs::read(&bit_by_bit).unwrap());
}

#[tokio::test]
async fn what_an_archive_held_is_carried_over_without_a_look_and_what_is_named_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2"]);
    let path = folder.path().join("a.tar");
    let source = |name| [one(endpoint::layout(from.clone()), name)];
    assert_done(&copy(&source("v1"), &into(&path)).await);
    // The layer that only the first image has.
    let image = from.resolve(Some("v1")).unwrap().descriptor;
    let own = from.read_document(&image).unwrap().children().last().unwrap().digest.clone();
    let content = std::fs::read(blob_path(&from, &own.to_string())).unwrap();
    let mut broken = std::fs::read(&path).unwrap();
    let at = broken.windows(content.len()).position(|window| window == content).unwrap();
    broken[at] ^= 1;
    std::fs::write(&path, &broken).unwrap();
    assert_done(&copy(&source("v2"), &into(&path)).await);
    let archive = open(&path);
    let wrong =
        transship_spec::Descriptor::new(transship_spec::MediaType::OCTET_STREAM, own, content.len() as u64);
    assert!(archive.has(&wrong), "it is still there");
    assert!(std::io::copy(&mut archive.open_blob(&wrong).unwrap(), &mut std::io::sink()).is_err());
    let other = endpoint::archive(archive.clone());
    assert_done(&copy(&[one(other, "v2")], &into_layout(&layout(&folder.path().join("to")), "")).await);
    // Under another name it would be relied on: it is taken from the source.
    let again = Destination::Archive {
        target: ArchiveTarget::open(&path, Archive::options()).unwrap(),
        name: Some("v1-again".to_owned()),
    };
    let report = copy(&source("v1"), &again).await;
    assert_done(&report);
    assert_eq!(report.content.healed.count, 1, "{report:?}");
    check(&open(&path));
}

#[tokio::test]
async fn an_index_for_several_platforms_is_not_for_docker_load() {
    let folder = tempfile::tempdir().unwrap();
    let from = layout(&folder.path().join("from"));
    fixtures::multi_platform(&from, "multi", 1);
    let path = folder.path().join("a.tar");
    let target = ArchiveTarget::open(&path, Archive::options()).unwrap().docker();
    let destination = Destination::Archive { target, name: None };
    let report = copy(&[all(endpoint::layout(from))], &destination).await;
    assert_eq!(report.kind(), Some(Kind::Unsupported), "{report:?}");
    assert!(!path.exists());
}
