//! A service over a layout in a temporary folder, and requests to it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use transship_layout::{Durability, Layout, Name};
use transship_serve::{Limits, Service, ServiceBuilder};
use transship_spec::{Descriptor, Document, Manifest, MediaType};

/// A service whose repository is called `app`, writable.
pub(crate) struct Registry {
    pub(crate) service: Service,
    pub(crate) layout: Layout,
    pub(crate) folder: TempDir,
}

/// An answer, with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of an error, which every refusal must have (DIST-100).
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let error = self.json()["errors"][0].clone();
        assert!(error["message"].is_string(), "{error}");
        error["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{self:?}");
    }
}

pub(crate) fn layout(folder: &TempDir, name: &str) -> Layout {
    Layout::options().durability(Durability::None).create(folder.path().join(name)).unwrap()
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self::with(|builder, layout| builder.mount("app", layout).writable(true).allow_delete(true))
    }

    /// Without a name of its own: full references name the repositories.
    pub(crate) fn of_references() -> Self {
        Self::with(|builder, layout| builder.layout(layout).writable(true).allow_delete(true))
    }

    pub(crate) fn with(build: impl FnOnce(ServiceBuilder, Layout) -> ServiceBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(&folder, "layout");
        let service = build(Service::builder(), layout.clone()).build().unwrap();
        Self { service, layout, folder }
    }

    pub(crate) fn limited(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::with(|builder, layout| builder.mount("app", layout).writable(true).limits(limits))
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(&self.service, request.body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(Method::GET, target, &[], "").await
    }

    pub(crate) async fn head(&self, target: &str) -> Reply {
        self.send(Method::HEAD, target, &[], "").await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.send(Method::DELETE, target, &[], "").await
    }

    pub(crate) async fn post(&self, target: &str) -> Reply {
        self.send(Method::POST, target, &[("content-length", "0")], "").await
    }

    /// A new upload to `app`; its location.
    pub(crate) async fn upload(&self) -> String {
        self.post("/v2/app/blobs/uploads/").await.is(202).header("location").to_owned()
    }

    pub(crate) async fn put_blob(&self, repository: &str, content: &[u8]) -> Descriptor {
        let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, content);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        self.send(Method::POST, &target, &[], content.to_vec()).await.is(201);
        blob
    }

    pub(crate) async fn put_manifest(&self, target: &str, document: &Document) -> Reply {
        let media_type = document.media_type().as_str();
        self.send(Method::PUT, target, &[("content-type", media_type)], document.bytes().clone()).await
    }

    /// Pushes an image with a layer of its own; its manifest.
    pub(crate) async fn put_image(&self, repository: &str, reference: &str, salt: &str) -> Document {
        let image = self.image(repository, salt, None).await;
        let reference = if reference.is_empty() { image.digest().to_string() } else { reference.to_owned() };
        self.put_manifest(&format!("/v2/{repository}/manifests/{reference}"), &image).await.is(201);
        image
    }

    /// Pushes the blobs of an image; its manifest, which is not pushed.
    pub(crate) async fn image(&self, repository: &str, salt: &str, subject: Option<&Document>) -> Document {
        let config = Descriptor {
            media_type: MediaType::OCI_CONFIG,
            ..self.put_blob(repository, format!("{{\"config of\":\"{salt}\"}}").as_bytes()).await
        };
        let layer = self.put_blob(repository, format!("layer of {salt}").as_bytes()).await;
        let subject = subject.map(Document::descriptor);
        Manifest { subject, ..Manifest::new(config, vec![layer]) }.to_document().unwrap()
    }

    /// The names of the layout's entries; digests for those without.
    pub(crate) fn entries(&self) -> Vec<String> {
        self.layout.entries().unwrap().iter().map(transship_layout::Entry::label).collect()
    }
}

pub(crate) async fn send(service: &Service, request: Request<Full<Bytes>>) -> Reply {
    let is_head = request.method() == Method::HEAD;
    let (parts, body) = service.handle(request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert!(!is_head || body.is_empty(), "an answer to HEAD has no body");
    Reply { status: parts.status, headers: parts.headers, body }
}

/// Writes an image straight into a layout, under these names.
pub(crate) fn write_image(layout: &Layout, salt: &str, names: &[&str]) -> Document {
    let session = layout.begin().unwrap();
    let config = session.put_bytes(MediaType::OCI_CONFIG, b"{}").unwrap();
    let layer = session.put_bytes(MediaType::OCI_LAYER_TAR, salt.as_bytes()).unwrap();
    let image = Manifest::new(config, vec![layer]).to_document().unwrap();
    let descriptor = session.put_document(&image).unwrap();
    session
        .commit(|index| {
            for name in names {
                index.set(&Name::parse(name)?, &descriptor)?;
            }
            Ok(())
        })
        .unwrap();
    image
}

/// Content of so many bytes, none like its neighbour.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect()
}
