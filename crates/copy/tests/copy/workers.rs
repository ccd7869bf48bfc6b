//! A source whose disk fails, and a program that is told of progress and panics.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use transship_copy::endpoint::{Ask, Endpoint, Listed, Pending, Pieces, Place, Planned, Related, Session};
use transship_copy::names::Name;
use transship_copy::{Error, Options, Result, endpoint};
use transship_spec::{Descriptor, Digest, Document, Kind};

use crate::support::*;

/// An endpoint as it is, but for one blob, of which the disk gives half.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn Endpoint>,
    broken: Digest,
}

impl Endpoint for Failing {
    fn place(&self) -> &Place {
        self.inner.place()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        self.inner.named()
    }

    fn call<'a>(&'a self, reference: Option<&'a str>) -> Pending<'a, Listed> {
        self.inner.call(reference)
    }

    fn resolve<'a>(&'a self, listed: &'a Listed) -> Pending<'a, Descriptor> {
        self.inner.resolve(listed)
    }

    fn find<'a>(&'a self, names: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        self.inner.find(names)
    }

    fn has<'a>(&'a self, content: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        self.inner.has(content)
    }

    fn size<'a>(&'a self, digest: &'a Digest) -> Pending<'a, Option<u64>> {
        self.inner.size(digest)
    }

    fn document<'a>(&'a self, descriptor: &'a Descriptor) -> Pending<'a, Document> {
        self.inner.document(descriptor)
    }

    fn related<'a>(&'a self, subject: &'a Digest, ask: Ask) -> Pending<'a, Related> {
        self.inner.related(subject, ask)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        if blob.digest != self.broken {
            return self.inner.open(blob, offset);
        }
        let half = vec![0; 500];
        let source = io::Error::from_raw_os_error(5);
        let path = format!("blobs/sha256/{}", blob.digest.encoded()).into();
        let error = transship_layout::Error::Storage { doing: "reading", path, source };
        stream::iter([Ok(half.into()), Err(Error::Layout(error))]).boxed()
    }

    fn begin(&self, plan: Planned) -> Pending<'_, Arc<dyn Session>> {
        self.inner.begin(plan)
    }
}

#[tokio::test]
async fn row_14_a_disk_that_fails_below_a_source_is_one_of_storage_and_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3"]);
    let image = from.resolve(Some("v2")).unwrap().descriptor;
    let broken = from.read_document(&image).unwrap().children().last().unwrap().digest.clone();
    let failing = Arc::new(Failing { inner: endpoint::layout(from.clone()), broken: broken.clone() });
    let to = layout(&folder.path().join("to"));
    let report = copy(&[all(failing.clone())], &into_layout(&to, "")).await;
    let failed: Vec<_> = report.failures().collect();
    assert_eq!(failed.len(), 1, "{report:?}");
    let failure = failed[0].failure.as_ref().unwrap();
    assert_eq!(failure.kind, Kind::Storage, "it says nothing about the content: {failure:?}");
    assert!(failure.message.contains(&broken.encoded().to_string()), "{failure:?}");
    assert!(failed[0].source.ends_with(":v2"), "{failed:?}");
    assert_eq!(names(&to).len(), 2);

    let registry = transship_testkit::TestRegistry::start().await;
    let reference = transship_spec::Reference::parse(&registry.reference("app")).unwrap();
    let there = transship_copy::Destination::Registry { client: client().0, reference };
    let report = copy(&[all(failing)], &there).await;
    let failed: Vec<_> = report.failures().map(|root| root.failure.as_ref().unwrap().kind).collect();
    assert_eq!(failed, [Kind::Storage]);
}

/// Panics at the n-th piece.
#[derive(Debug)]
struct Panicking(std::sync::atomic::AtomicUsize);

impl transship_copy::Events for Panicking {
    fn blob_progress(&self, _: &Descriptor, _: u64) {
        let left = self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        assert!(left > 1, "this is the panic of the test");
    }
}

#[tokio::test]
async fn row_70_a_panic_on_the_way_leaves_no_name_and_nothing_that_still_writes() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1", "v2", "v3", "v4"]);
    let to = layout(&folder.path().join("to"));
    let mut panics = 0;
    for number in 1.. {
        let options = Options { events: Arc::new(Panicking(number.into())), ..Options::default() };
        let (source, there) = (all(endpoint::layout(from.clone())), into_layout(&to, ""));
        let copying = tokio::spawn(async move { copy_with(&[source], &there, &options).await });
        match copying.await {
            // What came before is there, so that in the end nothing has to come.
            Ok(report) => {
                assert_done(&report);
                break;
            }
            Err(error) => assert!(error.is_panic()),
        }
        panics += 1;
        assert!(names(&to).is_empty());
        // Those that are there are whole.
        blobs(&to);
    }
    assert!(panics >= 2, "{panics}");
    assert_eq!(blobs(&to), blobs(&from));
    assert!(!to.path().join(".transship/leases").exists(), "no lease is left");
}

/// A piece of a file that cannot be read to its end is an error, and no end.
#[tokio::test]
async fn row_14_what_ends_early_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let from = images(&folder.path().join("from"), &["v1"]);
    let image = from.resolve(Some("v1")).unwrap().descriptor;
    let layer = from.read_document(&image).unwrap().children().last().copied().cloned().unwrap();
    let path = blob_path(&from, &layer.digest.to_string());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..100]).unwrap();
    let registry = transship_testkit::TestRegistry::start().await;
    let reference = transship_spec::Reference::parse(&registry.reference("app")).unwrap();
    let there = transship_copy::Destination::Registry { client: client().0, reference };
    let report = copy(&[all(endpoint::layout(from))], &there).await;
    assert_eq!(report.kind(), Some(Kind::Invalid));
    assert_eq!(registry.counts().manifest_put, 0);
}
