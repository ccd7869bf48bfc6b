//! No password, token or signature is ever seen: not in errors, not in events, not in logs.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tracing::span;
use transship_registry::{Credential, Error, Events, Repository, Secret, TagOrDigest};
use transship_spec::{MediaType, Tag};

use crate::support::{Reply, Request, Server, layer, quick};

const MARK: &str = "hunter2marked";

/// Collects everything that is logged, down to the last field.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);

        impl tracing::field::Visit for Fields<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }

        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Events for Log {
    fn request(&self, host: &str, method: &str) {
        self.0.lock().unwrap().push_str(&format!("{host} {method} "));
    }

    fn retry(&self, host: &str, reason: &str, _: Duration) {
        self.0.lock().unwrap().push_str(&format!("{host} {reason} "));
    }

    fn warning(&self, host: &str, text: &str) {
        self.0.lock().unwrap().push_str(&format!("{host} {text} "));
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

/// All that an error shows in any way.
fn shown<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    let mut text = format!("{error} {error:?} {:?} ", error.remedy());
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let _ = write!(text, "{cause} {cause:?} ");
        source = cause.source();
    }
    text
}

/// Every verb, against a server that fails.
async fn all_errors(repository: &Repository) -> String {
    let blob = layer(b"abc");
    let tag = TagOrDigest::Tag(Tag::parse("v1").unwrap());
    let put = repository.manifest_put(&tag, &MediaType::OCI_INDEX, Bytes::from("{}")).await;
    let get: Result<Vec<Bytes>, Error> = repository.blob_get(&blob).try_collect().await;
    [
        shown(repository.manifest_get(&tag).await),
        shown(put),
        shown(get),
        shown(repository.blob_put(&blob, &Bytes::from("abc"), Some("other")).await),
        shown(repository.tags().await),
        shown(repository.tag_delete(&Tag::parse("v1").unwrap()).await),
    ]
    .concat()
}

/// Says back all that it was sent.
fn echo(request: &Request, status: u16) -> Reply {
    let authorization = request.header("authorization").unwrap_or_default().to_owned();
    let decoded = authorization.strip_prefix("Basic ").and_then(|text| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok()
    });
    let body = String::from_utf8_lossy(&request.body).into_owned();
    Reply::new(status).body(format!("you sent {authorization} {decoded:?} {body}"))
}

#[tokio::test]
async fn nothing_shows_a_password_a_token_or_a_signature() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let credentials = [
        Credential::password("me", MARK),
        Credential::IdentityToken { username: "id".to_owned(), token: Secret::new(MARK) },
        Credential::RegistryToken(Secret::new(MARK)),
    ];
    for credential in credentials {
        for challenge in ["Basic realm=x", "Bearer realm=\"http://HOST/token\""] {
            for (status, token_status) in
                [(403, 200), (503, 200), (307, 200), (401, 200), (403, 401), (403, 500)]
            {
                let server = Server::start(move |request| {
                    let host = request.header("host").unwrap();
                    if request.target.starts_with("/token") {
                        return match token_status {
                            200 => Reply::new(200).body(format!(r#"{{"token":"{MARK}"}}"#)),
                            status => echo(request, status),
                        };
                    }
                    match request.header("authorization") {
                        None => Reply::new(401).header("WWW-Authenticate", challenge.replace("HOST", host)),
                        Some(sent) => echo(request, status)
                            .header(
                                "Location",
                                format!("http://u:{MARK}@127.0.0.1:1/x?X-Amz-Signature={MARK}#{MARK}"),
                            )
                            .header("Warning", format!("299 - \"watch out for {sent}\"")),
                    }
                })
                .await;
                let mut settings = quick();
                settings.retry.tries = 2;
                settings.events = Arc::new(log.clone());
                settings.environment.given.insert(server.address.clone(), credential.clone());
                assert!(!format!("{settings:?}").contains(MARK));
                let errors = all_errors(&server.repository_with(settings)).await;
                assert!(!errors.contains(MARK), "{challenge} {status} {token_status}: {errors}");
            }
        }
    }
    let log = log.0.lock().unwrap();
    assert!(log.contains("X-Amz-Signature=***") && log.contains("watch out"), "the log is empty");
    assert!(!log.contains(MARK), "{log}");
}
