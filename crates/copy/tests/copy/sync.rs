//! Many copies at once: what goes to several places is asked of its source once, and whoever fails leaves the rest alone.

use std::path::Path;
use std::sync::Arc;

use transship_copy::sync::{Config, Work};
use transship_copy::{Destination, Endpoint, Options, Report, Select, Source, Status, endpoint};
use transship_layout::{Layout, Name};
use transship_registry::{Client, Mirror, Pulls, Route, Settings};
use transship_spec::{Kind, Location, MediaType, Reference};
use transship_testkit::{Fault, TestRegistry};

use crate::support::*;

/// The places that the text names; `NAME/…` is one of these registries, everything else a layout.
struct Places<'a> {
    client: Client,
    registries: &'a [(&'a str, &'a TestRegistry)],
}

impl Places<'_> {
    fn real(&self, location: &Location) -> Option<Reference> {
        let Location::Registry(reference) = location else { return None };
        let (_, registry) = self.registries.iter().find(|(name, _)| *name == reference.registry()).unwrap();
        let text = registry.reference(reference.repository());
        let real = Reference::parse(&text).unwrap();
        Some(reference.tag().map_or(real.clone(), |tag| real.with_tag(tag.clone())))
    }

    fn endpoint(&self, location: &Location) -> Arc<dyn Endpoint> {
        let real = self.real(location).unwrap();
        endpoint::registry(self.client.repository(real.registry(), real.repository()).unwrap())
    }

    fn destination(&self, location: &Location) -> Destination {
        match (location, self.real(location)) {
            (_, Some(reference)) => Destination::Registry { client: self.client.clone(), reference },
            (Location::Layout { path, reference }, None) => {
                Destination::Layout { layout: layout(path), name: reference.clone() }
            }
            other => unreachable!("{other:?}"),
        }
    }

    async fn sync(&self, config: &Config) -> Report {
        let mut work = Work::default();
        for copy in &config.copies {
            let source = &copy.from[0];
            let reference = match source {
                Location::Registry(reference) => reference.tag().map(ToString::to_string),
                _ => None,
            };
            let select = if copy.all { Select::All } else { Select::One(reference) };
            let from = Source { endpoint: endpoint::shared(self.endpoint(source)), select };
            for to in &copy.to {
                work.add(copy, to, std::slice::from_ref(&from), &self.destination(to)).await;
            }
        }
        work.plan(&Options::default()).await.run().await
    }
}

fn config(text: &str, folder: &Path) -> Config {
    Config::parse(&format!("version: 1\nsync:\n{text}"), folder).unwrap()
}

