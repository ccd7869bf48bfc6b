//! Copies between every two kinds: there and back again gives the same bytes under the same names, with all that belongs
//! to them, and the second time nothing moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestRunner};
use transship_copy::endpoint::{Ask, Role};
use transship_copy::names::Naming;
use transship_copy::{Endpoint, Options, Report, Select, Selection, Source, Status, plan, requests};
use transship_spec::{Descriptor, Digest, referrers};
use transship_testkit::fixtures;

use crate::goods::{Goods, content, named, names};
use crate::kinds::{self, Kind, Made};

/// Sizes of layers: none, some, about the blocks of a tar, and more than one piece.
const SIZES: [usize; 7] = [0, 1, 511, 512, 513, 5000, 600_000];

/// Something to copy.
#[derive(Debug, Clone)]
struct Thing {
    sort: Sort,
    names: usize,
    referrers: usize,
    has_digest_tag: bool,
}

#[derive(Debug, Clone)]
enum Sort {
    /// An image of these layers, which others may have as well.
    Image(Vec<usize>),
    Index,
    Nested,
    Artifact,
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let sort = (0..6u8, vec(0..SIZES.len(), 0..4)).prop_map(|(sort, layers)| match sort {
        0 => Sort::Index,
        1 => Sort::Nested,
        2 => Sort::Artifact,
        _ => Sort::Image(layers),
    });
    let thing =
        (sort, 1..3usize, 0..3usize, any::<bool>()).prop_map(|(sort, names, referrers, has_digest_tag)| {
            Thing { sort, names, referrers, has_digest_tag }
        });
    vec(thing, 1..3)
}

/// No two images are the same, however often they are made: what belongs to one would belong to the other as well, in
/// repositories that share what they hold.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Makes things; all of them as images if they must be.
async fn make(kind: &Kind, things: &[Thing], only_images: bool) -> Made {
    let (made, mut goods) = (kind.make(), Goods::new());
    let (mut roots, mut attached): (Vec<Role>, Vec<Descriptor>) = (Vec::new(), Vec::new());
    for (at, thing) in things.iter().enumerate() {
        let seed = 1000 + 10 * MADE.fetch_add(1, Ordering::Relaxed);
        let root = match &thing.sort {
            Sort::Image(layers) => {
                let layer = |goods: &mut Goods, at: usize| {
                    let content = fixtures::bytes(at as u64, SIZES[at]);
                    goods.blob("application/vnd.oci.image.layer.v1.tar", &content)
                };
                let layers = layers.iter().map(|at| layer(&mut goods, *at)).collect();
                goods.image_of(seed, layers)
            }
            _ if only_images => goods.image(seed),
            Sort::Index => goods.platforms(seed),
            Sort::Nested => {
                let members = vec![goods.platforms(seed), goods.platforms(seed + 1)];
                goods.index(members)
            }
            Sort::Artifact => goods.artifact(seed, None),
        };
        roots.extend((0..thing.names).map(|name| named(&format!("v{at}.{name}"), &root)));
        if thing.has_digest_tag {
            let signature = goods.image(seed + 5);
            roots.push(named(&format!("{}.sig", referrers::fallback_tag(&root.digest)), &signature));
        }
        // Each refers to the one before.
        let mut subject = root;
        for number in 0..thing.referrers {
            subject = goods.artifact(seed + 6 + number as u64, Some(&subject));
            attached.push(subject.clone());
        }
    }
    goods.write(&made, &roots).await.unwrap();
    if !attached.is_empty() {
        goods.attach(&made, &attached).await.unwrap();
    }
    made
}

/// Everything that can be seen of a place, by whoever looks through its names.
#[derive(Debug, Default)]
struct Seen {
    names: Vec<(String, Digest)>,
    /// Digests, and those of the bytes that came for them.
    content: BTreeMap<Digest, Digest>,
    referrers: BTreeSet<(Digest, Digest)>,
    digest_tags: BTreeSet<(Digest, String)>,
}

impl Seen {
    #[track_caller]
    fn is(&self, other: &Self, place: &str) {
        assert_eq!(self.names, other.names, "names {place}");
        assert_eq!(self.digest_tags, other.digest_tags, "digest tags {place}");
        assert_eq!(self.referrers, other.referrers, "referrers {place}");
        assert_eq!(self.content, other.content, "content {place}");
    }
}

