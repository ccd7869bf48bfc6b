//! What the tests share: small images in layouts, and short ways to copy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use transship_copy::{
    Destination, Endpoint, Options, Report, Select, Selection, Source, endpoint, plan, requests,
};
use transship_layout::{Layout, Name, Session};
use transship_registry::{Client, Repository, Retry, Settings};
use transship_spec::{Annotations, Descriptor, Index, Manifest, MediaType, Reference};
use transship_testkit::DockerRegistry;

pub(crate) fn layout(path: &Path) -> Layout {
    Layout::options().durability(transship_layout::Durability::None).open_or_create(path).unwrap()
}

pub(crate) fn content(bytes: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// An image of one layer of its own and, before it, the layers given.
pub(crate) fn image(session: &Session, seed: u8, base: &[Descriptor]) -> Manifest {
    let config = session.put_bytes(MediaType::OCI_CONFIG, format!("{{\"seed\":{seed}}}").as_bytes()).unwrap();
    let layer =
        session.put_bytes(MediaType::OCI_LAYER_TAR, &content(1000 + usize::from(seed), seed)).unwrap();
    let layers = base.iter().cloned().chain([layer]).collect();
    Manifest::new(config, layers)
}

pub(crate) fn put(session: &Session, manifest: &Manifest) -> Descriptor {
    session.put_document(&manifest.to_document().unwrap()).unwrap()
}

pub(crate) fn index(session: &Session, members: &[Descriptor]) -> Descriptor {
    session.put_document(&Index::new(members.to_vec()).to_document().unwrap()).unwrap()
}

/// A referrer with a blob of its own.
pub(crate) fn referrer(session: &Session, subject: &Descriptor, seed: u8) -> Descriptor {
    let layer = session.put_bytes(MediaType::parse("x/sig").unwrap(), &content(50, seed)).unwrap();
    let empty = session.put_bytes(MediaType::OCI_EMPTY, b"{}").unwrap();
    let manifest = Manifest {
        artifact_type: Some(MediaType::parse("application/vnd.example.sig").unwrap()),
        subject: Some(subject.clone()),
        annotations: Annotations::from([("seed".to_owned(), seed.to_string())]),
        ..Manifest::new(empty, vec![layer])
    };
    put(session, &manifest)
}

/// A layout in which each name stands for an image with a layer of its own and one that all share.
pub(crate) fn images(path: &Path, names: &[&str]) -> Layout {
    let layout = layout(path);
    let session = layout.begin().unwrap();
    let base = session.put_bytes(MediaType::OCI_LAYER_TAR, &content(5000, 200)).unwrap();
    let images: Vec<Descriptor> = (0..names.len())
        .map(|at| put(&session, &image(&session, u8::try_from(at).unwrap(), std::slice::from_ref(&base))))
        .collect();
    session
        .commit(|index| {
            for (name, image) in names.iter().zip(&images) {
                index.set(&Name::parse(name)?, image)?;
            }
            Ok(())
        })
        .unwrap();
    layout
}

pub(crate) fn one(endpoint: Arc<dyn Endpoint>, reference: &str) -> Source {
    let reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
    Source { endpoint, select: Select::One(reference) }
}

pub(crate) fn all(endpoint: Arc<dyn Endpoint>) -> Source {
    Source { endpoint, select: Select::All }
}

pub(crate) fn into_layout(layout: &Layout, name: &str) -> Destination {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    Destination::Layout { layout: layout.clone(), name }
}

pub(crate) async fn copy(sources: &[Source], destination: &Destination) -> Report {
    copy_with(sources, destination, &Options::default()).await
}

pub(crate) async fn copy_with(sources: &[Source], destination: &Destination, options: &Options) -> Report {
    let requests = requests(sources, destination, &Selection::default()).await.unwrap();
    plan(requests, options).await.run().await
}

#[track_caller]
pub(crate) fn assert_done(report: &Report) {
    let failures: Vec<_> = report.failures().map(|root| (&root.source, &root.failure)).collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert!(!report.roots.is_empty());
}

/// The blobs of a layout, each verified.
pub(crate) fn blobs(layout: &Layout) -> BTreeSet<String> {
    let blobs = layout.blobs().unwrap().map(|blob| blob.unwrap().digest.unwrap());
    blobs
        .inspect(|digest| {
            let bytes = std::fs::read(blob_path(layout, &digest.to_string())).unwrap();
            assert_eq!(transship_spec::Digest::sha256(&bytes), *digest);
        })
        .map(|digest| digest.to_string())
        .collect()
}

/// The names of a layout and what they stand for.
pub(crate) fn names(layout: &Layout) -> BTreeSet<(String, String)> {
    let entries = layout.entries().unwrap().into_iter();
    entries
        .map(|entry| (entry.name().unwrap_or_default().to_owned(), entry.descriptor.digest.to_string()))
        .collect()
}

pub(crate) fn blob_path(layout: &Layout, digest: &str) -> PathBuf {
    layout.path().join("blobs").join(digest.replace(':', "/"))
}

/// Counts requests, by method.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Vec<String>>);

impl transship_registry::Events for Requests {
    fn request(&self, _: &str, method: &str) {
        self.0.lock().unwrap().push(method.to_owned());
    }
}

impl Requests {
    /// How often each method was used since the last time: `GET`, `HEAD`, `POST`, `PUT`.
    pub(crate) fn take(&self) -> [usize; 4] {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        ["GET", "HEAD", "POST", "PUT"].map(|method| all.iter().filter(|used| *used == method).count())
    }
}

pub(crate) fn quick() -> Settings {
    let retry = Retry { base: Duration::from_millis(1), ..Retry::default() };
    Settings { retry, ..Settings::default() }
}

/// A client, and what it sends.
pub(crate) fn client() -> (Client, Arc<Requests>) {
    let requests = Arc::new(Requests::default());
    let settings = Settings { events: requests.clone(), ..quick() };
    (Client::new(settings).unwrap(), requests)
}

/// A repository of the CNCF registry as a source.
pub(crate) fn endpoint(registry: &DockerRegistry, client: &Client, name: &str) -> Arc<dyn Endpoint> {
    endpoint::registry(repository(registry, client, name))
}

pub(crate) fn repository(registry: &DockerRegistry, client: &Client, name: &str) -> Repository {
    client.repository(registry.address(), name).unwrap()
}

/// A repository of the CNCF registry, or what lies below it, as a destination.
pub(crate) fn destination(registry: &DockerRegistry, client: &Client, rest: &str) -> Destination {
    let reference = Reference::parse(&registry.reference(rest)).unwrap();
    Destination::Registry { client: client.clone(), reference }
}

/// Counts what it is told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) started: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) done: AtomicUsize,
    pub(crate) roots: AtomicUsize,
    pub(crate) planned: AtomicUsize,
}

impl transship_copy::Events for Told {
    fn planned(&self, blobs: u64, _: u64) {
        self.planned.fetch_add(usize::try_from(blobs).unwrap(), Ordering::Relaxed);
    }
    fn blob_started(&self, _: &Descriptor) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }
    fn blob_progress(&self, _: &Descriptor, bytes: u64) {
        self.bytes.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed);
    }
    fn blob_done(&self, _: &Descriptor, _: transship_copy::Placed) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
    fn root_done(&self, _: &transship_copy::RootReport) {
        self.roots.fetch_add(1, Ordering::Relaxed);
    }
}
