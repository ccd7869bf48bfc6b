//! Promises about what is read: content, documents, sizes, presence.

use std::io::Read as _;
use std::sync::Arc;

use transship_copy::endpoint::{Ask, blocking};
use transship_copy::{Endpoint, Select};
use transship_layout::Source as _;
use transship_spec::{Descriptor, Digest, Document, Kind as ErrorKind, MediaType};
use transship_testkit::fixtures;

use crate::goods::{Goods, content, named, names};
use crate::kinds::{Kind, Made};
use crate::promise::promises;

promises![
    an_empty_place_lists_nothing_and_holds_nothing,
    what_is_absent_is_not_found_and_not_invalid,
    a_blob_is_read_whole_and_from_any_offset,
    a_blob_of_many_pieces_is_read_whole_and_from_any_offset,
    a_blob_of_no_bytes_is_read,
    what_is_there_is_told_by_digest_and_size_in_the_order_of_the_question,
    sizes_are_those_of_blobs_and_of_documents,
    a_document_comes_byte_for_byte_however_it_is_written,
    a_document_of_another_size_is_refused,
    a_root_is_the_same_at_once_and_step_by_step,
    a_right_blob_is_found_right,
    many_read_at_once,
    code_that_blocks_reads_the_same,
];

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One image under `v1`, of one layer of this content.
async fn one(kind: &Kind, layer: &[u8], seed: u64) -> (Made, Goods, Descriptor, Descriptor) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let layer = goods.blob(LAYER, layer);
    let image = goods.image_of(seed, vec![layer.clone()]);
    goods.write(&made, &[named("v1", &image)]).await.unwrap();
    (made, goods, image, layer)
}

async fn an_empty_place_lists_nothing_and_holds_nothing(kind: &Kind) {
    let endpoint = kind.make().open();
    assert_eq!(names(endpoint.as_ref()).await, []);
    let nowhere = Descriptor::of(MediaType::OCTET_STREAM, b"nowhere");
    assert!(!endpoint.has(std::slice::from_ref(&nowhere)).await.remove(0).unwrap());
    assert_eq!(endpoint.size(&nowhere.digest).await.unwrap(), None);
    let name = transship_copy::names::Name::Short("v1".to_owned());
    assert!(endpoint.find(&[name]).await.remove(0).unwrap().is_none());
    let related = endpoint.related(&nowhere.digest, Ask { referrers: true, digest_tags: true, many: true });
    let related = related.await.unwrap();
    assert!(related.referrers.is_empty() && related.digest_tags.is_empty(), "{related:?}");
}

async fn what_is_absent_is_not_found_and_not_invalid(kind: &Kind) {
    let (made, ..) = one(kind, b"absent", 100).await;
    let endpoint = made.open();
    let nowhere = Descriptor::of(MediaType::OCI_MANIFEST, b"nowhere");
    for reference in ["v2".to_owned(), nowhere.digest.to_string(), format!("v2@{}", nowhere.digest)] {
        let asked = async {
            let listed = endpoint.call(Some(&reference)).await?;
            endpoint.resolve(&listed).await
        };
        assert_eq!(asked.await.unwrap_err().kind(), ErrorKind::NotFound, "{reference}");
    }
    assert!(endpoint.document(&nowhere).await.is_err());
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"nowhere");
    assert!(content(endpoint.as_ref(), &blob, 0).await.is_err());
    assert!(!endpoint.has(&[blob]).await.remove(0).unwrap());
    assert_eq!(endpoint.size(&nowhere.digest).await.unwrap(), None);
}

async fn offsets(endpoint: &dyn Endpoint, blob: &Descriptor, bytes: &[u8]) {
    let size = bytes.len();
    for offset in [0, 1, size / 2, size - 1, size] {
        let got = content(endpoint, blob, offset as u64).await.unwrap();
        assert!(got == bytes[offset..], "from {offset} of {size}: {} bytes", got.len());
    }
    // Beyond the end there is nothing, whether that is an error or not.
    assert_eq!(content(endpoint, blob, size as u64 + 1).await.unwrap_or_default(), b"");
}