async fn look(made: &Made) -> Seen {
    let endpoint = made.open();
    let mut seen = Seen { names: names(endpoint.as_ref()).await, ..Seen::default() };
    for listed in endpoint.named().await.unwrap() {
        let root = endpoint.resolve(&listed).await.unwrap();
        follow(endpoint.as_ref(), root, &mut seen).await;
    }
    seen
}

fn follow<'a>(endpoint: &'a dyn Endpoint, node: Descriptor, seen: &'a mut Seen) -> BoxFuture<'a, ()> {
    let follow = async move {
        if seen.content.contains_key(&node.digest) {
            return;
        }
        if !node.media_type.is_document() {
            let bytes = content(endpoint, &node, 0).await.unwrap();
            seen.content.insert(node.digest, Digest::sha256(&bytes));
            return;
        }
        let document = endpoint.listed_document(&node).await.unwrap();
        seen.content.insert(node.digest.clone(), Digest::sha256(document.bytes()));
        for child in document.children() {
            follow(endpoint, child.clone(), seen).await;
        }
        let ask = Ask { referrers: true, digest_tags: true, many: true };
        let related = endpoint.related(&node.digest, ask).await.unwrap();
        for (tag, _) in related.digest_tags {
            seen.digest_tags.insert((node.digest.clone(), tag.as_str().to_owned()));
        }
        for referrer in related.referrers {
            seen.referrers.insert((node.digest.clone(), referrer.digest.clone()));
            follow(endpoint, referrer, seen).await;
        }
    };
    follow.boxed()
}

async fn copy(from: &Made, to: &Made) -> Report {
    let source = Source { endpoint: from.open(), select: Select::All };
    let naming = Naming { short_names: true, ..Naming::default() };
    let selection = Selection { naming, ..Selection::default() };
    let requests = requests(&[source], &to.destination(), &selection).await.unwrap();
    let report = plan(requests, &Options::default()).await.run().await;
    let failures: Vec<_> = report.failures().map(|root| (&root.source, &root.failure)).collect();
    assert!(failures.is_empty(), "{failures:?}");
    report
}

/// From one kind to another and back.
async fn there_and_back(one: &Kind, other: &Kind, things: &[Thing]) {
    let from = make(one, things, one.only_images || other.only_images).await;
    let (there, back) = (other.make(), one.make());
    copy(&from, &there).await;
    let expected = look(&from).await;
    expected.is(&look(&there).await, "there");
    let again = copy(&from, &there).await;
    assert!(again.roots.iter().all(|root| root.status == Status::Present), "{again:?}");
    let moved = &again.content;
    assert_eq!((moved.copied.count, moved.mounted.count, moved.manifests.count), (0, 0, 0), "{again:?}");
    expected.is(&look(&there).await, "there, again");
    copy(&there, &back).await;
    expected.is(&look(&back).await, "back");
}

/// A kind and every other, itself among them, each time with other things.
fn a_kind_and_every_other(which: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kinds = runtime.block_on(kinds::all());
    let config = Config { cases: 1, max_shrink_iters: 30, failure_persistence: None, ..Config::default() };
    for other in &kinds {
        let ran = TestRunner::new(config.clone()).run(&things(), |things| {
            runtime.block_on(there_and_back(&kinds[which], other, &things));
            Ok(())
        });
        assert!(ran.is_ok(), "{} to {}: {}", kinds[which].name, other.name, ran.unwrap_err());
    }
}

#[test]
fn from_a_layout_to_every_kind_and_back() {
    a_kind_and_every_other(0);
}

#[test]
fn from_an_archive_to_every_kind_and_back() {
    a_kind_and_every_other(1);
}

#[test]
fn from_an_archive_for_docker_load_to_every_kind_and_back() {
    a_kind_and_every_other(2);
}

#[test]
fn from_a_repository_that_we_serve_to_every_kind_and_back() {
    a_kind_and_every_other(3);
}

#[test]
fn from_a_repository_without_a_referrers_api_to_every_kind_and_back() {
    a_kind_and_every_other(4);
}

#[test]
fn from_a_repository_of_the_cncf_registry_to_every_kind_and_back() {
    a_kind_and_every_other(5);
}
