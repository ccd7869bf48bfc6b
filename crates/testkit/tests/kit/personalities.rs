//! Whether personalities play what they say, and whether the one of which there is an original plays it right.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transship_spec::Digest;
use transship_testkit::{DockerRegistry, Personality, TestRegistry};

#[test]
fn dist_170_to_dist_181_each_is_played_by_a_registry() {
    let all = Personality::all();
    for item in 170..=181 {
        let item = format!("DIST-{item}");
        assert!(all.iter().any(|one| one.plays.iter().any(|(played, _)| *played == item)), "{item}");
    }
    let mut names: Vec<_> = all.iter().map(|one| one.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}

/// What of an answer a client looks at.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The first error code.
    code: Option<String>,
    /// Headers that are there, with their values where those do not depend on the registry.
    headers: Vec<String>,
    /// The path of the location.
    location: Option<String>,
}

async fn ask(address: &str, request: &str, body: &[u8]) -> Answer {
    let (first, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{first} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // A server that did not want the body resets the connection once it has answered.
    let ended = stream.read_to_end(&mut answer).await;
    let is_reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(
        ended.as_ref().err().is_none_or(|error| is_reset(error) && !answer.is_empty()),
        "{first}: {ended:?}"
    );
    read(&String::from_utf8(answer).unwrap())
}

fn read(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let location = value("location").map(|location| {
        let path = location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap()..]);
        path.to_owned()
    });
    let mut shown: Vec<String> = ["range", "docker-content-digest", "oci-subject", "oci-chunk-min-length"]
        .iter()
        .filter_map(|name| value(name).map(|value| format!("{name}: {value}")))
        .collect();
    shown.extend(value("docker-upload-uuid").map(|_| "docker-upload-uuid".to_owned()));
    shown.extend(location.iter().map(|location| shape(location)));
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    let code = error["errors"][0]["code"].as_str().map(str::to_owned);
    Answer { status, code, headers: shown, location }
}

/// A location without what is random in it.
fn shape(location: &str) -> String {
    match location.split_once("/uploads/") {
        Some((start, rest)) => {
            let state = if rest.contains("_state=") { "?_state" } else { "" };
            format!("location: {start}/uploads/ID{state}")
        }
        None => format!("location: {location}"),
    }
}

/// One conversation, in which every kind of request is made.
async fn converse(address: &str) -> Vec<(&'static str, Answer)> {
    let mut all = Vec::new();
    let (content, digest) = (b"0123456789", Digest::sha256(b"0123456789"));
    let absent = Digest::sha256(b"absent");
    all.push(("the door", ask(address, "GET /v2/", b"").await));
    all.push(("absent manifest", ask(address, "GET /v2/a/b/manifests/v1", b"").await));
    all.push(("absent blob", ask(address, &format!("HEAD /v2/a/b/blobs/{absent}"), b"").await));
    all.push(("tags of nothing", ask(address, "GET /v2/a/b/tags/list", b"").await));
    all.push(("referrers", ask(address, &format!("GET /v2/a/b/referrers/{absent}"), b"").await));
    let begun = ask(address, "POST /v2/a/b/blobs/uploads/", b"").await;
    let at = begun.location.clone().unwrap();
    all.push(("begin", begun));
    let streamed = ask(address, &format!("PATCH {at}"), content).await;
    let at = streamed.location.clone().unwrap();
    all.push(("stream", streamed));
    all.push(("where", ask(address, &format!("GET {at}"), b"").await));
    let lost = at.split('?').next().unwrap();
    all.push(("without state", ask(address, &format!("PATCH {lost}"), content).await));
    all.push(("give up", ask(address, &format!("DELETE {at}"), b"").await));
    let at = ask(address, "POST /v2/a/b/blobs/uploads/", b"").await.location.unwrap();
    let put = format!("PUT {at}&digest={absent}\ncontent-type: application/octet-stream");
    all.push(("wrong digest", ask(address, &put, content).await));
    let at = ask(address, "POST /v2/a/b/blobs/uploads/", b"").await.location.unwrap();
    let put = format!("PUT {at}&digest={digest}\ncontent-type: application/octet-stream");
    all.push(("whole", ask(address, &put, content).await));
    let mount = format!("POST /v2/c/d/blobs/uploads/?mount={digest}&from=a/b");
    all.push(("mount", ask(address, &mount, b"").await));
    let mount = format!("POST /v2/c/d/blobs/uploads/?mount={absent}&from=a/b");
    all.push(("mount of nothing", ask(address, &mount, b"").await));
    let put = "PUT /v2/a/b/manifests/v1\ncontent-type: application/vnd.oci.image.manifest.v1+json";
    all.push(("bad manifest", ask(address, put, b"{").await));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.to_string(), "size": 10 },
        "layers": [],
        "subject": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": absent.to_string(), "size": 6 },
    });
    let manifest = manifest.to_string();
    all.push(("manifest", ask(address, put, manifest.as_bytes()).await));
    let of = Digest::sha256(manifest.as_bytes());
    all.push(("delete manifest", ask(address, &format!("DELETE /v2/a/b/manifests/{of}"), b"").await));
    all.push(("delete blob", ask(address, &format!("DELETE /v2/a/b/blobs/{digest}"), b"").await));
    all.push(("tags", ask(address, "GET /v2/a/b/tags/list?n=1", b"").await));
    all.push(("catalog", ask(address, "GET /v2/_catalog", b"").await));
    all
}

#[tokio::test]
async fn dist_181_the_cncf_registry_is_played_as_debian_ships_it() {
    let original = DockerRegistry::start_without_delete().await;
    let played = TestRegistry::builder().personality(Personality::distribution_open()).start().await;
    let (original, played) = (converse(original.address()).await, converse(&played.address()).await);
    let of = |answer: &Answer| (answer.status, answer.code.clone(), answer.headers.clone());
    let pairs =
        original.iter().zip(&played).filter(|((_, original), (_, played))| of(original) != of(played));
    let different: Vec<_> =
        pairs.map(|((what, original), (_, played))| (*what, of(original), of(played))).collect();
    assert!(different.is_empty(), "{different:#?}");
}
