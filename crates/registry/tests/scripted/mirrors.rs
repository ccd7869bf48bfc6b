//! What is read from mirrors is what was asked for; what is written, and every credential, goes where it belongs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use transship_registry::{
    Client, Credential, Error, Events, Mirror, Pulls, Repository, Route, Secret, Settings, TagOrDigest,
};
use transship_spec::{Kind, Tag};

use crate::support::{Reply, Request, Server, content, layer, patient};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that holds `manifest` under every tag and its digest, and `blob`, in every repository.
fn holding(manifest: &'static str, blob: Vec<u8>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let of_manifest = layer(manifest.as_bytes()).digest.to_string();
    let of_blob = layer(&blob).digest.to_string();
    move |request| {
        let last = request.target.rsplit('/').next().unwrap_or_default();
        let is_manifest =
            last == of_manifest || (request.target.contains("/manifests/") && !last.contains(':'));
        match (&*request.method, is_manifest) {
            ("GET" | "HEAD", true) => Reply::new(200).header("Content-Type", INDEX).body(manifest),
            ("GET" | "HEAD", _) if last == of_blob => {
                let start = request
                    .header("range")
                    .map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap());
                let reply = Reply::new(if start > 0 { 206 } else { 200 }).body(&blob[start..]);
                reply.header("Content-Range", format!("bytes {start}-{}/{}", blob.len() - 1, blob.len()))
            }
            ("POST", _) => Reply::new(202).header("Location", "/upload"),
            ("PUT", _) => Reply::new(201),
            _ => Reply::new(404),
        }
    }
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn warning(&self, host: &str, text: &str) {
        self.0.lock().unwrap().push(format!("{host}: {text}"));
    }
}

/// The repository `team/app` of the registry at `origin`, read by way of a route for `team`.
fn routed(origin: &str, route: Route, change: impl FnOnce(&mut Settings)) -> Result<Repository, Error> {
    let route = Route { prefix: format!("{origin}/team"), ..route };
    let mut settings = Settings { routes: vec![route], ..patient() };
    settings.retry.tries = 2;
    change(&mut settings);
    Client::new(settings)?.repository(origin, "team/app")
}

fn mirrors(mirrors: &[(&Server, Pulls)]) -> Route {
    let mirror = |(server, pulls): &(&Server, Pulls)| Mirror {
        location: format!("{}/mirror/of", server.address),
        insecure: false,
        pulls: *pulls,
    };
    Route { mirrors: mirrors.iter().map(mirror).collect(), ..Route::new("", "test") }
}

fn tag() -> TagOrDigest {
    Tag::parse("v1").unwrap().into()
}

async fn blob(repository: &Repository, content: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(repository.blob_get(&layer(content)).try_collect::<Vec<_>>().await?.concat())
}

#[tokio::test]
async fn what_a_mirror_has_is_not_asked_of_the_origin() {
    let all = content(1000);
    let mirror = Server::start(holding("{}", all.clone())).await;
    let origin = Server::start(holding("[]", all.clone())).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |_| {}).unwrap();
    assert_eq!(repository.manifest_get(&tag()).await.unwrap().bytes, "{}");
    assert!(repository.manifest_head(&tag()).await.unwrap().is_some());
    assert!(repository.blob_head(&layer(&all).digest).await.unwrap().is_some());
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!(origin.lines(), [""; 0]);
    assert!(mirror.lines().iter().all(|line| line.contains(" /v2/mirror/of/app/")), "{:?}", mirror.lines());
}

#[tokio::test]
async fn what_no_mirror_has_is_asked_of_the_location() {
    let all = content(1000);
    let empty = Server::start(|_| Reply::new(404)).await;
    let origin = Server::start(|_| Reply::new(500)).await;
    let location = Server::start(holding("{}", all.clone())).await;
    let route = mirrors(&[(&empty, Pulls::All), (&empty, Pulls::All)]);
    let route = Route { location: Some(format!("{}/inner", location.address)), ..route };
    let told = Arc::new(Told::default());
    let events: Arc<dyn Events> = Arc::<Told>::clone(&told);
    let repository = routed(&origin.address, route, |settings| settings.events = events).unwrap();
    assert_eq!(repository.manifest_get(&tag()).await.unwrap().bytes, "{}");
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!((empty.lines().len(), origin.lines().len()), (4, 0));
    assert!(location.lines().iter().all(|line| line.contains(" /v2/inner/app/")), "{:?}", location.lines());
    assert_eq!(*told.0.lock().unwrap(), [""; 0], "to lack something is no fault");
}

