//! Content that is there, in a layout, an archive or a registry: one way to look at all of them.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::io::Read as _;
use std::path::PathBuf;

use transship_layout::{Entry, read_document};
use transship_registry::{Repository, TagOrDigest};
use transship_spec::{
    Descriptor, Digest, Document, ImageConfig, Kind, MediaType, Platform, Reference, Tag, platform, quote,
    split_digest,
};

use crate::args::{NetworkFlags, Reading};
use crate::context::Context;
use crate::exit::Failure;
use crate::local::Stock;
use crate::network::Network;
use crate::place::{Made, Place};

/// The largest config that is looked at, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// A place that is read from.
#[derive(Debug)]
pub(crate) enum Content {
    Local { stock: Stock, reference: Option<String> },
    Registry { network: Box<Network>, repository: Repository, reference: Reference },
}

impl Content {
    /// Opens the place for reading.
    pub(crate) fn open(
        place: &Place,
        context: &Context,
        reading: &Reading,
        flags: &NetworkFlags,
    ) -> Result<Self, Failure> {
        if let Some(stock) = Stock::open(place, reading)? {
            return Ok(Self::Local { stock, reference: place.reference().map(str::to_owned) });
        }
        match place {
            Place::Layout { .. } | Place::Archive { .. } => {
                Err(Failure::new(Kind::Unexpected, format!("{place} was not opened")))
            }
            Place::Registry(reference) => {
                let network = Network::open(context, flags, &[reference.registry()])?;
                let repository = network.repository(reference)?;
                Ok(Self::Registry { network: Box::new(network), repository, reference: reference.clone() })
            }
        }
    }

    /// Finds a location and opens it.
    pub(crate) fn at(
        text: &str,
        context: &Context,
        reading: &Reading,
        flags: &NetworkFlags,
    ) -> Result<(Place, Self), Failure> {
        let place = Place::find(text, Made::Before)?;
        let content = Self::open(&place, context, reading, flags)?;
        Ok((place, content))
    }

    /// What the location names; its member for `wanted` if it is an index.
    pub(crate) fn resolve(&self, wanted: Option<&Platform>) -> Result<Descriptor, Failure> {
        let descriptor = match (self, wanted) {
            (Self::Local { stock, reference }, None) => stock.resolve(reference.as_deref())?.descriptor,
            (Self::Local { stock, reference }, Some(wanted)) => {
                one_of(stock.resolve_all(reference.as_deref())?, wanted, stock, reference.as_deref())?
            }
            (Self::Registry { network, repository, reference }, _) => {
                let which = which(reference);
                let found = network.block_on(repository.manifest_head(&which))?;
                found.ok_or_else(|| Failure::new(Kind::NotFound, format!("there is no {which}")))?
            }
        };
        match wanted {
            Some(wanted) => self.member(descriptor, wanted),
            None => Ok(descriptor),
        }
    }

    /// The member of an index for a platform; an image by itself must be for it.
    fn member(&self, descriptor: Descriptor, wanted: &Platform) -> Result<Descriptor, Failure> {
        let none =
            |have: &str| Failure::new(Kind::NotFound, format!("nothing there is for {wanted}; {have}"));
        let document = self.document(&descriptor)?;
        if let Some(index) = document.as_index() {
            let platforms = index.manifests.iter().filter(|member| !platform::is_attestation(member));
            let platforms: Vec<_> =
                platforms.filter_map(|member| Some(member.platform.as_ref()?.to_string())).collect();
            let found = platform::select(&index.manifests, wanted).cloned();
            return found.ok_or_else(|| none(&format!("it is for {}", platforms.join(", "))));
        }
        match self.config(&document)? {
            Some(config) if config.platform.fitness(wanted).is_none() => {
                Err(none(&format!("it is for {}", config.platform)))
            }
            _ => Ok(descriptor),
        }
    }

    /// A manifest or index, verified.
    pub(crate) fn document(&self, descriptor: &Descriptor) -> Result<Document, Failure> {
        match self {
            Self::Local { stock, .. } => Ok(read_document(stock.source(), descriptor)?),
            Self::Registry { network, repository, .. } => {
                let manifest = network.block_on(repository.manifest_get_exact(descriptor))?;
                Ok(Document::verify(manifest.bytes, descriptor)?)
            }
        }
    }

    /// Several of them, in their order; asked for at the same time where that saves time.
    pub(crate) fn documents(&self, descriptors: &[&Descriptor]) -> Result<Vec<Document>, Failure> {
        const AT_ONCE: usize = 8;
        match self {
            Self::Local { .. } => descriptors.iter().map(|descriptor| self.document(descriptor)).collect(),
            Self::Registry { network, repository, .. } => network.block_on(async {
                let get = |descriptor: &&Descriptor| {
                    let descriptor = (*descriptor).clone();
                    async move {
                        let manifest = repository.manifest_get_exact(&descriptor).await?;
                        Ok::<_, Failure>(Document::verify(manifest.bytes, &descriptor)?)
                    }
                };
                let asked: Vec<_> = descriptors.iter().map(get).collect();
                stream::iter(asked).buffered(AT_ONCE).try_collect().await
            }),
        }
    }

    /// The config of an image; nothing for an artifact.
    pub(crate) fn config(&self, document: &Document) -> Result<Option<ImageConfig>, Failure> {
        match document.as_manifest() {
            Some(manifest) if manifest.config.media_type.is_image_config() => {
                let bytes = self.small_blob(&manifest.config)?;
                Ok(Some(ImageConfig::parse(&bytes)?))
            }
            _ => Ok(None),
        }
    }

