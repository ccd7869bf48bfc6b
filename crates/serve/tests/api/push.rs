//! Pushing manifests.

use http::Method;
use transship_spec::{Descriptor, Digest, Document, Index, Manifest, MediaType};

use crate::support::{Registry, write_image};

const OCI: [(&str, &str); 1] = [("content-type", "application/vnd.oci.image.manifest.v1+json")];

#[tokio::test]
async fn dist_60_a_manifest_is_stored_byte_for_byte() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let text = String::from_utf8(image.bytes().to_vec()).unwrap();
    let strange =
        text.replace('{', "{ ").replace("\"schemaVersion\"", "\"mood\": [1.0, 1e3],\n\"schemaVersion\"");
    let digest = Digest::sha256(strange.as_bytes());
    let reply = registry.send(Method::PUT, "/v2/app/manifests/v1", &OCI, strange.clone()).await.is(201);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    let location = reply.header("location").to_owned();
    let reply = registry.get(&location).await.is(200);
    assert_eq!(reply.body, strange);
    assert_eq!(reply.header("content-type"), MediaType::OCI_MANIFEST.as_str());
    assert_eq!(registry.entries(), ["v1"]);
}

#[tokio::test]
async fn dist_61_the_digest_of_the_path_must_be_that_of_the_body() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let put = |reference: String| {
        let target = format!("/v2/app/manifests/{reference}");
        let registry = &registry;
        let body = image.bytes().clone();
        async move { registry.send(Method::PUT, &target, &OCI, body).await }
    };
    put(Digest::sha256(b"other").to_string()).await.refused(400, "DIGEST_INVALID");
    put(Digest::sha512(b"other").to_string()).await.refused(400, "DIGEST_INVALID");
    put("md5:abc".to_owned()).await.refused(400, "DIGEST_INVALID");
    put("sha256:baddigeststring".to_owned()).await.refused(400, "DIGEST_INVALID");
    put("-bad".to_owned()).await.refused(400, "TAG_INVALID");
    put("x".repeat(129)).await.refused(400, "TAG_INVALID");
    assert!(registry.entries().is_empty());
    put(image.digest().to_string()).await.is(201);
    let other = Digest::sha512(image.bytes()).to_string();
    let reply = put(other.clone()).await.is(201);
    assert_eq!(reply.header("docker-content-digest"), other);
    assert_eq!(&registry.get(&format!("/v2/app/manifests/{other}")).await.is(200).body, image.bytes());
}

#[tokio::test]
async fn dist_62_what_a_manifest_needs_must_be_there_but_for_its_subject_and_foreign_layers() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await.as_manifest().unwrap().clone();
    let absent = |media_type| Descriptor::of(media_type, b"absent");
    let manifest = |manifest: Manifest| manifest.to_document().unwrap();
    let refused = async |document: Document| {
        registry.put_manifest("/v2/app/manifests/v1", &document).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
    };
    refused(manifest(Manifest { config: absent(MediaType::OCI_CONFIG), ..image.clone() })).await;
    refused(manifest(Manifest { layers: vec![absent(MediaType::OCI_LAYER_TAR)], ..image.clone() })).await;
    let short = Descriptor { size: image.config.size - 1, ..image.config.clone() };
    refused(manifest(Manifest { config: short, ..image.clone() })).await;
    refused(Index::new(vec![absent(MediaType::OCI_MANIFEST)]).to_document().unwrap()).await;
    assert!(registry.entries().is_empty());

    let subject = absent(MediaType::OCI_MANIFEST);
    let foreign = absent(MediaType::OCI_NONDISTRIBUTABLE_GZIP);
    let taken = manifest(Manifest { subject: Some(subject.clone()), layers: vec![foreign], ..image });
    let reply = registry.put_manifest("/v2/app/manifests/v1", &taken).await.is(201);
    assert_eq!(reply.header("oci-subject"), subject.digest.to_string());
}