#[tokio::test]
async fn a_mirror_that_fails_or_lies_is_passed_over_and_told_of_once() {
    let all = content(1000);
    for (reply, words) in [
        (Reply::new(503), "unavailable: "),
        (Reply::new(403), "denied: "),
        (Reply::new(200).header("Content-Type", INDEX).body("[1]"), "does not have the digest"),
    ] {
        let mirror = Server::start(move |_| reply.clone()).await;
        let origin = Server::start(holding("{}", all.clone())).await;
        let told = Arc::new(Told::default());
        let events: Arc<dyn Events> = Arc::<Told>::clone(&told);
        let route = mirrors(&[(&mirror, Pulls::All)]);
        let repository = routed(&origin.address, route, |settings| settings.events = events).unwrap();
        let which = TagOrDigest::Digest(layer(b"{}").digest);
        for _ in 0..3 {
            assert_eq!(repository.manifest_get(&which).await.unwrap().bytes, "{}");
        }
        assert!(mirror.lines().len() <= 2, "{:?}", mirror.lines());
        let told = told.0.lock().unwrap();
        assert!(told.len() == 1 && told[0].contains("the mirror is passed over"), "{words}: {told:?}");
    }
}

#[tokio::test]
async fn a_blob_that_a_mirror_cannot_end_is_ended_by_the_next_place() {
    let all = content(100_000);
    let mut serve = holding("{}", all.clone());
    let mirror =
        Server::start(move |request| serve(request).cut(if request.number == 0 { 40_000 } else { 0 })).await;
    let origin = Server::start(holding("{}", all.clone())).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |_| {}).unwrap();
    assert!(blob(&repository, &all).await.unwrap() == all);
    let requests = origin.requests();
    assert_eq!((requests.len(), requests[0].header("range")), (1, Some("bytes=40000-")));
}

#[tokio::test]
async fn mirrors_by_digest_or_by_tag_only_are_asked_for_nothing_else() {
    let all = content(1000);
    let by_digest = Server::start(holding("[]", all.clone())).await;
    let origin = Server::start(holding("{}", all.clone())).await;
    let route = mirrors(&[(&by_digest, Pulls::DigestOnly)]);
    let repository = routed(&origin.address, route, |_| {}).unwrap();
    assert_eq!(repository.manifest_get(&tag()).await.unwrap().bytes, "{}");
    assert!(by_digest.lines().is_empty());
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!((by_digest.lines().len(), origin.lines().len()), (1, 1));

    let by_tag = Server::start(holding("[]", all.clone())).await;
    let repository = routed(&origin.address, mirrors(&[(&by_tag, Pulls::TagOnly)]), |_| {}).unwrap();
    let which = TagOrDigest::Digest(layer(b"{}").digest);
    assert_eq!(repository.manifest_get(&which).await.unwrap().bytes, "{}");
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert!(by_tag.lines().is_empty());
    // What an image consists of is where the image is.
    assert_eq!(repository.manifest_get(&tag()).await.unwrap().bytes, "[]");
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!(by_tag.lines().len(), 2);
}

#[tokio::test]
async fn mirrors_of_content_say_neither_what_a_tag_means_nor_what_refers_to_something() {
    let all = content(1000);
    let mirror = Server::start(holding("{}", all.clone())).await;
    let digest = layer(b"{}").digest.to_string();
    let mut serve = holding("{}", all.clone());
    let said = digest.clone();
    let origin =
        Server::start(move |request| serve(request).header("Docker-Content-Digest", said.clone())).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::Content)]), |_| {}).unwrap();
    assert_eq!(repository.manifest_get(&tag()).await.unwrap().bytes, "{}");
    assert_eq!(
        origin.lines(),
        ["HEAD /v2/team/app/manifests/v1"],
        "which costs nothing where reading is counted"
    );
    assert_eq!(mirror.lines(), [format!("GET /v2/mirror/of/app/manifests/{digest}")]);
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!((origin.lines().len(), mirror.lines().len()), (1, 2));
    assert_eq!(repository.referrers(&layer(b"{}").digest, None).await.unwrap(), []);
    assert_eq!(mirror.lines().len(), 2, "{:?}", mirror.lines());
    // What came wrong comes from the registry.
    repository.doubt(&layer(&all).digest);
    let before = mirror.lines().len();
    assert!(blob(&repository, &all).await.unwrap() == all);
    assert_eq!(mirror.lines().len(), before);
}

#[tokio::test]
async fn a_mirror_that_was_away_is_asked_again_after_a_while() {
    for (pause, asked) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 3)] {
        let mut serve = holding("{}", Vec::new());
        let mirror = Server::start(move |request| match request.number {
            0 => Reply::new(403),
            _ => serve(request),
        })
        .await;
        let origin = Server::start(holding("{}", Vec::new())).await;
        let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |settings| {
            settings.retry.mirror_pause = pause;
        })
        .unwrap();
        for _ in 0..3 {
            repository.manifest_get(&tag()).await.unwrap();
        }
        assert_eq!((mirror.lines().len(), origin.lines().len()), (asked, 4 - asked));
    }
}

