//! The client against the CNCF registry as Debian ships it (`docker-registry`), with and without authentication.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::Bytes;
use futures_util::TryStreamExt;
use transship_registry::{
    Chunking, Client, Credential, CredentialFile, CredentialStore, Environment, Error, Listed, Placed,
    Repository, Settings, TagOrDigest,
};
use transship_spec::{Descriptor, Digest, Document, Kind, MediaType, Tag};
use transship_testkit::DockerRegistry;

fn repository(registry: &DockerRegistry, settings: Settings, name: &str) -> Repository {
    Client::new(settings).unwrap().repository(registry.address(), name).unwrap()
}

fn content(bytes: usize, seed: usize) -> Bytes {
    (0..bytes).map(|at| (at * 31 + at / 251 + seed) as u8).collect()
}

fn image(config: &Descriptor, layer: &Descriptor, subject: Option<&Descriptor>) -> Bytes {
    let json = |descriptor: &Descriptor| serde_json::to_string(descriptor).unwrap();
    let subject = subject.map_or_else(String::new, |subject| format!(",\n  \"subject\": {}", json(subject)));
    Bytes::from(format!(
        "{{\n  \"schemaVersion\": 2,\n  \"mediaType\": \"{}\",\n  \"config\": {},\n  \"layers\": [{}]{subject}\n}}\n",
        MediaType::OCI_MANIFEST,
        json(config),
        json(layer)
    ))
}

async fn put(repository: &Repository, content: &Bytes, media_type: MediaType) -> Descriptor {
    let blob = Descriptor::of(media_type, content);
    assert_eq!(repository.blob_put(&blob, content, None).await.unwrap(), Placed::Uploaded);
    blob
}

async fn get(repository: &Repository, blob: &Descriptor) -> Result<Bytes, Error> {
    let pieces: Vec<Bytes> = repository.blob_get(blob).try_collect().await?;
    Ok(pieces.concat().into())
}

fn tag(name: &str) -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse(name).unwrap())
}

/// Everything that a copy does, there and back.
async fn there_and_back(registry: &DockerRegistry, settings: &Settings) {
    let repository = repository(registry, settings.clone(), "team/app");
    let (layer, config) = (content(3_000_000, 0), content(500, 1));
    assert_eq!(repository.blob_head(&Digest::sha256(&layer)).await.unwrap(), None);
    let layer_there = put(&repository, &layer, MediaType::OCI_LAYER_TAR).await;
    let config_there = put(&repository, &config, MediaType::OCI_CONFIG).await;
    let head = repository.blob_head(&layer_there.digest).await.unwrap().unwrap();
    assert_eq!(head.size, Some(3_000_000));
    assert_eq!(get(&repository, &layer_there).await.unwrap(), layer);

    let manifest = image(&config_there, &layer_there, None);
    let pushed =
        repository.manifest_put(&tag("v1"), &MediaType::OCI_MANIFEST, manifest.clone()).await.unwrap();
    assert_eq!(pushed.digest, Digest::sha256(&manifest));
    let descriptor = repository.manifest_head(&tag("v1")).await.unwrap().unwrap();
    assert_eq!(descriptor, Descriptor::of(MediaType::OCI_MANIFEST, &manifest));
    assert_eq!(repository.manifest_get(&tag("v1")).await.unwrap().bytes, manifest);
    assert_eq!(repository.manifest_get_exact(&descriptor).await.unwrap().bytes, manifest);
    assert_eq!(repository.manifest_head(&tag("absent")).await.unwrap(), None);

    for name in ["v2", "v3"] {
        repository.manifest_put(&tag(name), &MediaType::OCI_MANIFEST, manifest.clone()).await.unwrap();
    }
    let tags: Vec<String> = repository.tags().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["v1", "v2", "v3"]);
}

