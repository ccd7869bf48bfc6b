//! Clients that nobody wrote for this server: transship's own, and skopeo.

use std::process::Command;

use bytes::Bytes;
use futures_util::TryStreamExt;
use transship_registry::{Client, Credential, Error, Listed, Placed, Repository, Settings, TagOrDigest};
use transship_serve::{Passwords, Running, Server};
use transship_spec::{Descriptor, Document, Manifest, MediaType, Tag};

use crate::support::{Registry, content, write_image};

async fn start(registry: &Registry) -> Running {
    Server::new(registry.service.clone()).bind(([127, 0, 0, 1], 0).into()).await.unwrap()
}

fn repository(server: &Running, name: &str, settings: Settings) -> Repository {
    Client::new(settings).unwrap().repository(&server.address().to_string(), name).unwrap()
}

fn tag(name: &str) -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse(name).unwrap())
}

async fn there_and_back(repository: &Repository) {
    let (layer, config) = (Bytes::from(content(5_000_000)), Bytes::from_static(b"{\"config\":1}"));
    let layer_there = Descriptor::of(MediaType::OCI_LAYER_TAR, &layer);
    let config_there = Descriptor::of(MediaType::OCI_CONFIG, &config);
    assert_eq!(repository.blob_head(&layer_there.digest).await.unwrap(), None);
    assert_eq!(repository.blob_put(&layer_there, &layer, None).await.unwrap(), Placed::Uploaded);
    assert_eq!(repository.blob_put(&config_there, &config, None).await.unwrap(), Placed::Uploaded);
    let image = Manifest::new(config_there, vec![layer_there.clone()]).to_document().unwrap();
    repository.manifest_put(&tag("v1"), image.media_type(), image.bytes().clone()).await.unwrap();
    assert_eq!(repository.manifest_head(&tag("v1")).await.unwrap(), Some(image.descriptor()));
    assert_eq!(&repository.manifest_get(&tag("v1")).await.unwrap().bytes, image.bytes());
    let pieces: Vec<Bytes> = repository.blob_get(&layer_there).try_collect().await.unwrap();
    assert_eq!(pieces.concat(), layer);
    let tags: Vec<String> = repository.tags().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["v1"]);
}

#[tokio::test]
async fn our_own_client_goes_there_and_back() {
    let registry = Registry::of_references();
    let server = start(&registry).await;
    there_and_back(&repository(&server, "team/app", Settings::default())).await;
    let mut settings = Settings::default();
    settings.upload.chunking = transship_registry::Chunking::Always;
    settings.upload.chunk = 700_000;
    let chunked = Registry::of_references();
    let server = start(&chunked).await;
    there_and_back(&repository(&server, "team/app", settings)).await;
}

#[tokio::test]
async fn dist_114_our_own_client_with_a_password() {
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    let passwords = Passwords::parse(&format!("me:{hash}")).unwrap();
    let registry =
        Registry::with(|builder, layout| builder.layout(layout).writable(true).passwords(passwords));
    let server = start(&registry).await;
    let with = |password: &str| {
        let mut settings = Settings::default();
        let credential = Credential::password("me", password);
        settings.environment.given.insert(server.address().to_string(), credential);
        repository(&server, "app", settings)
    };
    there_and_back(&with("hunter2")).await;
    let error = with("wrong").manifest_get(&tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), transship_spec::Kind::Denied, "{error}");
    let anonymous = repository(&server, "app", Settings::default());
    let error = anonymous.manifest_get(&tag("v1")).await.unwrap_err();
    assert!(matches!(error, Error::NoCredentials { .. }), "{error}");
}

#[tokio::test]
async fn dist_50_70_our_own_client_mounts_and_lists_referrers() {
    let registry = Registry::of_references();
    let image = write_image(&registry.layout, "image", &["localhost/src:v1"]);
    let server = start(&registry).await;
    let destination = repository(&server, "dst", Settings::default());
    let layer = image.as_manifest().unwrap().layers[0].clone();
    let placed = destination.blob_put(&layer, &Bytes::new(), Some("src")).await.unwrap();
    assert_eq!(placed, Placed::Mounted);

    let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    destination.blob_put(&config, &Bytes::from_static(b"{}"), None).await.unwrap();
    let referrer = Manifest { subject: Some(image.descriptor()), ..Manifest::new(config, vec![]) };
    let referrer: Document = referrer.to_document().unwrap();
    let which = TagOrDigest::Digest(referrer.digest().clone());
    let pushed =
        destination.manifest_put(&which, referrer.media_type(), referrer.bytes().clone()).await.unwrap();
    let listed = destination.list_referrer(&referrer, &pushed).await.unwrap();
    assert!(!matches!(listed, Listed::ByTag { .. }), "{listed:?}");
    let found = destination.referrers(image.digest(), None).await.unwrap();
    assert_eq!(found.iter().map(|found| &found.digest).collect::<Vec<_>>(), [referrer.digest()]);
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").args(arguments).output();
    let output = output.expect("skopeo is missing: `cargo xtask test` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {}: {said}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_and_pushes_the_same_bytes() {
    let registry = Registry::of_references();
    let session = registry.layout.begin().unwrap();
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = session.put_bytes(MediaType::OCI_CONFIG, config).unwrap();
    let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, &vec![0; 10_240]).unwrap();
    let image = Manifest::new(config, vec![layer]).to_document().unwrap();
    let descriptor = session.put_document(&image).unwrap();
    let name = transship_layout::Name::parse("registry.example/team/app:v1").unwrap();
    session.commit(|index| index.set(&name, &descriptor).map(drop)).unwrap();

    let server = start(&registry).await;
    let address = server.address();
    let copy = registry.folder.path().join("copy");
    let (there, here) = (format!("docker://{address}/team/app:v1"), format!("oci:{}:v1", copy.display()));
    let back = format!("docker://{address}/other/place:v2");
    tokio::task::spawn_blocking(move || {
        skopeo(&["copy", "--src-tls-verify=false", "--preserve-digests", &there, &here]);
        skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &here, &back]);
        let tags = skopeo(&["list-tags", "--tls-verify=false", &back.replace(":v2", "")]);
        assert!(tags.contains("\"v2\""), "{tags}");
        skopeo(&["inspect", "--tls-verify=false", "--raw", &back])
    })
    .await
    .map(|raw| assert_eq!(raw.as_bytes(), image.bytes()))
    .unwrap();
    assert_eq!(registry.entries(), ["registry.example/team/app:v1", "localhost/other/place:v2"]);
}
