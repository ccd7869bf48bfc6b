//! Referrers.

use transship_spec::{Descriptor, Digest, Document, Index, Manifest, MediaType, referrers};

use crate::support::{Registry, write_image};

fn listed(reply: &crate::support::Reply) -> Vec<Digest> {
    assert_eq!(reply.header("content-type"), MediaType::OCI_INDEX.as_str());
    let index = Document::parse(reply.body.clone(), Some(&MediaType::OCI_INDEX)).unwrap();
    index.as_index().unwrap().manifests.iter().map(|referrer| referrer.digest.clone()).collect()
}

async fn referrer(registry: &Registry, subject: &Document, artifact_type: &str) -> Document {
    let config = Descriptor { data: None, ..Descriptor::empty() };
    registry.put_blob("app", b"{}").await;
    let manifest = Manifest {
        artifact_type: Some(MediaType::parse(artifact_type).unwrap()),
        annotations: [("note".to_owned(), artifact_type.to_owned())].into(),
        subject: Some(subject.descriptor()),
        ..Manifest::new(config, vec![])
    };
    manifest.to_document().unwrap()
}

async fn put(registry: &Registry, document: &Document) {
    let target = format!("/v2/app/manifests/{}", document.digest());
    registry.put_manifest(&target, document).await.is(201);
}

#[tokio::test]
async fn dist_70_85_a_referrer_is_listed_with_type_and_annotations() {
    let registry = Registry::new();
    let image = registry.put_image("app", "v1", "image").await;
    let target = format!("/v2/app/referrers/{}", image.digest());
    assert_eq!(listed(&registry.get(&target).await.is(200)), []);
    let signature = referrer(&registry, &image, "application/x.signature").await;
    let reply =
        registry.put_manifest(&format!("/v2/app/manifests/{}", signature.digest()), &signature).await.is(201);
    assert_eq!(reply.header("oci-subject"), image.digest().to_string());
    let reply = registry.get(&target).await.is(200);
    assert_eq!(listed(&reply), [signature.digest().clone()]);
    let entry = reply.json()["manifests"][0].clone();
    assert_eq!(entry["artifactType"], "application/x.signature");
    assert_eq!(entry["annotations"]["note"], "application/x.signature");
    assert!(reply.headers.get("oci-filters-applied").is_none());

    let index = Index { subject: Some(image.descriptor()), ..Index::new(vec![]) }.to_document().unwrap();
    registry.put_manifest("/v2/app/manifests/tagged", &index).await.is(201);
    assert_eq!(listed(&registry.get(&target).await.is(200)).len(), 2);
}

#[tokio::test]
async fn dist_85_an_unknown_subject_has_none_and_a_bad_digest_is_refused() {
    let registry = Registry::new();
    let absent = Digest::sha256(b"absent");
    for target in [format!("/v2/app/referrers/{absent}"), format!("/v2/none/referrers/{absent}")] {
        let reply = registry.get(&target).await.is(200);
        assert_eq!(listed(&reply), []);
        assert_eq!(reply.json()["schemaVersion"], 2);
        let head = registry.head(&target).await.is(200);
        assert_eq!(head.header("content-length"), reply.body.len().to_string());
    }
    registry.get("/v2/app/referrers/sha256:abc").await.refused(400, "DIGEST_INVALID");
    registry.get("/v2/app/referrers/v1").await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn dist_86_the_filter_is_applied_and_said_to_be() {
    let registry = Registry::new();
    let image = registry.put_image("app", "v1", "image").await;
    let sbom = referrer(&registry, &image, "application/spdx+json").await;
    put(&registry, &sbom).await;
    put(&registry, &referrer(&registry, &image, "application/x.other").await).await;
    for wanted in ["application/spdx%2Bjson", "application/spdx+json", "application%2fspdx%2bjson"] {
        let target = format!("/v2/app/referrers/{}?artifactType={wanted}", image.digest());
        let reply = registry.get(&target).await.is(200);
        assert_eq!(listed(&reply), [sbom.digest().clone()]);
        assert_eq!(reply.header("oci-filters-applied"), "artifactType");
    }
    let target = format!("/v2/app/referrers/{}?artifactType=nonsense", image.digest());
    assert_eq!(listed(&registry.get(&target).await.is(200)), []);
}

#[tokio::test]
async fn dist_89_img_180_referrers_in_indexes_and_fallback_tags_are_found() {
    let registry = Registry::new();
    let image = write_image(&registry.layout, "image", &["v1"]);
    let nested = referrer(&registry, &image, "application/x.nested").await;
    let fallback = referrer(&registry, &image, "application/x.fallback").await;
    let list = Index::new(vec![referrers::descriptor(&fallback)]).to_document().unwrap();
    let inner = Index::new(vec![nested.descriptor()]).to_document().unwrap();
    let outer = Index::new(vec![inner.descriptor()]).to_document().unwrap();
    for document in [&nested, &fallback, &inner] {
        put(&registry, document).await;
    }
    registry.put_manifest("/v2/app/manifests/outer", &outer).await.is(201);
    let tag = referrers::fallback_tag(image.digest());
    registry.put_manifest(&format!("/v2/app/manifests/{tag}"), &list).await.is(201);
    assert_eq!(registry.entries().len(), 3);
    let mut found = listed(&registry.get(&format!("/v2/app/referrers/{}", image.digest())).await.is(200));
    found.sort();
    let mut expected = [nested.digest().clone(), fallback.digest().clone()];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn dist_96_a_deleted_referrer_is_listed_no_more() {
    let registry = Registry::new();
    let image = registry.put_image("app", "v1", "image").await;
    let signature = referrer(&registry, &image, "application/x.signature").await;
    put(&registry, &signature).await;
    let target = format!("/v2/app/referrers/{}", image.digest());
    assert_eq!(listed(&registry.get(&target).await).len(), 1);
    registry.delete(&format!("/v2/app/manifests/{}", signature.digest())).await.is(202);
    assert_eq!(listed(&registry.get(&target).await), []);
}
