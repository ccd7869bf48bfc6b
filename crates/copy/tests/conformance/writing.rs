//! Promises about sessions: what is refused, what is visible when, and what is left when one ends badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use transship_copy::{Events, Placed};
use transship_spec::{Annotations, Descriptor, Digest, Document, Kind as ErrorKind, Manifest, MediaType};
use transship_testkit::fixtures;

use crate::goods::{Goods, content, is_there, named, names};
use crate::kinds::{Kind, Made};
use crate::promise::promises;

promises![
    row_30_31_a_blob_of_other_bytes_is_refused_and_never_named,
    a_blob_of_no_bytes_and_one_of_many_pieces_arrive,
    a_blob_is_put_twice_at_once_and_one_after_the_other,
    progress_adds_up_to_the_size,
    a_source_that_fails_in_the_middle_is_blamed_and_the_blob_can_be_put_again,
    nothing_is_named_before_it_is_whole,
    what_is_abandoned_has_no_name,
    what_is_abandoned_after_its_documents_came_has_no_name,
    what_is_dropped_in_the_middle_has_no_name_and_is_completed_by_the_next,
    a_session_ends_once,
    two_sessions_at_once_lose_nothing_that_was_acknowledged,
    two_sessions_at_once_both_succeed,
    a_second_session_of_the_same_changes_nothing,
    a_manifest_without_what_it_needs_is_refused,
    an_index_and_an_index_of_indexes_arrive,
    an_artifact_arrives,
    embedded_content_is_taken_from_its_descriptor,
    embedded_content_that_is_not_what_it_says_is_refused,
    sha512_content_arrives,
    content_of_an_unknown_algorithm_is_carried,
    unknown_media_types_are_carried,
    what_is_no_document_can_be_a_root,
    a_blob_that_is_there_is_relied_on,
];

/// An image that is not put yet, and its layer.
fn image(seed: u64, layer: &[u8]) -> (Goods, Descriptor, Descriptor) {
    let mut goods = Goods::new();
    let layer = goods.blob("application/vnd.oci.image.layer.v1.tar", layer);
    let image = goods.image_of(seed, vec![layer.clone()]);
    (goods, image, layer)
}

async fn assert_whole(made: &Made, goods: &Goods, name: &str, root: &Descriptor) {
    let endpoint = made.open();
    let listed = endpoint.call(Some(name)).await.unwrap();
    assert_eq!(endpoint.resolve(&listed).await.unwrap().digest, root.digest);
    for node in goods.below(root) {
        let bytes = match node.media_type.is_document() {
            true => endpoint.document(&node).await.unwrap().bytes().to_vec(),
            false => content(endpoint.as_ref(), &node, 0).await.unwrap(),
        };
        assert!(bytes == goods.bytes(&node.digest), "{node:?} is {} bytes", bytes.len());
    }
}

async fn row_30_31_a_blob_of_other_bytes_is_refused_and_never_named(kind: &Kind) {
    let right = fixtures::bytes(500, 5000);
    let mut flipped = right.clone();
    flipped[4321] ^= 1;
    let longer = [&right[..], b"x"].concat();
    for (at, wrong) in [&flipped[..], &right[..4999], &longer, b""].into_iter().enumerate() {
        // Elsewhere in the same registry it may be right.
        let right = [&right[..], &[u8::try_from(at).unwrap()]].concat();
        let wrong = [wrong, &[u8::try_from(at).unwrap()]].concat();
        let wrong = if wrong.len() == 1 { Vec::new() } else { wrong };
        let (mut goods, image, layer) = image(500, &right);
        goods.given(layer.clone(), &wrong);
        let made = kind.make();
        let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
        assert!(session.put_blob(&layer, &goods.offer()).await.is_err(), "{} bytes", wrong.len());
        session.abandon().await;
        assert!(!made.open().has(std::slice::from_ref(&layer)).await.remove(0).unwrap());
        assert_eq!(names(made.open().as_ref()).await, []);
    }
}

async fn a_blob_of_no_bytes_and_one_of_many_pieces_arrive(kind: &Kind) {
    for (seed, length) in [(510, 0), (511, (5 << 20) + 3)] {
        let (goods, image, _) = image(seed, &fixtures::bytes(seed, length));
        let made = kind.make();
        goods.write(&made, &[named("v1", &image)]).await.unwrap();
        assert_whole(&made, &goods, "v1", &image).await;
    }
}