async fn a_blob_is_read_whole_and_from_any_offset(kind: &Kind) {
    let bytes = fixtures::bytes(101, 1000);
    let (made, _, _, layer) = one(kind, &bytes, 101).await;
    offsets(made.open().as_ref(), &layer, &bytes).await;
}

async fn a_blob_of_many_pieces_is_read_whole_and_from_any_offset(kind: &Kind) {
    let bytes = fixtures::bytes(102, (3 << 20) + 17);
    let (made, _, _, layer) = one(kind, &bytes, 102).await;
    offsets(made.open().as_ref(), &layer, &bytes).await;
}

async fn a_blob_of_no_bytes_is_read(kind: &Kind) {
    let (made, _, _, layer) = one(kind, b"", 103).await;
    let endpoint = made.open();
    assert_eq!(content(endpoint.as_ref(), &layer, 0).await.unwrap(), b"");
    assert_eq!(endpoint.size(&layer.digest).await.unwrap(), Some(0));
    assert!(endpoint.has(&[layer]).await.remove(0).unwrap());
}

async fn what_is_there_is_told_by_digest_and_size_in_the_order_of_the_question(kind: &Kind) {
    let (made, goods, image, layer) = one(kind, b"presence", 104).await;
    let wrong = |right: &Descriptor| Descriptor { size: right.size + 1, ..right.clone() };
    let absent = Descriptor::of(MediaType::OCTET_STREAM, b"no presence");
    let config = goods.get(&image.digest).children()[0].clone();
    let question =
        [layer.clone(), absent.clone(), wrong(&layer), image, config.clone(), absent, wrong(&config), layer];
    let answers: Vec<bool> = made.open().has(&question).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [true, false, false, true, true, false, false, true]);
    assert!(made.open().has(&[]).await.is_empty());
}

async fn sizes_are_those_of_blobs_and_of_documents(kind: &Kind) {
    let (made, _, image, layer) = one(kind, b"sizes", 105).await;
    let endpoint = made.open();
    assert_eq!(endpoint.size(&layer.digest).await.unwrap(), Some(layer.size));
    assert_eq!(endpoint.size(&image.digest).await.unwrap(), Some(image.size));
    assert_eq!(endpoint.size(&Digest::sha256(b"no size")).await.unwrap(), None);
}

async fn a_document_comes_byte_for_byte_however_it_is_written(kind: &Kind) {
    let (made, mut goods) = (kind.make(), Goods::new());
    let plain = goods.image(106);
    // Other spacing, another order, fields that nobody knows and numbers that are written oddly (U11).
    let text = String::from_utf8(goods.bytes(&plain.digest).to_vec()).unwrap();
    let text =
        text.replacen('{', "{\n\t \"x-unknown\" : [1.0e2, 10000000000000000000000, \"\\u00e9\"],", 1) + " \n";
    let odd = Document::parse(text.clone().into_bytes(), Some(&MediaType::OCI_MANIFEST)).unwrap();
    let odd = goods.add(odd);
    goods.write(&made, &[named("v1", &odd)]).await.unwrap();
    let document = made.open().document(&odd).await.unwrap();
    assert_eq!(document.bytes().as_ref(), text.as_bytes());
    assert_eq!(names(made.open().as_ref()).await, [("v1".to_owned(), Digest::sha256(text.as_bytes()))]);
}

