//! Credentials and tokens: asked for once, kept, renewed, and given to nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use transship_registry::{Client, Credential, Error, Repository, Secret, Settings, TagOrDigest};
use transship_spec::{Digest, Kind, MediaType};

use crate::support::{Reply, Request, Server, layer, quick};

/// A registry and its token server in one. Tokens are numbered; only those above `valid` are taken.
struct Guarded {
    server: Server,
    valid: Arc<AtomicUsize>,
}

impl Guarded {
    async fn start(reply: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let valid = Arc::new(AtomicUsize::new(0));
        let (least, mut issued) = (Arc::clone(&valid), 0);
        let server = Server::start(move |request| {
            if request.target.starts_with("/token") {
                issued += 1;
                return Reply::new(200).body(format!(r#"{{"access_token":"t{issued}","expires_in":300}}"#));
            }
            let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer t"));
            match token.and_then(|text| text.parse::<usize>().ok()) {
                Some(number) if number > least.load(Ordering::SeqCst) => reply(request),
                _ => challenge(request),
            }
        })
        .await;
        Self { server, valid }
    }

    fn count(&self, start: &str) -> usize {
        self.server.requests().iter().filter(|request| request.target.starts_with(start)).count()
    }
}

/// Asks for a token from the same server.
fn challenge(request: &Request) -> Reply {
    let host = request.header("host").unwrap();
    let value =
        format!(r#"Bearer realm="http://{host}/token?x=1",service="reg",scope="repository:team/app:pull""#);
    Reply::new(401).header("WWW-Authenticate", value)
}

fn with(server: &Server, credential: Credential) -> Settings {
    let mut settings = quick();
    settings.environment.given.insert(server.address.clone(), credential);
    settings
}

async fn head(repository: &Repository) -> Result<bool, Error> {
    let blob = layer(b"abc");
    let call = repository.manifest_get(&TagOrDigest::Digest(blob.digest)).await;
    call.map(|_| true)
}

fn manifest(_: &Request) -> Reply {
    Reply::new(200).header("Content-Type", MediaType::OCI_MANIFEST.as_str()).body("abc")
}

#[tokio::test]
async fn dist_111_a_public_repository_is_read_with_an_anonymous_token_that_is_kept() {
    let guarded = Guarded::start(manifest).await;
    let repository = guarded.server.repository();
    for _ in 0..3 {
        head(&repository).await.unwrap();
    }
    let requests = guarded.server.requests();
    assert_eq!((guarded.count("/token"), requests.len()), (1, 5));
    assert_eq!(requests[1].header("authorization"), None);
    let scope = "scope=repository%3Ateam%2Fapp%3Apull";
    assert_eq!(requests[1].target, format!("/token?x=1&service=reg&{scope}&client_id=transship"));
}

#[tokio::test]
async fn dist_110_another_repository_costs_a_token_and_no_refusal() {
    let guarded = Guarded::start(manifest).await;
    let client = Client::new(quick()).unwrap();
    head(&client.repository(&guarded.server.address, "team/app").unwrap()).await.unwrap();
    head(&client.repository(&guarded.server.address, "team/other").unwrap()).await.unwrap();
    let lines = guarded.server.lines();
    assert_eq!(lines.len(), 5);
    assert!(lines[3].contains("scope=repository%3Ateam%2Fother%3Apull&"), "{}", lines[3]);
}

#[tokio::test]
async fn dist_108_a_push_asks_for_all_that_it_needs_at_once() {
    let guarded = Guarded::start(|request| match &*request.method {
        "POST" => Reply::new(202).header("Location", "/v2/upload"),
        _ => Reply::new(201),
    })
    .await;
    let repository = guarded.server.repository();
    repository.blob_put(&layer(b"abc"), &Bytes::from("abc"), Some("src/app")).await.unwrap();
    let tokens: Vec<String> =
        guarded.server.lines().into_iter().filter(|line| line.contains("/token")).collect();
    assert!(
        tokens[0].contains("scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Asrc%2Fapp%3Apull")
    );
}

#[tokio::test]
async fn dist_108_a_destination_is_read_and_written_with_one_token() {
    let guarded = Guarded::start(|request| match &*request.method {
        "HEAD" => Reply::new(404),
        "POST" => Reply::new(202).header("Location", "/v2/upload"),
        _ => Reply::new(201),
    })
    .await;
    let repository = guarded.server.repository().for_writing();
    assert_eq!(repository.blob_head(&layer(b"abc").digest).await.unwrap(), None);
    repository.blob_put(&layer(b"abc"), &Bytes::from("abc"), None).await.unwrap();
    assert_eq!((guarded.count("/token"), guarded.count("/v2/")), (1, 4));
}

#[tokio::test]
async fn dist_110_a_token_that_expires_during_an_upload_is_renewed_and_the_blob_sent_again() {
    let mut refused = false;
    let server =
        Server::start(move |request| match (&*request.method, request.target.starts_with("/token")) {
            (_, true) => Reply::new(200).body(format!(r#"{{"token":"t{}"}}"#, request.number)),
            _ if request.header("authorization").is_none() => challenge(request),
            ("POST", _) => Reply::new(202).header("Location", "/v2/upload"),
            ("PUT", _) if !refused => {
                refused = true;
                challenge(request)
            }
            _ => Reply::new(201),
        })
        .await;
    let content = crate::support::content(300_000);
    server.repository().blob_put(&layer(&content), &Bytes::from(content.clone()), None).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((&*last.method, last.body), ("PUT", content));
}

#[tokio::test]
async fn row_42_a_token_that_expires_on_the_way_is_renewed_silently() {
    let guarded = Guarded::start(manifest).await;
    let repository = guarded.server.repository();
    head(&repository).await.unwrap();
    guarded.valid.store(1, Ordering::SeqCst);
    head(&repository).await.unwrap();
    assert_eq!((guarded.count("/token"), guarded.count("/v2/")), (2, 4));
}

#[tokio::test]
async fn row_43_401_for_ever_is_denied_after_two_requests() {
    let guarded = Guarded::start(manifest).await;
    guarded.valid.store(usize::MAX, Ordering::SeqCst);
    let error = head(&guarded.server.repository()).await.unwrap_err();
    assert_eq!((error.kind(), guarded.count("/v2/")), (Kind::Denied, 2));
    assert!(error.remedy().unwrap().starts_with("log in with: transship login 127.0.0.1"));
}

#[tokio::test]
async fn u14_403_is_denied_after_one_request() {
    let server =
        Server::start(|_| Reply::new(403).body(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#)).await;
    let error = head(&server.repository()).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Denied, 1));
}

#[tokio::test]
async fn dist_112_basic_is_answered_with_the_credentials_and_then_sent_at_once() {
    let server = Server::start(|request| match request.header("authorization") {
        Some(text) if text == format!("Basic {}", STANDARD.encode("me:pw")) => manifest(request),
        _ => Reply::new(401).header("WWW-Authenticate", r#"Basic realm="x""#),
    })
    .await;
    let repository = server.repository_with(with(&server, Credential::password("me", "pw")));
    head(&repository).await.unwrap();
    head(&repository).await.unwrap();
    assert_eq!(server.requests().len(), 3);

    let error = head(&server.repository()).await.unwrap_err();
    assert!(matches!(error, Error::NoCredentials { .. }), "{error}");
    let wrong = server.repository_with(with(&server, Credential::password("me", "wrong")));
    let before = server.requests().len();
    assert_eq!(head(&wrong).await.unwrap_err().kind(), Kind::Denied);
    assert_eq!(server.requests().len() - before, 2);
}

#[tokio::test]
async fn dist_107_an_identity_token_is_posted_and_where_that_fails_used_as_a_password() {
    let server = Server::start(|request| match (&*request.method, request.target.starts_with("/token")) {
        ("POST", true) => Reply::new(405),
        ("GET", true) => Reply::new(200).body(r#"{"token":"t"}"#),
        _ if request.header("authorization") == Some("Bearer t") => manifest(request),
        _ => challenge(request),
    })
    .await;
    let credential = Credential::IdentityToken { username: "id".to_owned(), token: Secret::new("refresh") };
    head(&server.repository_with(with(&server, credential))).await.unwrap();
    let requests = server.requests();
    assert!(requests[1].body.starts_with(b"grant_type=refresh_token&refresh_token=refresh&"));
    let basic = format!("Basic {}", STANDARD.encode("id:refresh"));
    assert_eq!(requests[2].header("authorization"), Some(basic.as_str()));
}

#[tokio::test]
async fn dist_125_a_registry_token_is_sent_as_it_is() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer ready") => manifest(request),
        _ => challenge(request),
    })
    .await;
    head(&server.repository_with(with(&server, Credential::RegistryToken(Secret::new("ready")))))
        .await
        .unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn dist_174_a_refusal_without_a_challenge_sends_us_to_the_front_door() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer t") => manifest(request),
        _ if request.target.starts_with("/token") => Reply::new(200).body(r#"{"token":"t"}"#),
        _ if request.target == "/v2/" => challenge(request),
        _ => Reply::new(401),
    })
    .await;
    head(&server.repository()).await.unwrap();
}

#[tokio::test]
async fn row_44_a_realm_elsewhere_gets_no_credentials_unless_it_is_allowed() {
    let tokens = Server::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let realm = tokens.url("/token").replace("127.0.0.1", "127.0.0.2");
    let value = format!("Bearer realm=\"{realm}\"");
    let server = Server::start(move |_| Reply::new(401).header("WWW-Authenticate", &value)).await;
    let settings = with(&server, Credential::password("me", "pw"));
    let error = head(&server.repository_with(settings)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("would be sent the credentials"), "{error}");
    assert!(error.remedy().unwrap().contains("127.0.0.2"));
    assert!(tokens.requests().is_empty());

    for realm in ["http://169.254.169.254/token", "file:///etc/passwd", "ftp://h/", "::"] {
        let value = format!("Bearer realm=\"{realm}\"");
        let server = Server::start(move |_| Reply::new(401).header("WWW-Authenticate", &value)).await;
        assert_eq!(head(&server.repository()).await.unwrap_err().kind(), Kind::Denied, "{realm}");
    }
}

#[tokio::test]
async fn dist_113_a_token_server_is_not_followed_elsewhere_and_not_read_for_ever() {
    for (reply, words) in [
        (Reply::new(307).header("Location", "/other"), "answered 307"),
        (Reply::new(200).body(vec![b' '; 1 << 20]), "the size in bytes"),
        (Reply::new(200).body("<html>"), "not the JSON of a token"),
        (Reply::new(200).body(r#"{"token":""}"#), "holds no token"),
        (Reply::new(200).body("{\"token\":\"a\\r\\nb\"}"), "holds no token"),
        (Reply::new(200).body(r#"{"token":5}"#), "not the JSON of a token"),
    ] {
        let server = Server::start(move |request| match request.target.starts_with("/token") {
            true => reply.clone(),
            false => challenge(request),
        })
        .await;
        let error = head(&server.repository()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_dozen_requests_at_once_fetch_one_token() {
    let guarded = Guarded::start(manifest).await;
    let repository = guarded.server.repository();
    head(&repository).await.unwrap();
    guarded.valid.store(1, Ordering::SeqCst);
    let all = futures_util::future::join_all((0..12).map(|_| head(&repository))).await;
    assert!(all.into_iter().all(|result| result.is_ok()));
    assert_eq!(guarded.count("/token"), 2);
}

#[tokio::test]
async fn dist_10_a_ping_tells_whether_the_credentials_are_taken() {
    let guarded = Guarded::start(|_| Reply::new(200).body("{}")).await;
    let client = Client::new(with(&guarded.server, Credential::password("me", "pw"))).unwrap();
    client.ping(&guarded.server.address).await.unwrap();
    let token =
        guarded.server.requests().into_iter().find(|request| request.target.starts_with("/token")).unwrap();
    assert_eq!(token.header("authorization"), Some(format!("Basic {}", STANDARD.encode("me:pw")).as_str()));

    let other = Server::start(|_| Reply::new(404)).await;
    let error = Client::new(quick()).unwrap().ping(&other.address).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(Digest::sha256(b"abc"), layer(b"abc").digest);
}