#[tokio::test]
async fn dist_64_a_manifest_of_almost_4_mib_is_taken_and_one_of_more_is_not() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let text = String::from_utf8(image.bytes().to_vec()).unwrap();
    let padded = |bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    let put = async |body: String| registry.send(Method::PUT, "/v2/app/manifests/v1", &OCI, body).await;
    put(padded(3_900_000)).await.is(201);
    put(padded(Document::MAX_SIZE)).await.is(201);
    put(padded(Document::MAX_SIZE + 1)).await.refused(413, "SIZE_INVALID");
    put(padded(5_000_000)).await.refused(413, "SIZE_INVALID");
    let huge = [OCI[0], ("content-length", "1099511627776")];
    registry.send(Method::PUT, "/v2/app/manifests/v1", &huge, "").await.refused(413, "SIZE_INVALID");
}

#[tokio::test]
async fn dist_65_tags_beside_a_digest() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let tags: Vec<String> = (0..10).map(|n| format!("tag=t{n}")).collect();
    let target = format!("/v2/app/manifests/{}?{}&tag=t0", image.digest(), tags.join("&"));
    let reply = registry.put_manifest(&target, &image).await.is(201);
    assert_eq!(reply.headers.get_all("oci-tag").iter().count(), 10);
    assert_eq!(registry.entries().len(), 10);
    registry.get("/v2/app/manifests/t9").await.is(200);
    let many: Vec<String> = (0..101).map(|n| format!("tag=t{n}")).collect();
    let target = format!("/v2/app/manifests/{}?{}", image.digest(), many.join("&"));
    registry.put_manifest(&target, &image).await.is(414);
    let target = format!("/v2/app/manifests/{}?tag=-bad", image.digest());
    registry.put_manifest(&target, &image).await.refused(400, "TAG_INVALID");
}

#[tokio::test]
async fn dist_66_any_type_of_config_and_layer_is_taken() {
    let registry = Registry::new();
    let strange = |blob: Descriptor| Descriptor { media_type: MediaType::parse("x/y").unwrap(), ..blob };
    let config = strange(registry.put_blob("app", b"config").await);
    let empty = strange(registry.put_blob("app", b"").await);
    for layers in [vec![], vec![empty.clone()], vec![empty.clone(), empty.clone()]] {
        let artifact_type = Some(MediaType::parse("application/x.mine").unwrap());
        let artifact = Manifest { artifact_type, ..Manifest::new(config.clone(), layers) };
        registry.put_manifest("/v2/app/manifests/a", &artifact.to_document().unwrap()).await.is(201);
    }
    let docker = Manifest { media_type: MediaType::DOCKER_MANIFEST, ..Manifest::new(config, vec![]) };
    registry.put_manifest("/v2/app/manifests/d", &docker.to_document().unwrap()).await.is(201);
    let reply = registry.head("/v2/app/manifests/d").await.is(200);
    assert_eq!(reply.header("content-type"), MediaType::DOCKER_MANIFEST.as_str());
}

#[tokio::test]
async fn dist_67_what_is_no_manifest_is_refused() {
    let registry = Registry::new();
    let image = registry.image("app", "image", None).await;
    let text = std::str::from_utf8(image.bytes()).unwrap();
    let put = async |media_type: &str, body: &str| {
        let headers = [("content-type", media_type)];
        registry.send(Method::PUT, "/v2/app/manifests/v1", &headers, body.to_owned()).await
    };
    let oci = MediaType::OCI_MANIFEST.as_str();
    for bad in
        ["", "{", "[]", "null", "{}", &text.replace("\"schemaVersion\":2", "\"schemaVersion\":3"), &text[1..]]
    {
        put(oci, bad).await.refused(400, "MANIFEST_INVALID");
    }
    put(MediaType::OCI_INDEX.as_str(), text).await.refused(400, "MANIFEST_INVALID");
    put(MediaType::DOCKER_MANIFEST.as_str(), text).await.refused(400, "MANIFEST_INVALID");
    put("no type", text).await.refused(400, "MANIFEST_INVALID");
    for foreign in ["application/x.foreign+json", MediaType::DOCKER_SCHEMA1.as_str()] {
        let body = text.replace(oci, foreign);
        put(foreign, &body).await.refused(415, "MANIFEST_INVALID");
    }
    assert!(registry.entries().is_empty());
    put(&format!("{oci}; charset=utf-8"), text).await.is(201);
    registry.send(Method::PUT, "/v2/app/manifests/v2", &[], text.to_owned()).await.is(201);
}

