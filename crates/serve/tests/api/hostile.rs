//! Requests that nobody sends by mistake (case R20). Each gets an answer that says no, and the next one is served.

use http::{Method, Request};
use http_body_util::Full;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use crate::support::{Registry, send, write_image};

#[tokio::test]
async fn case_r20_paths_that_lead_nowhere() {
    let registry = Registry::new();
    std::fs::write(registry.folder.path().join("secret"), "secret").unwrap();
    for path in [
        "/v2/../../etc/passwd",
        "/v2/app/blobs/../../secret",
        "/v2/app/blobs/%2e%2e%2f%2e%2e%2fsecret",
        "/v2/%2e%2e/%2e%2e/manifests/v1",
        "/v2/app/blobs/sha256:..%2f..%2f..%2fsecret",
        "/v2/app/blobs/..:..%2fsecret",
        "/v2/app%00/tags/list",
        "/v2/app/manifests/%00",
        "/v2/app/manifests/..",
        "/v2/app/manifests/",
        "/v2/app/blobs/",
        "/v2/app/blobs/uploads/../../../secret",
        "/v2/app/referrers/",
        "/v2//manifests/v1",
        "/v2/manifests/v1",
        "/v2/app/tags/list/",
        "/v2/%zz/tags/list",
        "//v2/",
        "/v2/app/blobs/uploads/%2e%2e",
    ] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::POST] {
            let reply = registry.send(method.clone(), path, &[], "x").await;
            assert!(reply.status.is_client_error(), "{method} {path}: {reply:?}");
        }
    }
    registry.get("/v2/").await.is(200);
}

#[tokio::test]
async fn case_r20_methods_that_no_path_has() {
    let registry = Registry::new();
    for method in [Method::OPTIONS, Method::TRACE, Method::CONNECT, Method::from_bytes(b"BREW").unwrap()] {
        for path in
            ["/v2/", "/v2/_catalog", "/v2/app/manifests/v1", "/v2/app/tags/list", "/v2/app/blobs/uploads/"]
        {
            registry.send(method.clone(), path, &[], "").await.refused(405, "UNSUPPORTED");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_blob_that_is_no_file_is_not_opened() {
    let registry = Registry::new();
    let folder = registry.layout.path().join("blobs/sha256");
    let name = "a".repeat(64);
    std::fs::write(registry.folder.path().join("secret"), "secret").unwrap();
    let target = format!("/v2/app/blobs/sha256:{name}");
    std::os::unix::fs::symlink("../../../secret", folder.join(&name)).unwrap();
    assert!(registry.get(&target).await.status.as_u16() >= 400);
    std::fs::remove_file(folder.join(&name)).unwrap();
    std::fs::create_dir(folder.join(&name)).unwrap();
    assert!(registry.get(&target).await.status.as_u16() >= 400);
    std::fs::remove_dir(folder.join(&name)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.join(&name)).status().unwrap();
    assert!(made.success());
    assert!(registry.get(&target).await.status.as_u16() >= 400);
}

#[test]
fn case_r20_any_request_has_an_answer_and_reads_nothing_else() {
    const HEADERS: &[&str] = &["range", "content-range", "content-type", "content-length", "if-range"];
    let name = "(app|\\.\\.|%2e%2e|%00|[a-z%:._-]{1,8})/";
    let thing = "(manifests|blobs|blobs/uploads|tags|referrers|_catalog)/[a-zA-Z0-9%:._-]{0,12}";
    let path = format!("(/v2)?/({name}){{0,3}}{thing}");
    let query = "((n|last|digest|mount|from|tag|artifactType)=[a-z0-9%:+-]{0,10}&?){0,3}";
    let header = (prop::sample::select(HEADERS), "(bytes=)?[ -~]{0,12}");
    let requests = ("GET|HEAD|PUT|POST|PATCH|DELETE", path.as_str(), query, header);

    let runtime = Runtime::new().unwrap();
    let registry = Registry::new();
    write_image(&registry.layout, "image", &["kept"]);
    let answered = |(method, path, query, (header, value)): (String, String, String, (&str, String))| {
        let request = Request::builder().method(method.as_str()).uri(format!("{path}?{query}"));
        let Ok(request) = request.header(header, value).body(Full::from("body")) else { return Ok(()) };
        runtime.block_on(async {
            let reply = send(&registry.service, request).await;
            prop_assert!(reply.status.as_u16() < 500, "{reply:?}");
            registry.get("/v2/app/manifests/kept").await.is(200);
            Ok(())
        })
    };
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) });
    runner.run(&requests, answered).unwrap();
}