async fn a_blob_is_put_twice_at_once_and_one_after_the_other(kind: &Kind) {
    let (goods, image, layer) = image(520, &fixtures::bytes(520, 300_000));
    let made = kind.make();
    let role = named("v1", &image);
    let session = goods.begin(&made, std::slice::from_ref(&role)).await.unwrap();
    let offer = goods.offer();
    let (one, two) = tokio::join!(session.put_blob(&layer, &offer), session.put_blob(&layer, &offer));
    assert!(is_there(one.unwrap()) && is_there(two.unwrap()));
    assert!(is_there(session.put_blob(&layer, &offer).await.unwrap()));
    goods.put(session.as_ref(), &role).await.unwrap();
    session.commit().await.unwrap();
    assert_whole(&made, &goods, "v1", &image).await;
}

#[derive(Debug, Default)]
struct Meter(AtomicU64);

impl Events for Meter {
    fn blob_progress(&self, _: &Descriptor, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

async fn progress_adds_up_to_the_size(kind: &Kind) {
    let (goods, image, layer) = image(530, &fixtures::bytes(530, 700_000));
    let made = kind.make();
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    let meter = Arc::new(Meter::default());
    let placed = session.put_blob(&layer, &goods.offer_telling(meter.clone())).await.unwrap();
    assert_eq!(placed, Placed::Copied);
    assert_eq!(meter.0.load(Ordering::Relaxed), layer.size);
    session.abandon().await;
}

async fn a_source_that_fails_in_the_middle_is_blamed_and_the_blob_can_be_put_again(kind: &Kind) {
    let (mut goods, image, layer) = image(540, &fixtures::bytes(540, 300_000));
    let made = kind.make();
    let role = named("v1", &image);
    let session = goods.begin(&made, std::slice::from_ref(&role)).await.unwrap();
    goods.stop(&layer, 100_000, true);
    let error = session.put_blob(&layer, &goods.offer()).await.unwrap_err();
    assert!(error.to_string().contains("the goods are stuck"), "{error}");
    goods.heal();
    goods.put(session.as_ref(), &role).await.unwrap();
    session.commit().await.unwrap();
    assert_whole(&made, &goods, "v1", &image).await;
}

async fn nothing_is_named_before_it_is_whole(kind: &Kind) {
    let (goods, image, _) = image(550, b"whole");
    let made = kind.make();
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    assert_eq!(names(made.open().as_ref()).await, []);
    goods.put_below(session.as_ref(), &image).await.unwrap();
    assert_eq!(names(made.open().as_ref()).await, []);
    session.put_document(goods.get(&image.digest), &named("v1", &image)).await.unwrap();
    // A registry may show it now.
    if !names(made.open().as_ref()).await.is_empty() {
        assert_whole(&made, &goods, "v1", &image).await;
    }
    session.commit().await.unwrap();
    assert_whole(&made, &goods, "v1", &image).await;
}

async fn what_is_abandoned_has_no_name(kind: &Kind) {
    let (goods, image, _) = image(560, b"abandoned");
    let made = kind.make();
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    goods.put_below(session.as_ref(), &image).await.unwrap();
    session.abandon().await;
    assert_eq!(names(made.open().as_ref()).await, []);
    goods.write(&made, &[named("v1", &image)]).await.unwrap();
    assert_whole(&made, &goods, "v1", &image).await;
}

async fn what_is_abandoned_after_its_documents_came_has_no_name(kind: &Kind) {
    let (goods, image, _) = image(570, b"abandoned late");
    let made = kind.make();
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    goods.put(session.as_ref(), &named("v1", &image)).await.unwrap();
    session.abandon().await;
    assert_eq!(names(made.open().as_ref()).await, []);
}

async fn what_is_dropped_in_the_middle_has_no_name_and_is_completed_by_the_next(kind: &Kind) {
    let (mut goods, image, layer) = image(580, &fixtures::bytes(580, 2_000_000));
    let made = kind.make();
    goods.stop(&layer, 1_500_000, false);
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    let meter = Arc::new(Meter::default());
    let offer = goods.offer_telling(meter.clone());
    let moved = async {
        while meter.0.load(Ordering::Relaxed) < 500_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        put = session.put_blob(&layer, &offer) => panic!("{put:?}"),
        () = moved => {}
    }
    drop(session);
    assert_eq!(names(made.open().as_ref()).await, []);
    assert!(!made.open().has(std::slice::from_ref(&layer)).await.remove(0).unwrap());
    goods.heal();
    goods.write(&made, &[named("v1", &image)]).await.unwrap();
    assert_whole(&made, &goods, "v1", &image).await;
}

async fn a_session_ends_once(kind: &Kind) {
    let (goods, image, layer) = image(590, b"once");
    let made = kind.make();
    let session = goods.begin(&made, &[named("v1", &image)]).await.unwrap();
    goods.put(session.as_ref(), &named("v1", &image)).await.unwrap();
    session.commit().await.unwrap();
    // Whether it is an error or nothing, nothing is lost.
    let _ = session.commit().await;
    let _ = session.put_blob(&layer, &goods.offer()).await;
    session.abandon().await;
    drop(session);
    assert_whole(&made, &goods, "v1", &image).await;
    assert_eq!(names(made.open().as_ref()).await.len(), 1);
}

/// Two sessions that overlap; tells which of them ended well.
async fn overlap(kind: &Kind, seed: u64) -> (Made, [(Goods, Descriptor, bool); 2]) {
    let made = kind.make();
    let (one, first, _) = image(seed, b"overlapping");
    let (two, second, _) = image(seed + 1, b"overlapping");
    let a = one.begin(&made, &[named("v1", &first)]).await.unwrap();
    let b = two.begin(&made, &[named("v2", &second)]).await.unwrap();
    one.put(a.as_ref(), &named("v1", &first)).await.unwrap();
    two.put(b.as_ref(), &named("v2", &second)).await.unwrap();
    let (a, b) = (a.commit().await, b.commit().await);
    for error in [&a, &b].into_iter().filter_map(|ended| ended.as_ref().err()) {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    (made, [(one, first, a.is_ok()), (two, second, b.is_ok())])
}

async fn two_sessions_at_once_lose_nothing_that_was_acknowledged(kind: &Kind) {
    let (made, ended) = overlap(kind, 600).await;
    assert!(ended.iter().any(|(.., is_well)| *is_well));
    for (name, (goods, root, is_well)) in ["v1", "v2"].iter().zip(&ended) {
        let named = names(made.open().as_ref()).await.iter().any(|(listed, _)| listed == name);
        assert_eq!(named, *is_well, "{name}");
        if *is_well {
            assert_whole(&made, goods, name, root).await;
        }
    }
}

async fn two_sessions_at_once_both_succeed(kind: &Kind) {
    let (_, ended) = overlap(kind, 610).await;
    assert!(ended.iter().all(|(.., is_well)| *is_well));
}

async fn a_second_session_of_the_same_changes_nothing(kind: &Kind) {
    let (goods, image, _) = image(620, b"the same");
    let made = kind.make();
    for _ in 0..2 {
        goods.write(&made, &[named("v1", &image)]).await.unwrap();
        assert_whole(&made, &goods, "v1", &image).await;
        assert_eq!(names(made.open().as_ref()).await, [("v1".to_owned(), image.digest.clone())]);
    }
}

async fn a_manifest_without_what_it_needs_is_refused(kind: &Kind) {
    let (goods, image, _) = image(630, b"not there");
    let made = kind.make();
    let role = named("v1", &image);
    let session = goods.begin(&made, std::slice::from_ref(&role)).await.unwrap();
    let put = session.put_document(goods.get(&image.digest), &role).await;
    let ended = session.commit().await;
    assert!(put.is_err() || ended.is_err());
    assert_eq!(names(made.open().as_ref()).await, []);
}

async fn arrives(kind: &Kind, goods: &Goods, root: &Descriptor) {
    let made = kind.make();
    goods.write(&made, &[named("v1", root)]).await.unwrap();
    assert_whole(&made, goods, "v1", root).await;
}

async fn an_index_and_an_index_of_indexes_arrive(kind: &Kind) {
    let mut goods = Goods::new();
    let members = vec![goods.platforms(640), goods.platforms(641)];
    arrives(kind, &goods, &members[0]).await;
    let nested = goods.index(members);
    arrives(kind, &goods, &nested).await;
}

async fn an_artifact_arrives(kind: &Kind) {
    let mut goods = Goods::new();
    let artifact = goods.artifact(650, None);
    arrives(kind, &goods, &artifact).await;
}

async fn embedded_content_is_taken_from_its_descriptor(kind: &Kind) {
    let mut goods = Goods::new();
    let text = b"embedded content";
    let layer = Descriptor { data: Some(text.to_vec()), ..Descriptor::of(MediaType::OCI_LAYER_TAR, text) };
    // What is given out is wrong, and nobody may ask for it.
    goods.given(layer.clone(), b"embarrassing----");
    let image = goods.image_of(660, vec![layer.clone()]);
    let made = kind.make();
    goods.write(&made, &[named("v1", &image)]).await.unwrap();
    let endpoint = made.open();
    let bare = layer.bare();
    assert_eq!(content(endpoint.as_ref(), &bare, 0).await.unwrap(), text);
    assert_eq!(endpoint.document(&image).await.unwrap().children()[1].data, layer.data);
}

async fn embedded_content_that_is_not_what_it_says_is_refused(kind: &Kind) {
    let mut goods = Goods::new();
    let right = Descriptor::of(MediaType::OCI_LAYER_TAR, b"embedded, but not right");
    let layer = Descriptor { data: Some(b"embedded, and not right".to_vec()), ..right };
    let image = goods.image_of(665, vec![layer.clone()]);
    goods.given(layer.clone(), b"embedded, but not right");
    let session = goods.begin(&kind.make(), &[named("v1", &image)]).await.unwrap();
    let error = session.put_blob(&layer, &goods.offer()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    session.abandon().await;
}

async fn sha512_content_arrives(kind: &Kind) {
    let mut goods = Goods::new();
    let bytes = fixtures::bytes(670, 4000);
    let digest = Digest::sha512(&bytes);
    let layer = goods.given(Descriptor::new(MediaType::OCI_LAYER_TAR, digest, 4000), &bytes);
    let image = goods.image_of(670, vec![layer.clone()]);
    arrives(kind, &goods, &image).await;
    let mut wrong = bytes;
    wrong[7] ^= 1;
    let digest = Digest::sha512(&wrong[1..]);
    let layer = goods.given(Descriptor::new(MediaType::OCI_LAYER_TAR, digest, 4000), &wrong);
    let image = goods.image_of(671, vec![layer.clone()]);
    let session = goods.begin(&kind.make(), &[named("v1", &image)]).await.unwrap();
    assert!(session.put_blob(&layer, &goods.offer()).await.is_err());
    session.abandon().await;
}

async fn content_of_an_unknown_algorithm_is_carried(kind: &Kind) {
    let mut goods = Goods::new();
    let digest = Digest::parse("test+x:abcdef0123456789").unwrap();
    let layer = goods.given(Descriptor::new(MediaType::OCI_LAYER_TAR, digest, 9), b"whatever!");
    let image = goods.image_of(680, vec![layer]);
    arrives(kind, &goods, &image).await;
}

async fn unknown_media_types_are_carried(kind: &Kind) {
    let mut goods = Goods::new();
    let config = goods.blob("application/vnd.example.config.v9+json", b"[\"no config\"]");
    let layer = goods.blob("x-strange/thing+zip", b"strange");
    let strange = goods.manifest(&Manifest {
        annotations: Annotations::from([("a".to_owned(), "\u{1f680} \"quoted\"".to_owned())]),
        ..Manifest::new(config, vec![layer])
    });
    arrives(kind, &goods, &strange).await;
}

async fn what_is_no_document_can_be_a_root(kind: &Kind) {
    let mut goods = Goods::new();
    let blob = goods.blob("text/plain", b"just a file");
    let made = kind.make();
    let role = named("file", &blob);
    let session = goods.begin(&made, std::slice::from_ref(&role)).await.unwrap();
    session.put_blob(&blob, &goods.offer()).await.unwrap();
    session.keep(&role).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(names(made.open().as_ref()).await, [("file".to_owned(), blob.digest.clone())]);
    assert_eq!(content(made.open().as_ref(), &blob, 0).await.unwrap(), b"just a file");
}

async fn a_blob_that_is_there_is_relied_on(kind: &Kind) {
    let (mut goods, first, layer) = image(690, b"shared by two");
    let made = kind.make();
    goods.write(&made, &[named("v1", &first)]).await.unwrap();
    let second = goods.image_of(691, vec![layer.clone()]);
    let role = named("v2", &second);
    assert!(made.open().has(std::slice::from_ref(&layer)).await.remove(0).unwrap());
    let session = goods.begin(&made, std::slice::from_ref(&role)).await.unwrap();
    assert!(session.reuse(&layer).await.unwrap());
    let config = goods.get(&second.digest).children()[0].clone();
    session.put_blob(&config, &goods.offer()).await.unwrap();
    let document: &Document = goods.get(&second.digest);
    session.put_document(document, &role).await.unwrap();
    session.commit().await.unwrap();
    assert_whole(&made, &goods, "v2", &second).await;
    assert_whole(&made, &goods, "v1", &first).await;
}