async fn a_document_of_another_size_is_refused(kind: &Kind) {
    let (made, _, image, _) = one(kind, b"refused", 107).await;
    for size in [image.size - 1, image.size + 1] {
        let error = made.open().document(&Descriptor { size, ..image.clone() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

async fn a_root_is_the_same_at_once_and_step_by_step(kind: &Kind) {
    let (made, _, image, _) = one(kind, b"root", 108).await;
    let endpoint = made.open();
    for reference in ["v1".to_owned(), image.digest.to_string()] {
        let listed = endpoint.call(Some(&reference)).await.unwrap();
        let resolved = endpoint.resolve(&listed).await.unwrap();
        let (descriptor, document) = endpoint.listed_root(&listed).await.unwrap();
        assert!(resolved.is_same_content(&image) && descriptor.is_same_content(&image), "{reference}");
        assert_eq!(document.bytes(), endpoint.document(&resolved).await.unwrap().bytes());
        assert_eq!(endpoint.listed_document(&image).await.unwrap().digest(), &image.digest);
    }
}

async fn a_right_blob_is_found_right(kind: &Kind) {
    let (made, _, _, layer) = one(kind, b"right", 109).await;
    made.open().verify(&layer).await.unwrap();
}

async fn many_read_at_once(kind: &Kind) {
    let bytes = fixtures::bytes(110, 200_000);
    let (made, _, image, layer) = one(kind, &bytes, 110).await;
    let endpoint = made.open();
    let readers = (0..24).map(|at| {
        let (endpoint, image, layer) = (Arc::clone(&endpoint), image.clone(), layer.clone());
        let bytes = bytes.clone();
        tokio::spawn(async move {
            let offset = at * 7001;
            assert!(content(endpoint.as_ref(), &layer, offset as u64).await.unwrap() == bytes[offset..]);
            assert_eq!(endpoint.document(&image).await.unwrap().digest(), &image.digest);
            assert_eq!(names(endpoint.as_ref()).await.len(), 1);
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

async fn code_that_blocks_reads_the_same(kind: &Kind) {
    let (made, mut goods, image, layer) = one(kind, b"blocks", 111).await;
    let other = goods.image(112);
    let signature = goods.artifact(113, Some(&image));
    goods.write(&made, &[named("v2", &other), named("again", &image)]).await.unwrap();
    goods.attach(&made, std::slice::from_ref(&signature)).await.unwrap();
    let expected = names(made.open().as_ref()).await;
    let ask = Ask { referrers: true, ..Ask::default() };
    let runtime = tokio::runtime::Handle::current();
    let source = blocking(made.open(), runtime.clone(), Select::All, ask);
    let single = blocking(made.open(), runtime, Select::One(Some("v2".to_owned())), Ask::default());
    let read = tokio::task::spawn_blocking(move || {
        let entries = source.entries().unwrap();
        let mut found: Vec<(String, Digest)> = entries
            .iter()
            .filter(|entry| entry.name().is_some())
            .map(|entry| (entry.tag().unwrap_or_default().to_owned(), entry.descriptor.digest.clone()))
            .collect();
        found.sort();
        assert_eq!(found, expected);
        let without_name = entries.iter().filter(|entry| entry.name().is_none());
        let without_name: Vec<_> = without_name.map(|entry| entry.descriptor.digest.clone()).collect();
        assert_eq!(without_name, [signature.digest]);

        let mut bytes = Vec::new();
        source.open(&image).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, goods.bytes(&image.digest));
        bytes.clear();
        source.open(&layer).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, goods.bytes(&layer.digest));
        assert_eq!(source.size(&layer.digest).unwrap(), Some(layer.size));
        assert_eq!(source.size(&Digest::sha256(b"blocks nothing")).unwrap(), None);
        let wrong = Descriptor { digest: Digest::sha256(b"other"), ..layer };
        let read = source.open(&wrong).and_then(|mut reader| {
            let read = reader.read_to_end(&mut bytes);
            read.map_err(|error| transship_layout::Error::from_io(error, "reading", "a blob"))
        });
        assert!(read.is_err());
        let single = single.entries().unwrap();
        assert_eq!(single.len(), 1);
        assert_eq!(single[0].descriptor.digest, other.digest);
    });
    read.await.unwrap();
}
