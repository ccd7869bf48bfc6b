//! Content in memory, as an endpoint that sessions are fed from. It may give other bytes than it should, or stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use transship_copy::endpoint::{
    Ask, Endpoint, Listed, Offer, Pending, Pieces, Place, Planned, Related, Role, Session,
};
use transship_copy::names::Name;
use transship_copy::{Error, Events, Placed, Result};
use transship_spec::{Annotations, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform};
use transship_testkit::fixtures;

use crate::kinds::Made;

/// How much comes at once.
const PIECE: usize = 64 << 10;

/// What there is to put.
#[derive(Debug, Clone)]
pub(crate) struct Goods {
    place: Place,
    blobs: BTreeMap<Digest, (Descriptor, Bytes)>,
    documents: BTreeMap<Digest, Document>,
    /// After how many bytes a blob stops, and whether it then fails or just does not go on.
    stops: BTreeMap<Digest, (usize, bool)>,
}

impl Goods {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Layout("goods".into()),
            blobs: BTreeMap::new(),
            documents: BTreeMap::new(),
            stops: BTreeMap::new(),
        }
    }

    pub(crate) fn blob(&mut self, media_type: &str, content: &[u8]) -> Descriptor {
        self.given(Descriptor::of(MediaType::parse(media_type).unwrap(), content), content)
    }

    /// Content under a descriptor that may not fit it.
    pub(crate) fn given(&mut self, descriptor: Descriptor, content: &[u8]) -> Descriptor {
        self.blobs.insert(descriptor.digest.clone(), (descriptor.clone(), Bytes::copy_from_slice(content)));
        descriptor
    }

    pub(crate) fn add(&mut self, document: Document) -> Descriptor {
        let descriptor = document.descriptor();
        self.documents.insert(descriptor.digest.clone(), document);
        descriptor
    }

    pub(crate) fn manifest(&mut self, manifest: &Manifest) -> Descriptor {
        self.add(manifest.to_document().unwrap())
    }

    pub(crate) fn index(&mut self, members: Vec<Descriptor>) -> Descriptor {
        self.add(Index::new(members).to_document().unwrap())
    }

    /// An image of these layers.
    pub(crate) fn image_of(&mut self, seed: u64, layers: Vec<Descriptor>) -> Descriptor {
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "seed": seed,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.blob(MediaType::OCI_CONFIG.as_str(), config.to_string().as_bytes());
        self.manifest(&Manifest::new(config, layers))
    }

    /// An image with one layer.
    pub(crate) fn image(&mut self, seed: u64) -> Descriptor {
        let layer = self.blob(MediaType::OCI_LAYER_TAR.as_str(), &fixtures::tar(seed, 700));
        self.image_of(seed, vec![layer])
    }

    /// An index of two images.
    pub(crate) fn platforms(&mut self, seed: u64) -> Descriptor {
        let members = ["linux/amd64", "linux/arm64"].into_iter().zip(seed..).map(|(platform, seed)| {
            let platform = Some(Platform::parse(platform).unwrap());
            Descriptor { platform, ..self.image(seed) }
        });
        let members = members.collect();
        self.index(members)
    }

    /// An artifact, maybe of something.
    pub(crate) fn artifact(&mut self, seed: u64, subject: Option<&Descriptor>) -> Descriptor {
        let file = self.blob("application/octet-stream", &fixtures::bytes(seed, 90));
        let empty = self.blob(MediaType::OCI_EMPTY.as_str(), b"{}");
        self.manifest(&Manifest {
            artifact_type: Some(MediaType::parse(&format!("application/vnd.example.n{seed}")).unwrap()),
            annotations: Annotations::from([("seed".to_owned(), seed.to_string())]),
            subject: subject.map(Descriptor::bare),
            ..Manifest::new(empty, vec![file])
        })
    }

    /// Stops a blob after so many bytes: with an error, or so that nothing comes any more.
    pub(crate) fn stop(&mut self, blob: &Descriptor, after: usize, fails: bool) {
        self.stops.insert(blob.digest.clone(), (after, fails));
    }

    pub(crate) fn heal(&mut self) {
        self.stops.clear();
    }

    pub(crate) fn get(&self, digest: &Digest) -> &Document {
        &self.documents[digest]
    }

    pub(crate) fn bytes(&self, digest: &Digest) -> Bytes {
        match self.documents.get(digest) {
            Some(document) => document.bytes().clone(),
            None => self.blobs[digest].1.clone(),
        }
    }

    /// What a document needs, leaves first, each once, itself last.
    pub(crate) fn below(&self, root: &Descriptor) -> Vec<Descriptor> {
        let mut found: Vec<Descriptor> = Vec::new();
        if let Some(document) = self.documents.get(&root.digest) {
            for child in document.children() {
                let new = self.below(child);
                found.extend(
                    new.into_iter()
                        .filter(|new| !found.iter().any(|it| it.digest == new.digest))
                        .collect::<Vec<_>>(),
                );
            }
        }
        found.push(root.clone());
        found
    }

    /// The plan of a session that puts these.
    pub(crate) fn planned(&self, roles: &[Role]) -> Planned {
        let mut planned = Planned::default();
        for role in roles {
            let (Role::Named(_, root) | Role::ByDigest(root)) = role else { continue };
            planned.content.extend(self.below(root));
            let children = self.documents.get(&root.digest).map(Document::children).unwrap_or_default();
            planned.roots.push((role.clone(), children.into_iter().cloned().collect()));
        }
        planned
    }

    pub(crate) fn offer(&self) -> Offer {
        self.offer_telling(Arc::new(Nobody))
    }

    pub(crate) fn offer_telling(&self, events: Arc<dyn Events>) -> Offer {
        Offer { from: Arc::new(self.clone()), mount_from: None, events, resumed: Arc::default() }
    }

    /// A session that is to put these roots.
    pub(crate) async fn begin(&self, into: &Made, roles: &[Role]) -> Result<Arc<dyn Session>> {
        into.open().begin(self.planned(roles)).await
    }

    /// Puts what a root needs, without the root.
    pub(crate) async fn put_below(&self, session: &dyn Session, root: &Descriptor) -> Result<()> {
        let mut below = self.below(root);
        below.pop();
        for node in below {
            match self.documents.get(&node.digest) {
                Some(document) => session.put_document(document, &Role::Child).await?,
                None => drop(session.put_blob(&node, &self.offer()).await?),
            }
        }
        Ok(())
    }

    /// Puts a root and what it needs.
    pub(crate) async fn put(&self, session: &dyn Session, role: &Role) -> Result<()> {
        let (Role::Named(_, root) | Role::ByDigest(root)) = role else { panic!("{role:?} is no root") };
        self.put_below(session, root).await?;
        session.put_document(self.get(&root.digest), role).await
    }

    /// Puts roots in a session of their own.
    pub(crate) async fn write(&self, into: &Made, roles: &[Role]) -> Result<()> {
        let session = self.begin(into, roles).await?;
        for role in roles {
            self.put(session.as_ref(), role).await?;
        }
        session.commit().await
    }

    /// Puts referrers of what is there already, or comes with them.
    pub(crate) async fn attach(&self, into: &Made, referrers: &[Descriptor]) -> Result<()> {
        let roles: Vec<Role> = referrers.iter().cloned().map(Role::ByDigest).collect();
        let session = self.begin(into, &roles).await?;
        for referrer in referrers {
            self.put_below(session.as_ref(), referrer).await?;
            session.put_document(self.get(&referrer.digest), &Role::Referrer).await?;
        }
        session.commit().await
    }
}

