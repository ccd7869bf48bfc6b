//! A process that is killed in the middle of a copy, and the next one, which goes on.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use transship_copy::endpoint::ArchiveTarget;
use transship_copy::{Destination, Options, Referrers, endpoint};
use transship_layout::{Archive, Layout, Name};
use transship_registry::Client;
use transship_spec::{Descriptor, Manifest, MediaType, Reference};
use transship_testkit::{Fault, TestRegistry};

use crate::support::*;

/// Tells a process that a test has started from its own executable what to copy: a repository.
const SOURCE: &str = "TRANSSHIP_TEST_SOURCE";
/// And where to: a layout, or an archive if its name ends so.
const TARGET: &str = "TRANSSHIP_TEST_TARGET";

/// Bytes of the layer, and those that arrive before the process is killed.
const LAYER: usize = 6 << 20;
const ARRIVE: usize = 4 << 20;

/// Ends the output when the bytes of the layer that can have been written are there.
#[derive(Debug, Default)]
struct Arrived(std::sync::atomic::AtomicU64);

impl transship_copy::Events for Arrived {
    fn blob_progress(&self, _: &Descriptor, bytes: u64) {
        use std::sync::atomic::Ordering;
        if self.0.fetch_add(bytes, Ordering::Relaxed) + bytes >= ARRIVE as u64 {
            let _ = std::io::Write::write_all(&mut std::io::stdout(), b"@arrived");
            let _ = std::io::Write::flush(&mut std::io::stdout());
        }
    }
}

async fn pull(from: &str, to: &Path, options: &Options) -> transship_copy::Report {
    let reference = Reference::parse(from).unwrap();
    let client = Client::new(quick()).unwrap();
    let repository = client.repository(reference.registry(), reference.repository()).unwrap();
    let to = match to.extension() {
        Some(_) => Destination::Archive {
            target: ArchiveTarget::open(to, Archive::options()).unwrap(),
            name: Some("v1".to_owned()),
        },
        None => into_layout(&layout(to), "v1"),
    };
    copy_with(&[one(endpoint::registry(repository), "v1")], &to, options).await
}

fn alone() -> Options {
    Options { referrers: Referrers::None, digest_tags: false, ..Options::default() }
}

/// Not a test of its own: what a process does that another test has started.
#[tokio::test]
async fn another_process() {
    let Ok(source) = std::env::var(SOURCE) else { return };
    let target = std::env::var(TARGET).unwrap();
    let options = Options { events: Arc::new(Arrived::default()), ..alone() };
    assert_done(&pull(&source, Path::new(&target), &options).await);
}

/// A layout with an image of one large layer, a registry that has it, and what it is called there.
async fn served(folder: &Path) -> (Layout, TestRegistry, String, Descriptor) {
    let from = layout(&folder.join("from"));
    let session = from.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, &content(LAYER, 1)).unwrap();
    let image = put(&session, &Manifest::new(config, vec![layer.clone()]));
    session.commit(|index| index.set(&Name::short("v1")?, &image)).unwrap();
    let registry = TestRegistry::start().await;
    let reference = registry.reference("app:v1");
    let there = Reference::parse(&reference).unwrap();
    let there = Destination::Registry { client: client().0, reference: there };
    assert_done(&copy(&[one(endpoint::layout(from.clone()), "v1")], &there).await);
    (from, registry, reference, layer)
}

/// Starts a process that copies, and kills it in the middle of the layer.
fn kill_midway(registry: &TestRegistry, reference: &str, layer: &Descriptor, to: &Path) {
    registry.fault(Fault::on("GET", &layer.digest.encoded()).times(1).stall_after(ARRIVE as u64));
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["killed::another_process", "--exact", "--nocapture"])
        .env(SOURCE, reference)
        .env(TARGET, to)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut output = process.stdout.take().unwrap();
    while !String::from_utf8_lossy(&said).contains("@arrived") {
        let mut piece = [0; 256];
        let count = output.read(&mut piece).unwrap();
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..count]);
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_1_a_process_killed_in_the_middle_of_a_blob_is_gone_on_from_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (from, registry, reference, layer) = served(folder.path()).await;
    let to = folder.path().join("to");
    layout(&to);
    kill_midway(&registry, &reference, &layer, &to);
    assert!(names(&layout(&to)).is_empty());

    registry.heal().forget();
    assert_done(&pull(&reference, &to, &alone()).await);
    assert_eq!(blobs(&layout(&to)), blobs(&from));
    let asked = registry.requests();
    let asked: Vec<_> = asked.iter().filter(|seen| seen.is("GET", &layer.digest.encoded())).collect();
    let range = asked[0].header("range").unwrap_or_default();
    let start = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')).unwrap();
    // What waits to be written when the process is killed is not held: at most some MiB.
    assert!(asked.len() == 1 && start.parse::<usize>().unwrap() >= ARRIVE - (3 << 20), "{range}");
    assert!(!to.join(".transship").join("partial").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_while_it_writes_an_archive_leaves_the_old_one_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (_, registry, reference, layer) = served(folder.path()).await;
    let archives = folder.path().join("archives");
    std::fs::create_dir(&archives).unwrap();
    let to = archives.join("a.tar");
    let old = images(&folder.path().join("old"), &["v0"]);
    let target = ArchiveTarget::open(&to, Archive::options()).unwrap();
    let into = Destination::Archive { target, name: None };
    assert_done(&copy(&[all(endpoint::layout(old.clone()))], &into).await);
    let before = std::fs::read(&to).unwrap();
    kill_midway(&registry, &reference, &layer, &to);
    assert_eq!(std::fs::read(&to).unwrap(), before);
    assert_eq!(archives.read_dir().unwrap().count(), 1);

    registry.heal();
    assert_done(&pull(&reference, &to, &alone()).await);
    let archive = Archive::options().open(&to).unwrap();
    assert!(archive.has(&layer) && archive.resolve(Some("v1")).is_ok());
    let v0 = archive.resolve(Some("v0")).unwrap().descriptor.digest;
    assert_eq!(v0, old.resolve(Some("v0")).unwrap().descriptor.digest);
}
