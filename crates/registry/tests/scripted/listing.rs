//! Tags page by page, and referrers from the registry or from the fallback tag.

use bytes::Bytes;
use futures_util::StreamExt;
use transship_registry::{Error, Listed, Repository, TagOrDigest};
use transship_spec::{Descriptor, Digest, Document, Kind, MediaType, referrers};

use crate::support::{Reply, Request, Server, quick};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

async fn names(repository: &Repository) -> Result<Vec<String>, Error> {
    Ok(repository.tags().await?.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn dist_82_pages_are_followed_in_every_form_of_link() {
    let server = Server::start(|request| {
        let host = request.header("host").unwrap();
        match &*request.target {
            "/v2/team/app/tags/list?n=1000" => Reply::new(200)
                .header("Link", r#"</v2/team/app/tags/list?n=2&last=b>; rel="next""#)
                .body(r#"{"tags":["a","b"]}"#),
            "/v2/team/app/tags/list?n=2&last=b" => Reply::new(200)
                .header("Link", "<x>; rel=prev")
                .header("Link", format!("<http://{host}/v2/team/app/tags/list?last=c>; rel=next"))
                .body(r#"{"tags":["c"]}"#),
            "/v2/team/app/tags/list?last=c" => {
                Reply::new(200).header("Link", "<?last=d>;rel=\"next\"").body(r#"{"tags":["d"]}"#)
            }
            _ => Reply::new(200).body(r#"{"name":"team/app","tags":["e"]}"#),
        }
    })
    .await;
    assert_eq!(names(&server.repository()).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(server.repository().tag_pages().count().await, 4);
}

#[tokio::test]
async fn dist_80_dist_83_empty_lists_and_junk_are_tolerated() {
    for (body, expected) in [
        (r#"{"name":"x","tags":null}"#, vec![]),
        (r#"{"name":"x"}"#, vec![]),
        (r#"{"tags":["a",null,"","sha256:abc","-x","b c","b"]}"#, vec!["a", "b"]),
    ] {
        let server = Server::start(move |_| Reply::new(200).body(body)).await;
        assert_eq!(names(&server.repository()).await.unwrap(), expected, "{body}");
    }
    for body in ["<html>", "", "{", r#"{"tags":"x"}"#] {
        let server = Server::start(move |_| Reply::new(200).body(body)).await;
        assert!(matches!(names(&server.repository()).await, Err(Error::Protocol { .. })), "{body}");
    }
}

#[tokio::test]
async fn row_47_pages_elsewhere_in_circles_or_without_end_are_refused() {
    let elsewhere = Server::start(|_| Reply::new(200)).await;
    let link = format!("<{}>; rel=next", elsewhere.url("/v2/team/app/tags/list"));
    let server =
        Server::start(move |_| Reply::new(200).header("Link", &link).body(r#"{"tags":["a"]}"#)).await;
    let error = names(&server.repository()).await.unwrap_err();
    assert!(matches!(error, Error::Target { what: "next page", .. }), "{error}");
    assert!(elsewhere.requests().is_empty());

    let server =
        Server::start(|_| Reply::new(200).header("Link", "<?n=1000>; rel=next").body(r#"{"tags":["a"]}"#))
            .await;
    assert_eq!(names(&server.repository()).await.unwrap_err().kind(), Kind::Limit);
    assert_eq!(server.requests().len(), 1);

    let endless = |request: &Request| {
        Reply::new(200)
            .header("Link", format!("<?last={}>; rel=next", request.number))
            .body(r#"{"tags":["a"]}"#)
    };
    let server = Server::start(endless).await;
    let mut settings = quick();
    settings.limits.pages = 20;
    assert_eq!(names(&server.repository_with(settings)).await.unwrap_err().kind(), Kind::Limit);
    assert_eq!(server.requests().len(), 20);
    let mut settings = quick();
    settings.limits.entries = 5;
    assert_eq!(names(&server.repository_with(settings)).await.unwrap_err().kind(), Kind::Limit);
}

#[tokio::test]
async fn dist_82_an_empty_page_is_the_last() {
    let server = Server::start(|request| {
        Reply::new(200).header("Link", format!("<?last={}>; rel=next", request.number)).body(r#"{"tags":[]}"#)
    })
    .await;
    assert!(names(&server.repository()).await.unwrap().is_empty());
    assert_eq!(server.requests().len(), 1);
}

fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"the subject")
}

/// An image manifest that refers to the subject.
fn referrer(artifact_type: &str) -> Bytes {
    let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let descriptor = |digest: &str, size: u64, media_type: &str| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let subject = subject();
    let config = descriptor(empty, 2, "application/vnd.oci.empty.v1+json");
    let about = descriptor(&subject.digest.to_string(), subject.size, subject.media_type.as_str());
    Bytes::from(format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"{artifact_type}","config":{config},"layers":[{config}],"subject":{about},"annotations":{{"k":"v"}}}}"#
    ))
}

fn index(descriptors: &[Descriptor]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":{}}}"#,
        serde_json::to_string(descriptors).unwrap()
    )
}

fn typed(text: &str) -> Descriptor {
    let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes());
    descriptor.artifact_type = Some(MediaType::parse(text).unwrap());
    descriptor
}

#[tokio::test]
async fn dist_85_dist_86_dist_87_the_registry_s_list_is_paged_and_filtered() {
    let (one, two) = (
        index(&[typed("application/spdx+json")]),
        index(&[typed("text/other"), typed("application/spdx+json")]),
    );
    let server = Server::start(move |request| match request.target.contains("page=2") {
        false => {
            Reply::new(200).header("Content-Type", INDEX).header("Link", "<?page=2>; rel=next").body(&one)
        }
        true => Reply::new(200).header("Content-Type", INDEX).body(&two),
    })
    .await;
    let wanted = MediaType::parse("application/spdx+json").unwrap();
    let found = server.repository().referrers(&subject().digest, Some(&wanted)).await.unwrap();
    assert_eq!(found.len(), 2);
    let first = &server.lines()[0];
    assert!(first.ends_with("?artifactType=application%2Fspdx%2Bjson"), "{first}");
    assert_eq!(server.repository().referrers(&subject().digest, None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn dist_88_without_a_list_the_fallback_tag_is_read_and_the_registry_is_asked_once() {
    for (status, content_type) in
        [(404, INDEX), (401, INDEX), (403, INDEX), (406, INDEX), (400, INDEX), (200, "text/html")]
    {
        let body = index(&[typed("text/a")]);
        let server = Server::start(move |request| match request.target.contains("/referrers/") {
            true => Reply::new(status).header("Content-Type", content_type),
            false => Reply::new(200).header("Content-Type", INDEX).body(&body),
        })
        .await;
        let repository = server.repository();
        for _ in 0..2 {
            assert_eq!(repository.referrers(&subject().digest, None).await.unwrap().len(), 1, "{status}");
        }
        let asked = server.lines().iter().filter(|line| line.contains("/referrers/")).count();
        assert_eq!(asked, if status == 404 { 1 } else { 2 }, "{status}");
        let tag = referrers::fallback_tag(&subject().digest);
        assert!(server.lines().contains(&format!("GET /v2/team/app/manifests/{tag}")));
    }
}

#[tokio::test]
async fn dist_88_no_fallback_tag_or_another_thing_in_its_place_means_no_referrers() {
    let server = Server::start(|_| Reply::new(404)).await;
    assert!(server.repository().referrers(&subject().digest, None).await.unwrap().is_empty());
    let server = Server::start(|request| match request.target.contains("/referrers/") {
        true => Reply::new(404),
        false => {
            Reply::new(200).header("Content-Type", "application/vnd.oci.image.manifest.v1+json").body("{}")
        }
    })
    .await;
    assert!(server.repository().referrers(&subject().digest, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_referrer_that_cannot_be_read_does_not_hide_the_others() {
    let good = serde_json::to_string(&typed("text/a")).unwrap();
    let body = format!(r#"{{"manifests":[{{"digest":"sha256:../x"}},{good}]}}"#);
    let server = Server::start(move |_| Reply::new(200).header("Content-Type", INDEX).body(&body)).await;
    assert_eq!(server.repository().referrers(&subject().digest, None).await.unwrap().len(), 1);
}

/// A registry without a list of referrers that keeps manifests by tag and digest; it claims to have seen subjects if it
/// is told to.
async fn plain_registry(claims: bool) -> Server {
    let mut kept = std::collections::HashMap::<String, Vec<u8>>::new();
    Server::start(move |request| match &*request.method {
        "PUT" => {
            kept.insert(request.target.clone(), request.body.clone());
            let seen = Reply::new(201);
            if claims { seen.header("OCI-Subject", subject().digest) } else { seen }
        }
        _ => match kept.get(&request.target) {
            Some(body) => Reply::new(200).header("Content-Type", INDEX).body(body),
            None => Reply::new(404),
        },
    })
    .await
}

async fn push(repository: &Repository, bytes: &Bytes) -> Listed {
    let which = TagOrDigest::Digest(Digest::sha256(bytes));
    let pushed = repository.manifest_put(&which, &MediaType::OCI_MANIFEST, bytes.clone()).await.unwrap();
    let document = Document::parse(bytes.clone(), Some(&MediaType::OCI_MANIFEST)).unwrap();
    repository.list_referrer(&document, &pushed).await.unwrap()
}

#[tokio::test]
async fn dist_71_dist_72_a_referrer_is_added_to_the_fallback_tag_once() {
    for claims in [false, true] {
        let server = plain_registry(claims).await;
        let repository = server.repository();
        let (one, two) = (referrer("text/one"), referrer("text/two"));
        let tag = referrers::fallback_tag(&subject().digest);
        assert_eq!(push(&repository, &one).await, Listed::ByTag { tag: tag.clone(), changed: true });
        assert_eq!(push(&repository, &two).await, Listed::ByTag { tag: tag.clone(), changed: true });
        assert_eq!(push(&repository, &one).await, Listed::ByTag { tag, changed: false });
        let found = repository.referrers(&subject().digest, None).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].digest, Digest::sha256(&one));
        assert_eq!(found[0].artifact_type.as_ref().map(MediaType::as_str), Some("text/one"));
        assert_eq!(found[0].annotations.get("k").map(String::as_str), Some("v"));
    }
}

#[tokio::test]
async fn dist_73_referrers_pushed_at_once_by_one_client_are_all_listed() {
    let server = plain_registry(false).await;
    let repository = server.repository();
    let all: Vec<Bytes> = (0..8).map(|number| referrer(&format!("text/n{number}"))).collect();
    futures_util::future::join_all(all.iter().map(|bytes| push(&repository, bytes))).await;
    assert_eq!(repository.referrers(&subject().digest, None).await.unwrap().len(), 8);
}

#[tokio::test]
async fn dist_70_a_registry_that_lists_referrers_itself_is_left_to_it() {
    let server = Server::start(|request| match &*request.method {
        "PUT" => Reply::new(201).header("OCI-Subject", subject().digest),
        _ => Reply::new(200).header("Content-Type", INDEX).body(index(&[])),
    })
    .await;
    assert_eq!(push(&server.repository(), &referrer("text/a")).await, Listed::ByRegistry);
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1);
}