/// A root with a short name.
pub(crate) fn named(name: &str, root: &Descriptor) -> Role {
    Role::Named(Name::Short(name.to_owned()), root.clone())
}

#[derive(Debug)]
struct Nobody;

impl Events for Nobody {}

/// Only what sessions ask for; nothing else is ever called.
impl Endpoint for Goods {
    fn place(&self) -> &Place {
        &self.place
    }

    fn is_local(&self) -> bool {
        false
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Pieces {
        let Some((_, content)) = self.blobs.get(&blob.digest) else {
            let what = blob.digest.to_string();
            return stream::iter([Err(Error::NotFound { place: "goods".to_owned(), what })]).boxed();
        };
        let stop = self.stops.get(&blob.digest).copied();
        let end = stop.map_or(content.len(), |(after, _)| after);
        let rest = content.slice(usize::try_from(offset).unwrap().min(end)..end);
        let pieces: Vec<_> = rest.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let pieces = stream::iter(pieces);
        match stop {
            None => pieces.boxed(),
            Some((_, false)) => pieces.chain(stream::pending()).boxed(),
            Some((_, true)) => {
                pieces.chain(stream::iter([Err(Error::Worker("the goods are stuck".to_owned()))])).boxed()
            }
        }
    }

    fn named(&self) -> Pending<'_, Vec<Listed>> {
        unreachable!()
    }

    fn call<'a>(&'a self, _: Option<&'a str>) -> Pending<'a, Listed> {
        unreachable!()
    }

    fn resolve<'a>(&'a self, _: &'a Listed) -> Pending<'a, Descriptor> {
        unreachable!()
    }

    fn find<'a>(&'a self, _: &'a [Name]) -> BoxFuture<'a, Vec<Result<Option<Descriptor>>>> {
        unreachable!()
    }

    fn has<'a>(&'a self, _: &'a [Descriptor]) -> BoxFuture<'a, Vec<Result<bool>>> {
        unreachable!()
    }

    fn size<'a>(&'a self, _: &'a Digest) -> Pending<'a, Option<u64>> {
        unreachable!()
    }

    fn document<'a>(&'a self, _: &'a Descriptor) -> Pending<'a, Document> {
        unreachable!()
    }

    fn related<'a>(&'a self, _: &'a Digest, _: Ask) -> Pending<'a, Related> {
        unreachable!()
    }

    fn begin(&self, _: Planned) -> Pending<'_, Arc<dyn Session>> {
        unreachable!()
    }
}

/// What an endpoint said of a blob.
pub(crate) async fn content(endpoint: &dyn Endpoint, blob: &Descriptor, offset: u64) -> Result<Vec<u8>> {
    let mut pieces = endpoint.open(blob, offset);
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

/// Everything that has a name: tag and digest, in order.
pub(crate) async fn names(endpoint: &dyn Endpoint) -> Vec<(String, Digest)> {
    let mut found = Vec::new();
    let listed = match endpoint.named().await {
        Ok(listed) => listed,
        // A registry knows no repository before something is in it.
        Err(error) if error.kind() == transship_spec::Kind::NotFound => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    for listed in listed {
        let descriptor = endpoint.resolve(&listed).await.unwrap();
        found.push((listed.called.short.clone().unwrap_or_default(), descriptor.digest));
    }
    found.sort();
    found
}

/// How a blob that was put came to be there; for promises that do not care.
pub(crate) fn is_there(placed: Placed) -> bool {
    matches!(placed, Placed::Copied | Placed::Present)
}