/// `names` as tags of `localhost/team/app`; they take turns at ten images.
fn fill(layout: &Layout, names: &[String]) {
    let session = layout.begin().unwrap();
    let base = session.put_bytes(MediaType::OCI_LAYER_TAR, &content(300_000, 200)).unwrap();
    let images: Vec<_> =
        (0..10).map(|seed| put(&session, &image(&session, seed, std::slice::from_ref(&base)))).collect();
    session
        .commit(|index| {
            for (at, name) in names.iter().enumerate() {
                let reference = Reference::parse(&format!("localhost/team/app:{name}")).unwrap();
                index.set(&Name::full(&reference), &images[at % images.len()])?;
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_blob_for_two_registries_and_a_layout_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let (source, one, two) =
        (TestRegistry::start().await, TestRegistry::start().await, TestRegistry::start().await);
    fill(source.layout(), &["v1".to_owned(), "v2".to_owned()]);
    let places = Places {
        client: client().0,
        registries: &[("source.example", &source), ("one.example", &one), ("two.example", &two)],
    };
    let text =
        "  - {from: source.example/team/app, all-tags: true, to: [one.example/a, two.example/b, 'oci:c']}\n";
    let config = config(text, folder.path());
    let report = places.sync(&config).await;
    assert_done(&report);
    let counts = source.counts();
    // A layer that both have in common, and of each image a layer and a config; the manifests, the tags and their list.
    assert_eq!((counts.blob_get, counts.manifest_get), (5, 2), "{:?}", source.lines());
    assert_eq!((counts.manifest_head, counts.tags), (2, 1));
    for there in [&one, &two] {
        assert_eq!(there.counts().manifest_put, 2);
        assert_eq!(there.counts().blob_get, 0);
    }
    assert_eq!(blobs(&layout(&folder.path().join("c"))).len(), 7);

    // Nothing to do: the tags, each once, and one more list.
    source.forget();
    let report = places.sync(&config).await;
    assert!(report.roots.iter().all(|root| root.status == Status::Present), "{:?}", report.roots);
    let counts = source.counts();
    assert_eq!((counts.manifest_head, counts.tags, counts.blob_get, counts.manifest_get), (2, 1, 0, 0));
}

#[tokio::test]
async fn a_blob_for_three_registries_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let source = TestRegistry::start().await;
    let names: Vec<String> = (0..10).map(|at| format!("v{at}")).collect();
    fill(source.layout(), &names);
    for concurrency in [1, 6] {
        let (one, two, three) =
            (TestRegistry::start().await, TestRegistry::start().await, TestRegistry::start().await);
        let registries = [
            ("source.example", &source),
            ("one.example", &one),
            ("two.example", &two),
            ("three.example", &three),
        ];
        let settings = transship_registry::Settings { concurrency, ..quick() };
        let places = Places { client: Client::new(settings).unwrap(), registries: &registries };
        let text = "  - from: source.example/team/app\n    all-tags: true\n    \
            to: [one.example/a, two.example/b, three.example/c]\n";
        assert_done(&places.sync(&config(text, folder.path())).await);
        let counts = source.counts();
        assert_eq!((counts.blob_get, counts.manifest_get), (21, 10), "{:?}", source.lines());
        for there in [&one, &two, &three] {
            assert_eq!(there.counts().manifest_put, 10);
        }
        source.forget();
    }
}

#[tokio::test]
async fn a_destination_that_fails_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (source, one, two) =
        (TestRegistry::start().await, TestRegistry::start().await, TestRegistry::start().await);
    fill(source.layout(), &["v1".to_owned()]);
    two.fault(Fault::on("POST", "/uploads/").times(usize::MAX).status(403));
    let places = Places {
        client: client().0,
        registries: &[("source.example", &source), ("one.example", &one), ("two.example", &two)],
    };
    let to = "[two.example/b, one.example/a, 'oci:c']";
    let text = format!("  - {{from: 'source.example/team/app:v1', to: {to}}}\n");
    let report = places.sync(&config(&text, folder.path())).await;
    let failed: Vec<_> = report.failures().map(|root| root.destination.clone()).collect();
    assert_eq!(failed, [format!("docker://{}/b", two.address())]);
    assert_eq!((report.kind(), report.roots.len()), (Some(Kind::Partial), 3));
    assert_eq!(one.counts().manifest_put, 1);
    assert_eq!(layout(&folder.path().join("c")).entries().unwrap().len(), 1);

    // Without the layout the registries share a stream, and one that breaks off leaves the other what it needs.
    two.heal().fault(Fault::on("PUT", "/uploads/").times(usize::MAX).hang_up());
    let text = "  - {from: 'source.example/team/app:v1', to: [two.example/d, one.example/d]}\n";
    let report = places.sync(&config(text, folder.path())).await;
    let failed: Vec<_> = report.failures().map(|root| root.destination.clone()).collect();
    assert_eq!(failed, [format!("docker://{}/d", two.address())]);
    assert_eq!(one.counts().manifest_put, 2);
}

#[tokio::test]
async fn two_thousand_unchanged_tags_cost_as_many_heads_and_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let source = TestRegistry::start().await;
    let names: Vec<String> = (0..2000).map(|at| format!("v{at}")).collect();
    fill(source.layout(), &names);
    let registries = [("source.example", &source)];
    let places = Places { client: client().0, registries: &registries };
    let text = "  - {from: source.example/team/app, tags: 'v*', referrers: none, to: 'oci:c'}\n";
    let config = config(text, folder.path());
    assert_done(&places.sync(&config).await);
    source.forget();
    // As another run of the program does it.
    let places = Places { client: client().0, registries: &registries };
    let before = source.connections();
    let report = places.sync(&config).await;
    assert_eq!(report.roots.len(), 2000);
    assert!(report.roots.iter().all(|root| root.status == Status::Present));
    let counts = source.counts();
    let pages = source.lines().iter().filter(|line| line.contains("/tags/list")).count();
    assert_eq!(counts.manifest_head, 2000);
    assert_eq!((counts.tags, counts.requests - counts.base), (pages, 2000 + pages), "{counts:?}");
    assert!(pages <= 2, "{pages} pages of tags");
    let connections = source.connections() - before;
    assert!(connections <= 16, "{connections} connections");
}

