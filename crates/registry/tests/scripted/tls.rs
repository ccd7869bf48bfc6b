//! Whom to trust: nobody unknown, the authorities of the settings, and anybody where the user says so.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use transship_registry::{Client, Error, HostSettings, Repository, TagOrDigest};
use transship_spec::Kind;

use crate::support::{Reply, Server, content, layer, quick};

/// A configuration with a certificate for `name` by an authority of its own, whose certificate lies in a file.
pub(crate) fn configure(
    name: &str,
    years: std::ops::Range<i32>,
) -> (ServerConfig, tempfile::TempDir, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (config, folder, file)
}

async fn start(name: &str, years: std::ops::Range<i32>) -> (Server, tempfile::TempDir, PathBuf) {
    let (config, folder, file) = configure(name, years);
    let reply = Reply::new(200).header("Content-Type", "application/vnd.oci.image.index.v1+json").body("abc");
    let server = Server::start_tls(TlsAcceptor::from(Arc::new(config)), move |_| reply.clone()).await;
    (server, folder, file)
}

async fn get(server: &Server, host: HostSettings) -> Result<(), Error> {
    let mut settings = quick();
    settings.timeouts.connect = std::time::Duration::from_secs(5);
    settings.hosts.insert(server.address.clone(), HostSettings { plain_http: Some(false), ..host });
    let repository: Repository = Client::new(settings)?.repository(&server.address, "a")?;
    repository.manifest_get(&TagOrDigest::Digest(layer(b"abc").digest)).await.map(|_| ())
}

fn trusting(file: PathBuf) -> HostSettings {
    HostSettings { ca_files: vec![file], ..HostSettings::default() }
}

#[tokio::test]
async fn row_62_an_unknown_authority_is_not_trusted_unless_it_is_named() {
    let (server, _folder, file) = start("127.0.0.1", 2020..2090).await;
    let error = get(&server, HostSettings::default()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { certificate: true, .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("signed by nobody whom this machine trusts"), "{error}");
    assert!(error.remedy().unwrap().contains("--ca-file 127.0.0.1"));
    assert!(server.requests().is_empty());
    get(&server, trusting(file)).await.unwrap();
    get(&server, HostSettings { insecure: true, ..HostSettings::default() }).await.unwrap();
}

#[tokio::test]
async fn row_62_a_certificate_that_has_expired_or_is_for_another_host_says_so() {
    for (name, years, words) in
        [("127.0.0.1", 2020..2021, "it has expired"), ("127.0.0.2", 2020..2090, "it is for another host")]
    {
        let (server, _folder, file) = start(name, years).await;
        let error = get(&server, trusting(file)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(server.requests().is_empty());
    }
}

/// Answers over HTTP/2: takes a blob, and gives it again.
async fn serve_http_2(connection: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let mut connection = h2::server::handshake(connection).await.unwrap();
    let mut kept = Bytes::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let length = request.headers().get("content-length").cloned();
        let method = request.method().clone();
        let mut body = request.into_body();
        let reply = http::Response::builder();
        match method.as_str() {
            "POST" => drop(
                respond.send_response(reply.status(202).header("location", "/u").body(()).unwrap(), true),
            ),
            "PUT" => {
                let (send, receive) = tokio::sync::oneshot::channel();
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    while let Some(piece) = body.data().await {
                        let piece = piece.unwrap();
                        body.flow_control().release_capacity(piece.len()).unwrap();
                        all.extend_from_slice(&piece);
                    }
                    assert_eq!(length.unwrap().to_str().unwrap(), all.len().to_string());
                    respond
                        .send_response(http::Response::builder().status(201).body(()).unwrap(), true)
                        .unwrap();
                    let _ = send.send(Bytes::from(all));
                });
                let mut receive = receive;
                // The connection moves only while it is polled.
                kept = tokio::select! {
                    all = &mut receive => all.unwrap(),
                    next = connection.accept() => panic!("a request before the end of the last: {}", next.is_some()),
                };
            }
            _ => {
                let mut stream = respond.send_response(reply.status(200).body(()).unwrap(), false).unwrap();
                stream.send_data(kept.clone(), true).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    let (mut config, _folder, file) = configure("127.0.0.1", 2020..2090);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve_http_2(acceptor.accept(stream).await.unwrap()).await;
    });
    let mut settings = quick();
    settings.timeouts.connect = std::time::Duration::from_secs(5);
    settings.hosts.insert(address.clone(), HostSettings { plain_http: Some(false), ..trusting(file) });
    let repository = Client::new(settings).unwrap().repository(&address, "a").unwrap();
    let all = Bytes::from(content(700_000));
    repository.blob_put(&layer(&all), &all, None).await.unwrap();
    let pieces: Vec<Bytes> = repository.blob_get(&layer(&all)).try_collect().await.unwrap();
    assert_eq!(pieces.concat(), all);
    assert!(!task.is_finished(), "one connection was enough");
}
