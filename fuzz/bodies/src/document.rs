//! Bytes that become documents.

use transship_spec::{Document, ImageConfig, referrers};

/// The body.
pub fn run(bytes: &[u8]) {
    if let Ok(document) = Document::parse(bytes.to_vec(), None) {
        assert_eq!(&document.bytes()[..], bytes, "bytes are the truth");
        let again = Document::verify(bytes.to_vec(), &document.descriptor());
        assert_eq!(again.as_ref().map(|again| again.children().len()), Ok(document.children().len()));
        refers(&document);
        rewritten(&document);
    }
    if let Ok(config) = ImageConfig::parse(bytes) {
        let written = config.to_bytes();
        let again = ImageConfig::parse(&written).map(|again| again.to_bytes());
        assert_eq!(again, Ok(written));
    }
}

/// As a referrer it is listed once, however often it is added.
fn refers(document: &Document) {
    let referrer = referrers::descriptor(document);
    assert_eq!(&referrer.digest, document.digest());
    let Some(list) = referrers::merge(None, referrer.clone()) else { return };
    let list = Document::parse(list, None).unwrap();
    assert_eq!(list.children(), [&referrer]);
    assert_eq!(referrers::merge(Some(&list), referrer), None);
}

/// What is made of a view is read as the same view.
fn rewritten(document: &Document) {
    if let Some(Ok(again)) = document.as_manifest().map(transship_spec::Manifest::to_document) {
        assert_eq!(again.as_manifest(), document.as_manifest());
    }
    if let Some(Ok(again)) = document.as_index().map(transship_spec::Index::to_document) {
        assert_eq!(again.as_index(), document.as_index());
    }
}