#[tokio::test]
async fn one_name_for_two_things_is_refused_and_one_thing_twice_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let source = TestRegistry::start().await;
    fill(source.layout(), &["v1".to_owned(), "v2".to_owned()]);
    let places = Places { client: client().0, registries: &[("source.example", &source)] };
    let text = "  - {from: 'source.example/team/app:v1', to: 'oci:c:x'}\n  \
        - {from: 'source.example/team/app:v2', to: 'oci:c:x'}\n  \
        - {from: 'source.example/team/app:v1', to: 'oci:c:x'}\n  \
        - {from: 'source.example/team/app:v3', to: 'oci:c:y'}\n";
    let report = places.sync(&config(text, folder.path())).await;
    let messages: Vec<String> =
        report.failures().map(|root| root.failure.as_ref().unwrap().message.clone()).collect();
    assert_eq!((messages.len(), report.roots.len()), (2, 3), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("would both be called")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("has no \"v3\"")), "{messages:?}");
    assert_eq!(layout(&folder.path().join("c")).entries().unwrap().len(), 1);
}

#[tokio::test]
async fn content_comes_from_a_mirror_and_what_that_lacks_or_has_wrong_from_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let (source, mirror) = (TestRegistry::start().await, TestRegistry::start().await);
    let names = ["v1".to_owned(), "v2".to_owned()];
    fill(source.layout(), &names);
    fill(mirror.layout(), &names[..1]);
    let copy = async |to: &str| {
        let near = Mirror { location: mirror.address(), insecure: false, pulls: Pulls::Content };
        let route = Route { mirrors: vec![near], ..Route::new(&source.address(), "test") };
        let client = Client::new(Settings { routes: vec![route], ..quick() }).unwrap();
        let from = endpoint::registry(client.repository(&source.address(), "team/app").unwrap());
        let to = layout(&folder.path().join(to));
        assert_done(&copy(&[all(from)], &into_layout(&to, "")).await);
        let counts = (source.counts(), mirror.counts());
        source.forget();
        mirror.forget();
        (counts, blobs(&to).len())
    };
    let ((own, other), count) = copy("a").await;
    // Tags and referrers are asked of the registry, all content comes from the mirror, whatever has a tag there.
    assert_eq!((count, own.manifest_head, own.tags, own.blob_get, own.manifest_get), (7, 2, 1, 0, 0));
    assert_eq!((other.manifest_head, other.tags, other.referrers), (0, 0, 0));
    assert_eq!((other.blob_get, other.manifest_get), (5, 2));

    mirror.fault(Fault::on("GET", "/blobs/").nth(1).status(404));
    mirror.fault(Fault::on("GET", "/blobs/").nth(2).flip_byte(1));
    let ((own, _), count) = copy("b").await;
    assert_eq!((count, own.blob_get), (7, 2));

    mirror.fault(Fault::on("GET", "/v2/").times(usize::MAX).status(403));
    let ((own, _), count) = copy("c").await;
    assert_eq!((count, own.blob_get, own.manifest_get), (7, 5, 2));
}