#[tokio::test]
async fn a_tag_that_moves_leaves_one_entry_and_keeps_the_others_in_order() {
    let registry = Registry::new();
    for tag in ["v1", "v2", "v3"] {
        registry.put_image("app", tag, tag).await;
    }
    let next = registry.put_image("app", "v2", "next").await;
    assert_eq!(registry.entries(), ["v1", "v2", "v3"]);
    assert_eq!(registry.layout.resolve(Some("v2")).unwrap().descriptor.digest, *next.digest());
}

#[tokio::test]
async fn a_push_by_digest_is_a_root_until_a_tag_or_an_index_claims_it() {
    let registry = Registry::new();
    let alone = registry.put_image("app", "", "alone").await;
    let tagged = registry.put_image("app", "", "tagged").await;
    let member = registry.put_image("app", "", "member").await;
    let digest = |document: &Document| document.digest().to_string();
    assert_eq!(registry.entries(), [digest(&alone), digest(&tagged), digest(&member)]);
    registry.put_manifest("/v2/app/manifests/v1", &tagged).await.is(201);
    let index = Index::new(vec![member.descriptor()]).to_document().unwrap();
    registry.put_manifest("/v2/app/manifests/list", &index).await.is(201);
    assert_eq!(registry.entries(), [digest(&alone), "v1".to_owned(), "list".to_owned()]);
    registry.put_manifest(&format!("/v2/app/manifests/{}", digest(&tagged)), &tagged).await.is(201);
    assert_eq!(registry.entries().len(), 3);
}

#[tokio::test]
async fn an_entry_that_another_program_made_is_no_member_to_be_taken_back() {
    let registry = Registry::new();
    let member = write_image(&registry.layout, "member", &[]);
    registry.layout.edit(|index| index.add(&member.descriptor()).map(drop)).unwrap();
    registry.put_manifest(&format!("/v2/app/manifests/{}", member.digest()), &member).await.is(201);
    let index = Index::new(vec![member.descriptor()]).to_document().unwrap();
    registry.put_manifest("/v2/app/manifests/list", &index).await.is(201);
    assert_eq!(registry.entries(), [member.digest().to_string(), "list".to_owned()]);
}

#[tokio::test]
async fn names_of_repositories_become_full_references() {
    let registry = Registry::of_references();
    write_image(&registry.layout, "old", &["registry.example/team/app:v1"]);
    let image = registry.put_image("team/app", "v1", "new").await;
    registry.put_image("team/app", "v2", "new").await;
    registry.put_image("other", "v1", "new").await;
    let expected = ["registry.example/team/app:v1", "registry.example/team/app:v2", "localhost/other:v1"];
    assert_eq!(registry.entries(), expected);
    assert_eq!(
        registry.layout.resolve(Some("localhost/other:v1")).unwrap().descriptor.digest,
        *image.digest()
    );
    registry.get("/v2/other/manifests/v1").await.is(200);

    let registry =
        Registry::with(|builder, layout| builder.layout(layout).writable(true).host("registry.example:5000"));
    registry.put_image("app", "v1", "image").await;
    assert_eq!(registry.entries(), ["registry.example:5000/app:v1"]);
}

#[tokio::test]
async fn dist_170_tags_that_are_no_ref_names_are_stored() {
    let registry = Registry::new();
    for tag in ["v1__x", "_v1", "1.", "A-b"] {
        registry.put_image("app", tag, "image").await;
        registry.get(&format!("/v2/app/manifests/{tag}")).await.is(200);
    }
}