#[tokio::test]
async fn an_image_goes_there_and_comes_back() {
    let registry = DockerRegistry::start().await;
    there_and_back(&registry, &Settings::default()).await;
    let absent = repository(&registry, Settings::default(), "no/such");
    assert_eq!(absent.tags().await.unwrap_err().kind(), Kind::NotFound);
    let missing = Descriptor::of(MediaType::OCI_CONFIG, b"missing");
    assert_eq!(get(&absent, &missing).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn dist_112_an_image_goes_there_and_comes_back_with_a_login() {
    let registry = DockerRegistry::start_with_login("me", "hunter2").await;
    let file = CredentialFile::Docker(registry.folder().join("config.json"));
    let store = CredentialStore::new(file.clone(), Vec::new());
    store.save(registry.address(), &Credential::password("me", "hunter2")).await.unwrap();
    let environment = Environment { credential_files: vec![file], ..Environment::default() };
    let settings = Settings { environment, ..Settings::default() };
    Client::new(settings.clone()).unwrap().ping(registry.address()).await.unwrap();
    there_and_back(&registry, &settings).await;

    let anonymous = repository(&registry, Settings::default(), "team/app");
    let error = anonymous.manifest_get(&tag("v1")).await.unwrap_err();
    assert!(matches!(error, Error::NoCredentials { .. }), "{error}");
    let mut wrong = Settings::default();
    wrong.environment.given.insert(registry.address().to_owned(), Credential::password("me", "wrong"));
    let error = Client::new(wrong).unwrap().ping(registry.address()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
}

#[tokio::test]
async fn dist_41_a_blob_goes_up_in_chunks() {
    let registry = DockerRegistry::start().await;
    let mut settings = Settings::default();
    settings.upload.chunking = Chunking::Always;
    settings.upload.chunk = 300_000;
    let repository = repository(&registry, settings, "chunks");
    let all = content(1_000_001, 7);
    let blob = put(&repository, &all, MediaType::OCI_LAYER_TAR).await;
    assert_eq!(get(&repository, &blob).await.unwrap(), all);
}

#[tokio::test]
async fn dist_50_a_blob_is_mounted_from_another_repository() {
    let registry = DockerRegistry::start().await;
    let client = Client::new(Settings::default()).unwrap();
    let repository = |name| client.repository(registry.address(), name).unwrap();
    let all = content(10_000, 3);
    let blob = put(&repository("src"), &all, MediaType::OCI_LAYER_TAR).await;
    let placed = repository("dst").blob_put(&blob, &Bytes::new(), Some("src")).await.unwrap();
    assert_eq!(placed, Placed::Mounted);
    assert_eq!(get(&repository("dst"), &blob).await.unwrap(), all);
    assert!(repository("third").mount(&blob.digest, "dst").await.unwrap());
    let absent = Descriptor::of(MediaType::OCI_LAYER_TAR, b"absent");
    assert!(!repository("third").mount(&absent.digest, "dst").await.unwrap());
    let placed = repository("third").blob_put(&absent, &Bytes::from("absent"), Some("dst")).await.unwrap();
    assert_eq!(placed, Placed::Uploaded);
}

#[tokio::test]
async fn dist_36_wrong_content_is_refused_and_not_kept() {
    let registry = DockerRegistry::start().await;
    let repository = repository(&registry, Settings::default(), "wrong");
    let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, b"right");
    let error = repository.blob_put(&blob, &Bytes::from("wrong"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.exchange().unwrap().has_code("DIGEST_INVALID"), "{error}");
    assert_eq!(repository.blob_head(&blob.digest).await.unwrap(), None);
}

#[tokio::test]
async fn dist_71_referrers_are_kept_in_the_fallback_tag() {
    let registry = DockerRegistry::start().await;
    let repository = repository(&registry, Settings::default(), "refs");
    let config = put(&repository, &content(20, 1), MediaType::OCI_CONFIG).await;
    let layer = put(&repository, &content(2000, 2), MediaType::OCI_LAYER_TAR).await;
    let subject = image(&config, &layer, None);
    repository.manifest_put(&tag("v1"), &MediaType::OCI_MANIFEST, subject.clone()).await.unwrap();
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, &subject);

    let referrer = image(&config, &layer, Some(&subject));
    let which = TagOrDigest::Digest(Digest::sha256(&referrer));
    let pushed = repository.manifest_put(&which, &MediaType::OCI_MANIFEST, referrer.clone()).await.unwrap();
    let document = Document::parse(referrer.clone(), Some(&MediaType::OCI_MANIFEST)).unwrap();
    let listed = repository.list_referrer(&document, &pushed).await.unwrap();
    assert!(matches!(listed, Listed::ByTag { changed: true, .. }), "{listed:?}");
    let found = repository.referrers(&subject.digest, None).await.unwrap();
    assert_eq!(found.iter().map(|found| &found.digest).collect::<Vec<_>>(), [&pushed.digest]);
    assert_eq!(repository.manifest_get_exact(&found[0]).await.unwrap().bytes, referrer);
}

#[tokio::test]
async fn dist_96_a_deleted_manifest_is_gone() {
    let registry = DockerRegistry::start().await;
    let repository = repository(&registry, Settings::default(), "gone");
    let config = put(&repository, &content(20, 1), MediaType::OCI_CONFIG).await;
    let layer = put(&repository, &content(2000, 2), MediaType::OCI_LAYER_TAR).await;
    let manifest = image(&config, &layer, None);
    let pushed = repository.manifest_put(&tag("v1"), &MediaType::OCI_MANIFEST, manifest).await.unwrap();
    repository.manifest_delete(&pushed.digest).await.unwrap();
    assert_eq!(repository.manifest_head(&TagOrDigest::Digest(pushed.digest)).await.unwrap(), None);
    repository.blob_delete(&layer.digest).await.unwrap();
    assert_eq!(repository.blob_head(&layer.digest).await.unwrap(), None);
}

/// Passes connections on, and cuts the first that carries so many bytes.
async fn relay(to: &str, cut_after: usize) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to) = (listener.local_addr().unwrap(), to.to_owned());
    let left = std::sync::Arc::new(std::sync::atomic::AtomicIsize::new(isize::try_from(cut_after).unwrap()));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(&to).await.unwrap();
            tokio::spawn(pass_on(client, server, std::sync::Arc::clone(&left)));
        }
    });
    address
}

async fn pass_on(
    client: tokio::net::TcpStream,
    server: tokio::net::TcpStream,
    left: std::sync::Arc<std::sync::atomic::AtomicIsize>,
) {
    use std::sync::atomic::Ordering;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ((mut from, mut back), (mut answer, mut to)) = (client.into_split(), server.into_split());
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            to.write_all(&buffer[..count]).await?;
            let count = isize::try_from(count).unwrap();
            let before = left.fetch_sub(count, Ordering::SeqCst);
            if before > 0 && before <= count {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // When one way ends, both do.
    tokio::select! {
        _ = up => {}
        _ = tokio::io::copy(&mut answer, &mut back) => {}
    }
}

#[tokio::test]
async fn row_37_a_registry_that_forgets_an_upload_that_was_cut_gets_the_blob_again() {
    let registry = DockerRegistry::start().await;
    let mut settings = Settings::default();
    settings.upload.stream = 1 << 20;
    let layer = content(3_000_000, 0);
    let address = relay(registry.address(), 2_700_000).await;
    let repository =
        Client::new(settings.clone()).unwrap().repository(&address.to_string(), "team/app").unwrap();
    let blob = put(&repository, &layer, MediaType::OCI_LAYER_TAR).await;
    let there = Client::new(settings).unwrap().repository(registry.address(), "team/app").unwrap();
    assert_eq!(get(&there, &blob).await.unwrap(), layer);
}