#[tokio::test]
async fn a_mirror_that_fails_for_a_blob_is_passed_over_for_the_next() {
    let all = content(1000);
    let mirror = Server::start(|_| Reply::new(403)).await;
    let origin = Server::start(holding("{}", all.clone())).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |_| {}).unwrap();
    for _ in 0..3 {
        assert!(blob(&repository, &all).await.unwrap() == all);
    }
    assert_eq!((mirror.lines().len(), origin.lines().len()), (1, 3));
}

#[tokio::test]
async fn pushes_and_what_is_asked_for_them_go_to_the_registry_that_is_named() {
    let all = Bytes::from(content(1000));
    let mirror = Server::start(holding("{}", all.to_vec())).await;
    let origin = Server::start(holding("{}", Vec::new())).await;
    let route =
        Route { location: Some(format!("{}/inner", mirror.address)), ..mirrors(&[(&mirror, Pulls::All)]) };
    let repository = routed(&origin.address, route, |_| {}).unwrap().for_writing();
    assert!(repository.blob_head(&layer(&all).digest).await.unwrap().is_none());
    repository.blob_put(&layer(&all), &all, None).await.unwrap();
    assert!(repository.manifest_get(&tag()).await.is_ok());
    assert_eq!(mirror.lines(), [""; 0]);
    assert!(origin.lines().contains(&"POST /v2/team/app/blobs/uploads/".to_owned()), "{:?}", origin.lines());
}

#[tokio::test]
async fn dist_24_each_host_is_sent_its_own_credentials() {
    let guarded = |mut serve: Box<dyn FnMut(&Request) -> Reply + Send>| {
        move |request: &Request| match request.header("authorization") {
            None => Reply::new(401).header("WWW-Authenticate", "Basic realm=\"x\""),
            Some(_) => serve(request),
        }
    };
    let mirror = Server::start(guarded(Box::new(|_| Reply::new(404)))).await;
    let origin = Server::start(guarded(Box::new(holding("{}", Vec::new())))).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |settings| {
        let credential = |name: &str| Credential::Password {
            username: name.into(),
            password: Secret::new("pw".to_owned()),
        };
        settings.environment.given.insert(origin.address.clone(), credential("origin"));
        settings.environment.given.insert(mirror.address.clone(), credential("mirror"));
    })
    .unwrap();
    repository.manifest_get(&tag()).await.unwrap();
    let sent = |server: &Server| -> Vec<String> {
        server
            .requests()
            .iter()
            .filter_map(|request| request.header("authorization").map(str::to_owned))
            .collect()
    };
    assert_eq!(sent(&mirror), ["Basic bWlycm9yOnB3"]);
    assert_eq!(sent(&origin), ["Basic b3JpZ2luOnB3"]);
}

#[tokio::test]
async fn a_mirror_without_signatures_hides_none() {
    let list = r#"{"schemaVersion":2,"manifests":[]}"#;
    let mirror = Server::start(move |_| Reply::new(200).header("Content-Type", INDEX).body(list)).await;
    let one = layer(b"signature");
    let listed = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{INDEX}","digest":"{}","size":9}}]}}"#,
        one.digest
    );
    let origin = Server::start(move |_| Reply::new(200).header("Content-Type", INDEX).body(&listed)).await;
    let repository = routed(&origin.address, mirrors(&[(&mirror, Pulls::All)]), |_| {}).unwrap();
    let found = repository.referrers(&layer(b"{}").digest, None).await.unwrap();
    assert_eq!(found.len(), 1);
    drop(origin);
    let gone = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string() };
    let repository = routed(&gone, mirrors(&[(&mirror, Pulls::All)]), |_| {}).unwrap();
    assert_eq!(repository.referrers(&layer(b"{}").digest, None).await.unwrap(), []);
}

#[test]
fn what_is_blocked_is_refused_and_it_is_said_by_whom() {
    let route = Route { blocked: true, ..Route::new("", "/etc/registries.conf") };
    let error = routed("r.example", route, |_| {}).unwrap_err();
    assert_eq!(error.kind(), Kind::Policy);
    assert_eq!(error.to_string(), "r.example/team/app is blocked by /etc/registries.conf");
}

#[test]
fn a_route_that_leads_nowhere_is_refused_and_it_is_said_by_whom() {
    for location in ["a b/c", "host/UPPER", "host/../x", "/x"] {
        let route = Route { location: Some(location.to_owned()), ..Route::new("", "/etc/registries.conf") };
        let error = routed("r.example", route, |_| {}).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{location}: {error}");
    }
}
