//! Many clients at once.

use std::collections::BTreeSet;

use http::Method;
use transship_layout::{Layout, Name};

use crate::support::{Registry, content, write_image};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_tags_pushed_at_once_are_all_there() {
    let registry = std::sync::Arc::new(Registry::new());
    let mut pushes = tokio::task::JoinSet::new();
    for n in 0..100 {
        let registry = std::sync::Arc::clone(&registry);
        pushes.spawn(async move {
            registry.put_image("app", &format!("t{n}"), &format!("image {}", n % 10)).await;
        });
    }
    let layout = registry.layout.clone();
    let other = tokio::task::spawn_blocking(move || {
        for n in 0..20 {
            write_image(&layout, &format!("other {n}"), &[&format!("o{n}")]);
        }
    });
    while let Some(push) = pushes.join_next().await {
        push.unwrap();
    }
    other.await.unwrap();
    let entries: BTreeSet<String> = registry.entries().into_iter().collect();
    let expected = (0..100).map(|n| format!("t{n}")).chain((0..20).map(|n| format!("o{n}")));
    assert_eq!(entries, expected.collect());
    let reply = registry.get("/v2/app/tags/list").await.is(200);
    assert_eq!(reply.json()["tags"].as_array().unwrap().len(), 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_blob_uploaded_by_many_at_once_is_there_once() {
    let registry = std::sync::Arc::new(Registry::new());
    let mut pushes = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let registry = std::sync::Arc::clone(&registry);
        pushes.spawn(async move { registry.put_blob("app", &content(300_000)).await });
    }
    while let Some(push) = pushes.join_next().await {
        push.unwrap();
    }
    assert_eq!(registry.layout.blobs().unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_requests_do_not_write_to_one_upload() {
    let registry = std::sync::Arc::new(Registry::new());
    let location = registry.upload().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<_, std::io::Error>>(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    let request = http::Request::patch(&location).body(http_body_util::StreamBody::new(stream)).unwrap();
    let service = registry.service.clone();
    let first = tokio::spawn(async move { service.handle(request).await.status() });
    sender.send(Ok(hyper::body::Frame::data(bytes::Bytes::from_static(b"first")))).await.unwrap();
    // The second piece is taken once the first is being read: from then on the place is held.
    sender.send(Ok(hyper::body::Frame::data(bytes::Bytes::from_static(b" second")))).await.unwrap();
    let reply = registry.send(Method::PATCH, &location, &[], "other").await;
    reply.refused(409, "BLOB_UPLOAD_INVALID");
    drop(sender);
    assert_eq!(first.await.unwrap(), 202);
    assert_eq!(registry.get(&location).await.is(204).header("range"), "0-11");
}

#[tokio::test]
async fn what_was_uploaded_is_leased_until_its_manifest_comes() {
    let registry = Registry::new();
    let blob = registry.put_blob("app", b"content").await;
    let leases = registry.layout.path().join(".transship/leases");
    let texts = || {
        let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path());
        leases.read_dir().unwrap().map(read).collect::<Result<String, _>>().unwrap()
    };
    assert!(texts().contains(&blob.digest.to_string()));
    drop(registry.service);
    assert!(!leases.exists() || texts().is_empty());
}

#[tokio::test]
async fn u30_a_hundred_thousand_tags_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::options().create(folder.path().join("many")).unwrap();
    let image = write_image(&layout, "image", &[]).descriptor();
    let all = |index: &mut transship_layout::IndexEdit<'_>| {
        for n in 0..100_000 {
            index.set(&Name::short(&format!("t{n:06}"))?, &image)?;
        }
        Ok(())
    };
    layout.edit(all).unwrap();
    let registry = Registry::with(|builder, _| builder.mount("many", layout));
    for n in (0..100_000).step_by(9_999) {
        registry.head(&format!("/v2/many/manifests/t{n:06}")).await.is(200);
    }
    let reply = registry.get("/v2/many/tags/list?n=3&last=t099997").await.is(200);
    assert_eq!(reply.json()["tags"], serde_json::json!(["t099998", "t099999"]));
}