    fn small_blob(&self, descriptor: &Descriptor) -> Result<Bytes, Failure> {
        if descriptor.size > MAX_CONFIG {
            let message = format!("the config {descriptor} exceeds the limit of {MAX_CONFIG} bytes");
            return Err(Failure::new(Kind::Limit, message));
        }
        let mut content = Vec::new();
        self.blob(descriptor, |piece| {
            content.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(content.into())
    }

    /// The bytes of a blob, piece by piece, verified on the way: what came before an error does not count.
    pub(crate) fn blob(
        &self,
        descriptor: &Descriptor,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Local { stock, .. } => {
                let mut reader = stock.source().open(descriptor)?;
                let mut piece = vec![0; 256 << 10];
                loop {
                    let read = reader.read(&mut piece);
                    let failed = |error| transship_layout::Error::from_io(error, "reading", stock.path());
                    match read.map_err(failed)? {
                        0 => return Ok(()),
                        length => take(&piece[..length])?,
                    }
                }
            }
            Self::Registry { network, repository, .. } => network.block_on(async {
                let mut stream = repository.blob_get(descriptor);
                while let Some(piece) = stream.next().await {
                    take(&piece?)?;
                }
                Ok::<_, Failure>(())
            }),
        }
    }

    /// The blob that the location names by its digest, with its size.
    pub(crate) fn blob_named(&self) -> Result<Descriptor, Failure> {
        let missing = |digest: &Digest| Failure::new(Kind::NotFound, format!("there is no blob {digest}"));
        match self {
            Self::Local { stock, reference } => {
                let digest = reference.as_deref().and_then(digest_of).ok_or_else(no_digest)?;
                let size = stock.source().size(&digest)?.ok_or_else(|| missing(&digest))?;
                Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
            }
            Self::Registry { network, repository, reference } => {
                let digest = reference.digest().ok_or_else(no_digest)?;
                let head = network.block_on(repository.blob_head(digest))?;
                let head = head.ok_or_else(|| {
                    missing(digest).hint("if it is a manifest, transship manifest get prints it")
                })?;
                let size = head.size.ok_or_else(|| {
                    Failure::new(
                        Kind::Unsupported,
                        format!("the registry does not tell the size of {digest}"),
                    )
                })?;
                Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
            }
        }
    }

    /// What refers to this content.
    pub(crate) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        match self {
            Self::Local { stock, .. } => {
                Ok(transship_layout::graph::referrers_of(stock.source())?.of(subject).to_vec())
            }
            Self::Registry { network, repository, .. } => {
                network.block_on(repository.referrers(subject, None))
            }
        }
    }

    /// Whether content that is named somewhere is known to be missing.
    pub(crate) fn is_missing(&self, descriptor: &Descriptor) -> Result<bool, Failure> {
        match self {
            Self::Local { stock, .. } => {
                Ok(stock.source().size(&descriptor.digest)? != Some(descriptor.size))
            }
            Self::Registry { .. } => Ok(false),
        }
    }
}

/// What a reference names in its repository: the digest, else the tag, else `latest`.
pub(crate) fn which(reference: &Reference) -> TagOrDigest {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => TagOrDigest::Digest(digest.clone()),
        (None, Some(tag)) => TagOrDigest::Tag(tag.clone()),
        (None, None) => TagOrDigest::Tag(Tag::latest()),
    }
}

fn digest_of(reference: &str) -> Option<Digest> {
    match split_digest(reference) {
        Some((_, digest)) => Some(digest),
        None => Digest::parse(reference).ok(),
    }
}

fn no_digest() -> Failure {
    Failure::usage("it names no blob").hint("a blob is named by its digest: LOCATION@sha256:…")
}

/// The entry for a platform, of several that share a name (case L13).
fn one_of(
    entries: Vec<Entry>,
    wanted: &Platform,
    stock: &Stock,
    reference: Option<&str>,
) -> Result<Descriptor, Failure> {
    let descriptors: Vec<Descriptor> = entries.into_iter().map(|entry| entry.descriptor).collect();
    match descriptors.as_slice() {
        [only] => Ok(only.clone()),
        several => match platform::select(several, wanted) {
            Some(found) => Ok(found.clone()),
            None => Ok(stock.resolve(reference)?.descriptor),
        },
    }
}

/// A layout for writing, or a repository.
pub(crate) enum Sink {
    Layout { path: PathBuf, reference: Option<String> },
    Registry { network: Box<Network>, repository: Repository, reference: Reference },
}

impl Sink {
    /// Finds where to write; a layout is opened by who writes.
    pub(crate) fn at(text: &str, context: &Context, flags: &NetworkFlags) -> Result<(Place, Self), Failure> {
        let place = Place::find(text, Made::Now)?;
        let sink = match &place {
            Place::Layout { path, reference } => {
                Self::Layout { path: path.clone(), reference: reference.clone() }
            }
            Place::Archive { .. } => return Err(place.unchanged("is copied to, or packed to")),
            Place::Registry(reference) => {
                let network = Network::open(context, flags, &[reference.registry()])?;
                let repository = network.repository(reference)?.for_writing();
                Self::Registry { network: Box::new(network), repository, reference: reference.clone() }
            }
        };
        Ok((place, sink))
    }
}

/// What a document is, in a word.
pub(crate) fn kind_of(document: &Document) -> &'static str {
    match document.as_manifest() {
        Some(manifest) if manifest.config.media_type.is_image_config() => "image",
        _ if document.as_index().is_some() => "index",
        _ => "artifact",
    }
}

/// A name to be given: one that cannot be given is refused before anything is done.
pub(crate) fn tag(text: &str) -> Result<Tag, Failure> {
    Tag::parse(text).map_err(|error| Failure::from(error).doing(format!("name it {}", quote(text))))
}
